/* SPDX-License-Identifier: Apache-2.0
 *
 * The board's one-time memory: bits go one way, for good, and each write is counted.
 */
#include "tests/unit/sim/bench.h"

#define BLANK16 "ffffffffffffffffffffffffffffffff"

static char dir[64];
static struct bench *t;

static void start(void)
{
	strcpy(dir, "/tmp/test-sim-otp-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	t = bench_new(NULL, dir);
	bench_flash_app(t, "an application");
}

static void stop(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	bench_free(t);
	ck_assert_int_eq(system(cmd), 0);
}

static void says(const char *ask, const char *answer)
{
	_cleanup_(freep) char *want = xasprintf("%s%s", answer, *answer ? "\r\n" : "");

	ck_assert_str_eq(bench_ask(t, ask), want);
}

/* How often the field was written, in the unit's whole life. */
static size_t writes(const char *name)
{
	json_t *f = json_object_get(json_object_get(t->board->unit->values, "otp"), name);

	return json_array_size(json_object_get(f, "writes"));
}

static void power_cycle(void)
{
	board_power_off(t->board);
	board_power_on(t->board, t->now_us);
	bench_settle(t);
}

START_TEST(a_fuse_goes_from_0_to_1_and_stays)
{
	says("OTP_READ flags", "OTP flags 00000000");
	says("OTP_WRITE flags 00000011", "OK");
	says("OTP_WRITE flags 00000100", "OK");
	says("OTP_READ flags", "OTP flags 00000111");
	ck_assert_uint_eq(writes("flags"), 2);
}
END_TEST

START_TEST(a_cell_of_one_time_flash_goes_from_1_to_0_and_stays)
{
	says("OTP_READ serial", "OTP serial " BLANK16);
	says("OTP_WRITE serial 0fffffffffffffffffffffffffffffff", "OK");
	says("OTP_WRITE serial f0ffffffffffffffffffffffffffffff", "OK");
	says("OTP_READ serial", "OTP serial 00ffffffffffffffffffffffffffffff");
}
END_TEST

START_TEST(what_was_burnt_survives_the_power_and_the_program)
{
	says("OTP_WRITE boot 05", "OK");
	says("OTP_LOCK boot", "OK");
	power_cycle();
	says("OTP_READ boot", "OTP boot 05");
	bench_free(t);
	t = bench_new(NULL, dir);
	bench_settle(t);
	says("OTP_READ boot", "OTP boot 05");
	says("OTP_STATE boot", "OTP boot locked");
	says("OTP_WRITE boot 0f", "ERR LOCKED");
	ck_assert_uint_eq(writes("boot"), 1);
}
END_TEST

static const char *const out_of_range[] = {"OTP_WRITE boot 10", "OTP_WRITE boot 001",
	"OTP_WRITE flags 00", "OTP_WRITE flags", "OTP_WRITE none 00", "OTP_WRITE flags 0000000g",
	"OTP_READ none", "OTP_LOCK none", "OTP_STATE none"};

START_TEST(what_does_not_fit_is_refused_and_burns_nothing)
{
	says(out_of_range[_i], "ERR RANGE");
	ck_assert_uint_eq(writes("boot") + writes("flags"), 0);
	says("OTP_READ boot", "OTP boot 00");
}
END_TEST

START_TEST(a_key_reads_no_more_once_it_is_locked)
{
	char ask[100];

	snprintf(ask, sizeof ask, "OTP_WRITE key %064d", 1);
	says(ask, "OK");
	says("OTP_STATE key", "OTP key open");
	says("OTP_LOCK key", "OK");
	says("OTP_READ key", "ERR PROTECTED");
	says("OTP_LOCK flags", "OK");
	says("OTP_READ flags", "OTP flags 00000000");
}
END_TEST

START_TEST(a_burn_stops_half_way_when_the_power_goes)
{
	bench_fault(t, "otp-half=3");
	says("OTP_WRITE flags f00000ff", "");
	ck_assert_int_eq(board_take_wish(t->board), WISH_REPLUG);
	power_cycle();
	says("OTP_READ flags", "OTP flags e0000000");
	ck_assert_uint_eq(writes("flags"), 1);
}
END_TEST

START_TEST(a_board_may_lie_or_lose_its_answer_or_refuse_to_read)
{
	bench_fault(t, "otp-lie");
	says("OTP_WRITE flags 00000001", "OK");
	says("OTP_READ flags", "OTP flags 00000000");
	ck_assert_uint_eq(writes("flags"), 0);
	bench_fault(t, "otp-lost");
	says("OTP_WRITE flags 00000001", "");
	says("OTP_READ flags", "OTP flags 00000001");
	bench_fault(t, "otp-protected");
	says("OTP_READ flags", "ERR PROTECTED");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("otp");
	TCase *c = tcase_create("otp");

	tcase_add_checked_fixture(c, start, stop);
	tcase_add_test(c, a_fuse_goes_from_0_to_1_and_stays);
	tcase_add_test(c, a_cell_of_one_time_flash_goes_from_1_to_0_and_stays);
	tcase_add_test(c, what_was_burnt_survives_the_power_and_the_program);
	tcase_add_loop_test(
		c, what_does_not_fit_is_refused_and_burns_nothing, 0, (int)ARRAY_LEN(out_of_range));
	tcase_add_test(c, a_key_reads_no_more_once_it_is_locked);
	tcase_add_test(c, a_burn_stops_half_way_when_the_power_goes);
	tcase_add_test(c, a_board_may_lie_or_lose_its_answer_or_refuse_to_read);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
