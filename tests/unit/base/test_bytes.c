/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <string.h>

#include "tests/unit/unit.h"

START_TEST(what_is_written_is_read_back_in_either_byte_order)
{
	uint8_t buf[32];
	struct wbytes w = wbytes_of(buf, sizeof buf);

	wb_u8(&w, 0x12);
	wb_le16(&w, 0x3456);
	wb_be16(&w, 0x3456);
	wb_le32(&w, 0x89abcdef);
	wb_be32(&w, 0x89abcdef);
	wb_le64(&w, 0x0123456789abcdef);
	wb_fill(&w, 0xff, 2);
	wb_put(&w, "ok", 2);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.len, 25);
	ck_assert_mem_eq(buf, "\x12\x56\x34\x34\x56\xef\xcd\xab\x89\x89\xab\xcd\xef", 13);

	struct rbytes r = rbytes_of(buf, w.len);

	ck_assert_uint_eq(rb_u8(&r), 0x12);
	ck_assert_uint_eq(rb_le16(&r), 0x3456);
	ck_assert_uint_eq(rb_be16(&r), 0x3456);
	ck_assert_uint_eq(rb_le32(&r), 0x89abcdef);
	ck_assert_uint_eq(rb_be32(&r), 0x89abcdef);
	ck_assert(rb_le64(&r) == 0x0123456789abcdef);
	ck_assert_mem_eq(rb_take(&r, 4), "\xff\xffok", 4);
	ck_assert(!r.bad);
}
END_TEST

START_TEST(reading_past_the_end_is_bad_and_stays_bad)
{
	struct rbytes r = rbytes_of("abc", 3);

	ck_assert_uint_eq(rb_le32(&r), 0);
	ck_assert(r.bad);
	ck_assert_uint_eq(rb_u8(&r), 0); /* though one byte would be there */
	r = rbytes_of("abc", 3);
	ck_assert_ptr_null(rb_take(&r, SIZE_MAX));
	ck_assert(r.bad);
}
END_TEST

START_TEST(writing_past_the_capacity_is_bad_and_touches_nothing)
{
	uint8_t buf[4] = {1, 2, 3, 4};
	struct wbytes w = wbytes_of(buf, 3);

	wb_le32(&w, 0xffffffff);
	ck_assert(w.bad);
	wb_u8(&w, 0xff);
	ck_assert(w.bad);
	ck_assert_uint_eq(buf[3], 4);
	w = wbytes_of(buf, 3);
	wb_fill(&w, 0, SIZE_MAX);
	ck_assert(w.bad);
	ck_assert_uint_eq(buf[3], 4);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("bytes");
	TCase *t = tcase_create("bytes");

	tcase_add_test(t, what_is_written_is_read_back_in_either_byte_order);
	tcase_add_test(t, reading_past_the_end_is_bad_and_stays_bad);
	tcase_add_test(t, writing_past_the_capacity_is_bad_and_touches_nothing);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
