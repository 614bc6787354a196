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

struct recipe_state {
	char state[16]; /* "" where that version is not there */
	char sha256[SHA256_HEX];
};

static int state_of(
	struct db *d, const char *name, int64_t version, struct recipe_state *ret, struct err *e)
{
	static const struct column columns[] = {
		COL(struct recipe_state, state), COL(struct recipe_state, sha256), {0}};
	SELECT(find, "SELECT state, sha256 FROM recipes WHERE name = ? AND version = ?", columns);

	*ret = (struct recipe_state){0};
	return MIN(select_one(d, e, &find, ret, name, version), 0);
}

/* The version must be there, and in that state. */
static int need_state(struct db *d, const char *name, int64_t version, const char *want,
	char sha256[SHA256_HEX], struct err *e)
{
	struct recipe_state is;
	int r = state_of(d, name, version, &is, e);

	if (r < 0)
		return r;
	memcpy(sha256, is.sha256, sizeof is.sha256);
	if (!is.state[0])
		return err_set(
			e, ERR_NOT_FOUND, "there is no recipe %s@%lld", name, (long long)version);
	if (strcmp(is.state, want))
		return err_set(e, ERR_CONFLICT, "recipe %s@%lld is %s, not %s", name,
			(long long)version, is.state, want);
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
	struct recipe_state is;
	int r = state_of(tx, t->name, t->version, &is, e);

	if (r < 0)
		return r;
	if (is.state[0] && strcmp(is.state, "draft"))
		return err_set(e, ERR_CONFLICT,
			"recipe %s@%lld is %s and immutable; make a new version", t->name,
			(long long)t->version, is.state);
	r = db_run(
		tx, e, insert, t->name, t->version, t->sha256, t->json, t->source, wall_ms(), by);
	if (r < 0)
		return r;
	*ret_created = !is.state[0];
	return tell(tx, "recipe-drafted", t->name, t->version, by, e);
}

/* The author of a recipe does not release it alone. */
int recipes_check_second(
	struct db *tx, const char *name, int64_t version, const char *by, struct err *e)
{
	static const char sql[] = "SELECT created_by FROM recipes WHERE name = ? AND version = ?";
	char author[128];
	int r = db_text(tx, e, author, sizeof author, sql, name, version);

	if (r <= 0 || strcmp(author, by) != 0)
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
	char draft[SHA256_HEX];
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
	char sha256[SHA256_HEX];
	int r = need_state(tx, name, version, "approved", sha256, e);

	if (r == 0)
		r = db_run(tx, e, sql, name, version);
	return r < 0 ? r : tell(tx, "recipe-retired", name, version, by, e);
}

int recipes_delete_draft(struct db *tx, const char *name, int64_t version, struct err *e)
{
	static const char sql[] = "DELETE FROM recipes WHERE name = ? AND version = ?";
	char sha256[SHA256_HEX];
	int r = need_state(tx, name, version, "draft", sha256, e);

	return r < 0 ? r : db_do(tx, e, sql, name, version);
}

/* The version meant by 0. */
static int resolve(struct db *d, const char *name, int64_t *version, struct err *e)
{
	static const char sql[] =
		"SELECT version FROM recipes WHERE state = 'approved' AND name = ?"
		" ORDER BY version DESC LIMIT 1";

	if (*version != 0)
		return 0;

	int r = db_int(d, e, version, sql, name);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "recipe '%s' has no approved version", name);
	return MIN(r, 0);
}

int recipes_find(
	struct db *d, const char *name, int64_t version, struct recipe_row *ret, struct err *e)
{
	struct found {
		struct recipe_row row;
		const char *json;
	} found = {0};
	static const struct column columns[] = {COL_AS(struct found, row.name, "name"),
		COL_AS(struct found, row.version, "version"),
		COL_AS(struct found, row.sha256, "sha256"),
		COL_AS(struct found, row.state, "state"), COL(struct found, json), {0}};
	SELECT(find,
		"SELECT name, version, sha256, state, json FROM recipes"
		" WHERE name = ? AND version = ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	char hex[SHA256_HEX];
	int r = resolve(d, name, &version, e);

	if (r == 0)
		r = select_begin(&q, d, e, &find, name, version);
	if (r == 0)
		r = select_next(&q, &found, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "there is no recipe %s@%lld", name, (long long)version);
	/* What is not what was approved never reaches a unit. */
	if (found.json &&
		strcmp(sha256_hex_of(found.json, strlen(found.json), hex), found.row.sha256) == 0) {
		*ret = found.row;
		ret->json = xstrdup(found.json);
		return 0;
	}
	return err_set(e, ERR_RECORDS_DAMAGED,
		"recipe %s@%lld is not what was stored: its SHA-256 does not fit", name,
		(long long)version);
}

int recipes_get(struct db *d, const char *name, int64_t version, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"name", AS_TEXT}, {"version", AS_INT},
		{"sha256", AS_TEXT}, {"state", AS_TEXT}, {"recipe", AS_JSON}, {"source", AS_TEXT},
		{"created_at", AS_TIME}, {"created_by", AS_TEXT}, {"approved_at", AS_TIME},
		{"approved_by", AS_TEXT}, {0}};
	SELECT(get,
		"SELECT name, version, sha256, state, json AS recipe, source, created_at,"
		" created_by, approved_at, approved_by FROM recipes"
		" WHERE name = ? AND version = ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int r = resolve(d, name, &version, e);

	if (r == 0)
		r = select_begin(&q, d, e, &get, name, version);
	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "there is no recipe %s@%lld", name, (long long)version);
	*ret = row_json(&q);
	return 0;
}

int recipes_list(struct db *d, const char *name, const char *state, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"name", AS_TEXT}, {"version", AS_INT},
		{"sha256", AS_TEXT}, {"state", AS_TEXT}, {"created_at", AS_TIME},
		{"created_by", AS_TEXT}, {"approved_at", AS_TIME}, {"approved_by", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT name, version, sha256, state, created_at, created_by, approved_at,"
		" approved_by FROM recipes WHERE (?1 IS NULL OR name = ?1)"
		" AND (?2 IS NULL OR state = ?2) ORDER BY name, version DESC",
		columns);

	return db_all_json(d, e, &all, ret, name, state);
}
