/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host sends to a plant: whatever comes, it is refused with a sentence, or its rows are in order and belong together,
 * also once a part is taken out.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "plant/batch.h"

/* Columns of a row, of enum batch_table. */
static const size_t columns[BATCH_TABLES] = {11, 17, 10};

/* Whole rows, each with its columns, and no byte that COPY would read as something else; how many. */
static size_t check_rows(const char *rows, size_t bytes, size_t want)
{
	size_t n = 0, tabs = 0;

	for (size_t i = 0; i < bytes; i++) {
		if (rows[i] == '\r' || !rows[i] || (rows[i] == '\\' && ++i == bytes))
			abort();
		tabs += rows[i] == '\t' && rows[i - 1] != '\\';
		if (rows[i] != '\n')
			continue;
		if (tabs + 1 != want)
			abort();
		tabs = 0;
		n++;
	}
	if (bytes > 0 && rows[bytes - 1] != '\n')
		abort();
	return n;
}

static void check(const struct batch *b, size_t skip)
{
	int64_t before = skip > 0 ? b->record[skip - 1].seq : b->after;
	json_t *values = batch_values(b, skip);

	for (size_t i = skip; i < b->n; i++) {
		if (b->record[i].seq <= before || b->record[i].seq > b->last)
			abort();
		before = b->record[i].seq;
	}
	for (int t = 0; t < BATCH_TABLES; t++) {
		size_t bytes;
		const char *rows = batch_rows(b, (enum batch_table)t, skip, &bytes);
		const size_t n = check_rows(rows, bytes, columns[t]);

		if (t == BATCH_RECORDS && n != b->n - skip)
			abort();
	}
	if (!json_is_array(values) || (skip == b->n && json_array_size(values) > 0))
		abort();
	json_decref(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct batch b;
	struct err e = {0};
	int r = batch_read("H1", 5, bytes, n, &b, &e);

	if (r < 0) {
		if ((e.code != ERR_INVALID && e.code != ERR_UNPROCESSABLE &&
			    e.code != ERR_TOO_LARGE) ||
			!e.msg[0])
			abort();
		return 0;
	}
	check(&b, 0);
	if (b.n > 0 && batch_known(&b, b.record[0].seq) != 1)
		abort();
	check(&b, b.n > 0);
	check(&b, b.n);
	batch_done(&b);
	return 0;
}
