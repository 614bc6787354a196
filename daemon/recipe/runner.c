/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/runner.h"

#include "base/util.h"
#include "daemon/recipe/later.h"
#include "daemon/recipe/args.h"

struct run {
	const struct runner *rn;
	struct iotime it;	   /* of the current phase */
	json_t *outputs;	   /* step id -> outputs */
	const struct frame *frame; /* where the names of the current step are looked up */
	struct run_result *res;	   /* the first failure stays */
	unsigned n;
	bool early; /* before the first step: what needs one, or a draw from a pool, has no value */
	json_t *exposed;		/* the slots whose values have left */
	bool once;			/* what the last attempt did is not done again */
	json_t *deferred;		/* ids of the steps that wait */
	const struct later_step *later; /* it is one that waited; NULL */
	struct service_said said;	/* in the last attempt */
	struct step_record *record;	/* the current one */
	char message[ERR_TEXT_BYTES];	/* of the last attempt that did not pass */
	char serial[UNIT_SERIAL_BYTES];
};

static const char *const outcome_name[] = {
	"passed", "failed", "error", "aborted", "interrupted", "skipped", "deferred"};

const char *outcome_str(enum outcome o)
{
	return outcome_name[o];
}

const char *run_outcome_str(enum outcome o, unsigned deferred)
{
	return o == OUTCOME_PASSED && deferred ? "provisioned" : outcome_str(o);
}

enum outcome outcome_from_str(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(outcome_name); i++)
		if (!strcmp(outcome_name[i], s))
			return (enum outcome)i;
	return OUTCOME_ERROR;
}

enum outcome outcome_of_code(enum err_code c)
{
	switch (err_code_class(c)) {
	case ERR_CLASS_NONE:
		return OUTCOME_PASSED;
	case ERR_CLASS_UNIT:
		return OUTCOME_FAILED;
	case ERR_CLASS_PERSON:
		return OUTCOME_ABORTED;
	case ERR_CLASS_LINE:
		break;
	}
	return OUTCOME_ERROR;
}

/* --- names: ${...} --- */

static int lookup_serial(struct run *run, json_t **ret, struct err *e)
{
	if (!run->serial[0]) {
		int r = run->rn->ops->serial(run->rn->env, NULL, NULL, run->serial, e);

		if (r < 0)
			return r;
	}
	*ret = json_string(run->serial);
	return 0;
}

static int lookup_secret(struct run *run, const char *name, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *value = NULL;
	int r;

	if (!run->rn->secret)
		return err_set(e, ERR_NOT_FOUND, "there is no secret '%s' here", name);
	r = run->rn->secret(run->rn->env, name, &value, e);
	if (r == 0)
		r = secret_set_add(run->rn->secrets, value, e);
	if (r == 0) {
		*ret = json_string(value);
		if (!*ret)
			r = err_set(e, ERR_INVALID, "secret '%s' is not valid UTF-8", name);
	}
	if (value)
		secret_wipe(value, strlen(value));
	return r;
}

static int lookup_in(
	const json_t *o, const char *path, const char *rest, json_t **ret, struct err *e)
{
	const char *dot = strchr(rest, '.');
	_cleanup_(freep) char *key = dot ? strndup(rest, (size_t)(dot - rest)) : xstrdup(rest);
	const json_t *v = json_object_get(o, key);

	if (v && dot)
		return lookup_in(v, path, dot + 1, ret, e);
	if (!v)
		return err_set(e, ERR_NOT_FOUND, "'${%s}' has no value here", path);
	/* A copy: the recipe is shared by all stations, and jansson counts references to what it
	 * shares without a barrier. */
	*ret = json_deep_copy(v);
	return 0;
}

static int lookup(void *data, const char *path, json_t **ret, struct err *e);

/* Of a part: as who uses it has written it, in the type that the part declares. */
static int lookup_param(struct run *run, const char *name, json_t **ret, struct err *e)
{
	const struct frame *here = run->frame, *part = frame_part(here);
	const struct scope scope = {.lookup = lookup, .data = run, .secrets = run->rn->secrets};
	const json_t *decl = json_object_get(json_object_get(part->part, "params"), name);
	const json_t *given = json_object_get(part->with, name);
	const char *text = json_string_value(given);
	json_t *v = NULL, *out;
	int r = 0;

	if (text) {
		run->frame = part->parent;
		r = template_eval(text, QUOTE_NONE, &scope, &v, e);
		run->frame = here;
	} else if (frame_param(part, name)) {
		v = json_deep_copy(frame_param(part, name));
	}
	if (r < 0)
		return r;
	out = json_object();
	r = recipe_param(name, decl, v, out, e);
	if (r == 0)
		*ret = json_deep_copy(json_object_get(out, name));
	json_decref(v);
	json_decref(out);
	return r < 0 ? err_prefix(e, "part '%s'", part->name) : 0;
}

