/* SPDX-License-Identifier: Apache-2.0 */
#include "db/fixtures.h"

#include "base/timefmt.h"
#include "db/run_facts.h"
#include "db/stmt.h"

/* Runs that count in no yield are passed over, but not for ever. */
#define LOOK_BACK 4

const char *const interlock_names[] = {[INTERLOCK_GOLDEN] = "golden",
	[INTERLOCK_CONTACTS] = "contacts",
	[INTERLOCK_CALIBRATION] = "calibration",
	[INTERLOCK_YIELD] = "yield",
	[INTERLOCK_WEAR] = "wear",
	NULL};

static int read_fixture(struct db *d, const char *fixture, struct fixture_facts *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct fixture_facts, contacts),
		COL(struct fixture_facts, since_service), COL(struct fixture_facts, serviced_ms),
		COL(struct fixture_facts, calibrated_until_ms),
		COL(struct fixture_facts, golden_ms), COL(struct fixture_facts, golden_outcome),
		{0}};
	SELECT(find,
		"SELECT contacts, since_service, coalesce(serviced_at, 0) AS serviced_ms,"
		" coalesce(calibrated_until, 0) AS calibrated_until_ms,"
		" coalesce(golden_at, 0) AS golden_ms,"
		" coalesce(golden_outcome, '') AS golden_outcome FROM fixtures WHERE id = ?",
		columns);

	return MIN(select_one(d, e, &find, ret, fixture), 0);
}

static int read_releases(
	struct db *d, const char *station, struct fixture_facts *ret, struct err *e)
{
	struct released {
		char interlock[16];
		struct interlock_release r;
	} row;
	static const struct column columns[] = {COL(struct released, interlock),
		COL_AS(struct released, r.until_ms, "until"),
		COL_AS(struct released, r.after_run, "after_run"),
		COL_AS(struct released, r.by, "by"), COL_AS(struct released, r.reason, "reason"),
		{0}};
	SELECT(all,
		"SELECT interlock, until, after_run, by, reason FROM interlock_releases"
		" WHERE station = ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &all, station);

	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		for (size_t i = 0; i < INTERLOCK_COUNT; i++)
			if (!strcmp(row.interlock, interlock_names[i]))
				ret->release[i] = row.r;
	return r;
}

static int read_recent(
	struct db *d, const char *station, int64_t recent, struct fixture_facts *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct fixture_facts, recent), COL(struct fixture_facts, recent_passed), {0}};
	SELECT(count,
		"SELECT count(*) AS recent, coalesce(sum(outcome = 'passed'), 0) AS recent_passed"
		" FROM (SELECT outcome FROM (SELECT seq, outcome, kind FROM runs WHERE station = ?1"
		" AND seq > ?2 ORDER BY seq DESC LIMIT ?4) WHERE kind = 'production'"
		" AND outcome IN ('passed', 'failed') ORDER BY seq DESC LIMIT ?3)",
		columns);

	return MIN(select_one(d, e, &count, ret, station, ret->release[INTERLOCK_YIELD].after_run,
			   recent, recent * LOOK_BACK),
		0);
}

static int read_worn(struct db *d, const char *station, struct fixture_facts *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct fixture_facts, worn_unit),
		COL(struct fixture_facts, worn_region), COL(struct fixture_facts, worn_erases),
		{0}};
	SELECT(find,
		"SELECT coalesce(u.serial, u.chip_id, u.id) AS worn_unit, w.region AS worn_region,"
		" w.erases AS worn_erases FROM (SELECT unit_id FROM runs WHERE station = ?"
		" ORDER BY seq DESC LIMIT 1) r JOIN units u ON u.id = r.unit_id"
		" JOIN unit_wear w ON w.unit_id = u.id ORDER BY w.erases DESC, w.region LIMIT 1",
		columns);

	return MIN(select_one(d, e, &find, ret, station), 0);
}

int fixtures_facts(struct db *d, const char *fixture, const char *station, int64_t recent,
	struct fixture_facts *ret, struct err *e)
{
	int r;

