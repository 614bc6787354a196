/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/station.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/line/feed.h"
#include "daemon/line/fleet.h"
#include "daemon/line/station_priv.h"

#define STOOD_STILL_US (200 * US_PER_MS)
#define BOX_SIZE       32
#define DAY_S	       (24 * 3600)

static const char *const state_name[STATION_STATE_COUNT] = {
	"empty", "settling", "ready", "running", "done", "fault", "quarantined", "disabled"};

#define TO(s) (1u << STATION_##s)
/* From each state, where it may go. */
static const unsigned allowed[STATION_STATE_COUNT] = {
	[STATION_EMPTY] =
		TO(SETTLING) | TO(READY) | TO(DONE) | TO(FAULT) | TO(QUARANTINED) | TO(DISABLED),
	[STATION_SETTLING] = TO(EMPTY) | TO(READY) | TO(FAULT) | TO(DISABLED),
	/* begin_settling() out of every state in which a unit may be found */
	[STATION_READY] = TO(EMPTY) | TO(SETTLING) | TO(RUNNING) | TO(FAULT) | TO(DISABLED),
	[STATION_RUNNING] = TO(DONE) | TO(FAULT) | TO(QUARANTINED) | TO(DISABLED),
	[STATION_DONE] = TO(EMPTY) | TO(SETTLING) | TO(READY) | TO(FAULT) | TO(DISABLED),
	[STATION_FAULT] = TO(EMPTY) | TO(SETTLING) | TO(READY) | TO(DONE) | TO(QUARANTINED) |
			  TO(DISABLED) | TO(FAULT),
	[STATION_QUARANTINED] = TO(EMPTY) | TO(SETTLING) | TO(READY) | TO(DISABLED) | TO(FAULT),
	[STATION_DISABLED] = TO(EMPTY) | TO(SETTLING) | TO(READY) | TO(FAULT),
};

const char *station_state_str(enum station_state s)
{
	return state_name[s];
}

static const char *const command_name[] = {"start", "abort", "enable", "disable", "clear"};

const char *station_command_str(enum station_command c)
{
	return command_name[c];
}

int station_command_from_str(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(command_name); i++)
		if (!strcmp(command_name[i], s))
			return (int)i;
	return -1;
}

const char *station_id(const struct station *s)
{
	return s->cfg->id;
}

bool station_runs(struct station *s, const char *run)
{
	bool runs;

	mutex_lock(&s->lock);
	runs = s->has_run && !strcmp(s->run.id, run);
	mutex_unlock(&s->lock);
	return runs;
}

const struct station_config *station_configured(const struct station *s)
{
	return s->cfg;
}

bool station_ended(struct station *s)
{
	return __atomic_load_n(&s->ended, __ATOMIC_ACQUIRE);
}

void station_poke(struct station *s)
{
	eventfd_write(s->wake_fd, 1);
}

int station_new(struct fleet *fleet, struct config *config, const struct station_config *cfg,
	struct station **ret, struct err *e)
{
	struct station *s = xcalloc(1, sizeof *s);
	int r = 0;

	if (cfg->ports > STATION_PORTS_MAX) {
		free(s);
		return err_set(e, ERR_INVALID, "station %s has more than %d ports", cfg->id,
			STATION_PORTS_MAX);
	}
	s->fleet = fleet;
	s->config = config_ref(config);
	s->cfg = cfg;
	s->since_ms = wall_ms();
	s->tick_us = now_us();
	s->cancel.fd = -1;
	mutex_init(&s->lock);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		r = err_errno(e, ERR_IO, errno, "eventfd");
	if (r == 0)
		r = cancel_init(&s->cancel, e);
	if (r == 0)
		r = mailbox_new(BOX_SIZE, free, &s->box, e);
	if (r == 0) {
		char name[80];

		snprintf(name, sizeof name, "st-%s", cfg->id);
		r = thread_start(&s->thread, name, worker_main, s, e);
		s->started = r == 0;
	}
	if (r < 0) {
		station_free(s);
		return err_prefix(e, "station %s", cfg->id);
	}
	*ret = s;
	return 0;
}

