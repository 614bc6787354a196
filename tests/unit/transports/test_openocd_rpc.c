/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd_rpc.h"

#include "base/strbuf.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"

static struct fake_link fake;
static struct openocd_rpc *rpc;
static struct err e;
static struct iotime soon;
static char *text;
static unsigned number; /* of the last answer */

static void setup(void)
{
	fake_init(&fake, NULL, NULL);
	rpc = openocd_rpc_new(&fake.link);
	soon = (struct iotime){now_us() + 30 * US_PER_S, NULL};
	text = NULL;
	number = 0;
}

/* The answer to the next call; without its number. */
static void answers(const char *s)
{
	_cleanup_(freep) char *whole = xasprintf("%u %s\x1a", ++number, s);

	fake_says(&fake, whole);
}

static void teardown(void)
{
	openocd_rpc_free(rpc);
	fake_done(&fake);
	free(text);
}

static int call(const char *script)
{
	free(text);
	return openocd_rpc_call(rpc, script, US_PER_S, &text, &soon, &e);
}

START_TEST(a_script_goes_as_one_word_inside_of_catch)
{
	answers("0 {wrote 12 bytes\nfrom x}");
	ck_assert_msg(call("flash write_image {a b} 0x0; x") == 0, "%s", e.msg);
	ck_assert_str_eq(text, "wrote 12 bytes\nfrom x");
	ck_assert_mem_eq(fake.heard,
		"set provd_c [catch flash\\ write_image\\ \\{a\\ b\\}\\ 0x0\\;\\ x provd_m]; list "
		"1 "
		"$provd_c $provd_m\x1a",
		fake.heard_len);
}
END_TEST

START_TEST(a_caught_error_is_one_even_where_it_says_nothing)
{
	static const struct {
		const char *says, *message;
	} cases[] = {
		{"1 {invalid command name \"nosuch\"}", "OpenOCD: invalid command name"},
		{"1 {}", "OpenOCD: the command failed and said nothing"},
		{"-4 {}", "OpenOCD: the command failed and said nothing"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		answers(cases[i].says);
		ck_assert_int_eq(call("nosuch"), -ERR_TOOL_FAILED);
		ck_assert_ptr_nonnull(strstr(e.msg, cases[i].message));
		ck_assert_ptr_nonnull(text);
	}
	/* And the session goes on. */
	answers("0 {}");
	ck_assert_int_eq(call("x"), 0);
}
END_TEST

START_TEST(an_answer_that_is_none_ends_the_session)
{
	static const char *const bad[] = {"\x1a", "1\x1a", "1 0\x1a", "x 0 y\x1a", "1 0 {a\x1a",
		"1 0 a b\x1a", "1 {} {}\x1a", "1 0 \"a\x1a", "1 0 {a}b\x1a", "2 0 a\x1a",
		"0 0 a\x1a", "01 0 a\x1a", "0 a\x1a"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		openocd_rpc_free(rpc);
		rpc = openocd_rpc_new(&fake.link);
		fake_says(&fake, bad[i]);
		ck_assert_msg(call("x") == -ERR_PROTOCOL, "%s", bad[i]);
		fake_says(&fake, "2 0 {}\x1a");
		ck_assert_int_eq(call("x"), -ERR_PROTOCOL);
		ck_assert_ptr_nonnull(strstr(e.msg, "earlier call"));
		fake.at = fake.len;
	}
}
END_TEST

START_TEST(a_late_answer_is_never_taken_for_the_next_ones)
{
	ck_assert_int_eq(call("sleep"), -ERR_TIMEOUT);
	answers("0 {of the first}");
	ck_assert_int_eq(call("x"), -ERR_PROTOCOL);
}
END_TEST

START_TEST(an_answer_that_comes_twice_is_not_the_next_ones)
{
	answers("0 {all verified}");
	fake_says(&fake, "1 0 {all verified}\x1a");
	ck_assert_int_eq(call("x"), 0);
	ck_assert_int_eq(call("y"), -ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.msg, "the answer to call 1 came for call 2"));
	ck_assert_int_eq(call("y"), -ERR_PROTOCOL);
}
END_TEST

START_TEST(what_comes_in_pieces_together_or_unasked_is_told_apart)
{
	fake.read_max = 1;
	fake_says(&fake, "type target_event event halted\r\n\x1a"
			 "1 0 one\x1a"
			 "2 0 two\x1a");
	ck_assert_int_eq(call("x"), 0);
	ck_assert_str_eq(text, "one");
	ck_assert_int_eq(call("x"), 0);
	ck_assert_str_eq(text, "two");
}
END_TEST

START_TEST(an_answer_without_end_is_cut)
{
	char *flood = xcalloc(1, 2u << 20);

	memset(flood, 'x', (2u << 20) - 1);
	fake_says(&fake, flood);
	ck_assert_int_eq(call("x"), -ERR_PROTOCOL);
	free(flood);
}
END_TEST

/* "line too long" has no end, and an answer without one can only be waited for. */
START_TEST(a_refusal_without_an_end_is_no_answer)
{
	static const char refusal[] = "line too long\n";

	fake_say(&fake, refusal, sizeof refusal);
	ck_assert_int_eq(call("x"), -ERR_TIMEOUT);
	ck_assert_int_eq(call("x"), -ERR_PROTOCOL);
}
END_TEST

START_TEST(a_script_with_a_control_character_is_not_sent)
{
	ck_assert_int_eq(call("echo a\x1a"
			      "shutdown"),
		-ERR_INVALID);
	ck_assert_int_eq(call("echo a\nshutdown"), -ERR_INVALID);
	ck_assert_uint_eq(fake.heard_len, 0);
}
END_TEST

START_TEST(lists_are_read_as_tcl_writes_them)
{
	static const char list[] = " a {b {c d} \\} e} \"f \\\"g\\n\" h\\ i\\{ {} \t{}\n";
	static const char *const want[] = {"a", "b {c d} \\} e", "f \"g\n", "h i{", "", ""};
	struct openocd_list l = {0};

	ck_assert_msg(openocd_list_parse(list, sizeof list - 1, &l, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(l.n, ARRAY_LEN(want));
	for (size_t i = 0; i < l.n; i++)
		ck_assert_str_eq(l.word[i], want[i]);
	openocd_list_free(&l);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("openocd_rpc");
	TCase *c = tcase_create("openocd_rpc");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_script_goes_as_one_word_inside_of_catch);
	tcase_add_test(c, a_caught_error_is_one_even_where_it_says_nothing);
	tcase_add_test(c, an_answer_that_is_none_ends_the_session);
	tcase_add_test(c, a_late_answer_is_never_taken_for_the_next_ones);
	tcase_add_test(c, an_answer_that_comes_twice_is_not_the_next_ones);
	tcase_add_test(c, what_comes_in_pieces_together_or_unasked_is_told_apart);
	tcase_add_test(c, an_answer_without_end_is_cut);
	tcase_add_test(c, a_refusal_without_an_end_is_no_answer);
	tcase_add_test(c, a_script_with_a_control_character_is_not_sent);
	tcase_add_test(c, lists_are_read_as_tcl_writes_them);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
