/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/image_write.h"

#include <sys/stat.h>

#include "tests/unit/unit.h"

static char dir[] = "/tmp/provd-image-write-XXXXXX";
static char path[64];
static struct err e;

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/f", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void file_is(const char *text)
{
	char buf[4096];
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	ck_assert_ptr_nonnull(f);
	buf[fread(buf, 1, sizeof buf - 1, f)] = 0;
	ck_assert_str_eq(buf, text);
}

START_TEST(records_carry_banks_checksums_and_the_entry)
{
	static const uint8_t bytes[] = "0123456789abcdefXYZ";
	struct image_segment seg[] = {
		{.address = 0x0800fff8, .len = 12, .data = bytes},
		{.address = 0x20000000, .len = 1, .data = bytes},
	};
	struct image i = {.path = (char *)"x",
		.segments = seg,
		.count = 2,
		.bytes = 13,
		.has_entry = true,
		.entry = 0x08000101};

	ck_assert_msg(image_write_ihex(&i, path, &e) == 0, "%s", e.msg);
	file_is(":020000040800F2\n"
		":08FFF800303132333435363765\n"
		":020000040801F1\n"
		":0400000038396162C8\n"
		":020000042000DA\n"
		":0100000030CF\n"
		":0400000508000101ED\n"
		":00000001FF\n");
}
END_TEST

START_TEST(what_is_written_reads_back_as_the_same_image)
{
	static uint8_t bytes[70001];
	struct image *a = NULL;
	struct image *b = NULL;

	for (size_t k = 0; k < sizeof bytes; k++)
		bytes[k] = (uint8_t)((k * 2654435761u) >> 11);
	ck_assert_msg(image_parse("a", bytes, sizeof bytes,
			      &(struct image_opts){.address = 0x0800fff1, .format = IMAGE_BIN}, &a,
			      &e) == 0,
		"%s", e.msg);
	ck_assert_msg(image_write_ihex(a, path, &e) == 0, "%s", e.msg);
	ck_assert_msg(image_open(path, &IMAGE_OPTS(IMAGE_NO_ADDRESS), &b, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(a->payload, b->payload);
	image_unref(a);
	image_unref(b);
}
END_TEST

static const struct image plain = {.path = (char *)"plain"};

START_TEST(a_raw_file_is_the_segment_alone_and_private)
{
	struct image_segment s = {.address = 5, .len = 3, .data = (const uint8_t *)"a\0b"};
	struct stat st;

	ck_assert_int_eq(image_write_bin(&plain, &s, path, &e), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(an_image_with_a_secret_is_never_a_file)
{
	struct image_segment s = {.address = 5, .len = 3, .data = (const uint8_t *)"abc"};
	struct image i = {.path = (char *)"own.bin", .segments = &s, .count = 1, .secret = true};

	ck_assert_int_eq(image_write_bin(&i, &s, path, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(image_write_ihex(&i, path, &e), -ERR_UNSUPPORTED);
	ck_assert_msg(strstr(e.msg, "an action of provd's own"), "%s", e.msg);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_file_that_is_there_or_a_link_is_never_written_over)
{
	struct image_segment s = {.address = 5, .len = 3, .data = (const uint8_t *)"abc"};

	ck_assert_int_eq(symlink("/tmp/provd-nowhere", path), 0);
	ck_assert_int_eq(image_write_bin(&plain, &s, path, &e), -ERR_CONFLICT);
	ck_assert_int_ne(access("/tmp/provd-nowhere", F_OK), 0);
}
END_TEST

START_TEST(what_has_no_32_bit_address_is_refused)
{
	struct image_segment s = {.address = 0xffffffff, .len = 2, .data = (const uint8_t *)"ab"};
	struct image i = {.path = (char *)"x", .segments = &s, .count = 1, .bytes = 2};

	ck_assert_int_eq(image_write_ihex(&i, path, &e), -ERR_IMAGE_RANGE);
	s.len = 1;
	ck_assert_int_eq(image_write_ihex(&i, path, &e), 0);
	unlink(path);
	s.target = 1;
	ck_assert_int_eq(image_write_ihex(&i, path, &e), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "target 1"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("image_write");
	TCase *c = tcase_create("image_write");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, records_carry_banks_checksums_and_the_entry);
	tcase_add_test(c, what_is_written_reads_back_as_the_same_image);
	tcase_add_test(c, a_raw_file_is_the_segment_alone_and_private);
	tcase_add_test(c, an_image_with_a_secret_is_never_a_file);
	tcase_add_test(c, a_file_that_is_there_or_a_link_is_never_written_over);
	tcase_add_test(c, what_has_no_32_bit_address_is_refused);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
