/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of a station: every cell of the table against the one written here, what each look
 * means by a clock of the test's, and walks that no order of signs may lead astray.
 */
#include "daemon/line/station_rules.h"

#include <string.h>

#include "base/iotime.h"
#include "base/util.h"
#include "tests/unit/unit.h"

/* One line for each sign, one word for each state, in the order of the enums:
 *   .      never          =      waits          name   goes there
 *   !name  does what it says and stays (ask, abort, later, free, run) */
static const char *const cells[SIGN_COUNT] = {
	/*                   EMPTY       SETTLING READY    RUNNING     DONE     FAULT    QUARANT.
	   DISABLED */
	/* clang-format off */
	[SIGN_NOTHING]     = "=          =        =        =           =        =        =        =",
	[SIGN_WRONG]       = "fault      fault    fault    .           fault    !drop    .        .",
	[SIGN_UNIT]        = "settling   =        settling .           settling .        .        .",
	[SIGN_SERVED]      = "done       .        .        .           .        .        .        .",
	[SIGN_SETTLED]     = ".          ready    .        .           .        .        .        .",
	[SIGN_GONE]        = ".          empty    empty    .           empty    .        .        .",
	[SIGN_MAY_RUN]     = ".          .        !run     .           .        .        .        .",
	[SIGN_ASKED]       = ".          .        .        .           ready    .        .        .",
	[SIGN_FREED]       = ".          .        .        .           .        empty    empty    empty",
	[SIGN_FREED_UNIT]  = ".          .        .        .           .        settling settling settling",
	[SIGN_BEGUN]       = ".          .        running  .           .        .        running  .",
	[SIGN_OVER]        = ".          .        .        done        .        done     .        .",
	[SIGN_QUARANTINED] = "quarantined .       .        quarantined .        quarantined .     .",
	[SIGN_UNRECORDED]  = "fault      fault    fault    fault       .        !go      fault    .",
	[SIGN_CLOSE_AGAIN] = ".          .        .        .           .        !close   .        .",
	[SIGN_START]       = "!ask       .        !ask     .           !ask     .        !prove   .",
	[SIGN_ABORT]       = ".          .        .        !abort      .        .        .        .",
	[SIGN_DISABLE]     = "disabled   disabled disabled !later      disabled disabled disabled .",
	[SIGN_ENABLE]      = ".          .        .        .           .        .        .        !free",
	[SIGN_CLEAR]       = ".          .        .        .           .        !free    !free    .",
	/* clang-format on */
};

static enum station_effect named(const char *word)
{
	static const struct {
		const char *word;
		enum station_effect effect;
	} names[] = {{"!drop", EFFECT_DROP_WRONG}, {"!run", EFFECT_RUN}, {"!go", EFFECT_GO},
		{"!ask", EFFECT_ASK}, {"!abort", EFFECT_ABORT}, {"!later", EFFECT_DISABLE_LATER},
		{"!free", EFFECT_FREE}, {"!prove", EFFECT_PROVE}, {"!close", EFFECT_CLOSE},
		{".", EFFECT_NEVER}, {"=", EFFECT_WAIT}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i].word, word))
			return names[i].effect;
	return EFFECT_COUNT; /* the name of a state: any effect that leads there */
}

START_TEST(every_cell_is_as_written_here)
{
	for (int sign = 0; sign < SIGN_COUNT; sign++) {
		char line[160];
		char *rest = line;
		int state = 0;

		snprintf(line, sizeof line, "%s", cells[sign]);
		for (char *word; (word = strsep(&rest, " "));) {
			struct station_rule r;
			enum station_effect wanted = named(word);

			if (!*word)
				continue;
			r = station_rule((enum station_state)state, (enum station_sign)sign);
			ck_assert_msg(wanted == EFFECT_COUNT
					      ? !strcmp(station_state_str(r.next), word) &&
							r.effect != EFFECT_NEVER
					      : r.effect == wanted && (int)r.next == state,
				"%s in %s: effect %d, to %s; %s expected",
				station_sign_str((enum station_sign)sign),
				station_state_str((enum station_state)state), r.effect,
				station_state_str(r.next), word);
			state++;
		}
		ck_assert_int_eq(state, STATION_STATE_COUNT);
	}
}
END_TEST

