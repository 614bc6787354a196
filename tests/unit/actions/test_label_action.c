/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.label without a printer: what it writes, says and refuses. The printers are in
 * tests/e2e/test_label.py.
 */
#include "tests/unit/actions/action_rig.h"

#include <stdio.h>

#include "base/util.h"

static struct rig rig;
static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/provd-label-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	_cleanup_(freep) char *command = xasprintf("rm -rf %s", dir);

	rig_done(&rig);
	ck_assert_int_eq(system(command), 0);
}

static char *template(const char *elements)
{
	char *path = xasprintf("%s/t.yaml", dir);
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	fprintf(f, "label: plate\nwidth: 40mm\nheight: 20mm\nelements:\n%s", elements);
	return path;
}

static char *with(const char *elements, const char *more)
{
	_cleanup_(freep) char *path = template(elements);

	return xasprintf("{\"template\":\"%s\", %s}", path, more);
}

static char *content(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char *text = xcalloc(65536, 1);

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, 65535, f), 0);
	return text;
}

#define MATRIX "  - barcode: {kind: datamatrix, x: 2mm, y: 2mm, data: '${serial}'}\n"

START_TEST(a_label_is_written_as_a_picture_or_as_what_the_printer_gets)
{
	_cleanup_(freep) char *png_path =
		xasprintf("\"values\":{\"serial\":4711}, \"file\":\"%s/l.png\"", dir);
	_cleanup_(freep) char *zpl_path = xasprintf(
		"\"values\":{\"serial\":\"4711\"}, \"file\":\"%s/l.zpl\", \"format\":\"zpl\", \"copies\":3",
		dir);
	_cleanup_(freep) char *png_args = with(MATRIX, png_path);
	_cleanup_(freep) char *zpl_args = with(MATRIX, zpl_path);
	_cleanup_(freep) char *png = NULL;
	_cleanup_(freep) char *zpl = NULL;
	char sha256[SHA256_HEX];

	ck_assert_msg(rig_run(&rig, "unit.label", png_args) == 0, "%s", rig.e.msg);
	png = content("l.png");
	ck_assert_int_eq(memcmp(png, "\x89PNG\r\n\x1a\n", 8), 0);
	ck_assert_str_eq(rig_text(rig.out.outputs, "data"), "4711");
	ck_assert_msg(rig_run(&rig, "unit.label", zpl_args) == 0, "%s", rig.e.msg);
	zpl = content("l.zpl");
	ck_assert_int_eq(strncmp(zpl, "^XA", 3), 0);
	ck_assert_ptr_nonnull(strstr(zpl, "^PQ3,"));
	sha256_hex_of(zpl, strlen(zpl), sha256);
	ck_assert_str_eq(rig_text(rig.out.evidence, "sha256"), sha256);
	ck_assert_str_eq(rig_text(json_object_get(rig.out.evidence, "values"), "serial"), "4711");
	ck_assert_int_eq(json_integer_value(json_object_get(rig.out.evidence, "copies")), 3);
}
END_TEST

START_TEST(what_is_wrong_with_a_label_is_one_of_the_recipe)
{
	_cleanup_(freep) char *nowhere = with(MATRIX, "\"values\":{\"serial\":\"1\"}");
	_cleanup_(freep) char *no_value = with(MATRIX, "\"file\":\"/nowhere/x\"");
	_cleanup_(freep) char *printer =
		with(MATRIX, "\"values\":{\"serial\":\"1\"}, \"printer\":\"plates\"");

	rig_refused(&rig, "unit.label", nowhere, ERR_RECIPE_INVALID, "goes nowhere");
	rig_refused(&rig, "unit.label", no_value, ERR_RECIPE_INVALID,
		"label 'plate', /elements/0/barcode: there is no value for ${serial}");
	rig_refused(&rig, "unit.label", printer, ERR_UNSUPPORTED,
		"printer 'plates': there are no printers here");
}
END_TEST

START_TEST(every_mistake_of_the_template_is_in_the_log)
{
	_cleanup_(freep) char *args = with("  - txt: {x: 1mm}\n  - text: {x: 1mm, y: 1, data: a}\n",
		"\"file\":\"/nowhere/x\"");

	rig_refused(&rig, "unit.label", args, ERR_RECIPE_INVALID, "did you mean 'text'?");
	ck_assert_msg(strstr(rig.log.s, "t.yaml:6:23: 'y' must be a length"), "%s", rig.log.s);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("label_action");
	TCase *t = tcase_create("label_action");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_label_is_written_as_a_picture_or_as_what_the_printer_gets);
	tcase_add_test(t, what_is_wrong_with_a_label_is_one_of_the_recipe);
	tcase_add_test(t, every_mistake_of_the_template_is_in_the_log);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
