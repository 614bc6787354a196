/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/recorder_impl.h"

#include "base/util.h"
#include "daemon/line/interlock.h"
#include "daemon/line/meters.h"
#include "daemon/line/records.h"
#include "daemon/line/run_log.h"
#include "daemon/line/serial_policy.h"
#include "daemon/recipe/later.h"
#include "db/artifacts.h"
#include "db/journal.h"
#include "db/outbox.h"
#include "db/runs.h"
#include "db/traces.h"

/* --- open --- */

static json_t *firmware_of(const struct job_claim *c)
{
	const json_t *artifacts = json_object_get(c->recipe->json, "artifacts");
	json_t *o = json_object();

	if (artifacts)
		json_object_set_new(
			o, "artifacts", json_deep_copy(artifacts)); /* the recipe is shared */
	return o;
}

/* In the transaction that opens the run: a connection for each step would be one for each station
 * at a time. What is not there is the preflight's to say. */
static void read_names(struct recorder *r, struct db *tx)
{
	const json_t *artifacts = json_object_get(r->claim.recipe->json, "artifacts");
	const char *key;
	json_t *v;

	r->names = json_object();
	json_object_foreach((json_t *)artifacts, key, v) {
		char name[STEP_NAME_BYTES];

		if (artifacts_name(tx, json_string_value(v), name, sizeof name, NULL) == 0)
			json_object_set_new(r->names, json_string_value(v), json_string(name));
	}
}

int recorder_artifact_name(
	const struct recorder *r, const char *sha256, char *ret, size_t size, struct err *e)
{
	const char *name = json_string_value(json_object_get(r->names, sha256));

	if (!name)
		return err_set(e, ERR_NOT_FOUND, "there is no artifact %s", sha256);
	snprintf(ret, size, "%s", name);
	return 0;
}

struct open_note {
	struct recorder *r;
	const struct config *config;
	const struct station_row *row;
	const json_t *marks;
	struct job_row unit; /* of the order's list */
};

/* The next job for the station; where an interlock blocks it, one for golden units, or none. */
static int take_job(const struct open_note *n, struct db *tx, struct err *e)
{
	const struct interlocks_config *c = &n->config->interlocks;
	struct recorder *r = n->r;
	struct fixture_facts facts;
	struct interlocks judged;
	struct err why;
	int ret = fixtures_facts(
		tx, r->station->fixture, r->station->id, interlocks_recent(c), &facts, e);
	bool blocked;

	if (ret == 0)
		ret = fixtures_instruments(
			tx, r->station->instrument, r->station->instruments, &facts, e);

	if (ret < 0)
		return ret;
	interlocks_judge(c, &facts, wall_ms(), &judged);
	blocked = interlocks_check(&judged, &why) < 0;
	if (!strcmp(n->row->held, "quarantined")) {
		blocked = true;
		err_set(&why, ERR_INTERLOCK,
			"%.180s. Until then a golden unit alone is run here: order one (kind: golden)",
			n->row->message);
	}
	ret = orders_take(r->line->orders, tx, r->station, blocked, n->marks, &r->claim, e);
	if (blocked && ret == -ERR_NOT_FOUND)
		return err_set(e, why.code, "%s", why.msg);
	return ret < 0 ? ret : fixtures_contact(tx, r->station->fixture, e);
}

/* The unit's row of the order's list, and what the run works with. */
static int take_row(struct open_note *n, struct db *tx, struct err *e)
{
	struct recorder *r = n->r;
	int ret = r->claim.listed
			  ? job_units_take(tx, r->claim.job_id, r->run_id, n->marks, &n->unit, e)
			  : 0;

	if (ret > 0)
		job_claim_row(&r->claim, &n->unit);
	job_row_done(&n->unit);
	return MIN(ret, 0);
}

