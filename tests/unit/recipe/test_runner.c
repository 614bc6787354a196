/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner with actions of its own: what a recipe's steps may do, and what is on record then.
 */
#include "daemon/recipe/runner.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

/* --- actions --- */

static int calls;      /* of any action */
static int fails_left; /* how often t.flaky still fails */
static enum err_code flaky_code;
static struct cancel cancel;
static struct strbuf story, evidence;

static int run_pass(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	calls++;
	if (args_has(a, "say"))
		result_evidence(out, "said", json_string(args_str(a, "say")));
	result_output(out, "value", json_integer(calls));
	return 0;
}

static int run_flaky(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	calls++;
	if (fails_left-- > 0)
		return err_set(e, flaky_code, "not yet");
	result_evidence(out, "ok", json_true());
	return 0;
}

static int run_fail(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	calls++;
	return result_fail(
		out, ERR_LIMIT_LOW, "too low: %s", args_has(a, "say") ? args_str(a, "say") : "");
}

static int run_hang(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	calls++;
	return iotime_sleep(60 * US_PER_S, &s->it, e);
}

static int run_cancel(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	calls++;
	cancel_fire(&cancel, ERR_ABORTED);
	return err_set(e, ERR_TIMEOUT, "the link went quiet");
}

static int run_measure(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const struct measurement m = {.name = "m",
		.is_number = true,
		.value = args_number(a, "is"),
		.text = args_str(a, "say"),
		.has_low = true,
		.low = 1,
		.has_high = true,
		.high = 2};

	result_evidence(out, "ok", json_true());
	return step_measure(s, &m, out, e);
}

static const struct action_arg say_args[] = {
	{.name = "say", .type = ARG_STRING, .secret = true, .doc = "text"},
	{.name = "is", .type = ARG_NUMBER, .doc = "value"}, {0}};
static const struct action_output value_outputs[] = {{"value", "calls so far"}, {0}};

/* A fuse: what the device shows of it, and what came to the journal. */
static enum observed shows;
static struct earlier_intent earlier;
static bool fuse_fails;

static int observe_fuse(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	ck_assert_ptr_eq(session, &shows);
	*ret = (struct observation){shows, "as the fuse shows", ERR_OTP_HALF};
	return 0;
}

static int run_fuse(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	struct intent i = {.what = "fuse"};
	bool done = false;
	int r;

	snprintf(i.unit, sizeof i.unit, "%s", args_has(a, "say") ? args_str(a, "say") : "SN1");
	r = step_intend(s, a, &i, &shows, &done, out, e);
	if (r < 0)
		return r;
	if (!done)
		calls++;
	result_evidence(out, "blown", json_boolean(!done));
	return fuse_fails ? err_set(e, ERR_IO, "no answer") : 0;
}

#define ROW(ident, title, flag, fn)                        \
	static const struct action ident = {.name = title, \
		.doc = "of this test",                     \
		.flags = flag,                             \
		.args = say_args,                          \
		.outputs = value_outputs,                  \
		.default_timeout_us = 2 * US_PER_S,        \
		.run = fn}

ROW(t_burn, "t.burn", ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE, run_flaky);
ROW(t_cancel, "t.cancel", 0, run_cancel);
ROW(t_fail, "t.fail", 0, run_fail);
ROW(t_flaky, "t.flaky", ACTION_NEEDS_EVIDENCE, run_flaky);
static const struct action t_fuse = {.name = "t.fuse",
	.doc = "of this test",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = say_args,
	.default_timeout_us = 2 * US_PER_S,
	.run = run_fuse,
	.observe = observe_fuse};
ROW(t_hang, "t.hang", 0, run_hang);
ROW(t_measure, "t.measure", 0, run_measure);
static struct strbuf story, evidence;
static bool prepare_fails;

static int prepare(struct step *s, const struct args *a, struct err *e)
{
	sb_addf(&story, "prepared:%s ", args_str(a, "say"));
	return prepare_fails ? err_set(e, ERR_RECIPE_INVALID, "too long for its symbol") : 0;
}

static const struct action t_label = {.name = "t.label",
	.doc = "of this test",
	.args = say_args,
	.default_timeout_us = 2 * US_PER_S,
	.prepare = prepare,
	.run = run_pass};

ROW(t_pass, "t.pass", 0, run_pass);
ROW(t_proof, "t.proof", ACTION_NEEDS_EVIDENCE, run_pass);

/* Tells a service, which the argument must not name a secret to. */
static char told[256];

static int run_tell(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	snprintf(told, sizeof told, "%s key=%s again=%d",
		args_has(a, "what") ? args_str(a, "what") : "", s->key ? s->key : "-", s->again);
	result_output(out, "id", json_string("d7"));
	return run_flaky(s, a, out, e);
}

static int tell_may_wait(const json_t *with, struct err *e)
{
	return json_object_get(with, "never") ? err_set(e, ERR_INVALID, "not with 'never'") : 0;
}

static const struct action_arg tell_args[] = {{.name = "what", .type = ARG_STRING, .doc = "text"},
	{.name = "never", .type = ARG_STRING, .doc = "text"}, {0}};
static const struct action_output tell_outputs[] = {{"id", "what it is called there"}, {0}};
static const struct action t_tell = {.name = "t.tell",
	.doc = "of this test",
	.flags = ACTION_MAY_WAIT | ACTION_NEEDS_EVIDENCE,
	.args = tell_args,
	.outputs = tell_outputs,
	.default_timeout_us = 2 * US_PER_S,
	.may_wait = tell_may_wait,
	.run = run_tell};

static int run_give(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	json_t *values = (json_t *)(uintptr_t)args_json(a, "values");
	const char *name;
	json_t *v;

	json_object_foreach(values, name, v)
		result_output(out, name, json_string(name));
	result_output(out, "serial", json_string("SN1"));
	result_output(out, "lease", json_string("L1"));
	return 0;
}

static const struct action_arg pool_fields[] = {
	{.name = "pool", .type = ARG_STRING, .required = true, .doc = "pool"}, {0}};
static const struct action_arg give_args[] = {
	{.name = "values", .type = ARG_OBJECTS, .fields = pool_fields, .doc = "values"}, {0}};
static const struct action_output give_outputs[] = {{"serial", "serial"}, {"lease", "lease"}, {0}};
static const struct action t_give = {.name = "t.give",
	.doc = "of this test",
	.flags = ACTION_GIVES_VALUES,
	.args = give_args,
	.outputs = give_outputs,
	.names = "values",
	.default_timeout_us = 2 * US_PER_S,
	.run = run_give};

