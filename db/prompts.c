/* SPDX-License-Identifier: Apache-2.0 */
#include "db/prompts.h"

#include "base/timefmt.h"
#include "db/stmt.h"

int prompts_ask(struct db *tx, const struct prompt_new *p, struct err *e)
{
	static const char sql[] =
		"INSERT INTO prompts (id, run_id, station, kind, text, choices, pattern, state,"
		" approval, created_at, picture, picture_text)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?)";
	int r = db_run(tx, e, sql, p->id, p->run, p->station, p->kind, p->text, p->choices,
		p->pattern, (int64_t)p->approval, wall_ms(), p->picture, p->picture_text);

	if (r < 0)
		return r;
	return db_event(tx, "prompt-opened", p->station, NULL, p->run, NULL,
		json_pack("{s:s, s:s, s:s, s:b}", "prompt", p->id, "kind", p->kind, "text", p->text,
			"approval", p->approval),
		e);
}

static int settle(struct db *tx, const char *id, const char *state, const char *answer,
	const char *by, struct err *e)
{
	static const char update[] = "UPDATE prompts SET state = ?, answer = ?, answered_by = ?,"
				     " settled_at = ? WHERE id = ? AND state = 'open'";
	struct asked {
		char run[DB_ID_SIZE], station[DB_ID_SIZE];
	} of = {0};
	static const struct column places[] = {
		COL_AS(struct asked, run, "run_id"), COL(struct asked, station), {0}};
	SELECT(find, "SELECT run_id, station FROM prompts WHERE id = ?", places);
	int r = db_run_one(
		tx, e, "an open prompt of that id", update, state, answer, by, wall_ms(), id);

	if (r == 0)
		r = select_one(tx, e, &find, &of, id);
	if (r < 0)
		return r;

	json_t *data = json_pack("{s:s, s:s}", "prompt", id, "state", state);

	if (by)
		json_object_set_new(data, "by", json_string(by));
	return db_event(tx, "prompt-closed", of.station, NULL, of.run, NULL, data, e);
}

/* Whoever asked for the act does not approve it as well. A recipe holds its parts, and theirs (daemon/recipe/parts.h), each in a member
 * NAME@VERSION of `parts`: the act may be written there. */
static int check_second(struct db *tx, const struct prompt_answer *a, struct err *e)
{
	static const char asked_for_it[] =
		"SELECT count(*) FROM prompts p JOIN runs u ON u.id = p.run_id"
		" LEFT JOIN jobs j ON j.id = u.job_id"
		" LEFT JOIN recipes c ON c.name = u.recipe AND c.version = u.version"
		" WHERE p.id = ? AND ? IN (j.created_by, c.created_by, c.approved_by)";
	static const char made_a_part[] =
		"SELECT count(*) FROM prompts p JOIN runs u ON u.id = p.run_id"
		" JOIN recipes c ON c.name = u.recipe AND c.version = u.version"
		" JOIN json_tree(c.json) t ON t.type = 'object' AND t.path LIKE '%.parts'"
		" JOIN recipes q ON q.name = substr(t.key, 1, instr(t.key, '@') - 1)"
		" AND q.version = CAST(substr(t.key, instr(t.key, '@') + 1) AS INTEGER)"
		" WHERE p.id = ? AND ? IN (q.created_by, q.approved_by)";
	int64_t n = 0;
	int r;

	if (!a->supervises)
		return err_set(e, ERR_FORBIDDEN,
			"'%s' may not approve what nothing takes back: a supervisor is asked",
			a->by);
	r = db_int(tx, e, &n, asked_for_it, a->id, a->by);
	if (r >= 0 && n == 0)
		r = db_int(tx, e, &n, made_a_part, a->id, a->by);
	if (r >= 0 && n > 0)
		return err_set(e, ERR_FORBIDDEN,
			"'%s' made the order, or wrote or approved the recipe or a part of it: a second person approves what nothing takes back",
			a->by);
	return r < 0 ? r : 0;
}

int prompts_answer(struct db *tx, const struct prompt_answer *a, struct err *e)
{
	json_t *prompt = NULL;
	int r = prompts_get(tx, a->id, &prompt, e);
	bool approval = json_is_true(json_object_get(prompt, "approval"));

	json_decref(prompt);
	if (r == 0 && approval && strcmp(a->answer, "no") != 0)
		r = check_second(tx, a, e);
	if (r < 0)
		return r;
	r = settle(tx, a->id, "answered", a->answer, a->by, e);
	if (r == -ERR_NOT_FOUND)
		return err_set(e, ERR_CONFLICT, "prompt %s is no longer open", a->id);
	return r;
}

int prompts_cancel(struct db *tx, const char *id, struct err *e)
{
	return settle(tx, id, "cancelled", NULL, NULL, e);
}

int prompts_cancel_run(struct db *tx, const char *run, struct err *e)
{
	static const char find[] =
		"SELECT id FROM prompts WHERE run_id = ? AND state = 'open' LIMIT 1";

	for (;;) {
		char id[DB_ID_SIZE];
		int r = db_text(tx, e, id, sizeof id, find, run);

		if (r <= 0)
			return r;
		r = prompts_cancel(tx, id, e);
		if (r < 0)
			return r;
	}
}

#define COLUMNS                                                                                           \
	"created_at, id, run_id AS run, station, kind, text, choices, pattern, approval, state, answer, " \
	"answered_by, settled_at, picture, picture_text"

static const struct column columns[] = {{"created_at", AS_TIME}, {"id", AS_TEXT}, {"run", AS_TEXT},
	{"station", AS_TEXT}, {"kind", AS_TEXT}, {"text", AS_TEXT}, {"choices", AS_JSON},
	{"pattern", AS_TEXT}, {"approval", AS_BOOL}, {"state", AS_TEXT}, {"answer", AS_TEXT},
	{"answered_by", AS_TEXT}, {"settled_at", AS_TIME}, {"picture", AS_TEXT},
	{"picture_text", AS_TEXT}, {0}};

int prompts_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM prompts WHERE id = ?", columns);

	return db_one_json(d, e, "prompt", &get, ret, id);
}

int prompts_list(struct db *d, const char *station, const char *state, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM prompts", columns);
	static const struct keyset order = {"created_at", "id", false};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "station = ?", station);
	sel_str(&s, "state = ?", state);
	return sel_page(&s, d, &order, page, ret, e);
}
