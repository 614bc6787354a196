/* SPDX-License-Identifier: Apache-2.0
 *
 * What a line of OpenOCD's output means. One const table, the most specific rule first: of all
 * lines of a run, the one whose rule stands first is the cause.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct openocd_rule {
	const char *pattern; /* PCRE2, anywhere in a line; NULL ends the table */
	enum err_code code;
	const char *sentence; /* what it means and what to do, for the operator */
};

extern const struct openocd_rule openocd_rules[];

struct openocd_rulebook; /* the table, compiled */
int openocd_rulebook_new(struct openocd_rulebook **ret, struct err *e);
struct openocd_rulebook *openocd_rulebook_free(struct openocd_rulebook *b);
/* The index of the first rule that the line matches, among those before `below`; -1: none. */
int openocd_rulebook_match(const struct openocd_rulebook *b, const char *line, size_t n, int below);
