/* SPDX-License-Identifier: Apache-2.0
 *
 * What a step of a run asks of the records, for its unit: numbers, who it is, acts that are for good, files, people.
 */
#include "daemon/line/recorder_impl.h"

#include "base/util.h"
#include "daemon/line/interlock.h"
#include "daemon/line/records.h"
#include "daemon/line/route_check.h"
#include "daemon/line/serial_policy.h"
#include "db/attachments.h"
#include "db/journal.h"
#include "db/ledger.h"
#include "db/prompts.h"
#include "db/runs.h"
#include "db/units.h"
#include "db/wear.h"

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
		err = recorder_write(r, apply_serial, &n, e);
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
	int err = recorder_write(r, apply_values, &n, e);

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
	int err = recorder_write(r, apply_identity, &n, e);

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

	return recorder_write(r, apply_route, &n, e);
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
	return recorder_write(r, apply_attach, &n, e);
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
	int err = recorder_write(r, apply_intend, &n, e);

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
	err = recorder_write(r, apply_prompt_open, &n, e);
	json_decref(n.choices);
	return err;
}

static int apply_prompt_cancel(struct db *tx, void *data, struct err *e)
{
	return prompts_cancel(tx, data, e);
}

int recorder_prompt_cancel(struct recorder *r, const char *id, struct err *e)
{
	return recorder_write(r, apply_prompt_cancel, (void *)id, e);
}
