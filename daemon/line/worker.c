/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread of a station: it sleeps until something is plugged, a command comes or jobs change,
 * and carries a run out from attach to verdict. Alone it changes the station's state.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/trace_context.h"
#include "base/util.h"
#include "daemon/line/services.h"
#include "daemon/line/station_memory.h"
#include "daemon/line/station_impl.h"

#define RECALL_EVERY_US	  US_PER_S
#define HELD_RETRY_US	  US_PER_S
#define BEFORE_FIRST_STEP "attach"
#define NAP_US		  (10 * US_PER_S)

struct plugged {
	struct station_sight sight; /* its mark: USB ids and serials */
	char wrong_text[ERR_TEXT_BYTES];
	bool unknown; /* which plugging it is cannot be known */
	char plugged[sizeof((struct station_row *)0)->plugged]; /* which it is; "" unknown */
};

static void add_mark(char mark[STATION_MARK_SIZE], const struct device_facts *f)
{
	size_t n = strlen(mark);

	snprintf(mark + n, STATION_MARK_SIZE - n, "%s:%s/%s;", f->vid, f->pid, f->serial);
}

/* Stays what it is for as long as everything that the station needs stays plugged, whatever becomes
 * of provd. */
static void add_plugged(struct plugged *p, const struct port_config *pc, const char *enumeration)
{
	size_t n = strlen(p->plugged);
	int k;

	if (pc->optional || p->unknown)
		return;
	k = snprintf(p->plugged + n, sizeof p->plugged - n, " %s=%s", pc->role, enumeration);
	p->unknown = !enumeration[0] || k < 0 || n + (size_t)k >= sizeof p->plugged;
}

static struct plugged look(struct station *s)
{
	struct plugged p = {.sight.complete = true};
	size_t none = strlen(s->line->boot);

	snprintf(p.plugged, sizeof p.plugged, "%s", s->line->boot);
	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->cfg->ports; i++) {
		const struct port_config *pc = &s->cfg->port[i];
		const struct presence *on = &s->port[i];

		if (pc->address) {
			add_plugged(&p, pc, pc->address);
			continue;
		}
		if (!on->present) {
			p.sight.complete &= pc->optional;
			continue;
		}
		p.sight.any = true;
		p.sight.generation = MAX(p.sight.generation, on->facts.generation);
		p.sight.away_us = MAX(p.sight.away_us, on->away_us);
		add_mark(p.sight.mark, &on->facts);
		add_plugged(&p, pc, on->facts.enumeration);
		if (on->wrong) {
			p.sight.wrong = true;
			p.sight.complete = false;
			snprintf(p.wrong_text, sizeof p.wrong_text,
				"port %s (%s): device %s:%s is plugged, %s:%s expected", pc->role,
				on->facts.path, on->facts.vid, on->facts.pid,
				pc->vid ? pc->vid : "any", pc->pid ? pc->pid : "any");
		}
	}
	mutex_unlock(&s->lock);
	if (p.unknown || !p.sight.complete || !p.plugged[none])
		p.plugged[0] = 0;
	p.sight.served = p.plugged[0] && !strcmp(p.plugged, s->row.plugged);
	return p;
}

/* What was seen of absences until now is judged. */
static void forget_absences(struct station *s)
{
	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->cfg->ports; i++)
		s->port[i].away_us = 0;
	mutex_unlock(&s->lock);
}

static bool stopping(const struct station *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_SEQ_CST) != 0;
}

/* --- the run's record, from the attach --- */

/* What ends without this station: the code that ends it wakes the stations. */
static bool is_held(int r)
{
	return r == -ERR_INTERLOCK || r == -ERR_RECORDS_HELD || r == -ERR_RECORDS_DAMAGED ||
	       r == -ERR_DISK_FULL || r == -ERR_CLOCK;
}

/* What the devices that are plugged say of themselves. */
static json_t *marks_of(struct station *s)
{
	json_t *marks = json_array();

	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->cfg->ports; i++)
		if (s->port[i].present && s->port[i].facts.serial[0])
			json_array_append_new(marks, json_string(s->port[i].facts.serial));
	mutex_unlock(&s->lock);
	return marks;
}

static void release_ports(struct station *s)
{
	mutex_lock(&s->lock);
	memset(s->run_uses, 0, sizeof s->run_uses);
	for (size_t i = 0; i < s->cfg->ports; i++)
		s->port[i].claimed = false;
	mutex_unlock(&s->lock);
}