static int preflight_pre(struct step *s, const struct args *a, struct err *e)
{
	sb_addf(&story, "?%s:%s ", s->id, args_has(a, "say") ? args_str(a, "say") : "-");
	return args_has(a, "say") && !strcmp(args_str(a, "say"), "bad")
		       ? err_set(e, ERR_RECIPE_INVALID, "'say' is bad")
		       : 0;
}

static const struct action t_pre = {.name = "t.pre",
	.doc = "of this test",
	.args = say_args,
	.default_timeout_us = 2 * US_PER_S,
	.preflight = preflight_pre,
	.run = run_pass};

const struct action *const action_table[] = {&t_burn, &t_cancel, &t_fail, &t_flaky, &t_fuse,
	&t_give, &t_hang, &t_label, &t_measure, &t_pass, &t_pre, &t_proof, &t_tell, NULL};

const struct action *action_find(const char *name)
{
	for (size_t i = 0; action_table[i]; i++)
		if (!strcmp(action_table[i]->name, name))
			return action_table[i];
	return NULL;
}

/* --- the sink writes a story: "+a -a:passed" --- */

static int exposed;
static char *kept; /* of the step that was deferred last */
static bool defers;
static const char *sink_fails_at; /* step whose end cannot be kept */
static bool begins_fail;
static bool cancel_at_end; /* of any step */

static int on_begin(void *data, const struct step_record *r, struct err *e)
{
	sb_addf(&story, "+%s%s ", r->step->id, r->attempt > 1 ? "'" : "");
	return begins_fail ? err_set(e, ERR_OVERLOADED, "no room to wait") : 0;
}

static int on_end(void *data, const struct step_record *r, struct err *e)
{
	char *text = r->evidence ? json_dumps(r->evidence, JSON_COMPACT) : NULL;

	if (sink_fails_at && !strcmp(r->step->id, sink_fails_at))
		return err_set(e, ERR_DISK_FULL, "no room");
	sb_addf(&story, "-%s:%s%s%s ", r->step->id, outcome_str(r->outcome), r->code ? "/" : "",
		r->code ? err_code_str(r->code) : "");
	if (r->later) {
		free(kept);
		kept = json_dumps(r->later, JSON_COMPACT | JSON_SORT_KEYS);
	}
	sb_addf(&evidence, "%s %s|", text ? text : "-", r->message);
	free(text);
	if (cancel_at_end)
		cancel_fire(&cancel, ERR_ABORTED);
	return 0;
}

static int on_measured(void *data, const struct step_record *r, const struct measurement *m,
	const char *verdict, struct err *e)
{
	sb_addf(&story, "=%s:%s:%s ", m->name, verdict, m->text ? m->text : "");
	return 0;
}

static bool expose_fails;

static int on_expose(void *data, const char *slot, struct err *e)
{
	if (expose_fails)
		return err_set(e, ERR_QUOTA, "the order has all");
	exposed++;
	sb_addf(&story, "exposed%s%s ", *slot ? ":" : "", slot);
	return 0;
}

static int env_serial(void *env, const char *kind, const char *value, char ret[64], struct err *e)
{
	strcpy(ret, "SN1");
	sb_add(&story, "reserved ");
	return 0;
}

static int env_secret(void *env, const char *name, char **ret, struct err *e)
{
	if (strcmp(name, "key") != 0)
		return err_set(e, ERR_NOT_FOUND, "no secret '%s'", name);
	*ret = xstrdup("hunter22");
	return 0;
}

static bool has_journal;

static int env_intend(void *env, const struct intent *i, const struct observation *seen,
	struct earlier_intent *ret, struct err *e)
{
	sb_addf(&story, "intend:%s:%s:%d ", i->unit, i->what, seen->state);
	*ret = earlier;
	return 0;
}

static int env_intended(void *env, const char *shown, struct err *e)
{
	sb_addf(&story, "intended:%s ", shown);
	return 0;
}

static bool stop_after_two(void *env)
{
	return calls >= 2;
}

static json_t *given;	/* parameters of the order; run() takes them */
static json_t *context; /* NULL: an empty one */

static struct run_result run(const char *steps, bool stop)
{
	json_t *params = NULL;
	_cleanup_(freep) char *text =
		xasprintf("recipe: t\nversion: 1\nunit: {model: m, serial: {pool: p}}\n%s", steps);
	const struct runner_sink sink = {NULL, on_begin, on_end, on_measured, on_expose};
	const struct step_env_ops ops = {.serial = env_serial,
		.intend = has_journal ? env_intend : NULL,
		.intended = env_intended};
	struct strbuf report = {0};
	struct recipe *recipe = NULL;
	struct run_result res;
	struct err e = {0};

	sb_clear(&story);
	sb_clear(&evidence);
	calls = exposed = 0;
	cancel_reset(&cancel);
	ck_assert_msg(recipe_load("t", text, strlen(text), &report, &recipe, &e) == 0, "%s%s",
		report.s ? report.s : "", e.msg);

	json_t *none = json_object();
	struct recipe *bound = NULL;

	given = given ? given : json_object();
	ck_assert_msg(recipe_params(recipe, given, &params, &e) == 0, "%s", e.msg);
	ck_assert_msg(recipe_bind(recipe, params, &bound, &e) == 0, "%s", e.msg);
	recipe_unref(recipe);
	recipe = bound;
	struct runner rn = {.recipe = recipe,
		.sink = &sink,
		.ops = &ops,
		.cancel = &cancel,
		.may_defer = defers,
		.stop_requested = stop ? stop_after_two : NULL,
		.secrets = secret_set_new(),
		.secret = env_secret,
		.params = params,
		.artifacts = json_object_get(recipe->json, "artifacts"),
		.context = context ? context : none,
		.teardown_us = 2 * US_PER_S};

	runner_run(&rn, &res);
	json_decref(params);
	json_decref(given);
	given = NULL;
	secret_set_free(rn.secrets);
	json_decref(none);
	recipe_unref(recipe);
	sb_done(&report);
	return res;
}

static void setup(void)
{
	struct err e;

	ck_assert_int_eq(cancel_init(&cancel, &e), 0);
	sink_fails_at = NULL;
	defers = true;
	begins_fail = false;
	has_journal = true;
	earlier = (struct earlier_intent){0};
	shows = OBSERVED_BLANK;
	fuse_fails = false;
	cancel_at_end = false;
	expose_fails = false;
	prepare_fails = false;
	fails_left = 0;
	flaky_code = ERR_TIMEOUT;
}

