/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/power/power_session.h"

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

static int open_switch(struct power_session *p, struct err *e)
{
	switch (p->way.kind) {
	case POWER_SCPI:
		return power_open_scpi(&p->way, p->s, &p->sw, e);
	case POWER_PROGRAM:
		return power_open_program(&p->way, p->s, &p->sw, e);
	case POWER_HUB:
	case POWER_HID_RELAY:
	case POWER_GPIO:
	case POWER_SERIAL_RELAY:
		break;
	}
	return power_switch_open(&p->way, &p->s->it, &p->sw, e);
}

int power_session_open(struct power_session *p, struct step *s, struct err *e)
{
	int r;

	*p = (struct power_session){.s = s};
	r = step_power(s, &p->way, e);
	if (r == 0)
		r = take_turn(p, e);
	if (r == 0)
		r = open_switch(p, e);
	if (r == 0)
		r = power_switch_read(p->sw, &p->found, &s->it, e);
	p->now = p->found;
	return r;
}

void power_session_done(struct power_session *p)
{
	power_switch_close(p->sw);
	link_pass_leave(p->pass);
	*p = (struct power_session){0};
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

int power_session_set(struct power_session *p, bool on, struct err *e)
{
	int r = 0;

	if (!p->touched)
		r = p->s->ops->power_owe(p->s->env, p->found, e);
	p->touched = true;
	if (r == 0 && on)
		r = wait_gap(p, e);
	if (r < 0)
		return r;
	step_log(p->s, '#', "power %s at %s", on ? "on" : "off", p->way.place);
	r = power_switch_set(p->sw, on, &p->now, &p->s->it, e);
	/* Also of one that failed: it may have moved. */
	if (on && p->pass)
		((struct memo *)link_pass_memo(p->pass))->on_us = now_us();
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
