/* SPDX-License-Identifier: Apache-2.0 */
#include "db/artifacts.h"

#include "base/timefmt.h"
#include "db/stmt.h"

#define COLUMNS "sha256, name, size, format, created_at, created_by, image"
#define NAMES                                                                                      \
	", (SELECT json_group_array(name) FROM artifact_names n WHERE n.sha256 = artifacts.sha256" \
	" AND NOT EXISTS (SELECT 1 FROM artifact_names m WHERE m.name = n.name AND m.n > n.n))"    \
	" AS names"

static const struct column columns[] = {{"sha256", AS_TEXT}, {"name", AS_TEXT}, {"size", AS_INT},
	{"format", AS_TEXT}, {"created_at", AS_TIME}, {"created_by", AS_TEXT}, {"image", AS_JSON},
	{"names", AS_JSON}, {0}};

static int give_name(struct db *tx, const char *sha256, const char *name, bool known, struct err *e)
{
	static const char newest[] =
		"SELECT sha256 FROM artifact_names WHERE name = ? ORDER BY n DESC LIMIT 1";
	static const char insert[] =
		"INSERT INTO artifact_names (name, n, sha256) VALUES (?1,"
		" (SELECT coalesce(max(n), 0) + 1 FROM artifact_names WHERE name = ?1), ?2)";
	char has[SHA256_HEX] = "";
	int r = db_text(tx, e, has, sizeof has, newest, name);

	if (r < 0 || !strcmp(has, sha256))
		return MIN(r, 0);
	r = db_run(tx, e, "DELETE FROM artifact_names WHERE sha256 = ? AND name = ?", sha256, name);
	if (r >= 0)
		r = db_run(tx, e, insert, name, sha256);
	if (r < 0)
		return r;
	if (!known && !has[0])
		return 0;
	return db_event(tx, "artifact-named", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s, s:s?}", "sha256", sha256, "name", name, "before",
			has[0] ? has : NULL),
		e);
}

int artifacts_give_name(struct db *tx, const char *sha256, const char *name, struct err *e)
{
	int64_t found = 0;
	int r = db_int(tx, e, &found, "SELECT count(*) FROM artifacts WHERE sha256 = ?", sha256);

	if (r >= 0 && !found)
		r = err_set(e, ERR_NOT_FOUND, "there is no artifact %s", sha256);
	return r < 0 ? r : give_name(tx, sha256, name, true, e);
}

int artifacts_check_name(
	struct db *d, const char *sha256, const char *name, const char *who, struct err *e)
{
	static const char sql[] =
		"SELECT count(*) FROM artifact_names n JOIN artifacts a ON a.sha256 = n.sha256"
		" WHERE n.name = ?1 AND n.n = (SELECT max(n) FROM artifact_names WHERE name = ?1)"
		" AND n.sha256 <> ?2 AND NOT (a.name = ?1 AND a.created_by = ?3)";
	int64_t foreign = 0;
	int r = db_int(d, e, &foreign, sql, name, sha256, who);

	if (r < 0 || !foreign)
		return MIN(r, 0);
	return err_set(e, ERR_OUT_OF_SCOPE,
		"the name '%s' leads to a file of somebody else, and this token is limited: use another name",
		name);
}

int artifacts_add(struct db *tx, const struct artifact *a, bool *ret_created, struct err *e)
{
	static const char sql[] = "INSERT INTO artifacts (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)"
				  " ON CONFLICT (sha256) DO NOTHING";
	int r = db_run(tx, e, sql, a->sha256, a->name, a->size_bytes, a->format, wall_ms(),
		a->created_by, a->image);

	if (r < 0)
		return r;
	*ret_created = r == 1;
	if (r == 0)
		return give_name(tx, a->sha256, a->name, true, e);
	r = db_event(tx, "artifact-added", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s, s:I, s:s}", "sha256", a->sha256, "name", a->name, "size",
			(json_int_t)a->size_bytes, "format", a->format),
		e);
	return r < 0 ? r : give_name(tx, a->sha256, a->name, false, e);
}

/* A recipe that is not retired, or a job that is not finished, may still bring it to a unit. */
static int check_unused(struct db *tx, const char *sha256, struct err *e)
{
	struct used {
		char name[DB_ID_SIZE];
		int64_t version;
	} by;
	static const struct column of[] = {COL(struct used, name), COL(struct used, version), {0}};
	SELECT(find,
		"SELECT r.name, r.version FROM recipes r WHERE instr(r.json, ?1) > 0"
		" AND (r.state <> 'retired' OR EXISTS (SELECT 1 FROM jobs j WHERE j.recipe = r.name"
		" AND j.version = r.version AND j.finished_at IS NULL)) LIMIT 1",
		of);
	int r = select_one(tx, e, &find, &by, sha256);

	if (r <= 0)
		return r;
	return err_set(e, ERR_CONFLICT,
		"recipe %s@%lld needs this artifact: retire the recipe first", by.name,
		(long long)by.version);
}

int artifacts_delete(struct db *tx, const char *sha256, const char *by, struct err *e)
{
	int r = check_unused(tx, sha256, e);

	if (r == 0)
		r = db_run_one(
			tx, e, "the artifact", "DELETE FROM artifacts WHERE sha256 = ?", sha256);
	if (r < 0)
		return r;
	return db_event(tx, "artifact-deleted", NULL, NULL, NULL, NULL,
		json_pack("{s:s, s:s}", "sha256", sha256, "by", by), e);
}

int artifacts_get(struct db *d, const char *sha256, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS NAMES " FROM artifacts WHERE sha256 = ?", columns);

	return db_one_json(d, e, "artifact", &get, ret, sha256);
}

int artifacts_name(struct db *d, const char *sha256, char *ret, size_t size, struct err *e)
{
	static const char sql[] = "SELECT name FROM artifacts WHERE sha256 = ?";
	int r = db_text(d, e, ret, size, sql, sha256);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no artifact %s", sha256);
	return MIN(r, 0);
}

int artifacts_by_name(struct db *d, const char *name, char ret_sha256[SHA256_HEX], struct err *e)
{
	static const char sql[] =
		"SELECT sha256 FROM artifact_names WHERE name = ? ORDER BY n DESC LIMIT 1";
	int r = db_text(d, e, ret_sha256, SHA256_HEX, sql, name);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no artifact named '%s'", name);
	return MIN(r, 0);
}

int artifacts_list(struct db *d, const char *name, const struct db_page *page, struct db_list *ret,
	struct err *e)
{
	SELECT(list, "SELECT " COLUMNS NAMES " FROM artifacts", columns);
	static const struct keyset order = {"created_at", "sha256", false};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "sha256 IN (SELECT sha256 FROM artifact_names WHERE name = ?)", name);
	return sel_page(&s, d, &order, page, ret, e);
}

int artifacts_total(struct db *d, int64_t *ret_bytes, struct err *e)
{
	static const char sql[] = "SELECT coalesce(sum(size), 0) FROM artifacts";

	return MIN(db_int(d, e, ret_bytes, sql), 0);
}
