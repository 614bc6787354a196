/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "transports/protocols/fastboot/fastboot_info.h"

static struct err e;

static struct fastboot_rules rules_of(const char *text)
{
	struct fastboot_rules r;

	ck_assert_msg(fastboot_rules_parse(text, strlen(text), &r, &e) == 0, "%s", e.msg);
	return r;
}

START_TEST(each_form_of_a_requirement_is_read)
{
	struct fastboot_rules r = rules_of("require product=a|b\r\n"
					   "\n# a comment\n"
					   "  require   version-bootloader = 1.0 \n"
					   "reject product=c\n"
					   "board=d\n"
					   "require-for-product:x version-baseband=7|8*\n"
					   "require partition-exists=vendor\n"
					   "requirement=1");

	ck_assert_uint_eq(r.count, 7);
	ck_assert_str_eq(r.list[0].name, "product");
	ck_assert_str_eq(r.list[0].values, "a|b");
	ck_assert(!r.list[0].reject && !r.list[0].product);
	ck_assert_str_eq(r.list[1].name, "version-bootloader");
	ck_assert_str_eq(r.list[1].values, "1.0");
	ck_assert(r.list[2].reject);
	ck_assert_str_eq(r.list[3].name, "product");
	ck_assert_str_eq(r.list[4].product, "x");
	ck_assert_str_eq(r.list[4].name, "version-baseband");
	ck_assert_str_eq(r.list[5].name, "partition-exists");
	ck_assert_str_eq(r.list[6].name, "requirement");
	ck_assert_str_eq(r.note, "");
	fastboot_rules_done(&r);
}
END_TEST

START_TEST(a_line_that_is_no_rule_is_passed_over_and_told)
{
	struct fastboot_rules r = rules_of(
		"require product=a\nwhat is this\nrequire two words=1\nrequire =x\nproduct=b\n");

	ck_assert_uint_eq(r.count, 2);
	ck_assert_ptr_nonnull(strstr(r.note, "line 2"));
	fastboot_rules_done(&r);
}
END_TEST

START_TEST(a_value_matches_whole_or_by_its_begin)
{
	struct fastboot_rules r = rules_of("require v= a | bc* |*x");

	ck_assert(fastboot_rule_matches(&r.list[0], "a"));
	ck_assert(!fastboot_rule_matches(&r.list[0], "ab"));
	ck_assert(fastboot_rule_matches(&r.list[0], "bc"));
	ck_assert(fastboot_rule_matches(&r.list[0], "bcd"));
	ck_assert(!fastboot_rule_matches(&r.list[0], "b"));
	ck_assert(fastboot_rule_matches(&r.list[0], "*x"));
	ck_assert(!fastboot_rule_matches(&r.list[0], ""));
	fastboot_rules_done(&r);
}
END_TEST

