/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a form: every type with what it takes and what it refuses, defaults, unknown keys with
 * the nearest name, and the manual and schema that are printed of them.
 */
#include "base/form.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

struct thing {
	char *text, *path;
	char **paths;
	bool on;
	uint16_t small;
	int64_t large;
	uint64_t size, us;
	uint32_t um;
	int choice;
	size_t own;
};

static void read_own(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	if (!json_is_array(v))
		mistakes_add(m, pointer, "no list");
	((struct thing *)to)->own = json_array_size(v);
}

static const char *const colors[] = {"red", "green", NULL};
static const struct form_row rows[] = {
	{"text", FORM_TEXT, .required = true, .doc = "A text.", FORM_AT(struct thing, text)},
	{"path", FORM_PATH, .def = "/a", .doc = "A path.", FORM_AT(struct thing, path)},
	{"paths", FORM_PATHS, .doc = "Paths.", FORM_AT(struct thing, paths)},
	{"on", FORM_BOOL, .def = "true", .doc = "It's on.", FORM_AT(struct thing, on)},
	{"small", FORM_INT, .low = 0, .high = 40000, .def = "7", .doc = "Small.",
		FORM_AT(struct thing, small)},
	{"large", FORM_INT, .low = -5, .high = 1ll << 40, .doc = "Large.",
		FORM_AT(struct thing, large)},
	{"size", FORM_SIZE, .def = "2M", .doc = "A size.", FORM_AT(struct thing, size)},
	{"us", FORM_DURATION, .def = "30d", .doc = "A time.", FORM_AT(struct thing, us)},
	{"um", FORM_LENGTH, .low = 100, .high = 50000, .def = "0.25mm", .doc = "A length.",
		FORM_AT(struct thing, um)},
	{"choice", FORM_CHOICE, .choices = colors, .def = "green", .doc = "A color.",
		FORM_AT(struct thing, choice)},
	{"own", FORM_OWN, .read = read_own, .schema = "{\"type\":\"array\"}", .doc = "A list."},
	{0},
};

/* The mistakes of a text as "pointer: text" lines; "" none. */
static char *read_text(const char *json, struct thing *t)
{
	json_t *o = json_loads(json, 0, NULL);
	struct mistakes m = {0};
	struct strbuf all = {0};

	ck_assert_ptr_nonnull(o);
	form_read(rows, o, "/at", "key", t, &m);
	for (size_t i = 0; i < m.count; i++)
		sb_addf(&all, "%s: %s\n", m.item[i].pointer, m.item[i].text);
	mistakes_done(&m);
	json_decref(o);
	return sb_take(&all);
}

START_TEST(each_type_is_taken_over_its_default)
{
	struct thing t = {.large = 9};
	_cleanup_(freep) char *m = read_text("{\"text\":\"x\"}", &t);
	_cleanup_(freep) char *again = NULL;

	ck_assert_str_eq(m, "");
	ck_assert_str_eq(t.text, "x");
	ck_assert_str_eq(t.path, "/a");
	ck_assert_ptr_null(t.paths);
	ck_assert(t.on);
	ck_assert_uint_eq(t.small, 7);
	ck_assert_int_eq(t.large, 9); /* no default: what was there stays */
	ck_assert_uint_eq(t.size, 2u << 20);
	ck_assert_uint_eq(t.us, 30ull * 24 * 3600 * 1000000);
	ck_assert_uint_eq(t.um, 250);
	ck_assert_int_eq(t.choice, 1);
	again = read_text(
		"{\"text\":\"y\",\"path\":\"/b\",\"paths\":[\"/c\",\"/d\"],\"on\":false,"
		"\"small\":40000,\"large\":-5,\"size\":512,\"us\":\"5ms\",\"um\":\"12.5mm\",\"choice\":\"red\","
		"\"own\":[1,2]}",
		&t);
	ck_assert_str_eq(again, "");
	ck_assert_str_eq(t.text, "y");
	ck_assert_str_eq(t.path, "/b");
	ck_assert_str_eq(t.paths[1], "/d");
	ck_assert_ptr_null(t.paths[2]);
	ck_assert(!t.on);
	ck_assert_uint_eq(t.small, 40000);
	ck_assert_int_eq(t.large, -5);
	ck_assert_uint_eq(t.size, 512);
	ck_assert_uint_eq(t.us, 5000);
	ck_assert_uint_eq(t.um, 12500);
	ck_assert_int_eq(t.choice, 0);
	ck_assert_uint_eq(t.own, 2);
	form_done(rows, &t);
	ck_assert_ptr_null(t.text);
	ck_assert_ptr_null(t.paths);
}
END_TEST

