/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/image.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/test_image.XXXXXX";
static struct err e;

static void make_file(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void drop_file(void)
{
	unlink(path);
}

static int open_of(const void *bytes, size_t n, uint64_t address, struct image **ret)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	return image_open(path, &IMAGE_OPTS(address), ret, &e);
}

START_TEST(a_raw_binary_is_one_segment_at_its_address)
{
	_cleanup_(image_unrefp) struct image *i = NULL;

	ck_assert_int_eq(open_of("\x01\x02\x03", 3, 0x08010000, &i), 0);
	ck_assert_uint_eq(i->count, 1);
	ck_assert_uint_eq(i->segments[0].address, 0x08010000);
	ck_assert_uint_eq(i->segments[0].len, 3);
	ck_assert_mem_eq(i->segments[0].data, "\x01\x02\x03", 3);
	ck_assert_str_eq(
		i->sha256, "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81");
}
END_TEST

START_TEST(a_file_that_changes_later_changes_nothing_that_is_flashed)
{
	_cleanup_(image_unrefp) struct image *i = NULL;

	ck_assert_int_eq(open_of("good", 4, 0, &i), 0);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_mem_eq(i->segments[0].data, "good", 4);

	struct image *other = image_ref(i);

	ck_assert_ptr_null(image_unref(other));
	ck_assert_mem_eq(i->segments[0].data, "good", 4);
}
END_TEST

START_TEST(flaw_15_a_text_or_container_file_is_not_flashed_as_it_is)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *says;
	} files[] = {
		{":020000040800F2\r\n:00000001FF\r\n", 30, "Intel HEX"},
		{"\r\n:00000001FF\n", 14, "Intel HEX"},
		{"S00600004844521B\nS9030000FC\n", 28, "S-record"},
		{"\177ELF\1\1\1\0", 8, "ELF"},
		{"UF2\nWQ]\x9e", 8, "UF2"},
		{"DfuSe\1", 6, "DFU"},
		{"abcdefgh\0\1UFD\x10\1\2\3\4", 18, "DFU"},
		{"\x3a\xff\x26\xed\1\0\0\0", 8, "sparse"},
		{"PK\3\4zzzz", 8, "zip"},
		{"ANDROID!zzzz", 12, "boot image"},
	};

	for (size_t k = 0; k < ARRAY_LEN(files); k++) {
		struct image *i = NULL;

		ck_assert_int_eq(open_of(files[k].bytes, files[k].n, 0, &i), -ERR_IMAGE_INVALID);
		ck_assert_msg(strstr(e.msg, files[k].says), "%s", e.msg);
		ck_assert_ptr_null(i);
	}
}
END_TEST

START_TEST(bytes_that_only_begin_like_a_format_stay_a_raw_binary)
{
	_cleanup_(image_unrefp) struct image *i = NULL;

	ck_assert_int_eq(open_of(":0200zz", 7, 0, &i), 0);
}
END_TEST

START_TEST(flaw_13_an_image_that_does_not_fit_is_refused)
{
	struct image *i = NULL;

	ck_assert_int_eq(open_of("", 0, 0, &i), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(open_of("1234", 4, 0xfffffffd, &i), -ERR_IMAGE_RANGE);
	ck_assert_int_eq(open_of("1234", 4, 1ull << 32, &i), -ERR_IMAGE_RANGE);
	ck_assert_int_eq(open_of("1234", 4, IMAGE_NO_ADDRESS, &i), -ERR_INVALID);
	ck_assert_int_eq(truncate(path, (off_t)IMAGE_MAX_BYTES + 1), 0);
	ck_assert_int_eq(image_open(path, &IMAGE_OPTS(0), &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(image_open("/nonexistent/a.bin", &IMAGE_OPTS(0), &i, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(image_open("/tmp", &IMAGE_OPTS(0), &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(open_of("1234", 4, 0xfffffffc, &i), 0);
	image_unref(i);
}
END_TEST

static Suite *image_suite(void)
{
	Suite *s = suite_create("image");
	TCase *t = tcase_create("image");

	tcase_add_checked_fixture(t, make_file, drop_file);
	tcase_add_test(t, a_raw_binary_is_one_segment_at_its_address);
	tcase_add_test(t, a_file_that_changes_later_changes_nothing_that_is_flashed);
	tcase_add_test(t, flaw_15_a_text_or_container_file_is_not_flashed_as_it_is);
	tcase_add_test(t, bytes_that_only_begin_like_a_format_stay_a_raw_binary);
	tcase_add_test(t, flaw_13_an_image_that_does_not_fit_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(image_suite)
