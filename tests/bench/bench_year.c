/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_year.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/util.h"
#include "db/ledger.h"
#include "db/prompts.h"
#include "db/runs.h"
#include "db/units.h"

#define DAY_MS	     86400000ll
#define HOUR_MS	     3600000ll
#define SHIFTS_MS    (16 * HOUR_MS) /* from 06:00 on */
#define VDD	     3.3
#define VDD_LOW	     3.24
#define VDD_HIGH     3.36
#define CURRENT	     41.0
#define CURRENT_HIGH 48.0

/* --- chance --- */

/* xorshift64*; never 0. */
static uint64_t next(struct year *y)
{
	y->random ^= y->random >> 12;
	y->random ^= y->random << 25;
	y->random ^= y->random >> 27;
	return y->random * 0x2545f4914f6cdd1du;
}

static bool one_in(struct year *y, unsigned n)
{
	return (next(y) >> 32) % n == 0;
}

/* Nearly normal: the sum of twelve is of variance 1. */
static double noise(struct year *y)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += (double)(next(y) >> 40) / (double)(1 << 24);
	return sum;
}

static char *make_id(struct year *y, int64_t at_ms, char ret[UUID_SIZE])
{
	const uint64_t a = next(y), b = next(y);

	snprintf(ret, UUID_SIZE, "%08llx-%04llx-7%03llx-%04llx-%012llx",
		(unsigned long long)at_ms >> 16, (unsigned long long)at_ms & 0xffff,
		(unsigned long long)a & 0xfff, 0x8000 | ((unsigned long long)(a >> 16) & 0x3fff),
		(unsigned long long)b & 0xffffffffffff);
	return ret;
}

/* --- when and with what --- */

/* Sundays are free, and so is the night. */
static int64_t time_of(const struct year *y, long i)
{
	const double part = (double)i / (double)MAX(y->count, 1l);
	const double workday = part * (double)y->days * 6 / 7;
	const int64_t day = (int64_t)workday;
	const int64_t first = y->end_ms / DAY_MS - y->days;

	return (first + day + day / 6) * DAY_MS + 6 * HOUR_MS +
	       (int64_t)((workday - (double)day) * (double)SHIFTS_MS);
}

static int64_t quarter_of(const struct year *y, long i)
{
	return 1 + (int64_t)i * 4 / MAX(y->count, 1l);
}

static json_t *firmware_of(int64_t quarter)
{
	char sha256[SHA256_HEX], text[16];
	int n = snprintf(text, sizeof text, "firmware %lld", (long long)quarter);

	sha256_hex_of(text, (size_t)n, sha256);
	return json_pack("{s:{s:s}, s:s}", "artifacts", "image", sha256, "version",
		quarter < 3 ? "1.4.0" : "1.5.1");
}

void year_begin(struct year *y, uint64_t seed, long count, int64_t days, int64_t end_ms)
{
	*y = (struct year){.random = seed * 2 + 1, .count = count, .days = days, .end_ms = end_ms};
	for (int i = 0; i < YEAR_STATIONS; i++)
		y->offset[i] = 0.004 * noise(y);
}

/* --- one run --- */

struct run {
	char id[UUID_SIZE], station[8], unit[DB_ID_SIZE];
	int at;	    /* which station */
	int number; /* of the unit */
	int64_t begun_ms, ended_ms, quarter;
	int64_t line; /* of its log */
	const char *outcome, *code, *step;
};

static int log_line(struct db *tx, struct run *r, char dir, const char *text, struct err *e)
{
	r->line++;
	return runs_log(tx, r->id, r->line, r->begun_ms + 100 * r->line, dir, text, e);
}

static int do_step(struct db *tx, const struct run *r, int64_t n, const char *id,
	const char *action, const char *code, json_t *evidence, struct err *e)
{
	const struct step_begin b = {.run = r->id,
		.n = n,
		.id = id,
		.action = action,
		.phase = "steps",
		.attempt = 1,
		.started_ms = r->begun_ms + 1000 * n};
	const struct step_end end = {.run = r->id,
		.n = n,
		.outcome = !code			  ? "passed"
			   : !strcmp(code, "device-gone") ? "error"
							  : "failed",
		.code = code,
		.evidence = evidence,
		.ended_ms = r->begun_ms + 1000 * n + 800,
		.duration_us = 800000 + n};
	int k = runs_step_begin(tx, &b, e);

	if (k == 0)
		k = runs_step_end(tx, &end, e);
	json_decref(evidence);
	return k;
}

static int flash(struct db *tx, struct year *y, struct run *r, struct err *e)
{
	const bool gone = y->bad[r->at] > 0 && one_in(y, 3);
	int k = log_line(tx, r, '#', "flash 112 KiB at 0x08000000", e);

	if (gone) {
		r->outcome = "error";
		r->code = "device-gone";
		r->step = "flash";
	}
	if (k == 0)
		k = log_line(tx, r, '<', gone ? "no answer" : "verified 114688 bytes", e);
	return k < 0 ? k
		     : do_step(tx, r, 1, "flash", "openocd.flash", gone ? "device-gone" : NULL,
			       json_pack("{s:s, s:s, s:i}", "program", "openocd", "version",
				       r->quarter < 4 ? "0.11.0" : "0.12.0", "bytes", 114688),
			       e);
}

