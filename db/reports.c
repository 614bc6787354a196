/* SPDX-License-Identifier: Apache-2.0 */
#include "db/reports.h"

#include "base/digest.h"
#include "base/timefmt.h"
#include "db/db_impl.h"
#include "db/run_facts.h"
#include "db/stmt.h"

static void json_done(json_t **j)
{
	json_decref(*j);
}

/* A member that the report says in another way. */
static int64_t take_int(json_t *row, const char *name, int64_t absent)
{
	const json_t *v = json_object_get(row, name);
	int64_t n = json_is_integer(v) ? json_integer_value(v) : absent;

	json_object_del(row, name);
	return n;
}

static json_t *take(json_t *row, const char *name)
{
	json_t *v = json_incref(json_object_get(row, name));

	json_object_del(row, name);
	return v;
}

static bool passed(const json_t *row)
{
	const char *outcome = json_string_value(json_object_get(row, "outcome"));

	return outcome && !strcmp(outcome, "passed");
}

#define MEASUREMENTS_OF(detail)                                                       \
	"SELECT step_n, name, value, text, unit, low, high, verdict, " detail " FROM" \
	" measurements WHERE run_id = ? ORDER BY step_n, k"
/* The measurements of all steps of a run, as arrays by the step's number. */
static int read_measurements(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"step_n", AS_INT}, {"name", AS_TEXT},
		{"value", AS_REAL}, {"text", AS_TEXT}, {"unit", AS_TEXT}, {"low", AS_REAL},
		{"high", AS_REAL}, {"verdict", AS_TEXT}, {"detail", AS_JSON}, {0}};
	/* The second is of a database that an older provd made, which is read as it is. */
	SELECT(all, MEASUREMENTS_OF("detail"), columns);
	SELECT(all_older, MEASUREMENTS_OF("NULL AS detail"), columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *by_step = json_object();
	int r = select_begin(&q, d, e, d->before_details ? &all_older : &all, run);

	while (r >= 0 && (r = select_next(&q, NULL, e)) > 0) {
		json_t *m = row_json(&q);
		char n[24];

		/* The reports of before had no such member: their hashes stay. */
		if (json_is_null(json_object_get(m, "detail")))
			json_object_del(m, "detail");

		snprintf(n, sizeof n, "%lld", (long long)take_int(m, "step_n", 0));
		if (!json_object_get(by_step, n))
			json_object_set_new(by_step, n, json_array());
		json_array_append_new(json_object_get(by_step, n), m);
	}
	if (r < 0) {
		json_decref(by_step);
		return r;
	}
	*ret = by_step;
	return 0;
}

static int read_steps(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {"id", AS_TEXT}, {"action", AS_TEXT},
		{"phase", AS_TEXT}, {"attempt", AS_INT}, {"outcome", AS_TEXT}, {"code", AS_TEXT},
		{"message", AS_TEXT}, {"evidence", AS_JSON}, {"outputs", AS_JSON},
		{"started_at", AS_TIME}, {"duration_us", AS_INT}, {"irreversible", AS_BOOL}, {0}};
	SELECT(all,
		"SELECT n, id, action, phase, attempt, " STEP_OUTCOME
		", code, message, evidence, outputs,"
		" started_at, duration_us, irreversible FROM steps WHERE run_id = ? ORDER BY n",
		columns);
	_cleanup_(query_done) struct query q = {0};
	_cleanup_(json_done) json_t *measured = NULL;
	_cleanup_(json_done) json_t *steps = json_array();
	int r = read_measurements(d, run, &measured, e);

	if (r == 0)
		r = select_begin(&q, d, e, &all, run);
	while (r >= 0 && (r = select_next(&q, NULL, e)) > 0) {
		json_t *s = row_json(&q);
		int64_t us = take_int(s, "duration_us", INT64_MIN);
		char n[24];

		snprintf(n, sizeof n, "%lld",
			(long long)json_integer_value(json_object_get(s, "n")));

		json_t *m = json_object_get(measured, n);

		json_object_set_new(s, "measurements", m ? json_incref(m) : json_array());
		json_object_set_new(s, "success", json_boolean(passed(s)));
		json_object_set_new(
			s, "duration_ms", us == INT64_MIN ? json_null() : json_integer(us / 1000));
		json_array_append_new(steps, s);
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(&steps);
	return 0;
}