/* Where nothing else holds the station, whose sentence is the one to read. */
static void show_power(struct station *s, enum err_code code, const char *text)
{
	if (!s->row.held[0] && !s->known.unrecorded)
		station_set_state(s, station_state(s), code, "%s", text);
}

/* A run that broke off may have left the power otherwise than its recipe says. */
static bool power_is_right(struct station *s)
{
	struct err e;
	int r;

	if (s->owed == POWER_UNKNOWN)
		return true;
	if (now_us() < s->owed_next_us)
		return false;
	/* Meanwhile the station answers nobody, and a switch that hangs takes its time. */
	if (!s->owed_next_us)
		show_power(s, ERR_NONE,
			s->owed == POWER_ON
				? "the power of the unit is switched on: a run broke off"
				: "the power of the unit is switched off: a run broke off");
	station_publish(s);
	r = worker_put_power_right(s, &e);
	release_ports(s);
	if (r == 0) {
		show_power(s, ERR_NONE, "");
		s->owed_next_us = 0;
		return true;
	}
	if (!s->owed_next_us)
		log_error("%s", e.msg);
	s->owed_next_us = now_us() + HELD_RETRY_US;
	show_power(s, e.code, e.msg);
	return false;
}

static void open_run(struct station *s)
{
	const struct job_claim *claim;
	json_t *marks;
	struct err e;
	int r;

	if (s->rec)
		return;
	if (!power_is_right(s)) {
		s->held = true;
		return;
	}
	/* From here on an abort of its job reaches the run, also before its first step. */
	cancel_reset(&s->cancel);
	s->row.plugged[0] = 0;
	marks = marks_of(s);
	r = recorder_open(s->line, s->cfg, &s->row, marks, &s->rec, &e);
	json_decref(marks);
	s->held = is_held(r);
	if (r == -ERR_NOT_FOUND || s->held) {
		/* No job waits, or the line is held: the unit waits, and why is shown. */
		station_set_state(s, station_state(s), s->held ? e.code : ERR_NONE, "%s",
			s->held ? e.msg : "");
		return;
	}
	if (r < 0) {
		station_set_state(s, STATION_FAULT, e.code, "no run could be opened: %s", e.msg);
		return;
	}
	claim = recorder_claim(s->rec);
	mutex_lock(&s->lock);
	s->has_run = true;
	s->run = (struct run_view){.recipe_version = claim->recipe->version,
		.started_ms = wall_ms(),
		.step_total = (unsigned)recipe_step_count(claim->recipe)};
	snprintf(s->run.id, sizeof s->run.id, "%s", recorder_run_id(s->rec));
	snprintf(s->run.job_id, sizeof s->run.job_id, "%s", claim->job_id);
	snprintf(s->run.recipe, sizeof s->run.recipe, "%s", claim->recipe->name);
	snprintf(s->run.serial, sizeof s->run.serial, "%s", claim->serial);
	s->revision++;
	mutex_unlock(&s->lock);
}

static void note_last(struct station *s, const struct run_result *res)
{
	mutex_lock(&s->lock);
	s->has_last = true;
	s->last = (struct last_view){.outcome = res->outcome,
		.code = res->code,
		.deferred = res->deferred,
		.ended_ms = wall_ms()};
	snprintf(s->last.run_id, sizeof s->last.run_id, "%s", s->run.id);
	snprintf(s->last.serial, sizeof s->last.serial, "%s", s->run.serial);
	snprintf(s->last.step, sizeof s->last.step, "%s", res->step);
	snprintf(s->last.message, sizeof s->last.message, "%s", res->message);
	s->has_run = false;
	s->revision++;
	mutex_unlock(&s->lock);
}

/* Puts the end of the open run on disk. false: it is not, the station is in fault and tries again
 * every second. */
