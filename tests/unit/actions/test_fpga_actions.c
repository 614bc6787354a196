/* SPDX-License-Identifier: Apache-2.0
 *
 * fpga.load and fpga.flash on a probe of USB, with fakes of both programs in PATH that replay what the real ones print: which
 * probe they are given, and that no word of theirs is a proof by itself.
 */
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/fake_tool.h"

static struct rig rig;
static struct fake_tool fake;
static char image[128];

/* An ECP5 bitstream: the preamble, its IDCODE, and the command that ends it. */
static const uint8_t bitstream[] =
	"\xff\0Part: LFE5U-25F-6CABGA381\0\xff\xff\xff\xbd\xb3\xff\xff\xe2\0\0\0\x41\x11\x10\x43"
	"\x5e\0\0\0\xff\xff\xff";

static const char loader[] =
	"#!/bin/sh\n"
	"d=$(dirname $0)\n"
	"printf '%s\\n' \"$@\" >> $d/args\n"
	"case \"$*\" in\n"
	"-V) echo 'openFPGALoader v0.10.0' ;;\n"
	"*--detect*) [ ! -e $d/lost ] || { echo 'Connection error'; exit 1; }\n"
	"\tfor i in 0 1 2 3 4; do id=$(sed -n $((i + 1))p $d/ids); echo \"- $i -> 0x${id:-ffffffff}\"; done ;;\n"
	"*) cat $d/says; [ ! -e $d/loses ] || mv $d/loses $d/lost; exit $(cat $d/status) ;;\n"
	"esac\n";

static const char openocd[] =
	"#!/bin/sh\n"
	"d=$(dirname $0)\n"
	"printf '%s\\n' \"$@\" >> $d/args\n"
	"echo 'Open On-Chip Debugger 0.12.0'\n"
	"case \"$*\" in\n"
	"*newtap*) cat $d/says; exit $(cat $d/status) ;;\n"
	"*) echo 'Info : JTAG tap: auto0.tap tap/device found: 0x41111043 (mfg: 0x021)' ;;\n"
	"esac\n";

#define GOOD_END \
	"Enable configuration: DONE\nSRAM erase: DONE\nDisable configuration: DONE\ndisplayReadReg\n"

static void set_up(void)
{
	_cleanup_(freep) char *path = NULL;
	FILE *f;

	fake_tool_init(&fake);
	fake_put(&fake, "openFPGALoader", loader, 0755);
	fake_put(&fake, "openocd", openocd, 0755);
	fake_put(&fake, "ids", "41111043\n", 0600);
	fake_put(&fake, "args", "", 0600);
	fake_tool_says(&fake, GOOD_END "\tDone Flag\n\tNo err\n", "0");
	path = xasprintf("%s:%s", fake.dir, getenv("PATH"));
	setenv("PATH", path, 1);
	snprintf(image, sizeof image, "%s/top.bit", fake.dir);
	f = fopen(image, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bitstream, 1, sizeof bitstream - 1, f), sizeof bitstream - 1);
	ck_assert_int_eq(fclose(f), 0);
	snprintf(rig.facts.node, sizeof rig.facts.node, "/dev/bus/usb/001/004");
	snprintf(rig.facts.serial, sizeof rig.facts.serial, "FT6A8T12");
	snprintf(rig.facts.port, sizeof rig.facts.port, "1-1.4");
	rig.secrets = secret_set_new();
}

static void tear_down(void)
{
	rig_done(&rig);
	rig = (struct rig){0};
	fake_tool_done(&fake);
}

static int run(const char *action, const char *more)
{
	_cleanup_(freep) char *with =
		xasprintf("{\"port\":\"c\",\"part\":\"lfe5u-25\",\"image\":\"%s\"%s}", image, more);

	return rig_run(&rig, action, with);
}

static bool called_with(const char *args)
{
	_cleanup_(freep) char *all = fake_tool_read(&fake, "args");

	return strstr(all, args) != NULL;
}

START_TEST(the_probe_is_the_stations_by_its_serial_number)
{
	ck_assert_msg(
		run("fpga.load", ",\"cable\":\"ft2232\",\"speed\":5000") == 0, "%s", rig.e.msg);
	ck_assert(called_with(
		"-c\nft2232\n--ftdi-serial\nFT6A8T12\n--freq\n5000000\n--verbose-level\n2\n--detect\n"));
	ck_assert(called_with("--freq\n5000000\n--index-chain\n0\n-m\n-v\nimage.bit\n"));
	ck_assert_str_eq(rig_text(rig.out.evidence, "version"), "0.10.0");
	ck_assert_str_eq(rig_text(rig.out.evidence, "idcode"), "0x41111043");
	ck_assert(json_is_true(json_object_get(rig.out.evidence, "done")));
}
END_TEST