void station_stop(struct station *s, bool now)
{
	__atomic_store_n(&s->stop, now ? 2 : 1, __ATOMIC_SEQ_CST);
	if (now)
		cancel_fire(&s->cancel, ERR_SHUTDOWN);
	station_poke(s);
}

struct station *station_free(struct station *s)
{
	if (!s)
		return NULL;
	if (s->started)
		pthread_join(s->thread, NULL);
	mailbox_free(s->box);
	cancel_done(&s->cancel);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	json_decref(s->prompt.choices);
	free(s->prompt.pattern);
	mutex_done(&s->lock);
	config_unref(s->config);
	free(s);
	return NULL;
}

void station_set_state(
	struct station *s, enum station_state to, enum err_code code, const char *fmt, ...)
{
	enum station_state from;
	char text[sizeof s->message];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	mutex_lock(&s->lock);
	from = s->state;
	if (from != to || strcmp(text, s->message) != 0) {
		s->state = to;
		if (from != to)
			s->since_ms = wall_ms();
		s->message_code = code;
		memcpy(s->message, text, sizeof text);
		s->revision++;
	}
	mutex_unlock(&s->lock);
	if (from != to && !(allowed[from] & 1u << to))
		log_error("bug: station %s goes from %s to %s", s->cfg->id, state_name[from],
			state_name[to]);
	if (from != to)
		log_info("%s -> %s%s%s", state_name[from], state_name[to], text[0] ? ": " : "",
			text);
	station_publish(s);
}

/* --- what is plugged: main thread --- */

void station_present(struct station *s, size_t port, const struct device_facts *f, bool wrong)
{
	mutex_lock(&s->lock);

	struct presence *p = &s->port[port];
	uint64_t now = now_us();
	uint64_t late = f->came_us && f->came_us < now ? now - f->came_us : 0;

	/* Measured here, where nothing waits for a disk: the worker may be late. Where this thread
	 * itself stood still, leaving and coming were read in one go, and the time between them is
	 * not known: another unit is run, rather than taken for the one that has passed. */
	if (!p->present && p->gone_us && !p->claimed)
		p->away_us = MAX(p->away_us, now - p->gone_us + (late > STOOD_STILL_US ? late : 0));
	p->present = true;
	p->wrong = wrong;
	p->facts = *f;
	s->revision++;
	mutex_unlock(&s->lock);
	station_poke(s);
}

void station_absent(struct station *s, size_t port)
{
	bool ends_run;

	mutex_lock(&s->lock);

	struct presence *p = &s->port[port];

	if (p->present)
		p->gone_us = now_us();
	p->present = false;
	ends_run = s->run_uses[port] && !p->claimed;
	s->revision++;
	mutex_unlock(&s->lock);
	if (ends_run)
		cancel_fire(&s->cancel, ERR_DEVICE_GONE);
	station_poke(s);
}

/* --- commands: any thread --- */

static bool command_fits(enum station_state st, enum station_command c)
{
	switch (c) {
	case STATION_CMD_START:
		return st == STATION_READY || st == STATION_DONE || st == STATION_EMPTY;
	case STATION_CMD_ABORT:
		return st == STATION_RUNNING;
	case STATION_CMD_ENABLE:
		return st == STATION_DISABLED;
	case STATION_CMD_DISABLE:
		return st != STATION_DISABLED;
	case STATION_CMD_CLEAR:
		return st == STATION_FAULT || st == STATION_QUARANTINED;
	}
	return false;
}

