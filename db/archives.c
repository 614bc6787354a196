/* SPDX-License-Identifier: Apache-2.0 */
#include "db/archives.h"

#include "base/timefmt.h"
#include "db/db_impl.h"
#include "db/stmt.h"

#define COLUMNS "from_n, to_n, month, file, bytes, sha256, last, cleared"

static const struct column columns[] = {COL_AS(struct archive, from, "from_n"),
	COL_AS(struct archive, to, "to_n"), COL(struct archive, month), COL(struct archive, file),
	COL(struct archive, bytes), COL(struct archive, sha256), COL(struct archive, last),
	COL(struct archive, cleared), {0}};

int archives_newest(struct db *d, struct archive *ret, struct err *e)
{
	SELECT(newest, "SELECT " COLUMNS " FROM archives ORDER BY to_n DESC LIMIT 1", columns);

	*ret = (struct archive){0};
	if (d->before_archives)
		return 0;
	return MIN(select_one(d, e, &newest, ret), 0);
}

int archives_find(struct db *d, int64_t n, struct archive *ret, struct err *e)
{
	SELECT(find,
		"SELECT " COLUMNS " FROM archives WHERE to_n >= ?1 AND from_n <= ?1"
		" ORDER BY to_n LIMIT 1",
		columns);

	return d->before_archives ? 0 : select_one(d, e, &find, ret, n);
}

static int archived(const struct archive *a, const char *what, struct err *e)
{
	return err_set(e, ERR_ARCHIVED,
		"%s was moved to the archive %s (records %lld to %lld): read it there", what,
		a->file, (long long)a->from, (long long)a->to);
}

int archives_check_record(struct db *d, int64_t n, struct err *e)
{
	struct archive a;
	char what[32];
	int r = archives_find(d, n, &a, e);

	snprintf(what, sizeof what, "record %lld", (long long)n);
	return r > 0 ? archived(&a, what, e) : r;
}

int archives_check_run(struct db *d, const char *run, struct err *e)
{
	static const char sql[] = "SELECT chain FROM runs WHERE id = ? AND chain IS NOT NULL";
	struct archive a;
	char what[DB_ID_SIZE + 8];
	int64_t n = 0;
	int r = db_int(d, e, &n, sql, run);

	if (r > 0)
		r = archives_find(d, n, &a, e);
	snprintf(what, sizeof what, "run %.64s", run);
	return r > 0 ? archived(&a, what, e) : r;
}

int archives_list(struct db *d, const struct db_page *page, struct db_list *ret, struct err *e)
{
	static const struct column members[] = {{"seq", AS_INT}, {"from", AS_INT}, {"to", AS_INT},
		{"month", AS_TEXT}, {"file", AS_TEXT}, {"bytes", AS_INT}, {"sha256", AS_TEXT},
		{"at", AS_TIME}, {"cleared", AS_INT}, {0}};
	SELECT(list,
		"SELECT seq, from_n AS \"from\", to_n AS \"to\", month, file, bytes, sha256, at,"
		" cleared FROM archives",
		members);
	static const struct keyset order = {.major = "seq"};
	struct sel s;

	sel_init(&s, &list);
	return sel_page(&s, d, &order, page, ret, e);
}

/* --- the writer's --- */

int archives_add(struct db *tx, const struct archive *a, struct err *e)
{
	static const char sql[] =
		"INSERT INTO archives (from_n, to_n, month, file, bytes, sha256, last, at, cleared)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1 - 1)";
	int r = db_do(tx, e, sql, a->from, a->to, a->month, a->file, a->bytes, a->sha256, a->last,
		wall_ms());

	if (r < 0)
		return r;
	return db_event(tx, "records-archived", NULL, NULL, NULL, NULL,
		json_pack("{s:I, s:I, s:s, s:s, s:s}", "from", (json_int_t)a->from, "to",
			(json_int_t)a->to, "month", a->month, "file", a->file, "sha256", a->sha256),
		e);
}

static int clear_run(struct db *tx, int64_t n, struct err *e)
{
	static const char find[] = "SELECT id FROM runs WHERE chain = ?";
	static const char *const of_run[] = {"DELETE FROM measurements WHERE run_id = ?",
		"DELETE FROM attachments WHERE run_id = ?", "DELETE FROM steps WHERE run_id = ?",
		"DELETE FROM run_log WHERE run_id = ?"};
	static const char record[] = "DELETE FROM run_records WHERE n = ?";
	char run[DB_ID_SIZE];
	int r = db_text(tx, e, run, sizeof run, find, n);

	for (size_t i = 0; r > 0 && i < ARRAY_LEN(of_run); i++)
		r = db_do(tx, e, of_run[i], run) < 0 ? -(int)e->code : 1;
	return r < 0 ? r : db_do(tx, e, record, n);
}

int archives_clear(struct db *tx, int64_t most, int64_t *ret_left, struct err *e)
{
	SELECT(next, "SELECT " COLUMNS " FROM archives WHERE cleared < to_n ORDER BY to_n LIMIT 1",
		columns);
	static const char note[] = "UPDATE archives SET cleared = ? WHERE from_n = ?";
	static const char left[] = "SELECT coalesce(sum(to_n - cleared), 0) FROM archives";
	struct archive a;
	int r = select_one(tx, e, &next, &a);

	for (int64_t i = 0; r > 0 && i < most && a.cleared < a.to; i++) {
		int k = clear_run(tx, ++a.cleared, e);

		r = k < 0 ? k : 1;
	}
	if (r > 0)
		r = db_do(tx, e, note, a.cleared, a.from);
	return r < 0 ? r : MIN(db_int(tx, e, ret_left, left), 0);
}