START_TEST(every_mistake_is_found_at_its_place)
{
	static const struct {
		const char *json, *mistakes;
	} cases[] = {
		{"{}", "/at: 'text' is missing\n"},
		{"{\"text\":5}", "/at/text: 'text' must be a string (quote it)\n"},
		{"{\"text\":\"\",\"path\":\"a\"}", "/at/path: 'path' must be an absolute path\n"},
		{"{\"text\":\"\",\"paths\":\"/a\"}",
			"/at/paths: 'paths' must be a list of paths\n"},
		{"{\"text\":\"\",\"paths\":[\"/a\",\"b\",3]}",
			"/at/paths/1: an item of 'paths' must be an absolute path\n"
			"/at/paths/2: an item of 'paths' must be an absolute path\n"},
		{"{\"text\":\"\",\"on\":\"yes\"}", "/at/on: 'on' must be true or false\n"},
		{"{\"text\":\"\",\"small\":40001}",
			"/at/small: 'small' must be an integer from 0 to 40000\n"},
		{"{\"text\":\"\",\"small\":1.5}",
			"/at/small: 'small' must be an integer from 0 to 40000\n"},
		{"{\"text\":\"\",\"size\":-1}", "/at/size: 'size' must be a size such as 64M\n"},
		{"{\"text\":\"\",\"us\":\"5\"}",
			"/at/us: 'us' must be a duration such as 500ms or 5s\n"},
		{"{\"text\":\"\",\"um\":\"0.0001mm\"}",
			"/at/um: 'um' must be a length such as 50mm or 0.5mm\n"},
		{"{\"text\":\"\",\"um\":\"5\"}",
			"/at/um: 'um' must be a length such as 50mm or 0.5mm\n"},
		{"{\"text\":\"\",\"um\":\".5mm\"}",
			"/at/um: 'um' must be a length such as 50mm or 0.5mm\n"},
		{"{\"text\":\"\",\"um\":\"50.001mm\"}",
			"/at/um: 'um' is 50.001mm: from 0.1mm to 50mm expected\n"},
		{"{\"text\":\"\",\"us\":5}", "/at/us: 'us' must be a string (quote it)\n"},
		{"{\"text\":\"\",\"choice\":\"blue\"}",
			"/at/choice: 'choice' is 'blue': one of red, green expected\n"},
		{"{\"text\":\"\",\"own\":3}", "/at/own: no list\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct thing t = {0};
		_cleanup_(freep) char *m = read_text(cases[i].json, &t);

		ck_assert_str_eq(m, cases[i].mistakes);
		form_done(rows, &t);
	}
}
END_TEST

/* Cut within a character, a text was none for JSON: the mistake was left out. */
START_TEST(a_mistake_about_a_long_text_is_in_the_answer)
{
	for (int k = 0; k < 4; k++) {
		_cleanup_(freep) char *name = xasprintf("%.*s%s", k, "aaa",
			"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4");
		struct strbuf text = {0};
		struct mistakes m = {0};
		struct thing t = {0};
		json_t *o, *said;

		for (int i = 0; i < 60; i++)
			sb_add(&text, name);
		o = json_pack("{s:s, s:s}", "text", "x", "choice", text.s);
		form_read(rows, o, "", "key", &t, &m);
		mistakes_add(&m, "", "%s", text.s);
		said = mistakes_json(&m, NULL);
		ck_assert_uint_eq(json_array_size(said), 2);
		for (size_t i = 0; i < 2; i++)
			ck_assert_ptr_nonnull(json_string_value(
				json_object_get(json_array_get(said, i), "detail")));
		json_decref(said);
		json_decref(o);
		mistakes_done(&m);
		form_done(rows, &t);
		sb_done(&text);
	}
}
END_TEST

START_TEST(an_unknown_key_is_told_with_the_nearest_name)
{
	struct thing t = {0};
	_cleanup_(freep) char *m = read_text("{\"text\":\"\",\"smal\":3}", &t);

	ck_assert_ptr_nonnull(strstr(m, "/at/smal: "));
	ck_assert_ptr_nonnull(strstr(m, "'small'"));
	form_done(rows, &t);
}
END_TEST

START_TEST(the_manual_and_the_schema_are_made_of_the_rows)
{
	char *man = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&man, &n);
	json_t *o = form_schema(rows);
	json_t *p = json_object_get(o, "properties");

	form_man(rows, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(man, ".TP\n.BR size \" (size; default 2M)\"\nA size.\n"));
	ck_assert_ptr_nonnull(strstr(man, ".BR text \" (text; needed)\"\n"));
	ck_assert_ptr_nonnull(strstr(man, ".BR choice \" (red, green; default green)\"\n"));
	ck_assert_ptr_nonnull(strstr(man, "It\\(aqs on.\n"));
	ck_assert_uint_eq(json_object_size(p), ARRAY_LEN(rows) - 1);
	ck_assert(json_is_false(json_object_get(o, "additionalProperties")));
	ck_assert_str_eq(
		json_string_value(json_array_get(json_object_get(o, "required"), 0)), "text");
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(p, "small"), "maximum")), 40000);
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(p, "small"), "default")), 7);
	json_decref(o);
	free(man);
}
END_TEST