static int apply_open(struct db *tx, void *data, struct err *e)
{
	struct open_note *n = data;
	struct recorder *r = n->r;
	int ret = take_job(n, tx, e);

	if (ret == 0)
		ret = serial_policy_check(r->claim.recipe, tx, records_wall(r->line->records), e);
	if (ret == 0)
		ret = MIN(traces_of_job(tx, r->claim.job_id, &r->trace, e), 0);
	if (ret < 0)
		return ret;
	r->firmware = firmware_of(&r->claim);
	read_names(r, tx);

	const struct run_new run = {.id = r->run_id,
		.station = r->station->id,
		.fixture = r->station->fixture,
		.kind = r->claim.golden ? "golden" : NULL,
		.attached_ms = wall_ms()};
	ret = runs_open(tx, &run, e);
	if (ret == 0)
		ret = take_row(n, tx, e);
	if (ret == 0)
		ret = stations_put(tx, r->station->id, n->row, NULL, NULL, e);
	if (ret < 0)
		return ret;

	const struct run_start s = {
		.run = r->run_id,
		.job = r->claim.job_id,
		.recipe = r->claim.recipe->name,
		.version = r->claim.recipe->version,
		.recipe_sha256 = r->claim.recipe->sha256,
		.model = r->claim.recipe->model,
		.params = r->claim.params,
		.firmware = r->firmware,
		.started_ms = run.attached_ms,
	};

	return runs_start(tx, &s, e);
}

static void begin_log(struct recorder *r)
{
	struct config *c = r->line->config(r->line->line);
	const struct run_log_limits max = {c->run_log_lines, c->run_log_max_bytes};

	r->log = run_log_new(r->line->writer, r->line->feed, r->run_id, r->station->id, &max);
	config_unref(c);
}

int recorder_open(const struct line_services *line, const struct station_config *station,
	const struct station_row *row, const json_t *marks, struct recorder **ret, struct err *e)
{
	struct recorder *r = xcalloc(1, sizeof *r);
	struct open_note n = {.r = r, .row = row, .marks = marks};
	struct config *c;
	int err;

	r->line = line;
	r->station = station;
	r->begun_us = now_us();
	uuid7(r->run_id);
	err = holds_check(line->holds, HOLD_STOPS_RUNS, e);
	if (err == 0)
		err = disk_check(records_disk(line->records), 0, e);
	c = line->config(line->line);
	n.config = c;
	if (err == 0)
		err = recorder_write(r, apply_open, &n, e);
	config_unref(c);
	if (err < 0) {
		recorder_free(r);
		return err;
	}
	begin_log(r);
	*ret = r;
	return 0;
}

const char *recorder_run_id(const struct recorder *r)
{
	return r->run_id;
}

const struct trace_context *recorder_trace(const struct recorder *r)
{
	return r->trace.id[0] ? &r->trace : NULL;
}

int64_t recorder_step_n(const struct recorder *r)
{
	return r->step_n;
}

const struct job_claim *recorder_claim(const struct recorder *r)
{
	return &r->claim;
}

static void drop_pending(struct recorder *r)
{
	for (size_t i = 0; i < r->takens; i++) {
		free(r->taken[i].name);
		free(r->taken[i].text);
		free(r->taken[i].unit);
		json_decref(r->taken[i].detail);
	}
	r->takens = 0;
	free(r->intended);
	r->intended = NULL;
}

struct recorder *recorder_free(struct recorder *r)
{
	if (!r)
		return NULL;
	drop_pending(r);
	run_log_free(r->log);
	free(r->taken);
	job_claim_done(&r->claim);
	json_decref(r->firmware);
	json_decref(r->names);
	free(r);
	return NULL;
}

/* --- log and measurements --- */

void recorder_log(struct recorder *r, char dir, const char *text)
{
	run_log_add(r->log, dir, text);
}

static int measured(void *data, const struct step_record *rec, const struct measurement *m,
	const char *verdict, struct err *e)
{
	struct recorder *r = data;
	struct taken *grown = reallocarray(r->taken, r->takens + 1, sizeof *grown);
	struct taken *t;

	if (!grown)
		abort();
	r->taken = grown;
	t = &grown[r->takens++];
	*t = (struct taken){
		.step_n = rec->n,
		.k = t > grown && t[-1].step_n == rec->n ? t[-1].k + 1 : 1,
		.name = xstrdup(m->name),
		.is_number = m->is_number,
		.value = m->value,
		.has_low = m->has_low,
		.low = m->low,
		.has_high = m->has_high,
		.high = m->high,
		.text = m->text ? xstrdup(m->text) : NULL,
		.unit = m->unit ? xstrdup(m->unit) : NULL,
		.detail = json_deep_copy(m->detail),
	};
	snprintf(t->verdict, sizeof t->verdict, "%s", verdict);
	return 0;
}