/* What a part calls so is another name of the recipe. */
static int lookup_bound(struct run *run, const json_t *in, const char *path, const char *name,
	json_t **ret, struct err *e)
{
	const char *outer = !strncmp(path, "ports.", 6) ? frame_port(run->frame, name)
							: frame_artifact(run->frame, name);
	const json_t *v = outer ? json_object_get(in, outer) : NULL;

	if (!v)
		return err_set(e, ERR_NOT_FOUND, "'${%s}' has no value here", path);
	*ret = json_deep_copy(v);
	return 0;
}

/* ID.OUTPUT; the step of this turn and part comes before others of that name. */
static int lookup_output(
	struct run *run, const char *path, const char *rest, json_t **ret, struct err *e)
{
	const char *dot = strrchr(rest, '.');
	_cleanup_(freep) char *id = dot ? strndup(rest, (size_t)(dot - rest)) : xstrdup(rest);
	const json_t *seen = NULL, *v;
	char *ids[2];

	frame_ids(run->frame, id, ids);
	for (int i = 0; i < 2 && !seen; i++)
		seen = ids[i] ? json_object_get(run->outputs, ids[i]) : NULL;
	free(ids[0]);
	free(ids[1]);
	v = dot ? json_object_get(seen, dot + 1) : NULL;
	if (!v)
		return err_set(e, ERR_NOT_FOUND, "'${%s}' has no value here", path);
	*ret = json_deep_copy(v);
	return 0;
}

static int lookup(void *data, const char *path, json_t **ret, struct err *e)
{
	struct run *run = data;
	const struct runner *rn = run->rn;
	const char *dot = strchr(path, '.');
	const bool part = frame_part(run->frame) != NULL;

	if (frame_is_item(path))
		return frame_item(run->frame, path, ret, e);
	if (run->early && (!strncmp(path, "steps.", 6) || !strcmp(path, "unit.serial")))
		return err_set(e, ERR_NOT_FOUND, "'${%s}' has no value yet", path);
	if (!dot)
		return err_set(e, ERR_NOT_FOUND, "'${%s}' needs a name after it", path);
	if (!strcmp(path, "unit.serial"))
		return lookup_serial(run, ret, e);
	if (!strncmp(path, "secrets.", 8))
		return lookup_secret(run, dot + 1, ret, e);
	if (!strncmp(path, "params.", 7))
		return part ? lookup_param(run, dot + 1, ret, e)
			    : lookup_in(rn->params, path, dot + 1, ret, e);
	if (!strncmp(path, "artifacts.", 10))
		return lookup_bound(run, rn->artifacts, path, dot + 1, ret, e);
	if (!strncmp(path, "ports.", 6) && part)
		return lookup_bound(
			run, json_object_get(rn->context, "ports"), path, dot + 1, ret, e);
	if (!strncmp(path, "steps.", 6))
		return lookup_output(run, path, dot + 1, ret, e);
	return lookup_in(rn->context, path, path, ret, e);
}

/* --- one attempt --- */

/* Whether the number is a secret, digit for digit. */
static bool is_secret_number(const struct secret_set *s, double v)
{
	_cleanup_(freep) char *text = xasprintf("%.17g", v);
	_cleanup_(freep) char *masked = secret_mask(s, text);

	return !strcmp(masked, SECRET_MASK);
}

/* A deep copy in which no secret is left. */
static json_t *masked_copy(const struct secret_set *s, const json_t *j)
{
	const char *key;
	json_t *v;
	json_t *out;
	size_t i;

	if (json_is_string(j)) {
		_cleanup_(freep) char *m = secret_mask(s, json_string_value(j));

		return json_string(m);
	}
	if (json_is_number(j) && is_secret_number(s, json_number_value(j)))
		return json_string(SECRET_MASK);
	if (json_is_array(j)) {
		out = json_array();
		json_array_foreach((json_t *)j, i, v)
			json_array_append_new(out, masked_copy(s, v));
		return out;
	}
	if (json_is_object(j)) {
		out = json_object();
		json_object_foreach((json_t *)j, key, v) {
			_cleanup_(freep) char *m = secret_mask(s, key);

			json_object_set_new(out, m, masked_copy(s, v));
		}
		return out;
	}
	return json_incref((json_t *)j);
}