static void teardown(void)
{
	cancel_done(&cancel);
	sb_done(&story);
	sb_done(&evidence);
	free(kept);
	kept = NULL;
}

#define STORY(text) ck_assert_str_eq(story.s, text)
#define SAFE	    "teardown:\n  - {id: safe, action: t.pass}\n"

START_TEST(test_steps_run_in_order_and_pass)
{
	struct run_result r = run(
		"setup:\n  - {id: s, action: t.pass}\nsteps:\n  - {id: a, action: t.pass}\n" SAFE,
		false);

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	STORY("+s -s:passed +a -a:passed +safe -safe:passed ");
}
END_TEST

START_TEST(test_what_is_wrong_in_a_later_step_is_found_before_the_first)
{
	struct run_result r = run("steps:\n  - {id: a, action: t.pass}\n"
				  "  - {id: b, action: t.pre, with: {say: bad}}\n" SAFE,
		false);

	ck_assert_int_eq(r.outcome, OUTCOME_ERROR);
	ck_assert_int_eq(r.code, ERR_PREFLIGHT);
	ck_assert_str_eq(r.step, "preflight");
	ck_assert_str_eq(r.message, "step 'b': 'say' is bad");
	STORY("?b:bad ");
}
END_TEST

START_TEST(test_what_is_not_known_yet_is_left_to_its_step)
{
	ck_assert_int_eq(
		run("steps:\n  - {id: a, action: t.pass}\n"
		    "  - {id: b, action: t.pre, with: {say: '${steps.a.value}'}}\n"
		    "  - {id: c, action: t.pre, with: {say: '${unit.serial}'}}\n"
		    "  - {id: d, action: t.pre, with: {say: bad}, when: '${steps.a.value} == 9'}\n"
		    "  - {id: e, action: t.pre, with: {say: bad}, when: 'no == yes'}\n",
			false)
			.outcome,
		OUTCOME_PASSED);
	ck_assert_msg(!strncmp(story.s, "?b:- ?c:- +a ", 13), "%s", story.s);
}
END_TEST

START_TEST(test_a_secret_of_the_run_is_known_before_the_first_step)
{
	struct run_result r =
		run("steps:\n  - {id: b, action: t.pre, with: {say: '${secrets.key}'}}\n", false);

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	ck_assert_ptr_nonnull(strstr(story.s, "?b:hunter22"));
}
END_TEST

START_TEST(test_an_action_without_its_evidence_has_not_passed)
{
	struct run_result r = run(
		"steps:\n  - {id: a, action: t.proof}\n  - {id: b, action: t.pass}\n" SAFE, false);

	ck_assert_int_eq(r.outcome, OUTCOME_ERROR);
	ck_assert_int_eq(r.code, ERR_NO_EVIDENCE);
	STORY("+a -a:error/no-evidence +safe -safe:passed ");
}
END_TEST

START_TEST(test_a_step_whose_end_is_not_on_disk_has_not_passed)
{
	sink_fails_at = "a";

	struct run_result r = run(
		"steps:\n  - {id: a, action: t.pass}\n  - {id: b, action: t.pass}\n" SAFE, false);

	ck_assert_int_eq(r.outcome, OUTCOME_ERROR);
	ck_assert_int_eq(r.code, ERR_DISK_FULL);
	ck_assert_str_eq(r.step, "a");
	STORY("+a +safe -safe:passed ");
}
END_TEST

START_TEST(test_retries_are_by_cause_and_each_is_on_record)
{
	fails_left = 1;

	struct run_result r = run("steps:\n  - {id: a, action: t.flaky, retry: {attempts: 3, "
				  "delay: 1ms, on: [timeout]}}\n",
		false);

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	STORY("+a -a:failed/timeout +a' -a:passed ");
	fails_left = 1;
	flaky_code = ERR_IO;
	r = run("steps:\n  - {id: a, action: t.flaky, retry: {attempts: 3, delay: 1ms, on: "
		"[timeout]}}\n",
		false);
	ck_assert_int_eq(r.code, ERR_IO);
	STORY("+a -a:error/io ");
	/* Without a list of causes: any but another unit. */
	fails_left = 1;
	flaky_code = ERR_WRONG_DEVICE;
	r = run("steps:\n  - {id: a, action: t.flaky, retry: {attempts: 3, delay: 1ms}}\n", false);
	ck_assert_int_eq(r.code, ERR_WRONG_DEVICE);
	STORY("+a -a:error/wrong-device ");
}
END_TEST

START_TEST(test_the_irreversible_is_never_tried_again)
{
	const char *text =
		"steps:\n  - {id: a, action: t.burn, retry: {attempts: 3, delay: 1ms}}\n";
	_cleanup_(freep) char *whole = xasprintf("recipe: t\nversion: 1\n%s", text);
	struct strbuf report = {0};
	struct recipe *recipe = NULL;
	struct err e;

	/* The check may refuse it; where it does not, the runner must. */
	if (recipe_load("t", whole, strlen(whole), &report, &recipe, &e) == 0) {
		recipe_unref(recipe);
		fails_left = 1;
		ck_assert_int_eq(run(text, false).code, ERR_TIMEOUT);
		ck_assert_int_eq(calls, 1);
	}
	sb_done(&report);
}
END_TEST

#define THEN \
	"  - {id: u, action: t.tell, offline: later, with: {what: '$${x} ${steps.t.id} ${steps.t.outcome}'}}\n"

static struct run_result away(enum err_code code, int times, const char *steps)
{
	fails_left = times;
	flaky_code = code;
	return run(steps, false);
}

START_TEST(test_a_step_whose_service_is_away_is_kept_and_the_run_goes_on)
{
	struct run_result r = away(ERR_SERVICE_DOWN, 1,
		"steps:\n  - {id: t, action: t.tell, offline: later, with: {what: 'x ${unit.serial}'}}\n"
		"  - {id: b, action: t.pass}\n");

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	ck_assert_uint_eq(r.deferred, 1);
	ck_assert_str_eq(run_outcome_str(r.outcome, r.deferred), "provisioned");
	STORY("+t reserved exposed -t:deferred/service-unreachable +b -b:passed ");
	ck_assert_str_eq(kept, "{\"action\":\"t.tell\",\"step\":\"t\",\"timeout_us\":2000000,"
			       "\"with\":{\"what\":\"x SN1\"}}");
}
END_TEST

