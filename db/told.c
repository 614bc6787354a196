/* SPDX-License-Identifier: Apache-2.0 */
#include "db/told.h"

#include "db/reports.h"
#include "db/run_facts.h"
#include "db/stmt.h"

static int read_values(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {
		{"kind", AS_TEXT}, {"slot", AS_TEXT}, {"value", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT kind, slot, value FROM serials WHERE run_id = ? AND state = 'committed'"
		" ORDER BY seq",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

/* The first row, or null. */
static json_t *first_of(json_t *rows)
{
	json_t *first = json_array_size(rows) ? json_incref(json_array_get(rows, 0)) : json_null();

	json_decref(rows);
	return first;
}

static const struct column before_columns[] = {{"id", AS_TEXT}, {"outcome", AS_TEXT},
	{"code", AS_TEXT}, {"step", AS_TEXT}, {"message", AS_TEXT}, {"ended_at", AS_TIME}, {0}};

static int read_before(struct db *d, const char *run, json_t **ret, struct err *e)
{
	SELECT(find,
		"SELECT b.id AS id, b.outcome AS outcome, b.code AS code, b.step AS step,"
		" b.message AS message, b.ended_at AS ended_at FROM runs r JOIN runs b"
		" ON b.station = r.station AND b.seq < r.seq AND b.started_at IS NOT NULL"
		" AND b.completes IS NULL WHERE r.id = ? ORDER BY b.seq DESC LIMIT 1",
		before_columns);
	json_t *rows = NULL;
	int r = db_all_json(d, e, &find, &rows, run);

	if (r == 0)
		*ret = first_of(rows);
	return r;
}

static int read_before_time(
	struct db *d, const char *station, int64_t at_ms, json_t **ret, struct err *e)
{
	SELECT(find,
		"SELECT id, outcome, code, step, message, ended_at FROM runs WHERE station = ?1"
		" AND started_at IS NOT NULL AND completes IS NULL AND ended_at <= ?2"
		" ORDER BY seq DESC LIMIT 1",
		before_columns);
	json_t *rows = NULL;
	int r = db_all_json(d, e, &find, &rows, station, at_ms);

	if (r == 0)
		*ret = first_of(rows);
	return r;
}

static int read_hold_before(
	struct db *d, const char *station, int64_t seq, json_t **ret, struct err *e)
{
	static const struct column columns[] = {
		{"held", AS_TEXT}, {"at", AS_TIME}, {"seq", AS_INT}, {0}};
	SELECT(find,
		"SELECT coalesce(json_extract(data, '$.held'), '') AS held, at, seq FROM events"
		" WHERE station = ?1 AND seq < ?2 AND type IN ('station-held', 'station-freed')"
		" ORDER BY seq DESC LIMIT 1",
		columns);
	json_t *rows = NULL;
	int r = db_all_json(d, e, &find, &rows, station, seq);

	if (r == 0)
		*ret = first_of(rows);
	return r;
}

/* Nothing holds a station while a run is under way there, or frees it: what was so at its beginning is so at its end. */
static int read_hold(struct db *d, const char *run, json_t **ret, struct err *e)
{
	struct begun {
		char station[DB_ID_SIZE];
		int64_t seq;
	} row = {0};
	static const struct column columns[] = {
		COL(struct begun, station), COL(struct begun, seq), {0}};
	SELECT(find,
		"SELECT station, seq FROM events WHERE run_id = ? AND station IS NOT NULL"
		" ORDER BY seq LIMIT 1",
		columns);
	int r = select_one(d, e, &find, &row, run);

	if (r > 0)
		return read_hold_before(d, row.station, row.seq, ret, e);
	*ret = json_null();
	return r;
}

static int read_reference(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"reference", AS_TEXT}, {0}};
	SELECT(find,
		"SELECT j.external_ref AS reference FROM runs r JOIN jobs j ON j.id = r.job_id"
		" WHERE r.id = ?",
		columns);
	json_t *rows = NULL;
	int r = db_all_json(d, e, &find, &rows, run);

	if (r < 0)
		return r;
	*ret = json_array_size(rows)
		       ? json_incref(json_object_get(json_array_get(rows, 0), "reference"))
		       : json_null();
	json_decref(rows);
	return 0;
}

int told_run(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct {
		const char *name;
		int (*read)(struct db *d, const char *run, json_t **ret, struct err *e);
	} parts[] = {{"report", reports_run}, {"values", read_values},
		{"reference", read_reference}, {"before", read_before}, {"hold", read_hold}};
	json_t *o = json_object();
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
		json_t *part = NULL;

		r = parts[i].read(d, run, &part, e);
		if (r == 0)
			json_object_set_new(o, parts[i].name, part);
	}
	if (r == 0)
		*ret = json_incref(o);
	json_decref(o);
	return r;
}

int told_station(
	struct db *d, const char *station, int64_t seq, int64_t at_ms, json_t **ret, struct err *e)
{
	json_t *before = NULL;
	json_t *hold = NULL;
	int r = read_before_time(d, station, at_ms, &before, e);

	if (r == 0)
		r = read_hold_before(d, station, seq, &hold, e);
	if (r == 0)
		*ret = json_pack("{s:O, s:O}", "before", before, "hold", hold);
	json_decref(before);
	json_decref(hold);
	return r;
}
