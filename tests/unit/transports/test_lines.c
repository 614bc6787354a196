/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/lines.h"

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"

static struct err e;
static struct strbuf seen;

static int record(struct link *l, enum link_control c, uint32_t arg, struct err *err)
{
	sb_addf(&seen, "%s=%u ",
		c == LINK_CONTROL_DTR	   ? "dtr"
		: c == LINK_CONTROL_RTS	   ? "rts"
		: c == LINK_CONTROL_BAUD   ? "baud"
		: c == LINK_CONTROL_PARITY ? "parity"
					   : "brk",
		arg);
	return 0;
}

START_TEST(steps_are_done_in_order)
{
	static const struct link_ops ops = {.name = "recorder", .control = record};
	struct link l = {.ops = &ops, .address = (char *)(uintptr_t) "tty:x"};
	struct iotime it = {NO_DEADLINE, NULL};
	struct line_steps s;

	ck_assert_int_eq(line_steps_parse("dtr=0, rts=1,1ms, rts=0,brk=250ms", &s, &e), 0);
	ck_assert_uint_eq(s.n, 5);
	ck_assert_int_eq(line_steps_run(&l, &s, &it, &e), 0);
	ck_assert_str_eq(seen.s, "dtr=0 rts=1 rts=0 brk=250 ");
	sb_done(&seen);
}
END_TEST

START_TEST(a_wait_ends_with_the_deadline)
{
	struct link l = {.ops = &fake_link_ops, .address = (char *)(uintptr_t) "tty:x"};
	struct iotime it = {now_us(), NULL};
	struct line_steps s;

	ck_assert_int_eq(line_steps_parse("5s", &s, &e), 0);
	ck_assert_int_eq(line_steps_run(&l, &s, &it, &e), -ERR_TIMEOUT);
}
END_TEST

START_TEST(what_is_no_step_is_named)
{
	static const char *const bad[] = {
		"dtr", "dtr=2", "rts=", "cts=1", "10", "6s", "brk=6s", "dtr=0;rts=1"};
	struct line_steps s;

	ck_assert_int_eq(line_steps_parse(NULL, &s, &e), 0);
	ck_assert_uint_eq(s.n, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(line_steps_parse(bad[i], &s, &e) == -ERR_INVALID, "%s", bad[i]);
	ck_assert_msg(strstr(e.msg, "'dtr=0;rts=1' is not a step"), "%s", e.msg);
}
END_TEST

START_TEST(a_link_without_such_a_line_says_so)
{
	struct link l = {.ops = &fake_link_ops, .address = (char *)(uintptr_t) "tty:x"};
	struct iotime it = {NO_DEADLINE, NULL};
	struct line_steps s;

	ck_assert_int_eq(line_steps_parse("dtr=1", &s, &e), 0);
	ck_assert_int_eq(line_steps_run(&l, &s, &it, &e), -ERR_UNSUPPORTED);
}
END_TEST

START_TEST(a_pulse_ends_where_it_began)
{
	static const struct link_ops ops = {.name = "recorder", .control = record};
	struct link l = {.ops = &ops, .address = (char *)(uintptr_t) "tty:x"};
	struct iotime it = {NO_DEADLINE, NULL};
	struct line_steps s = line_steps_pulse(LINK_CONTROL_RTS, 1000, 1000);

	ck_assert_int_eq(line_steps_run(&l, &s, &it, &e), 0);
	ck_assert_str_eq(seen.s, "rts=1 rts=0 ");
	sb_done(&seen);
}
END_TEST

START_TEST(settings_of_a_time_are_given_back_as_they_were_before_the_first)
{
	static const struct link_ops ops = {.name = "recorder", .control = record};
	struct link l = {.ops = &ops, .address = (char *)(uintptr_t) "tty:x", .baud = 9600};
	const struct link_settings rom = {115200, LINK_PARITY_EVEN};
	const struct link_settings fast = {921600, LINK_PARITY_EVEN};

	link_settings_pop(&l);
	ck_assert_int_eq(link_settings_push(&l, &rom, &e), 0);
	ck_assert_int_eq(link_settings_push(&l, &fast, &e), 0);
	ck_assert_uint_eq(l.baud, 921600);
	link_settings_pop(&l);
	link_settings_pop(&l);
	ck_assert_str_eq(seen.s, "parity=1 baud=115200 baud=921600 parity=0 baud=9600 ");
	ck_assert_uint_eq(l.baud, 9600);
	ck_assert_int_eq(l.parity, LINK_PARITY_NONE);
	sb_clear(&seen);
	/* A device that is gone is not asked. */
	ck_assert_int_eq(link_settings_push(&l, &rom, &e), 0);
	l.dead = true;
	link_settings_pop(&l);
	ck_assert_str_eq(seen.s, "parity=1 baud=115200 ");
	sb_done(&seen);
}
END_TEST

static Suite *lines_suite(void)
{
	Suite *s = suite_create("lines");
	TCase *t = tcase_create("lines");

	tcase_add_test(t, steps_are_done_in_order);
	tcase_add_test(t, a_wait_ends_with_the_deadline);
	tcase_add_test(t, what_is_no_step_is_named);
	tcase_add_test(t, a_link_without_such_a_line_says_so);
	tcase_add_test(t, a_pulse_ends_where_it_began);
	tcase_add_test(t, settings_of_a_time_are_given_back_as_they_were_before_the_first);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(lines_suite)
