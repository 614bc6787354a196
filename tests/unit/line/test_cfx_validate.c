/* SPDX-License-Identifier: Apache-2.0
 *
 * ValidateUnitsRequest of CFX: what is asked, and what is taken for an answer. Nothing but one to this question, of this unit, allows it.
 */
#include "daemon/line/cfx_validate.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

#define ENVELOPE(id, body)                                                                         \
	"{\"MessageName\":\"" CFX_VALIDATE_RESPONSE "\",\"RequestID\":\"" id "\",\"MessageBody\":" \
	"" body "}"
#define PRIMARY(unit, result)                                                       \
	"\"PrimaryResult\":{\"UniqueIdentifier\":\"" unit "\",\"Result\":\"" result \
	"\",\"Message\":\"primary\"}"
#define EACH(name, unit, result)                                                \
	"\"" name "\":[{\"UniqueIdentifier\":\"" unit "\",\"Result\":\"" result \
	"\",\"Message\":\"each\"}]"

static const struct {
	const char *text, *correlation;
	enum cfx_validated what;
	const char *verdict; /* of an answer */
	const char *reason;  /* its beginning */
} cases[] = {
	{ENVELOPE("q", "{" PRIMARY("S1", "Passed") "}"), "q", CFX_ANSWER, "allow", "primary"},
	{ENVELOPE("q", "{" PRIMARY("S1", "Passed") "}"), "", CFX_ANSWER, "allow", "primary"},
	{ENVELOPE("q", "{\"Result\":{\"Result\":\"Success\"}," PRIMARY("", "Passed") "," EACH(
			       "ValidationResults", "S1", "Passed") "}"),
		"q", CFX_ANSWER, "allow", "primary"},
	{ENVELOPE("q", "{" PRIMARY("S1", "Failed") "}"), "q", CFX_ANSWER, "reject", "primary"},
	{ENVELOPE("q",
		 "{" PRIMARY("S1", "Passed") "," EACH("ValidationResults", "S1", "Failed") "}"),
		"q", CFX_ANSWER, "reject", "each"},
	{ENVELOPE("q", "{" PRIMARY("S1", "Passed") "," EACH("Results", "S1", "Failed") "}"), "q",
		CFX_ANSWER, "reject", "each"},
	/* Of another question. */
	{ENVELOPE("p", "{" PRIMARY("S1", "Passed") "}"), "p", CFX_OTHERS, NULL, NULL},
	{ENVELOPE("p", "{" PRIMARY("S1", "Passed") "}"), "q", CFX_OTHERS, NULL, NULL},
	{"{\"MessageBody\":{" PRIMARY("S1", "Passed") "}}", "q", CFX_OTHERS, NULL, NULL},
	{"not JSON", "", CFX_OTHERS, NULL, NULL},
	{"", "", CFX_OTHERS, NULL, NULL},
	{ENVELOPE("q", "{" PRIMARY("S1", "Passed") "}"), "p", CFX_MALFORMED, NULL,
		"its correlation-id is that of another"},
	/* Of this one, and it says nothing. */
	{"not JSON", "q", CFX_MALFORMED, NULL, "its answer is no JSON object"},
	{"", "q", CFX_MALFORMED, NULL, "its answer is no JSON object"},
	{"[]", "q", CFX_MALFORMED, NULL, "its answer is no JSON object"},
	{"{\"RequestID\":\"q\",\"RequestID\":\"q\"}", "q", CFX_MALFORMED, NULL,
		"its answer is no JSON object"},
	{"{\"RequestID\":\"q\"}", "q", CFX_MALFORMED, NULL, "it answers with ''"},
	{"{\"RequestID\":\"q\",\"MessageName\":\"CFX.NotSupportedResponse\"}", "q", CFX_MALFORMED,
		NULL, "it answers with 'CFX.NotSupportedResponse'"},
	{ENVELOPE("q", "null"), "q", CFX_MALFORMED, NULL, "its PrimaryResult has no Result"},
	{ENVELOPE("q", "{" EACH("ValidationResults", "S1", "Passed") "}"), "q", CFX_MALFORMED, NULL,
		"its PrimaryResult has no Result"},
	{ENVELOPE("q", "{" PRIMARY("S1", "passed") "}"), "q", CFX_MALFORMED, NULL,
		"its PrimaryResult has no Result"},
	{ENVELOPE("q", "{" PRIMARY("S2", "Passed") "}"), "q", CFX_MALFORMED, NULL,
		"its PrimaryResult is of the unit 'S2', not of 'S1'"},
	{ENVELOPE("q",
		 "{" PRIMARY("S1", "Passed") "," EACH("ValidationResults", "S2", "Passed") "}"),
		"q", CFX_MALFORMED, NULL, "its ValidationResults are of the unit 'S2'"},
	{ENVELOPE("q", "{" PRIMARY("S1", "Passed") "," EACH("ValidationResults", "S1", "?") "}"),
		"q", CFX_MALFORMED, NULL, "its ValidationResults have a Result"},
	{ENVELOPE("q", "{\"Result\":{\"Result\":\"Failed\",\"Message\":\"no database\"}," PRIMARY(
			       "S1", "Passed") "}"),
		"q", CFX_MALFORMED, NULL, "it could not look: Result is 'Failed': no database"},
};

START_TEST(only_an_answer_to_this_question_and_of_this_unit_is_one)
{
	struct route_answer a = {0};
	enum cfx_validated got = cfx_validate_read(
		cases[_i].text, strlen(cases[_i].text), cases[_i].correlation, "q", "S1", &a);

	ck_assert_int_eq(got, cases[_i].what);
	ck_assert_int_eq(a.answered, got == CFX_ANSWER);
	if (got == CFX_ANSWER)
		ck_assert_str_eq(route_verdict_str(a.verdict), cases[_i].verdict);
	if (got == CFX_MALFORMED)
		ck_assert_str_eq(route_code_str(a.code), "malformed");
	if (cases[_i].reason)
		ck_assert_msg(!strncmp(a.reason, cases[_i].reason, strlen(cases[_i].reason)), "%s",
			a.reason);
}
END_TEST

START_TEST(the_question_is_what_the_standard_says)
{
	json_t *o = cfx_validate_request("q", "Acme.Provd.A1", "MES.Router.1", "S1");
	const json_t *body = json_object_get(o, "MessageBody");

	ck_assert_str_eq(
		json_string_value(json_object_get(o, "MessageName")), CFX_VALIDATE_REQUEST);
	ck_assert_str_eq(json_string_value(json_object_get(o, "RequestID")), "q");
	ck_assert_str_eq(json_string_value(json_object_get(o, "Source")), "Acme.Provd.A1");
	ck_assert_str_eq(json_string_value(json_object_get(o, "Target")), "MES.Router.1");
	ck_assert_str_eq(json_string_value(json_object_get(body, "PrimaryIdentifier")), "S1");
	ck_assert_uint_eq(json_array_size(json_object_get(body, "Units")), 1);
	json_decref(o);
	/* Of an order without a list nobody knows the unit yet. */
	o = cfx_validate_request("q", "Acme.Provd.A1", "MES.Router.1", "");
	body = json_object_get(o, "MessageBody");
	ck_assert(json_is_null(json_object_get(body, "PrimaryIdentifier")));
	ck_assert_uint_eq(json_array_size(json_object_get(body, "Units")), 0);
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cfx_validate");
	TCase *t = tcase_create("cfx_validate");

	tcase_add_loop_test(
		t, only_an_answer_to_this_question_and_of_this_unit_is_one, 0, ARRAY_LEN(cases));
	tcase_add_test(t, the_question_is_what_the_standard_says);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
