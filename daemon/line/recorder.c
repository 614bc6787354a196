/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/recorder.h"

#include "base/util.h"
#include "daemon/line/interlock.h"
#include "daemon/line/meters.h"
#include "daemon/line/records.h"
#include "daemon/line/route_check.h"
#include "daemon/line/run_log.h"
#include "daemon/line/serial_policy.h"
#include "daemon/line/services.h"
#include "daemon/recipe/later.h"
#include "db/artifacts.h"
#include "db/attachments.h"
#include "db/journal.h"
#include "db/ledger.h"
#include "db/outbox.h"
#include "db/prompts.h"
#include "db/runs.h"
#include "db/traces.h"
#include "db/units.h"
#include "db/wear.h"
#include "db/writer.h"

struct taken {
	int64_t step_n, k; /* k: within its step, from 1 */
	char *name;
	bool is_number, has_low, has_high;
	double value, low, high;
	char *text, *unit;
	json_t *detail;
	char verdict[12];
};

struct recorder {
	const struct line_services *line;
	const struct station_config *station; /* lives as long as the station */
	char run_id[UUID_SIZE];
	uint64_t begun_us;
	struct job_claim claim;
	struct trace_context trace; /* id "": none */
	json_t *firmware;
	json_t *names;			/* of its artifacts, by their digests */
	char serial[UNIT_SERIAL_BYTES]; /* that the run has; "" none yet */
	struct run_log *log;
	/* What the next step_end brings to disk with it: */
	struct taken *taken;
	size_t takens;
	/* Of the step that was begun last: */
	int64_t step_n;
	const struct action *action;
	char *intended;	    /* an act happened: goes with the step's end; NULL */
	int64_t intended_n; /* of that step, which may not be the last one any more */
	bool proven;	    /* a golden unit passed, and ended the quarantine */
};

static int do_write(struct recorder *r, int (*apply)(struct db *, void *, struct err *), void *data,
	struct err *e)
{
	return writer_do(r->line->writer, apply, data, e);
}

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
		err = do_write(r, apply_open, &n, e);
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
		ret = do_write(r, apply_begin, b, e);
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
	int ret = do_write(r, apply_end, &n, e);

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

	return do_write(data, apply_expose, &n, e);
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
	ret = do_write(r, apply_close, &n, e);
	config_unref(c);
	flushed(r, ret == 0);
	r->proven = ret == 0 && n.proven;
	if (ret == 0)
		meters_run(r->line->meters, r->station->id, r->claim.recipe->name,
			outcome_str(res->outcome), res->code, now_us() - r->begun_us);
	return ret;
}

/* --- what a step asks for --- */

_Static_assert(
	LEDGER_VALUE_SIZE == UNIT_SERIAL_BYTES, "a serial number of the ledger is one of a unit");
_Static_assert(DB_ID_SIZE == RECORD_ID_BYTES, "an id of the database is one of the records");

/* What is found out about the unit of an order's list, in a transaction that may still be undone. */
struct found_note {
	struct job_row row;
	bool changed;
};

/* serial, chip: as job_units_match(). */
static int match_row(struct recorder *r, struct db *tx, const char *serial, const char *chip,
	struct found_note *ret, struct err *e)
{
	int k;

	job_row_done(&ret->row);
	ret->changed = false;
	if (!r->claim.listed)
		return 0;
	k = job_units_match(tx, r->claim.job_id, r->run_id, serial, chip, &ret->row, e);
	ret->changed = k > 0;
	return k > 0 ? runs_set_params(tx, r->run_id, ret->row.params, e) : k;
}

/* After its commit. */
static void found_row(struct recorder *r, struct found_note *n, bool committed)
{
	if (n->changed && committed)
		job_claim_row(&r->claim, &n->row);
	job_row_done(&n->row);
}

/* The number of a unit that is listed is that of its row, wherever the recipe takes numbers from. */
static int list_source(const struct recorder *r, const struct found_note *n,
	struct ledger_source *s, struct err *e)
{
	const char *serial = n->changed ? n->row.serial : r->claim.serial;

