/* SPDX-License-Identifier: Apache-2.0 */
#include "db/reports.h"

#include "base/digest.h"
#include "base/timefmt.h"
#include "db/run_facts.h"
#include "db/stmt.h"

static void json_done(json_t **j)
{
	json_decref(*j);
}

/* The measurements of all steps of a run, as arrays by the step's number. */
static int read_measurements(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const char sql[] =
		"SELECT step_n, name, value, text, unit, low, high, verdict FROM measurements"
		" WHERE run_id = ? ORDER BY step_n, k";
	_cleanup_(query_done) struct query q = {0};
	json_t *by_step = json_object();
	int r = query_begin(&q, d, e, sql, run);

	while (r >= 0 && (r = query_next(&q, e)) > 0) {
		char n[24];

		snprintf(n, sizeof n, "%lld", (long long)col_int(&q, 0));
		if (!json_object_get(by_step, n))
			json_object_set_new(by_step, n, json_array());
		json_array_append_new(json_object_get(by_step, n), row_json(&q, "-sdssdds"));
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
	static const char sql[] =
		"SELECT n, id, action, phase, attempt, outcome, code, message, evidence, outputs,"
		" started_at, duration_us, irreversible FROM steps WHERE run_id = ? ORDER BY n";
	_cleanup_(query_done) struct query q = {0};
	_cleanup_(json_done) json_t *measured = NULL;
	_cleanup_(json_done) json_t *steps = json_array();
	int r = read_measurements(d, run, &measured, e);

	if (r == 0)
		r = query_begin(&q, d, e, sql, run);
	while (r >= 0 && (r = query_next(&q, e)) > 0) {
		json_t *s = row_json(&q, "isssisssjjt-b");
		char n[24];

		snprintf(n, sizeof n, "%lld", (long long)col_int(&q, 0));

		json_t *m = json_object_get(measured, n);

		json_object_set_new(s, "measurements", m ? json_incref(m) : json_array());
		json_object_set_new(s, "success", json_boolean(!strcmp(col_str(&q, 5), "passed")));
		json_object_set_new(s, "duration_ms",
			col_null(&q, 11) ? json_null() : json_integer(col_int(&q, 11) / 1000));
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

static void set_head(json_t *report, const struct query *q)
{
	char when[RFC3339_SIZE];
	int64_t at = col_null(q, 17) ? col_int(q, 15) : col_int(q, 17);

	json_object_set_new(report, "format", json_integer(1));
	json_object_set_new(report, "timestamp", json_string(rfc3339(at, when)));
	json_object_set_new(
		report, "serial_number", json_incref(json_object_get(report, "serial")));
	json_object_del(report, "serial");
	json_object_set_new(report, "passed", json_boolean(!strcmp(col_str(q, 8), "passed")));
	json_object_set_new(report, "recipe",
		json_pack("{s:s?, s:o, s:s?}", "name", col_null(q, 18) ? NULL : col_str(q, 18),
			"version", col_null(q, 19) ? json_null() : json_integer(col_int(q, 19)),
			"sha256", col_null(q, 20) ? NULL : col_str(q, 20)));
	set_firmware(report);
}

int reports_run(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const char sql[] =
		"SELECT id, job_id AS job, station, kind, model, unit_id AS unit, serial, state,"
		" outcome, code, step, message, hint, params, firmware, attached_at, started_at,"
		" ended_at, recipe, version, recipe_sha256, prev_hash, hash, " RUN_DURATION
		" FROM runs WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	json_t *steps = NULL;
	int r = query_begin(&q, d, e, sql, run);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no run '%s'", run);
	r = read_steps(d, run, &steps, e);
	if (r < 0)
		return r;

	json_t *report = row_json(&q, "sssssssssssssjjttt---ssi");

	set_head(report, &q);
	json_object_set_new(report, "steps", steps);
	*ret = report;
	return 0;
}

int reports_hash(
	struct db *d, const char *run, const char *prev_hash, char ret_hash[65], struct err *e)
{
	_cleanup_(json_done) json_t *report = NULL;
	int r = reports_run(d, run, &report, e);

	if (r < 0)
		return r;
	json_object_del(report, "hash");
	json_object_del(report, "prev_hash");

	_cleanup_(freep) char *text = canonical(report);
	struct sha256 *digest = sha256_new();
	uint8_t raw[SHA256_BYTES];

	if (!text) {
		sha256_free(digest);
		return err_set(e, ERR_NO_MEMORY, "report of run %s", run);
	}
	sha256_add(digest, prev_hash, strlen(prev_hash));
	sha256_add(digest, text, strlen(text));
	sha256_end(digest, raw);
	sha256_free(digest);
	hex_of(raw, sizeof raw, ret_hash);
	return 0;
}
