/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates and conditions: what a reference yields is a value, never text to be read again.
 */
#include "daemon/recipe/expr.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static int lookup(void *data, const char *path, json_t **ret, struct err *e)
{
	json_t *v = json_object_get(data, path);

	if (!v)
		return err_set(e, ERR_NOT_FOUND, "'%s' is not here", path);
	*ret = json_incref(v);
	return 0;
}

static json_t *names(void)
{
	return json_pack("{s:s, s:i, s:s, s:b, s:s, s:s, s:f, s:f, s:f}", "p.text", "a.b*c", "p.n",
		10, "p.lure", "${p.n} && (", "p.no", 0, "p.ten", "10", "p.empty", "", "p.real",
		24.6, "p.whole", 5.0, "p.small", -1e-7);
}

START_TEST(test_values_are_put_in_as_they_are)
{
	static const struct {
		const char *text;
		enum quoting q;
		const char *want;
	} row[] = {
		{"SET ${p.text}", QUOTE_NONE, "SET a.b*c"},
		{"^${p.text}$", QUOTE_REGEX, "^a\\.b\\*c$"},
		{"x${p.n}y${p.n}", QUOTE_NONE, "x10y10"},
		{"CAL ${p.real}", QUOTE_NONE, "CAL 24.6"},
		{"CAL ${p.whole}, ${p.small}", QUOTE_NONE, "CAL 5.0, -1e-7"},
		{"a ${p.lure} b", QUOTE_NONE, "a ${p.n} && ( b"},
		{"$${p.n}", QUOTE_NONE, "${p.n}"},
		{"100$", QUOTE_NONE, "100$"},
		{"", QUOTE_NONE, ""},
	};
	json_t *o = names();
	const struct scope scope = {lookup, o};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		json_t *v = NULL;
		struct err e = {0};

		ck_assert_msg(template_eval(row[i].text, row[i].q, &scope, &v, &e) == 0, "%s: %s",
			row[i].text, e.msg);
		ck_assert_str_eq(json_string_value(v), row[i].want);
		json_decref(v);
	}
	json_decref(o);
}
END_TEST

START_TEST(test_a_lone_reference_keeps_its_type)
{
	json_t *o = names();
	const struct scope scope = {lookup, o};
	json_t *v = NULL;
	struct err e;

	ck_assert_int_eq(template_eval("${p.n}", QUOTE_NONE, &scope, &v, &e), 0);
	ck_assert_int_eq(json_integer_value(v), 10);
	json_decref(v);
	ck_assert_int_eq(template_eval("${p.none}", QUOTE_NONE, &scope, &v, &e), -ERR_NOT_FOUND);
	json_decref(o);
}
END_TEST

START_TEST(test_conditions)
{
	static const struct {
		const char *text;
		int want; /* -1: malformed */
	} row[] = {
		{"${p.n} == 10", 1},
		{"${p.n} == 10.0", 1},
		{"${p.ten} == ${p.n}", 1},
		{"${p.n} > 9", 1},
		{"${p.n} < 9", 0},
		{"${p.text} == 'a.b*c'", 1},
		{"${p.text} != lite", 1},
		{"!${p.no}", 1},
		{"${p.no} || ${p.n}", 1},
		{"${p.empty}", 0},
		{"${p.n} >= 10 && !(${p.n} > 10)", 1},
		{"${p.lure} == x", 0},
		{"true", 1},
		{"false", 0},
		{"${p.n} ==", -1},
		{"(${p.n}", -1},
		{"", -1},
		{"a b", -1},
		{"${p.n} = 3", -1},
		{"&& a", -1},
	};
	json_t *o = names();
	const struct scope scope = {lookup, o};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		bool got = false;
		struct err e = {0};
		int r = condition_eval(row[i].text, &scope, &got, &e);

		ck_assert_msg((r < 0 ? -1 : (int)got) == row[i].want, "%s gives %d: %s",
			row[i].text, r < 0 ? -1 : got, e.msg);
	}
	json_decref(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("expr");
	TCase *t = tcase_create("expr");

	tcase_add_test(t, test_values_are_put_in_as_they_are);
	tcase_add_test(t, test_a_lone_reference_keeps_its_type);
	tcase_add_test(t, test_conditions);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