START_TEST(a_probe_that_could_be_another_stations_is_not_used)
{
	ck_assert_int_eq(run("fpga.load", ""), -ERR_RECIPE_INVALID);
	ck_assert_msg(strstr(rig.e.msg, "'cable' is missing") != NULL, "%s", rig.e.msg);
	ck_assert_int_eq(run("fpga.load", ",\"cable\":\"jlink\""), -ERR_INVALID);
	rig.facts.serial[0] = '\0';
	ck_assert_int_eq(run("fpga.load", ",\"cable\":\"ft2232\""), -ERR_PORT_UNBOUND);
	ck_assert_msg(strstr(rig.e.msg, "another station's") != NULL, "%s", rig.e.msg);
	snprintf(rig.facts.serial, sizeof rig.facts.serial, "A B; reboot");
	ck_assert_int_eq(run("fpga.load", ",\"cable\":\"ft2232\""), -ERR_INVALID);
	ck_assert(!called_with("--detect"));
}
END_TEST

/* What a program says of a device that it has lost may be anything: also that all is well. */
START_TEST(a_probe_that_is_lost_in_the_work_proves_nothing)
{
	static const char *const says[] = {
		GOOD_END "\tDone Flag\n\tNo err\n", "SRAM erase: DONE\n\tCRC ERR\nFail\n"};

	fake_tool_says(&fake, says[_i], _i ? "1" : "0");
	fake_put(&fake, "loses", "", 0600);
	ck_assert_int_eq(run("fpga.load", ",\"cable\":\"ft2232\""), -ERR_DEVICE_GONE);
	ck_assert_msg(strstr(rig.e.msg, "nothing is known of the device") != NULL, "%s", rig.e.msg);
}
END_TEST

/* DONE of before is shown as well, where the device was loaded. */
START_TEST(done_counts_after_the_end_of_the_configuration)
{
	static const struct {
		const char *says, *status, *sentence;
		int code;
	} runs[] = {
		{"displayReadReg\n\tDone Flag\n" GOOD_END "\tNo err\n", "0", "DONE is low",
			-ERR_NOT_CONFIGURED},
		{GOOD_END, "0", "DONE is low", -ERR_NOT_CONFIGURED},
		{"SRAM erase: DONE\n\tCRC ERR\nFail\n", "1", "CRC ERR", -ERR_NOT_CONFIGURED},
		{"\tCRC ERR\nConnection error\n", "1", "the probe was not found",
			-ERR_PORT_UNBOUND},
		{GOOD_END "\tDone Flag\nFail\n", "0", "did not take it", -ERR_DEVICE_REFUSED},
		{GOOD_END "\tDone Flag\n", "139", "ended with status 139", -ERR_TOOL_FAILED},
		{"", "0", "openFPGALoader", -ERR_NO_EVIDENCE},
	};

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		int r;

		fake_tool_says(&fake, runs[i].says, runs[i].status);
		r = run("fpga.load", ",\"cable\":\"ft2232\"");
		ck_assert_msg(r == runs[i].code, "%zu: %d %s", i, r, rig.e.msg);
		ck_assert_msg(strstr(rig.e.msg, runs[i].sentence) != NULL, "%zu: %s", i, rig.e.msg);
	}
}
END_TEST

START_TEST(nothing_is_loaded_into_a_chain_that_is_another_one)
{
	static const struct {
		const char *ids;
		int code;
	} chains[] = {{"41111043\n0362d093\n", -ERR_JTAG_CHAIN}, {"0362d093\n", -ERR_WRONG_DEVICE},
		{"01111043\n", -ERR_WRONG_DEVICE}, {"", -ERR_JTAG_STUCK},
		{"00000000\n00000000\n00000000\n00000000\n00000000\n", -ERR_JTAG_STUCK},
		{"41111043\n00000000\n", -ERR_JTAG_STUCK}};

	for (size_t i = 0; i < ARRAY_LEN(chains); i++) {
		int r;

		fake_put(&fake, "ids", chains[i].ids, 0600);
		r = run("fpga.load", ",\"cable\":\"ft2232\"");
		ck_assert_msg(r == chains[i].code, "%zu: %d %s", i, r, rig.e.msg);
	}
	ck_assert(!called_with("image.bit"));
}
END_TEST

