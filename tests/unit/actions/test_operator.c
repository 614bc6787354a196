/* SPDX-License-Identifier: Apache-2.0
 *
 * operator.*: what a person, a scanner and a picture may be.
 */
#include "tests/unit/actions/action_rig.h"

#include <fcntl.h>
#include <unistd.h>

static struct rig rig;

static void set_up(void)
{
	rig = (struct rig){.secrets = secret_set_new()};
}

static void tear_down(void)
{
	rig_done(&rig);
}

static int run(const char *action, const char *with)
{
	return rig_run(&rig, action, with);
}

START_TEST(what_a_scanner_ends_a_code_with_is_cut_and_what_is_inside_refused)
{
	static const struct {
		const char *scanned, *value; /* NULL: refused */
	} rows[] = {
		{"X-1", "X-1"},
		{"X-1\r", "X-1"},
		{"X-1\n", "X-1"},
		{"X-1\r\n", "X-1"},
		{"X-1\t", "X-1"},
		{"X-1\t\r\n", "X-1"},
		{"X-1 ", NULL}, /* the pattern's affair */
		{"X\t-1", NULL},
		{"X-1\rX-2", NULL},
		{"\x02X-1", NULL},
		{"X-1\x1d", NULL}, /* the separator of a GS1 code */
		{"X-1\x7f", NULL},
		{"X-1\xc2\x85", NULL},
		{"\r", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r;

		rig.answer = rows[i].scanned;
		r = run("operator.scan", "{\"text\":\"Scan\",\"pattern\":\"^X-\\\\d$\"}");
		ck_assert_int_eq(r, rows[i].value ? 0 : -ERR_INVALID);
		if (rows[i].value)
			ck_assert_str_eq(rig_text(rig.out.outputs, "value"), rows[i].value);
	}
	rig.answer = "no\r\n";
	ck_assert_int_eq(run("operator.prompt", "{\"text\":\"Green?\"}"), 0);
	ck_assert_int_eq(rig.out.code, ERR_OPERATOR_FAILED);
}
END_TEST

START_TEST(a_scan_has_to_say_what_the_label_says)
{
	rig.answer = "]d201095212345432132110\r\n";
	ck_assert_msg(run("operator.scan",
			      "{\"text\":\"Scan\",\"equals\":\"(01)09521234543213(21)10\"}") == 0,
		"%s", rig.e.msg);
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "(01)09521234543213(21)10");
	ck_assert_str_eq(rig_text(rig.out.evidence, "aim"), "]d2");
	rig_refused(&rig, "operator.scan",
		"{\"text\":\"Scan\",\"equals\":\"(01)09521234543213(21)11\"}",
		ERR_READ_BACK_MISMATCH, "'01095212345432132110' was scanned");
	rig_refused(&rig, "operator.scan", "{\"text\":\"S\",\"equals\":\"a\",\"pattern\":\"a\"}",
		ERR_RECIPE_INVALID, "'pattern' and 'equals'");
	rig.answer = "10A\x1d"
		     "21B";
	ck_assert_int_eq(run("operator.scan", "{\"text\":\"Scan\",\"equals\":\"(10)A(21)B\"}"), 0);
	rig_refused(
		&rig, "operator.scan", "{\"text\":\"Scan\"}", ERR_INVALID, "'equals' is needed");
}
END_TEST

static int look_ahead(const char *action, const char *with)
{
	const struct action *a = action_find(action);
	json_t *o = json_loads(with, 0, NULL);
	struct args *args = args_literal(a->args, o);
	struct step s = {.id = "look", .action = a, .ops = &rig_ops, .env = &rig};
	int r = a->preflight(&s, args, &rig.e);

	args_free(args);
	json_decref(o);
	return r;
}

START_TEST(a_picture_of_a_prompt_is_looked_at_before_anybody_is_asked)
{
	char picture[] = "/tmp/test_picture.XXXXXX";
	int fd = mkstemp(picture);
	_cleanup_(freep) char *with = xasprintf(
		"{\"text\":\"Green?\",\"picture\":\"%s\",\"picture_text\":\"the LED\"}", picture);

	ck_assert_int_ge(fd, 0);
	rig.answer = "yes";
	ck_assert_int_eq(write(fd, "<svg xmlns='x'/>", 16), 16);
	ck_assert_msg(look_ahead("operator.prompt", with) == 0, "%s", rig.e.msg);
	ck_assert_msg(look_ahead("operator.scan", with) == 0, "%s", rig.e.msg);
	ck_assert_msg(run("operator.prompt", with) == 0, "%s", rig.e.msg);
	ck_assert_str_eq(json_string_value(json_object_get(rig.out.evidence, "picture")), picture);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, "<html><script>", 14, 0), 14);
	ck_assert_int_eq(look_ahead("operator.prompt", with), -ERR_IMAGE_INVALID);
	ck_assert_msg(
		strstr(rig.e.msg, "PNG, JPEG, WebP or SVG expected") != NULL, "%s", rig.e.msg);
	ck_assert_int_eq(run("operator.prompt", with), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(pwrite(fd, "\x89PNG\r\n\x1a\n", 8, 0), 8);
	ck_assert_int_eq(ftruncate(fd, (8 << 20) + 1), 0);
	ck_assert_int_eq(look_ahead("operator.prompt", with), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(rig.e.msg, "no more than 8388608 expected") != NULL, "%s", rig.e.msg);
	unlink(picture);
	ck_assert_int_lt(look_ahead("operator.prompt", with), 0);
	ck_assert_int_eq(look_ahead("operator.prompt", "{\"text\":\"Green?\"}"), 0);
	/* The image of one unit is in memory alone: the page of the run could not show it. */
	ck_assert_int_eq(
		run("operator.prompt",
			"{\"text\":\"Green?\",\"picture\":\"made:label\",\"picture_text\":\"x\"}"),
		-ERR_RECIPE_INVALID);
	close(fd);
}
END_TEST

START_TEST(the_operator_may_judge_a_unit_bad)
{
	rig.answer = "yes";
	ck_assert_int_eq(run("operator.prompt", "{\"text\":\"Is the LED green?\"}"), 0);
	ck_assert_int_eq(rig.out.verdict, STEP_PASSED);
	ck_assert_str_eq(rig_text(rig.out.evidence, "answer"), "yes");
	rig.answer = "No";
	ck_assert_int_eq(run("operator.prompt", "{\"text\":\"Is the LED green?\"}"), 0);
	ck_assert_int_eq(rig.out.code, ERR_OPERATOR_FAILED);
	rig.answer = "X-1";
	ck_assert_int_eq(run("operator.scan", "{\"text\":\"Scan\",\"pattern\":\"^X-\\\\d$\"}"), 0);
	ck_assert_str_eq(rig_text(rig.out.outputs, "value"), "X-1");
	ck_assert_int_eq(
		run("operator.scan", "{\"text\":\"Scan\",\"pattern\":\"^Y\"}"), -ERR_INVALID);
}
END_TEST

static Suite *operator_suite(void)
{
	Suite *s = suite_create("operator");
	TCase *t = tcase_create("operator");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, what_a_scanner_ends_a_code_with_is_cut_and_what_is_inside_refused);
	tcase_add_test(t, a_scan_has_to_say_what_the_label_says);
	tcase_add_test(t, a_picture_of_a_prompt_is_looked_at_before_anybody_is_asked);
	tcase_add_test(t, the_operator_may_judge_a_unit_bad);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(operator_suite)
