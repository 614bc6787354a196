/* SPDX-License-Identifier: Apache-2.0 */
#include "db/jobs.h"

#include "base/timefmt.h"
#include "db/ledger.h"
#include "db/stmt.h"
#include "db/traces.h"

/* The arrows of the diagram that people and the MES may take. */
static const struct {
	const char *from, *to;
} arrows[] = {
	{"queued", "paused"},
	{"queued", "cancelled"},
	{"queued", "aborted"},
	{"running", "paused"},
	{"running", "stopping"},
	{"running", "aborted"},
	{"paused", "queued"},
	{"paused", "running"},
	{"paused", "stopping"},
	{"paused", "cancelled"},
	{"paused", "aborted"},
	{"stopping", "aborted"},
};

static const char *const ends[] = {"done", "aborted", "cancelled"};

void job_done(struct job *j)
{
	json_decref(j->params);
	json_decref(j->serial_source);
	*j = (struct job){0};
}

static bool is_end(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (!strcmp(state, ends[i]))
			return true;
	return false;
}

int jobs_create(struct db *tx, const struct job_new *j, json_t **ret_offending, struct err *e)
{
	static const char sql[] =
		"INSERT INTO jobs (id, kind, recipe, version, recipe_sha256, quantity, priority, state,"
		" affinity, params, serial_source, external_ref, deadline, created_by, created_at,"
		" updated_at) VALUES (?1, coalesce(?14, 'production'), ?2, ?3, ?4, ?5, ?6, 'queued', coalesce(?7, '[]'),"
		" coalesce(?8, '{}'), coalesce(?9, '{}'), ?10, nullif(?11, 0), ?12, ?13, ?13)";

	if (j->serials && json_array_size(j->serials) != (size_t)j->quantity)
		return err_set(e, ERR_INVALID, "%zu serial numbers for %lld units",
			json_array_size(j->serials), (long long)j->quantity);

	int r = db_run(tx, e, sql, j->id, j->recipe, j->version, j->recipe_sha256, j->quantity,
		j->priority, j->affinity, j->params, j->serial_source, j->external_ref,
		j->deadline_ms, j->created_by, wall_ms(), j->kind);

	if (r < 0)
		return r;
	if (j->serials)
		r = ledger_add_values(tx, "serial", NULL, j->id, j->serials, ret_offending, e);
	if (r >= 0 && j->trace)
		r = traces_put(tx, j->id, j->trace, e);
	if (r < 0)
		return r;
	return db_event(tx, "job-created", NULL, j->id, NULL, NULL,
		json_pack("{s:s, s:s, s:I, s:I, s:s, s:s*}", "kind",
			j->kind ? j->kind : "production", "recipe", j->recipe, "version",
			(json_int_t)j->version, "quantity", (json_int_t)j->quantity, "by",
			j->created_by, "trace_id", j->trace ? j->trace->id : NULL),
		e);
}

#define STRUCT_COLUMNS                                                                          \
	"id, kind, recipe, version, recipe_sha256, state, quantity, passed, revision, params, " \
	"serial_source, external_ref"

static const struct column struct_columns[] = {COL(struct job, id), COL(struct job, kind),
	COL(struct job, recipe), COL(struct job, version), COL(struct job, recipe_sha256),
	COL(struct job, state), COL(struct job, quantity), COL(struct job, passed),
	COL(struct job, revision), COL(struct job, params), COL(struct job, serial_source),
	COL(struct job, external_ref), {0}};

/* Sets the state and writes its event. finished_at marks an end. */
static int put_state(
	struct db *tx, const char *id, const char *state, const char *by, struct err *e)
{
	static const char sql[] =
		"UPDATE jobs SET state = ?1, updated_at = ?2, revision = revision + 1,"
		" finished_at = CASE WHEN ?3 THEN ?2 END WHERE id = ?4";
	int r = db_run_one(tx, e, "that job", sql, state, wall_ms(), (int64_t)is_end(state), id);

	if (r < 0)
		return r;

	json_t *data = json_pack("{s:s}", "state", state);

	if (by)
		json_object_set_new(data, "by", json_string(by));
	return db_event(tx, "job-changed", NULL, id, NULL, NULL, data, e);
}

