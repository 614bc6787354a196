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
	static const struct column columns[] = {COL(struct session_row, hash),
		COL(struct session_row, token), COL(struct session_row, created_ms),
		COL(struct session_row, used_ms), COL(struct session_row, ends_ms), {0}};
	SELECT(all,
		"SELECT s.hash AS hash, s.token AS token, s.created_at AS created_ms,"
		" s.used_at AS used_ms, s.ends_at AS ends_ms FROM sessions s"
		" JOIN tokens t ON t.id = s.token WHERE t.revoked_at IS NULL"
		" ORDER BY s.created_at, s.hash",
		columns);
	_cleanup_(query_done) struct query q = {0};
	struct session_row s;
	int r = select_begin(&q, d, e, &all);

	while (r >= 0 && (r = select_next(&q, &s, e)) > 0)
		each(data, &s);
	return r;
}