int station_command(struct station *s, enum station_command c, const char *by, struct err *e)
{
	enum station_state st = station_state(s);
	struct letter *l;
	int r;

	if (!command_fits(st, c))
		return err_set(e, ERR_CONFLICT, "station %s is %s", s->cfg->id, state_name[st]);
	if (c == STATION_CMD_ABORT) {
		/* A run that has just ended by itself resets the flag before the next one. */
		log_notice("station %s: run aborted by %s", s->cfg->id, by);
		cancel_fire(&s->cancel, ERR_ABORTED);
		return 0;
	}
	l = xcalloc(1, sizeof *l);
	l->kind = LETTER_COMMAND;
	l->command = c;
	snprintf(l->by, sizeof l->by, "%s", by);
	r = mailbox_post(s->box, l, e);
	if (r < 0) {
		free(l);
		return err_prefix(e, "station %s", s->cfg->id);
	}
	station_poke(s);
	return 0;
}

int station_answer(
	struct station *s, const char *prompt_id, const char *answer, const char *by, struct err *e)
{
	bool open;
	struct letter *l;
	int r;

	mutex_lock(&s->lock);
	open = !strcmp(s->prompt.id, prompt_id) && prompt_id[0];
	mutex_unlock(&s->lock);
	if (!open)
		return err_set(e, ERR_NOT_FOUND, "station %s has no such open prompt", s->cfg->id);
	l = xcalloc(1, sizeof *l);
	l->kind = LETTER_ANSWER;
	snprintf(l->by, sizeof l->by, "%s", by);
	snprintf(l->prompt_id, sizeof l->prompt_id, "%s", prompt_id);
	snprintf(l->answer, sizeof l->answer, "%s", answer);
	r = mailbox_post(s->box, l, e);
	if (r < 0) {
		free(l);
		return r;
	}
	station_poke(s);
	return 0;
}

void station_wake(struct station *s)
{
	station_poke(s);
}

void station_abort_job(struct station *s, const char *job_id)
{
	bool mine;

	mutex_lock(&s->lock);
	mine = s->has_run && !strcmp(s->run.job_id, job_id);
	mutex_unlock(&s->lock);
	if (mine)
		cancel_fire(&s->cancel, ERR_ABORTED);
}

enum station_state station_state(struct station *s)
{
	mutex_lock(&s->lock);
	enum station_state st = s->state;
	mutex_unlock(&s->lock);
	return st;
}

bool station_idle(struct station *s)
{
	enum station_state st = station_state(s);

	return st != STATION_RUNNING && st != STATION_SETTLING;
}

uint64_t station_tick_us(struct station *s)
{
	return __atomic_load_n(&s->tick_us, __ATOMIC_RELAXED);
}

/* --- the view --- */

static int64_t local_day(void)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return (int64_t)tm.tm_year * 366 + tm.tm_yday;
}

int64_t station_day_began_ms(void)
{
	time_t t = time(NULL);
	struct tm tm;

	localtime_r(&t, &tm);
	t -= (tm.tm_hour * 60 + tm.tm_min) * 60 + tm.tm_sec;
	/* Beside it on a day when the clocks are changed. */
	localtime_r(&t, &tm);
	t -= (tm.tm_hour * 60 + tm.tm_min) * 60;
	return ((int64_t)t + (tm.tm_hour > 12 ? DAY_S : 0)) * 1000;
}

static void roll_day(struct station *s)
{
	int64_t day = local_day();

	if (s->today_day == day)
		return;
	s->today_day = day;
	memset(s->today, 0, sizeof s->today);
}

void station_recall_counts(struct station *s, const struct station_counts *c)
{
	mutex_lock(&s->lock);
	roll_day(s);
	s->today[OUTCOME_PASSED] = c->passed;
	s->today[OUTCOME_FAILED] = c->failed;
	s->today[OUTCOME_ERROR] = c->error;
	s->today[OUTCOME_ABORTED] = c->aborted;
	mutex_unlock(&s->lock);
}

void station_count(struct station *s, enum outcome o)
{
	mutex_lock(&s->lock);
	roll_day(s);
	if (o < OUTCOME_SKIPPED)
		s->today[o]++;
	mutex_unlock(&s->lock);
}

static json_t *time_json(int64_t ms)
{
	char buf[RFC3339_SIZE];

	return json_string(rfc3339(ms, buf));
}

