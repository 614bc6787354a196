/* SPDX-License-Identifier: Apache-2.0
 *
 * The two small languages inside a recipe: templates ("SET_SERIAL ${unit.serial}") and conditions
 * ("${params.variant} != lite && ${steps.read.value} > 3").
 *
 * A reference is a dotted path of names. What it yields is a value: it is never parsed again, and
 * where a template builds a regular expression the value is quoted. `$${` is a literal `${`.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"

struct scope {
	/* *ret: a new reference. -ERR_NOT_FOUND with a sentence for a name that is not there. */
	int (*lookup)(void *data, const char *path, json_t **ret, struct err *e);
	void *data;
	/* What no argument may hold but those that are marked `secret`; NULL: nothing. */
	const struct secret_set *secrets;
};

enum quoting { QUOTE_NONE, QUOTE_REGEX };

/* The template's value: a string, or, where the whole text is one reference, what it yields in its
 * own type (as text with QUOTE_REGEX). */
int template_eval(
	const char *text, enum quoting q, const struct scope *scope, json_t **ret, struct err *e);
/* Calls fn for every reference; stops at the first that is not 0, and returns it.
 * -ERR_INVALID for an open `${` or a malformed path. */
int template_refs(const char *text, int (*fn)(void *data, const char *path, struct err *e),
	void *data, struct err *e);

/* == != < <= > >= between references, bare words, 'strings' and numbers; ! && || and parentheses.
 * Two numbers compare as numbers, everything else as text. A lone operand is true unless it is
 * false, null, 0 or empty. */
int condition_eval(const char *text, const struct scope *scope, bool *ret, struct err *e);
