/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of the ESP32 family: whole ones, and each way in which one is not.
 */
#include "tests/unit/transports/esp_bench.h"
#include "tests/unit/unit.h"
#include "transports/images/esp_image.h"
#include "transports/protocols/esp/esp_chips.h"

static uint8_t image[4096];
static size_t n;
static struct esp_image head;
static struct err e;

static void set_up(void)
{
	n = esp_image_file(image, sizeof image, 5, 1000);
}

static int check(void)
{
	return esp_image_check("fw", image, n, &head, &e);
}

static void says(int r, int code, const char *what)
{
	ck_assert_msg(
		r == -code && strstr(e.msg, what), "%d '%s' does not say '%s'", r, e.msg, what);
}

START_TEST(a_whole_one_says_for_whom_it_is)
{
	ck_assert_msg(check() == 0, "%s", e.msg);
	ck_assert_uint_eq(head.chip_id, 5);
	ck_assert_uint_eq(head.segments, 1);
	ck_assert_uint_eq(head.flash_bytes, 4u << 20);
	ck_assert(head.has_digest);
	ck_assert_uint_eq(head.bytes, n);
	/* A signature may follow. */
	memset(image + n, 0x55, 100);
	n += 100;
	ck_assert_msg(check() == 0, "%s", e.msg);
}
END_TEST

START_TEST(one_that_is_cut_off_at_any_place_is_refused)
{
	size_t whole = n;

	for (n = 0; n < whole; n++) {
		ck_assert_msg(check() == -ERR_IMAGE_INVALID, "at %zu", n);
		ck_assert(*e.msg);
	}
}
END_TEST

START_TEST(any_bit_that_changed_is_found)
{
	for (size_t i = 0; i < n; i++) {
		image[i] ^= 0x10;
		ck_assert_msg(check() < 0, "at %zu", i);
		image[i] ^= 0x10;
	}
}
END_TEST

START_TEST(without_a_digest_the_checksum_tells)
{
	image[23] = 0;
	ck_assert_msg(check() == 0, "%s", e.msg);
	ck_assert(!head.has_digest);
	image[500] ^= 1;
	says(check(), ERR_IMAGE_INVALID, "checksum");
}
END_TEST

START_TEST(a_segment_longer_than_the_file_is_named)
{
	image[24 + 4 + 2] = 0xff;
	says(check(), ERR_IMAGE_INVALID, "segment 1 of 1 needs");
}
END_TEST

START_TEST(it_fits_its_chip_alone)
{
	const struct esp_chip *c3 = esp_chip_of_name("ESP32-C3");

	ck_assert_int_eq(check(), 0);
	ck_assert_msg(esp_image_fits("fw", &head, c3, 101, 4u << 20, &e) == 0, "%s", e.msg);
	says(esp_image_fits("fw", &head, esp_chip_of_name("ESP32-S3"), 101, 0, &e),
		ERR_WRONG_DEVICE, "for chip id 5 (ESP32-C3), and this is an ESP32-S3");
	says(esp_image_fits("fw", &head, c3, 101, 2u << 20, &e), ERR_IMAGE_RANGE, "4096 KiB");
	head.min_revision = 102;
	says(esp_image_fits("fw", &head, c3, 101, 0, &e), ERR_WRONG_DEVICE, "v1.2");
	ck_assert_int_eq(esp_image_fits("fw", &head, c3, -1, 0, &e), 0);
	head.min_revision = 0;
	head.max_revision = 99;
	says(esp_image_fits("fw", &head, c3, 101, 0, &e), ERR_WRONG_DEVICE, "v0.99");
}
END_TEST

START_TEST(other_firmware_is_not_one)
{
	ck_assert(esp_image_is(image, n));
	image[0] = 0x7f;
	ck_assert(!esp_image_is(image, n));
	says(check(), ERR_IMAGE_INVALID, "begins with 7f");
}
END_TEST

static Suite *esp_image_suite(void)
{
	Suite *s = suite_create("esp_image");
	TCase *t = tcase_create("esp_image");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, a_whole_one_says_for_whom_it_is);
	tcase_add_test(t, one_that_is_cut_off_at_any_place_is_refused);
	tcase_add_test(t, any_bit_that_changed_is_found);
	tcase_add_test(t, without_a_digest_the_checksum_tells);
	tcase_add_test(t, a_segment_longer_than_the_file_is_named);
	tcase_add_test(t, it_fits_its_chip_alone);
	tcase_add_test(t, other_firmware_is_not_one);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(esp_image_suite)