static json_t *run_json(const struct station *s)
{
	const struct run_view *r = &s->run;

	if (!s->has_run)
		return json_null();
	return json_pack("{s:s, s:s, s:s*, s:{s:s, s:i}, s:o, s:{s:s, s:s, s:s, s:i, s:i, s:i}, "
			 "s:{s:s, s:I, s:I}}",
		"id", r->id, "job_id", r->job_id, "serial", r->serial[0] ? r->serial : NULL,
		"recipe", "name", r->recipe, "version", (int)r->recipe_version, "started_at",
		time_json(r->started_ms), "step", "id", r->step, "action", r->action, "phase",
		r->phase, "n", (int)r->step_n, "total", (int)r->step_total, "attempt",
		(int)r->attempt, "progress", "phase", r->progress_phase, "done",
		(json_int_t)r->progress_done, "total", (json_int_t)r->progress_total);
}

static json_t *last_json(const struct station *s)
{
	const struct last_view *l = &s->last;

	if (!s->has_last)
		return json_null();
	return json_pack("{s:s, s:s*, s:s, s:s, s:s, s:s, s:s, s:o}", "run_id", l->run_id, "serial",
		l->serial[0] ? l->serial : NULL, "outcome", outcome_str(l->outcome), "code",
		err_code_str(l->code), "step", l->step, "message", l->message, "hint",
		err_code_hint(l->code), "ended_at", time_json(l->ended_ms));
}

static json_t *prompt_json(const struct station *s)
{
	const struct prompt_view *p = &s->prompt;

	if (!p->id[0])
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:O*, s:s*}", "id", p->id, "kind", p->kind, "text",
		p->text, "choices", p->choices, "pattern", p->pattern);
}

static json_t *ports_json(const struct station *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->cfg->ports; i++) {
		const struct port_config *pc = &s->cfg->port[i];
		const struct presence *p = &s->port[i];
		json_t *o = json_pack("{s:s, s:s, s:b, s:b}", "role", pc->role, "kind", pc->kind,
			"present", p->present || pc->address, "wrong_device",
			p->present && p->wrong);

		if (pc->address)
			json_object_set_new(o, "node", json_string(pc->address));
		else if (p->present)
			json_object_update_new(
				o, json_pack("{s:s, s:s, s:s, s:s, s:s*}", "node", p->facts.node,
					   "path", p->facts.path, "vid", p->facts.vid, "pid",
					   p->facts.pid, "serial",
					   p->facts.serial[0] ? p->facts.serial : NULL));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *station_json(struct station *s)
{
	json_t *o;

	mutex_lock(&s->lock);
	roll_day(s);
	o = json_pack(
		"{s:s, s:s, s:s, s:o, s:s*, s:s*, s:o, s:o, s:o, s:{s:i, s:i, s:i, s:i}, s:o, "
		"s:b, s:I}",
		"id", s->cfg->id, "title", s->cfg->title, "state", state_name[s->state], "since",
		time_json(s->since_ms), "code",
		s->message_code != ERR_NONE ? err_code_str(s->message_code) : NULL, "message",
		s->message[0] ? s->message : NULL, "run", run_json(s), "prompt", prompt_json(s),
		"last", last_json(s), "today", "passed", (int)s->today[OUTCOME_PASSED], "failed",
		(int)s->today[OUTCOME_FAILED], "error", (int)s->today[OUTCOME_ERROR], "aborted",
		(int)s->today[OUTCOME_ABORTED], "ports", ports_json(s), "manual", s->cfg->manual,
		"revision", (json_int_t)s->revision);
	mutex_unlock(&s->lock);
	return o;
}

void station_publish(struct station *s)
{
	fleet_views_changed(s->fleet);

	json_t *view = station_json(s);
	char *text = view ? json_dumps(view, JSON_COMPACT) : NULL;

	if (text)
		feed_publish(fleet_feed(s->fleet), 0, "station", s->cfg->id, text);
	free(text);
	json_decref(view);
}
