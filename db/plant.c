/* SPDX-License-Identifier: Apache-2.0 */
#include "db/plant.h"

#include "base/secret.h"
#include "base/timefmt.h"
#include "db/events.h"
#include "db/pools.h"
#include "db/stmt.h"

/* --- the session --- */

int plant_state(struct db *d, struct plant_state *ret, struct err *e)
{
	static const struct column columns[] = {COL(struct plant_state, state),
		COL(struct plant_state, place), COL(struct plant_state, nonce),
		COL(struct plant_state, asked_place), COL(struct plant_state, code),
		COL(struct plant_state, why), COL(struct plant_state, message),
		COL(struct plant_state, fence), COL(struct plant_state, seen),
		COL(struct plant_state, newest), COL(struct plant_state, failing_since),
		COL(struct plant_state, named), {0}};
	SELECT(find,
		"SELECT state, place, nonce, asked_place, code, why, message, fence, seen, named,"
		" failing_since, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
		" AS newest FROM plant",
		columns);

	*ret = (struct plant_state){0};
	return select_one(d, e, &find, ret);
}

int plant_opened(struct db *tx, struct err *e)
{
	return db_do(tx, e, "UPDATE plant SET state = 'unproven' WHERE state = 'good'");
}

int plant_proven(struct db *tx, struct err *e)
{
	return db_do(tx, e,
		"UPDATE plant SET state = 'good', code = NULL, why = NULL WHERE state <> 'good'");
}

int plant_begin(struct db *tx, struct err *e)
{
	return db_do(tx, e, "INSERT OR IGNORE INTO plant (one, state) VALUES (1, 'unproven')");
}

static void new_name(char ret[PLANT_NONCE_SIZE])
{
	uint8_t raw[(PLANT_NONCE_SIZE - 1) / 2];

	random_bytes(raw, sizeof raw);
	hex_of(raw, sizeof raw, ret);
}

int plant_ask(struct db *tx, const char *place, struct err *e)
{
	char nonce[PLANT_NONCE_SIZE];

	new_name(nonce);
	return db_do(tx, e,
		"UPDATE plant SET nonce = ?1, asked_place = ?2 WHERE nonce = '' OR asked_place <> ?2",
		nonce, place);
}

int plant_session(struct db *tx, int64_t fence, const char *place, struct err *e)
{
	static const char sql[] =
		"UPDATE plant SET state = 'good', fence = ?1, place = ?2, nonce = '', code = NULL,"
		" why = NULL, message = NULL, failing_since = NULL, heard_at = ?3";
	int r = db_do(tx, e, sql, fence, place, wall_ms());

	if (r == 0)
		r = db_do(tx, e,
			"UPDATE plant_leases SET state = 'over' WHERE fence <> ? AND state <> 'over'",
			fence);
	if (r == 0)
		r = db_do(tx, e, "UPDATE plant_pools SET request = ''");
	return r < 0 ? r
		     : db_event(tx, "plant-session", NULL, NULL, NULL, NULL,
			       json_pack("{s:I}", "fence", (json_int_t)fence), e);
}

int plant_stop(struct db *tx, enum err_code code, const char *why, struct err *e)
{
	static const char sql[] = "UPDATE plant SET state = 'stopped', code = ?1, why = ?2"
				  " WHERE state <> 'stopped' OR why IS NOT ?2";
	int r = db_run(tx, e, sql, err_code_str(code), why);

	return r <= 0 ? r
		      : db_event(tx, "plant-refused", NULL, NULL, NULL, NULL,
				json_pack("{s:s, s:s}", "code", err_code_str(code), "message", why),
				e);
}

int plant_seen(struct db *tx, int64_t seen, const char *message, struct err *e)
{
	static const char sql[] =
		"UPDATE plant SET seen = max(seen, ?1), message = ?2, heard_at = CASE WHEN ?2 IS NULL"
		" THEN ?3 ELSE heard_at END, failing_since = CASE WHEN ?2 IS NOT NULL THEN"
		" coalesce(failing_since, ?3) END";

	return db_do(tx, e, sql, seen, message, wall_ms());
}

int plant_named(struct db *tx, bool named, struct err *e)
{
	return db_do(tx, e, "UPDATE plant SET named = ?1 WHERE named <> ?1", named);
}

int plant_need(struct db *d, int64_t *ret, struct err *e)
{
	int64_t seen = 0;
	int r = db_int(d, e, &seen, "SELECT seen FROM plant WHERE named = 1");

	if (r >= 0)
		*ret = r > 0 ? seen + 1 : INT64_MAX;
	return MIN(r, 0);
}

int plant_next(
	struct db *d, int64_t seen, size_t max, int64_t *ret_seq, size_t *ret_n, struct err *e)
{
	struct found {
		int64_t seq;
	} row;
	static const struct column columns[] = {COL(struct found, seq), {0}};
	SELECT(next, "SELECT seq FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2", columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &next, seen, (int64_t)max);

	*ret_n = 0;
	while (r >= 0 && (r = select_next(&q, &row, e)) > 0)
		ret_seq[(*ret_n)++] = row.seq;
	return MIN(r, 0);
}

/* --- pools --- */