static int measure(struct db *tx, struct run *r, int64_t n, const char *name, const char *unit,
	double value, const double *low, const double *high, struct err *e)
{
	char text[32], reply[48];
	const char *code = low && value < *low ? "limit-low" : value > *high ? "limit-high" : NULL;
	const struct measured m = {.run = r->id,
		.step_n = n,
		.k = 1,
		.name = name,
		.value = &value,
		.text = text,
		.unit = unit,
		.low = low,
		.high = high,
		.verdict = code ? "fail" : "pass"};
	int k;

	snprintf(text, sizeof text, "%.4f", value);
	snprintf(reply, sizeof reply, "%s=%s", name, text);
	k = log_line(tx, r, '>', name, e);
	if (k == 0)
		k = log_line(tx, r, '<', reply, e);
	if (k == 0)
		k = do_step(tx, r, n, name, "console.measure", code,
			json_pack("{s:s}", "reply", reply), e);
	if (k == 0 && code) {
		r->outcome = "failed";
		r->code = code;
		r->step = name;
	}
	return k < 0 ? k : runs_measure(tx, &m, e);
}

/* Volts drift with the seasons, and with what the fixture has become. */
static int measure_all(struct db *tx, struct year *y, struct run *r, long i, struct err *e)
{
	static const double low = VDD_LOW, high = VDD_HIGH, most = CURRENT_HIGH;
	const double season = sin(6.283185 * (double)i / (double)MAX(y->count, 1l));
	const double volts = VDD + 0.012 * season + y->offset[r->at] + 0.022 * noise(y) +
			     (y->bad[r->at] > 0 ? -0.03 : 0);
	const double milliamperes = CURRENT + 1.5 * season + 1.8 * noise(y);
	int k = measure(tx, r, 2, "vdd", "V", volts, &low, &high, e);

	if (k < 0 || !strcmp(r->outcome, "failed"))
		return k;
	return measure(tx, r, 3, "current", "mA", milliamperes, NULL, &most, e);
}

static int ask(struct db *tx, struct year *y, struct run *r, struct err *e)
{
	static const char *const people[] = {"anna", "bert", "carla"};
	char id[UUID_SIZE];
	const struct prompt_new p = {.id = make_id(y, r->begun_ms, id),
		.run = r->id,
		.station = r->station,
		.kind = "confirm",
		.text = "Is the label straight?"};
	const struct prompt_answer a = {id, "yes", people[next(y) % ARRAY_LEN(people)], false};
	int k = prompts_ask(tx, &p, e);

	return k < 0 ? k : prompts_answer(tx, &a, e);
}

/* The fixture after this unit. */
static void wear(struct year *y, struct run *r, bool returned)
{
	y->offset[r->at] += 0.00004 * noise(y);
	if (one_in(y, 2000))
		y->offset[r->at] = 0.004 * noise(y);
	if (y->bad[r->at] > 0)
		y->bad[r->at]--;
	else if (one_in(y, 600))
		y->bad[r->at] = 20 + (int)(next(y) % 30);
	y->again[r->at] =
		strcmp(r->outcome, "passed") != 0 && !returned && !one_in(y, 3) ? r->number : 0;
}

static int begin_run(struct db *tx, struct run *r, struct err *e)
{
	char serial[LEDGER_VALUE_SIZE], chip[32], out[LEDGER_VALUE_SIZE];
	const struct ledger_source src = {.from = LEDGER_DEVICE, .kind = "serial", .value = serial};
	const struct run_new n = {
		.id = r->id, .station = r->station, .attached_ms = r->begun_ms - 1500};
	json_t *firmware = firmware_of(r->quarter);
	const struct run_start s = {.run = r->id,
		.recipe = "year",
		.version = r->quarter,
		.recipe_sha256 = "",
		.model = "Y100",
		.firmware = firmware,
		.started_ms = r->begun_ms};
	int k = runs_open(tx, &n, e);

	snprintf(serial, sizeof serial, "Y%08d", r->number);
	snprintf(chip, sizeof chip, "chip-%08d", r->number);
	if (k == 0)
		k = runs_start(tx, &s, e);
	json_decref(firmware);
	if (k == 0)
		k = units_identify(tx, r->id, chip, "Y100", r->unit, e);
	return k < 0 ? k : ledger_reserve(tx, r->id, &src, out, e);
}

static int end_run(struct db *tx, const struct run *r, struct err *e)
{
	const struct run_end end = {.run = r->id,
		.outcome = r->outcome,
		.code = r->code,
		.step = r->step,
		.message = r->code ? "as the step says" : NULL,
		.ended_ms = r->ended_ms};

	return runs_finish(tx, &end, e);
}

int year_run(struct db *tx, struct year *y, long i, struct err *e)
{
	struct run r = {.at = (int)(i % YEAR_STATIONS), .outcome = "passed"};
	const int returned = y->again[r.at];
	int k;

	r.begun_ms = time_of(y, i);
	r.ended_ms = r.begun_ms + 9000 + (int64_t)(next(y) % 4000);
	r.quarter = quarter_of(y, i);
	r.number = returned ? returned : (int)i + 1;
	snprintf(r.station, sizeof r.station, "A%d", r.at + 1);
	make_id(y, r.begun_ms, r.id);
	k = begin_run(tx, &r, e);
	if (k == 0 && one_in(y, 20))
		k = ask(tx, y, &r, e);
	if (k == 0)
		k = flash(tx, y, &r, e);
	if (k == 0 && !r.code)
		k = measure_all(tx, y, &r, i, e);
	wear(y, &r, returned != 0);
	return k < 0 ? k : end_run(tx, &r, e);
}
