/* SPDX-License-Identifier: Apache-2.0 */
#include "db/artifacts.h"

#include "base/timefmt.h"
#include "db/stmt.h"

#define COLUMNS "sha256, name, size, format, created_at, created_by, image"
#define KINDS	"ssistsj"

int artifacts_add(struct db *tx, const struct artifact *a, bool *ret_created, struct err *e)
{
	static const char sql[] = "INSERT INTO artifacts (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)"
				  " ON CONFLICT (sha256) DO NOTHING";
	int r = db_run(tx, e, sql, a->sha256, a->name, a->size_bytes, a->format, wall_ms(),
		a->created_by, a->image);

	if (r < 0)
		return r;
	*ret_created = r == 1;
	if (r == 0)
		return 0;
	return db_event(tx, "artifact-added", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s, s:I, s:s}", "sha256", a->sha256, "name", a->name, "size",
			(json_int_t)a->size_bytes, "format", a->format),
		e);
}

/* A recipe that is not retired, or a job that is not finished, may still bring it to a unit. */
static int check_unused(struct db *tx, const char *sha256, struct err *e)
{
	static const char sql[] =
		"SELECT r.name, r.version FROM recipes r WHERE instr(r.json, ?1) > 0"
		" AND (r.state <> 'retired' OR EXISTS (SELECT 1 FROM jobs j WHERE j.recipe = r.name"
		" AND j.version = r.version AND j.finished_at IS NULL)) LIMIT 1";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, tx, e, sql, sha256);

	if (r == 0)
		r = query_next(&q, e);
	if (r <= 0)
		return r;
	return err_set(e, ERR_CONFLICT,
		"recipe %s@%lld needs this artifact: retire the recipe first", col_str(&q, 0),
		(long long)col_int(&q, 1));
}

int artifacts_delete(struct db *tx, const char *sha256, const char *by, struct err *e)
{
	int r = check_unused(tx, sha256, e);

	if (r == 0)
		r = db_run_one(
			tx, e, "the artifact", "DELETE FROM artifacts WHERE sha256 = ?", sha256);
	if (r < 0)
		return r;
	return db_event(tx, "artifact-deleted", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s}", "sha256", sha256, "by", by), e);
}

int artifacts_get(struct db *d, const char *sha256, json_t **ret, struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS " FROM artifacts WHERE sha256 = ?";

	return db_one_json(d, e, "artifact", KINDS, ret, sql, sha256);
}

int artifacts_name(struct db *d, const char *sha256, char *ret, size_t size, struct err *e)
{
	static const char sql[] = "SELECT name FROM artifacts WHERE sha256 = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, sha256);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no artifact %s", sha256);
	col_copy(&q, 0, ret, size);
	return 0;
}

int artifacts_by_name(struct db *d, const char *name, char ret_sha256[65], struct err *e)
{
	static const char sql[] = "SELECT sha256 FROM artifacts WHERE name = ?"
				  " ORDER BY created_at DESC LIMIT 1";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, name);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no artifact named '%s'", name);
	col_copy(&q, 0, ret_sha256, 65);
	return 0;
}

int artifacts_list(struct db *d, const char *name, const struct db_page *page, struct db_list *ret,
	struct err *e)
{
	static const struct keyset order = {"created_at", "sha256", false};
	struct sel s;

	sel_init(&s,
		"SELECT created_at, sha256, name, size, format, created_by, image FROM artifacts");
	sel_str(&s, "name = ?", name);
	return sel_page(&s, d, &order, page, "tssissj", ret, e);
}

int artifacts_total(struct db *d, int64_t *ret_bytes, struct err *e)
{
	static const char sql[] = "SELECT coalesce(sum(size), 0) FROM artifacts";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	*ret_bytes = col_int(&q, 0);
	return 0;
}
