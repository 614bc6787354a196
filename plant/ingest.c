/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/ingest.h"

#include <stdlib.h>

#include "base/timefmt.h"
#include "base/util.h"

struct taking {
	const char *host;
	struct batch *b;
	int64_t seen;
	json_t *had; /* what came and is on record, over all attempts of this transaction */
};

static char *text_of(const json_t *rows)
{
	return json_dumps(rows, JSON_COMPACT);
}

/* A host that a backup was restored on, or a copy of it, goes on with the same numbers and other records. */
static int compare(struct pg *tx, const struct taking *t, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT x.seq FROM jsonb_to_recordset($2::jsonb) AS x (seq bigint, digest text)"
		" LEFT JOIN records r ON r.host = $1 AND r.seq = x.seq"
		" WHERE r.digest IS DISTINCT FROM x.digest ORDER BY x.seq LIMIT 1";
	_cleanup_(freep) char *rows_text = text_of(t->had);
	struct pg_rows *rows = NULL;
	int r;

	if (json_array_size(t->had) == 0)
		return 0;
	r = pg_run(tx, &PG(sql, t->host, rows_text), 1, &rows, it, e);
	if (r == 0 && pg_count(rows) > 0)
		r = err_set(e, ERR_HOST_COPIED,
			"host %s sends another record %lld than the plant has of it: it goes on from a backup or a copy. End it, and restore its newest records",
			t->host, (long long)pg_int(rows, 0, 0));
	pg_rows_free(rows);
	return r;
}

static int check_place(struct taking *t, struct err *e)
{
	if (t->b->after > t->seen)
		return err_set(e, ERR_PLANT_GAP,
			"host %s sends what comes after record %lld and the plant has its records up to %lld: what comes after %lld is expected",
			t->host, (long long)t->b->after, (long long)t->seen, (long long)t->seen);
	return 0;
}

#define OF(columns) " FROM jsonb_to_recordset($2::jsonb) AS x (" columns ")"

static const char insert_records[] =
	"INSERT INTO records (host, seq, at, type, station, job, run, serial, text, digest, taken_at)"
	" SELECT $1, seq, at, type, station, job, run, serial, text, digest, $3" OF(
		"seq bigint, at bigint, type text, station text, job text, run text, serial text,"
		" text text, digest text");
static const char insert_runs[] =
	"INSERT INTO runs (id, host, seq, station, kind, job, reference, recipe, version, model, unit,"
	" serial, outcome, code, step, ended_at, report) SELECT id, $1, seq, station, kind, job,"
	" reference, recipe, version, model, unit, serial, outcome, code, step, ended_at, report" OF(
		"id text, seq bigint, station text, kind text, job text, reference text, recipe text,"
		" version bigint, model text, unit text, serial text, outcome text, code text,"
		" step text, ended_at bigint, report text");
static const char insert_measurements[] =
	"INSERT INTO measurements (run, n, step, name, value, text, unit, low, high, verdict)"
	" SELECT run, n, step, name, value, text, unit, low, high, verdict"
	" FROM jsonb_to_recordset($1::jsonb) AS x (run text, n bigint, step bigint, name text,"
	" value double precision, text text, unit text, low double precision,"
	" high double precision, verdict text)";
static const char insert_values[] =
	"INSERT INTO ledger (kind, value, host, unit, run, slot, at)"
	" SELECT kind, value, $1, unit, run, slot, at" OF(
		"kind text, value text, unit text, run text, slot text, at bigint") " ON CONFLICT (kind, value) DO NOTHING";
/* The first one keeps it, and people see the second. */
static const char insert_conflicts[] =
	"INSERT INTO conflicts (kind, value, host, unit, run, has_host, has_unit, has_run, at)"
	" SELECT x.kind, x.value, $1, x.unit, x.run, l.host, l.unit, l.run, $3" OF(
		"kind text, value text, unit text, run text, slot text, at bigint") " JOIN ledger l ON l.kind = x.kind AND l.value = x.value WHERE l.run <> x.run"
										    " AND (l.unit IS DISTINCT FROM x.unit OR l.host <> $1) ON CONFLICT DO NOTHING";
static const char set_seen[] = "UPDATE hosts SET seen = $2, last_at = $3 WHERE id = $1";

static int store(struct pg *tx, const struct taking *t, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *records = text_of(t->b->records);
	_cleanup_(freep) char *runs = text_of(t->b->runs);
	_cleanup_(freep) char *measurements = text_of(t->b->measurements);
	_cleanup_(freep) char *values = text_of(t->b->values);
	const char *now = PG_INT(wall_ms());
	const struct pg_query q[] = {PG(insert_records, t->host, records, now),
		PG(insert_runs, t->host, runs), PG(insert_measurements, measurements),
		PG(insert_values, t->host, values), PG(insert_conflicts, t->host, values, now),
		PG(set_seen, t->host, PG_INT(t->seen), now)};
	int r = pg_run(tx, q, ARRAY_LEN(q), NULL, it, e);

	return r == -ERR_CONFLICT
		       ? err_set(e, ERR_HOST_COPIED,
				 "host %s sends a run that the plant has under another record: these are records of another host, or of a copy",
				 t->host)
		       : r;
}

static int apply(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	struct taking *t = data;
	int r = hosts_check_fence(tx, t->host, t->b->fence, &t->seen, it, e);

	if (r == 0)
		r = check_place(t, e);
	if (r < 0)
		return r;
	batch_skip(t->b, t->seen, t->had);
	r = compare(tx, t, it, e);
	t->seen = MAX(t->seen, t->b->last);
	return r < 0 ? r : store(tx, t, it, e);
}

int ingest(struct pool *p, const char *host, struct batch *b, json_t **ret, const struct iotime *it,
	struct err *e)
{
	struct taking t = {.host = host, .b = b, .had = json_array()};
	int r = pool_do(p, apply, &t, it, e);

	json_decref(t.had);
	if (r == 0)
		*ret = json_pack("{s:I}", "seen", (json_int_t)t.seen);
	return r;
}
