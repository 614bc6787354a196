/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read out of the answer of a service: pure functions, without a service.
 */
#include <string.h>

#include "base/util.h"
#include "daemon/actions/cloud_devices.h"
#include "daemon/actions/http_step.h"
#include "tests/unit/unit.h"

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);

	ck_assert_msg(j != NULL, "%s", text);
	return j;
}

/* The examples of RFC 6901, 5, and what is none. */
static const struct {
	const char *pointer, *value; /* NULL: nothing there */
} pointers[] = {
	{"/foo/0", "bar"},
	{"/", "0"},
	{"/a~1b", "1"},
	{"/c%d", "2"},
	{"/e^f", "3"},
	{"/g|h", "4"},
	{"/i\\j", "5"},
	{"/k\"l", "6"},
	{"/ ", "7"},
	{"/m~0n", "8"},
	{"/yes", "true"},
	{"/foo", NULL},
	{"", NULL},
	{"/foo/2", NULL},
	{"/foo/00", NULL},
	{"/foo/-1", NULL},
	{"/foo/-", NULL},
	{"/foo/4294967296", NULL},
	{"/foo/0/x", NULL},
	{"/m~2n", NULL},
	{"/m~", NULL},
	{"foo", NULL},
	{"/none", NULL},
	{"/foo/", NULL},
	{"/null", NULL},
};

START_TEST(a_pointer_leads_where_the_standard_says)
{
	json_t *j = parse(
		"{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, "
		"\"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8, \"yes\": true, "
		"\"null\": null}");
	_cleanup_(freep) char *got = http_json_text(http_json_at(j, pointers[_i].pointer));

	if (pointers[_i].value)
		ck_assert_str_eq(got ? got : "(nothing)", pointers[_i].value);
	else
		ck_assert_msg(!got, "%s: %s", pointers[_i].pointer, got);
	json_decref(j);
}
END_TEST

static const struct {
	const char *type, *body, *said; /* said NULL: it is JSON */
} bodies[] = {
	{"application/json", "{\"a\": 1}", NULL},
	{"text/plain", "[1]", NULL},
	{"text/html", "<html>", "HTML"},
	{"", " \n<!DOCTYPE html>", "HTML"},
	{"text/html; charset=utf-8", "Please log in", "HTML"},
	{"application/json", "{\"a\": 1", "something else than JSON"},
	{"application/json", "{\"a\": 1} x", "something else than JSON"},
	{"application/json", "{\"a\": 1, \"a\": 2}", "something else than JSON"},
	{"application/json", "\"\xff\"", "something else than JSON"},
	{"application/json", "NaN", "something else than JSON"},
};

START_TEST(a_body_is_json_or_named_for_what_it_is)
{
	const char *body = bodies[_i].body;
	json_t *j = NULL;
	struct err e = {0};
	int r = http_json(bodies[_i].type, body, strlen(body), &j, &e);

	if (bodies[_i].said) {
		ck_assert_int_eq(r, -ERR_SERVICE_ANSWER);
		ck_assert_msg(strstr(e.msg, bodies[_i].said) != NULL, "%s", e.msg);
		ck_assert_ptr_null(j);
	} else {
		ck_assert_int_eq(r, 0);
		ck_assert_ptr_nonnull(j);
	}
	json_decref(j);
}
END_TEST

START_TEST(no_body_is_no_json_and_no_mistake)
{
	json_t *j = NULL;

	ck_assert_int_eq(http_json("", "", 0, &j, NULL), 0);
	ck_assert_ptr_null(j);
}
END_TEST

#define SN1 "{\"device_id\": \"d1\", \"serial_number\": \"SN1\", \"device_type\": \"T\"}"

