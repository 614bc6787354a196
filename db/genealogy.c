/* SPDX-License-Identifier: Apache-2.0 */
#include "db/genealogy.h"

#include "base/util.h"
#include "db/run_facts.h"
#include "db/stmt.h"
#include "db/units.h"

/* A list of the answer: ?1 is the id of the unit. */
struct part {
	const char *name;
	const struct select *select;
};

SELECT(values_of,
	"SELECT kind, slot, value, pool_id AS pool, run_id AS run FROM serials WHERE unit_id = ?1"
	" AND state = 'committed' ORDER BY kind, slot, seq",
	((const struct column[]){{"kind", AS_TEXT}, {"slot", AS_TEXT}, {"value", AS_TEXT},
		{"pool", AS_TEXT}, {"run", AS_TEXT}, {0}}));

/* Prompts do not know their step: it is the one that was under way. */
SELECT(parts_of,
	"SELECT r.id AS run, p.settled_at AS at, r.station AS station, (SELECT s.id FROM steps s"
	" WHERE s.run_id = r.id AND s.started_at <= p.created_at ORDER BY s.n DESC LIMIT 1) AS step,"
	" p.kind AS kind, p.text AS what, p.answer AS value, p.answered_by AS by"
	" FROM runs r JOIN prompts p ON p.run_id = r.id WHERE r.unit_id = ?1"
	" AND p.kind IN ('scan', 'text') AND p.state = 'answered' ORDER BY p.settled_at, p.id",
	((const struct column[]){{"run", AS_TEXT}, {"at", AS_TIME}, {"station", AS_TEXT},
		{"step", AS_TEXT}, {"kind", AS_TEXT}, {"what", AS_TEXT}, {"value", AS_TEXT},
		{"by", AS_TEXT}, {0}}));

SELECT(certificates_of,
	"SELECT r.id AS run, c.issuer AS issuer, c.serial AS serial, c.subject AS subject,"
	" c.sha256 AS sha256, c.key AS key, c.profile AS profile, c.not_after AS not_after,"
	" c.state AS state FROM runs r JOIN certificates c ON c.run_id = r.id WHERE r.unit_id = ?1"
	" AND c.state IN ('issued', 'delivered') ORDER BY c.seq",
	((const struct column[]){{"run", AS_TEXT}, {"issuer", AS_TEXT}, {"serial", AS_TEXT},
		{"subject", AS_TEXT}, {"sha256", AS_TEXT}, {"key", AS_TEXT}, {"profile", AS_TEXT},
		{"not_after", AS_TIME}, {"state", AS_TEXT}, {0}}));

/* Those of the recipe; a file that was deleted since has no name. */
SELECT(artifacts_of,
	"SELECT f.value AS sha256, (SELECT name FROM artifacts WHERE sha256 = f.value) AS name,"
	" f.key AS \"as\", count(*) AS runs FROM runs r, json_each(r.firmware, '$.artifacts') f"
	" WHERE r.unit_id = ?1 GROUP BY 1, 3 ORDER BY min(r.seq), 3",
	((const struct column[]){
		{"sha256", AS_TEXT}, {"name", AS_TEXT}, {"as", AS_TEXT}, {"runs", AS_INT}, {0}}));

SELECT(recipes_of,
	"SELECT recipe AS name, version, recipe_sha256 AS sha256, count(*) AS runs FROM runs"
	" WHERE unit_id = ?1 AND recipe IS NOT NULL AND completes IS NULL GROUP BY 1, 2, 3 ORDER BY min(seq)",
	((const struct column[]){{"name", AS_TEXT}, {"version", AS_INT}, {"sha256", AS_TEXT},
		{"runs", AS_INT}, {0}}));

SELECT(tools_of,
	"SELECT t.value AS name, count(*) AS runs FROM runs r JOIN run_traits x ON x.run_seq = r.seq"
	" JOIN traits t ON t.id = x.trait WHERE r.unit_id = ?1 AND t.kind = 'tool' GROUP BY 1"
	" ORDER BY 1",
	((const struct column[]){{"name", AS_TEXT}, {"runs", AS_INT}, {0}}));

