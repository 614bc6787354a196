/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_units PATH COUNT: a database with COUNT units and their finished runs, as a line leaves
 * behind.
 */
#include <stdio.h>

#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/runs.h"

static int one_unit(struct db *tx, struct err *e)
{
	char id[UUID_SIZE];
	char serial[LEDGER_VALUE_SIZE];
	const struct ledger_source src = {.from = LEDGER_DEVICE, .kind = "serial", .value = serial};
	const struct run_new n = {.id = uuid7(id), .station = "bench", .attached_ms = wall_ms()};
	const struct run_start s = {
		.run = id, .recipe = "bench", .version = 1, .recipe_sha256 = "", .model = "bench"};
	const struct run_end end = {.run = id, .outcome = "passed", .ended_ms = wall_ms()};
	char out[LEDGER_VALUE_SIZE];
	int r;

	snprintf(serial, sizeof serial, "SN%s", id);
	r = runs_open(tx, &n, e);
	if (r == 0)
		r = runs_start(tx, &s, e);
	if (r == 0)
		r = ledger_reserve(tx, id, &src, out, e);
	return r < 0 ? r : runs_finish(tx, &end, e);
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	struct db *db = NULL;
	struct err e = {0};
	int r = argc == 3 ? db_open(argv[1], &db, &e) : -ERR_INVALID;

	for (long i = 0; r == 0 && i < count; i++) {
		if (i % 1000 == 0)
			r = db_begin(db, &e);
		if (r == 0)
			r = one_unit(db, &e);
		if (r == 0 && (i % 1000 == 999 || i == count - 1))
			r = db_commit(db, &e);
	}
	db_free(db);
	if (r < 0)
		fprintf(stderr, "bench_units: %s\n", e.msg);
	return r < 0;
}