/* --- what a body of the API may hold --- */

struct body {
	char *note;
	int64_t at_ms;
	uint64_t us;
	const json_t *list, *texts, *mapping, *any;
	int choice;
};

static const struct form_row one_rows[] = {
	{"name", FORM_TEXT, .required = true, .doc = "A name."},
	{0},
};
static const struct form_row body_rows[] = {
	{"note", FORM_TEXT, .low = 1, .high = 5, .doc = "A note.", FORM_AT(struct body, note)},
	{"at", FORM_TIME, .null = true, .doc = "A time.", FORM_AT(struct body, at_ms)},
	{"us", FORM_DURATION, .low = 1, .doc = "A duration.", FORM_AT(struct body, us)},
	{"list", FORM_LIST, .doc = "A list.", .schema = "{\"type\":\"integer\"}",
		FORM_AT(struct body, list)},
	{"texts", FORM_TEXTS, .low = 1, .high = 2, .doc = "Texts.", FORM_AT(struct body, texts)},
	{"mapping", FORM_MAPPING, .doc = "Any names.", FORM_AT(struct body, mapping)},
	{"any", FORM_ANY, .required = true, .doc = "The caller looks.", .rows = one_rows,
		.schema = "{\"type\":\"string\"}", FORM_AT(struct body, any)},
	{"choice", FORM_CHOICE, .choices = colors, .doc = "A color.", FORM_AT(struct body, choice)},
	{0},
};

