/* SPDX-License-Identifier: Apache-2.0
 *
 * J-Link Commander is proprietary: a fake replays what it says.
 */
#include "transports/tools/jlink.h"

#include "tests/unit/transports/fake_tool.h"
#include "tests/unit/unit.h"

static struct fake_tool fake;
static struct tool_outcome seen;
static struct image *image;
static struct err e;

#define BANNER                                                                           \
	"SEGGER J-Link Commander V7.94b (Compiled Nov  3 2023 13:12:27)\n"               \
	"DLL version V7.94b, compiled Nov  3 2023 13:11:59\n\n"                          \
	"J-Link Command File read successfully.\nProcessing script file...\n"            \
	"J-Link>ExitOnError 1\nJ-Link Commander will now exit on Error\n"                \
	"J-Link>connect\nConnecting to J-Link via USB...O.K.\n"                          \
	"Firmware: J-Link V11 compiled Oct 13 2023 11:37:20\nHardware version: V11.00\n" \
	"S/N: 51001234\nVTref=3.294V\nDevice \"STM32F407VG\" selected.\n"                \
	"Connecting to target via SWD\nCortex-M4 identified.\n"
#define LOADED                                                                                  \
	"J-Link>loadfile \"flash.hex\"\n'loadfile': Performing implicit reset & halt of MCU.\n" \
	"Downloading file [flash.hex]...\n"                                                     \
	"J-Link: Flash download: Bank 0 @ 0x08000000: 1 range affected (16384 bytes)\n"         \
	"J-Link: Flash download: Total: 0.441s (Prepare: 0.045s, Compare: 0.013s)\nO.K.\n"
#define VERIFIED                                                                            \
	"J-Link>verifybin \"segment-0.bin\",0x8000000\nLoading binary file segment-0.bin\n" \
	"Reading 8 bytes data from target memory @ 0x08000000.\nVerify successful.\n"
#define VERIFIED_TWO                                                                        \
	VERIFIED "J-Link>verifybin \"segment-1.bin\",0x8004000\nReading 4 bytes data from " \
		 "target memory @ 0x08004000.\nVerify successful.\n"
#define END                                                                           \
	"J-Link>r\nJ-Link>g\nMemory map 'after startup completion point' is active\n" \
	"J-Link>exit\n\nScript processing completed.\n\n"

/* Two segments. */
static const char hex[] = ":020000040800F2\n:080000000102030405060708D4\n"
			  ":04400000AABBCCDDAE\n:00000001FF\n";

