/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/power/power_session.h"

#define RESTORE_US (5 * US_PER_S)

/* What a group remembers of its last switch-on; zeroed at first. */
struct memo {
	uint64_t on_us;
};
_Static_assert(sizeof(struct memo) <= LINK_MEMO_BYTES, "the last switch-on outlives a step");

static int take_turn(struct power_session *p, struct err *e)
{
	int r;

	if (!p->way.queue)
		return 0;
	r = link_queue_enter(p->way.queue, p->way.group, &p->s->it, &p->pass, e);
	return r == -ERR_TIMEOUT
		       ? err_prefix(e, "power at %s: other stations switch there", p->way.place)
		       : r;
}

static int open_switch(struct power_session *p, struct power_switch **ret, struct err *e)
{
	switch (p->way.kind) {
	case POWER_SCPI:
		return power_open_scpi(&p->way, p->s, ret, e);
	case POWER_PROGRAM:
		return power_open_program(&p->way, p->s, ret, e);
	case POWER_HUB:
	case POWER_HID_RELAY:
	case POWER_GPIO:
	case POWER_SERIAL_RELAY:
		break;
	}
	return power_switch_open(&p->way, &p->s->it, ret, e);
}

/* The capacitors of the unit before have to be full first. */
static int wait_gap(struct power_session *p, struct err *e)
{
	const struct memo *m = p->pass ? link_pass_memo(p->pass) : NULL;
	uint64_t now = now_us();

	if (!m || !m->on_us || now >= m->on_us + p->way.gap_us)
		return 0;
	step_log(p->s, '#', "another unit was switched on at %s: %llu ms more", p->way.group,
		(unsigned long long)((m->on_us + p->way.gap_us - now) / US_PER_MS));
	return iotime_sleep(m->on_us + p->way.gap_us - now, &p->s->it, e);
}

/* Others wait for the time of one request alone, not while a unit is off or starts. */
static int read_in_turn(struct power_session *p, struct err *e)
{
	_cleanup_(power_switch_closep) struct power_switch *sw = NULL;
	int r = open_switch(p, &sw, e);

	return r < 0 ? r : power_switch_read(sw, &p->found, &p->s->it, e);
}

static int set_in_turn(struct power_session *p, bool on, struct err *e)
{
	_cleanup_(power_switch_closep) struct power_switch *sw = NULL;
	int r = on ? wait_gap(p, e) : 0;

	if (r == 0)
		r = open_switch(p, &sw, e);
	if (r < 0)
		return r;
	step_log(p->s, '#', "power %s at %s", on ? "on" : "off", p->way.place);
	r = power_switch_set(sw, on, &p->now, &p->s->it, e);
	/* Also of one that failed: it may have moved. */
	if (on && p->pass)
		((struct memo *)link_pass_memo(p->pass))->on_us = now_us();
	return r;
}

int power_session_open(struct power_session *p, struct step *s, struct err *e)
{
	int r;

	*p = (struct power_session){.s = s};
	r = step_power(s, &p->way, e);
	if (r == 0)
		r = take_turn(p, e);
	if (r == 0)
		r = read_in_turn(p, e);
	p->pass = link_pass_leave(p->pass);
	p->now = p->found;
	p->known = r == 0;
	return r;
}

int power_preflight(struct step *s, struct err *e)
{
	struct power_way way;
	struct err why = {0};
	int r = step_power(s, &way, &why);

	/* A hub that is away may be plugged by then: the step looks, and has its own code. */
	return r == -ERR_NOT_FOUND || r == -ERR_UNSUPPORTED ? err_set(e, why.code, "%s", why.msg)
							    : 0;
}

int power_session_set(struct power_session *p, bool on, struct err *e)
{
	int r = 0;

	if (!p->touched)
		r = p->s->ops->power_owe(p->s->env, p->found, p->ends_on, e);
	if (r < 0)
		return r;
	p->touched = true;
	r = take_turn(p, e);
	if (r == 0) {
		p->is_off |= !on;
		r = set_in_turn(p, on, e);
	}
	p->pass = link_pass_leave(p->pass);
	if (r < 0 || !on)
		return r;
	p->is_off = false;
	return p->ends_on ? p->s->ops->power_back(p->s->env, e) : 0;
}

int power_session_restore(struct power_session *p, int r)
{
	const struct iotime none = {NO_DEADLINE, NULL}, before = p->s->it;
	struct err e;

	if (r == 0 || !p->is_off || p->s->ops->power_after(p->s->env) == POWER_OFF)
		return r;
	step_log(p->s, '#', "the step broke off while the power was off: on again");
	p->s->it = iotime_within(&none, RESTORE_US + p->way.gap_us);
	if (power_session_set(p, true, &e) < 0)
		step_log(p->s, '#', "%s", e.msg);
	p->s->it = before;
	return r;
}

void power_session_say(const struct power_session *p, struct step_result *out)
{
	result_evidence(out, "switch", json_string(p->way.place));
	result_evidence(out, "kind", json_string(power_kind_names[p->way.kind]));
	result_evidence(out, "found", json_string(power_state_str(p->found)));
	result_evidence(out, "state", json_string(power_state_str(p->now)));
	result_evidence(out, "read_back",
		json_string(p->now == POWER_UNKNOWN ? "not possible: the switch cannot tell"
						    : "as the switch says"));
}
