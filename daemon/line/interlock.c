/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/interlock.h"

#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/shift.h"

#define MS(us) ((int64_t)((us) / 1000))

static const char *const states[] = {[INTERLOCK_OFF] = "off",
	[INTERLOCK_OK] = "ok",
	[INTERLOCK_NEAR] = "near",
	[INTERLOCK_DUE] = "due",
	[INTERLOCK_RELEASED] = "released"};

const char *interlock_state_str(enum interlock_state s)
{
	return states[s];
}

int interlock_from_str(const char *s)
{
	for (int i = 0; s && i < INTERLOCK_COUNT; i++)
		if (!strcmp(interlock_names[i], s))
			return i;
	return -1;
}

int64_t interlocks_recent(const struct interlocks_config *c)
{
	return c->yield.below ? c->yield.runs : 0;
}

static void say(struct interlock_view *v, enum interlock_state s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct interlock_view *v, enum interlock_state s, const char *fmt, ...)
{
	va_list ap;

	v->state = s;
	va_start(ap, fmt);
	vsnprintf(v->message, sizeof v->message, fmt, ap);
	va_end(ap);
}

/* By the clock: due at v->until_ms. */
static enum interlock_state by_time(int64_t due_ms, int64_t warn_ms, int64_t now_ms)
{
	return now_ms >= due_ms		    ? INTERLOCK_DUE
	       : now_ms >= due_ms - warn_ms ? INTERLOCK_NEAR
					    : INTERLOCK_OK;
}

bool interlocks_golden_on(const struct golden_config *c)
{
	return c->every_us || c->each_shift;
}

/* When the next shift begins. */
static int64_t next_shift_ms(const struct golden_config *c, int64_t now_ms)
{
	int64_t at = now_ms;
	struct shift_span s;

	for (size_t i = 0; i <= 2 * c->shifts; i++) {
		at = shift_next_ms(c->shift, c->shifts, at);
		shift_at(c->shift, c->shifts, at, &s);
		if (s.name && s.from_ms == at)
			break;
	}
	return at;
}

/* After a golden unit passed. */
static int64_t golden_due_ms(
	const struct golden_config *c, const struct fixture_facts *f, int64_t now_ms)
{
	int64_t due = c->every_us ? f->golden_ms + MS(c->every_us) : INT64_MAX;
	struct shift_span s;
	int64_t by_shift;

	if (!c->each_shift)
		return due;
	shift_at(c->shift, c->shifts, now_ms, &s);
	by_shift = s.name && f->golden_ms < s.from_ms ? s.from_ms : next_shift_ms(c, now_ms);
	return MIN(due, by_shift);
}

static void judge_golden(const struct golden_config *c, const struct fixture_facts *f,
	int64_t now_ms, struct interlock_view *v)
{
	char at[RFC3339_SIZE];

	if (!interlocks_golden_on(c))
		return;
	v->blocks = c->policy == INTERLOCK_BLOCKS;
	if (!f->golden_ms) {
		say(v, INTERLOCK_DUE,
			"no golden unit has been run on this fixture: order one (kind: golden)");
		return;
	}
	if (strcmp(f->golden_outcome, "passed") != 0) {
		say(v, INTERLOCK_DUE,
			"the newest run of a golden unit ended as '%s': check the fixture, then run a golden unit again",
			f->golden_outcome);
		return;
	}
	v->until_ms = golden_due_ms(c, f, now_ms);
	say(v, by_time(v->until_ms, MS(c->warn_us), now_ms),
		"a golden unit is due at %s: order one (kind: golden)", rfc3339(v->until_ms, at));
}

static void judge_contacts(
	const struct contacts_config *c, const struct fixture_facts *f, struct interlock_view *v)
{
	if (!c->limit)
		return;
	v->blocks = c->policy == INTERLOCK_BLOCKS;
	say(v,
		f->since_service >= c->limit		 ? INTERLOCK_DUE
		: f->since_service >= c->limit - c->warn ? INTERLOCK_NEAR
							 : INTERLOCK_OK,
		"the fixture took %lld units since its last service, at most %lld expected: change its contacts, then say that it was serviced",
		(long long)f->since_service, (long long)c->limit);
}

static void judge_calibration(const struct calibration_config *c, const struct fixture_facts *f,
	int64_t now_ms, struct interlock_view *v)
{
	char at[RFC3339_SIZE], of[DB_ID_SIZE + 16];

	if (!c->on)
		return;
	v->blocks = c->policy == INTERLOCK_BLOCKS;
	snprintf(of, sizeof of, "%s%s", *f->calibration_of ? "instrument " : "the fixture",
		f->calibration_of);
	if (!f->calibrated_until_ms) {
		say(v, INTERLOCK_DUE,
			"no calibration of %s is on record: calibrate it, then say until when that holds",
			of);
		return;
	}
	v->until_ms = f->calibrated_until_ms;
	say(v, by_time(v->until_ms, MS(c->warn_us), now_ms),
		"the calibration of %s holds until %s: calibrate it, then say until when that holds",
		of, rfc3339(v->until_ms, at));
}

static bool too_few(const struct yield_config *c, int64_t passed, int64_t counted)
{
	return passed * 100 < c->below * counted;
}