	*ret = (struct fixture_facts){0};
	r = read_fixture(d, fixture, ret, e);
	if (r == 0)
		r = read_releases(d, station, ret, e);
	if (r == 0)
		r = read_worn(d, station, ret, e);
	if (r == 0 && recent > 0)
		r = read_recent(d, station, recent, ret, e);
	return r;
}

int fixtures_instruments(
	struct db *d, char *const *names, size_t n, struct fixture_facts *ret, struct err *e)
{
	static const char sql[] = "SELECT calibrated_until FROM fixtures WHERE id = ?";
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		int64_t until = 0;

		r = db_int(d, e, &until, sql, names[i]);
		if (r < 0 || until >= ret->calibrated_until_ms)
			continue;
		ret->calibrated_until_ms = until;
		snprintf(ret->calibration_of, sizeof ret->calibration_of, "%s", names[i]);
	}
	return MIN(r, 0);
}

int fixtures_contact(struct db *tx, const char *fixture, struct err *e)
{
	static const char sql[] =
		"INSERT INTO fixtures (id, contacts, since_service) VALUES (?, 1, 1)"
		" ON CONFLICT (id) DO UPDATE SET contacts = contacts + 1,"
		" since_service = since_service + 1";

	return db_do(tx, e, sql, fixture);
}

struct golden_run {
	char serial[64], chip[64], outcome[16], station[DB_ID_SIZE], job[DB_ID_SIZE];
	int64_t ended_ms;
};

static int find_golden(struct db *d, const char *run, struct golden_run *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct golden_run, serial),
		COL(struct golden_run, chip), COL(struct golden_run, outcome),
		COL(struct golden_run, station), COL(struct golden_run, job),
		COL(struct golden_run, ended_ms), {0}};
	SELECT(find,
		"SELECT coalesce(u.serial, '') AS serial, coalesce(u.chip_id, '') AS chip,"
		" r.outcome AS outcome, r.station AS station, r.job_id AS job,"
		" r.ended_at AS ended_ms FROM runs r LEFT JOIN units u ON u.id = r.unit_id"
		" WHERE r.id = ? AND r.state = 'finished'",
		columns);
	int r = select_one(d, e, &find, ret, run);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no finished run '%s'", run);
	return MIN(r, 0);
}

static bool is_listed(char *const *units, const char *value)
{
	for (size_t i = 0; units && units[i] && *value; i++)
		if (!strcmp(units[i], value))
			return true;
	return false;
}

int fixtures_golden(
	struct db *tx, const char *fixture, const char *run, char *const *units, struct err *e)
{
	static const char sql[] =
		"INSERT INTO fixtures (id, golden_at, golden_run, golden_outcome) VALUES (?, ?, ?, ?)"
		" ON CONFLICT (id) DO UPDATE SET golden_at = excluded.golden_at,"
		" golden_run = excluded.golden_run, golden_outcome = excluded.golden_outcome,"
		" revision = revision + 1";
	struct golden_run g;
	int r = find_golden(tx, run, &g, e);

	if (r < 0)
		return r;
	if (is_listed(units, g.serial) || is_listed(units, g.chip))
		return db_run(tx, e, sql, fixture, g.ended_ms, run, g.outcome);
	return db_event(tx, "golden-unit-unknown", g.station, g.job, run, or_null(g.serial),
		json_pack("{s:s, s:s*}", "fixture", fixture, "chip_id", or_null(g.chip)), e);
}

/* --- what a person says --- */

int fixtures_serviced(
	struct db *tx, const char *fixture, const char *by, const char *reason, struct err *e)
{
	static const char sql[] =
		"INSERT INTO fixtures (id, serviced_at, serviced_by, serviced_reason)"
		" VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET since_service = 0,"
		" serviced_at = ?2, serviced_by = ?3, serviced_reason = ?4, revision = revision + 1";
	int r = db_do(tx, e, sql, fixture, wall_ms(), by, reason);