static const struct {
	const char *answer;
	enum err_code code;
	const char *said; /* the id, or a part of the error */
} lists[] = {
	{"[]", ERR_NONE, ""},
	{"{\"devices\": []}", ERR_NONE, ""},
	{"[" SN1 "]", ERR_NONE, "d1"},
	{"{\"devices\": [" SN1 "]}", ERR_NONE, "d1"},
	{"{\"items\": [" SN1 "], \"next\": null}", ERR_NONE, "d1"},
	{SN1, ERR_NONE, "d1"},
	{"[{\"device_id\": 17, \"serial_number\": \"SN1\", \"device_type\": \"T\"}]", ERR_NONE,
		"17"},
	{"[" SN1 ", " SN1 "]", ERR_SERVICE_CONFLICT, "twice"},
	{"[{\"device_id\": \"d1\", \"serial_number\": \"SN1\", \"device_type\": \"U\"}]",
		ERR_SERVICE_CONFLICT, "'U'"},
	{"[{\"device_id\": \"d1\", \"serial_number\": \"SN1\"}]", ERR_SERVICE_CONFLICT,
		"as 'nothing'"},
	{"[{\"device_id\": \"d1\", \"serial_number\": \"SN2\", \"device_type\": \"T\"}]",
		ERR_SERVICE_ANSWER, "'SN2'"},
	{"[" SN1 ", {\"device_id\": \"d2\", \"serial_number\": \"SN2\", \"device_type\": \"T\"}]",
		ERR_SERVICE_ANSWER, "'SN2'"},
	{"[{\"device_id\": \"d1\", \"serial_number\": \"SN1\", \"device_type\": \"U\\n\\u001b[2J\"}]",
		ERR_SERVICE_CONFLICT, "'U\\n\\x1b[2J'"},
	{"[1]", ERR_SERVICE_ANSWER, "of 'nothing'"},
	{"[{\"serial_number\": \"SN1\", \"device_type\": \"T\"}]", ERR_SERVICE_ANSWER, "device_id"},
	{"[{\"device_id\": \"\", \"serial_number\": \"SN1\", \"device_type\": \"T\"}]",
		ERR_SERVICE_ANSWER, "device_id"},
	{"[{\"device_id\": \"..\", \"serial_number\": \"SN1\", \"device_type\": \"T\"}]",
		ERR_SERVICE_ANSWER, "device_id"},
	{"[{\"device_id\": \"a b\", \"serial_number\": \"SN1\", \"device_type\": \"T\"}]",
		ERR_SERVICE_ANSWER, "device_id"},
	{"[{\"device_id\": 1.5, \"serial_number\": \"SN1\", \"device_type\": \"T\"}]",
		ERR_SERVICE_ANSWER, "device_id"},
	{"{}", ERR_SERVICE_ANSWER, "not a list of devices"},
	{"{\"devices\": {}}", ERR_SERVICE_ANSWER, "not a list of devices"},
	{"null", ERR_SERVICE_ANSWER, "not a list of devices"},
	{"\"SN1\"", ERR_SERVICE_ANSWER, "not a list of devices"},
};

START_TEST(a_list_names_one_device_or_none_or_is_an_error)
{
	json_t *j = parse(lists[_i].answer);
	struct cloud_device found = {"untouched"};
	struct err e = {0};
	int r = cloud_find(j, "SN1", "T", &found, &e);

	ck_assert_msg(r == -(int)lists[_i].code, "%s: %d %s", lists[_i].answer, r, e.msg);
	if (r == 0)
		ck_assert_str_eq(found.id, lists[_i].said);
	else
		ck_assert_msg(strstr(e.msg, lists[_i].said) && !strcmp(found.id, "untouched"), "%s",
			e.msg);
	json_decref(j);
}
END_TEST

START_TEST(an_answer_without_a_body_is_no_list)
{
	struct cloud_device found;

	ck_assert_int_eq(cloud_find(NULL, "SN1", "T", &found, NULL), -ERR_SERVICE_ANSWER);
}
END_TEST

START_TEST(a_pointer_makes_its_objects_and_takes_no_others_place)
{
	json_t *o = json_object();
	_cleanup_(freep) char *text = NULL;

	ck_assert_int_eq(http_json_put(o, "a", json_integer(1)), 0);
	ck_assert_int_eq(http_json_put(o, "/b/c", json_integer(2)), 0);
	ck_assert_int_eq(http_json_put(o, "/b/d~1e", json_integer(3)), 0);
	ck_assert_int_eq(http_json_put(o, "/b/f/", json_integer(4)), 0);
	ck_assert_int_lt(http_json_put(o, "a", json_integer(9)), 0);
	ck_assert_int_lt(http_json_put(o, "/b/c", json_integer(9)), 0);
	ck_assert_int_lt(http_json_put(o, "/b/c/x", json_integer(9)), 0);
	ck_assert_int_lt(http_json_put(o, "/b", json_integer(9)), 0);
	ck_assert_int_lt(http_json_put(o, "/b/~2", json_integer(9)), 0);
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	ck_assert_str_eq(text, "{\"a\":1,\"b\":{\"c\":2,\"d/e\":3,\"f\":{\"\":4}}}");
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("cloud_answers");
	TCase *t = tcase_create("cloud_answers");

	tcase_add_loop_test(
		t, a_pointer_leads_where_the_standard_says, 0, (int)ARRAY_LEN(pointers));
	tcase_add_loop_test(t, a_body_is_json_or_named_for_what_it_is, 0, (int)ARRAY_LEN(bodies));
	tcase_add_test(t, no_body_is_no_json_and_no_mistake);
	tcase_add_loop_test(
		t, a_list_names_one_device_or_none_or_is_an_error, 0, (int)ARRAY_LEN(lists));
	tcase_add_test(t, an_answer_without_a_body_is_no_list);
	tcase_add_test(t, a_pointer_makes_its_objects_and_takes_no_others_place);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