static int measured(void *data, const struct measurement *m, const char *verdict, struct err *e)
{
	struct run *run = data;
	const struct runner_sink *sink = run->rn->sink;
	const struct secret_set *secrets = run->rn->secrets;
	struct measurement copy = *m;
	_cleanup_(freep) char *masked = m->text ? secret_mask(secrets, m->text) : NULL;
	_cleanup_(freep) char *why = m->why ? secret_mask_cut(secrets, m->why) : NULL;

	json_t *detail;
	int r;

	copy.text = masked;
	copy.why = why;
	if (m->is_number &&
		(is_secret_number(secrets, m->value) || (masked && !strcmp(masked, SECRET_MASK))))
		return err_set(e, ERR_RECIPE_INVALID,
			"%s: the unit answered with a secret of the recipe, and records show what is measured",
			m->name);
	detail = m->detail ? masked_copy(secrets, m->detail) : NULL;
	copy.detail = detail;
	r = sink->measured ? sink->measured(sink->data, run->record, &copy, verdict, e) : 0;
	json_decref(detail);
	return r;
}

/* The act is on record as done by what the step shows of it. */
static int commit(struct step *s, const struct step_result *out, struct err *e)
{
	json_t *shown = out->evidence ? masked_copy(s->secrets, out->evidence) : json_object();
	_cleanup_(freep) char *text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(shown);
	return s->ops->intended(s->env, text, e);
}

/* What the step is about to send is on record first. */
static int expose(struct run *run, const struct recipe_step *st, struct err *e)
{
	const struct runner_sink *sink = run->rn->sink;
	int r = 0;

	for (size_t i = 0; i < st->slots && r == 0; i++) {
		if (json_object_get(run->exposed, st->slot[i]))
			continue;
		r = sink->expose ? sink->expose(sink->data, st->slot[i], e) : 0;
		if (r == 0)
			json_object_set_new(run->exposed, st->slot[i], json_true());
	}
	return r;
}

/* What the action brought and nobody may see is masked from here on; what cannot be is dropped. */
static int keep_secret_outputs(struct step *s, const struct step_result *out, struct err *e)
{
	int r = 0;

	for (const struct action_output *o = s->action->outputs; o && o->name; o++) {
		json_t *v = o->secret ? json_object_get(out->outputs, o->name) : NULL;

		if (!v)
			continue;
		if (r == 0)
			r = json_is_string(v) ? step_secret(s, json_string_value(v), e)
					      : err_set(e, ERR_INVALID, "a secret must be a text");
		if (r < 0) {
			err_prefix(e, "output '%s'", o->name);
			json_wipe(v);
			json_object_del(out->outputs, o->name);
		}
	}
	return r;
}

/* Runs the action and judges what it brought. */
static int act(
	struct run *run, const struct recipe_step *st, struct step_result *out, struct err *e)
{
	const struct runner *rn = run->rn;
	const struct scope scope = {.lookup = lookup, .data = run, .secrets = rn->secrets};
	struct args *args = NULL;
	json_t *saved;
	struct step s = {
		.id = st->id,
		.action = st->action,
		.teardown = run->record->phase == PHASE_TEARDOWN,
		.it = iotime_within(&run->it, st->timeout_us),
		.secrets = rn->secrets,
		.ops = rn->ops,
		.env = rn->env,
		.tell = rn->tell,
		.measured = measured,
		.measured_data = run,
		.attach = st->attach,
		.key = run->later ? run->later->key : NULL,
		.again = run->later && run->later->again,
	};
	bool passed;
	int kept;
	int r = iotime_check(&s.it, e);