/* What the flash holds is read here: a program that verifies by its word alone does not pass. */
START_TEST(a_flash_that_is_not_read_back_is_not_written)
{
	fake_tool_says(&fake,
		"Verifying write (May take time)\nRead flash : [====] 100.00%\nDone\nRefresh: DONE\nOpen dump file DONE\n",
		"0");
	ck_assert_int_eq(run("fpga.flash", ",\"cable\":\"ft2232\""), -ERR_NO_EVIDENCE);
	ck_assert_msg(strstr(rig.e.msg, "read 0 bytes of the flash") != NULL, "%s", rig.e.msg);
	ck_assert(called_with("-f\n--verify\nimage.bin\n"));
}
END_TEST

/* Text that OpenOCD would take for a command reaches no command line. */
START_TEST(openocd_gets_the_stations_probe_and_its_chain)
{
	static const char svf[] =
		"ENDDR IDLE;\nSIR 8 TDI (E0);\nSDR 32 TDI (0) TDO (41111043) MASK (FFFFFFFF);\n";

	fake_put(&fake, "top.svf", svf, 0600);
	snprintf(image, sizeof image, "%s/top.svf", fake.dir);
	fake_tool_says(&fake,
		"Info : JTAG tap: d0.tap tap/device found: 0x41111043 (mfg)\n"
		"svf file programmed successfully for 3 commands with 0 errors\nprovd: status 0x00000100\n",
		"0");
	ck_assert_msg(run("fpga.load", ",\"interface\":\"ftdi/digilent_jtag_hs3\"") == 0, "%s",
		rig.e.msg);
	ck_assert(called_with(
		"-f\ninterface/ftdi/digilent_jtag_hs3.cfg\n-c\nadapter serial FT6A8T12\n-c\ntransport select jtag\n"));
	ck_assert(called_with("jtag newtap d0 tap -irlen 8 -expected-id 0x41111043\n-c\ninit\n"));
	ck_assert(called_with("svf -tap d0.tap -quiet image.svf\n"));
	ck_assert_int_eq(json_integer_value(json_object_get(rig.out.evidence, "compares")), 1);
	/* The status that the program shows is looked at here. */
	fake_tool_says(&fake,
		"Info : JTAG tap: d0.tap tap/device found: 0x41111043 (mfg)\n"
		"svf file programmed successfully for 3 commands with 0 errors\nprovd: status 0x00002100\n",
		"0");
	ck_assert_int_eq(
		run("fpga.load", ",\"interface\":\"ftdi/digilent_jtag_hs3\""), -ERR_NOT_CONFIGURED);
	ck_assert_int_eq(
		run("fpga.load", ",\"interface\":\"ftdi/x; shutdown\""), -ERR_RECIPE_INVALID);
	ck_assert_int_eq(run("fpga.load", ""), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(a_chain_is_said_without_a_doubt)
{
	static const struct {
		const char *more, *says;
	} bad[] = {
		{",\"chain\":[\"xc7a35t\"]", "does not have lfe5u-25"},
		{",\"chain\":[\"lfe5u-25\",\"lfe5u-25\"]", "2 times"},
		{",\"chain\":[\"lfe5u-25\",\"xc7a35t\"],\"position\":2", "does not have lfe5u-25"},
		{",\"chain\":[\"lfe5u-25\",\"xc7a36t\"]", "'xc7a36t' is not known"},
		{",\"chain\":[\"lfe5u-25\",\"xc7a35t\",\"xc7a35t\",\"xc7a35t\",\"xc7a35t\"]",
			"5 devices"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(run("fpga.load", bad[i].more), -ERR_RECIPE_INVALID);
		ck_assert_msg(strstr(rig.e.msg, bad[i].says) != NULL, "%s", rig.e.msg);
	}
}
END_TEST

static Suite *fpga_actions_suite(void)
{
	Suite *s = suite_create("fpga_actions");
	TCase *t = tcase_create("fpga_actions");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, the_probe_is_the_stations_by_its_serial_number);
	tcase_add_test(t, a_probe_that_could_be_another_stations_is_not_used);
	tcase_add_loop_test(t, a_probe_that_is_lost_in_the_work_proves_nothing, 0, 2);
	tcase_add_test(t, done_counts_after_the_end_of_the_configuration);
	tcase_add_test(t, nothing_is_loaded_into_a_chain_that_is_another_one);
	tcase_add_test(t, a_flash_that_is_not_read_back_is_not_written);
	tcase_add_test(t, openocd_gets_the_stations_probe_and_its_chain);
	tcase_add_test(t, a_chain_is_said_without_a_doubt);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fpga_actions_suite)
