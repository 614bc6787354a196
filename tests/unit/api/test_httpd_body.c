/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies out of their wrapping: whole ones of the right size, and nothing else.
 */
#include "api/httpd_body.h"

#include <string.h>
#include <zlib.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static uint8_t *body;
static size_t len;
static const char *detail;

static void teardown(void)
{
	free(body);
	body = NULL;
}

static void set(const void *p, size_t n)
{
	free(body);
	body = malloc(n + 1);
	memcpy(body, p, n);
	body[n] = 0;
	len = n;
	detail = NULL;
}

static void gzipped(const void *p, size_t n)
{
	z_stream z = {0};
	size_t cap;

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
	cap = deflateBound(&z, n);
	free(body);
	body = malloc(cap + 1);
	z.next_in = (void *)p;
	z.avail_in = (unsigned)n;
	z.next_out = body;
	z.avail_out = (unsigned)cap;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	len = cap - z.avail_out;
	body[len] = 0;
	deflateEnd(&z);
}

static int decode(const char *coding, uint64_t max)
{
	return httpd_body_decode(coding, &body, &len, max, &detail);
}

START_TEST(a_plain_body_stays_as_it_is)
{
	set("{}", 2);
	ck_assert_int_eq(decode(NULL, 100), 0);
	ck_assert_str_eq((char *)body, "{}");
	ck_assert_int_eq(decode("identity", 100), 0);
	ck_assert_uint_eq(len, 2);
}
END_TEST

START_TEST(a_byte_order_mark_is_taken_off_once)
{
	set("\xef\xbb\xbf{\"a\":1}", 10);
	ck_assert_int_eq(decode(NULL, 100), 0);
	ck_assert_str_eq((char *)body, "{\"a\":1}");
	ck_assert_uint_eq(len, 7);
	set("\xef\xbb\xbf\xef\xbb\xbf{}", 8);
	ck_assert_int_eq(decode(NULL, 100), 0);
	ck_assert_uint_eq(len, 5);
	set("\xef\xbb", 2);
	ck_assert_int_eq(decode(NULL, 100), 0);
	ck_assert_uint_eq(len, 2);
	set("\xef\xbb\xbf", 3);
	ck_assert_int_eq(decode(NULL, 100), 0);
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(gzip_is_inflated_and_its_mark_goes_too)
{
	static char text[300000];

	memset(text, 'x', sizeof text);
	gzipped(text, sizeof text);
	ck_assert_int_eq(decode("gzip", sizeof text), 0);
	ck_assert_uint_eq(len, sizeof text);
	ck_assert_int_eq(memcmp(body, text, len), 0);
	ck_assert_uint_eq(body[len], 0);
	gzipped("\xef\xbb\xbf{}", 5);
	ck_assert_int_eq(decode("X-GZIP", 100), 0);
	ck_assert_str_eq((char *)body, "{}");
	gzipped("", 0);
	ck_assert_int_eq(decode("gzip", 100), 0);
	ck_assert_uint_eq(len, 0);
}
END_TEST

/* 100 MiB in 100 KiB: refused by what it would be, without memory for it. */
START_TEST(a_bomb_is_refused_at_the_cap)
{
	uint8_t *zeros = calloc(1, 100 << 20);

	gzipped(zeros, 100 << 20);
	free(zeros);
	ck_assert_uint_lt(len, 256 * 1024);
	ck_assert_int_eq(decode("gzip", 256 * 1024), 413);
	ck_assert_ptr_nonnull(strstr(detail, "too large"));
	gzipped("0123456789", 10);
	ck_assert_int_eq(decode("gzip", 9), 413);
	ck_assert_int_eq(decode("gzip", 10), 0);
}
END_TEST

START_TEST(what_is_no_whole_gzip_is_refused)
{
	static const char text[] = "{\"recipe\":\"production\",\"quantity\":1}";
	uint8_t whole[200];
	size_t n;

	gzipped(text, strlen(text));
	n = len;
	memcpy(whole, body, n);
	for (size_t cut = 1; cut < n; cut++) {
		set(whole, cut);
		ck_assert_msg(decode("gzip", 1000) == 400, "cut at %zu", cut);
		ck_assert_uint_eq(len, cut);
	}
	set(whole, n);
	body[n - 5] ^= 1; /* its checksum */
	ck_assert_int_eq(decode("gzip", 1000), 400);
	memcpy(whole + n, "more", 4);
	set(whole, n + 4);
	ck_assert_int_eq(decode("gzip", 1000), 400);
	set(text, strlen(text));
	ck_assert_int_eq(decode("gzip", 1000), 400);
}
END_TEST

START_TEST(other_codings_are_415)
{
	static const char *const others[] = {"br", "deflate", "gzip, gzip", "", "zstd", "gzip "};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		set("{}", 2);
		ck_assert_msg(decode(others[i], 100) == 415, "'%s'", others[i]);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("httpd_body");
	TCase *t = tcase_create("httpd_body");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_plain_body_stays_as_it_is);
	tcase_add_test(t, a_byte_order_mark_is_taken_off_once);
	tcase_add_test(t, gzip_is_inflated_and_its_mark_goes_too);
	tcase_add_test(t, a_bomb_is_refused_at_the_cap);
	tcase_add_test(t, what_is_no_whole_gzip_is_refused);
	tcase_add_test(t, other_codings_are_415);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
