/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/hosts.h"

#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "plant/audit.h"
#include "plant/leases.h"
#include "plant/schema.h"

/* --- a new host --- */

struct adding {
	const char *id, *by;
	char token[TOKEN_TEXT_BYTES];
};

static int apply_add(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char sql[] = "INSERT INTO hosts (id, created_at) VALUES ($1, $2)";
	struct adding *a = data;
	int r = pg_run(tx, &PG(sql, a->id, PG_INT(wall_ms())), 1, NULL, it, e);

	if (r == -ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT,
			"there is a host '%s' already, or that is not a name: up to 63 letters, digits, '_', '.' and '-' expected",
			a->id);
	if (r == 0)
		r = tokens_make(tx, PLANT_HOST, a->id, a->id, a->token, it, e);
	return r < 0 ? r : audit(tx, a->by, "host-add", a->id, "", it, e);
}

static int apply_token(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	static const char revoke[] = "UPDATE tokens SET revoked_at = $2 WHERE host = $1 AND"
				     " revoked_at IS NULL";
	struct adding *a = data;
	struct pg_rows *rows = NULL;
	int r = pg_run(tx,
		(struct pg_query[]){PG(revoke, a->id, PG_INT(wall_ms())),
			PG("SELECT 1 FROM hosts WHERE id = $1", a->id)},
		2, &rows, it, e);

	if (r == 0 && pg_count(rows) == 0)
		r = err_set(e, ERR_NOT_FOUND, "the plant knows no host '%s'", a->id);
	pg_rows_free(rows);
	if (r == 0)
		r = tokens_make(tx, PLANT_HOST, a->id, a->id, a->token, it, e);
	return r < 0 ? r : audit(tx, a->by, "host-token", a->id, "", it, e);
}

static int give_token(struct pool *p, POOL_APPLY(apply), const char *id, const char *by,
	json_t **ret, const struct iotime *it, struct err *e)
{
	struct adding a = {.id = id, .by = by};
	int r = pool_do(p, apply, &a, it, e);

	if (r == 0)
		*ret = json_pack("{s:s, s:s}", "id", id, "token", a.token);
	secret_wipe(a.token, sizeof a.token);
	return r;
}

int plant_name_check(const char *id, struct err *e)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	const size_t n = strlen(id);

	return n >= 1 && n <= 63 && strspn(id, letters) == n && !strchr("_.-", *id)
		       ? 0
		       : err_set(e, ERR_UNPROCESSABLE,
				 "/id: '%s' is not a name: letters, digits, and - _ . after the first, at most 63",
				 id);
}

int hosts_add(struct pool *p, const char *id, const char *by, json_t **ret, const struct iotime *it,
	struct err *e)
{
	return give_token(p, apply_add, id, by, ret, it, e);
}

int hosts_token(struct pool *p, const char *id, const char *by, json_t **ret,
	const struct iotime *it, struct err *e)
{
	return give_token(p, apply_token, id, by, ret, it, e);
}

/* --- sessions --- */

struct known {
	int64_t fence, generation, seen;
	char epoch[64], nonce[80], home[80], place[80];
	bool readmit;
};

static int find_host(
	struct pg *tx, const char *host, struct known *ret, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT fence, generation, seen, readmit, epoch, nonce, home, place,"
		" (SELECT max(version) FROM plant_schema) FROM hosts WHERE id = $1 FOR UPDATE";
	struct pg_rows *rows = NULL;
	int r = pg_run(tx, &PG(sql, host), 1, &rows, it, e);

	if (r == 0 && pg_count(rows) == 0)
		r = err_set(e, ERR_NOT_FOUND, "the plant knows no host '%s'", host);
	if (r == 0) {
		*ret = (struct known){.fence = pg_int(rows, 0, 0),
			.generation = pg_int(rows, 0, 1),
			.seen = pg_int(rows, 0, 2),
			.readmit = pg_true(rows, 0, 3)};
		snprintf(ret->epoch, sizeof ret->epoch, "%s", pg_text(rows, 0, 4));
		snprintf(ret->nonce, sizeof ret->nonce, "%s", pg_text(rows, 0, 5));
		snprintf(ret->home, sizeof ret->home, "%s", pg_text(rows, 0, 6));
		snprintf(ret->place, sizeof ret->place, "%s", pg_text(rows, 0, 7));
		r = schema_check(pg_int(rows, 0, 8), e);
	}
	pg_rows_free(rows);
	return r;
}

