/* SPDX-License-Identifier: Apache-2.0 */
#include "db/recall.h"

#include "base/util.h"
#include "db/run_facts.h"
#include "db/stmt.h"

#define MANY_RUNS "20000"

/* --- what a run had a part in --- */

#define TRAITS_OF_RUN                                                             \
	"(SELECT 'artifact' AS kind, a.value AS value FROM runs r,"               \
	" json_each(r.firmware, '$.artifacts') a WHERE r.id = ?1"                 \
	" UNION SELECT 'tool', json_extract(evidence, '$.program')"               \
	" || coalesce(' ' || json_extract(evidence, '$.version'), '') FROM steps" \
	" WHERE run_id = ?1 AND evidence LIKE '%\"program\":\"%'"                 \
	" UNION SELECT 'operator', answered_by FROM prompts WHERE run_id = ?1"    \
	" AND state = 'answered' UNION SELECT 'issuer', issuer FROM certificates" \
	" WHERE run_id = ?1 AND state IN ('issued', 'delivered'))"

int recall_note(struct db *tx, const char *run, struct err *e)
{
	static const char count[] =
		"INSERT INTO traits (kind, value, runs) SELECT kind, value, 1 FROM " TRAITS_OF_RUN
		" WHERE value IS NOT NULL ON CONFLICT DO UPDATE SET runs = runs + 1";
	static const char note[] = "INSERT INTO run_traits (trait, run_seq) SELECT t.id,"
				   " (SELECT seq FROM runs WHERE id = ?1) FROM " TRAITS_OF_RUN
				   " x JOIN traits t ON t.kind = x.kind AND t.value = x.value";
	int r = db_run(tx, e, count, run);

	return r <= 0 ? r : db_do(tx, e, note, run);
}

/* --- who had a part in it --- */

/* The rarest of the traits leads to the runs; the others are looked up for each of them. */
struct conditions {
	int64_t trait[4];
	size_t n;
	bool none; /* one that no run has */
};

static int add_trait(struct db *d, const char *kind, const char *value, int64_t *fewest,
	struct conditions *ret, struct err *e)
{
	struct trait {
		int64_t id, runs;
	} t;
	static const struct column columns[] = {
		COL(struct trait, id), COL(struct trait, runs), {0}};
	SELECT(find, "SELECT id, runs FROM traits WHERE kind = ? AND value = ?", columns);
	int r = value ? select_one(d, e, &find, &t, kind, value) : 0;

	if (!value || r < 0)
		return r;
	if (r == 0) {
		ret->none = true;
		return 0;
	}
	ret->trait[ret->n++] = t.id;
	if (ret->n > 1 && t.runs < *fewest) {
		ret->trait[ret->n - 1] = ret->trait[0];
		ret->trait[0] = t.id;
	}
	*fewest = ret->n > 1 ? MIN(*fewest, t.runs) : t.runs;
	return 0;
}

static int find_traits(
	struct db *d, const struct recall_filter *f, struct conditions *ret, struct err *e)
{
	int64_t fewest = 0;
	int r = add_trait(d, "artifact", f->artifact, &fewest, ret, e);

	if (r == 0)
		r = add_trait(d, "tool", f->tool, &fewest, ret, e);
	if (r == 0)
		r = add_trait(d, "operator", f->answered_by, &fewest, ret, e);
	if (r == 0)
		r = add_trait(d, "issuer", f->issuer, &fewest, ret, e);
	return r;
}

/* The numbers between which the runs of a window are; all, where there are many of them: then the window
 * leaves out little. */
static int bounds(struct db *d, const struct recall_filter *f, int64_t *ret_first,
	int64_t *ret_last, struct err *e)
{
	struct span {
		int64_t first, last, n;
	} span;
	static const struct column columns[] = {
		COL(struct span, first), COL(struct span, last), COL(struct span, n), {0}};
	SELECT(find,
		"SELECT min(seq) AS first, max(seq) AS last, count(*) AS n FROM (SELECT seq FROM runs"
		" WHERE state = 'finished' AND ended_at >= ?1 AND ended_at < ?2 LIMIT " MANY_RUNS
		")",
		columns);
	int r;

	*ret_first = 0;
	*ret_last = INT64_MAX;
	if (!f->from_ms && !f->to_ms)
		return 0;
	r = select_one(d, e, &find, &span, f->from_ms, f->to_ms ? f->to_ms : INT64_MAX);
	if (r < 0 || span.n == atoll(MANY_RUNS))
		return MIN(r, 0);
	*ret_first = span.first;
	*ret_last = span.last;
	return 0;
}

