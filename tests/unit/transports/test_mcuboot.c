/* SPDX-License-Identifier: Apache-2.0
 *
 * Images for MCUboot: whole ones, and each way in which one is not.
 */
#include "tests/unit/transports/mcuboot_file.h"
#include "tests/unit/unit.h"
#include "transports/images/mcuboot.h"

static uint8_t file[4096];
static size_t n;
static struct mcuboot m;
static struct err e;

static int check(void)
{
	return mcuboot_check("fw", file, n, &m, &e);
}

static void refused(int code, const char *says)
{
	int r = check();

	ck_assert_msg(
		r == -code && strstr(e.msg, says), "%d '%s' does not say '%s'", r, e.msg, says);
}

START_TEST(a_whole_one_says_its_version_and_hash)
{
	uint8_t sum[SHA256_BYTES];

	n = mcuboot_file(file, sizeof file, 2, 1000, _i);
	ck_assert_msg(check() == 0, "%s", e.msg);
	ck_assert_str_eq(m.version, "2.1.3+7");
	ck_assert(m.is_signed);
	ck_assert(!m.encrypted);
	ck_assert_uint_eq(m.bytes, n);
	sha256_of(file, 64 + 1000 + (_i ? 12 : 0), sum);
	ck_assert_mem_eq(m.hash, sum, sizeof sum);
	/* A slot's padding may follow. */
	memset(file + n, 0xff, 200);
	n += 200;
	ck_assert_msg(check() == 0, "%s", e.msg);
}
END_TEST

START_TEST(one_that_is_cut_off_at_any_place_is_refused)
{
	size_t whole = mcuboot_file(file, sizeof file, 2, 500, true);

	for (n = 0; n < whole; n++)
		ck_assert_msg(check() == -ERR_IMAGE_INVALID && *e.msg, "at %zu", n);
}
END_TEST

START_TEST(any_bit_of_what_the_hash_covers_is_found)
{
	n = mcuboot_file(file, sizeof file, 2, 500, true);
	for (size_t i = 0; i < 64 + 500 + 12; i++) {
		file[i] ^= 0x40;
		ck_assert_msg(check() < 0 || m.encrypted, "at %zu", i);
		file[i] ^= 0x40;
	}
}
END_TEST

START_TEST(another_file_is_named)
{
	n = mcuboot_file(file, sizeof file, 2, 500, false);
	file[0] = 0x7f;
	refused(ERR_IMAGE_INVALID, "imgtool");
}
END_TEST

START_TEST(a_hash_of_another_kind_is_not_passed_over)
{
	n = mcuboot_file(file, sizeof file, 2, 500, false);
	file[64 + 500 + 4] = 0x12;
	refused(ERR_UNSUPPORTED, "0x12");
	file[64 + 500 + 4] = 0x70;
	refused(ERR_IMAGE_INVALID, "no hash");
}
END_TEST

START_TEST(what_is_encrypted_is_said_to_be)
{
	n = mcuboot_file(file, sizeof file, 2, 500, false);
	file[16] |= 4;
	ck_assert_msg(check() == 0, "%s", e.msg);
	ck_assert(m.encrypted);
}
END_TEST

static Suite *mcuboot_suite(void)
{
	Suite *s = suite_create("mcuboot");
	TCase *t = tcase_create("mcuboot");

	tcase_add_loop_test(t, a_whole_one_says_its_version_and_hash, 0, 2);
	tcase_add_test(t, one_that_is_cut_off_at_any_place_is_refused);
	tcase_add_test(t, any_bit_of_what_the_hash_covers_is_found);
	tcase_add_test(t, another_file_is_named);
	tcase_add_test(t, a_hash_of_another_kind_is_not_passed_over);
	tcase_add_test(t, what_is_encrypted_is_said_to_be);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(mcuboot_suite)
