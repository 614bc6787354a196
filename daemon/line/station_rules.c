/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/station_rules.h"

#include <string.h>

#include "base/iotime.h"

static const char *const sign_name[SIGN_COUNT] = {"nothing", "wrong device", "unit", "served unit",
	"settled", "gone", "may run", "asked", "freed", "freed, unit there", "begun", "over",
	"quarantined", "not recorded", "try again", "start", "abort", "disable", "enable", "clear"};

static const char *const effect_name[EFFECT_COUNT] = {"-", "", "", "settle", "drop", "drop",
	"recognise", "run", "note", "abort", "disable", "disable later", "close", "prove", "free"};

const char *station_sign_str(enum station_sign s)
{
	return sign_name[s];
}

const char *station_effect_str(enum station_effect e)
{
	return effect_name[e];
}

/* What is not here cannot come, or is refused. SIGN_NOTHING changes nothing anywhere. */
#define R(sign, effect, next) [SIGN_##sign] = {EFFECT_##effect, STATION_##next}
static const struct station_rule rules[STATION_STATE_COUNT][SIGN_COUNT] =
	{
		/* clang-format off */
	[STATION_EMPTY] = {
		R(WRONG, DROP_WRONG, FAULT),  R(UNIT, SETTLE, SETTLING),   R(SERVED, RECOGNISE, DONE),
		R(START, ASK, EMPTY),         R(DISABLE, DISABLE, DISABLED),
		R(QUARANTINED, GO, QUARANTINED), /* as it was before a restart */
		R(UNRECORDED, GO, FAULT),        /* what was before cannot be read */
	},
	[STATION_SETTLING] = {
		R(WRONG, DROP_WRONG, FAULT),  R(UNIT, WAIT, SETTLING),     R(GONE, DROP_GONE, EMPTY),
		R(SETTLED, GO, READY),        R(UNRECORDED, GO, FAULT),    R(DISABLE, DISABLE, DISABLED),
	},
	[STATION_READY] = {
		R(WRONG, DROP_WRONG, FAULT),  R(UNIT, SETTLE, SETTLING),   R(GONE, DROP_GONE, EMPTY),
		R(MAY_RUN, RUN, READY),       R(BEGUN, GO, RUNNING),       R(UNRECORDED, GO, FAULT),
		R(START, ASK, READY),         R(DISABLE, DISABLE, DISABLED),
	},
	[STATION_RUNNING] = {
		R(OVER, GO, DONE),            R(QUARANTINED, GO, QUARANTINED), R(UNRECORDED, GO, FAULT),
		R(ABORT, ABORT, RUNNING),     R(DISABLE, DISABLE_LATER, RUNNING),
	},
	[STATION_DONE] = {
		R(WRONG, DROP_WRONG, FAULT),  R(UNIT, SETTLE, SETTLING),   R(GONE, GO, EMPTY),
		R(ASKED, GO, READY),          R(START, ASK, DONE),         R(DISABLE, DISABLE, DISABLED),
	},
	[STATION_FAULT] = {
		R(WRONG, DROP_WRONG, FAULT),  R(FREED, GO, EMPTY),         R(FREED_UNIT, SETTLE, SETTLING),
		R(UNRECORDED, GO, FAULT),     R(CLEAR, FREE, FAULT),       R(DISABLE, DISABLE, DISABLED),
		R(CLOSE_AGAIN, CLOSE, FAULT), R(OVER, GO, DONE),           R(QUARANTINED, GO, QUARANTINED),
	},
	[STATION_QUARANTINED] = {
		R(FREED, GO, EMPTY),          R(FREED_UNIT, SETTLE, SETTLING),
		R(CLEAR, FREE, QUARANTINED),  R(DISABLE, DISABLE, DISABLED),
		R(START, PROVE, QUARANTINED), R(BEGUN, GO, RUNNING),       R(UNRECORDED, GO, FAULT), /* with a golden unit alone */
	},
	[STATION_DISABLED] = {
		R(FREED, GO, EMPTY),          R(FREED_UNIT, SETTLE, SETTLING),
		R(ENABLE, FREE, DISABLED),
	},
		/* clang-format on */
};
#undef R

struct station_rule station_rule(enum station_state s, enum station_sign sign)
{
	struct station_rule r = rules[s][sign];