START_TEST(what_is_no_text_is_refused)
{
	struct fastboot_rules r;
	struct fastboot_tasks t;

	ck_assert_int_eq(fastboot_rules_parse("a=\0b", 4, &r, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(fastboot_tasks_parse("version 1\0", 10, &t, &e), -ERR_IMAGE_INVALID);
}
END_TEST

START_TEST(tasks_are_read_in_their_order)
{
	static const char text[] =
		"version 1\n# comment\nflash boot\nflash --apply-vbmeta vbmeta\n"
		"flash --slot-other system system_other.img\nreboot fastboot\n"
		"update-super # here\nif-wipe erase userdata\nerase misc\nreboot\n";
	struct fastboot_tasks t;

	ck_assert_msg(fastboot_tasks_parse(text, strlen(text), &t, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(t.count, 8);
	ck_assert_str_eq(t.list[0].partition, "boot");
	ck_assert_str_eq(t.list[0].file, "boot.img");
	ck_assert(t.list[1].apply_vbmeta && !t.list[1].slot_other);
	ck_assert(t.list[2].slot_other);
	ck_assert_str_eq(t.list[2].file, "system_other.img");
	ck_assert_int_eq(t.list[3].kind, FASTBOOT_TASK_REBOOT);
	ck_assert_str_eq(t.list[3].target, "fastboot");
	ck_assert_int_eq(t.list[4].kind, FASTBOOT_TASK_UPDATE_SUPER);
	ck_assert(t.list[5].if_wipe && t.list[5].kind == FASTBOOT_TASK_ERASE);
	ck_assert(!t.list[6].if_wipe);
	ck_assert_str_eq(t.list[7].target, "");
	fastboot_tasks_done(&t);
}
END_TEST

START_TEST(a_line_that_is_not_understood_ends_the_list_with_its_number)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"flash boot\n", "line 1: 'flash boot'"},
		{"version 2\n", "line 1"},
		{"version 1 1\n", "line 1"},
		{"version 1\n\nflash\n", "line 3"},
		{"version 1\nflash --frob boot\n", "line 2"},
		{"version 1\nflash boot a.img b.img\n", "line 2"},
		{"version 1\nreboot home\n", "line 2"},
		{"version 1\nupdate-super now\n", "line 2"},
		{"version 1\nerase\n", "line 2"},
		{"version 1\nif-wipe\n", "line 2"},
		{"version 1\nformat userdata\n", "'format userdata'"},
	};
	struct fastboot_tasks t;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(fastboot_tasks_parse(bad[i].text, strlen(bad[i].text), &t, &e) ==
				      -ERR_IMAGE_INVALID,
			"%s", bad[i].text);
		ck_assert_msg(strstr(e.msg, bad[i].says) != NULL, "'%s' does not say '%s'", e.msg,
			bad[i].says);
		ck_assert_uint_eq(t.count, 0);
	}
}
END_TEST

START_TEST(the_script_of_a_factory_image_is_read)
{
	static const char text[] =
		"#!/bin/sh\r\nif ! [ $(fastboot --version) ]; then\n  exit 1 # too old\nfi\n"
		"fastboot flash bootloader bootloader-a-1.0.img\nfastboot reboot-bootloader\nsleep 5\n"
		"\tfastboot -w update image-a.zip\n";
	struct fastboot_factory f;

	ck_assert_int_eq(fastboot_factory_parse(text, strlen(text), &f, &e), 0);
	ck_assert_uint_eq(f.before.count, 2);
	ck_assert_str_eq(f.before.list[0].partition, "bootloader");
	ck_assert_str_eq(f.before.list[0].file, "bootloader-a-1.0.img");
	ck_assert_str_eq(f.before.list[1].target, "bootloader");
	ck_assert_str_eq(f.package, "image-a.zip");
	ck_assert(f.wipe);
	fastboot_factory_done(&f);
}
END_TEST

/* What would be left out is refused: the script is what its vendor means. */
START_TEST(a_command_of_the_script_that_is_not_known_ends_it_with_its_line)
{
	static const char *const bad[] = {"fastboot", "fastboot oem unlock", "fastboot flash boot",
		"fastboot flash --slot all boot b.img", "fastboot -w flash boot b.img",
		"fastboot update --skip-reboot x.zip", "fastboot update",
		"fastboot update \"x y.zip\"", "fastboot update $1",
		"fastboot reboot-bootloader now", "fastboot reboot",
		"fastboot flash boot b.img && fastboot reboot", "adb reboot bootloader",
		"fastboot update x.zip\nfastboot reboot"};
	struct fastboot_factory f;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(fastboot_factory_parse(bad[i], strlen(bad[i]), &f, &e) ==
				      -ERR_IMAGE_INVALID,
			"%s", bad[i]);
		ck_assert_msg(strstr(e.msg, ", line ") != NULL, "%s: %s", bad[i], e.msg);
		ck_assert_ptr_null(f.package);
	}
	ck_assert_int_eq(fastboot_factory_parse("echo\n", 5, &f, &e), -ERR_IMAGE_INVALID);
}
END_TEST