	if (!r->claim.listed || s->from != LEDGER_JOB)
		return 0;
	if (!serial[0])
		return err_set(e, ERR_SERIAL_CONFLICT,
			"order %s has a list, and this unit is not recognised as one of it: its chip or serial number must be read before",
			r->claim.job_id);
	s->value = serial;
	return 0;
}

struct serial_note {
	struct recorder *r;
	const char *kind, *value;
	struct found_note found;
	char out[LEDGER_VALUE_SIZE];
};

static int apply_serial(struct db *tx, void *data, struct err *e)
{
	struct serial_note *n = data;
	struct ledger_source s;
	struct err clock;
	int r = serial_policy_source(n->r->claim.recipe, n->kind, n->value,
		records_wall(n->r->line->records), &clock, &s, e);

	if (r < 0)
		return r;
	/* A golden unit keeps its number, and passes with it again and again. */
	if (n->r->claim.golden) {
		snprintf(n->out, sizeof n->out, "%s", n->value);
		return units_recognise(tx, n->r->run_id, n->value, n->r->claim.recipe->model, e);
	}
	if (n->value)
		r = match_row(n->r, tx, n->value, NULL, &n->found, e);
	if (r == 0)
		r = list_source(n->r, &n->found, &s, e);
	if (r < 0)
		return r;
	return ledger_reserve(tx, n->r->run_id, &s, n->out, e);
}

int recorder_serial(struct recorder *r, const char *kind, const char *value,
	char ret[UNIT_SERIAL_BYTES], struct err *e)
{
	struct serial_note n = {.r = r, .kind = kind, .value = value};
	int err = 0;

	if (kind || !r->serial[0]) {
		err = do_write(r, apply_serial, &n, e);
		found_row(r, &n.found, err == 0);
		if (err == 0)
			snprintf(r->serial, sizeof r->serial, "%s", n.out);
	}
	if (err == 0)
		snprintf(ret, UNIT_SERIAL_BYTES, "%s", r->serial);
	return err;
}

struct values_note {
	struct recorder *r;
	const char *serial; /* that was scanned; NULL */
	const json_t *wanted;
	struct found_note found;
	char lease[UUID_SIZE];
	json_t *out;
};

/* One source for each: the serial number first, where the recipe has one. */
static int value_sources(const struct values_note *n, struct ledger_source *ret, size_t *ret_n,
	struct err *clock, struct err *e)
{
	const struct recipe *recipe = n->r->claim.recipe;
	struct wall *wall = records_wall(n->r->line->records);
	const char *name;
	json_t *v;
	size_t i = 0;
	int r = 0;

	if (!n->serial && n->r->serial[0]) /* an earlier step gave it */
		ret[i++] = (struct ledger_source){
			.from = LEDGER_SCAN, .kind = "serial", .value = n->r->serial};
	else if (n->serial || recipe->serial_source != SERIAL_NONE)
		r = serial_policy_source(
			recipe, n->serial ? "scan" : NULL, n->serial, wall, clock, &ret[i++], e);
	json_object_foreach((json_t *)n->wanted, name, v)
		ret[i++] = serial_policy_value(
			recipe, name, json_string_value(json_object_get(v, "pool")), wall, clock);
	*ret_n = i;
	return r;
}

static int apply_values(struct db *tx, void *data, struct err *e)
{
	struct values_note *n = data;
	size_t most = json_object_size(n->wanted) + 1, count = 0;
	struct ledger_source *source = xcalloc(most, sizeof *source);
	char(*value)[LEDGER_VALUE_SIZE] = xcalloc(most, sizeof *value);
	struct err clock;
	int r = n->serial ? match_row(n->r, tx, n->serial, NULL, &n->found, e) : 0;

	if (r == 0)
		r = value_sources(n, source, &count, &clock, e);
	if (r == 0 && count > 0)
		r = list_source(n->r, &n->found, &source[0], e);
	if (r == 0)
		r = ledger_reserve_set(tx, n->r->run_id, source, count, n->lease, value, e);
	json_object_clear(n->out);
	for (size_t i = 0; i < count && r == 0; i++)
		json_object_set_new(
			n->out, source[i].slot ? source[i].slot : "serial", json_string(value[i]));
	free(source);
	free(value);
	return r;
}