	return r < 0 ? r
		     : db_event(tx, "fixture-serviced", NULL, NULL, NULL, NULL,
			       json_pack("{s:s, s:s, s:s}", "fixture", fixture, "by", by, "reason",
				       reason),
			       e);
}

int fixtures_calibrated(struct db *tx, const char *fixture, int64_t until_ms, const char *by,
	const char *reason, struct err *e)
{
	static const char sql[] =
		"INSERT INTO fixtures (id, calibrated_until, calibrated_at, calibrated_by,"
		" calibrated_reason) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET"
		" calibrated_until = ?2, calibrated_at = ?3, calibrated_by = ?4,"
		" calibrated_reason = ?5, revision = revision + 1";
	char until[RFC3339_SIZE];
	int r = db_do(tx, e, sql, fixture, until_ms, wall_ms(), by, reason);

	return r < 0 ? r
		     : db_event(tx, "fixture-calibrated", NULL, NULL, NULL, NULL,
			       json_pack("{s:s, s:s, s:s, s:s}", "fixture", fixture, "until",
				       rfc3339(until_ms, until), "by", by, "reason", reason),
			       e);
}

int fixtures_release(struct db *tx, const char *station, enum interlock which, int64_t until_ms,
	const char *by, const char *reason, struct err *e)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO interlock_releases (station, interlock, until, at, by,"
		" reason, after_run) VALUES (?1, ?2, ?3, ?4, ?5, ?6,"
		" (SELECT coalesce(max(seq), 0) FROM runs WHERE station = ?1))";
	char until[RFC3339_SIZE];
	int r = db_do(tx, e, sql, station, interlock_names[which], until_ms, wall_ms(), by, reason);

	return r < 0 ? r
		     : db_event(tx, "interlock-released", station, NULL, NULL, NULL,
			       json_pack("{s:s, s:s, s:s, s:s}", "interlock",
				       interlock_names[which], "until", rfc3339(until_ms, until),
				       "by", by, "reason", reason),
			       e);
}

/* --- lists --- */

#define COLUMNS                                                                        \
	"i.id AS id, coalesce(contacts, 0) AS contacts, coalesce(since_service, 0) AS" \
	" since_service, serviced_at, serviced_by, serviced_reason, calibrated_until," \
	" calibrated_at, calibrated_by, calibrated_reason, golden_at, golden_run,"     \
	" golden_outcome, coalesce(revision, 0) AS revision"

static const struct column columns[] = {{"id", AS_TEXT}, {"contacts", AS_INT},
	{"since_service", AS_INT}, {"serviced_at", AS_TIME}, {"serviced_by", AS_TEXT},
	{"serviced_reason", AS_TEXT}, {"calibrated_until", AS_TIME}, {"calibrated_at", AS_TIME},
	{"calibrated_by", AS_TEXT}, {"calibrated_reason", AS_TEXT}, {"golden_at", AS_TIME},
	{"golden_run", AS_TEXT}, {"golden_outcome", AS_TEXT}, {"revision", AS_INT}, {0}};

int fixtures_known(struct db *d, const char *fixture, struct err *e)
{
	return db_has(d, e, "SELECT 1 FROM fixtures WHERE id = ?", fixture);
}

int fixtures_get(struct db *d, const char *fixture, json_t **ret, struct err *e)
{
	SELECT(get,
		"SELECT " COLUMNS " FROM (SELECT ? AS id) i LEFT JOIN fixtures f ON f.id = i.id",
		columns);

	return db_one_json(d, e, "fixture", &get, ret, fixture);
}

int fixtures_list(struct db *d, const json_t *configured, json_t **ret, struct err *e)
{
	SELECT(all,
		"SELECT " COLUMNS " FROM (SELECT value AS id FROM json_each(?) UNION"
		" SELECT id FROM fixtures) i LEFT JOIN fixtures f ON f.id = i.id ORDER BY i.id",
		columns);

	return db_all_json(d, e, &all, ret, configured);
}