/* As vendors begin theirs: what they ask of the machine is not for provd. */
START_TEST(what_changes_no_device_is_passed_over)
{
	static const char *const heads[] = {
		"if ! grep -q partition-exists $(which fastboot); then\n  echo \"fastboot too old; see https://example.com/#tools\"\n  exit 1\nfi\n",
		"if ! [ $($(which fastboot) --version | grep \"version\" | sed 's/\\.//g' ) -ge 3301 ]; then\n  exit 1\nfi\n",
		"set -e\ncd \"$(dirname \"$0\")\"\nPATH=$PATH:.\necho 'Do not unplug: fastboot flash is running'\n",
		"# don't\nif [ -z \"$A\" ]; then sleep 1; fi\necho \"it's # 1\"\n", "echo a#b\n"};
	struct fastboot_factory f;

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		_cleanup_(freep) char *text = xasprintf(
			"%sfastboot flash radio r#1.img # now\nfastboot update x.zip\nexit 0\n",
			heads[i]);

		ck_assert_msg(fastboot_factory_parse(text, strlen(text), &f, &e) == 0, "%s: %s",
			heads[i], e.msg);
		ck_assert_uint_eq(f.before.count, 1);
		ck_assert_str_eq(f.before.list[0].file, "r#1.img");
		fastboot_factory_done(&f);
	}
}
END_TEST

/* A part that is left out in silence would be a pass without a radio; one that the shell does not reach, a wrong one. */
START_TEST(a_command_that_hides_in_another_line_ends_it)
{
	static const char *const bad[] = {"$FASTBOOT flash radio r.img",
		"./fastboot flash radio r.img", "sudo fastboot flash radio r.img",
		"ANDROID_SERIAL=1 fastboot flash radio r.img",
		"sleep 5; fastboot flash radio r.img", "echo Radio && fastboot flash radio r.img",
		"echo \"step #1\"; fastboot flash radio r.img",
		"if ! fastboot flash radio r.img; then\nexit 1\nfi",
		"if [ $($FB flash radio r.img) ]; then\nexit 1\nfi",
		"echo \"$(fastboot flash radio r.img)\"", "for p in radio; do", "flash_radio",
		". ./more.sh", "fastboot() {",
		"if [ -f r.img ]; then\nfastboot flash radio r.img\nfi",
		"if true\nthen\nfastboot flash radio r.img\nelse\nfastboot flash radio s.img\nfi",
		"echo \\\nfastboot flash radio r.img", "echo 'two\nfastboot flash radio r.img\n'",
		"exit 0", "cd images", "fi"};
	struct fastboot_factory f;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *text = xasprintf("%s\nfastboot update x.zip\n", bad[i]);

		ck_assert_msg(
			fastboot_factory_parse(text, strlen(text), &f, &e) == -ERR_IMAGE_INVALID,
			"%s", bad[i]);
		ck_assert_msg(strstr(e.msg, ", line ") != NULL, "%s: %s", bad[i], e.msg);
	}
	ck_assert_int_eq(
		fastboot_factory_parse("if true; then\nfastboot update x.zip\nfi\n", 39, &f, &e),
		-ERR_IMAGE_INVALID);
}
END_TEST

static Suite *fastboot_info_suite(void)
{
	Suite *s = suite_create("fastboot_info");
	TCase *t = tcase_create("fastboot_info");

	tcase_add_test(t, each_form_of_a_requirement_is_read);
	tcase_add_test(t, a_line_that_is_no_rule_is_passed_over_and_told);
	tcase_add_test(t, a_value_matches_whole_or_by_its_begin);
	tcase_add_test(t, what_is_no_text_is_refused);
	tcase_add_test(t, tasks_are_read_in_their_order);
	tcase_add_test(t, a_line_that_is_not_understood_ends_the_list_with_its_number);
	tcase_add_test(t, the_script_of_a_factory_image_is_read);
	tcase_add_test(t, a_command_of_the_script_that_is_not_known_ends_it_with_its_line);
	tcase_add_test(t, what_changes_no_device_is_passed_over);
	tcase_add_test(t, a_command_that_hides_in_another_line_ends_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fastboot_info_suite)