static bool close_run(struct station *s, const struct run_result *res)
{
	struct err e;

	if (recorder_close(s->rec, res, &s->row, &e) < 0) {
		if (!s->known.unrecorded)
			log_error("the end of run %s is not recorded: %s", recorder_run_id(s->rec),
				e.msg);
		s->closing = *res;
		s->known.unrecorded = true;
		s->known.close_again_us = now_us() + HELD_RETRY_US;
		station_set_state(s, STATION_FAULT, e.code,
			"the end of the last run is not on record yet (%s): remove the cause, it is tried again every second",
			e.msg);
		return false;
	}
	if (s->known.unrecorded)
		log_notice("the end of run %s is recorded now", recorder_run_id(s->rec));
	s->known.unrecorded = false;
	if (recorder_has_proven(s->rec))
		station_row_let_go(&s->row);
	note_last(s, res);
	station_count(s, res->outcome);
	s->rec = recorder_free(s->rec);
	__atomic_store_n(&s->interlocks_stale, true, __ATOMIC_SEQ_CST);
	/* The place that this unit held in its job is free again: another station may take it. */
	if (res->outcome != OUTCOME_PASSED)
		s->line->wake(s->line->line);
	log_thread_run(NULL);
	log_thread_trace(NULL);
	return true;
}

/* Ends a run that has not begun its first step; true where there is none. */
static bool drop_run(struct station *s, enum err_code code, const char *message)
{
	struct run_result res = {
		.outcome = outcome_of_code(code), .code = code, .step = BEFORE_FIRST_STEP};

	if (!s->rec)
		return true;
	snprintf(res.message, sizeof res.message, "%s", message);
	return close_run(s, &res);
}

/* --- running --- */

/* It says nothing of the fixture: a cloud that is away, a pool that is empty, a token that was pulled or a printer without
 * paper would quarantine every station of the line. */
static bool is_of_the_line(enum err_code c)
{
	static const enum err_code codes[] = {ERR_SERVICE_DOWN, ERR_SERVICE_BUSY,
		ERR_SERVICE_UNTRUSTED, ERR_SERVICE_ANSWER, ERR_SERVICE_REFUSED,
		ERR_SERVICE_CONFLICT, ERR_PRINTER, ERR_INTERLOCK, ERR_POOL_EMPTY, ERR_QUOTA,
		ERR_DISK_FULL, ERR_ATTACHMENT_QUOTA, ERR_RECORDS_HELD, ERR_RECORDS_DAMAGED,
		ERR_CLOCK, ERR_BACKLOG, ERR_KEYS_DOWN, ERR_TOKEN_GONE, ERR_TOKEN_PIN,
		ERR_PIN_REFUSED, ERR_PIN_LOCKED, ERR_TOKEN_FULL, ERR_ISSUER_INVALID,
		ERR_HOST_COPIED, ERR_HOST_OLDER, ERR_HOST_UNPROVEN, ERR_LEASE_EXPIRED,
		ERR_PLANT_HELD};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i] == c)
			return true;
	return false;
}

static void count_failures(struct station *s, const struct run_result *res)
{
	struct station_row *row = &s->row;
	unsigned limit = s->cfg->quarantine_after;

	if (is_of_the_line(res->code))
		return;
	if (res->outcome == OUTCOME_PASSED) {
		row->fail_count = 0;
		row->fail_step[0] = 0;
	} else if (res->outcome == OUTCOME_FAILED || res->outcome == OUTCOME_ERROR) {
		row->fail_count = strcmp(row->fail_step, res->step) == 0 ? row->fail_count + 1 : 1;
		snprintf(row->fail_step, sizeof row->fail_step, "%s", res->step);
	}
	if (!limit || row->fail_count < limit)
		return;
	snprintf(row->held, sizeof row->held, "quarantined");
	snprintf(row->code, sizeof row->code, "%s", err_code_str(res->code));
	snprintf(row->message, sizeof row->message,
		"step '%s' failed on %lld units in a row: check the fixture, then clear", res->step,
		(long long)row->fail_count);
}

/* Into the state in which the station takes no unit; false where nothing holds it. */
static bool stay_held(struct station *s)
{
	int code = err_code_from_str(s->row.code);

	if (!s->row.held[0])
		return false;
	station_set_state(s,
		!strcmp(s->row.held, "disabled") ? STATION_DISABLED : STATION_QUARANTINED,
		(enum err_code)MAX(code, 0), "%s", s->row.message);
	return true;
}

/* by: as stations_put(). */
static void note_row(struct station *s, const char *by)
{
	struct err e;

	if (station_memory_note(s->line->writer, s->cfg->id, &s->row, by, &e) < 0)
		log_error("the state of the station is not on disk: %s", e.msg);
}