	if (r == 0)
		r = args_new(st->action->args, st->with, &scope, &args, e);
	if (r == -ERR_INVALID || r == -ERR_NOT_FOUND) {
		/* The recipe passed its check, so a value that came in at run time is wrong. */
		if (e)
			e->code = ERR_RECIPE_INVALID;
		r = -ERR_RECIPE_INVALID;
	}
	if (r == 0 && st->action->prepare)
		r = st->action->prepare(&s, args, e);
	if (r == 0 && !(st->action->flags & ACTION_GIVES_VALUES))
		r = expose(run, st, e);
	if (r == 0)
		r = st->action->run(&s, args, out, e);
	run->once = out->once;
	run->said = s.said;
	kept = keep_secret_outputs(&s, out, r < 0 ? NULL : e);
	if (r == 0)
		r = kept;
	/* However the action said it: a cancel that came is the reason. */
	if (r < 0 && rn->cancel && run->it.cancel && cancel_reason(rn->cancel) != ERR_NONE)
		iotime_check(&run->it, e);
	if (s.prepared)
		s.prepared_free(s.prepared);
	args_free(args);
	if (r == 0 && out->verdict == STEP_PASSED && st->action->flags & ACTION_NEEDS_EVIDENCE &&
		json_object_size(out->evidence) == 0)
		r = err_set(
			e, ERR_NO_EVIDENCE, "%s gave no proof that it worked", st->action->name);
	if (r == 0 && out->verdict == STEP_PASSED && s.intended && rn->ops->intend)
		r = commit(&s, out, e);
	/* What a unit that did not pass has shown is wanted most. */
	passed = r == 0 && out->verdict == STEP_PASSED;
	kept = step_attach(&s, passed, passed ? e : NULL);
	if (passed)
		r = kept;
	saved = s.saved;
	/* That a file was written proves nothing of the unit. */
	if (saved)
		result_evidence(out, "saved", saved);
	return r < 0 && e ? -(int)e->code : r;
}

static void note_failure(
	struct run *run, const struct recipe_step *st, const struct step_record *rec)
{
	struct run_result *res = run->res;

	if (res->outcome != OUTCOME_PASSED)
		return;
	res->outcome = rec->outcome;
	res->code = rec->code;
	snprintf(res->step, sizeof res->step, "%s", st->id);
	snprintf(res->message, sizeof res->message, "%s", rec->message);
}

/* What makes the fixture safe is done whether or not it can be recorded; what cannot be undone is
 * not. */
static bool acts_unrecorded(const struct recipe_step *st, enum step_phase phase)
{
	return phase == PHASE_TEARDOWN && !(st->action->flags & ACTION_IRREVERSIBLE);
}

/* The run goes on after it. */
static bool is_good(enum outcome o)
{
	return o == OUTCOME_PASSED || o == OUTCOME_SKIPPED || o == OUTCOME_DEFERRED;
}

static bool may_retry(
	const struct run *run, const struct recipe_step *st, const struct step_record *rec)
{
	bool any = true;

	if (is_good(rec->outcome))
		return false;
	if (rec->attempt >= st->attempts || st->action->flags & ACTION_IRREVERSIBLE || run->once)
		return false;
	if (rec->outcome == OUTCOME_ABORTED || iotime_check(&run->it, NULL) == -ERR_TIMEOUT)
		return false;
	for (int c = 0; c < ERR_CODE_COUNT && any; c++)
		any = !st->retry_on[c];
	return any ? rec->code != ERR_WRONG_DEVICE : st->retry_on[rec->code];
}

/* What it was and what came of it, from what the action returned. */
static void judge(struct step_record *rec, int r, const struct step_result *out)
{
	if (r < 0) {
		rec->code = err_from_ret(r);
		rec->outcome = outcome_of_code(rec->code);
	} else if (out->verdict == STEP_FAILED) {
		rec->code = out->code;
		rec->outcome = OUTCOME_FAILED;
	} else {
		rec->outcome = out->verdict == STEP_SKIPPED ? OUTCOME_SKIPPED : OUTCOME_PASSED;
	}
}

/* --- what its service is not there for --- */

/* The outbox keeps the order: after one that waits, the next ones wait too. */
static bool waits_its_turn(const struct run *run, const struct recipe_step *st)
{
	return run->rn->may_defer && st->later && json_object_size(run->deferred) > 0;
}

static int act_in_turn(
	struct run *run, const struct recipe_step *st, struct step_result *out, struct err *e)
{
	return waits_its_turn(run, st)
		       ? err_set(e, ERR_SERVICE_DOWN,
				 "an earlier step of this run waits in the outbox, and goes out first")
		       : act(run, st, out, e);
}