/* Each goes to its own step, also where that step's end could not be recorded. */
static int flush_pending(struct recorder *r, struct db *tx, struct err *e)
{
	for (size_t i = 0; i < r->takens; i++) {
		const struct taken *t = &r->taken[i];
		const struct measured m = {
			.run = r->run_id,
			.step_n = t->step_n,
			.k = t->k,
			.name = t->name,
			.value = t->is_number ? &t->value : NULL,
			.text = t->text,
			.unit = t->unit,
			.detail = t->detail,
			.low = t->has_low ? &t->low : NULL,
			.high = t->has_high ? &t->high : NULL,
			.verdict = t->verdict,
		};
		int ret = runs_measure(tx, &m, e);

		if (ret < 0)
			return ret;
	}
	if (r->intended) {
		int ret = journal_commit(tx, r->run_id, r->intended_n, r->intended, e);

		if (ret < 0)
			return ret;
	}
	return run_log_write(r->log, tx, e);
}

static void flushed(struct recorder *r, bool committed)
{
	run_log_written(r->log, committed);
	if (committed)
		drop_pending(r);
}

/* --- steps --- */

/* Nobody waits for it, so it has copies of its own. */
struct begin_note {
	char run[UUID_SIZE];
	char id[STEP_ID_BYTES], action[ACTION_NAME_BYTES], phase[12];
	int64_t n, attempt, started_ms;
	bool irreversible;
	bool first; /* of a unit of a list */
};

/* Of what nobody waits for. A failed beginning of a step shows itself at its end, which then has no
 * row to close. */
static void note_told(void *data, int result, const struct err *err)
{
	free(data);
}

static int apply_begin(struct db *tx, void *data, struct err *e)
{
	const struct begin_note *b = data;
	const struct step_begin s = {b->run, b->n, b->id, b->action, b->phase, b->attempt,
		b->irreversible, b->started_ms};

	int r = b->first ? job_units_begun(tx, b->run, e) : 0;

	return r < 0 ? r : runs_step_begin(tx, &s, e);
}

static int step_begin(void *data, const struct step_record *rec, struct err *e)
{
	struct recorder *r = data;
	struct begin_note *b = xcalloc(1, sizeof *b);
	bool irreversible = rec->step->action->flags & ACTION_IRREVERSIBLE;
	int ret;

	r->step_n = rec->n;
	r->action = rec->step->action;
	snprintf(b->run, sizeof b->run, "%s", r->run_id);
	snprintf(b->id, sizeof b->id, "%s", rec->step->id);
	snprintf(b->action, sizeof b->action, "%s", rec->step->action->name);
	snprintf(b->phase, sizeof b->phase, "%s", step_phase_str(rec->phase));
	b->n = rec->n;
	b->attempt = rec->attempt;
	b->started_ms = wall_ms();
	b->irreversible = irreversible;
	b->first = r->claim.listed && rec->n == 1;
	if (irreversible) {
		/* The intent is on disk before the act. */
		ret = recorder_write(r, apply_begin, b, e);
		free(b);
		return ret;
	}
	ret = writer_submit(r->line->writer, apply_begin, b, note_told, e);
	if (ret < 0)
		free(b);
	return ret;
}

struct end_note {
	struct recorder *r;
	const struct step_record *rec;
};

/* What the unit said of its firmware in this step; NULL for nothing. */
static json_t *version_said(const struct recorder *r, const struct step_record *rec)
{
	const struct recipe *recipe = r->claim.recipe;
	json_t *v;

	if (!recipe->firmware_step || rec->outcome != OUTCOME_PASSED ||
		strcmp(recipe->firmware_step, rec->step->id) != 0)
		return NULL;
	v = json_object_get(rec->outputs, recipe->firmware_output);
	return json_is_string(v) && json_string_length(v) ? v : NULL;
}

/* What is to be told later, with the end that says so. */
static int keep_for_later(
	struct db *tx, const struct recorder *r, const struct step_record *rec, struct err *e)
{
	_cleanup_(freep) char *key = xasprintf("%s/%u", r->run_id, rec->n);
	const char *target = later_target(rec->step->action, rec->later);
	const struct outbox_new n = {.kind = OUTBOX_KIND_STEP,
		.key = key,
		.target = target,
		.payload = rec->later,
		.run = r->run_id,
		.step_n = rec->n};

	return target ? outbox_add(tx, &n, e)
		      : err_set(e, ERR_INTERNAL, "step '%s' names no service", rec->step->id);
}