START_TEST(test_what_comes_after_a_deferred_step_waits_with_it_and_is_not_tried)
{
	struct run_result r = away(
		ERR_SERVICE_BUSY, 1, "steps:\n  - {id: t, action: t.tell, offline: later}\n" THEN);

	ck_assert_uint_eq(r.deferred, 2);
	ck_assert_int_eq(calls, 1);
	STORY("+t -t:deferred/service-busy +u -u:deferred/service-unreachable ");
	ck_assert_str_eq(kept, "{\"action\":\"t.tell\",\"step\":\"u\",\"timeout_us\":2000000,"
			       "\"with\":{\"what\":\"$${x} ${steps.t.id} deferred\"}}");
}
END_TEST

START_TEST(test_only_a_service_that_is_away_is_a_reason_to_wait)
{
	static const enum err_code codes[] = {ERR_SERVICE_REFUSED, ERR_SERVICE_UNTRUSTED,
		ERR_SERVICE_ANSWER, ERR_SERVICE_CONFLICT, ERR_IO, ERR_UNIT_SUSPECT};
	static const char steps[] = "steps:\n  - {id: t, action: t.tell, offline: later}\n";

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct run_result r = away(codes[i], 1, steps);

		ck_assert_int_eq(r.code, codes[i]);
		ck_assert_uint_eq(r.deferred, 0);
	}
	ck_assert_int_eq(
		away(ERR_SERVICE_DOWN, 1, "steps:\n  - {id: t, action: t.tell, offline: fail}\n")
			.code,
		ERR_SERVICE_DOWN);
	/* A bench has no outbox. */
	defers = false;
	ck_assert_int_eq(away(ERR_SERVICE_DOWN, 1, steps).code, ERR_SERVICE_DOWN);
}
END_TEST

START_TEST(test_a_step_is_tried_as_often_as_it_says_before_it_waits)
{
	static const char steps[] =
		"steps:\n  - {id: t, action: t.tell, offline: later, retry: {attempts: 2, delay: 1ms}}\n";

	ck_assert_uint_eq(away(ERR_SERVICE_DOWN, 1, steps).deferred, 0);
	STORY("+t -t:error/service-unreachable +t' -t:passed ");
	ck_assert_uint_eq(away(ERR_SERVICE_DOWN, 2, steps).deferred, 1);
	STORY("+t -t:error/service-unreachable +t' -t:deferred/service-unreachable ");
}
END_TEST

START_TEST(test_a_deferred_step_is_carried_out_from_what_was_kept)
{
	json_t *payload = NULL, *steps = json_pack("{s:{s:s}}", "t", "id", "d${7}");
	struct runner rn = {.secrets = secret_set_new()};
	struct later_step l = {.steps = steps, .key = "row1", .again = true};
	struct later_result res;

	away(ERR_SERVICE_BUSY, 1, "steps:\n  - {id: t, action: t.tell, offline: later}\n" THEN);
	l.payload = payload = json_loads(kept, 0, NULL);
	runner_later(&rn, &l, &res);
	ck_assert_int_eq(res.outcome, OUTCOME_PASSED);
	ck_assert_str_eq(told, "${x} d${7} deferred key=row1 again=1");
	ck_assert_str_eq(json_string_value(json_object_get(res.outputs, "id")), "d7");
	ck_assert(json_is_true(json_object_get(res.evidence, "ok")));
	json_decref(res.outputs);
	json_decref(res.evidence);
	fails_left = 1;
	runner_later(&rn, &l, &res);
	ck_assert_int_eq(res.outcome, OUTCOME_ERROR);
	ck_assert_int_eq(res.code, ERR_SERVICE_BUSY);
	json_decref(res.outputs);
	json_decref(res.evidence);
	/* An action that a later provd does not have. */
	json_object_set_new(payload, "action", json_string("t.gone"));
	runner_later(&rn, &l, &res);
	ck_assert_int_eq(res.code, ERR_RECIPE_INVALID);
	json_decref(payload);
	json_decref(steps);
	secret_set_free(rn.secrets);
}
END_TEST

#define FUSE "steps:\n  - {id: f, action: t.fuse}\n"