/* A step whose service is away is kept for later, in the place of its failure. */
static void defer(struct run *run, const struct recipe_step *st, struct step_record *rec,
	json_t **ret, struct err *e)
{
	const struct scope scope = {.lookup = lookup, .data = run, .secrets = run->rn->secrets};
	bool away = rec->code == ERR_SERVICE_DOWN || rec->code == ERR_SERVICE_BUSY;

	if (!run->rn->may_defer || !st->later || !away ||
		(!waits_its_turn(run, st) && may_retry(run, st, rec)))
		return;
	if (later_payload(st, &scope, run->deferred, ret, e) < 0) {
		rec->code = e->code;
		rec->outcome = outcome_of_code(e->code);
		return;
	}
	rec->outcome = OUTCOME_DEFERRED;
	rec->later = *ret;
	json_object_set_new(run->deferred, st->id, json_true());
}

/* What the step brought, masked, goes on record. */
static int end_attempt(struct run *run, struct step_record *rec, int begun,
	const struct step_result *out, const char *said, struct err *e)
{
	const struct runner *rn = run->rn;
	const char *id = rec->step->id;
	_cleanup_(freep) char *message = secret_mask_cut(rn->secrets, said);
	json_t *evidence = out->evidence ? masked_copy(rn->secrets, out->evidence) : NULL;
	json_t *outputs = out->outputs ? masked_copy(rn->secrets, out->outputs) : NULL;
	json_t *seen = out->outputs ? json_incref(out->outputs) : json_object();
	int r;

	json_object_set_new(seen, "outcome", json_string(outcome_str(rec->outcome)));
	json_object_set_new(seen, "code", json_string(err_code_str(rec->code)));
	json_object_set_new(run->outputs, id, seen);
	rec->message = message;
	rec->evidence = evidence;
	rec->outputs = outputs;
	r = begun < 0 ? begun : rn->sink->step_end(rn->sink->data, rec, e);
	snprintf(run->message, sizeof run->message, "%s", r < 0 ? e->msg : message);
	json_decref(evidence);
	json_decref(outputs);
	rec->evidence = rec->outputs = NULL;
	return r;
}

/* -1: the record itself could not be kept; the run must end. rec->message lives until the next
 * attempt. */
static int run_attempt(struct run *run, const struct recipe_step *st, enum step_phase phase,
	unsigned attempt, struct step_record *rec)
{
	const struct runner *rn = run->rn;
	struct step_result out = {0};
	json_t *later = NULL;
	struct err e = {0};
	uint64_t start;
	int begun;
	int r;

	*rec = (struct step_record){
		.n = ++run->n, .step = st, .phase = phase, .attempt = attempt, .message = ""};
	run->record = rec;
	start = now_us();
	begun = rn->sink->step_begin(rn->sink->data, rec, &e);
	if (begun == 0 || acts_unrecorded(st, phase)) {
		r = act_in_turn(run, st, &out, &e);
		judge(rec, r, &out);
		defer(run, st, rec, &later, &e);
		rec->duration_us = now_us() - start;
		r = end_attempt(run, rec, begun, &out, r < 0 ? e.msg : out.message, &e);
	} else {
		r = begun;
		snprintf(run->message, sizeof run->message, "%s", e.msg);
	}
	json_decref(out.evidence);
	json_decref(out.outputs);
	json_decref(later);
	rec->later = NULL;
	rec->message = run->message;
	if (r < 0) {
		/* What is not on disk has not happened: the step cannot count as passed. */
		rec->code = err_from_ret(r);
		rec->outcome = OUTCOME_ERROR;
		note_failure(run, st, rec);
	}
	return r < 0 ? -1 : 0;
}

/* A step that was not carried out: recorded, so that the report shows it. */
static int record_unused(struct run *run, const struct recipe_step *st, enum step_phase phase,
	enum err_code code, const char *why)
{
	struct step_record rec = {.n = ++run->n,
		.step = st,
		.phase = phase,
		.attempt = 1,
		.outcome = code == ERR_NONE ? OUTCOME_SKIPPED : OUTCOME_ERROR,
		.code = code,
		.message = why};
	const struct runner_sink *sink = run->rn->sink;
	struct err e = {0};
	json_t *seen = json_pack(
		"{s:s, s:s}", "outcome", outcome_str(rec.outcome), "code", err_code_str(code));

	json_object_set_new(run->outputs, st->id, seen);
	if (sink->step_begin(sink->data, &rec, &e) < 0 ||
		sink->step_end(sink->data, &rec, &e) < 0) {
		rec.outcome = OUTCOME_ERROR;
		rec.code = e.code;
		rec.message = e.msg;
		note_failure(run, st, &rec);
		return -1;
	}
	return 0;
}

