/* SPDX-License-Identifier: Apache-2.0 */
#include "db/recipes.h"

#include "base/digest.h"
#include "base/timefmt.h"
#include "db/stmt.h"

void recipe_row_done(struct recipe_row *r)
{
	free(r->json);
	*r = (struct recipe_row){0};
}

static int tell(struct db *tx, const char *type, const char *name, int64_t version, const char *by,
	struct err *e)
{
	return db_event(tx, type, NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:I, s:s}", "recipe", name, "version", (json_int_t)version, "by",
			by),
		e);
}

/* "" where that version is not there. */
static int state_of(struct db *d, const char *name, int64_t version, char state[16],
	char sha256[65], struct err *e)
{
	static const char sql[] =
		"SELECT state, sha256 FROM recipes WHERE name = ? AND version = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, d, e, sql, name, version);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	state[0] = 0;
	sha256[0] = 0;
	if (r > 0) {
		col_copy(&q, 0, state, 16);
		col_copy(&q, 1, sha256, 65);
	}
	return 0;
}

/* The version must be there, and in that state. */
static int need_state(struct db *d, const char *name, int64_t version, const char *want,
	char sha256[65], struct err *e)
{
	char state[16];
	int r = state_of(d, name, version, state, sha256, e);

	if (r < 0)
		return r;
	if (!state[0])
		return err_set(
			e, ERR_NOT_FOUND, "there is no recipe %s@%lld", name, (long long)version);
	if (strcmp(state, want))
		return err_set(e, ERR_CONFLICT, "recipe %s@%lld is %s, not %s", name,
			(long long)version, state, want);
	return 0;
}

int recipes_put_draft(struct db *tx, const struct recipe_text *t, const char *by, bool *ret_created,
	struct err *e)
{
	static const char insert[] =
		"INSERT INTO recipes (name, version, sha256, state, json, source, created_at,"
		" created_by) VALUES (?, ?, ?, 'draft', ?, ?, ?, ?)"
		" ON CONFLICT (name, version) DO UPDATE SET sha256 = excluded.sha256,"
		" json = excluded.json, source = excluded.source, created_at = excluded.created_at,"
		" created_by = excluded.created_by";
	char state[16];
	char sha256[65];
	int r = state_of(tx, t->name, t->version, state, sha256, e);

	if (r < 0)
		return r;
	if (state[0] && strcmp(state, "draft"))
		return err_set(e, ERR_CONFLICT,
			"recipe %s@%lld is %s and immutable; make a new version", t->name,
			(long long)t->version, state);
	r = db_run(
		tx, e, insert, t->name, t->version, t->sha256, t->json, t->source, wall_ms(), by);
	if (r < 0)
		return r;
	*ret_created = !state[0];
	return tell(tx, "recipe-drafted", t->name, t->version, by, e);
}

/* The author of a recipe does not release it alone. */
int recipes_check_second(
	struct db *tx, const char *name, int64_t version, const char *by, struct err *e)
{
	static const char sql[] = "SELECT created_by FROM recipes WHERE name = ? AND version = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = query_begin(&q, tx, e, sql, name, version);

	if (r == 0)
		r = query_next(&q, e);
	if (r <= 0 || strcmp(col_str(&q, 0), by) != 0)
		return MIN(r, 0);
	return err_set(e, ERR_FORBIDDEN,
		"recipe %s@%lld was written by '%s': another person must approve it (approval in provd.yaml)",
		name, (long long)version, by);
}

int recipes_approve(struct db *tx, const struct recipe_text *t, const char *expect_sha256,
	const char *by, struct err *e)
{
	static const char sql[] = "UPDATE recipes SET state = 'approved', sha256 = ?, json = ?,"
				  " source = coalesce(?, source), approved_at = ?, approved_by = ?"
				  " WHERE name = ? AND version = ?";
	char draft[65];
	int r = need_state(tx, t->name, t->version, "draft", draft, e);

	if (r < 0)
		return r;
	if (strcmp(draft, expect_sha256))
		return err_set(e, ERR_PRECONDITION,
			"the draft of %s@%lld was changed since it was reviewed", t->name,
			(long long)t->version);
	r = db_run(tx, e, sql, t->sha256, t->json, t->source, wall_ms(), by, t->name, t->version);
	return r < 0 ? r : tell(tx, "recipe-approved", t->name, t->version, by, e);
}

