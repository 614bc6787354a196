/* SPDX-License-Identifier: Apache-2.0
 *
 * Comma-separated values (RFC 4180): a list that a person or a spreadsheet brings, and lines for
 * them. What is read may end its lines with LF or CRLF, and begin with a byte order mark; what is
 * written ends them with CRLF.
 *
 * A spreadsheet takes a cell that begins with = + - @, a tab or a line break for a formula, and runs it: a
 * text that does gets a ' before it, and so does one that does after its own '. The reader takes one away
 * again. A number is none, also a negative one, and a text that is a number neither.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

struct csv_column {
	json_t *values; /* array of strings; owned */
	json_t *lines;	/* array of integers: the line of each value, from 1; owned */
};

/* One column. A first line that has a cell `name` says which; without one each line has one value
 * and nothing else. Empty lines are passed over. -ERR_INVALID names the line. */
int csv_read_column(
	const char *text, size_t n, const char *name, struct csv_column *ret, struct err *e);
/* All of it: the first line names the columns, each further one is an object of them, all text; an empty cell is no member.
 * *ret is an array, a new reference. -ERR_INVALID names the line. */
int csv_read_table(const char *text, size_t n, json_t **ret, struct err *e);
/* Whether a text gets a ' before it when it is written, and has lost one when it was read. */
bool csv_is_formula(const char *text);
/* A line of names, NULL-terminated. */
void csv_write_names(struct strbuf *out, const char *const *names);
/* A line of these members of an object; null is empty. */
void csv_write_row(struct strbuf *out, const json_t *o, const char *const *members);