START_TEST(no_order_of_signs_starts_a_run_where_none_may_begin)
{
	unsigned seed = 7;

	/* A run begins in READY, or by a person's word in quarantine with a golden unit, ends on record or
	 * in FAULT, and what is held stays held until a person frees it. */
	for (int walk = 0; walk < 20000; walk++) {
		enum station_state s = STATION_EMPTY;

		for (int step = 0; step < 60; step++) {
			enum station_sign sign = (enum station_sign)(rand_r(&seed) % SIGN_COUNT);
			const struct station_rule r = station_rule(s, sign);

			if (r.effect == EFFECT_NEVER)
				continue;
			if (r.next == STATION_RUNNING && s != STATION_RUNNING)
				ck_assert((s == STATION_READY || s == STATION_QUARANTINED) &&
					  sign == SIGN_BEGUN);
			if (r.effect == EFFECT_RUN)
				ck_assert(s == STATION_READY);
			if (s == STATION_DISABLED && r.next != s)
				ck_assert(sign == SIGN_FREED || sign == SIGN_FREED_UNIT);
			if (s == STATION_QUARANTINED && r.next != s && r.next != STATION_DISABLED)
				ck_assert(sign == SIGN_FREED || sign == SIGN_FREED_UNIT ||
					  sign == SIGN_BEGUN || sign == SIGN_UNRECORDED);
			if (s == STATION_RUNNING && r.next != s)
				ck_assert(sign >= SIGN_BEGUN && sign <= SIGN_UNRECORDED);
			ck_assert(station_may_go(s, r.next));
			s = r.next;
		}
	}
}
END_TEST

/* --- looks --- */

#define SETTLE (500 * US_PER_MS)

static struct station_known known(enum station_state s)
{
	struct station_known k = {
		.state = s, .settle_us = SETTLE, .generation = 5, .settle_until_us = 1000 + SETTLE};

	strcpy(k.mark, "1209:1/A;");
	return k;
}

static struct station_sight unit(uint64_t generation, const char *mark)
{
	struct station_sight p = {.complete = true, .any = true, .generation = generation};

	strcpy(p.mark, mark);
	return p;
}

static const struct station_sight nothing = {0};

#define LOOKS(k, p, at, sign)                                              \
	do {                                                               \
		enum station_sign got = station_look(&(k), &(p), at);      \
		ck_assert_msg(got == (sign), "%s", station_sign_str(got)); \
	} while (0)

START_TEST(an_empty_station_sees_a_unit_and_knows_one_that_was_served)
{
	struct station_known k = known(STATION_EMPTY);
	struct station_sight p = unit(6, "x");

	LOOKS(k, nothing, 0, SIGN_NOTHING);
	LOOKS(k, p, 0, SIGN_UNIT);
	p.served = true;
	LOOKS(k, p, 0, SIGN_SERVED);
	k.asked = true;
	LOOKS(k, p, 0, SIGN_UNIT);
	p.wrong = true;
	LOOKS(k, p, 0, SIGN_WRONG);
}
END_TEST

START_TEST(the_settle_time_begins_again_with_each_enumeration)
{
	struct station_known k = known(STATION_SETTLING);
	struct station_sight p = unit(5, "1209:1/A;");

	LOOKS(k, p, 1000 + SETTLE - 1, SIGN_NOTHING);
	ck_assert_uint_eq(station_next_look_us(&k), 1000 + SETTLE);
	p.generation = 6;
	LOOKS(k, p, 1000 + SETTLE - 1, SIGN_UNIT);
	LOOKS(k, p, 1000 + SETTLE, SIGN_NOTHING);
	LOOKS(k, p, 1000 + 2 * SETTLE - 1, SIGN_SETTLED);
	/* An absence counts at the end of the time alone. */
	p.complete = false;
	LOOKS(k, p, 1000 + SETTLE, SIGN_NOTHING);
	LOOKS(k, p, 1000 + 2 * SETTLE - 1, SIGN_GONE);
}
END_TEST

