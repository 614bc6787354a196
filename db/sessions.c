/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sessions.h"

#include "db/stmt.h"

int sessions_add(struct db *tx, const struct session_row *s, struct err *e)
{
	static const char sql[] = "INSERT INTO sessions (hash, token, created_at, used_at, ends_at)"
				  " VALUES (?, ?, ?, ?, ?)";

	return db_do(tx, e, sql, s->hash, s->token, s->created_ms, s->used_ms, s->ends_ms);
}

int sessions_remove(struct db *tx, const char *hash, struct err *e)
{
	static const char sql[] = "DELETE FROM sessions WHERE hash = ?";

	return db_do(tx, e, sql, hash);
}

int sessions_remove_of(struct db *tx, const char *token, struct err *e)
{
	static const char sql[] = "DELETE FROM sessions WHERE token = ?";

	return db_do(tx, e, sql, token);
}

int sessions_touch(struct db *tx, const char *hash, int64_t used_ms, struct err *e)
{
	static const char sql[] = "UPDATE sessions SET used_at = ? WHERE hash = ? AND used_at < ?";

	return db_do(tx, e, sql, used_ms, hash, used_ms);
}

int sessions_prune(struct db *tx, int64_t now_ms, int64_t idle_since_ms, struct err *e)
{
	static const char sql[] = "DELETE FROM sessions WHERE ends_at <= ? OR used_at < ?";

	return db_do(tx, e, sql, now_ms, idle_since_ms);
}

int sessions_each(struct db *d, void (*each)(void *data, const struct session_row *s), void *data,
	struct err *e)
{
	static const char sql[] =
		"SELECT s.hash, s.token, s.created_at, s.used_at, s.ends_at FROM sessions s"
		" JOIN tokens t ON t.id = s.token WHERE t.revoked_at IS NULL"
		" ORDER BY s.created_at, s.hash";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql);

	if (r < 0)
		return r;
	while ((r = query_next(&q, e)) == 1) {
		struct session_row s = {.created_ms = col_int(&q, 2),
			.used_ms = col_int(&q, 3),
			.ends_ms = col_int(&q, 4)};

		col_copy(&q, 0, s.hash, sizeof s.hash);
		col_copy(&q, 1, s.token, sizeof s.token);
		each(data, &s);
	}
	return r;
}