int recipes_retire(struct db *tx, const char *name, int64_t version, const char *by, struct err *e)
{
	static const char sql[] =
		"UPDATE recipes SET state = 'retired' WHERE name = ? AND version = ?";
	char sha256[65];
	int r = need_state(tx, name, version, "approved", sha256, e);

	if (r == 0)
		r = db_run(tx, e, sql, name, version);
	return r < 0 ? r : tell(tx, "recipe-retired", name, version, by, e);
}

int recipes_delete_draft(struct db *tx, const char *name, int64_t version, struct err *e)
{
	static const char sql[] = "DELETE FROM recipes WHERE name = ? AND version = ?";
	char sha256[65];
	int r = need_state(tx, name, version, "draft", sha256, e);

	return r < 0 ? r : db_do(tx, e, sql, name, version);
}

/* The version meant by 0. */
static int resolve(struct db *d, const char *name, int64_t *version, struct err *e)
{
	static const char sql[] =
		"SELECT version FROM recipes WHERE state = 'approved' AND name = ?"
		" ORDER BY version DESC LIMIT 1";
	_cleanup_(query_done) struct query q = {0};

	if (*version != 0)
		return 0;

	int r = query_begin(&q, d, e, sql, name);

	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "recipe '%s' has no approved version", name);
	*version = col_int(&q, 0);
	return 0;
}

int recipes_find(
	struct db *d, const char *name, int64_t version, struct recipe_row *ret, struct err *e)
{
	static const char sql[] = "SELECT name, version, sha256, state, json FROM recipes"
				  " WHERE name = ? AND version = ?";
	_cleanup_(query_done) struct query q = {0};
	char hex[SHA256_HEX];
	int r = resolve(d, name, &version, e);

	if (r == 0)
		r = query_begin(&q, d, e, sql, name, version);
	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "there is no recipe %s@%lld", name, (long long)version);
	col_copy(&q, 0, ret->name, sizeof ret->name);
	ret->version = col_int(&q, 1);
	col_copy(&q, 2, ret->sha256, sizeof ret->sha256);
	col_copy(&q, 3, ret->state, sizeof ret->state);
	ret->json = col_dup(&q, 4);
	/* What is not what was approved never reaches a unit. */
	if (ret->json && strcmp(sha256_hex_of(ret->json, strlen(ret->json), hex), ret->sha256) == 0)
		return 0;
	recipe_row_done(ret);
	return err_set(e, ERR_RECORDS_DAMAGED,
		"recipe %s@%lld is not what was stored: its SHA-256 does not fit", name,
		(long long)version);
}

int recipes_get(struct db *d, const char *name, int64_t version, json_t **ret, struct err *e)
{
	static const char sql[] =
		"SELECT name, version, sha256, state, json AS recipe, source, created_at,"
		" created_by, approved_at, approved_by FROM recipes"
		" WHERE name = ? AND version = ?";
	_cleanup_(query_done) struct query q = {0};
	int r = resolve(d, name, &version, e);

	if (r == 0)
		r = query_begin(&q, d, e, sql, name, version);
	if (r == 0)
		r = query_next(&q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "there is no recipe %s@%lld", name, (long long)version);
	*ret = row_json(&q, "sissjststs");
	return 0;
}

int recipes_list(struct db *d, const char *name, const char *state, json_t **ret, struct err *e)
{
	static const char sql[] =
		"SELECT name, version, sha256, state, created_at, created_by, approved_at,"
		" approved_by FROM recipes WHERE (?1 IS NULL OR name = ?1)"
		" AND (?2 IS NULL OR state = ?2) ORDER BY name, version DESC";
	_cleanup_(query_done) struct query q = {0};
	json_t *all = json_array();
	int r = query_begin(&q, d, e, sql, name, state);

	while (r >= 0 && (r = query_next(&q, e)) > 0)
		json_array_append_new(all, row_json(&q, "sisststs"));
	if (r < 0) {
		json_decref(all);
		return r;
	}
	*ret = all;
	return 0;
}