struct session {
	const char *host;
	const struct session_ask *ask;
	json_t *answer;
};

/* Its answer was lost on the way. */
static bool is_repeated(const struct known *k, const struct session_ask *a)
{
	return a->fence == k->fence - 1 && !strcmp(a->nonce, k->nonce) &&
	       !strcmp(a->place, k->place);
}

static int judge(
	const char *host, const struct known *k, const struct session_ask *a, struct err *e)
{
	if (a->fence != k->fence && !k->readmit)
		return err_set(e, ERR_HOST_COPIED,
			"host %s shows session %lld and its last one was %lld: another copy of it has spoken to the plant, or it was restored from a backup. End the copy, then: POST /hosts/%s/readmit",
			host, (long long)a->fence, (long long)k->fence, host);
	if (a->generation < k->generation)
		return err_set(e, ERR_HOST_OLDER,
			"host %s has records of generation %lld and the plant has seen its generation %lld: restore its newest records",
			host, (long long)a->generation, (long long)k->generation);
	if (k->fence > 0 && !k->readmit && a->generation == k->generation &&
		strcmp(a->epoch, k->epoch) != 0)
		return err_set(e, ERR_HOST_COPIED,
			"host %s has the epoch %.16s and the plant knows its epoch %.16s of the same generation: these are the records of another host, or of a copy",
			host, a->epoch, k->epoch);
	if (k->fence > 0 && !k->readmit && strcmp(a->home, k->home) != 0)
		return err_set(e, ERR_HOST_COPIED,
			"host %s speaks from another machine, or from another file of its database, than before: that is what a copy does. Where it was moved or restored on purpose, and the one before is off: POST /hosts/%s/readmit",
			host, host);
	if (a->seq < k->seen)
		return err_set(e, ERR_HOST_OLDER,
			"host %s has %lld records and the plant has taken %lld from it: its database is an older copy. Restore the newest one, or begin a new epoch there (provctl records)",
			host, (long long)a->seq, (long long)k->seen);
	return 0;
}

static int begin_session(
	struct pg *tx, const struct session *s, const struct iotime *it, struct err *e)
{
	static const char take[] =
		"UPDATE hosts SET fence = fence + 1, generation = $2, epoch = $3, nonce = $4,"
		" place = $5, home = $7, readmit = false, refused_at = NULL, refused_code = NULL,"
		" refused_why = NULL, last_at = $6 WHERE id = $1";
	/* Whoever has them may be a copy that is not heard: nobody else gets their numbers. */
	static const char end[] =
		"UPDATE leases SET state = 'ended', why = 'a new session of its host'"
		" WHERE host = $1 AND state = 'out'";
	const struct session_ask *a = s->ask;

	return pg_run(tx,
		(struct pg_query[]){PG(take, s->host, PG_INT(a->generation), a->epoch, a->nonce,
					    a->place, PG_INT(wall_ms()), a->home),
			PG(end, s->host)},
		2, NULL, it, e);
}

static json_t *state_of(int64_t fence, int64_t seen, json_t *pools)
{
	return json_pack("{s:i, s:I, s:I, s:o}", "protocol", PLANT_PROTOCOL, "fence",
		(json_int_t)fence, "seen", (json_int_t)seen, "pools", pools);
}

static int apply_status(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	struct session *s = data;
	json_t *pools = NULL;
	struct known k;
	int r = find_host(tx, s->host, &k, it, e);

	json_decref(s->answer);
	s->answer = NULL;
	if (r == 0)
		r = leases_definitions(tx, &pools, it, e);
	if (r == 0)
		s->answer = state_of(k.fence, k.seen, pools);
	return r;
}

