/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_units PATH COUNT [DAYS [SEED]]: a database with COUNT units and their finished runs, as a line leaves
 * behind: all of now, or spread over so many days before it, at 64 stations, some failed. With a seed: that
 * many runs of such a year as bench_year.h has, with steps, measurements, logs and units that come back.
 */
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/ledger.h"
#include "db/runs.h"
#include "tests/bench/bench_year.h"

/* The newest hundred had another firmware. */
static json_t *firmware_of(bool newest)
{
	char sha256[SHA256_HEX];

	memset(sha256, newest ? 'b' : 'a', SHA256_HEX - 1);
	sha256[SHA256_HEX - 1] = 0;
	return json_pack("{s:{s:s}}", "artifacts", "image", sha256);
}

static int one_unit(struct db *tx, long i, long count, int64_t ended_ms, struct err *e)
{
	char id[UUID_SIZE], station[8];
	char serial[LEDGER_VALUE_SIZE];
	const struct ledger_source src = {.from = LEDGER_DEVICE, .kind = "serial", .value = serial};
	const struct run_new n = {
		.id = uuid7(id), .station = station, .attached_ms = ended_ms - 20000};
	json_t *firmware = firmware_of(i >= count - 100);
	const struct run_start s = {.run = id,
		.recipe = "bench",
		.version = 1,
		.recipe_sha256 = "",
		.model = "bench",
		.firmware = firmware};
	bool passed = i % 23 != 7;
	const struct run_end end = {.run = id,
		.outcome = passed ? "passed" : "failed",
		.code = passed ? NULL : "limit-low",
		.step = passed ? NULL : "measure",
		.ended_ms = ended_ms};
	char out[LEDGER_VALUE_SIZE];
	int r;

	snprintf(station, sizeof station, "S%ld", i % 64);
	snprintf(serial, sizeof serial, "SN%s", id);
	r = runs_open(tx, &n, e);
	if (r == 0)
		r = runs_start(tx, &s, e);
	json_decref(firmware);
	if (r == 0)
		r = ledger_reserve(tx, id, &src, out, e);
	return r < 0 ? r : runs_finish(tx, &end, e);
}

int main(int argc, char **argv)
{
	bool good = argc >= 3 && argc <= 5;
	long count = good ? strtol(argv[2], NULL, 10) : 0;
	int64_t days = argc >= 4 ? strtol(argv[3], NULL, 10) : 0;
	int64_t step_ms = days * 86400000 / MAX(count, 1);
	int64_t now = wall_ms();
	struct db *db = NULL;
	struct err e = {0};
	struct year year;
	int r = good ? db_open(argv[1], &db, &e) : -ERR_INVALID;

	if (argc == 5)
		year_begin(&year, strtoull(argv[4], NULL, 10), count, days, now);
	for (long i = 0; r == 0 && i < count; i++) {
		if (i % 1000 == 0)
			r = db_begin(db, &e);
		if (r == 0)
			r = argc == 5 ? year_run(db, &year, i, &e)
				      : one_unit(db, i, count, now - (count - 1 - i) * step_ms, &e);
		if (r == 0 && (i % 1000 == 999 || i == count - 1))
			r = db_commit(db, &e);
	}
	db_free(db);
	if (r < 0)
		fprintf(stderr, "bench_units: %s\n", e.msg);
	return r < 0;
}