#define WORN_TEXT \
	"the flash of unit %s was erased %lld times at %s, at most %lld expected: scrap the unit, or release the station from 'wear' for it"

static void judge_wear(
	const struct wear_config *c, const struct fixture_facts *f, struct interlock_view *v)
{
	if (!c->endurance)
		return;
	say(v,
		f->worn_erases >= c->endurance		   ? INTERLOCK_DUE
		: f->worn_erases >= c->endurance - c->warn ? INTERLOCK_NEAR
							   : INTERLOCK_OK,
		WORN_TEXT, f->worn_unit, (long long)f->worn_erases, f->worn_region,
		(long long)c->endurance);
}

int interlocks_worn(const struct interlocks_config *c, const struct interlock_release *release,
	const char *unit, const char *region, int64_t erases, int64_t now_ms, struct err *e)
{
	if (!c->wear.endurance || c->wear.policy != INTERLOCK_BLOCKS ||
		erases < c->wear.endurance || release->until_ms > now_ms)
		return 0;
	return err_set(e, ERR_INTERLOCK, WORN_TEXT, unit, (long long)erases, region,
		(long long)c->wear.endurance);
}

static void judge_yield(
	const struct yield_config *c, const struct fixture_facts *f, struct interlock_view *v)
{
	bool whole = f->recent >= c->runs;

	if (!c->below)
		return;
	v->blocks = c->policy == INTERLOCK_BLOCKS;
	say(v,
		!whole					      ? INTERLOCK_OK
		: too_few(c, f->recent_passed, f->recent)     ? INTERLOCK_DUE
		: too_few(c, f->recent_passed - 1, f->recent) ? INTERLOCK_NEAR
							      : INTERLOCK_OK,
		"%lld of the newest %lld units passed, %lld %% expected: run a unit of these on another station, and check the fixture",
		(long long)f->recent_passed, (long long)f->recent, (long long)c->below);
}

/* A yield that was released is counted from there on: the release may end before. */
static void release(struct interlock_view *v, const struct interlock_release *r, int64_t now_ms)
{
	if (v->state != INTERLOCK_DUE || r->until_ms <= now_ms)
		return;
	v->state = INTERLOCK_RELEASED;
	v->until_ms = r->until_ms;
}

void interlocks_judge(const struct interlocks_config *c, const struct fixture_facts *f,
	int64_t now_ms, struct interlocks *ret)
{
	*ret = (struct interlocks){0};
	judge_golden(&c->golden, f, now_ms, &ret->of[INTERLOCK_GOLDEN]);
	judge_contacts(&c->contacts, f, &ret->of[INTERLOCK_CONTACTS]);
	judge_calibration(&c->calibration, f, now_ms, &ret->of[INTERLOCK_CALIBRATION]);
	judge_yield(&c->yield, f, &ret->of[INTERLOCK_YIELD]);
	judge_wear(&c->wear, f, &ret->of[INTERLOCK_WEAR]);
	for (size_t i = 0; i < INTERLOCK_COUNT; i++)
		release(&ret->of[i], &f->release[i], now_ms);
}

int interlocks_check(const struct interlocks *in, struct err *e)
{
	for (size_t i = 0; i < INTERLOCK_COUNT; i++)
		if (in->of[i].state == INTERLOCK_DUE && in->of[i].blocks)
			return err_set(e, ERR_INTERLOCK, "%s", in->of[i].message);
	return 0;
}

static void sooner(int64_t *next, int64_t at, int64_t now_ms)
{
	if (at > now_ms && (!*next || at < *next))
		*next = at;
}

int64_t interlocks_next_ms(
	const struct interlocks_config *c, const struct fixture_facts *f, int64_t now_ms)
{
	const bool asked = interlocks_golden_on(&c->golden);
	const int64_t golden = asked && f->golden_ms ? golden_due_ms(&c->golden, f, now_ms) : 0;
	int64_t next = 0;

	if (asked) {
		sooner(&next, golden, now_ms);
		sooner(&next, golden - MS(c->golden.warn_us), now_ms);
	}
	if (c->calibration.on) {
		sooner(&next, f->calibrated_until_ms, now_ms);
		sooner(&next, f->calibrated_until_ms - MS(c->calibration.warn_us), now_ms);
	}
	for (size_t i = 0; i < INTERLOCK_COUNT; i++)
		sooner(&next, f->release[i].until_ms, now_ms);
	return next;
}

json_t *interlocks_json(const struct interlocks *in, const struct fixture_facts *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < INTERLOCK_COUNT; i++) {
		const struct interlock_view *v = &in->of[i];
		const bool released = v->state == INTERLOCK_RELEASED;
		char until[RFC3339_SIZE];

		if (v->state == INTERLOCK_OFF || v->state == INTERLOCK_OK)
			continue;
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:s, s:s*, s:s*, s:s*}", "interlock",
				      interlock_names[i], "state", interlock_state_str(v->state),
				      "blocks", v->blocks, "message", v->message, "until",
				      v->until_ms ? rfc3339(v->until_ms, until) : NULL,
				      "released_by", released ? f->release[i].by : NULL, "reason",
				      released ? f->release[i].reason : NULL));
	}
	return list;
}
