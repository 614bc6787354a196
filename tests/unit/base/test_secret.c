/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static void check(const struct secret_set *s, const char *text, const char *want)
{
	_cleanup_(freep) char *got = secret_mask(s, text);

	ck_assert_str_eq(got, want);
}

START_TEST(a_secret_is_masked_wherever_it_stands)
{
	struct secret_set *s = secret_set_new();

	ck_assert(secret_set_empty(s));
	check(s, "nothing to hide", "nothing to hide");
	check(NULL, "nothing to hide", "nothing to hide");
	ck_assert_int_eq(secret_set_add(s, "hunter2", NULL), 0);
	ck_assert_int_eq(secret_set_add(s, "hunter2", NULL), 0);
	ck_assert(!secret_set_empty(s));
	check(s, "hunter2", "[secret]");
	check(s, "SET_KEY hunter2hunter2;hunter", "SET_KEY [secret][secret];hunter");
	secret_set_free(s);
}
END_TEST

START_TEST(a_secret_within_a_longer_one_leaves_no_rest)
{
	struct secret_set *s = secret_set_new();

	ck_assert_int_eq(secret_set_add(s, "abcd", NULL), 0);
	ck_assert_int_eq(secret_set_add(s, "abcdefgh", NULL), 0);
	check(s, "x abcdefgh y abcd z", "x [secret] y [secret] z");
	secret_set_free(s);
}
END_TEST

START_TEST(a_secret_is_masked_in_each_form_in_which_it_leaves)
{
	struct secret_set *s = secret_set_new();

	ck_assert_int_eq(secret_set_add(s, "a.b'c\"d\te", NULL), 0);
	check(s, "raw a.b'c\"d\te.", "raw [secret].");
	check(s, "log a.b'c\"d\\te.", "log [secret].");
	check(s, "pattern ^a\\.b'c\"d\te$", "pattern ^[secret]$");
	check(s, "pattern a\\.b\\'c\\\"d\te$", "pattern [secret]$");
	check(s, "json \"a.b'c\\\"d\te\"", "json \"[secret]\"");
	check(s, "shell 'a.b'\\''c\"d\te'", "shell '[secret]'");
	ck_assert_int_eq(
		secret_set_add(s, "-----BEGIN KEY-----\r\nline one\nab\nline two\n", NULL), 0);
	check(s, "-----BEGIN KEY-----", "-----BEGIN KEY-----");
	check(s, "it said line two", "it said [secret]");
	check(s, "ab", "ab"); /* too short a line to mask */
	secret_set_free(s);
}
END_TEST

START_TEST(a_secret_that_was_cut_is_masked_in_a_sentence)
{
	static const struct {
		const char *text, *want;
	} row[] = {
		{"'hunt' was sent", "'[secret]' was sent"},
		{"it said hunter", "it said [secret]"},
		{"it said hunter...", "it said [secret]..."},
		{"a hunt for errors", "a hunt for errors"},
		{"'hun' is too little", "'hun' is too little"},
		{"hunter22", "[secret]"},
	};
	struct secret_set *s = secret_set_new();

	secret_set_add(s, "hunter22", NULL);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *got = secret_mask_cut(s, row[i].text);

		ck_assert_str_eq(got, row[i].want);
	}
	ck_assert(secret_found(s, "xhunter22"));
	ck_assert(!secret_found(s, "hunter2"));
	ck_assert(!secret_found(NULL, "hunter22"));
	secret_set_free(s);
}
END_TEST

START_TEST(what_is_too_short_to_mask_is_refused)
{
	struct secret_set *s = secret_set_new();
	struct err e = {0};

	ck_assert_int_eq(secret_set_add(s, "abc", &e), -ERR_INVALID);
	ck_assert_ptr_null(strstr(e.msg, "abc"));
	secret_set_free(s);
}
END_TEST

START_TEST(wiping_comparing_and_randomness)
{
	char a[32] = "same";
	char b[32] = "same";
	char c[32];

	ck_assert(secret_equal(a, b, sizeof a));
	b[31] = 1;
	ck_assert(!secret_equal(a, b, sizeof a));
	secret_wipe(a, sizeof a);
	for (size_t i = 0; i < sizeof a; i++)
		ck_assert_int_eq(a[i], 0);
	random_bytes(b, sizeof b);
	random_bytes(c, sizeof c);
	ck_assert_mem_ne(b, c, sizeof b);
}
END_TEST

/* The C library keeps its own marks in the first bytes of what was freed. */
#define MARKS 16

START_TEST(nothing_is_left_where_a_block_was)
{
	static const char text[] = "0123456789abcdef and then a token";
	char *p = secret_alloc(sizeof text);
	uintptr_t was = (uintptr_t)p;

	memcpy(p, text, sizeof text);
	secret_free(p);
	/* The same size again is the same block, but where what was freed is kept apart (ASan). */
	p = malloc(sizeof text);
	for (size_t i = MARKS; (uintptr_t)p == was && i < sizeof text; i++)
		ck_assert_int_eq(p[i], 0);
	free(p);
	secret_free(NULL);
}
END_TEST

START_TEST(a_block_that_grows_keeps_what_is_in_it)
{
	static const char text[] = "a token of a service";
	char *p = secret_strdup(text);

	p = secret_realloc(p, 4096);
	ck_assert_str_eq(p, text);
	ck_assert_ptr_eq(secret_realloc(p, 10), p);
	secret_free(p);
	p = secret_realloc(NULL, 8);
	ck_assert_ptr_nonnull(p);
	secret_free(p);
	p = secret_calloc(3, 5);
	for (size_t i = 0; i < 15; i++)
		ck_assert_int_eq(p[i], 0);
	secret_free(p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("secret");
	TCase *t = tcase_create("secret");

	tcase_add_test(t, a_secret_is_masked_wherever_it_stands);
	tcase_add_test(t, a_secret_within_a_longer_one_leaves_no_rest);
	tcase_add_test(t, a_secret_is_masked_in_each_form_in_which_it_leaves);
	tcase_add_test(t, a_secret_that_was_cut_is_masked_in_a_sentence);
	tcase_add_test(t, what_is_too_short_to_mask_is_refused);
	tcase_add_test(t, wiping_comparing_and_randomness);
	tcase_add_test(t, nothing_is_left_where_a_block_was);
	tcase_add_test(t, a_block_that_grows_keeps_what_is_in_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