static void set_up(void)
{
	const struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);

	fake_tool_init(&fake);
	ck_assert_msg(image_parse("app.hex", hex, strlen(hex), &o, &image, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(image->count, 2);
}

static void tear_down(void)
{
	tool_outcome_done(&seen);
	image = image_unref(image);
	fake_tool_done(&fake);
}

static struct jlink_target target(void)
{
	return (struct jlink_target){fake.program, "STM32F407VG", "SWD", 4000, "51001234"};
}

static int flash(const char *says, const char *status)
{
	const struct iotime it = {now_us() + 30 * US_PER_S, NULL};
	const struct jlink_target t = target();
	const struct jlink_flash f = {.start = true};
	const struct teller none = {0};
	struct tool_dir d;
	int r;

	fake_tool_says(&fake, says, status);
	tool_outcome_done(&seen);
	ck_assert_int_eq(tool_dir_new("/tmp", &d, &e), 0);
	e = (struct err){0};
	r = jlink_flash(&t, image, &f, &d, &none, &seen, &it, &e);
	tool_dir_done(&d);
	return r;
}

START_TEST(a_flash_passes_on_one_load_and_every_segment_verified)
{
	_cleanup_(freep) char *args = NULL;
	_cleanup_(freep) char *script = NULL;
	_cleanup_(freep) char *segment = NULL;

	ck_assert_msg(flash(BANNER LOADED VERIFIED_TWO END, "0") == 0, "%s", e.msg);
	ck_assert_str_eq(seen.version, "7.94b");
	args = fake_tool_read(&fake, "args");
	ck_assert_str_eq(args, "-NoGui\n1\n-ExitOnError\n1\n-AutoConnect\n1\n-Device\nSTM32F407VG\n"
			       "-If\nSWD\n-Speed\n4000\n-SelectEmuBySN\n51001234\n-CommandFile\n"
			       "commands.jlink\n");
	script = fake_tool_read(&fake, "kept/commands.jlink");
	ck_assert_str_eq(script, "ExitOnError 1\nconnect\nr\nh\nloadfile \"flash.hex\"\n"
				 "verifybin \"segment-0.bin\",0x8000000\n"
				 "verifybin \"segment-1.bin\",0x8004000\nr\ng\nexit\n");
	segment = fake_tool_read(&fake, "kept/segment-1.bin");
	ck_assert_str_eq(segment, "\xaa\xbb\xcc\xdd");
}
END_TEST

START_TEST(the_file_that_it_is_given_is_the_image)
{
	const struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	_cleanup_(freep) char *path = xasprintf("%s/kept/flash.hex", fake.dir);
	struct image *again;

	ck_assert_int_eq(flash(BANNER LOADED VERIFIED_TWO END, "0"), 0);
	ck_assert_msg(image_open(path, &o, &again, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(again->payload, image->payload);
	image_unref(again);
}
END_TEST

START_TEST(what_is_not_said_did_not_happen)
{
	ck_assert_int_eq(flash(BANNER END, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(flash(BANNER LOADED END, "0"), -ERR_NO_EVIDENCE);
	/* One of two segments. */
	ck_assert_int_eq(flash(BANNER LOADED VERIFIED END, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(flash(BANNER VERIFIED_TWO END, "0"), -ERR_NO_EVIDENCE);
	/* It stopped half-way. */
	ck_assert_int_eq(flash(BANNER LOADED VERIFIED_TWO, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(flash(BANNER LOADED VERIFIED_TWO END, "1"), -ERR_TOOL_FAILED);
	/* "Connecting ... O.K." is not a load. */
	ck_assert_int_eq(
		flash("Downloading file [flash.hex]...\n" VERIFIED_TWO END, "0"), -ERR_NO_EVIDENCE);
}
END_TEST

static const struct {
	const char *says;
	enum err_code code;
} failures[] = {
	{"Connecting to J-Link via USB...FAILED", ERR_PORT_UNBOUND},
	{"Connecting to J-Link via USB...FAILED: Cannot connect to J-Link.", ERR_PORT_UNBOUND},
	{"J-Link connection not established yet but required for command.", ERR_PORT_UNBOUND},
	{"Error: No J-Link device found.", ERR_PORT_UNBOUND},
	{"Invalid serial number", ERR_WRONG_DEVICE},
	{"Multiple devices found, specify the desired device", ERR_RECIPE_INVALID},
	{"libusb_open() failed with LIBUSB_ERROR_ACCESS", ERR_ACCESS},
	{"LIBUSB_ERROR_BUSY", ERR_BUSY},
	{"VTref=0.000V", ERR_TIMEOUT},
	{"Cannot connect to target.", ERR_TIMEOUT},
	{"****** Error: Could not connect to target.", ERR_TIMEOUT},
	{"Target connection not established yet but required for command.", ERR_TIMEOUT},
	{"InitTarget(): PCode returned with error code -1", ERR_TIMEOUT},
	{"CPU could not be halted", ERR_TIMEOUT},
	{"Writing failed.", ERR_DEVICE_REFUSED},
	{"Reading failed.", ERR_DEVICE_REFUSED},
	{"Writing target memory failed.", ERR_DEVICE_REFUSED},
	{"****** Error: Failed to erase sectors.", ERR_DEVICE_REFUSED},
	{"Device is read protected.", ERR_DEVICE_REFUSED},
	{"Verify failed @ address 0x08000004", ERR_VERIFY_MISMATCH},
	{"****** Error: Verification failed @ address 0x08000000", ERR_VERIFY_MISMATCH},
	{"Failed to open file.", ERR_IMAGE_INVALID},
	{"****** Error: Something new", ERR_TOOL_FAILED},
	{"Unspecified error -1", ERR_TOOL_FAILED},
	{"Unknown command. '?' for help.", ERR_TOOL_FAILED},
};

START_TEST(every_failure_text_has_its_code_although_it_ends_with_0)
{
	_cleanup_(freep) char *says =
		xasprintf(BANNER "%s\n" LOADED VERIFIED_TWO END, failures[_i].says);

	ck_assert_msg(flash(says, "0") == -(int)failures[_i].code, "'%s': %s (%s)",
		failures[_i].says, err_code_str(e.code), e.msg);
	ck_assert_msg(strstr(e.msg, failures[_i].says) != NULL, "%s", e.msg);
	ck_assert_ptr_nonnull(strstr(e.msg, "J-Link Commander"));
}
END_TEST

/* Failures as they come, one after the other, and the sentence of the one that is the cause. */
static const struct {
	const char *says;
	enum err_code code;
	const char *sentence;
} causes[] = {
	{"J-Link>connect\nConnecting to J-Link via USB...FAILED: Cannot connect to J-Link.\n"
	 "J-Link connection not established yet but required for command.\nConnecting to J-Link "
	 "via USB...FAILED\n",
		ERR_PORT_UNBOUND, "is the probe plugged"},
	{"VTref=0.000V\nTarget connection not established yet but required for command.\n****** "
	 "Error: Could not connect to target.\nCannot connect to target.\n",
		ERR_TIMEOUT, "no power at the probe's reference pin"},
	{"InitTarget() start\nInitTarget(): PCode returned with error code -1\nCannot connect to "
	 "target.\n",
		ERR_TIMEOUT, "is it powered and seated"},
	{"Downloading file [flash.hex]...\n****** Error: Failed to erase sectors.\nUnspecified "
	 "error -1\n",
		ERR_DEVICE_REFUSED, "could not be erased"},
	{"Downloading file [flash.hex]...\nWriting target memory failed.\n****** Error: Something "
	 "new\n",
		ERR_DEVICE_REFUSED, "could not be written"},
	{"Loading binary file segment-0.bin\nReading 8 bytes data from target memory @ "
	 "0x08000000.\nVerify failed @ address 0x08000004.\n****** Error: Script failed\n",
		ERR_VERIFY_MISMATCH, "@ address 0x08000004"},
	{"J-Link>loadfile \"flash.hex\"\nDownloading file [flash.hex]...\nFailed to open file.\n",
		ERR_IMAGE_INVALID, "could not be read"},
};

/* It goes on after most of them, and completes its script. */
START_TEST(of_several_failures_the_cause_is_told)
{
	_cleanup_(freep) char *says =
		xasprintf(BANNER "%s" LOADED VERIFIED_TWO END, causes[_i].says);

	for (int status = 0; status < 2; status++) {
		ck_assert_msg(flash(says, status ? "1" : "0") == -(int)causes[_i].code,
			"'%s': %s (%s)", causes[_i].says, err_code_str(e.code), e.msg);
		ck_assert_msg(strstr(e.msg, causes[_i].sentence) != NULL, "%s", e.msg);
	}
}
END_TEST

START_TEST(nothing_of_a_recipe_is_read_as_a_command)
{
	static const char *const words[] = {"x\nerase", "A\" 1", "-CommandFile", "a b", ""};
	struct jlink_target t = target();

	ck_assert_int_eq(jlink_check(&t, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		t = target();
		t.device = words[i];
		ck_assert_int_eq(jlink_check(&t, &e), -ERR_INVALID);
		t = target();
		t.serial = words[i];
		ck_assert_int_eq(jlink_check(&t, &e), -ERR_INVALID);
		t = target();
		t.interface = words[i];
		ck_assert_int_eq(jlink_check(&t, &e), -ERR_INVALID);
	}
	t = target();
	t.serial = "066FFF48"; /* an ST-LINK's */
	ck_assert_int_eq(jlink_check(&t, &e), -ERR_INVALID);
}
END_TEST

static int script(const char *const *line, const char *const *success, const char *const *failure,
	const char *says)
{
	const struct iotime it = {now_us() + 30 * US_PER_S, NULL};
	const struct jlink_target t = target();
	const struct jlink_commands c = {line, success, failure, "^Value = (0x\\w+)"};
	const struct teller none = {0};
	struct tool_dir d;
	int r;

	fake_tool_says(&fake, says, "0");
	tool_outcome_done(&seen);
	ck_assert_int_eq(tool_dir_new("/tmp", &d, &e), 0);
	r = jlink_script(&t, &c, &d, &none, &seen, &it, &e);
	tool_dir_done(&d);
	return r;
}

START_TEST(a_script_of_the_sites_own_is_judged_by_its_markers)
{
	const char *line[] = {"mem32 0x1FFF7A10,1", "sleep 10", NULL};
	const char *success[] = {"^1FFF7A10 = ", NULL};
	const char *failure[] = {"DEADBEEF", NULL};
	const char *bad[] = {"a\nexit", NULL};
	_cleanup_(freep) char *text = NULL;

	ck_assert_msg(script(line, success, failure,
			      BANNER "1FFF7A10 = 00350047\nValue = 0x47\n" END) == 0,
		"%s", e.msg);
	ck_assert_str_eq(seen.value, "0x47");
	text = fake_tool_read(&fake, "kept/commands.jlink");
	ck_assert_str_eq(text, "ExitOnError 1\nmem32 0x1FFF7A10,1\nsleep 10\nexit\n");
	ck_assert_int_eq(script(line, success, failure, BANNER "1FFF7A10 = DEADBEEF\n" END),
		-ERR_TOOL_FAILED);
	ck_assert_int_eq(script(line, success, failure, BANNER END), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(script(line, success, NULL, BANNER "1FFF7A10 = 1\nReading failed.\n" END),
		-ERR_DEVICE_REFUSED);
	ck_assert_int_eq(script(bad, success, NULL, ""), -ERR_INVALID);
}
END_TEST

static Suite *jlink_suite(void)
{
	Suite *s = suite_create("jlink");
	TCase *t = tcase_create("jlink");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, a_flash_passes_on_one_load_and_every_segment_verified);
	tcase_add_test(t, the_file_that_it_is_given_is_the_image);
	tcase_add_test(t, what_is_not_said_did_not_happen);
	tcase_add_loop_test(
		t, every_failure_text_has_its_code_although_it_ends_with_0, 0, ARRAY_LEN(failures));
	tcase_add_loop_test(t, of_several_failures_the_cause_is_told, 0, ARRAY_LEN(causes));
	tcase_add_test(t, nothing_of_a_recipe_is_read_as_a_command);
	tcase_add_test(t, a_script_of_the_sites_own_is_judged_by_its_markers);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(jlink_suite)
