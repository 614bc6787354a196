/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/ingest.h"

#include <stdlib.h>

#include "base/timefmt.h"
#include "base/util.h"

struct taking {
	const char *host;
	const struct batch *b;
	int64_t seen; /* once it is taken */
	size_t known; /* so many of its records are there already */
};

static char *known_text(const struct taking *t)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < t->known; i++)
		json_array_append_new(
			list, json_pack("{s:I, s:s}", "seq", (json_int_t)t->b->record[i].seq,
				      "digest", t->b->record[i].digest));
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

/* A host that a backup was restored on, or a copy of it, goes on with the same numbers and other records. */
static int compare(struct pg *tx, const struct taking *t, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT x.seq FROM jsonb_to_recordset($2::jsonb) AS x (seq bigint, digest text)"
		" LEFT JOIN records r ON r.host = $1 AND r.seq = x.seq"
		" WHERE r.digest IS DISTINCT FROM x.digest ORDER BY x.seq LIMIT 1";
	_cleanup_(freep) char *rows_text = t->known > 0 ? known_text(t) : NULL;
	struct pg_rows *rows = NULL;
	int r;

	if (!rows_text)
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

/* In the order of enum batch_table, and of what plant/batch.c writes. */
static const char *const copies[BATCH_TABLES] = {
	"COPY records (host, seq, at, type, station, job, run, serial, text, digest, taken_at)"
	" FROM STDIN",
	"COPY runs (id, host, seq, station, kind, job, reference, recipe, version, model, unit, serial,"
	" outcome, code, step, ended_at, report) FROM STDIN",
	"COPY measurements (run, n, step, name, value, text, unit, low, high, verdict) FROM STDIN",
};

#define OF(columns) " FROM jsonb_to_recordset($2::jsonb) AS x (" columns ")"

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

static int copy_rows(struct pg *tx, const struct taking *t, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (int i = 0; r == 0 && i < BATCH_TABLES; i++) {
		size_t bytes;
		const char *rows = batch_rows(t->b, (enum batch_table)i, t->known, &bytes);

		if (bytes > 0)
			r = pg_copy(tx, copies[i], rows, bytes, it, e);
	}
	return r;
}

/* What the ledger has of it, and how far the host is. */
static int note(struct pg *tx, const struct taking *t, const struct iotime *it, struct err *e)
{
	json_t *list = batch_values(t->b, t->known);
	_cleanup_(freep) char *values = json_dumps(list, JSON_COMPACT);
	const char *now = PG_INT(wall_ms());
	const bool some = json_array_size(list) > 0;
	const struct pg_query q[] = {PG(set_seen, t->host, PG_INT(t->seen), now),
		PG(insert_values, t->host, values), PG(insert_conflicts, t->host, values, now)};

	json_decref(list);
	return pg_run(tx, q, some ? ARRAY_LEN(q) : 1, NULL, it, e);
}

static int store(struct pg *tx, const struct taking *t, const struct iotime *it, struct err *e)
{
	int r = copy_rows(tx, t, it, e);

	if (r == 0)
		r = note(tx, t, it, e);
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
	t->known = batch_known(t->b, t->seen);
	r = compare(tx, t, it, e);
	t->seen = MAX(t->seen, t->b->last);
	return r < 0 ? r : store(tx, t, it, e);
}

int ingest(struct pool *p, const char *host, const struct batch *b, json_t **ret,
	const struct iotime *it, struct err *e)
{
	struct taking t = {.host = host, .b = b};
	int r = pool_do(p, apply, &t, it, e);

	if (r == 0)
		*ret = json_pack("{s:I}", "seen", (json_int_t)t.seen);
	return r;
}
