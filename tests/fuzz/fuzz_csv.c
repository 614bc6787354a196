/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of lists: each value has a line that is there, lines never go back, and what is written of
 * the values is read as the same ones.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "base/csv.h"

static void done(struct csv_column *c)
{
	json_decref(c->values);
	json_decref(c->lines);
}

static void read_again(const struct csv_column *c)
{
	static const char *const names[] = {"value", NULL};
	struct strbuf b = {0};
	struct csv_column again = {0};
	struct err e = {0};
	size_t i, n = 0;
	json_t *v;

	csv_write_names(&b, names);
	json_array_foreach(c->values, i, v) {
		json_t *row = json_pack("{s:O}", "value", v);

		/* An empty value is an empty line, which is passed over. */
		if (json_string_length(v) > 0)
			csv_write_row(&b, row, names);
		json_decref(row);
	}
	if (csv_read_column(b.s, b.len, "value", &again, &e) < 0)
		abort();
	json_array_foreach(c->values, i, v) {
		/* An empty value is an empty line, which is passed over. */
		if (json_string_length(v) > 0 && !json_equal(v, json_array_get(again.values, n++)))
			abort();
	}
	if (n != json_array_size(again.values))
		abort();
	done(&again);
	sb_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct csv_column c = {0};
	struct err e = {0};
	json_int_t lines = 1, before = 1;
	size_t i;
	json_t *line;

	for (size_t k = 0; k < n; k++)
		lines += bytes[k] == '\n';
	if (csv_read_column((const char *)bytes, n, "value", &c, &e) < 0) {
		if (e.code != ERR_INVALID || !e.msg[0])
			abort();
		return 0;
	}
	if (json_array_size(c.values) != json_array_size(c.lines))
		abort();
	json_array_foreach(c.lines, i, line) {
		if (json_integer_value(line) < before || json_integer_value(line) > lines)
			abort();
		before = json_integer_value(line);
	}
	read_again(&c);
	done(&c);
	return 0;
}
