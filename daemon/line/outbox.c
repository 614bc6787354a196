/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/outbox.h"

#include "base/iotime.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/holds.h"
#include "daemon/line/services.h"
#include "daemon/recipe/runner.h"
#include "db/outbox.h"
#include "db/traces.h"
#include "db/writer.h"
#include "transports/links/http.h"

#define LOOK_EVERY_US US_PER_S
#define DELAY_MS      1000
#define DELAY_MAX_MS  600000

/* A service that is away. */
struct away {
	char name[DB_ID_SIZE];
	unsigned failures; /* in a row */
	uint64_t until_us;
};

struct outbox {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	pthread_t thread;
	struct cancel stop;
	bool poked;	 /* atomic */
	const char *run; /* of the row that is carried out; NULL: of no run */
	struct away *away;
	size_t aways;
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
};

/* --- services that are away --- */

static struct away *find_away(struct outbox *o, const char *name)
{
	for (size_t i = 0; i < o->aways; i++)
		if (!strcmp(o->away[i].name, name))
			return &o->away[i];
	return NULL;
}

/* Later each time, and never all at the same time: from 75 to 125 % of it. */
static int64_t delay_ms(int64_t failures)
{
	int64_t ms = MIN(DELAY_MS << MIN(failures, 20), DELAY_MAX_MS);
	uint16_t part;

	random_bytes(&part, sizeof part);
	return ms * 3 / 4 + ms / 2 * part / UINT16_MAX;
}

static int64_t note_away(struct outbox *o, const char *name, int64_t at_least_ms)
{
	struct away *a = find_away(o, name);
	int64_t ms;

	if (!a) {
		o->away = reallocarray(o->away, o->aways + 1, sizeof *o->away);
		if (!o->away)
			abort();
		a = &o->away[o->aways++];
		*a = (struct away){0};
		snprintf(a->name, sizeof a->name, "%s", name);
	}
	ms = MAX(delay_ms(a->failures++), at_least_ms);
	a->until_us = now_us() + (uint64_t)ms * US_PER_MS;
	return ms;
}

static void note_there(struct outbox *o, const char *name)
{
	struct away *a = find_away(o, name);

	if (a)
		*a = o->away[--o->aways];
}

static json_t *names_away(struct outbox *o)
{
	json_t *names = json_array();

	if (__atomic_exchange_n(&o->poked, false, __ATOMIC_ACQ_REL))
		o->aways = 0;
	for (size_t i = 0; i < o->aways; i++)
		if (o->away[i].until_us > now_us())
			json_array_append_new(names, json_string(o->away[i].name));
	return names;
}

/* --- what came of an attempt --- */

enum verdict { IS_DONE, IS_AWAY, NOT_NOW, NEVER };

static enum verdict judge_refusal(long status)
{
	/* RFC 9110, 15.5 and 15.6; RFC 6585, 4; RFC 8470, 5.2. Not to be let in is not the unit's fault. */
	if (status == 401 || status == 403 || status == 407)
		return IS_AWAY;
	if (status == 408 || status == 425 || status == 429 || status >= 500)
		return NOT_NOW;
	return NEVER;
}

/* What is not named is a trouble of this row alone, and may go away. */
static const struct {
	enum err_code code;
	enum verdict verdict;
} verdicts[] = {
	{ERR_SERVICE_DOWN, IS_AWAY},
	{ERR_SERVICE_BUSY, IS_AWAY},
	{ERR_SERVICE_UNTRUSTED, IS_AWAY},
	{ERR_NOT_FOUND, IS_AWAY}, /* provd.yaml does not name it any more */
	{ERR_SERVICE_CONFLICT, NEVER},
	{ERR_RECIPE_INVALID, NEVER},
	{ERR_UNSUPPORTED, NEVER},
	{ERR_NO_EVIDENCE, NEVER},
};

static enum verdict judge(const struct later_result *res)
{
	if (res->outcome == OUTCOME_PASSED || res->outcome == OUTCOME_SKIPPED)
		return IS_DONE;
	if (res->code == ERR_SERVICE_REFUSED)
		return judge_refusal(res->said.status);
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
		if (verdicts[i].code == res->code)
			return verdicts[i].verdict;
	return NOT_NOW;
}

struct end_note {
	const struct outbox_row *row;
	const struct later_result *res;
	enum verdict verdict;
	int64_t again_ms;
};

