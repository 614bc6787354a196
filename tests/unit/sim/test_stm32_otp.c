/* SPDX-License-Identifier: Apache-2.0
 *
 * The one-time memory of a virtual STM32F4: it binds, and outlives the program.
 */
#include "sim/stm32_otp.h"
#include "tests/unit/unit.h"

#include <string.h>

static char dir[64];
static struct stm32_otp *otp;

static void start(void)
{
	strcpy(dir, "/tmp/test-sim-stm32-otp-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(stm32_otp_new(dir, &otp, NULL), 0);
}

static void stop(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	stm32_otp_free(otp);
	ck_assert_int_eq(system(cmd), 0);
}

static bool writes(size_t at, const char *bytes, size_t n)
{
	return stm32_otp_write(otp, STM32_OTP_BASE + (uint32_t)at, (const uint8_t *)bytes, n);
}

START_TEST(bits_go_to_0_and_stay_there)
{
	ck_assert(writes(32, "\xf0\xff\xff\xff", 4));
	ck_assert(writes(32, "\x3f\xff\xff\xff", 4));
	ck_assert_uint_eq(otp->cell[32], 0x30);
	ck_assert_uint_eq(otp->writes, 2);
}
END_TEST

START_TEST(a_locked_block_takes_nothing_and_the_next_one_does)
{
	ck_assert(writes(512, "\xff\x00\xff\xff", 4));
	ck_assert(!writes(32, "\x00\x00\x00\x00", 4));
	ck_assert(!writes(28, "\x00\x00\x00\x00\x00\x00\x00\x00", 8));
	ck_assert_uint_eq(otp->cell[28], 0xff);
	ck_assert(writes(64, "\x00\x00\x00\x00", 4));
	ck_assert_uint_eq(otp->writes, 2);
}
END_TEST

START_TEST(what_is_burnt_is_there_after_a_restart)
{
	ck_assert(writes(0, "\x01\x02\x03\x04", 4));
	stm32_otp_free(otp);
	ck_assert_int_eq(stm32_otp_new(dir, &otp, NULL), 0);
	ck_assert_mem_eq(otp->cell, "\x01\x02\x03\x04\xff", 5);
	ck_assert_uint_eq(otp->writes, 1);
}
END_TEST

START_TEST(its_places_are_those_of_the_manual)
{
	ck_assert(stm32_otp_holds(0x1fff7800, 512 + 16));
	ck_assert(stm32_otp_holds(0x1fff7a0f, 1));
	ck_assert(!stm32_otp_holds(0x1fff7a0f, 2));
	ck_assert(!stm32_otp_holds(0x1fff77ff, 1));
	ck_assert(!stm32_otp_holds(0xffffffff, 600));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("stm32_otp");
	TCase *c = tcase_create("stm32_otp");

	tcase_add_checked_fixture(c, start, stop);
	tcase_add_test(c, bits_go_to_0_and_stay_there);
	tcase_add_test(c, a_locked_block_takes_nothing_and_the_next_one_does);
	tcase_add_test(c, what_is_burnt_is_there_after_a_restart);
	tcase_add_test(c, its_places_are_those_of_the_manual);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