int recorder_values(
	struct recorder *r, const char *serial, const json_t *wanted, json_t **ret, struct err *e)
{
	struct values_note n = {.r = r, .serial = serial, .wanted = wanted, .out = json_object()};
	int err = do_write(r, apply_values, &n, e);

	found_row(r, &n.found, err == 0);

	const char *given = json_string_value(json_object_get(n.out, "serial"));

	if (err < 0) {
		json_decref(n.out);
		return err;
	}
	if (given)
		snprintf(r->serial, sizeof r->serial, "%s", given);
	json_object_set_new(n.out, "lease", json_string(n.lease));
	*ret = n.out;
	return 0;
}

struct identity_note {
	struct recorder *r;
	const char *value;
	struct found_note found;
	struct err worn; /* code ERR_NONE: it is not */
};

/* What the run knows of its unit stays on record: the refusal comes after that. */
static int check_wear(
	struct identity_note *n, struct db *tx, const char *unit, const char *serial, struct err *e)
{
	struct recorder *r = n->r;
	struct config *c = r->line->config(r->line->line);
	const struct wear_config *w = &c->interlocks.wear;
	struct fixture_facts facts;
	struct wear worst;
	int ret = w->endurance && !r->claim.golden ? wear_worst(tx, unit, &worst, e) : 0;

	if (ret > 0) {
		ret = fixtures_facts(tx, r->station->fixture, r->station->id, 0, &facts, e);
		if (ret == 0)
			interlocks_worn(&c->interlocks, &facts.release[INTERLOCK_WEAR],
				*serial ? serial : n->value, worst.region, worst.erases, wall_ms(),
				&n->worn);
	}
	config_unref(c);
	return ret;
}

static int apply_identity(struct db *tx, void *data, struct err *e)
{
	struct identity_note *n = data;
	char unit[DB_ID_SIZE];

	char serial[LEDGER_VALUE_SIZE] = "";
	int r = units_identify(tx, n->r->run_id, n->value, n->r->claim.recipe->model, unit, e);

	if (r == 0)
		r = units_serial(tx, unit, serial, e);
	if (r == 0)
		r = match_row(n->r, tx, serial[0] ? serial : NULL, n->value, &n->found, e);
	return r < 0 ? r : check_wear(n, tx, unit, serial, e);
}

int recorder_identity(struct recorder *r, const char *value, struct err *e)
{
	struct identity_note n = {.r = r, .value = value};
	int err = do_write(r, apply_identity, &n, e);

	found_row(r, &n.found, err == 0);
	return err == 0 && n.worn.code != ERR_NONE ? err_set(e, n.worn.code, "%s", n.worn.msg)
						   : err;
}

struct route_note {
	struct recorder *r;
	const struct route_answer *answer;
};

static int apply_route(struct db *tx, void *data, struct err *e)
{
	const struct route_note *n = data;
	const struct job_claim *c = &n->r->claim;
	const struct route_answer *a = n->answer;
	int r = db_event(tx, "route-checked", n->r->station->id, c->job_id, n->r->run_id,
		c->serial[0]	  ? c->serial
		: n->r->serial[0] ? n->r->serial
				  : NULL,
		json_pack("{s:s, s:b, s:s*, s:s, s:s, s:s*}", "result",
			route_verdict_str(a->verdict), "answered", a->answered, "code",
			a->answered ? NULL : route_code_str(a->code), "service", c->route.service,
			"reason", a->reason, "number", c->number[0] ? c->number : NULL),
		e);

	if (r == 0 && a->verdict == ROUTE_HOLD)
		r = job_units_hold(tx, n->r->run_id, a->reason, e);
	if (r == 0 && a->verdict == ROUTE_REJECT)
		r = job_units_reject(tx, n->r->run_id, a->reason, e);
	return r;
}

int recorder_route(struct recorder *r, const struct route_answer *a, struct err *e)
{
	struct route_note n = {r, a};

	return do_write(r, apply_route, &n, e);
}

struct attach_note {
	const struct recorder *r;
	const struct attach_file *file;
	const char *media;
	struct attachment_limits max;
};

