/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace_context.h"

#include <string.h>

#include "base/timefmt.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define ID     "12345678901234567890123456789012"
#define PARENT "1234567890123456"

/* The cases of the standard's own suite (w3c/trace-context, test/test.py), and more. */
static const struct {
	const char *text;
	int flags; /* -1: refused */
} parents[] = {
	{"00-" ID "-" PARENT "-01", 1},
	{"00-" ID "-" PARENT "-00", 0},
	{"00-" ID "-" PARENT "-ff", 1}, /* unknown flags are not passed on */
	{"00-" ID "-" PARENT "-02", 0},
	{"cc-" ID "-" PARENT "-01", 1}, /* a later version */
	{"cc-" ID "-" PARENT "-01-what-the-future-will-be-like", 1},
	{"cc-" ID "-" PARENT "-01.what-the-future-will-not-be-like", -1},
	{"01-" ID "-" PARENT "-01-", 1},
	{"00-" ID "-" PARENT "-01-what-the-future-will-be-like", -1},
	{"00-" ID "-" PARENT "-01.", -1},
	{"ff-" ID "-" PARENT "-01", -1},
	{"FF-" ID "-" PARENT "-01", -1},
	{"00-00000000000000000000000000000000-" PARENT "-01", -1},
	{"00-" ID "-0000000000000000-01", -1},
	{"00-.2345678901234567890123456789012-" PARENT "-01", -1},
	{"00-1234567890123456789012345678901.-" PARENT "-01", -1},
	{"00-123456789012345678901234567890123-" PARENT "-01", -1},
	{"00-1234567890123456789012345678901-" PARENT "-01", -1},
	{"00-" ID "-.234567890123456-01", -1},
	{"00-" ID "-123456789012345.-01", -1},
	{"00-" ID "-12345678901234567-01", -1},
	{"00-" ID "-123456789012345-01", -1},
	{"00-" ID "-" PARENT "-.0", -1},
	{"00-" ID "-" PARENT "-0.", -1},
	{"00-" ID "-" PARENT "-001", -1},
	{"00-" ID "-" PARENT "-1", -1},
	{"00-" ID "-" PARENT "-", -1},
	{"00-" ID "-" PARENT, -1},
	{".0-" ID "-" PARENT "-01", -1},
	{"0.-" ID "-" PARENT "-01", -1},
	{"000-" ID "-" PARENT "-01", -1},
	{"0-" ID "-" PARENT "-01", -1},
	{"00-ABCDEF78901234567890123456789012-" PARENT "-01", -1},
	{"00-" ID "-" PARENT "-0A", -1},
	{"00_" ID "-" PARENT "-01", -1},
	{"00-" ID "_" PARENT "-01", -1},
	{"00-" ID "-" PARENT "_01", -1},
	{" 00-" ID "-" PARENT "-01", -1},
	{"", -1},
	{"00", -1},
};

START_TEST(a_traceparent_is_read_by_the_standard_or_counts_as_none)
{
	struct trace_context t;
	bool good = trace_parse(parents[_i].text, NULL, &t);

	ck_assert_msg(good == (parents[_i].flags >= 0), "%s", parents[_i].text);
	ck_assert_str_eq(t.id, good ? ID : "");
	ck_assert_int_eq(t.flags, good ? parents[_i].flags : 0);
}
END_TEST

#define Z10	  "zzzzzzzzzz"
#define Z50	  Z10 Z10 Z10 Z10 Z10
#define Z240	  Z50 Z50 Z50 Z50 Z10 Z10 Z10 Z10
#define MEMBERS_8 "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8"