/* Whether the condition of the step is met, and those of the turns and parts that it is in. What
 * makes the fixture safe does not depend on whether its part was wanted. */
static int is_wanted(struct run *run, const struct recipe_step *st, const struct scope *scope,
	bool *ret, struct err *e)
{
	int r = 0;

	*ret = true;
	for (const struct frame *f = st->frame; f && f != st->unasked && *ret && r == 0;
		f = f->parent) {
		if (!f->when)
			continue;
		run->frame = f->turn ? f : f->parent;
		r = condition_eval(f->when, scope, ret, e);
	}
	run->frame = st->frame;
	if (r == 0 && *ret && st->when)
		r = condition_eval(st->when, scope, ret, e);
	return r;
}

/* true: the phase goes on. */
static bool run_step(struct run *run, const struct recipe_step *st, enum step_phase phase)
{
	const struct scope scope = {.lookup = lookup, .data = run, .secrets = run->rn->secrets};
	struct step_record rec = {0};
	bool wanted = true;
	struct err e = {0};

	if (is_wanted(run, st, &scope, &wanted, &e) < 0) {
		_cleanup_(freep) char *why = secret_mask_cut(run->rn->secrets, e.msg);

		rec = (struct step_record){
			.outcome = OUTCOME_ERROR, .code = ERR_RECIPE_INVALID, .message = why};
		note_failure(run, st, &rec);
		record_unused(run, st, phase, ERR_RECIPE_INVALID, why);
		return false;
	}
	if (!wanted)
		return record_unused(run, st, phase, ERR_NONE, "its condition is not met") == 0;
	for (unsigned attempt = 1;; attempt++) {
		if (run_attempt(run, st, phase, attempt, &rec) < 0)
			return false;
		if (!may_retry(run, st, &rec))
			break;
		if (iotime_sleep(st->retry_delay_us, &run->it, &e) < 0) {
			/* Stopped while it waited: that is why the step did not pass. */
			if (e.code != ERR_TIMEOUT) {
				rec.code = e.code;
				rec.outcome = outcome_of_code(e.code);
				rec.message = e.msg;
			}
			break;
		}
	}
	if (is_good(rec.outcome))
		return true;
	note_failure(run, st, &rec);
	return st->continue_on_fail && rec.outcome == OUTCOME_FAILED;
}

static void run_phase(struct run *run, enum step_phase phase)
{
	const struct recipe *recipe = run->rn->recipe;

	for (size_t i = 0; i < recipe->steps[phase]; i++) {
		const struct recipe_step *st = &recipe->step[phase][i];

		if (phase != PHASE_TEARDOWN && run->rn->stop_requested &&
			run->rn->stop_requested(run->rn->env)) {
			struct step_record rec = {.outcome = OUTCOME_ABORTED,
				.code = ERR_SHUTDOWN,
				.message = "provd was stopped between two steps"};

			note_failure(run, st, &rec);
			return;
		}
		/* A teardown step that fails does not keep the next one from making the fixture
		 * safe. */
		if (!run_step(run, st, phase) && phase != PHASE_TEARDOWN)
			return;
	}
}

/* All secrets of the recipe before the first step: what a step says before another one uses the
 * secret is masked too, and a secret that is missing is found while nothing has been touched. */
static int take_secrets(struct run *run, struct err *e)
{
	const struct recipe *recipe = run->rn->recipe;
	int r = 0;

	for (size_t i = 0; r == 0 && i < recipe->secrets; i++) {
		json_t *value = NULL;

		r = lookup_secret(run, recipe->secret[i], &value, e);
		json_decref(value);
	}
	return r;
}

static void run_done(struct run *run)
{
	json_wipe(run->outputs);
	json_decref(run->outputs);
	json_decref(run->exposed);
	json_decref(run->deferred);
}

/* --- before the first step --- */

static int look_ahead(
	struct run *run, const struct recipe_step *st, const struct iotime *it, struct err *e)
{
	const struct runner *rn = run->rn;
	const struct scope scope = {.lookup = lookup, .data = run, .secrets = rn->secrets};
	struct step s = {.id = st->id,
		.action = st->action,
		.it = *it,
		.secrets = rn->secrets,
		.ops = rn->ops,
		.env = rn->env};
	struct args *args = NULL;
	bool wanted = true;
	int r;