int plant_pool(struct db *tx, const struct pool_new *p, int64_t lease_values, struct err *e)
{
	static const char note[] = "INSERT INTO plant_pools (pool_id, lease_values) VALUES (?1, ?2)"
				   " ON CONFLICT (pool_id) DO UPDATE SET lease_values = ?2";
	int r = db_has(tx, e, "SELECT 1 FROM plant_pools WHERE pool_id = ?", p->id);

	if (r == 0) {
		r = db_has(tx, e, "SELECT 1 FROM pools WHERE id = ?", p->id);
		if (r > 0)
			return err_set(e, ERR_CONFLICT,
				"the plant has a pool %s, and this host has one of its own by that name: give one of them another name",
				p->id);
		if (r == 0)
			r = pools_create(tx, p, e);
		if (r < 0)
			return err_prefix(e, "a pool of the plant");
	}
	return r < 0 ? r : db_do(tx, e, note, p->id, lease_values);
}

/* What a pool may still give out: leases of this session, of which those that have begun count from its sequence on. */
#define LEFT_OF(pool)                                                                     \
	"coalesce((SELECT sum((l.last - max(l.first, pools.next) + 1) / pools.span) FROM" \
	" plant_leases l, plant WHERE l.pool_id = " pool " AND l.fence = plant.fence AND" \
	" l.state IN ('waiting', 'begun') AND l.last >= pools.next AND l.expires_at > ?1), 0)"
/* Half of its time is over. */
#define IS_OLD "?1 - l.granted_at > (l.expires_at - l.granted_at) / 2"

int plant_wants(struct db *d, int64_t now_ms, const json_t *not_these, struct plant_want *ret,
	struct err *e)
{
	static const struct column columns[] = {
		COL(struct plant_want, pool), COL(struct plant_want, request), {0}};
	SELECT(find,
		"SELECT p.pool_id AS pool, p.request AS request FROM plant_pools p JOIN pools ON"
		" pools.id = p.pool_id WHERE NOT EXISTS (SELECT 1 FROM json_each(?2) n WHERE n.value ="
		" p.pool_id) AND (p.request <> '' OR " LEFT_OF(
			"p.pool_id") " < p.lease_values OR EXISTS (SELECT 1 FROM plant_leases l, plant WHERE l.pool_id ="
				     " p.pool_id AND l.fence = plant.fence AND l.state IN ('waiting', 'begun') AND l.last >="
				     " pools.next AND " IS_OLD ")) ORDER BY p.pool_id LIMIT 1",
		columns);

	return select_one(d, e, &find, ret, now_ms, not_these);
}

int plant_request(struct db *tx, const char *pool, struct err *e)
{
	char name[PLANT_NONCE_SIZE];

	new_name(name);
	return db_do(tx, e, "UPDATE plant_pools SET request = ? WHERE pool_id = ? AND request = ''",
		name, pool);
}

int plant_leased(struct db *tx, const struct plant_lease *l, struct err *e)
{
	/* A part that was given out stays so: next is where the rest begins. */
	static const char back[] =
		"UPDATE plant_leases AS l SET state = 'back', next = max(first, (SELECT next FROM pools"
		" WHERE id = l.pool_id)) WHERE pool_id = ?2 AND id <> ?3 AND state IN ('waiting',"
		" 'begun') AND last >= (SELECT next FROM pools WHERE id = l.pool_id) AND " IS_OLD;
	static const char over[] =
		"UPDATE plant_leases AS l SET state = 'over' WHERE pool_id = ? AND state IN ('waiting',"
		" 'begun') AND last < (SELECT next FROM pools WHERE id = l.pool_id)";
	/* Numbers that this host has passed are of no use to it, and go back whole. */
	static const char add[] =
		"INSERT INTO plant_leases (id, pool_id, fence, first, last, granted_at, expires_at,"
		" state, next) SELECT ?1, ?2, fence, ?3, ?4, ?5, ?6, CASE WHEN ?4 < ?7 THEN 'back' ELSE"
		" 'waiting' END, ?3 FROM plant WHERE true"
		" ON CONFLICT (id) DO NOTHING";
	int64_t next = 0;
	int r = db_int(tx, e, &next, "SELECT next FROM pools WHERE id = ?", l->pool);

	if (r >= 0)
		r = db_do(tx, e, add, l->id, l->pool, l->first, l->last, l->granted_at,
			l->expires_at, next);
	if (r == 0)
		r = db_do(tx, e, over, l->pool);
	if (r == 0)
		r = db_do(tx, e, back, l->granted_at, l->pool, l->id);
	return r < 0 ? r
		     : db_do(tx, e, "UPDATE plant_pools SET request = '' WHERE pool_id = ?",
			       l->pool);
}

int plant_back(struct db *d, struct plant_back *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct plant_back, id), COL(struct plant_back, next), {0}};
	SELECT(find, "SELECT id, next FROM plant_leases WHERE state = 'back' ORDER BY id LIMIT 1",
		columns);

	return select_one(d, e, &find, ret);
}

int plant_was_back(struct db *tx, int64_t id, struct err *e)
{
	return db_do(tx, e,
		"UPDATE plant_leases SET state = 'over' WHERE id = ? AND state = 'back'", id);
}