static void disable(struct station *s, const char *by)
{
	snprintf(s->row.held, sizeof s->row.held, "disabled");
	snprintf(s->row.code, sizeof s->row.code, "%s", err_code_str(ERR_NONE));
	snprintf(s->row.message, sizeof s->row.message, "disabled by %s", by);
	note_row(s, by);
	stay_held(s);
}

static void let_go(struct station *s, const char *by)
{
	station_row_let_go(&s->row);
	note_row(s, by);
}

static void after_run(struct station *s)
{
	if (!stay_held(s))
		station_set_state(s, STATION_DONE, ERR_NONE, "%s", "");
	s->known.away_since_us = 0;
}

/* From now on the absence of a port that the recipe uses ends the run; one that is already absent
 * does at once. */
static void guard_ports(struct station *s)
{
	bool gone = false;

	mutex_lock(&s->lock);
	for (size_t i = 0; i < s->cfg->ports; i++) {
		const struct port_config *pc = &s->cfg->port[i];

		s->port[i].claimed = false;
		s->run_uses[i] =
			!pc->address && recipe_port(recorder_claim(s->rec)->recipe, pc->role);
		gone |= s->run_uses[i] && !s->port[i].present && !pc->optional;
	}
	mutex_unlock(&s->lock);
	if (gone)
		cancel_fire(&s->cancel, ERR_DEVICE_GONE);
}

/* What is plugged has had its run: it is not run again by itself, also not by a provd that starts
 * again. Not so what came in unannounced during the run, and what provd itself gave up. */
static void note_served(struct station *s, const struct run_result *res)
{
	struct plugged p = look(s);
	bool same = p.sight.generation == s->known.generation && res->code != ERR_SHUTDOWN;

	memcpy(s->row.plugged, p.plugged, sizeof s->row.plugged);
	if (!same)
		s->row.plugged[0] = 0;
}

static void execute(struct station *s)
{
	const struct trace_context *trace;
	struct run_result res;

	s->known.asked = false;
	log_thread_run(recorder_run_id(s->rec));
	trace = recorder_trace(s->rec);
	log_thread_trace(trace ? trace->id : NULL);
	guard_ports(s);
	if (__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST) == 2)
		cancel_fire(&s->cancel, ERR_SHUTDOWN);
	station_set_state(s, STATION_RUNNING, ERR_NONE, "%s", "");
	worker_execute(s, &res);
	release_ports(s);
	log_info("run %s: %s%s%s%s%s", recorder_run_id(s->rec),
		run_outcome_str(res.outcome, res.deferred), res.step[0] ? " at " : "", res.step,
		res.message[0] ? ": " : "", res.message);
	/* A unit that was swapped during the run is new to look(): the generation of the start
	 * stays. */
	note_served(s, &res);
	count_failures(s, &res);
	if (close_run(s, &res))
		after_run(s);
	if (s->disable_asked_by[0] && !s->known.unrecorded)
		disable(s, s->disable_asked_by);
	s->disable_asked_by[0] = 0;
}

/* --- the rules, carried out --- */

static void carry_out(
	struct station *s, enum station_sign sign, const struct plugged *p, const char *by);

static void begin_settling(struct station *s, const struct plugged *p)
{
	forget_absences(s);
	station_take(&s->known, &p->sight, now_us());
	station_set_state(s, STATION_SETTLING, ERR_NONE, "%s", "");
	/* The attempt is on record from here on; it costs nothing, the settle time is spent anyway.
	 */
	if (!s->cfg->manual || s->known.asked)
		open_run(s);
}

static void recognise(struct station *s, const struct plugged *p)
{
	forget_absences(s);
	station_take(&s->known, &p->sight, now_us());
	station_set_state(s, STATION_DONE, ERR_NONE, "%s", "");
}

static void run(struct station *s)
{
	open_run(s);
	if (s->rec)
		execute(s);
}

/* The station stays as it is where there is no unit, or no order of golden units. */
static void prove(struct station *s, const struct plugged *p)
{
	if (!p->sight.complete)
		return;
	forget_absences(s);
	station_take(&s->known, &p->sight, now_us());
	run(s);
}

static void free_station(struct station *s, const char *by)
{
	struct run_result res = s->closing;
	struct plugged p;

	if (s->known.unrecorded && !close_run(s, &res))
		return;
	let_go(s, by);
	p = look(s);
	carry_out(s, p.sight.complete ? SIGN_FREED_UNIT : SIGN_FREED, &p, NULL);
}