	if (!st->action->preflight)
		return 0;
	/* Whether it comes to that is not known, or known as no. */
	if (is_wanted(run, st, &scope, &wanted, NULL) < 0 || !wanted)
		return 0;
	r = args_known(st->action->args, st->with, &scope, &args, e);
	if (r == 0)
		r = st->action->preflight(&s, args, e);
	args_free(args);
	return r < 0 ? err_prefix(e, "step '%s'", st->id) : 0;
}

/* Of all steps, while nothing has been touched. */
static int look_at_steps(struct run *run, struct err *e)
{
	const struct recipe *recipe = run->rn->recipe;
	const struct iotime all = {NO_DEADLINE, run->rn->cancel};
	const struct iotime it = iotime_within(&all, recipe->timeout_us);
	int r = 0;

	run->early = true;
	for (size_t p = 0; p < ARRAY_LEN(recipe->step); p++)
		for (size_t i = 0; r == 0 && i < recipe->steps[p]; i++)
			r = look_ahead(run, &recipe->step[p][i], &it, e);
	run->early = false;
	return r;
}

void runner_run(const struct runner *rn, struct run_result *ret)
{
	struct run run = {.rn = rn,
		.res = ret,
		.outputs = json_object(),
		.exposed = json_object(),
		.deferred = json_object()};
	uint64_t teardown_us = rn->teardown_us ? rn->teardown_us : 60 * US_PER_S;
	const struct iotime all = {NO_DEADLINE, rn->cancel};

	struct err e = {0};

	*ret = (struct run_result){.outcome = OUTCOME_PASSED};
	if (rn->recipe->open)
		err_set(&e, ERR_INTERNAL, "the recipe's loops have not got their lists");
	if (rn->recipe->open || take_secrets(&run, &e) < 0 || look_at_steps(&run, &e) < 0) {
		*ret = (struct run_result){
			.outcome = OUTCOME_ERROR, .code = ERR_PREFLIGHT, .step = "preflight"};
		_cleanup_(freep) char *message = secret_mask_cut(rn->secrets, e.msg);

		snprintf(ret->message, sizeof ret->message, "%s", message);
		run_done(&run);
		return;
	}
	run.it = iotime_within(&all, rn->recipe->timeout_us);
	run_phase(&run, PHASE_SETUP);
	if (ret->outcome == OUTCOME_PASSED)
		run_phase(&run, PHASE_STEPS);
	run.it = iotime_within(&(struct iotime){NO_DEADLINE, NULL}, teardown_us);
	run_phase(&run, PHASE_TEARDOWN);
	ret->deferred = (unsigned)json_object_size(run.deferred);
	run_done(&run);
}

void runner_later(const struct runner *rn, const struct later_step *l, struct later_result *ret)
{
	const char *name = json_string_value(json_object_get(l->payload, "action"));
	const char *id = json_string_value(json_object_get(l->payload, "step"));
	struct recipe_step st = {.id = (char *)(uintptr_t)(id ? id : ""),
		.action = name ? action_find(name) : NULL,
		.with = json_object_get(l->payload, "with"),
		.timeout_us =
			(uint64_t)json_integer_value(json_object_get(l->payload, "timeout_us"))};
	struct step_record rec = {.step = &st, .phase = PHASE_STEPS};
	struct run run = {.rn = rn,
		.it = {NO_DEADLINE, rn->cancel},
		.outputs = json_deep_copy(l->steps),
		.record = &rec,
		.later = l};
	struct step_result out = {0};
	struct err e = {0};
	int r = st.action ? act(&run, &st, &out, &e)
			  : err_set(&e, ERR_RECIPE_INVALID, "there is no action '%.40s'",
				    name ? name : "");

	judge(&rec, r, &out);
	*ret = (struct later_result){.outcome = rec.outcome, .code = rec.code, .said = run.said};

	_cleanup_(freep) char *message = secret_mask_cut(rn->secrets, r < 0 ? e.msg : out.message);

	snprintf(ret->message, sizeof ret->message, "%s", message);
	ret->evidence = out.evidence ? masked_copy(rn->secrets, out.evidence) : NULL;
	ret->outputs = out.outputs ? masked_copy(rn->secrets, out.outputs) : NULL;
	json_decref(out.evidence);
	json_decref(out.outputs);
	run_done(&run);
}
