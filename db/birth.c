/* SPDX-License-Identifier: Apache-2.0 */
#include "db/birth.h"

#include "base/dsse.h"
#include "db/stmt.h"
#include "db/units.h"

static int read_run(struct db *d, const char *unit, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"station", AS_TEXT},
		{"job", AS_TEXT}, {"ended_at", AS_TIME}, {"hash", AS_TEXT}, {"recipe", AS_TEXT},
		{"version", AS_INT}, {"recipe_sha256", AS_TEXT}, {"firmware", AS_JSON}, {0}};
	SELECT(find,
		"SELECT r.id, r.station, r.job_id AS job, r.ended_at, r.hash, r.recipe, r.version,"
		" r.recipe_sha256, r.firmware FROM runs r WHERE r.unit_id = ?"
		" AND r.state = 'finished' AND r.outcome = 'passed' ORDER BY r.seq DESC LIMIT 1",
		columns);
	struct query q = {0};
	int r = select_begin(&q, d, e, &find, unit);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r > 0)
		*ret = row_json(&q);
	query_done(&q);
	return r == 0 ? err_set(e, ERR_CONFLICT, "unit %s has no run that passed", unit)
		      : MIN(r, 0);
}

static int read_values(struct db *d, const char *unit, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"kind", AS_TEXT}, {"slot", AS_TEXT},
		{"value", AS_TEXT}, {"pool", AS_TEXT}, {"lease", AS_TEXT}, {0}};
	SELECT(list,
		"SELECT kind, slot, value, pool_id AS pool, lease FROM serials WHERE unit_id = ?"
		" AND state = 'committed' ORDER BY kind, slot, seq",
		columns);

	return db_all_json(d, e, &list, ret, unit);
}

static int read_certificates(struct db *d, const char *unit, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"issuer", AS_TEXT}, {"serial", AS_TEXT},
		{"subject", AS_TEXT}, {"sha256", AS_TEXT}, {"key", AS_TEXT}, {"profile", AS_TEXT},
		{"profile_digest", AS_TEXT}, {"not_after", AS_TIME}, {0}};
	SELECT(list,
		"SELECT c.issuer, c.serial, c.subject, c.sha256, c.key, c.profile, c.profile_digest,"
		" c.not_after FROM runs r JOIN certificates c ON c.run_id = r.id"
		" WHERE r.unit_id = ? AND c.state = 'delivered' ORDER BY c.seq",
		columns);

	return db_all_json(d, e, &list, ret, unit);
}

static json_t *take(json_t *from, const char *key)
{
	json_t *v = json_incref(json_object_get(from, key));

	json_object_del(from, key);
	return v;
}

/* The parts of the run's row that have a place of their own in the statement. */
static json_t *statement_of(json_t *unit, json_t *run, json_t *values, json_t *certificates)
{
	json_t *recipe = json_pack("{s:o, s:o, s:o}", "name", take(run, "recipe"), "version",
		take(run, "version"), "sha256", take(run, "recipe_sha256"));
	json_t *firmware = take(run, "firmware");
	json_t *subject = json_pack("[{s:O, s:{s:O}}]", "name", json_object_get(unit, "serial"),
		"digest", "sha256", json_object_get(run, "hash"));

	return json_pack("{s:s, s:o, s:s, s:{s:O, s:O, s:O, s:O, s:o, s:o}}", "_type",
		STATEMENT_TYPE, "subject", subject, "predicateType", BIRTH_PREDICATE, "predicate",
		"unit", unit, "run", run, "values", values, "certificates", certificates, "recipe",
		recipe, "firmware", firmware);
}

int birth_statement(struct db *d, const char *serial_or_id, json_t **ret, struct err *e)
{
	json_t *unit = NULL, *run = NULL, *values = NULL, *certificates = NULL;
	const char *id;
	int r = units_get(d, serial_or_id, &unit, e);

	id = json_string_value(json_object_get(unit, "id"));
	if (r == 0 && strcmp(json_string_value(json_object_get(unit, "state")), "passed") != 0)
		r = err_set(e, ERR_CONFLICT, "unit %s is %s: a birth pack is of one that passed",
			serial_or_id, json_string_value(json_object_get(unit, "state")));
	if (r == 0)
		r = read_run(d, id, &run, e);
	if (r == 0)
		r = read_values(d, id, &values, e);
	if (r == 0)
		r = read_certificates(d, id, &certificates, e);
	if (r == 0)
		*ret = statement_of(unit, run, values, certificates);
	json_decref(unit);
	json_decref(run);
	json_decref(values);
	json_decref(certificates);
	return r;
}
