/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of a recipe: every mistake at once, each with its place and the nearest valid name.
 */
#include "daemon/recipe/recipe.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static struct strbuf report;

static int load(const char *text)
{
	struct recipe *recipe = NULL;
	struct err e = {0};
	int r;

	sb_clear(&report);
	r = recipe_load("r.yaml", text, strlen(text), &report, &recipe, &e);
	ck_assert(r == 0 || recipe == NULL);
	recipe_unref(recipe);
	return r;
}

static void done(void)
{
	sb_done(&report);
}

START_TEST(test_all_mistakes_are_told_at_once_with_line_and_column)
{
	static const char text[] = "recipe: x\n"
				   "version: 0\n"
				   "unit: {serial: {pol: a}}\n"
				   "ports: {c: {kind: tty, bod: 3}}\n"
				   "params: {p: {type: integr}}\n"
				   "steps:\n"
				   "  - id: a\n"
				   "    action: consol.command\n"
				   "  - id: a\n"
				   "    action: console.command\n"
				   "    with: {port: d, sent: hi, timeout: 5, expect: '('}\n"
				   "    retry: {attempts: 0, on: [timeot]}\n"
				   "    when: '${steps.zz.value} == '\n";
	static const char *const want[] = {
		"r.yaml:2:10: 'version'",
		"r.yaml:3:17: unknown key 'pol', did you mean 'pool'?",
		"r.yaml:4:24: unknown key 'bod', did you mean 'baud'?",
		"r.yaml:5:14: unknown type 'integr', did you mean 'integer'?",
		"r.yaml:8:13: unknown action 'consol.command', did you mean 'console.command'?",
		"r.yaml:9:9: the id 'a' is used twice",
		"r.yaml:11:11: 'send' is missing",
		"r.yaml:11:18: unknown port 'd', did you mean 'c'?",
		"r.yaml:11:21: unknown argument 'sent', did you mean 'send'?",
		"r.yaml:11:40: 'timeout' is '5': a duration with its unit",
		"r.yaml:11:51: 'expect': pattern '('",
		"r.yaml:12:31: unknown cause 'timeot', did you mean 'timeout'?",
		"r.yaml:13:11: '${steps.zz.value}'",
	};

	ck_assert_int_eq(load(text), -ERR_RECIPE_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		ck_assert_msg(
			strstr(report.s, want[i]) != NULL, "no '%s' in\n%s", want[i], report.s);
}
END_TEST

#define HEAD                                                                                   \
	"recipe: x\nversion: 1\nports: {c: {kind: tty}}\nparams: {p: {type: string, default: " \
	"a}}\n"
#define STEP "steps:\n  - id: a\n    action: console.command\n    with: {port: c, send: "

START_TEST(test_a_name_that_cannot_resolve_is_a_mistake_of_the_check)
{
	static const struct {
		const char *send, *told;
	} row[] = {
		{"'${params.q}'", "did you mean 'p'"},
		{"'${unit.serial}'", "where serials come from"},
		{"'${artifacts.fw}'", "artifacts.fw"},
		{"'${steps.a.reply}'", "steps.a"}, /* itself: not yet run */
		{"'${nothing.at.all}'", "nothing"},
		{"'${params.p'", "${"},
		{"'${}'", "${"},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		_cleanup_(freep) char *text = xasprintf(HEAD STEP "%s}\n", row[i].send);

		ck_assert_msg(load(text) == -ERR_RECIPE_INVALID, "%s is taken", row[i].send);
		ck_assert_msg(
			strstr(report.s, row[i].told) != NULL, "%s: %s", row[i].send, report.s);
	}
	ck_assert_msg(load(HEAD STEP "'x ${params.p} $${literal}'}\n") == 0, "%s", report.s);
}
END_TEST

START_TEST(test_the_digest_is_of_the_meaning_not_of_the_text)
{
	static const char a[] = HEAD STEP "hi}\n";
	static const char b[] =
		"# a comment\nversion: 1\nrecipe:   x\nparams: {p: {default: 'a', type: string}}\n"
		"ports:\n  c:\n    kind: tty\n" STEP "hi}\n";
	struct recipe *ra = NULL;
	struct recipe *rb = NULL;
	struct err e;

	ck_assert_int_eq(recipe_load("a", a, strlen(a), NULL, &ra, &e), 0);
	ck_assert_int_eq(recipe_load("b", b, strlen(b), NULL, &rb, &e), 0);
	ck_assert_str_eq(ra->sha256, rb->sha256);
	recipe_unref(ra);
	recipe_unref(rb);
}
END_TEST

START_TEST(test_parameters_are_typed_and_all_known)
{
	static const char text[] = "recipe: x\nversion: 1\nparams:\n  s: {type: string}\n  n: "
				   "{type: integer, default: 3}\n"
				   "steps:\n  - {id: a, action: operator.prompt, with: {text: "
				   "'${params.s} ${params.n}'}}\n";
	static const struct {
		const char *given;
		int r;
	} row[] = {{"{\"s\":\"x\"}", 0}, {"{\"s\":\"x\",\"n\":4}", 0}, {"{}", -ERR_INVALID},
		{"{\"s\":\"x\",\"n\":\"y\"}", -ERR_INVALID},
		{"{\"s\":\"x\",\"z\":1}", -ERR_INVALID}, {"{\"s\":[]}", -ERR_INVALID}};
	struct recipe *recipe = NULL;
	struct err e;

	ck_assert_msg(
		recipe_load("x", text, strlen(text), &report, &recipe, &e) == 0, "%s", report.s);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		json_t *given = json_loads(row[i].given, 0, NULL);
		json_t *all = NULL;

		ck_assert_msg(
			recipe_params(recipe, given, &all, &e) == row[i].r, "%s", row[i].given);
		if (all)
			ck_assert_int_eq((int)json_object_size(all), 2);
		json_decref(all);
		json_decref(given);
	}
	recipe_unref(recipe);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("check");
	TCase *t = tcase_create("check");

	tcase_add_checked_fixture(t, NULL, done);
	tcase_add_test(t, test_all_mistakes_are_told_at_once_with_line_and_column);
	tcase_add_test(t, test_a_name_that_cannot_resolve_is_a_mistake_of_the_check);
	tcase_add_test(t, test_the_digest_is_of_the_meaning_not_of_the_text);
	tcase_add_test(t, test_parameters_are_typed_and_all_known);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