/* The unit of a run that had not begun its first step has not had its run. */
static void close_again(struct station *s, const struct plugged *p)
{
	struct run_result res = s->closing;

	if (!close_run(s, &res))
		return;
	if (strcmp(res.step, BEFORE_FIRST_STEP) != 0)
		after_run(s);
	else
		carry_out(s, p->sight.complete ? SIGN_FREED_UNIT : SIGN_FREED, p, NULL);
}

/* by: the name of the principal; NULL for what was seen. */
static void carry_out(
	struct station *s, enum station_sign sign, const struct plugged *p, const char *by)
{
	const struct station_rule rule = station_rule(station_state(s), sign);

	switch (rule.effect) {
	case EFFECT_NEVER: /* a command that came too late */
	case EFFECT_WAIT:
	case EFFECT_ABORT:	   /* fires the cancel flag, never a letter */
	case EFFECT_DISABLE_LATER: /* is read within the run */
	case EFFECT_COUNT:
		break;
	case EFFECT_GO:
		station_set_state(s, rule.next, ERR_NONE, "%s", "");
		break;
	case EFFECT_SETTLE:
		begin_settling(s, p);
		break;
	case EFFECT_DROP_GONE:
		if (drop_run(s, ERR_DEVICE_GONE, "the unit was unplugged before its first step"))
			station_set_state(s, rule.next, ERR_NONE, "%s", "");
		break;
	case EFFECT_DROP_WRONG:
		if (drop_run(s, ERR_WRONG_DEVICE, p->wrong_text))
			station_set_state(s, rule.next, ERR_WRONG_DEVICE, "%s", p->wrong_text);
		break;
	case EFFECT_RECOGNISE:
		recognise(s, p);
		break;
	case EFFECT_RUN:
		run(s);
		break;
	case EFFECT_ASK:
		s->known.asked = true;
		break;
	case EFFECT_DISABLE:
		if (!s->known.unrecorded &&
			drop_run(s, ERR_ABORTED, "the station was disabled before the first step"))
			disable(s, by);
		break;
	case EFFECT_CLOSE:
		close_again(s, p);
		break;
	case EFFECT_PROVE:
		prove(s, p);
		break;
	case EFFECT_FREE:
		free_station(s, by);
		break;
	}
}

static enum err_code fault_code(struct station *s)
{
	mutex_lock(&s->lock);
	enum err_code c = s->message_code;
	mutex_unlock(&s->lock);
	return c;
}

/* The unit that has had its run may have got another address while it stayed. */
static void follow_served(struct station *s, const struct plugged *p)
{
	if (station_state(s) != STATION_DONE || !p->sight.complete || !s->row.plugged[0] ||
		!strcmp(p->plugged, s->row.plugged))
		return;
	memcpy(s->row.plugged, p->plugged, sizeof s->row.plugged);
	note_row(s, NULL);
}

/* One look; true if there may be another at once. */
static bool advance(struct station *s)
{
	const struct plugged p = look(s);
	const enum station_state from = station_state(s);
	enum station_sign sign;

	s->known.state = from;
	s->known.wrong = fault_code(s) == ERR_WRONG_DEVICE;
	s->known.stopping = stopping(s);
	sign = station_look(&s->known, &p.sight, now_us());
	carry_out(s, sign, &p, NULL);
	follow_served(s, &p);
	return sign != SIGN_WRONG && station_state(s) != from;
}

static void obey(struct station *s, const struct letter *l)
{
	const struct plugged p = look(s);

	log_info("%s, by %s", station_command_str(l->command), l->by);
	carry_out(s, station_command_sign(l->command), &p, l->by);
}

static void read_letters(struct station *s)
{
	_cleanup_(freep) struct letter *l = NULL;

	while ((l = mailbox_take(s->box))) {
		if (l->kind == LETTER_COMMAND)
			obey(s, l);
		free(l);
	}
}

/* When the worker shows life again at the latest. */
static void station_tick(struct station *s, uint64_t at_us)
{
	__atomic_store_n(&s->tick_us, at_us, __ATOMIC_RELAXED);
}

static uint64_t next_look_us(struct station *s)
{
	s->known.state = station_state(s);
	return station_next_look_us(&s->known);
}

