/* SPDX-License-Identifier: Apache-2.0 */
#include "db/jobs.h"

#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/run_facts.h"
#include "db/stmt.h"
#include "db/traces.h"

void job_done(struct job *j)
{
	json_decref(j->params);
	json_decref(j->serial_source);
	json_decref(j->route_check);
	*j = (struct job){0};
}

/* Where two requests with one number came at the same time, the later one is told which was first. */
static int insert(struct db *tx, const struct job_new *j, struct err *e)
{
	static const char sql[] =
		"INSERT INTO jobs (id, kind, recipe, version, recipe_sha256, quantity, priority, state,"
		" affinity, params, serial_source, external_ref, deadline, created_by, created_at,"
		" updated_at) VALUES (?1, coalesce(?14, 'production'), ?2, ?3, ?4, ?5, ?6, 'queued', coalesce(?7, '[]'),"
		" coalesce(?8, '{}'), coalesce(?9, '{}'), ?10, nullif(?11, 0), ?12, ?13, ?13)";
	static const char more[] =
		"UPDATE jobs SET requires = coalesce(?2, '[]'), number = ?3,"
		" content_sha256 = ?4, expires = nullif(?5, 0), route_check = ?6 WHERE id = ?1";
	int r = db_do(tx, e, sql, j->id, j->recipe, j->version, j->recipe_sha256, j->quantity,
		j->priority, j->affinity, j->params, j->serial_source, j->external_ref,
		j->deadline_ms, j->created_by, wall_ms(), j->kind);

	return r < 0 ? r
		     : db_do(tx, e, more, j->id, j->requires, j->number, j->content_sha256,
			       j->expires_ms, j->route_check);
}

int jobs_create(struct db *tx, const struct job_new *j, json_t **ret_offending, struct err *e)
{
	json_t *data;
	int r;

	if (j->serials && json_array_size(j->serials) != (size_t)j->quantity)
		return err_set(e, ERR_INVALID, "%zu serial numbers for %lld units",
			json_array_size(j->serials), (long long)j->quantity);
	r = insert(tx, j, e);
	if (r == 0 && j->units)
		r = job_units_add(tx, j->id, j->units, j->assign, j->rework, ret_offending, e);
	else if (r == 0 && j->serials)
		r = ledger_add_values(tx, "serial", NULL, j->id, j->serials, ret_offending, e);
	if (r >= 0 && j->trace)
		r = traces_put(tx, j->id, j->trace, e);
	if (r < 0)
		return r;
	data = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s*, s:s*}", "kind",
		j->rework ? "rework"
		: j->kind ? j->kind
			  : "production",
		"recipe", j->recipe, "version", (json_int_t)j->version, "quantity",
		(json_int_t)j->quantity, "by", j->created_by, "number", j->number, "trace_id",
		j->trace ? j->trace->id : NULL);
	return db_event(tx, "job-created", NULL, j->id, NULL, NULL, data, e);
}

int jobs_by_number(struct db *d, const char *number, const char *content_sha256,
	char ret_id[DB_ID_SIZE], bool *ret_same, struct err *e)
{
	struct numbered {
		char id[DB_ID_SIZE];
		bool same;
	} row = {0};
	static const struct column of_number[] = {
		COL(struct numbered, id), COL(struct numbered, same), {0}};
	SELECT(find, "SELECT id, content_sha256 = ?2 AS same FROM jobs WHERE number = ?1",
		of_number);
	int r = select_one(d, e, &find, &row, number, content_sha256);

	if (r <= 0)
		return r;
	memcpy(ret_id, row.id, DB_ID_SIZE);
	*ret_same = row.same;
	return 1;
}

#define STRUCT_COLUMNS                                                                          \
	"id, kind, recipe, version, recipe_sha256, state, quantity, passed, revision, params, " \
	"serial_source, external_ref, number, hold IS NOT NULL AS held,"                        \
	" EXISTS (SELECT 1 FROM runs WHERE runs.job_id = jobs.id) AS begun, assign IS NOT NULL AS listed, route_check"

