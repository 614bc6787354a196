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

static int read_before(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"outcome", AS_TEXT},
		{"code", AS_TEXT}, {"step", AS_TEXT}, {"message", AS_TEXT}, {"ended_at", AS_TIME},
		{0}};
	SELECT(find,
		"SELECT b.id AS id, b.outcome AS outcome, b.code AS code, b.step AS step,"
		" b.message AS message, b.ended_at AS ended_at FROM runs r JOIN runs b"
		" ON b.station = r.station AND b.seq < r.seq AND b.started_at IS NOT NULL"
		" AND b.completes IS NULL WHERE r.id = ? ORDER BY b.seq DESC LIMIT 1",
		columns);
	json_t *rows = NULL;
	int r = db_all_json(d, e, &find, &rows, run);

	if (r == 0)
		*ret = first_of(rows);
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
		{"reference", read_reference}, {"before", read_before}};
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