START_TEST(test_an_intent_comes_before_the_act_and_its_commit_before_the_end)
{
	ck_assert_int_eq(run(FUSE, false).outcome, OUTCOME_PASSED);
	STORY("+f intend:SN1:fuse:1 intended:{\"blown\":true} -f:passed ");
	ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(test_an_act_that_did_not_pass_leaves_its_intent_open)
{
	fuse_fails = true;
	ck_assert_int_eq(run(FUSE, false).code, ERR_IO);
	STORY("+f intend:SN1:fuse:1 -f:error/io ");
}
END_TEST

/* shows x an earlier intent that is open: acts, or the code. */
static const struct {
	enum observed shows;
	bool earlier;
	bool acts;
	enum err_code code;
	const char *evidence;
} decisions[] = {
	{OBSERVED_BLANK, false, true, ERR_NONE, "{\"blown\":true}"},
	{OBSERVED_BLANK, true, true, ERR_NONE, "\"decided\":\"not done\""},
	{OBSERVED_DONE, false, false, ERR_NONE, "{\"blown\":false}"},
	{OBSERVED_DONE, true, false, ERR_NONE, "\"decided\":\"done before\""},
	{OBSERVED_UNKNOWN, false, true, ERR_NONE, "{\"blown\":true}"},
	{OBSERVED_UNKNOWN, true, false, ERR_UNIT_SUSPECT, "unit U7"},
	{OBSERVED_HALF, false, false, ERR_OTP_HALF, "as the fuse shows"},
	{OBSERVED_HALF, true, false, ERR_OTP_HALF, "as the fuse shows"},
	{OBSERVED_CLOSED, false, false, ERR_OTP_HALF, "as the fuse shows"},
	{OBSERVED_CLOSED, true, false, ERR_UNIT_SUSPECT, "unit U7"},
};

START_TEST(test_what_the_device_shows_decides_whether_it_is_done_again)
{
	struct run_result r;

	shows = decisions[_i].shows;
	if (decisions[_i].earlier)
		earlier = (struct earlier_intent){.run = "R6", .unit = "U7"};
	r = run(FUSE, false);
	ck_assert_int_eq(r.code, decisions[_i].code);
	ck_assert_int_eq(calls, decisions[_i].acts);
	ck_assert_msg(strstr(evidence.s, decisions[_i].evidence) != NULL, "%s", evidence.s);
	ck_assert_int_eq(strstr(story.s, "intended") != NULL, decisions[_i].acts);
}
END_TEST

START_TEST(test_what_is_on_record_as_done_is_done_where_the_device_cannot_tell)
{
	static const enum observed blind[] = {OBSERVED_UNKNOWN, OBSERVED_CLOSED};

	for (size_t i = 0; i < ARRAY_LEN(blind); i++) {
		shows = blind[i];
		earlier = (struct earlier_intent){.run = "R6", .unit = "U7", .committed = true};
		ck_assert_int_eq(run(FUSE, false).outcome, OUTCOME_PASSED);
		ck_assert_ptr_nonnull(strstr(evidence.s, "\"decided\":\"done before\""));
		earlier.other = true;
		ck_assert_int_eq(run(FUSE, false).code, ERR_OTP_CONFLICT);
		ck_assert_int_eq(calls, 0);
	}
}
END_TEST

START_TEST(test_without_a_journal_the_device_alone_decides)
{
	has_journal = false;
	ck_assert_int_eq(run(FUSE, false).outcome, OUTCOME_PASSED);
	ck_assert_int_eq(calls, 1);
	STORY("+f -f:passed ");
	shows = OBSERVED_DONE;
	ck_assert_int_eq(run(FUSE, false).outcome, OUTCOME_PASSED);
	ck_assert_int_eq(calls, 0);
}
END_TEST

START_TEST(test_no_secret_comes_into_the_journal_as_the_name_of_a_unit)
{
	ck_assert_int_eq(
		run("steps:\n  - {id: f, action: t.fuse, with: {say: '${secrets.key}'}}\n", false)
			.code,
		ERR_RECIPE_INVALID);
	ck_assert_int_eq(calls, 0);
	STORY("+f -f:error/recipe-invalid ");
}
END_TEST

START_TEST(test_continue_goes_on_but_the_run_has_failed)
{
	struct run_result r = run("steps:\n  - {id: a, action: t.fail, on_fail: continue}\n  - "
				  "{id: b, action: t.pass}\n",
		false);

	ck_assert_int_eq(r.outcome, OUTCOME_FAILED);
	ck_assert_str_eq(r.step, "a");
	STORY("+a -a:failed/limit-low +b -b:passed ");
	/* A dead station says nothing about the unit: the run does not go on. */
	fails_left = 9;
	flaky_code = ERR_IO;
	r = run("steps:\n  - {id: a, action: t.flaky, on_fail: continue}\n  - {id: b, action: "
		"t.pass}\n",
		false);
	STORY("+a -a:error/io ");
}
END_TEST

START_TEST(test_a_condition_not_met_skips_the_step_and_says_so)
{
	struct run_result r = run("steps:\n  - {id: a, action: t.pass}\n"
				  "  - {id: b, action: t.fail, when: '${steps.a.value} > 1'}\n"
				  "  - {id: c, action: t.pass, when: '${steps.a.value} == 1'}\n",
		false);

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	STORY("+a -a:passed +b -b:skipped +c -c:passed ");
}
END_TEST

START_TEST(test_teardown_runs_after_failure_timeout_and_cancel)
{
	struct run_result r = run("steps:\n  - {id: a, action: t.fail}\n" SAFE, false);

	STORY("+a -a:failed/limit-low +safe -safe:passed ");
	r = run("steps:\n  - {id: a, action: t.hang, timeout: 20ms}\n" SAFE, false);
	ck_assert_int_eq(r.code, ERR_TIMEOUT);
	STORY("+a -a:failed/timeout +safe -safe:passed ");
	r = run("timeout: 20ms\nsteps:\n  - {id: a, action: t.hang}\n" SAFE, false);
	ck_assert_int_eq(r.code, ERR_TIMEOUT);
	STORY("+a -a:failed/timeout +safe -safe:passed ");
	r = run("steps:\n  - {id: a, action: t.cancel}\n  - {id: b, action: t.pass}\n" SAFE, false);
	ck_assert_int_eq(r.outcome, OUTCOME_ABORTED);
	STORY("+a -a:aborted/aborted +safe -safe:passed ");
	r = run("setup:\n  - {id: s, action: t.fail}\nsteps:\n  - {id: a, action: t.pass}\n" SAFE,
		false);
	STORY("+s -s:failed/limit-low +safe -safe:passed ");
}
END_TEST

START_TEST(test_a_cancel_between_two_attempts_is_an_abort_not_a_bad_unit)
{
	/* The action itself fires the cancel and then reports a verdict of its own. */
	struct run_result r =
		run("steps:\n  - {id: a, action: t.cancel, retry: {attempts: 5, delay: 1s}}\n" SAFE,
			false);

	ck_assert_int_eq(r.outcome, OUTCOME_ABORTED);
	ck_assert_int_eq(calls, 2);
	/* A person stops it after the first attempt's record, while the runner waits for the next.
	 */
	fails_left = 1;
	cancel_at_end = true;
	r = run("steps:\n  - {id: a, action: t.flaky, retry: {attempts: 5, delay: 10s}}\n", false);
	ck_assert_int_eq(r.outcome, OUTCOME_ABORTED);
	ck_assert_int_eq(r.code, ERR_ABORTED);
}
END_TEST

START_TEST(test_a_failing_teardown_step_does_not_keep_the_next_from_running)
{
	struct run_result r =
		run("steps:\n  - {id: a, action: t.pass}\nteardown:\n  - {id: x, action: t.fail}\n"
		    "  - {id: y, action: t.pass}\n",
			false);

	ck_assert_int_ne(r.outcome, OUTCOME_PASSED);
	STORY("+a -a:passed +x -x:failed/limit-low +y -y:passed ");
}
END_TEST

/* A fixture is not left on because nothing can be recorded. */
START_TEST(test_teardown_acts_also_where_nothing_can_be_recorded)
{
	begins_fail = true;

	struct run_result r =
		run("steps:\n  - {id: a, action: t.pass}\nteardown:\n  - {id: x, action: t.pass}\n"
		    "  - {id: y, action: t.pass}\n",
			false);

	ck_assert_int_eq(r.outcome, OUTCOME_ERROR);
	ck_assert_int_eq(r.code, ERR_OVERLOADED);
	ck_assert_str_eq(r.step, "a");
	ck_assert_int_eq(calls, 2); /* not that of a */
	STORY("+a +x +y ");
}
END_TEST

START_TEST(test_a_stop_ends_between_two_steps)
{
	struct run_result r =
		run("steps:\n  - {id: a, action: t.pass}\n  - {id: b, action: t.pass}\n"
		    "  - {id: c, action: t.pass}\n" SAFE,
			true);

	ck_assert_int_eq(r.outcome, OUTCOME_ABORTED);
	ck_assert_int_eq(r.code, ERR_SHUTDOWN);
	STORY("+a -a:passed +b -b:passed +safe -safe:passed ");
}
END_TEST

START_TEST(test_secrets_are_masked_wherever_they_come_out)
{
	struct run_result r =
		run("steps:\n  - {id: a, action: t.proof, with: {say: 'x ${secrets.key} y'}}\n"
		    "  - {id: m, action: t.measure, with: {say: 'm ${secrets.key}', is: 1.5}}\n"
		    "  - {id: b, action: t.fail, with: {say: '${secrets.key}'}}\n",
			false);

	ck_assert_int_eq(r.code, ERR_LIMIT_LOW);
	ck_assert_ptr_null(strstr(story.s, "hunter22"));
	ck_assert_ptr_null(strstr(evidence.s, "hunter22"));
	ck_assert_ptr_null(strstr(r.message, "hunter22"));
	ck_assert_ptr_nonnull(strstr(evidence.s, "x " SECRET_MASK " y"));
	ck_assert_ptr_nonnull(strstr(story.s, "=m:pass:m " SECRET_MASK));
	ck_assert_str_eq(r.message, "too low: " SECRET_MASK);
}
END_TEST

START_TEST(test_a_serial_is_exposed_once_and_before_it_is_sent)
{
	run("steps:\n  - {id: a, action: t.pass}\n  - {id: b, action: t.proof, with: {say: "
	    "'${unit.serial}'}}\n"
	    "  - {id: c, action: t.proof, with: {say: '${unit.serial}'}}\n",
		false);
	STORY("+a -a:passed +b reserved exposed -b:passed +c -c:passed ");
	ck_assert_int_eq(exposed, 1);
}
END_TEST

START_TEST(test_what_is_seen_to_be_wrong_exposes_nothing)
{
	static const char steps[] =
		"steps:\n  - {id: a, action: t.label, with: {say: '${unit.serial}'}}\n";

	run(steps, false);
	STORY("+a reserved prepared:SN1 exposed -a:passed ");
	prepare_fails = true;
	run(steps, false);
	STORY("+a reserved prepared:SN1 -a:error/recipe-invalid ");
	ck_assert_int_eq(exposed, 0);
	ck_assert_int_eq(calls, 0);
}
END_TEST

START_TEST(test_each_value_is_exposed_by_the_first_step_that_sends_it)
{
	run("steps:\n  - {id: a, action: t.give, with: {values: {eth0: {pool: m}, wifi: {pool: "
	    "m}}}}\n"
	    "  - {id: b, action: t.proof, with: {say: '${steps.a.wifi}'}}\n"
	    "  - {id: c, action: t.proof, with: {say: '${steps.a.wifi} ${steps.a.serial}'}}\n"
	    "  - {id: d, action: t.proof, with: {say: '${steps.a.lease} ${unit.serial}'}}\n",
		false);
	STORY("+a -a:passed +b exposed:wifi -b:passed +c exposed -c:passed +d reserved -d:passed ");
}
END_TEST

START_TEST(test_a_value_that_the_ledger_does_not_let_go_is_not_sent)
{
	expose_fails = true;

	struct run_result r =
		run("steps:\n  - {id: a, action: t.give, with: {values: {eth0: {pool: m}}}}\n"
		    "  - {id: b, action: t.proof, with: {say: '${steps.a.eth0}'}}\n",
			false);

	ck_assert_int_eq(r.code, ERR_QUOTA);
	ck_assert_int_eq(r.outcome, OUTCOME_ERROR);
	STORY("+a -a:passed +b -b:error/over-quota ");
}
END_TEST

START_TEST(test_a_measurement_outside_its_limits_fails_with_its_code)
{
	ck_assert_int_eq(
		run("steps:\n  - {id: m, action: t.measure, with: {say: s, is: 0.5}}\n", false)
			.code,
		ERR_LIMIT_LOW);
	STORY("+m =m:fail:s -m:failed/limit-low ");
	ck_assert_int_eq(
		run("steps:\n  - {id: m, action: t.measure, with: {say: s, is: 2.5}}\n", false)
			.code,
		ERR_LIMIT_HIGH);
	ck_assert_int_eq(
		run("steps:\n  - {id: m, action: t.measure, with: {say: s, is: 2.0}}\n", false)
			.outcome,
		OUTCOME_PASSED);
}
END_TEST

/* --- loops --- */

START_TEST(test_a_loop_is_a_step_for_each_item_with_an_id_and_a_verdict_of_its_own)
{
	struct run_result r =
		run("steps:\n  - id: rail\n    for_each: [3V3, 5V]\n"
		    "    action: t.proof\n    with: {say: 'get ${item} ${turn}'}\n"
		    "  - {id: b, action: t.proof, with: {say: '${steps.rail[2].value}'}}\n",
			false);

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	STORY("+rail[1] -rail[1]:passed +rail[2] -rail[2]:passed +b -b:passed ");
	ck_assert_str_eq(evidence.s,
		"{\"said\":\"get 3V3 1\"} |{\"said\":\"get 5V 2\"} |{\"said\":\"2\"} |");
}
END_TEST

START_TEST(test_the_steps_of_a_turn_know_each_other)
{
	run("steps:\n  - for_each: [{n: a, low: 1}, {n: b, low: 2}]\n    when: '${item.n} != c'\n"
	    "    steps:\n      - {id: set, action: t.pass}\n"
	    "      - {id: get, action: t.proof, with: {say: '${item.n}=${steps.set.value}'}, when: '${item.low} > 1'}\n",
		false);
	STORY("+set[1] -set[1]:passed +get[1] -get[1]:skipped +set[2] -set[2]:passed "
	      "+get[2] -get[2]:passed ");
	ck_assert_ptr_nonnull(strstr(evidence.s, "b=2"));
}
END_TEST

START_TEST(test_an_order_gives_the_list_and_an_item_is_never_parsed)
{
	given = json_pack("{s:[s,s]}", "list", "${secrets.key}", "$");
	run("params: {list: {type: list}}\nsteps:\n"
	    "  - {id: a, for_each: '${params.list}', action: t.proof, with: {say: '${item}{secrets.key}'}}\n",
		false);
	STORY("+a[1] -a[1]:passed +a[2] -a[2]:passed ");
	ck_assert_str_eq(evidence.s,
		"{\"said\":\"${secrets.key}{secrets.key}\"} |{\"said\":\"${secrets.key}\"} |");
}
END_TEST

START_TEST(test_a_turn_that_fails_ends_the_loop_and_each_is_tried_by_itself)
{
	fails_left = 1;
	run("steps:\n  - {id: a, for_each: [1, 2], action: t.flaky, retry: {attempts: 2}}\n",
		false);
	STORY("+a[1] -a[1]:failed/timeout +a[1]' -a[1]:passed +a[2] -a[2]:passed ");

	struct run_result r = run(
		"steps:\n  - {id: a, for_each: [x, y], action: t.fail, with: {say: '${item}'}}\n" SAFE,
		false);

	ck_assert_str_eq(r.step, "a[1]");
	STORY("+a[1] -a[1]:failed/limit-low +safe -safe:passed ");
	run("steps:\n  - {id: a, for_each: [x, y], action: t.fail, on_fail: continue}\n", false);
	STORY("+a[1] -a[1]:failed/limit-low +a[2] -a[2]:failed/limit-low ");
}
END_TEST

/* --- parts --- */

#define PART_RAILS                                                                                                                     \
	"parts:\n  rails@2:\n    recipe: rails\n    version: 2\n"                                                                      \
	"    params: {low: {type: number}, name: {type: string, default: V}}\n"                                                        \
	"    artifacts: {fw: x}\n    unit: {serial: {from: job}}\n"                                                                    \
	"    setup:\n      - {id: on, action: t.pass}\n"                                                                               \
	"    steps:\n"                                                                                                                 \
	"      - {id: read, for_each: [a, b], action: t.proof, with: {say: '${item} ${params.name} ${params.low} ${artifacts.fw}'}}\n" \
	"      - {id: last, action: t.proof, with: {say: '${steps.read[2].value}'}}\n"                                                 \
	"    teardown:\n      - {id: 'off', action: t.proof, with: {say: '${params.low}'}}\n"
#define USE_RAILS "{id: r, use: rails@2, artifacts: {fw: main}, with: {low: "

START_TEST(test_a_part_has_names_of_its_own_and_its_teardown_comes_first)
{
	struct run_result r = run(PART_RAILS
		"params: {l: {type: string, default: '3.5'}}\n"
		"artifacts: {main: firmware.bin}\nsteps:\n"
		"  - {id: a, action: t.pass}\n"
		"  - " USE_RAILS "'${params.l}'}}\n"
		"  - {id: read, action: t.proof, with: {say: '${steps.r.last.value}'}}\n" SAFE,
		false);

	ck_assert_int_eq(r.outcome, OUTCOME_PASSED);
	STORY("+a -a:passed +r.on -r.on:passed +r.read[1] -r.read[1]:passed "
	      "+r.read[2] -r.read[2]:passed +r.last -r.last:passed +read -read:passed "
	      "+r.off -r.off:passed +safe -safe:passed ");
	ck_assert_ptr_nonnull(strstr(evidence.s, "a V 3.5 firmware.bin"));
	ck_assert_ptr_nonnull(strstr(evidence.s, "{\"said\":\"4\"}"));
}
END_TEST

START_TEST(test_a_value_of_the_ledger_is_exposed_by_the_step_of_the_part_that_sends_it)
{
	static const char part[] =
		"parts:\n  p@1:\n    recipe: p\n    version: 1\n    params: {v: {type: string}}\n"
		"    steps:\n      - {id: none, action: t.pass}\n"
		"      - {id: send, action: t.proof, with: {say: '${params.v}'}}\n";
	_cleanup_(freep) char *serial =
		xasprintf("%ssteps:\n  - {id: u, use: p@1, with: {v: '${unit.serial}'}}\n", part);
	_cleanup_(freep) char *slot = xasprintf(
		"%ssteps:\n  - {id: g, action: t.give, with: {values: {eth0: {pool: p}}}}\n"
		"  - {id: u, use: p@1, with: {v: '${steps.g.eth0}'}}\n",
		part);
	_cleanup_(freep) char *secret =
		xasprintf("%ssteps:\n  - {id: u, use: p@1, with: {v: '${secrets.key}'}}\n", part);

	run(serial, false);
	STORY("+u.none -u.none:passed +u.send reserved exposed -u.send:passed ");
	run(slot, false);
	STORY("+g -g:passed +u.none -u.none:passed +u.send exposed:eth0 -u.send:passed ");
	run(secret, false);
	STORY("+u.none -u.none:passed +u.send -u.send:passed ");
	ck_assert_msg(!strstr(evidence.s, "hunter22"), "%s", evidence.s);
}
END_TEST

START_TEST(test_what_is_irreversible_in_a_part_has_its_journal)
{
	run("parts: {p@1: {recipe: p, version: 1, steps: [{id: blow, action: t.fuse}]}}\n"
	    "steps:\n  - {id: u, use: p@1}\n",
		false);
	STORY("+u.blow intend:SN1:fuse:1 intended:{\"blown\":true} -u.blow:passed ");
}
END_TEST

START_TEST(test_a_part_that_is_not_wanted_is_skipped_but_for_its_teardown)
{
	run(PART_RAILS
		"artifacts: {main: f}\nsteps:\n  - {id: a, action: t.pass}\n"
		"  - {id: r, use: rails@2, artifacts: {fw: main}, with: {low: 1}, when: 'no == yes'}\n",
		false);
	STORY("+a -a:passed +r.on -r.on:skipped +r.read[1] -r.read[1]:skipped "
	      "+r.read[2] -r.read[2]:skipped +r.last -r.last:skipped +r.off -r.off:passed ");
}
END_TEST

/* The condition is of the steps; the fixture is made safe whatever it says, also where it has no value. */
START_TEST(test_the_teardown_of_a_part_does_not_ask_the_group_that_it_is_in)
{
	static const char *const when[] = {"no == yes", "${steps.a.value} == x"};
	static const char *const stories[] = {
		"+a -a:passed +r[1].on -r[1].on:skipped +r[1].off -r[1].off:passed ",
		"+a -a:failed/limit-low +r[1].off -r[1].off:passed "};

	for (int k = 0; k < 2; k++) {
		_cleanup_(freep) char *text = xasprintf(
			"parts: {p@1: {recipe: p, version: 1, steps: [{id: 'on', action: t.pass}], "
			"teardown: [{id: 'off', action: t.pass}]}}\nsteps:\n  - {id: a, action: %s}\n"
			"  - for_each: [x]\n    when: '%s'\n    steps:\n      - {id: r, use: p@1}\n",
			k ? "t.fail" : "t.pass", when[k]);

		run(text, false);
		STORY(stories[k]);
	}
}
END_TEST

START_TEST(test_a_part_that_a_teardown_uses_asks_its_condition)
{
	run("parts: {p@1: {recipe: p, version: 1, steps: [{id: go, action: t.pass}], "
	    "teardown: [{id: 'off', action: t.pass}]}}\nsteps:\n  - {id: a, action: t.pass}\n"
	    "teardown:\n  - {id: r, use: p@1, when: 'no == yes'}\n"
	    "  - for_each: [x]\n    when: 'no == yes'\n    steps:\n      - {id: z, action: t.pass}\n",
		false);
	STORY("+a -a:passed +r.go -r.go:skipped +r.off -r.off:passed +z[1] -z[1]:skipped ");
}
END_TEST

/* That the fixture was not made safe is on record. */
START_TEST(test_a_step_whose_condition_has_no_value_is_on_record_as_an_error)
{
	struct run_result r =
		run("steps:\n  - {id: a, action: t.fail}\n  - {id: b, action: t.proof, with: "
		    "{say: x}}\nteardown:\n  - {id: x, action: t.pass, when: "
		    "'${steps.b.value} == x'}\n  - {id: y, action: t.pass}\n",
			false);

	ck_assert_str_eq(r.step, "a");
	STORY("+a -a:failed/limit-low +x -x:error/recipe-invalid +y -y:passed ");
	r = run("steps:\n  - {id: a, action: t.pass, when: 'no == yes'}\n"
		"  - {id: b, action: t.pass, when: '${steps.a.value} == x'}\n",
		false);
	ck_assert_int_eq(r.code, ERR_RECIPE_INVALID);
	ck_assert_str_eq(r.step, "b");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("runner");
	TCase *t = tcase_create("runner");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_steps_run_in_order_and_pass);
	tcase_add_test(t, test_what_is_wrong_in_a_later_step_is_found_before_the_first);
	tcase_add_test(t, test_what_is_not_known_yet_is_left_to_its_step);
	tcase_add_test(t, test_a_secret_of_the_run_is_known_before_the_first_step);
	tcase_add_test(t, test_an_action_without_its_evidence_has_not_passed);
	tcase_add_test(t, test_a_step_whose_end_is_not_on_disk_has_not_passed);
	tcase_add_test(t, test_retries_are_by_cause_and_each_is_on_record);
	tcase_add_test(t, test_the_irreversible_is_never_tried_again);
	tcase_add_test(t, test_a_step_whose_service_is_away_is_kept_and_the_run_goes_on);
	tcase_add_test(t, test_what_comes_after_a_deferred_step_waits_with_it_and_is_not_tried);
	tcase_add_test(t, test_only_a_service_that_is_away_is_a_reason_to_wait);
	tcase_add_test(t, test_a_step_is_tried_as_often_as_it_says_before_it_waits);
	tcase_add_test(t, test_a_deferred_step_is_carried_out_from_what_was_kept);
	tcase_add_test(t, test_an_intent_comes_before_the_act_and_its_commit_before_the_end);
	tcase_add_test(t, test_an_act_that_did_not_pass_leaves_its_intent_open);
	tcase_add_loop_test(t, test_what_the_device_shows_decides_whether_it_is_done_again, 0,
		(int)ARRAY_LEN(decisions));
	tcase_add_test(t, test_what_is_on_record_as_done_is_done_where_the_device_cannot_tell);
	tcase_add_test(t, test_without_a_journal_the_device_alone_decides);
	tcase_add_test(t, test_no_secret_comes_into_the_journal_as_the_name_of_a_unit);
	tcase_add_test(t, test_continue_goes_on_but_the_run_has_failed);
	tcase_add_test(t, test_a_condition_not_met_skips_the_step_and_says_so);
	tcase_add_test(t, test_teardown_runs_after_failure_timeout_and_cancel);
	tcase_add_test(t, test_a_cancel_between_two_attempts_is_an_abort_not_a_bad_unit);
	tcase_add_test(t, test_teardown_acts_also_where_nothing_can_be_recorded);
	tcase_add_test(t, test_a_failing_teardown_step_does_not_keep_the_next_from_running);
	tcase_add_test(t, test_a_stop_ends_between_two_steps);
	tcase_add_test(t, test_secrets_are_masked_wherever_they_come_out);
	tcase_add_test(t, test_a_serial_is_exposed_once_and_before_it_is_sent);
	tcase_add_test(t, test_what_is_seen_to_be_wrong_exposes_nothing);
	tcase_add_test(t, test_each_value_is_exposed_by_the_first_step_that_sends_it);
	tcase_add_test(t, test_a_value_that_the_ledger_does_not_let_go_is_not_sent);
	tcase_add_test(t, test_a_measurement_outside_its_limits_fails_with_its_code);
	tcase_add_test(t, test_a_loop_is_a_step_for_each_item_with_an_id_and_a_verdict_of_its_own);
	tcase_add_test(t, test_the_steps_of_a_turn_know_each_other);
	tcase_add_test(t, test_an_order_gives_the_list_and_an_item_is_never_parsed);
	tcase_add_test(t, test_a_turn_that_fails_ends_the_loop_and_each_is_tried_by_itself);
	tcase_add_test(t, test_a_part_has_names_of_its_own_and_its_teardown_comes_first);
	tcase_add_test(
		t, test_a_value_of_the_ledger_is_exposed_by_the_step_of_the_part_that_sends_it);
	tcase_add_test(t, test_what_is_irreversible_in_a_part_has_its_journal);
	tcase_add_test(t, test_a_part_that_is_not_wanted_is_skipped_but_for_its_teardown);
	tcase_add_test(t, test_the_teardown_of_a_part_does_not_ask_the_group_that_it_is_in);
	tcase_add_test(t, test_a_part_that_a_teardown_uses_asks_its_condition);
	tcase_add_test(t, test_a_step_whose_condition_has_no_value_is_on_record_as_an_error);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