static const struct column struct_columns[] = {COL(struct job, id), COL(struct job, kind),
	COL(struct job, recipe), COL(struct job, version), COL(struct job, recipe_sha256),
	COL(struct job, state), COL(struct job, quantity), COL(struct job, passed),
	COL(struct job, revision), COL(struct job, params), COL(struct job, serial_source),
	COL(struct job, external_ref), COL(struct job, number), COL(struct job, held),
	COL(struct job, begun), COL(struct job, listed), COL(struct job, route_check), {0}};

/* Why a sign ends an order; NULL: it does not. */
static const char *how_of(const struct job *j, enum job_sign s)
{
	switch (s) {
	case JOB_STOP:
		return "stopped";
	case JOB_COMPLETE:
		return "short";
	case JOB_ABORT:
		return "aborted";
	case JOB_CANCEL:
		return "cancelled";
	case JOB_ENOUGH:
		return j->passed >= j->quantity ? "complete" : "short";
	case JOB_EXPIRE:
	case JOB_LAPSE:
		return "expired";
	case JOB_PAUSE:
	case JOB_RESUME:
	case JOB_HOLD:
	case JOB_RELEASE:
	case JOB_CHANGE:
	case JOB_BEGIN:
	case JOB_IDLE:
	case JOB_SIGN_COUNT:
		break;
	}
	return NULL;
}

static json_t *ending_of(const struct job *j, enum job_sign sign, const struct job_word *w)
{
	const char *how = how_of(j, sign);

	return how ? json_pack("{s:s, s:s*, s:s*}", "how", how, "by", w->by, "reason", w->reason)
		   : NULL;
}

/* Follows the arrow, and writes its event. An end takes the hold away; what ends with all that was ordered is complete,
 * whatever was asked before. */
static int go(
	struct db *tx, struct job *j, enum job_sign sign, const struct job_word *w, struct err *e)
{
	static const char sql[] =
		"UPDATE jobs SET state = ?1, updated_at = ?2, revision = revision + 1,"
		" finished_at = CASE WHEN ?3 THEN ?2 END, hold = CASE WHEN ?3 THEN NULL ELSE hold END,"
		" ending = coalesce(?5, ending) WHERE id = ?4";
	const struct job_rule rule = job_rule(job_state_from(j->state), sign);
	const bool expired = sign == JOB_EXPIRE || sign == JOB_LAPSE;
	json_t *ending = ending_of(j, sign, w);
	json_t *data;
	int r;

	r = db_run_one(tx, e, "that job", sql, job_state_str(rule.next), wall_ms(),
		(int64_t)job_state_is_end(rule.next), j->id, ending);
	json_decref(ending);
	if (r == 0 && j->listed && job_state_is_end(rule.next))
		r = job_units_cancel(tx, j->id, "the order has ended", e);
	if (r < 0)
		return r;
	j->revision++;
	snprintf(j->state, sizeof j->state, "%s", job_state_str(rule.next));
	data = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "state", j->state, "by", w->by, "reason",
		w->reason, "ending", how_of(j, sign), "number", or_null(j->number));
	return db_event(
		tx, expired ? "job-expired" : "job-changed", NULL, j->id, NULL, NULL, data, e);
}

static const struct job_word nobody = {0};

/* A list has a row for the unit: one that waits, or, where the unit is known, one that failed before. With marks only orders
 * whose list has one of them. */
#define HAS_ROW(states) \
	"EXISTS (SELECT 1 FROM job_units u WHERE u.job_id = jobs.id AND u.state IN (" states ")"
