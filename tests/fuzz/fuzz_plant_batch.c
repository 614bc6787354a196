/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host sends to a plant: whatever comes, it is refused with a sentence, or its rows are in order and belong together,
 * also once a part is taken out.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "plant/batch.h"

static int64_t number(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static bool has_run(const struct batch *b, const json_t *row)
{
	const char *run = json_string_value(json_object_get(row, "run"));
	size_t i;
	json_t *r;

	json_array_foreach(b->runs, i, r)
		if (run && !strcmp(run, json_string_value(json_object_get(r, "id"))))
			return true;
	return false;
}

static void check(const struct batch *b, int64_t after)
{
	int64_t before = after;
	size_t i;
	json_t *row;

	json_array_foreach(b->records, i, row) {
		if (number(row, "seq") <= before || number(row, "seq") > b->last)
			abort();
		before = number(row, "seq");
	}
	json_array_foreach(b->measurements, i, row)
		if (!has_run(b, row))
			abort();
	json_array_foreach(b->values, i, row)
		if (!has_run(b, row))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct batch b;
	struct err e = {0};
	json_t *had = json_array();
	int r = batch_read(bytes, n, &b, &e);

	if (r < 0) {
		if ((e.code != ERR_INVALID && e.code != ERR_UNPROCESSABLE &&
			    e.code != ERR_TOO_LARGE) ||
			!e.msg[0])
			abort();
	} else {
		check(&b, b.after);
		if (json_array_size(b.records) > 0) {
			int64_t first = number(json_array_get(b.records, 0), "seq");

			batch_skip(&b, first, had);
			if (json_array_size(had) != 1)
				abort();
			check(&b, first);
		}
		batch_done(&b);
	}
	json_decref(had);
	return 0;
}
