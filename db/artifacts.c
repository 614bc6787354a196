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
	int r = db_run(tx, e, sql, "ssisisj", a->sha256, a->name, a->size_bytes, a->format,
		wall_ms(), a->created_by, a->image);

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

int artifacts_get(struct db *d, const char *sha256, json_t **ret, struct err *e)
{
	static const char sql[] = "SELECT " COLUMNS " FROM artifacts WHERE sha256 = ?";

	return db_one_json(d, e, "artifact", KINDS, ret, sql, sha256);
}

int artifacts_by_name(struct db *d, const char *name, char ret_sha256[65], struct err *e)
{
	static const char sql[] = "SELECT sha256 FROM artifacts WHERE name = ?"
				  " ORDER BY created_at DESC LIMIT 1";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, "s", name);

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
	int r = query_begin(&q, d, e, sql, "");

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	*ret_bytes = col_int(&q, 0);
	return 0;
}
