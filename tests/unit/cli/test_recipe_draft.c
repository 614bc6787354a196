/* SPDX-License-Identifier: Apache-2.0
 *
 * A first recipe of each kind of device has no mistake, whatever the texts hold that a person gave.
 */
#include "cli/recipe_draft.h"

#include <string.h>

#include "base/util.h"
#include "daemon/recipe/recipe.h"
#include "tests/unit/unit.h"

static struct strbuf text;

static void teardown(void)
{
	sb_done(&text);
}

/* The recipe of it, or NULL with what is wrong in `report`. */
static struct recipe *load(const struct recipe_draft *d, struct strbuf *report)
{
	struct recipe *r = NULL;
	struct err e;

	sb_done(&text);
	recipe_draft(d, &text);
	return recipe_load("draft.yaml", text.s, text.len, report, &r, &e) < 0 ? NULL : r;
}

START_TEST(each_kind_has_a_recipe_without_a_mistake)
{
	static const char *const pools[] = {NULL, "sn"};

	for (const struct device_kind *k = device_kinds; k->name; k++)
		for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
			const struct recipe_draft d = {.kind = k,
				.name = "lamp",
				.model = "L1",
				.title = k->what,
				.image = "app.bin",
				.pool = pools[i]};
			struct strbuf report = {0};
			struct recipe *r = load(&d, &report);

			ck_assert_msg(r != NULL, "%s: %s", k->name, report.s);
			ck_assert_str_eq(r->name, "lamp");
			ck_assert_int_eq(strstr(text.s, "app.bin") != NULL, k->image);
			ck_assert_int_eq(strstr(text.s, "action: unit.serial") != NULL,
				pools[i] || !strcmp(k->name, "printer"));
			/* The steps are of the actions that the scan names. */
			for (const char *a = strstr(k->steps, "action: "); a;
				a = strstr(a + 1, "action: ")) {
				_cleanup_(freep) char *family =
					xasprintf("%.*s", (int)strcspn(a + 8, "."), a + 8);

				ck_assert_msg(
					strstr(k->actions, family) || !strcmp(family, "device"),
					"%s: %s", k->name, family);
			}
			recipe_unref(r);
			sb_done(&report);
		}
}
END_TEST

START_TEST(what_a_scan_finds_has_a_kind)
{
	static const char *const found[] = {
		"serial", "dfu", "fastboot", "adb", "probe", "instrument", "printer"};

	for (size_t i = 0; i < ARRAY_LEN(found); i++)
		ck_assert_ptr_nonnull(device_kind(found[i]));
	ck_assert_ptr_null(device_kind("toaster"));
	ck_assert_ptr_null(device_kind(""));
}
END_TEST

START_TEST(texts_stay_texts)
{
	static const char title[] = "it's a \"lamp\": {a, #b} ${x} \\ &c *d !e %f @g `h - i";
	const struct recipe_draft d = {.kind = device_kind("serial"),
		.name = "lamp",
		.model = "L'1: yes",
		.title = title,
		.image = "it's # 1.bin",
		.pool = "sn"};
	struct strbuf report = {0};
	struct recipe *r = load(&d, &report);

	ck_assert_msg(r != NULL, "%s", report.s);
	ck_assert_str_eq(json_string_value(json_object_get(r->json, "title")), title);
	ck_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(r->json, "artifacts"), "application")),
		"it's # 1.bin");
	recipe_unref(r);
}
END_TEST

START_TEST(what_is_no_name_is_said_by_the_check)
{
	const struct recipe_draft d = {.kind = device_kind("dfu"),
		.name = "no name: ever\n",
		.model = "m",
		.title = "t",
		.image = "i",
		.pool = "sn"};
	struct strbuf report = {0};

	ck_assert_ptr_null(load(&d, &report));
	ck_assert_ptr_nonnull(strstr(report.s, "name"));
	sb_done(&report);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("recipe_draft");
	TCase *t = tcase_create("recipe_draft");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, each_kind_has_a_recipe_without_a_mistake);
	tcase_add_test(t, what_a_scan_finds_has_a_kind);
	tcase_add_test(t, texts_stay_texts);
	tcase_add_test(t, what_is_no_name_is_said_by_the_check);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