#define LISTED                                                                                                                               \
	" AND (assign IS NULL OR " HAS_ROW(                                                                                                  \
		"'waiting'") ") OR ((assign = 'recognised' OR ?5 IS NOT"                                                                     \
			     " NULL) AND " HAS_ROW(                                                                                          \
				     "'failed'") ")))"                                                                                       \
						 " AND (?5 IS NULL OR " HAS_ROW(                                                             \
							 "'waiting', 'failed'") " AND (u.serial IN (SELECT m.value FROM json_each(?5) AS m)" \
										" OR u.chip_id IN (SELECT m.value FROM json_each(?5) AS m))))"

static int next_job(struct db *tx, const struct job_taker *t, const json_t *marks, struct job *ret,
	struct err *e)
{
	SELECT(next,
		"SELECT " STRUCT_COLUMNS " FROM jobs WHERE state IN ('queued', 'running')"
		" AND hold IS NULL AND (expires IS NULL OR expires > ?4)"
		" AND (?2 IS NULL OR kind = ?2)"
		" AND (affinity = '[]' OR EXISTS (SELECT 1 FROM json_each(affinity)"
		" WHERE json_each.value = ?1))"
		" AND (requires = '[]' OR NOT EXISTS (SELECT 1 FROM json_each(requires) AS need"
		" WHERE need.value NOT IN (SELECT has.value FROM json_each(coalesce(?3, '[]')) AS has)))" LISTED
		" AND passed + (SELECT count(*) FROM runs INDEXED BY runs_open WHERE runs.job_id = "
		"jobs.id"
		" AND runs.state = 'open' AND runs.kind = jobs.kind) < quantity"
		" ORDER BY priority DESC, deadline IS NULL, deadline, created_at, id LIMIT 1",
		struct_columns);

	return select_one(
		tx, e, &next, ret, t->station, t->kind, t->capabilities, wall_ms(), marks);
}