static const struct {
	const char *text;
	bool good;
} states[] = {
	{"foo=1", true},
	{"foo=1,bar=2", true},
	{"foo=1 \t , \t bar=2, \t baz=3", true},
	{"foo=1,,bar=2", true},
	{"foo=1,", true},
	{"foo@bar=1,1a-2f@foo=4", true},
	{"a*/_-0=! \"#$%&'()*+-./:;<>?@[]^_`{|}~", true},
	{Z240 "z@" Z10 "zzzz=1", true},
	{Z240 Z10 "zzzzzz=1", true},
	{MEMBERS_8 "," MEMBERS_8 "," MEMBERS_8 "," MEMBERS_8, true},
	{MEMBERS_8 "," MEMBERS_8 "," MEMBERS_8 "," MEMBERS_8 ",i=9", false},
	{Z240 "zz@" Z10 "zzzz=1", false},
	{Z240 "z@" Z10 "zzzzz=1", false},
	{Z240 Z10 "zzzzzzz=1", false},
	{"foo", false},
	{"foo=", false},
	{"=1", false},
	{"foo=1=2", false},
	{"Foo=1", false},
	{"foo =1", false},
	{"1foo=1", false},
	{"foo@=1", false},
	{"@foo=1", false},
	{"foo@@bar=1", false},
	{"foo@1bar=1", false},
	{"foo=\x80", false},
	{"foo=b\tr", false},
};

START_TEST(a_tracestate_that_is_not_one_is_left_out_alone)
{
	struct trace_context t;

	ck_assert(trace_parse(parents[0].text, states[_i].text, &t));
	ck_assert_str_eq(t.state, states[_i].good ? states[_i].text : "");
	/* Without a traceparent it says nothing. */
	ck_assert(!trace_parse(NULL, states[_i].text, &t));
	ck_assert_str_eq(t.state, "");
}
END_TEST

START_TEST(a_tracestate_of_512_characters_is_kept_whole_and_a_longer_one_is_not)
{
	struct trace_context t;
	char text[600];

	memset(text, 'x', sizeof text);
	memcpy(text, "a=", 2);
	memcpy(text + 256, ",b=", 3);
	text[512] = 0;
	ck_assert(trace_parse(parents[0].text, text, &t));
	ck_assert_str_eq(t.state, text);
	text[512] = ',';
	text[513] = 0;
	ck_assert(trace_parse(parents[0].text, text, &t));
	ck_assert_str_eq(t.state, "");
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
	struct trace_context t, again;
	char text[TRACE_TEXT_BYTES], span[TRACE_SPAN_BYTES], other[TRACE_SPAN_BYTES];

	ck_assert(trace_parse("cc-" ID "-" PARENT "-01-more", NULL, &t));
	trace_text(&t, trace_new_span(span), text);
	ck_assert(trace_parse(text, NULL, &again));
	ck_assert_str_eq(again.id, ID);
	ck_assert_str_eq(again.parent, span);
	ck_assert_int_eq(strncmp(text, "00-", 3), 0);
	ck_assert_str_ne(trace_new_span(other), span);
}
END_TEST

START_TEST(the_span_of_a_run_comes_of_its_id)
{
	char id[UUID_SIZE], span[TRACE_SPAN_BYTES];

	ck_assert_str_eq(
		trace_run_span("01900000-0000-7000-8123-456789abcdef", span), "8123456789abcdef");
	uuid7(id);
	ck_assert_uint_eq(strspn(trace_run_span(id, span), "0123456789abcdef"), 16);
	ck_assert(strchr("89ab", span[0]) != NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("trace_context");
	TCase *t = tcase_create("trace_context");

	tcase_add_loop_test(t, a_traceparent_is_read_by_the_standard_or_counts_as_none, 0,
		(int)ARRAY_LEN(parents));
	tcase_add_loop_test(
		t, a_tracestate_that_is_not_one_is_left_out_alone, 0, (int)ARRAY_LEN(states));
	tcase_add_test(t, a_tracestate_of_512_characters_is_kept_whole_and_a_longer_one_is_not);
	tcase_add_test(t, what_is_written_is_read_again);
	tcase_add_test(t, the_span_of_a_run_comes_of_its_id);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
