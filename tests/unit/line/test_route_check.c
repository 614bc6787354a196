/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken for an answer of the MES: nothing but one to this question is one.
 */
#include "daemon/line/route_check.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	long status;
	const char *body;
	const char *verdict; /* NULL: it is no answer */
	const char *reason;  /* its beginning */
} cases[] = {
	{200, "{\"id\":\"q\",\"result\":\"allow\"}", "allow", ""},
	{200, "{\"id\":\"q\",\"result\":\"hold\",\"reason\":\"no label\"}", "hold", "no label"},
	{200, "{\"id\":\"q\",\"result\":\"reject\",\"reason\":\"made before\",\"more\":1}",
		"reject", "made before"},
	{200, "{\"id\":\"p\",\"result\":\"allow\"}", NULL, "its answer does not carry the 'id'"},
	{200, "{\"result\":\"allow\"}", NULL, "its answer does not carry the 'id'"},
	{200, "{\"id\":\"q\",\"result\":\"Allow\"}", NULL, "its answer has no 'result'"},
	{200, "{\"id\":\"q\",\"result\":true}", NULL, "its answer has no 'result'"},
	{200, "{\"id\":\"q\",\"result\":\"reject\",\"result\":\"allow\"}", NULL,
		"its answer does not carry the 'id'"},
	{200, "<html>allow</html>", NULL, "its answer does not carry the 'id'"},
	{200, "", NULL, "its answer does not carry the 'id'"},
	{200, NULL, NULL, "its answer does not carry the 'id'"},
	{202, "{\"id\":\"q\",\"result\":\"allow\"}", NULL, "it answers HTTP 202, 200 expected"},
	{500, "{\"id\":\"q\",\"result\":\"allow\"}", NULL, "it answers HTTP 500, 200 expected"},
};

START_TEST(only_an_answer_to_this_question_is_one)
{
	struct route_answer a;

	route_read(cases[_i].body, cases[_i].status, "q", &a);
	ck_assert_int_eq(a.answered, cases[_i].verdict != NULL);
	if (cases[_i].verdict)
		ck_assert_str_eq(route_verdict_str(a.verdict), cases[_i].verdict);
	ck_assert_msg(
		!strncmp(a.reason, cases[_i].reason, strlen(cases[_i].reason)), "%s", a.reason);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("route_check");
	TCase *t = tcase_create("route_check");

	tcase_add_loop_test(t, only_an_answer_to_this_question_is_one, 0, ARRAY_LEN(cases));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