static int apply_begin(struct db *tx, void *data, struct err *e)
{
	return outbox_begin(tx, ((const struct outbox_row *)data)->id, e);
}

static int apply_done(struct db *tx, const struct end_note *n, struct err *e)
{
	json_t *result =
		json_pack("{s:O*, s:O*}", "evidence", n->res->evidence, "outputs", n->res->outputs);
	int r = outbox_done(tx, n->row->id, result, e);

	json_decref(result);
	return r;
}

static int apply_end(struct db *tx, void *data, struct err *e)
{
	const struct end_note *n = data;
	const char *id = n->row->id;

	switch (n->verdict) {
	case IS_DONE:
		return apply_done(tx, n, e);
	case NEVER:
		return outbox_refuse(tx, id, n->res->code, n->res->message, e);
	case IS_AWAY:
	case NOT_NOW:
		break;
	}
	return outbox_put_off(tx, id, n->res->code, n->res->message, n->again_ms, e);
}

/* The same sentence again and again says nothing. */
static void log_once(struct outbox *o, const char *text)
{
	if (strcmp(o->trouble, text) != 0)
		log_warning("outbox: %s", text);
	snprintf(o->trouble, sizeof o->trouble, "%s", text);
}

static int end_attempt(struct outbox *o, const struct outbox_row *row,
	const struct later_result *res, struct err *e)
{
	const int64_t asked_ms =
		MIN((int64_t)(res->said.retry_after_us / US_PER_MS), OUTBOX_LATEST_MS);
	struct end_note n = {.row = row, .res = res, .verdict = judge(res)};

	if (n.verdict == IS_AWAY)
		n.again_ms = note_away(o, row->target, asked_ms);
	else
		note_there(o, row->target);
	if (n.verdict == NOT_NOW)
		n.again_ms = MAX(delay_ms(row->attempts), asked_ms);
	if (n.verdict == IS_DONE)
		o->trouble[0] = '\0';
	else
		log_once(o, res->message);
	return writer_do(o->line->writer, apply_end, &n, e);
}

/* --- who carries a row out --- */

static int env_service(void *env, const char *name, struct http_service *ret, struct err *e)
{
	const struct outbox *o = env;
	struct trace_context trace;
	struct config *now = o->line->config(o->line->line);
	int r = config_service(now, name, ret, e);

	config_unref(now);
	if (r == 0 && o->run && traces_of_run(o->db, o->run, &trace, NULL) > 0)
		http_service_trace(ret, &trace, o->run);
	return r;
}

static int carry_step(
	struct outbox *o, const struct outbox_row *row, struct later_result *ret, struct err *e)
{
	static const struct step_env_ops ops = {.service = env_service};
	struct later_step l = {.payload = row->payload, .key = row->id, .again = row->attempts > 0};
	json_t *none = json_object(), *steps = NULL;
	struct runner rn = {.ops = &ops,
		.env = o,
		.cancel = &o->stop,
		.secrets = secret_set_new(),
		.params = none,
		.artifacts = none,
		.context = none};
	int r = outbox_outputs(o->db, row->run, &steps, e);

	l.steps = steps;
	o->run = row->run;
	if (r == 0)
		runner_later(&rn, &l, ret);
	o->run = NULL;
	json_decref(steps);
	json_decref(none);
	secret_set_free(rn.secrets);
	return r;
}

/* A checkpoint as it is: whoever has it already says so by the same answer. */
static int carry_checkpoint(
	struct outbox *o, const struct outbox_row *row, struct later_result *ret, struct err *e)
{
	const struct iotime it = {NO_DEADLINE, &o->stop};
	_cleanup_(freep) char *key = xasprintf("Idempotency-Key: %s", row->id);
	const char *const headers[] = {key, NULL};
	const struct http_request q = {.method = "POST",
		.path = json_string_value(json_object_get(row->payload, "path")),
		.headers = headers,
		.body = json_string_value(json_object_get(row->payload, "note")),
		.type = "text/plain; charset=utf-8"};
	struct http_service service = {0};
	struct http_answer answer = {0};
	struct err why = {0};
	int r = env_service(o, row->target, &service, &why);