int jobs_claim(struct db *tx, const char *station, const char *kind, struct job *ret, struct err *e)
{
	SELECT(next,
		"SELECT " STRUCT_COLUMNS " FROM jobs WHERE state IN ('queued', 'running')"
		" AND (?2 IS NULL OR kind = ?2)"
		" AND (affinity = '[]' OR EXISTS (SELECT 1 FROM json_each(affinity)"
		" WHERE json_each.value = ?1))"
		" AND passed + (SELECT count(*) FROM runs INDEXED BY runs_open WHERE runs.job_id = "
		"jobs.id"
		" AND runs.state = 'open' AND runs.kind = jobs.kind) < quantity"
		" ORDER BY priority DESC, deadline IS NULL, deadline, created_at, id LIMIT 1",
		struct_columns);
	struct job j = {0};
	int r = select_one(tx, e, &next, &j, station, kind);

	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no job waits for station %s", station);
	r = 0;
	if (!strcmp(j.state, "queued")) {
		r = put_state(tx, j.id, "running", NULL, e);
		snprintf(j.state, sizeof j.state, "running");
		j.revision++;
	}
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
static int end_if_stopped(struct db *tx, const struct job *j, struct err *e)
{
	int64_t open = 0;
	int r = open_runs(tx, j->id, &open, e);

	return r == 0 && open == 0 ? put_state(tx, j->id, "done", NULL, e) : r;
}

int jobs_set_state(struct db *tx, const char *id, const char *state, int64_t revision,
	const char *by, struct err *e)
{
	struct job j = {0};
	bool allowed = false;
	int r = jobs_find(tx, id, &j, e);

	if (r < 0)
		return r;
	r = check_revision(&j, revision, e);
	for (size_t i = 0; i < ARRAY_LEN(arrows); i++)
		allowed |= !strcmp(arrows[i].from, j.state) && !strcmp(arrows[i].to, state);
	if (r == 0 && !allowed)
		r = err_set(
			e, ERR_CONFLICT, "job %s is %s and cannot become %s", id, j.state, state);
	if (r == 0)
		r = put_state(tx, id, state, by, e);
	if (r == 0 && !strcmp(state, "stopping"))
		r = end_if_stopped(tx, &j, e);
	job_done(&j);
	return r;
}

int jobs_change(struct db *tx, const char *id, const struct job_change *c, int64_t revision,
	const char *by, struct err *e)
{
	static const char sql[] =
		"UPDATE jobs SET priority = CASE WHEN ?2 THEN ?3 ELSE priority END,"
		" quantity = CASE WHEN ?4 THEN ?5 ELSE quantity END,"
		" affinity = coalesce(?6, affinity),"
		" deadline = CASE WHEN ?7 THEN nullif(?8, 0) ELSE deadline END,"
		" updated_at = ?9, revision = revision + 1 WHERE id = ?1";
	struct job j = {0};
	int r = jobs_find(tx, id, &j, e);

	if (r < 0)
		return r;
	r = check_revision(&j, revision, e);
	if (r == 0 && is_end(j.state))
		r = err_set(e, ERR_CONFLICT, "job %s is %s", id, j.state);
	if (r == 0 && c->quantity && *c->quantity < MAX(j.passed, 1))
		r = err_set(
			e, ERR_INVALID, "job %s has %lld units already", id, (long long)j.passed);
	job_done(&j);
	if (r == 0)
		r = db_run(tx, e, sql, id, (int64_t)(c->priority != NULL),
			c->priority ? *c->priority : 0, (int64_t)(c->quantity != NULL),
			c->quantity ? *c->quantity : 0, c->affinity,
			(int64_t)(c->deadline_ms != NULL), c->deadline_ms ? *c->deadline_ms : 0,
			wall_ms());
	if (r < 0)
		return r;
	return db_event(tx, "job-changed", NULL, id, NULL, NULL, json_pack("{s:s}", "by", by), e);
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

int jobs_count_run(struct db *tx, const char *id, const char *outcome, struct err *e)
{
	struct job j = {0};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(counters) && r == 0; i++)
		if (!strcmp(counters[i].outcome, outcome))
			r = db_run_one(tx, e, "that job", counters[i].sql, wall_ms(), id);
	if (r == 0)
		r = jobs_find(tx, id, &j, e);
	if (r < 0)
		return r;
	if (!is_end(j.state) && j.passed >= j.quantity)
		r = put_state(tx, id, "done", NULL, e);
	else if (!strcmp(j.state, "stopping"))
		r = end_if_stopped(tx, &j, e);
	job_done(&j);
	return r;
}

int jobs_find(struct db *d, const char *id, struct job *ret, struct err *e)
{
	SELECT(find, "SELECT " STRUCT_COLUMNS " FROM jobs WHERE id = ?", struct_columns);
	int r = select_one(d, e, &find, ret, id);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no job '%s'", id);
	return MIN(r, 0);
}

#define COLUMNS                                                                                      \
	"created_at, id, kind, recipe, version, recipe_sha256, quantity, priority, state, affinity," \
	" params, serial_source, external_ref, deadline, passed, failed, errors, aborted,"           \
	" interrupted, (SELECT count(*) FROM runs INDEXED BY runs_open WHERE runs.job_id = "         \
	"jobs.id AND runs.state ="                                                                   \
	" 'open') AS open, created_by, updated_at, finished_at, revision, " TRACE_OF_JOBS

static const struct column columns[] = {{"created_at", AS_TIME}, {"id", AS_TEXT}, {"kind", AS_TEXT},
	{"recipe", AS_TEXT}, {"version", AS_INT}, {"recipe_sha256", AS_TEXT}, {"quantity", AS_INT},
	{"priority", AS_INT}, {"state", AS_TEXT}, {"affinity", AS_JSON}, {"params", AS_JSON},
	{"serial_source", AS_JSON}, {"external_ref", AS_TEXT}, {"deadline", AS_TIME},
	{"passed", AS_INT}, {"failed", AS_INT}, {"errors", AS_INT}, {"aborted", AS_INT},
	{"interrupted", AS_INT}, {"open", AS_INT}, {"created_by", AS_TEXT}, {"updated_at", AS_TIME},
	{"finished_at", AS_TIME}, {"revision", AS_INT}, {"traceparent", AS_TEXT}, {0}};

int jobs_get(struct db *d, const char *id, json_t **ret, struct err *e)
{
	SELECT(get, "SELECT " COLUMNS " FROM jobs WHERE id = ?", columns);

	return db_one_json(d, e, "job", &get, ret, id);
}

int jobs_list(struct db *d, const char *state, const char *external_ref, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	SELECT(list, "SELECT " COLUMNS " FROM jobs", columns);
	static const struct keyset order = {"created_at", "id", false};
	struct sel s;

	sel_init(&s, &list);
	sel_str(&s, "state = ?", state);
	sel_str(&s, "external_ref = ?", external_ref);
	return sel_page(&s, d, &order, page, ret, e);
}