static int apply_end(struct db *tx, void *data, struct err *e)
{
	const struct end_note *n = data;
	const struct step_record *rec = n->rec;
	const struct step_end s = {
		.run = n->r->run_id,
		.n = rec->n,
		.outcome = outcome_str(rec->outcome),
		.code = err_code_str(rec->code),
		.message = rec->message[0] ? rec->message : NULL,
		.evidence = rec->evidence,
		.outputs = rec->outputs,
		.ended_ms = wall_ms(),
		.duration_us = (int64_t)rec->duration_us,
	};
	json_t *version = version_said(n->r, rec);
	int ret = flush_pending(n->r, tx, e);

	if (ret == 0 && version) {
		json_object_set(n->r->firmware, "version", version);
		ret = runs_set_firmware(tx, n->r->run_id, n->r->firmware, e);
	}
	if (ret == 0 && rec->later)
		ret = keep_for_later(tx, n->r, rec, e);
	return ret < 0 ? ret : runs_step_end(tx, &s, e);
}

static int step_end(void *data, const struct step_record *rec, struct err *e)
{
	struct recorder *r = data;
	struct end_note n = {r, rec};
	int ret = recorder_write(r, apply_end, &n, e);

	flushed(r, ret == 0);
	meters_step(r->line->meters, r->station->id, rec->step->action->name,
		outcome_str(rec->outcome), rec->code, rec->duration_us);
	return ret;
}

struct expose_note {
	const struct recorder *r;
	const char *slot;
};

static int apply_expose(struct db *tx, void *data, struct err *e)
{
	const struct expose_note *n = data;

	return ledger_expose_slot(tx, n->r->run_id, n->slot, e);
}

static int expose(void *data, const char *slot, struct err *e)
{
	struct expose_note n = {data, slot};

	return recorder_write(data, apply_expose, &n, e);
}

struct runner_sink recorder_sink(struct recorder *r)
{
	return (struct runner_sink){r, step_begin, step_end, measured, expose};
}

/* --- close --- */

struct close_note {
	struct recorder *r;
	const struct config *config;
	const struct run_result *res;
	const struct station_row *row;
	bool proven;
};

/* A golden unit that is listed, and passed, ends a quarantine. */
static int put_row(struct close_note *n, struct db *tx, bool listed, struct err *e)
{
	struct station_row row = *n->row;
	const char *id = n->r->station->id;

	n->proven = listed && n->res->outcome == OUTCOME_PASSED && !strcmp(row.held, "quarantined");
	if (!n->proven)
		return stations_put(tx, id, &row, NULL, n->r->run_id, e);
	station_row_let_go(&row);
	return stations_put(tx, id, &row, "golden unit", n->r->run_id, e);
}

static int apply_close(struct db *tx, void *data, struct err *e)
{
	struct close_note *n = data;
	const struct run_result *res = n->res;
	const struct golden_config *golden = &n->config->interlocks.golden;
	const int64_t took_ms = (int64_t)((now_us() - n->r->begun_us) / US_PER_MS);
	const struct run_end end = {
		.run = n->r->run_id,
		.outcome = outcome_str(res->outcome),
		.code = err_code_str(res->code),
		.step = res->step[0] ? res->step : NULL,
		.message = res->message[0] ? res->message : NULL,
		.hint = res->code != ERR_NONE ? err_code_hint(res->code) : NULL,
		.ended_ms = wall_ms(),
		.duration_ms = &took_ms,
	};
	/* Lines that belong to no step (a preflight that failed), and what a step could not record.
	 */
	int ret = flush_pending(n->r, tx, e);

	if (ret == 0)
		ret = runs_finish(tx, &end, e);
	if (ret == 0 && n->r->claim.golden && interlocks_golden_on(golden))
		ret = fixtures_golden(tx, n->r->station->fixture, n->r->run_id, golden->units, e);
	return ret < 0 ? ret : put_row(n, tx, ret > 0, e);
}

bool recorder_has_proven(const struct recorder *r)
{
	return r->proven;
}

int recorder_close(struct recorder *r, const struct run_result *res, const struct station_row *row,
	struct err *e)
{
	struct config *c = r->line->config(r->line->line);
	struct close_note n = {r, c, res, row, false};
	int ret;

	run_log_end(r->log);
	ret = recorder_write(r, apply_close, &n, e);
	config_unref(c);
	flushed(r, ret == 0);
	r->proven = ret == 0 && n.proven;
	if (ret == 0)
		meters_run(r->line->meters, r->station->id, r->claim.recipe->name,
			outcome_str(res->outcome), res->code, now_us() - r->begun_us);
	return ret;
}
