/* SPDX-License-Identifier: Apache-2.0 */
#include "db/tokens.h"

#include "base/timefmt.h"
#include "db/stmt.h"

/* Also of a revoked one: what it did is in the records under that name. */
static int name_used(struct db *d, const char *name, bool *ret, struct err *e)
{
	static const char sql[] = "SELECT 1 FROM tokens WHERE name = ? COLLATE NOCASE";
	int r = db_has(d, e, sql, name);

	if (r < 0)
		return r;
	*ret = r == 1;
	return 0;
}

int tokens_create(struct db *tx, const struct token *t, struct err *e)
{
	static const char sql[] = "INSERT INTO tokens (id, name, role, secret_sha256, created_at,"
				  " expires_at, scopes) VALUES (?, ?, ?, ?, ?, nullif(?, 0), ?)";
	bool used = false;
	int r = name_used(tx, t->name, &used, e);

	if (r < 0)
		return r;
	if (used)
		return err_set(e, ERR_CONFLICT,
			"a token named '%s' was made before: a name belongs to one token for ever",
			t->name);
	return db_do(tx, e, sql, t->id, t->name, t->role, t->secret_sha256, wall_ms(),
		t->expires_ms, t->scopes);
}

int tokens_find(struct db *d, const char *id, struct token *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct token, id), COL(struct token, name),
		COL(struct token, role), COL(struct token, secret_sha256),
		COL(struct token, revoked), COL_AS(struct token, expires_ms, "expires_at"),
		COL(struct token, scopes), COL(struct token, old_sha256),
		COL_AS(struct token, old_until_ms, "old_until"),
		COL_AS(struct token, used_ms, "used_at"), COL(struct token, used_from), {0}};
	SELECT(find,
		"SELECT id, name, role, secret_sha256, revoked_at IS NOT NULL AS revoked,"
		" expires_at, scopes, old_sha256, old_until, used_at, used_from"
		" FROM tokens WHERE id = ?",
		columns);
	int r = select_one(d, e, &find, ret, id);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no token '%s'", id);
	return MIN(r, 0);
}

void token_done(struct token *t)
{
	json_decref(t->scopes);
	t->scopes = NULL;
}

int tokens_rotate(struct db *tx, const char *id, const char *secret_sha256, int64_t old_until_ms,
	struct err *e)
{
	static const char sql[] =
		"UPDATE tokens SET old_sha256 = secret_sha256, old_until = ?, secret_sha256 = ?,"
		" rotated_at = max(?, coalesce(rotated_at, 0) + 1)"
		" WHERE id = ? AND revoked_at IS NULL";

	return db_run_one(
		tx, e, "a valid token of that id", sql, old_until_ms, secret_sha256, wall_ms(), id);
}

int tokens_touch(
	struct db *tx, const char *id, int64_t used_ms, const char *used_from, struct err *e)
{
	static const char sql[] = "UPDATE tokens SET used_at = ?1, used_from = ?2 WHERE id = ?3"
				  " AND revoked_at IS NULL AND coalesce(used_at, 0) < ?1";

	return db_do(tx, e, sql, used_ms, used_from, id);
}

int tokens_revoke(struct db *tx, const char *id, struct err *e)
{
	static const char sql[] =
		"UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";

	return db_run_one(tx, e, "a valid token of that id", sql, wall_ms(), id);
}

int tokens_list(struct db *d, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"name", AS_TEXT},
		{"role", AS_TEXT}, {"created_at", AS_TIME}, {"revoked_at", AS_TIME},
		{"expires_at", AS_TIME}, {"scopes", AS_JSON}, {"rotated_at", AS_TIME},
		{"old_until", AS_TIME}, {"last_used_at", AS_TIME}, {"last_used_from", AS_TEXT},
		{0}};
	SELECT(all,
		"SELECT id, name, role, created_at, revoked_at, expires_at, scopes, rotated_at,"
		" old_until, used_at AS last_used_at, used_from AS last_used_from"
		" FROM tokens ORDER BY created_at, id",
		columns);

	return db_all_json(d, e, &all, ret);
}

int tokens_count(struct db *d, int64_t *ret, struct err *e)
{
	static const char sql[] = "SELECT count(*) FROM tokens WHERE revoked_at IS NULL";

	return MIN(db_int(d, e, ret, sql), 0);
}