static const struct column recall_columns[] = {{"run", AS_TEXT}, {"ended_at", AS_TIME},
	{"outcome", AS_TEXT}, {"station", AS_TEXT}, {"recipe", AS_TEXT}, {"version", AS_INT},
	{"job", AS_TEXT}, {"external_ref", AS_TEXT}, {"unit", AS_TEXT}, {"serial", AS_TEXT},
	{"model", AS_TEXT}, {"unit_state", AS_TEXT}, {0}};
#define OF_RUN                                                                     \
	"r.seq AS seq, r.id AS run, r.ended_at AS ended_at, r.station AS station," \
	" r.recipe AS recipe, r.version AS version, r.job_id AS job,"              \
	" (SELECT external_ref FROM jobs WHERE id = r.job_id) AS external_ref,"    \
	" r.unit_id AS unit, coalesce(u.serial, r.serial) AS serial,"              \
	" coalesce(u.model, r.model) AS model, u.state AS unit_state, " RUN_OUTCOME
#define ITS_UNIT " LEFT JOIN units u ON u.id = r.unit_id"
SELECT(by_trait,
	"SELECT t.run_seq AS run_seq, " OF_RUN
	" FROM run_traits t CROSS JOIN runs r ON r.seq = t.run_seq" ITS_UNIT,
	recall_columns);
SELECT(by_run, "SELECT " OF_RUN " FROM runs r" ITS_UNIT, recall_columns);

static void add_conditions(struct sel *s, const struct recall_filter *f, const struct conditions *c,
	int64_t first, int64_t last)
{
	if (c->n > 0)
		sel_int(s, "t.trait = ?", c->trait[0]);
	for (size_t i = 1; i < c->n; i++)
		sel_int(s,
			"EXISTS (SELECT 1 FROM run_traits o WHERE o.run_seq = r.seq AND o.trait = ?)",
			c->trait[i]);
	sel_and(s, "r.state = 'finished' AND r.completes IS NULL");
	sel_str(s, "r.station = ?", f->station);
	sel_str(s, "r.job_id = ?", f->job);
	sel_str(s, "r.recipe = ?", f->recipe);
	if (f->version)
		sel_int(s, "r.version = ?", f->version);
	run_outcome_is(s, f->outcome);
	if (f->from_ms) {
		sel_int(s, "r.ended_at >= ?", f->from_ms);
		sel_int(s, c->n > 0 ? "run_seq >= ?" : "r.seq >= ?", first);
	}
	if (f->to_ms) {
		sel_int(s, "r.ended_at < ?", f->to_ms);
		sel_int(s, c->n > 0 ? "run_seq <= ?" : "r.seq <= ?", last);
	}
}

int recall_list(struct db *d, const struct recall_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	struct conditions c = {0};
	const struct keyset of_trait = {.major = "run_seq"}, of_run = {.major = "seq"};
	int64_t first, last;
	struct sel s;
	int r;

	if (!f->artifact && !f->tool && !f->answered_by && !f->issuer && !f->station && !f->job &&
		!f->recipe && !f->from_ms && !f->to_ms)
		return err_set(e, ERR_INVALID,
			"a recall needs a condition: artifact, tool, operator, issuer, station, job_id, recipe, from or to");
	r = find_traits(d, f, &c, e);
	if (r == 0)
		r = bounds(d, f, &first, &last, e);
	if (r < 0)
		return r;
	sel_init(&s, c.n > 0 ? &by_trait : &by_run);
	if (c.none)
		sel_and(&s, "false");
	add_conditions(&s, f, &c, first, last);
	return sel_page(&s, d, c.n > 0 ? &of_trait : &of_run, page, ret, e);
}

int recall_traits(struct db *d, const char *kind, json_t **ret, struct err *e)
{
	static const struct column columns[] = {
		{"kind", AS_TEXT}, {"value", AS_TEXT}, {"runs", AS_INT}, {0}};
	SELECT(list,
		"SELECT kind, value, runs FROM traits WHERE (?1 IS NULL OR kind = ?1)"
		" ORDER BY kind, value LIMIT 1000",
		columns);

	return db_all_json(d, e, &list, ret, kind);
}