static int apply_attach(struct db *tx, void *data, struct err *e)
{
	const struct attach_note *n = data;
	const struct attachment a = {.run = n->r->run_id,
		.step_n = n->r->step_n,
		.name = n->file->name,
		.sha256 = n->file->sha256,
		.bytes = (int64_t)n->file->bytes,
		.media = n->media};

	return attachments_add(tx, &a, &n->max, e);
}

int recorder_attach(
	struct recorder *r, const struct attach_file *f, const char *media, struct err *e)
{
	struct config *c = r->line->config(r->line->line);
	struct attach_note n = {r, f, media,
		{(int64_t)c->attachments.file_max, (int64_t)c->attachments.run_max,
			(int64_t)c->attachments.quota}};

	config_unref(c);
	return do_write(r, apply_attach, &n, e);
}

struct intend_note {
	struct recorder *r;
	const struct intent *intent;
	const struct observation *seen;
	struct journal_open open;
};

static enum journal_seen seen_of(enum observed o)
{
	switch (o) {
	case OBSERVED_BLANK:
		return JOURNAL_NOT_DONE;
	case OBSERVED_DONE:
		return JOURNAL_DONE;
	case OBSERVED_HALF:
		return JOURNAL_HALF;
	case OBSERVED_CLOSED:
		return JOURNAL_CLOSED;
	case OBSERVED_UNKNOWN:
		break;
	}
	return JOURNAL_CANNOT_TELL;
}

static int apply_intend(struct db *tx, void *data, struct err *e)
{
	struct intend_note *n = data;
	const struct journal_intent i = {
		.run = n->r->run_id,
		.step_n = n->r->step_n,
		.station = n->r->station->id,
		.action = n->r->action->name,
		.unit = n->intent->unit,
		.what = n->intent->what,
		.digest = n->intent->digest,
		.for_good = n->intent->for_good,
		.seen = seen_of(n->seen->state),
		.observed = n->seen->said,
	};

	return journal_intend(tx, &i, &n->open, e);
}

int recorder_intend(struct recorder *r, const struct intent *i, const struct observation *seen,
	struct earlier_intent *ret, struct err *e)
{
	struct intend_note n = {.r = r, .intent = i, .seen = seen};
	int err = do_write(r, apply_intend, &n, e);

	if (err < 0)
		return err;
	snprintf(ret->run, sizeof ret->run, "%s", n.open.run);
	snprintf(ret->unit, sizeof ret->unit, "%s", n.open.unit);
	ret->committed = n.open.committed;
	ret->other = n.open.other;
	return 0;
}

void recorder_intended(struct recorder *r, const char *evidence)
{
	free(r->intended);
	r->intended = xstrdup(evidence);
	r->intended_n = r->step_n;
}

struct prompt_note {
	struct recorder *r;
	const struct prompt *p;
	json_t *choices;
	const char *id;
};

static int apply_prompt_open(struct db *tx, void *data, struct err *e)
{
	const struct prompt_note *n = data;
	const struct prompt_new p = {
		.id = n->id,
		.run = n->r->run_id,
		.station = n->r->station->id,
		.kind = n->p->kind,
		.text = n->p->text,
		.choices = n->choices,
		.pattern = n->p->pattern,
		.approval = n->p->approval,
		.picture = n->p->picture,
		.picture_text = n->p->picture_text,
	};

	return prompts_ask(tx, &p, e);
}

int recorder_prompt_open(
	struct recorder *r, const struct prompt *p, char ret_id[UUID_SIZE], struct err *e)
{
	struct prompt_note n = {.r = r, .p = p, .id = uuid7(ret_id)};
	int err;

	if (p->choices) {
		n.choices = json_array();
		for (const char *const *c = p->choices; *c; c++)
			json_array_append_new(n.choices, json_string(*c));
	}
	err = do_write(r, apply_prompt_open, &n, e);
	json_decref(n.choices);
	return err;
}

static int apply_prompt_cancel(struct db *tx, void *data, struct err *e)
{
	return prompts_cancel(tx, data, e);
}

int recorder_prompt_cancel(struct recorder *r, const char *id, struct err *e)
{
	return do_write(r, apply_prompt_cancel, (void *)id, e);
}
