/* SPDX-License-Identifier: Apache-2.0
 *
 * Perl-compatible regular expressions (PCRE2) with a match limit, so that a pattern of a recipe
 * cannot hang a station. A compiled regex may be shared between threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define REGEX_GROUPS 10

struct regex;

struct regex_match {
	int groups; /* number of groups set, the whole match included */
	struct {
		size_t start, end; /* start == (size_t)-1: not set */
	} group[REGEX_GROUPS];
};

/* -ERR_INVALID with the offset and the reason. */
int regex_new(const char *pattern, struct regex **ret, struct err *e);
struct regex *regex_free(struct regex *r);
/* As given to regex_new(). */
const char *regex_pattern(const struct regex *r);
/* m may be NULL. A text that exceeds the limit does not match. */
bool regex_match(const struct regex *r, const char *text, size_t len, struct regex_match *m);
/* For patterns that refuse: a text that the limit left undecided may be what they look for. */
bool regex_may_match(const struct regex *r, const char *text, size_t len);