static void sleep_until_needed(struct station *s)
{
	const bool retry = station_state(s) == STATION_READY && s->held;
	const uint64_t owed = s->owed != POWER_UNKNOWN ? s->owed_next_us : NO_DEADLINE;
	const uint64_t look = retry ? now_us() + HELD_RETRY_US : next_look_us(s);
	const uint64_t until = MIN(MIN(look, owed), s->interlocks_look_us);
	eventfd_t v;
	struct err e;

	/* In naps: the watchdog would not know one that sleeps for ever from one that has nothing
	 * to do. */
	for (;;) {
		const uint64_t nap = now_us() + NAP_US;
		const struct iotime it = {MIN(until, nap), NULL};

		station_tick(s, it.deadline_us);
		if (iotime_wait(s->wake_fd, POLLIN, &it, &e) != -ERR_TIMEOUT || until <= nap)
			break;
	}
	station_tick(s, now_us());
	eventfd_read(s->wake_fd, &v);
}

static void show_last(struct station *s, const struct station_last *l)
{
	const bool provisioned = !strcmp(l->outcome, "provisioned");

	mutex_lock(&s->lock);
	s->has_last = true;
	s->last = (struct last_view){
		.outcome = provisioned ? OUTCOME_PASSED : outcome_from_str(l->outcome),
		.deferred = provisioned,
		.code = (enum err_code)MAX(err_code_from_str(l->code), 0),
		.ended_ms = l->ended_ms};
	snprintf(s->last.run_id, sizeof s->last.run_id, "%.36s", l->run);
	memcpy(s->last.serial, l->serial, sizeof s->last.serial);
	memcpy(s->last.step, l->step, sizeof s->last.step);
	memcpy(s->last.message, l->message, sizeof s->last.message);
	s->revision++;
	mutex_unlock(&s->lock);
}

/* What was known before provd was started again. Until it is read the station takes no unit: it may
 * be one that a person has switched off. */
static void recall(struct station *s)
{
	struct station_memory m;
	struct err e;

	while (station_memory_recall(s->line->writer, s->cfg->id, station_day_began_ms(), &m, &e) <
		0) {
		const struct iotime it = {now_us() + RECALL_EVERY_US, NULL};

		station_set_state(s, STATION_FAULT, e.code,
			"what was known of the station cannot be read: %s", e.msg);
		station_tick(s, it.deadline_us);
		iotime_sleep(RECALL_EVERY_US, &it, NULL);
		if (stopping(s))
			return;
	}
	if (station_state(s) == STATION_FAULT)
		station_set_state(s, STATION_EMPTY, ERR_NONE, "%s", "");
	s->row = m.row;
	station_recall_counts(s, &m.today);
	if (m.last.run[0])
		show_last(s, &m.last);
	s->owed = !strcmp(m.power.want, "on")	 ? POWER_ON
		  : !strcmp(m.power.want, "off") ? POWER_OFF
						 : POWER_UNKNOWN;
	stay_held(s);
}

void *worker_main(void *arg)
{
	struct station *s = arg;

	log_thread_station(s->cfg->id);
	s->known.settle_us = s->cfg->settle_us;
	s->known.manual = s->cfg->manual;
	recall(s);
	while (!stopping(s)) {
		power_is_right(s);
		read_letters(s);
		while (!stopping(s) && advance(s))
			;
		station_interlocks_look(s);
		station_publish(s);
		if (!stopping(s))
			sleep_until_needed(s);
	}
	if (s->known.unrecorded) {
		struct run_result res = s->closing;

		close_run(s, &res); /* the last chance: else it is interrupted at the next start */
	} else {
		drop_run(s, ERR_SHUTDOWN, "provd was stopped before the first step");
	}
	s->rec = recorder_free(s->rec);
	if (s->owed != POWER_UNKNOWN)
		log_warning(
			"the power of the unit is still to be switched %s: provd does it when it runs with this station again",
			power_state_str(s->owed));
	for (size_t i = 0; i < STATION_PORTS_MAX; i++)
		if (s->kept[i])
			s->kept[i]->free(steal_ptr(&s->kept[i]));
	station_tick(s, NO_DEADLINE); /* an orderly end, not a hang */
	__atomic_store_n(&s->ended, true, __ATOMIC_RELEASE);
	return NULL;
}
