/* SPDX-License-Identifier: Apache-2.0
 *
 * A DfuSe file that holds flash and option bytes: what of it is written to which memory.
 */
#include "daemon/actions/dfu/dfu.h"
#include "tests/unit/transports/image_files.h"
#include "tests/unit/unit.h"

static const struct dfuse_options careful = {.erase = DFUSE_ERASE_PAGES, .verify = true};

static const struct dfu_targets device = {
	.target = {{.alt = 0, .dfuse = true, .name = "@Internal Flash  /0x08000000/04*016Kg"},
		{.alt = 1, .dfuse = true, .name = "@Option Bytes  /0x1FFFC000/01*016 e"}},
	.count = 2,
};

static struct image *file;
static json_t *left_out;
static bool chosen[256];
static struct err e;

/* Flash as target 0, option bytes as `options`. */
static struct image *container(uint8_t options)
{
	static const uint8_t bytes[16] = {1, 2, 3};
	static const struct part flash = {0x08000000, bytes, 16};
	static const struct part option = {0x1fffc000, bytes, 16};
	struct strbuf b = {0}, targets = {0};
	struct image *i = NULL;

	dfuse_target(&targets, 0, &flash, 1);
	dfuse_target(&targets, options, &option, 1);
	sb_add(&b, "DfuSe\x01");
	put_le(&b, 11 + targets.len, 4);
	put_le(&b, 2, 1);
	sb_add_n(&b, targets.s, targets.len);
	add_dfu_suffix(&b, 0x0483, 0xdf11, 0x0200, 0x011a);
	ck_assert_msg(image_parse("fw.dfu", b.s, b.len, &IMAGE_OPTS(IMAGE_NO_ADDRESS), &i, &e) == 0,
		"%s", e.msg);
	sb_done(&targets);
	sb_done(&b);
	return i;
}

static int choose(const char *skip)
{
	json_t *list = json_loads(skip, 0, NULL);
	int r;

	ck_assert(list);
	json_array_clear(left_out);
	memset(chosen, 0, sizeof chosen);
	r = dfu_choose_targets(&device, list, file, &careful, chosen, left_out, &e);
	json_decref(list);
	return r;
}

static void set_up(void)
{
	left_out = json_array();
	file = container(1);
}

static void tear_down(void)
{
	json_decref(left_out);
	file = image_unref(file);
}

START_TEST(option_bytes_are_refused_and_the_message_says_the_way_out)
{
	ck_assert_int_eq(choose("[]"), -ERR_IMAGE_RANGE);
	ck_assert_msg(strstr(e.msg, "the file's target 1"), "%s", e.msg);
	ck_assert_msg(strstr(e.msg, "'Option Bytes' can be written and not erased"), "%s", e.msg);
	ck_assert_msg(strstr(e.msg, "'skip_targets' leaves it out"), "%s", e.msg);
}
END_TEST

START_TEST(what_is_left_out_is_named_and_the_rest_is_written)
{
	static const char *const skips[] = {"[\"Option Bytes\"]", "[\"1\"]"};

	for (size_t i = 0; i < ARRAY_LEN(skips); i++) {
		ck_assert_msg(choose(skips[i]) == 0, "%s", e.msg);
		ck_assert(chosen[0] && !chosen[1]);
		ck_assert_uint_eq(json_array_size(left_out), 1);
		ck_assert_str_eq(json_string_value(json_array_get(left_out, 0)), "Option Bytes");
	}
}
END_TEST

START_TEST(a_file_of_which_nothing_is_left_is_refused)
{
	ck_assert_int_eq(choose("[\"0\",\"1\"]"), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, "nothing of the file"), "%s", e.msg);
}
END_TEST

START_TEST(a_memory_that_the_device_has_not_is_left_out_by_its_number)
{
	image_unref(file);
	file = container(7);
	ck_assert_int_eq(choose("[]"), -ERR_NOT_FOUND);
	ck_assert_msg(strstr(e.msg, "no memory '7'"), "%s", e.msg);
	ck_assert_msg(choose("[\"7\"]") == 0, "%s", e.msg);
	ck_assert(chosen[0] && !chosen[7]);
	ck_assert_str_eq(json_string_value(json_array_get(left_out, 0)), "7");
}
END_TEST

static Suite *dfu_targets_suite(void)
{
	Suite *s = suite_create("dfu_targets");
	TCase *t = tcase_create("dfu_targets");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, option_bytes_are_refused_and_the_message_says_the_way_out);
	tcase_add_test(t, what_is_left_out_is_named_and_the_rest_is_written);
	tcase_add_test(t, a_file_of_which_nothing_is_left_is_refused);
	tcase_add_test(t, a_memory_that_the_device_has_not_is_left_out_by_its_number);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(dfu_targets_suite)
