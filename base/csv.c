/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <string.h>

#include "base/util.h"

struct reading {
	const char *p, *end;
	long line; /* of p, from 1 */
	struct strbuf cell;
	const char *name;
	size_t column; /* that is taken */
	bool named;
	struct csv_column out;
	struct err *e;
};

/* The quotes are passed over; a line break within them is part of the cell. */
static int read_quoted(struct reading *r)
{
	long begun = r->line;

	for (r->p++; r->p < r->end; r->p++) {
		if (*r->p == '"' && (r->p + 1 == r->end || r->p[1] != '"')) {
			r->p++;
			return 0;
		}
		r->p += *r->p == '"';
		r->line += *r->p == '\n';
		sb_add_n(&r->cell, r->p, 1);
	}
	return err_set(r->e, ERR_INVALID, "line %ld: the quote has no end", begun);
}

static bool at_line_end(const struct reading *r)
{
	return r->p == r->end || *r->p == '\n' ||
	       (*r->p == '\r' && (r->p + 1 == r->end || r->p[1] == '\n'));
}

static int read_cell(struct reading *r)
{
	sb_clear(&r->cell);
	if (r->p < r->end && *r->p == '"') {
		if (read_quoted(r) < 0)
			return -ERR_INVALID;
		return at_line_end(r) || *r->p == ','
			       ? 0
			       : err_set(r->e, ERR_INVALID,
					 "line %ld: text after the closing quote", r->line);
	}
	while (!at_line_end(r) && *r->p != ',')
		sb_add_n(&r->cell, r->p++, 1);
	return 0;
}

bool csv_is_formula(const char *text)
{
	double number;

	text += strspn(text, "'");
	return *text && strchr("=+-@\t\r\n", *text) && !parse_number(text, &number);
}

static int take_cell(struct reading *r, size_t column, long line, bool first)
{
	const char *text = r->cell.s ? r->cell.s : "";
	json_t *v = NULL;

	if (first && !strcmp(text, r->name)) {
		r->named = true;
		r->column = column;
		return 0;
	}
	if (column != r->column || (first && r->named))
		return 0;
	if (strlen(text) == r->cell.len)
		v = json_string(*text == '\'' && csv_is_formula(text) ? text + 1 : text);
	if (!v)
		return err_set(r->e, ERR_INVALID, "line %ld: not text", line);
	json_array_append_new(r->out.values, v);
	json_array_append_new(r->out.lines, json_integer(line));
	return 0;
}

/* One line, whose cells may span several. */
static int read_line(struct reading *r, bool first)
{
	const long line = r->line;
	size_t columns = 0;

	for (;; r->p++) {
		if (read_cell(r) < 0 || take_cell(r, columns, line, first) < 0)
			return -ERR_INVALID;
		columns++;
		if (at_line_end(r))
			break;
	}
	if (first && r->named) {
		json_array_clear(r->out.values);
		json_array_clear(r->out.lines);
	} else if (!r->named && columns > 1) {
		return err_set(r->e, ERR_INVALID,
			"line %ld has %zu columns: one expected, or a first line with the name '%s' of the column",
			line, columns, r->name);
	} else if (columns <= r->column) {
		return err_set(r->e, ERR_INVALID, "line %ld has no column '%s'", line, r->name);
	}
	return 0;
}

static void end_line(struct reading *r)
{
	if (r->p < r->end && *r->p == '\r')
		r->p++;
	if (r->p < r->end)
		r->p++;
	r->line++;
}

int csv_read_column(
	const char *text, size_t n, const char *name, struct csv_column *ret, struct err *e)
{
	struct reading r = {.p = text,
		.end = text + n,
		.line = 1,
		.name = name,
		.out = {json_array(), json_array()},
		.e = e};
	bool first = true;
	int result = 0;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		r.p += 3;
	while (result == 0 && r.p < r.end) {
		if (!at_line_end(&r)) {
			result = read_line(&r, first);
			first = false;
		}
		end_line(&r);
	}
	sb_done(&r.cell);
	if (result < 0) {
		json_decref(r.out.values);
		json_decref(r.out.lines);
		return result;
	}
	*ret = r.out;
	return 0;
}

static void write_cell(struct strbuf *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		if (csv_is_formula(text))
			sb_add(out, "'");
		sb_add(out, text);
		return;
	}
	sb_add(out, "\"");
	if (csv_is_formula(text))
		sb_add(out, "'");
	for (; *text; text++) {
		sb_add_n(out, text, 1);
		if (*text == '"')
			sb_add(out, "\"");
	}
	sb_add(out, "\"");
}

void csv_write_names(struct strbuf *out, const char *const *names)
{
	for (const char *const *n = names; *n; n++) {
		if (n != names)
			sb_add(out, ",");
		write_cell(out, *n);
	}
	sb_add(out, "\r\n");
}

void csv_write_row(struct strbuf *out, const json_t *o, const char *const *members)
{
	for (const char *const *m = members; *m; m++) {
		const json_t *v = json_object_get(o, *m);
		char *text = json_is_string(v) || json_is_null(v)
				     ? NULL
				     : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

		if (m != members)
			sb_add(out, ",");
		write_cell(out, json_is_string(v) ? json_string_value(v) : text ? text : "");
		free(text);
	}
	sb_add(out, "\r\n");
}