/* What the unit said in the step that the recipe names; null where none did. */
static void set_firmware(json_t *report)
{
	json_t *v = json_object_get(json_object_get(report, "firmware"), "version");

	json_object_set_new(report, "firmware_version", v ? json_incref(v) : json_null());
}

static void set_head(json_t *report)
{
	json_t *ended = json_object_get(report, "ended_at");
	json_t *at = json_is_string(ended) ? ended : json_object_get(report, "attached_at");

	/* A member that the reports before it had not: their hashes stay. */
	if (json_is_null(json_object_get(report, "completes")))
		json_object_del(report, "completes");
	json_object_set_new(report, "format", json_integer(1));
	json_object_set(report, "timestamp", at);
	json_object_set_new(report, "serial_number", take(report, "serial"));
	json_object_set_new(report, "passed", json_boolean(passed(report)));
	json_object_set_new(report, "recipe",
		json_pack("{s:o, s:o, s:o}", "name", take(report, "recipe"), "version",
			take(report, "version"), "sha256", take(report, "recipe_sha256")));
	set_firmware(report);
}

int reports_run(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"job", AS_TEXT},
		{"station", AS_TEXT}, {"kind", AS_TEXT}, {"model", AS_TEXT}, {"unit", AS_TEXT},
		{"serial", AS_TEXT}, {"state", AS_TEXT}, {"outcome", AS_TEXT}, {"code", AS_TEXT},
		{"step", AS_TEXT}, {"message", AS_TEXT}, {"hint", AS_TEXT}, {"params", AS_JSON},
		{"firmware", AS_JSON}, {"attached_at", AS_TIME}, {"started_at", AS_TIME},
		{"ended_at", AS_TIME}, {"recipe", AS_TEXT}, {"version", AS_INT},
		{"recipe_sha256", AS_TEXT}, {"prev_hash", AS_TEXT}, {"hash", AS_TEXT},
		{"duration_ms", AS_INT}, {"completes", AS_TEXT}, {0}};
	SELECT(find,
		"SELECT id, job_id AS job, station, " RUN_KIND ", model, unit_id AS unit, serial,"
		" state, completes, " RUN_OUTCOME
		", code, step, message, hint, params, firmware, attached_at, started_at,"
		" ended_at, recipe, version, recipe_sha256, prev_hash, hash, " RUN_DURATION
		" FROM runs WHERE id = ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *steps = NULL;
	int r = select_begin(&q, d, e, &find, run);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no run '%s'", run);
	r = read_steps(d, run, &steps, e);
	if (r < 0)
		return r;

	json_t *report = row_json(&q);

	set_head(report);
	json_object_set_new(report, "steps", steps);
	*ret = report;
	return 0;
}

int reports_chain(json_t *report, const char *prev_hash, char ret_hash[SHA256_HEX], struct err *e)
{
	json_object_del(report, "hash");
	json_object_del(report, "prev_hash");

	_cleanup_(freep) char *text = canonical(report);
	struct sha256 *digest = sha256_new();
	uint8_t raw[SHA256_BYTES];

	if (!text) {
		sha256_free(digest);
		return err_set(e, ERR_NO_MEMORY, "the report of a run");
	}
	sha256_add(digest, prev_hash, strlen(prev_hash));
	sha256_add(digest, text, strlen(text));
	sha256_end(digest, raw);
	sha256_free(digest);
	hex_of(raw, sizeof raw, ret_hash);
	json_object_set_new(report, "prev_hash", json_string(prev_hash));
	json_object_set_new(report, "hash", json_string(ret_hash));
	return 0;
}

int reports_hash(struct db *d, const char *run, const char *prev_hash, char ret_hash[SHA256_HEX],
	struct err *e)
{
	_cleanup_(json_done) json_t *report = NULL;
	int r = reports_run(d, run, &report, e);

	return r < 0 ? r : reports_chain(report, prev_hash, ret_hash, e);
}
