/* SPDX-License-Identifier: Apache-2.0 */
#include "db/idempotency.h"

#include "base/timefmt.h"
#include "db/stmt.h"

void idempotent_answer_done(struct idempotent_answer *a)
{
	json_decref(a->headers);
	free(a->response);
	*a = (struct idempotent_answer){0};
}

static bool same_body(const char *stored, const struct idempotent *k)
{
	char older[SHA256_HEX];

	return !strcmp(stored, k->body_sha256) ||
	       (k->body && !strcmp(stored, sha256_hex_of(k->body, k->body_len, older)));
}

int idempotency_find(
	struct db *d, const struct idempotent *k, struct idempotent_answer *ret, struct err *e)
{
	struct stored {
		const char *method_path, *body_sha256, *response;
		int64_t status;
		json_t *headers;
	} s;
	static const struct column columns[] = {COL(struct stored, method_path),
		COL(struct stored, body_sha256), COL(struct stored, response),
		COL(struct stored, status), COL(struct stored, headers), {0}};
	SELECT(find,
		"SELECT method_path, body_sha256, status, headers, response"
		" FROM idempotency WHERE principal = ? AND key = ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &find, k->principal, k->key);

	if (r == 0)
		r = select_next(&q, &s, e);
	if (r <= 0)
		return r;
	if (strcmp(s.method_path, k->method_path) != 0 || !same_body(s.body_sha256, k)) {
		json_decref(s.headers);
		return err_set(e, ERR_INVALID,
			"the idempotency key '%.80s' was used for another request (%s)", k->key,
			s.method_path);
	}
	ret->status = (int)s.status;
	ret->headers = s.headers;
	ret->response = xstrdup(s.response);
	return 1;
}

int idempotency_store(struct db *tx, const struct idempotent *k, int status, const json_t *headers,
	const char *response, struct err *e)
{
	static const char sql[] = "INSERT INTO idempotency (principal, key, method_path,"
				  " body_sha256, status, headers, response, created_at)"
				  " VALUES (?, ?, ?, ?, ?, coalesce(?, '{}'), ?, ?)";

	return db_do(tx, e, sql, k->principal, k->key, k->method_path, k->body_sha256,
		(int64_t)status, headers, response, wall_ms());
}

int idempotency_prune(struct db *tx, int64_t before_ms, struct err *e)
{
	static const char sql[] = "DELETE FROM idempotency WHERE created_at < ?";

	return db_do(tx, e, sql, before_ms);
}