int hosts_status(
	struct pool *p, const char *host, json_t **ret, const struct iotime *it, struct err *e)
{
	struct session s = {.host = host};
	int r = pool_do(p, apply_status, &s, it, e);

	if (r < 0)
		json_decref(s.answer);
	else
		*ret = s.answer;
	return r;
}

static int apply_session(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	struct session *s = data;
	json_t *pools = NULL;
	struct known k;
	int r = find_host(tx, s->host, &k, it, e);

	json_decref(s->answer);
	s->answer = NULL;
	if (r == 0 && is_repeated(&k, s->ask)) {
		k.fence--;
	} else if (r == 0) {
		r = judge(s->host, &k, s->ask, e);
		if (r == 0)
			r = begin_session(tx, s, it, e);
	}
	if (r == 0)
		r = leases_definitions(tx, &pools, it, e);
	if (r == 0)
		s->answer = state_of(k.fence + 1, k.seen, pools);
	return r;
}

int hosts_session(struct pool *p, const char *host, const struct session_ask *ask, json_t **ret,
	const struct iotime *it, struct err *e)
{
	struct session s = {.host = host, .ask = ask};
	int r = 0;

	if (ask->protocol != PLANT_PROTOCOL)
		return err_set(e, ERR_PLANT_VERSION,
			"host %s speaks protocol %lld of the plant, and this plant speaks %d: upgrade the older of the two",
			host, (long long)ask->protocol, PLANT_PROTOCOL);
	r = pool_do(p, apply_session, &s, it, e);
	if (r < 0)
		json_decref(s.answer);
	else
		*ret = s.answer;
	return r;
}

struct readmitting {
	const char *id, *reason, *by;
};

static int apply_readmit(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	const struct readmitting *m = data;
	struct known k;
	int r = find_host(tx, m->id, &k, it, e);

	if (r == 0)
		r = pg_run(tx, &PG("UPDATE hosts SET readmit = true WHERE id = $1", m->id), 1, NULL,
			it, e);
	return r < 0 ? r : audit(tx, m->by, "host-readmit", m->id, m->reason, it, e);
}

int hosts_readmit(struct pool *p, const char *id, const char *reason, const char *by,
	const struct iotime *it, struct err *e)
{
	struct readmitting m = {id, reason, by};

	return pool_do(p, apply_readmit, &m, it, e);
}

int hosts_check_fence(struct pg *tx, const char *host, int64_t fence, int64_t *ret_seen,
	const struct iotime *it, struct err *e)
{
	struct known k;
	int r = find_host(tx, host, &k, it, e);

	if (r < 0)
		return r;
	if (fence != k.fence)
		return err_set(e, ERR_HOST_COPIED,
			"host %s shows session %lld and its present one is %lld: another copy of it has spoken to the plant. End the copy, then: POST /hosts/%s/readmit",
			host, (long long)fence, (long long)k.fence, host);
	if (ret_seen)
		*ret_seen = k.seen;
	return 0;
}

static int apply_refusal(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	const char *const *told = data;

	return pg_run(tx,
		&PG("UPDATE hosts SET refused_at = $2, refused_code = $3, refused_why = $4 WHERE id = $1",
			told[0], PG_INT(wall_ms()), told[1], told[2]),
		1, NULL, it, e);
}

void hosts_note_refusal(
	struct pool *p, const char *host, const struct err *why, const struct iotime *it)
{
	const char *told[] = {host, err_code_str(why->code), why->msg};
	struct err e;

	if (pool_do(p, apply_refusal, told, it, &e) < 0)
		log_warning("host %s: that it was refused is not on record: %s", host, e.msg);
}

/* --- the list --- */

int hosts_list(struct pool *p, json_t **ret, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'fence',"
		" fence, 'seen', seen, 'last_at', last_at, 'readmit', readmit, 'refused', CASE WHEN"
		" refused_at IS NULL THEN NULL ELSE jsonb_build_object('code', refused_code, 'message',"
		" refused_why, 'at', refused_at) END) ORDER BY id), '[]') FROM hosts";

	return read_json(p, &PG(sql), ret, it, e);
}