START_TEST(a_ready_station_runs_unless_it_waits_for_a_person_or_the_stop)
{
	struct station_known k = known(STATION_READY);
	struct station_sight p = unit(5, "1209:1/A;");

	LOOKS(k, p, 0, SIGN_MAY_RUN);
	k.manual = true;
	LOOKS(k, p, 0, SIGN_NOTHING);
	k.asked = true;
	LOOKS(k, p, 0, SIGN_MAY_RUN);
	k.stopping = true;
	LOOKS(k, p, 0, SIGN_NOTHING);
	p.generation = 9;
	LOOKS(k, p, 0, SIGN_UNIT);
	LOOKS(k, nothing, 0, SIGN_GONE);
}
END_TEST

START_TEST(a_finished_unit_that_bounces_is_not_another_one)
{
	struct station_known k = known(STATION_DONE);
	struct station_sight p = unit(6, "1209:1/A;");

	/* The same marks after a short absence: it has bounced. */
	p.away_us = SETTLE - 1;
	LOOKS(k, p, 10, SIGN_NOTHING);
	/* Long away, or other marks: another unit. */
	p = unit(7, "1209:1/A;");
	p.away_us = SETTLE;
	LOOKS(k, p, 20, SIGN_UNIT);
	k = known(STATION_DONE);
	p = unit(6, "1209:1/B;");
	LOOKS(k, p, 30, SIGN_UNIT);
	/* It leaves: for good after the settle time. */
	k = known(STATION_DONE);
	LOOKS(k, nothing, 1000, SIGN_NOTHING);
	ck_assert_uint_eq(station_next_look_us(&k), 1000 + SETTLE);
	LOOKS(k, nothing, 1000 + SETTLE - 1, SIGN_NOTHING);
	LOOKS(k, nothing, 1000 + SETTLE, SIGN_GONE);
	/* A person wants it again. */
	k = known(STATION_DONE);
	k.asked = true;
	p = unit(5, "1209:1/A;");
	LOOKS(k, p, 0, SIGN_ASKED);
}
END_TEST

START_TEST(a_fault_ends_when_its_device_leaves_but_not_while_a_record_is_missing)
{
	struct station_known k = known(STATION_FAULT);
	struct station_sight p = unit(5, "1209:1/A;");

	LOOKS(k, p, 0, SIGN_NOTHING);
	LOOKS(k, nothing, 0, SIGN_FREED);
	k.wrong = true;
	LOOKS(k, p, 0, SIGN_FREED_UNIT); /* the right device came in its place */
	/* What is plugged does not matter until the end of the run is on record. */
	k.unrecorded = true;
	k.close_again_us = 500;
	p.wrong = true;
	LOOKS(k, nothing, 499, SIGN_NOTHING);
	LOOKS(k, p, 499, SIGN_NOTHING);
	ck_assert_uint_eq(station_next_look_us(&k), 500);
	LOOKS(k, p, 500, SIGN_CLOSE_AGAIN);
}
END_TEST

START_TEST(a_station_that_is_held_or_runs_looks_at_nothing)
{
	static const enum station_state held[] = {
		STATION_RUNNING, STATION_QUARANTINED, STATION_DISABLED};

	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		struct station_known k = known(held[i]);
		struct station_sight p = unit(9, "x");

		p.wrong = true;
		LOOKS(k, p, 0, SIGN_NOTHING);
		LOOKS(k, nothing, 0, SIGN_NOTHING);
		ck_assert_uint_eq(station_next_look_us(&k), NO_DEADLINE);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("station_rules");
	TCase *t = tcase_create("station_rules");

	tcase_add_test(t, every_cell_is_as_written_here);
	tcase_add_test(t, no_order_of_signs_starts_a_run_where_none_may_begin);
	tcase_add_test(t, an_empty_station_sees_a_unit_and_knows_one_that_was_served);
	tcase_add_test(t, the_settle_time_begins_again_with_each_enumeration);
	tcase_add_test(t, a_ready_station_runs_unless_it_waits_for_a_person_or_the_stop);
	tcase_add_test(t, a_finished_unit_that_bounces_is_not_another_one);
	tcase_add_test(t, a_fault_ends_when_its_device_leaves_but_not_while_a_record_is_missing);
	tcase_add_test(t, a_station_that_is_held_or_runs_looks_at_nothing);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