	if (r == 0)
		r = http_exchange(&service, &q, &it, &answer, &why);
	if (r == 0 && answer.status / 100 != 2)
		r = err_set(&why, ERR_SERVICE_REFUSED,
			"service '%s' answers a checkpoint with HTTP %ld", row->target,
			answer.status);
	*ret = (struct later_result){.outcome = r == 0 ? OUTCOME_PASSED : OUTCOME_ERROR,
		.code = r == 0 ? ERR_NONE : why.code,
		.said = {.status = answer.status, .retry_after_us = answer.retry_after_us}};
	if (r < 0)
		snprintf(ret->message, sizeof ret->message, "%s", why.msg);
	else
		ret->evidence = json_pack("{s:i}", "status", (int)answer.status);
	http_answer_done(&answer);
	http_service_done(&service);
	return 0;
}

static const struct {
	const char *kind;
	int (*carry)(struct outbox *o, const struct outbox_row *row, struct later_result *ret,
		struct err *e);
} kinds[] = {
	{OUTBOX_KIND_STEP, carry_step},
	{OUTBOX_KIND_CHECKPOINT, carry_checkpoint},
};

static int carry(
	struct outbox *o, const struct outbox_row *row, struct later_result *ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i].kind, row->kind))
			return kinds[i].carry(o, row, ret, e);
	*ret = (struct later_result){.outcome = OUTCOME_ERROR, .code = ERR_UNSUPPORTED};
	snprintf(ret->message, sizeof ret->message,
		"this provd does not know rows of the kind '%s'", row->kind);
	return 0;
}

static int attempt(struct outbox *o, const struct outbox_row *row, struct err *e)
{
	struct later_result res = {0};
	int r = writer_do(o->line->writer, apply_begin, (void *)(uintptr_t)row, e);

	if (r == 0)
		r = carry(o, row, &res, e);
	/* What a stop cut off stays begun. */
	if (r == 0 && cancel_reason(&o->stop) == ERR_NONE)
		r = end_attempt(o, row, &res, e);
	json_decref(res.evidence);
	json_decref(res.outputs);
	return r;
}

/* --- the thread --- */

/* 1: one was tried, perhaps another is due; 0: none is. */
static int try_one(struct outbox *o, struct err *e)
{
	json_t *away = names_away(o);
	struct outbox_row row = {0};
	int r = o->db ? 0 : db_open_reader(o->db_path, &o->db, e);

	if (r == 0)
		r = outbox_next(o->db, away, wall_ms(), &row, e);
	if (r > 0)
		r = attempt(o, &row, e) < 0 ? -(int)e->code : 1;
	json_decref(row.payload);
	json_decref(away);
	return r;
}

static void *outbox_main(void *arg)
{
	struct outbox *o = arg;
	const struct iotime it = {NO_DEADLINE, &o->stop};

	while (iotime_sleep(LOOK_EVERY_US, &it, NULL) == 0) {
		struct err e = {0};
		int r = 1;

		while (r > 0 && cancel_reason(&o->stop) == ERR_NONE &&
			holds_check(o->line->holds, HOLD_STOPS_SENDING, NULL) == 0)
			r = try_one(o, &e);
		/* One that was voided meanwhile is looked at no more. */
		if (r < 0 && r != -ERR_CONFLICT)
			log_once(o, e.msg);
	}
	return NULL;
}

int outbox_start(
	const struct line_services *line, const char *db_path, struct outbox **ret, struct err *e)
{
	struct outbox *o = xcalloc(1, sizeof *o);
	int r = cancel_init(&o->stop, e);

	o->line = line;
	o->db_path = xstrdup(db_path);
	if (r == 0) {
		r = thread_start(&o->thread, "outbox", outbox_main, o, e);
		if (r < 0)
			cancel_done(&o->stop);
	}
	if (r < 0) {
		free(o->db_path);
		free(o);
		return r;
	}
	*ret = o;
	return 0;
}

struct outbox *outbox_free(struct outbox *o)
{
	if (!o)
		return NULL;
	cancel_fire(&o->stop, ERR_SHUTDOWN);
	pthread_join(o->thread, NULL);
	cancel_done(&o->stop);
	db_free(o->db);
	free(o->away);
	free(o->db_path);
	free(o);
	return NULL;
}

void outbox_poke(struct outbox *o)
{
	if (o)
		__atomic_store_n(&o->poked, true, __ATOMIC_RELEASE);
}