SELECT(orders_of,
	"SELECT j.id AS id, j.number AS number, j.external_ref AS external_ref, j.recipe AS recipe,"
	" j.version AS version, j.kind AS kind, j.rework AS rework, count(*) AS runs"
	" FROM runs r JOIN jobs j ON j.id = r.job_id WHERE r.unit_id = ?1 AND r.completes IS NULL"
	" GROUP BY j.id ORDER BY min(r.seq)",
	((const struct column[]){{"id", AS_TEXT}, {"number", AS_TEXT}, {"external_ref", AS_TEXT},
		{"recipe", AS_TEXT}, {"version", AS_INT}, {"kind", AS_TEXT}, {"rework", AS_BOOL},
		{"runs", AS_INT}, {0}}));

SELECT(stations_of,
	"SELECT station, fixture, count(*) AS runs, min(attached_at) AS first_at,"
	" max(attached_at) AS last_at FROM runs WHERE unit_id = ?1 AND completes IS NULL"
	" GROUP BY 1, 2 ORDER BY min(seq)",
	((const struct column[]){{"station", AS_TEXT}, {"fixture", AS_TEXT}, {"runs", AS_INT},
		{"first_at", AS_TIME}, {"last_at", AS_TIME}, {0}}));

SELECT(acts_of,
	"SELECT r.id AS run, i.station AS station, i.action AS action, i.what AS what,"
	" i.digest AS digest, i.state AS state, i.intended_at AS at FROM runs r"
	" JOIN intents i ON i.run_id = r.id WHERE r.unit_id = ?1 ORDER BY i.seq",
	((const struct column[]){{"run", AS_TEXT}, {"station", AS_TEXT}, {"action", AS_TEXT},
		{"what", AS_TEXT}, {"digest", AS_TEXT}, {"state", AS_TEXT}, {"at", AS_TIME}, {0}}));

#define TEXT_OF(x)   #x
#define NUMBER_OF(x) TEXT_OF(x)
SELECT(wear_of,
	"SELECT region, erases FROM unit_wear WHERE unit_id = ?1 ORDER BY erases DESC, region",
	((const struct column[]){{"region", AS_TEXT}, {"erases", AS_INT}, {0}}));

/* The newest, oldest first. */
SELECT(runs_of,
	"SELECT * FROM (SELECT seq, id, " RUN_KIND
	", station, fixture, job_id AS job, recipe, version, " RUN_OUTCOME
	", step, code, attached_at, ended_at,"
	" coalesce(chain <= (SELECT max(to_n) FROM archives), 0) AS archived FROM runs"
	" WHERE unit_id = ?1 ORDER BY seq DESC LIMIT " NUMBER_OF(GENEALOGY_RUNS) ") ORDER BY seq",
	((const struct column[]){{"id", AS_TEXT}, {"kind", AS_TEXT}, {"station", AS_TEXT},
		{"fixture", AS_TEXT}, {"job", AS_TEXT}, {"recipe", AS_TEXT}, {"version", AS_INT},
		{"outcome", AS_TEXT}, {"step", AS_TEXT}, {"code", AS_TEXT},
		{"attached_at", AS_TIME}, {"ended_at", AS_TIME}, {"archived", AS_BOOL}, {0}}));

static const struct part parts[] = {{"values", &values_of}, {"parts", &parts_of},
	{"certificates", &certificates_of}, {"artifacts", &artifacts_of}, {"recipes", &recipes_of},
	{"tools", &tools_of}, {"orders", &orders_of}, {"stations", &stations_of},
	{"acts", &acts_of}, {"wear", &wear_of}, {"runs", &runs_of}};

static int count_runs(struct db *d, const char *unit, int64_t *ret, struct err *e)
{
	static const char sql[] = "SELECT count(*) FROM runs WHERE unit_id = ?";

	return MIN(db_int(d, e, ret, sql, unit), 0);
}

int genealogy_get(struct db *d, const char *serial_or_id, json_t **ret, struct err *e)
{
	json_t *o = json_object(), *unit = NULL;
	const char *id = NULL;
	int64_t runs = 0;
	int r = units_get(d, serial_or_id, &unit, e);

	if (r == 0) {
		json_object_set_new(o, "unit", unit);
		id = json_string_value(json_object_get(unit, "id"));
		r = count_runs(d, id, &runs, e);
	}
	for (size_t i = 0; i < ARRAY_LEN(parts) && r == 0; i++) {
		json_t *rows = NULL;

		r = db_all_json(d, e, parts[i].select, &rows, id);
		if (r == 0)
			json_object_set_new(o, parts[i].name, rows);
	}
	if (r < 0) {
		json_decref(o);
		return r;
	}
	json_object_set_new(o, "truncated", json_boolean(runs > GENEALOGY_RUNS));
	*ret = o;
	return 0;
}