	if (sign == SIGN_NOTHING)
		r.effect = EFFECT_WAIT;
	if (r.effect == EFFECT_NEVER || r.effect == EFFECT_WAIT)
		r.next = s;
	return r;
}

bool station_may_go(enum station_state from, enum station_state to)
{
	for (int i = 0; i < SIGN_COUNT; i++) {
		struct station_rule r = station_rule(from, (enum station_sign)i);

		if (r.effect != EFFECT_NEVER && r.next == to)
			return true;
	}
	return false;
}

/* --- what a look means --- */

void station_take(struct station_known *k, const struct station_sight *p, uint64_t now_us)
{
	k->generation = p->generation;
	memcpy(k->mark, p->mark, sizeof k->mark);
	k->settle_until_us = now_us + k->settle_us;
	k->away_since_us = 0;
}

static enum station_sign look_settling(
	struct station_known *k, const struct station_sight *p, uint64_t now_us)
{
	if (p->generation != k->generation) {
		station_take(k, p, now_us);
		return SIGN_UNIT;
	}
	if (now_us < k->settle_until_us)
		return SIGN_NOTHING;
	return p->complete ? SIGN_SETTLED : SIGN_GONE;
}

static enum station_sign look_ready(const struct station_known *k, const struct station_sight *p)
{
	if (!p->complete)
		return SIGN_GONE;
	if (p->generation != k->generation)
		return SIGN_UNIT;
	return k->stopping || (k->manual && !k->asked) ? SIGN_NOTHING : SIGN_MAY_RUN;
}

/* A unit that leaves for less than the settle time and comes back looking the same has bounced (a
 * reset, a loose plug): it is not run a second time. */
static enum station_sign look_done(
	struct station_known *k, const struct station_sight *p, uint64_t now_us)
{
	bool again = p->generation != k->generation;

	if (!p->complete) {
		if (!k->away_since_us)
			k->away_since_us = now_us;
		return now_us - k->away_since_us >= k->settle_us ? SIGN_GONE : SIGN_NOTHING;
	}
	k->away_since_us = 0;
	k->generation = p->generation;
	if (again && (strcmp(p->mark, k->mark) != 0 || p->away_us >= k->settle_us))
		return SIGN_UNIT;
	return k->asked ? SIGN_ASKED : SIGN_NOTHING;
}

/* What is not recorded waits for the disk, whatever is plugged; a wrong or bad device for its
 * leaving. */
static enum station_sign look_fault(
	const struct station_known *k, const struct station_sight *p, uint64_t now_us)
{
	if (k->unrecorded)
		return now_us >= k->close_again_us ? SIGN_CLOSE_AGAIN : SIGN_NOTHING;
	if (p->any && !k->wrong)
		return SIGN_NOTHING;
	return p->complete ? SIGN_FREED_UNIT : SIGN_FREED;
}

enum station_sign station_look(
	struct station_known *k, const struct station_sight *p, uint64_t now_us)
{
	bool held = k->state == STATION_DISABLED || k->state == STATION_QUARANTINED ||
		    k->state == STATION_RUNNING;

	if (p->wrong && !held && !k->unrecorded)
		return SIGN_WRONG;
	switch (k->state) {
	case STATION_EMPTY:
		return !p->complete		? SIGN_NOTHING
		       : p->served && !k->asked ? SIGN_SERVED
						: SIGN_UNIT;
	case STATION_SETTLING:
		return look_settling(k, p, now_us);
	case STATION_READY:
		return look_ready(k, p);
	case STATION_DONE:
		return look_done(k, p, now_us);
	case STATION_FAULT:
		return look_fault(k, p, now_us);
	case STATION_RUNNING:
	case STATION_QUARANTINED:
	case STATION_DISABLED:
	case STATION_STATE_COUNT:
		break;
	}
	return SIGN_NOTHING;
}

uint64_t station_next_look_us(const struct station_known *k)
{
	if (k->state == STATION_SETTLING)
		return k->settle_until_us;
	if (k->state == STATION_DONE && k->away_since_us)
		return k->away_since_us + k->settle_us;
	return k->state == STATION_FAULT && k->unrecorded ? k->close_again_us : NO_DEADLINE;
}
