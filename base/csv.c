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

static json_t *cell_text(struct reading *r)
{
	const char *text = r->cell.s ? r->cell.s : "";
	json_t *v = strlen(text) == r->cell.len
			    ? json_string(*text == '\'' && csv_is_formula(text) ? text + 1 : text)
			    : NULL;

	if (!v)
		err_set(r->e, ERR_INVALID, "line %ld: not text", r->line);
	return v;
}

/* The cells of a line; NULL after a mistake. */
static json_t *read_cells(struct reading *r)
{
	json_t *cells = json_array(), *v;

	for (;; r->p++) {
		v = read_cell(r) < 0 ? NULL : cell_text(r);
		if (!v) {
			json_decref(cells);
			return NULL;
		}
		json_array_append_new(cells, v);
		if (at_line_end(r))
			return cells;
	}
}

static json_t *named_cells(const json_t *names, const json_t *cells, long line, struct err *e)
{
	json_t *row = json_object(), *v;
	size_t i;

	if (json_array_size(cells) > json_array_size(names)) {
		err_set(e, ERR_INVALID, "line %ld has %zu cells, the first line names %zu columns",
			line, json_array_size(cells), json_array_size(names));
		json_decref(row);
		return NULL;
	}
	json_array_foreach((json_t *)cells, i, v)
		if (json_string_length(v) > 0)
			json_object_set(row, json_string_value(json_array_get(names, i)), v);
	return row;
}

/* The first line is kept in *names. */
static int take_line(struct reading *r, json_t **names, json_t *rows)
{
	const long line = r->line;
	json_t *cells = read_cells(r), *row;

	if (!cells)
		return -ERR_INVALID;
	if (!*names) {
		*names = cells;
		return 0;
	}
	row = named_cells(*names, cells, line, r->e);
	json_decref(cells);
	if (!row)
		return -ERR_INVALID;
	json_array_append_new(rows, row);
	return 0;
}

int csv_read_table(const char *text, size_t n, json_t **ret, struct err *e)
{
	struct reading r = {.p = text, .end = text + n, .line = 1, .e = e};
	json_t *names = NULL, *rows = json_array();
	int result = 0;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		r.p += 3;
	while (result == 0 && r.p < r.end) {
		if (!at_line_end(&r))
			result = take_line(&r, &names, rows);
		end_line(&r);
	}
	sb_done(&r.cell);
	json_decref(names);
	if (result < 0)
		json_decref(rows);
	else
		*ret = rows;
	return result;
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
