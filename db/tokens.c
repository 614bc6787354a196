/* SPDX-License-Identifier: Apache-2.0 */
#include "db/tokens.h"

#include "base/timefmt.h"
#include "db/stmt.h"

/* Also of a revoked one: what it did is in the records under that name. */
static int name_used(struct db *d, const char *name, bool *ret, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM tokens WHERE name = ? COLLATE NOCASE";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, name);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	*ret = r == 1;
	return 0;
}

int tokens_create(struct db *tx, const struct token *t, struct err *e)
{
	static const char sql[] = "INSERT INTO tokens (id, name, role, secret_sha256, created_at)"
				  " VALUES (?, ?, ?, ?, ?)";
	bool used = false;
	int r = name_used(tx, t->name, &used, e);

	if (r < 0)
		return r;
	if (used)
		return err_set(e, ERR_CONFLICT,
			"a token named '%s' was made before: a name belongs to one token for ever",
			t->name);
	return db_do(tx, e, sql, t->id, t->name, t->role, t->secret_sha256, wall_ms());
}

int tokens_find(struct db *d, const char *id, struct token *ret, struct err *e)
{
	static const char sql[] = "SELECT id, name, role, secret_sha256, revoked_at IS NOT NULL"
				  " FROM tokens WHERE id = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, id);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no token '%s'", id);
	col_copy(&q, 0, ret->id, sizeof ret->id);
	col_copy(&q, 1, ret->name, sizeof ret->name);
	col_copy(&q, 2, ret->role, sizeof ret->role);
	col_copy(&q, 3, ret->secret_sha256, sizeof ret->secret_sha256);
	ret->revoked = col_int(&q, 4) != 0;
	return 0;
}

int tokens_revoke(struct db *tx, const char *id, struct err *e)
{
	static const char sql[] =
		"UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";

	return db_run_one(tx, e, "a valid token of that id", sql, wall_ms(), id);
}

int tokens_list(struct db *d, json_t **ret, struct err *e)
{
	static const char sql[] =
		"SELECT id, name, role, created_at, revoked_at FROM tokens ORDER BY created_at, id";

	return db_all_json(d, e, "ssstt", ret, sql, NULL);
}

int tokens_count(struct db *d, int64_t *ret, struct err *e)
{
	static const char sql[] = "SELECT count(*) FROM tokens WHERE revoked_at IS NULL";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	*ret = col_int(&q, 0);
	return 0;
}
