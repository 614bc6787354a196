/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/station.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/line/meters.h"
#include "daemon/line/services.h"
#include "daemon/line/station_impl.h"

#define NOT_KNOWN_US UINT64_MAX /* longer than any settle time */
#define BOX_SIZE     32

static const char *const state_name[STATION_STATE_COUNT] = {
	"empty", "settling", "ready", "running", "done", "fault", "quarantined", "disabled"};

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

int station_new(const struct line_services *line, struct config *config,
	const struct station_config *cfg, struct station **ret, struct err *e)
{
	struct station *s = xcalloc(1, sizeof *s);
	int r = 0;

	if (cfg->ports > STATION_PORTS_MAX) {
		free(s);
		return err_set(e, ERR_INVALID, "station %s has more than %d ports", cfg->id,
			STATION_PORTS_MAX);
	}
	s->line = line;
	s->config = config_ref(config);
	s->cfg = cfg;
	s->since_ms = wall_ms();
	s->tick_us = now_us();
	s->interlocks_stale = true;
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
	free(s->prompt.picture_text);
	json_decref(s->interlocks_view);
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
	if (from != to && !station_may_go(from, to))
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
	bool came = !p->present || (wrong && !p->wrong);

	/* Measured here, where nothing waits for a disk: the worker may be late. What was there
	 * before its leaving was seen was read in one go with it (this thread was late, or the
	 * removal was lost), and how long nothing was there is not known: another unit is run,
	 * rather than taken for the one that has passed. */
	if (!p->present && p->gone_us && !p->claimed)
		p->away_us = f->came_us && f->came_us < p->gone_us
				     ? NOT_KNOWN_US
				     : MAX(p->away_us, now - p->gone_us);
	p->present = true;
	p->came++;
	p->wrong = wrong;
	p->facts = *f;
	s->revision++;
	mutex_unlock(&s->lock);
	if (came)
		meters_plug(s->line->meters, s->cfg->id, wrong ? PLUG_WRONG : PLUG_IN);
	s->line->views_changed(s->line->line);
	station_poke(s);
}

void station_absent(struct station *s, size_t port)
{
	bool ends_run, left;

	mutex_lock(&s->lock);

	struct presence *p = &s->port[port];

	left = p->present;
	if (left)
		p->gone_us = now_us();
	p->present = false;
	ends_run = s->run_uses[port] && !p->claimed;
	if (ends_run && p->gone_us)
		p->lost++;
	s->revision++;
	mutex_unlock(&s->lock);
	if (left)
		meters_plug(s->line->meters, s->cfg->id, PLUG_OUT);
	if (ends_run)
		cancel_fire(&s->cancel, ERR_DEVICE_GONE);
	s->line->views_changed(s->line->line);
	station_poke(s);
}

/* --- commands: any thread --- */

static const enum station_sign sign_of[] = {[STATION_CMD_START] = SIGN_START,
	[STATION_CMD_ABORT] = SIGN_ABORT,
	[STATION_CMD_ENABLE] = SIGN_ENABLE,
	[STATION_CMD_DISABLE] = SIGN_DISABLE,
	[STATION_CMD_CLEAR] = SIGN_CLEAR};

enum station_sign station_command_sign(enum station_command c)
{
	return sign_of[c];
}

int station_command(struct station *s, enum station_command c, const char *by, struct err *e)
{
	enum station_state st = station_state(s);
	struct letter *l;
	int r;

	if (station_rule(st, sign_of[c]).effect == EFFECT_NEVER)
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
	if (mine && s->uncut) {
		s->abort_after = true;
		mine = false;
	}
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