int jobs_claim(struct db *tx, const struct job_taker *t, struct job *ret, struct err *e)
{
	struct job j = {0};
	int r = job_units_known(tx, t->marks, e);

	if (r > 0)
		r = next_job(tx, t, t->marks, &j, e);
	if (r == 0)
		r = next_job(tx, t, NULL, &j, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no job waits for station %s", t->station);
	r = 0;
	if (job_rule(job_state_from(j.state), JOB_BEGIN).effect == JOB_GOES)
		r = go(tx, &j, JOB_BEGIN, &nobody, e);
	if (r < 0) {
		job_done(&j);
		return r;
	}
	*ret = j;
	return 0;
}

static int check_revision(const struct job *j, int64_t revision, struct err *e)
{
	if (revision && revision != j->revision)
		return err_set(e, ERR_PRECONDITION, "job %s was changed meanwhile (revision %lld)",
			j->id, (long long)j->revision);
	return 0;
}

static int open_runs(struct db *tx, const char *id, int64_t *ret, struct err *e)
{
	static const char sql[] = "SELECT count(*) FROM runs INDEXED BY runs_open WHERE job_id = ? "
				  "AND state = 'open'";

	return MIN(db_int(tx, e, ret, sql, id), 0);
}

/* A job that is stopping is done when its last open run is. */
static int end_if_stopped(struct db *tx, struct job *j, struct err *e)
{
	int64_t open = 0;
	int r = open_runs(tx, j->id, &open, e);

	return r == 0 && open == 0 ? go(tx, j, JOB_IDLE, &nobody, e) : r;
}

/* A hold leaves the state alone. */
static int set_hold(
	struct db *tx, const struct job *j, const struct job_word *w, bool on, struct err *e)
{
	static const char sql[] = "UPDATE jobs SET hold = ?1, updated_at = ?2,"
				  " revision = revision + 1 WHERE id = ?3";
	const int64_t now = wall_ms();
	char at[RFC3339_SIZE];
	json_t *hold, *data;
	int r;

	if (on == j->held)
		return err_set(e, ERR_CONFLICT,
			on ? "job %s is held already: release it before it is held for another reason"
			   : "job %s is not held: there is nothing to release",
			j->id);
	hold = on ? json_pack("{s:s, s:s, s:s}", "reason", w->reason, "by", w->by, "at",
			    rfc3339(now, at))
		  : NULL;
	r = db_do(tx, e, sql, hold, now, j->id);
	json_decref(hold);
	if (r < 0)
		return r;
	data = json_pack("{s:s*, s:s, s:s*}", "reason", w->reason, "by", w->by, "number",
		or_null(j->number));
	return db_event(tx, on ? "job-held" : "job-released", NULL, j->id, NULL, NULL, data, e);
}

static int check_word(
	const struct job *j, enum job_sign verb, const struct job_word *w, struct err *e)
{
	if ((verb == JOB_HOLD || verb == JOB_COMPLETE) && !or_null(w->reason))
		return err_set(
			e, ERR_INVALID, "job %s: '%s' needs a reason", j->id, job_sign_str(verb));
	if (job_rule(job_state_from(j->state), verb).effect == JOB_REFUSED)
		return err_set(e, ERR_CONFLICT, "job %s is %s: '%s' is not possible now", j->id,
			j->state, job_sign_str(verb));
	if (verb == JOB_CANCEL && j->begun)
		return err_set(e, ERR_CONFLICT,
			"job %s has begun: 'stop' ends it after the units under way, 'abort' with them",
			j->id);
	return check_revision(j, w->revision, e);
}

static int act(
	struct db *tx, struct job *j, enum job_sign verb, const struct job_word *w, struct err *e)
{
	int r = check_word(j, verb, w, e);

	if (r < 0)
		return r;
	if (verb == JOB_HOLD || verb == JOB_RELEASE)
		return set_hold(tx, j, w, verb == JOB_HOLD, e);
	r = go(tx, j, verb, w, e);
	return r == 0 && !strcmp(j->state, "stopping") ? end_if_stopped(tx, j, e) : r;
}

int jobs_act(
	struct db *tx, const char *id, enum job_sign verb, const struct job_word *w, struct err *e)
{
	struct job j = {0};
	int r = jobs_find(tx, id, &j, e);

	if (r == 0)
		r = act(tx, &j, verb, w, e);
	job_done(&j);
	return r;
}

static int check_change(
	const struct job *j, const struct job_change *c, int64_t revision, struct err *e)
{
	int r = check_revision(j, revision, e);

	if (r == 0 && job_rule(job_state_from(j->state), JOB_CHANGE).effect == JOB_REFUSED)
		return err_set(e, ERR_CONFLICT, "job %s is %s: nothing of it changes any more",
			j->id, j->state);
	if (r == 0 && c->quantity && j->listed)
		return err_set(e, ERR_INVALID,
			"job %s has a list of units, and their number is its quantity", j->id);
	if (r == 0 && c->params && j->listed)
		return err_set(e, ERR_INVALID,
			"job %s has a list of units, and each has its own parameters", j->id);
	if (r == 0 && c->params && j->begun)
		return err_set(e, ERR_CONFLICT,
			"job %s has begun, and its units are alike: complete it, and order the rest with other parameters",
			j->id);
	if (r == 0 && c->quantity && *c->quantity < MAX(j->passed, 1))
		return err_set(e, ERR_INVALID, "job %s has %lld units already", j->id,
			(long long)j->passed);
	return r;
}

static int put_change(struct db *tx, const char *id, const struct job_change *c, struct err *e)
{
	static const char sql[] =
		"UPDATE jobs SET priority = CASE WHEN ?2 THEN ?3 ELSE priority END,"
		" quantity = CASE WHEN ?4 THEN ?5 ELSE quantity END,"
		" affinity = coalesce(?6, affinity), requires = coalesce(?12, requires),"
		" params = coalesce(?13, params),"
		" deadline = CASE WHEN ?7 THEN nullif(?8, 0) ELSE deadline END,"
		" expires = CASE WHEN ?9 THEN nullif(?10, 0) ELSE expires END,"
		" updated_at = ?11, revision = revision + 1 WHERE id = ?1";

	return db_do(tx, e, sql, id, (int64_t)(c->priority != NULL), c->priority ? *c->priority : 0,
		(int64_t)(c->quantity != NULL), c->quantity ? *c->quantity : 0, c->affinity,
		(int64_t)(c->deadline_ms != NULL), c->deadline_ms ? *c->deadline_ms : 0,
		(int64_t)(c->expires_ms != NULL), c->expires_ms ? *c->expires_ms : 0, wall_ms(),
		c->requires, c->params);
}

int jobs_change(struct db *tx, const char *id, const struct job_change *c, int64_t revision,
	const char *by, struct err *e)
{
	struct job j = {0};
	int r = jobs_find(tx, id, &j, e);

	if (r < 0)
		return r;
	r = check_change(&j, c, revision, e);
	if (r == 0)
		r = put_change(tx, id, c, e);
	if (r == 0)
		r = db_event(
			tx, "job-changed", NULL, id, NULL, NULL, json_pack("{s:s}", "by", by), e);
	/* All that is ordered now may have passed. */
	if (c->quantity)
		j.quantity = *c->quantity;
	if (r == 0 && j.quantity <= j.passed)
		r = go(tx, &j, JOB_ENOUGH, &(struct job_word){.by = by}, e);
	job_done(&j);
	return r;
}

static const struct {
	const char *outcome, *sql;
} counters[] = {
	{"passed", "UPDATE jobs SET passed = passed + 1, updated_at = ? WHERE id = ?"},
	{"failed", "UPDATE jobs SET failed = failed + 1, updated_at = ? WHERE id = ?"},
	{"error", "UPDATE jobs SET errors = errors + 1, updated_at = ? WHERE id = ?"},
	{"aborted", "UPDATE jobs SET aborted = aborted + 1, updated_at = ? WHERE id = ?"},
	{"interrupted",
		"UPDATE jobs SET interrupted = interrupted + 1, updated_at = ? WHERE id = ?"},
};

/* Whether an order that is open has all it wants, or has nothing left that could pass. */
static int has_enough(struct db *tx, const struct job *j, bool *ret, struct err *e)
{
	int r = 0;

	*ret = j->passed >= j->quantity;
	if (!*ret && j->listed) {
		r = job_units_missing(tx, j->id, e);
		*ret = r == 0;
	}
	return MIN(r, 0);
}

static int check_end(struct db *tx, struct job *j, struct err *e)
{
	bool enough = false;
	int r = 0;

	if (job_state_is_end(job_state_from(j->state)))
		return 0;
	r = has_enough(tx, j, &enough, e);
	if (r == 0 && enough)
		return go(tx, j, JOB_ENOUGH, &nobody, e);
	return r == 0 && !strcmp(j->state, "stopping") ? end_if_stopped(tx, j, e) : r;
}

int jobs_check_list(struct db *tx, const char *id, struct err *e)
{
	struct job j = {0};
	int r = jobs_find(tx, id, &j, e);

	if (r == 0 && j.listed)
		r = check_end(tx, &j, e);
	job_done(&j);
	return r;
}

int jobs_count_run(struct db *tx, const char *id, const char *outcome, struct err *e)
{
	struct job j = {0};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(counters) && r == 0; i++)
		if (!strcmp(counters[i].outcome, outcome))
			r = db_run_one(tx, e, "that job", counters[i].sql, wall_ms(), id);
	if (r == 0)
		r = jobs_find(tx, id, &j, e);
	if (r == 0)
		r = check_end(tx, &j, e);
	job_done(&j);
	return r;
}