static const struct {
	const char *json, *mistakes;
} bodies[] = {
	{"{}", ""},
	{"{\"note\":\"12345\",\"at\":null,\"list\":[],\"texts\":[\"a\"],\"mapping\":{}}", ""},
	{"{\"note\":\"\"}", "/note: 'note' must be a text of 1 to 5 bytes\n"},
	{"{\"note\":\"123456\"}", "/note: 'note' must be a text of 1 to 5 bytes\n"},
	{"{\"note\":null}", "/note: 'note' must be a string (quote it)\n"},
	{"{\"at\":\"tomorrow\"}", "/at: 'at' must be a time such as 2026-12-31T18:00:00Z\n"},
	{"{\"at\":5}", "/at: 'at' must be a time such as 2026-12-31T18:00:00Z\n"},
	{"{\"at\":\"1970-01-01T00:00:00Z\"}",
		"/at: 'at' must be a time after 1970-01-01T00:00:00Z: leave it out where there is none\n"},
	{"{\"us\":\"0s\"}", "/us: 'us' must be a duration such as 500ms or 5s\n"},
	{"{\"list\":3}", "/list: 'list' must be a list\n"},
	{"{\"texts\":\"a\"}", "/texts: 'texts' must be a list of 1 to 2 values\n"},
	{"{\"texts\":[]}", "/texts: 'texts' must be a list of 1 to 2 values\n"},
	{"{\"texts\":[\"a\",4]}", "/texts/1: an item of 'texts' must be a string\n"},
	{"{\"mapping\":[]}", "/mapping: 'mapping' must be a mapping\n"},
	{"{\"choice\":\"gren\"}",
		"/choice: 'choice' is 'gren': one of red, green expected, did you mean "
		"'green'?\n"},
	{"{\"nte\":1,\"a/b~\":1}",
		"/nte: unknown field 'nte', did you mean 'note'?\n/a~1b~0: unknown field 'a/b~'\n"},
};

START_TEST(each_mistake_of_a_body_is_found_at_its_place)
{
	struct body b = {.at_ms = 7};
	json_t *o = json_loads(bodies[_i].json, 0, NULL);
	struct mistakes m = {0};
	struct strbuf all = {0};

	form_read(body_rows, o, "", "field", &b, &m);
	for (size_t i = 0; i < m.count; i++)
		sb_addf(&all, "%s: %s\n", m.item[i].pointer, m.item[i].text);
	ck_assert_str_eq(all.s ? all.s : "", bodies[_i].mistakes);
	ck_assert_int_eq(b.at_ms, 7); /* null leaves it */
	sb_done(&all);
	mistakes_done(&m);
	form_done(body_rows, &b);
	json_decref(o);
}
END_TEST

START_TEST(what_a_body_may_hold_is_borrowed_and_described)
{
	struct body b = {0};
	json_t *o = json_loads("{\"at\":\"2026-12-31T18:00:00Z\",\"texts\":[\"a\"],"
			       "\"mapping\":{\"x\":1},\"any\":5}",
		0, NULL);
	json_t *schema = form_schema(body_rows);
	json_t *p = json_object_get(schema, "properties");
	const json_t *any = json_object_get(json_object_get(p, "any"), "oneOf");
	struct mistakes m = {0};

	form_read(body_rows, o, "", "field", &b, &m);
	ck_assert_uint_eq(m.count, 0);
	ck_assert_int_eq(b.at_ms, 1798740000000);
	ck_assert_ptr_eq(b.texts, json_object_get(o, "texts"));
	ck_assert_ptr_eq(b.mapping, json_object_get(o, "mapping"));
	ck_assert_ptr_eq(b.any, json_object_get(o, "any"));
	ck_assert_uint_eq(json_array_size(any), 2);
	ck_assert_ptr_nonnull(
		json_object_get(json_object_get(json_array_get(any, 1), "properties"), "name"));
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(p, "texts"), "maxItems")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(json_object_get(p, "at"), "type")), 2);
	json_decref(schema);
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("form");
	TCase *t = tcase_create("form");

	tcase_add_test(t, each_type_is_taken_over_its_default);
	tcase_add_test(t, every_mistake_is_found_at_its_place);
	tcase_add_test(t, a_mistake_about_a_long_text_is_in_the_answer);
	tcase_add_test(t, an_unknown_key_is_told_with_the_nearest_name);
	tcase_add_test(t, the_manual_and_the_schema_are_made_of_the_rows);
	tcase_add_loop_test(t, each_mistake_of_a_body_is_found_at_its_place, 0, ARRAY_LEN(bodies));
	tcase_add_test(t, what_a_body_may_hold_is_borrowed_and_described);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