/* --- time --- */

static int next_expired(struct db *tx, int64_t now, char ret_id[DB_ID_SIZE], struct err *e)
{
	static const char sql[] =
		"SELECT id FROM jobs INDEXED BY jobs_by_expiry WHERE expires IS NOT NULL"
		" AND finished_at IS NULL AND expires <= ? AND state <> 'stopping'"
		" ORDER BY expires LIMIT 1";

	return db_text(tx, e, ret_id, DB_ID_SIZE, sql, now);
}

static int expire_one(struct db *tx, const char *id, struct err *e)
{
	const struct job_word why = {.reason = "its time is over"};
	struct job j = {0};
	int r = jobs_find(tx, id, &j, e);

	if (r == 0)
		r = go(tx, &j, j.begun ? JOB_EXPIRE : JOB_LAPSE, &why, e);
	if (r == 0 && j.begun)
		r = end_if_stopped(tx, &j, e);
	job_done(&j);
	return r;
}

int jobs_expire(struct db *tx, int64_t now_ms, int64_t *ret_next_ms, struct err *e)
{
	static const char next[] =
		"SELECT coalesce(min(expires), 0) FROM jobs INDEXED BY jobs_by_expiry"
		" WHERE expires IS NOT NULL AND finished_at IS NULL AND expires > ?";
	char id[DB_ID_SIZE];
	int64_t at = 0;
	int r;

	while ((r = next_expired(tx, now_ms, id, e)) > 0) {
		r = expire_one(tx, id, e);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = MIN(db_int(tx, e, &at, next, now_ms), 0);
	if (r == 0)
		*ret_next_ms = at ? at : INT64_MAX;
	return r;
}

/* --- what is read --- */

int jobs_find(struct db *d, const char *id, struct job *ret, struct err *e)
{
	SELECT(find, "SELECT " STRUCT_COLUMNS " FROM jobs WHERE id = ?", struct_columns);
	int r = select_one(d, e, &find, ret, id);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no job '%s'", id);
	return MIN(r, 0);
}

#define COLUMNS                                                                                                                                      \
	"created_at, id, CASE WHEN rework THEN 'rework' ELSE kind END AS kind, recipe, version, recipe_sha256, quantity, priority, state, affinity," \
	" params, serial_source, external_ref, deadline, passed, failed, errors, aborted,"                                                           \
	" interrupted, (SELECT count(*) FROM runs INDEXED BY runs_open WHERE runs.job_id = "                                                         \
	"jobs.id AND runs.state ="                                                                                                                   \
	" 'open') AS open, created_by, updated_at, finished_at, revision, number, expires,"                                                          \
	" requires, hold, ending, assign, route_check, " TRACE_OF_JOBS

static const struct column columns[] = {{"created_at", AS_TIME}, {"id", AS_TEXT}, {"kind", AS_TEXT},
	{"recipe", AS_TEXT}, {"version", AS_INT}, {"recipe_sha256", AS_TEXT}, {"quantity", AS_INT},
	{"priority", AS_INT}, {"state", AS_TEXT}, {"affinity", AS_JSON}, {"params", AS_JSON},
	{"serial_source", AS_JSON}, {"external_ref", AS_TEXT}, {"deadline", AS_TIME},
	{"passed", AS_INT}, {"failed", AS_INT}, {"errors", AS_INT}, {"aborted", AS_INT},
	{"interrupted", AS_INT}, {"open", AS_INT}, {"created_by", AS_TEXT}, {"updated_at", AS_TIME},
	{"finished_at", AS_TIME}, {"revision", AS_INT}, {"number", AS_TEXT}, {"expires", AS_TIME},
	{"requires", AS_JSON}, {"hold", AS_JSON}, {"ending", AS_JSON}, {"assign", AS_TEXT},
	{"route_check", AS_JSON}, {"traceparent", AS_TEXT}, {0}};

int jobs_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM jobs WHERE id = ?", columns);

	return db_one_json(d, e, "job", &get, ret, id);
}

int jobs_list(struct db *d, const struct job_filter *f, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM jobs", columns);
	static const struct keyset order = {"created_at", "id", false};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "state = ?", f->state);
	sel_str(&s, "external_ref = ?", f->external_ref);
	sel_str(&s, "number = ?", f->number);
	return sel_page(&s, d, &order, page, ret, e);
}
