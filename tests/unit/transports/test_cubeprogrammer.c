/* SPDX-License-Identifier: Apache-2.0
 *
 * STM32_Programmer_CLI is proprietary: a fake replays what it says.
 */
#include "transports/tools/cubeprogrammer.h"

#include "tests/unit/transports/fake_tool.h"
#include "tests/unit/unit.h"

static struct fake_tool fake;
static struct tool_outcome seen;
static struct image *image;
static struct strbuf progressed;
static struct err e;

#define BANNER                                                                                   \
	"      -------------------------------------------------------------------\n"            \
	"                        STM32CubeProgrammer v2.15.0                  \n"                \
	"      -------------------------------------------------------------------\n\n"          \
	"ST-LINK SN  : 066FFF485457725187052924\nST-LINK FW  : V2J43M28\nBoard       : NUCLEO\n" \
	"Voltage     : 3.26V\nSWD freq    : 4000 KHz\nConnect mode: Under Reset\n"               \
	"Reset mode  : Hardware reset\nDevice ID   : 0x413\nDevice name : STM32F405xx\n"
#define ERASED                                                                            \
	"\n\nMemory Programming ...\nOpening and parsing file: flash.hex\n"               \
	"  File          : flash.hex\n  Size          : 8.00 B \n"                        \
	"  Address       : 0x08000000 \n\n\nErasing memory corresponding to segment 0:\n" \
	"Erasing internal memory sector 0\n"
#define BAR "\xe2\x96\x88\xe2\x96\x88"
#define DOWNLOADED                                                                        \
	"Download in Progress:\n\033[32m" BAR "  25%\033[0m\r" BAR BAR " 100%\n\n"        \
	"\033[32mFile download complete\033[0m\nTime elapsed during download operation: " \
	"00:00:00.216\n"
#define VERIFIED                                                    \
	"\n\n\nVerifying ...\n\n\nRead progress:\n" BAR " 100%\n\n" \
	"\033[32mDownload verified successfully \033[0m\n\n\n"
#define RESET "MCU Reset\n\nSoftware reset is performed\n"

static const char hex[] = ":020000040800F2\n:080000000102030405060708D4\n:00000001FF\n";

static void set_up(void)
{
	const struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);

	fake_tool_init(&fake);
	ck_assert_msg(image_parse("app.hex", hex, strlen(hex), &o, &image, &e) == 0, "%s", e.msg);
}

static void tear_down(void)
{
	tool_outcome_done(&seen);
	image = image_unref(image);
	sb_done(&progressed);
	fake_tool_done(&fake);
}

static void keep_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	if (total == 100)
		sb_addf(&progressed, "%s %d;", phase, (int)done);
}

static struct cube_target target(void)
{
	return (struct cube_target){.program = fake.program,
		.port = CUBE_SWD,
		.serial = "066FFF485457725187052924",
		.speed_khz = 4000,
		.mode = "UR",
		.reset = "HWrst",
		.access_port = -1};
}

static int flash_with(const struct cube_target *t, const struct cube_flash *f, const char *says,
	const char *status)
{
	const struct iotime it = {now_us() + 30 * US_PER_S, NULL};
	const struct teller hooks = {.progress = keep_progress};
	struct tool_dir d;
	int r;

	fake_tool_says(&fake, says, status);
	tool_outcome_done(&seen);
	sb_clear(&progressed);
	ck_assert_int_eq(tool_dir_new("/tmp", &d, &e), 0);
	e = (struct err){0};
	r = cube_flash(t, image, f, &d, &hooks, &seen, &it, &e);
	tool_dir_done(&d);
	return r;
}

static int flash(const char *says, const char *status)
{
	const struct cube_target t = target();
	const struct cube_flash f = {.start = true};

	return flash_with(&t, &f, says, status);
}

static void assert_args(const char *want)
{
	_cleanup_(freep) char *args = fake_tool_read(&fake, "args");

	ck_assert_str_eq(args, want);
}

START_TEST(a_flash_passes_on_its_three_lines)
{
	ck_assert_msg(flash(BANNER ERASED DOWNLOADED VERIFIED RESET, "0") == 0, "%s", e.msg);
	ck_assert_str_eq(seen.version, "2.15.0");
	ck_assert_str_eq(progressed.s, "write 25;write 100;write 100;");
	assert_args(
		"-c\nport=SWD\nfreq=4000\nmode=UR\nreset=HWrst\nsn=066FFF485457725187052924\n-w\n"
		"flash.hex\n-v\n-rst\n");

	const struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	_cleanup_(freep) char *path = xasprintf("%s/kept/flash.hex", fake.dir);
	struct image *again;

	ck_assert_msg(image_open(path, &o, &again, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(again->payload, image->payload);
	image_unref(again);
}
END_TEST

START_TEST(what_is_not_said_did_not_happen)
{
	ck_assert_int_eq(flash(BANNER ERASED DOWNLOADED VERIFIED, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(flash(BANNER ERASED DOWNLOADED RESET, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(flash(BANNER ERASED VERIFIED RESET, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(flash(BANNER ERASED DOWNLOADED VERIFIED RESET, "1"), -ERR_TOOL_FAILED);
}
END_TEST

START_TEST(an_error_wins_over_the_verified_that_follows_it)
{
	ck_assert_int_eq(
		flash(BANNER ERASED
			"\033[31mError: Failed to download data! If it's a Flash memory, it may "
			"be not erased or protected\033[0m\n" DOWNLOADED VERIFIED RESET,
			"0"),
		-ERR_DEVICE_REFUSED);
}
END_TEST

START_TEST(the_boot_rom_is_reached_over_usb_and_a_serial_line)
{
	static const char *const option[] = {"RDP=0xAA", "nBOOT0=1", NULL};
	struct cube_target t = {.program = fake.program, .port = CUBE_USB, .access_port = -1};
	struct cube_flash f = {.erase_all = true};

	ck_assert_msg(flash_with(&t, &f, BANNER DOWNLOADED VERIFIED, "0") == 0, "%s", e.msg);
	assert_args("-c\nport=usb1\n-e\nall\n-w\nflash.hex\n-v\n");
	t.port = CUBE_UART;
	t.node = "/dev/ttyUSB3";
	f = (struct cube_flash){.option = option};
	ck_assert_int_eq(flash_with(&t, &f, BANNER DOWNLOADED VERIFIED, "0"), -ERR_NO_EVIDENCE);
	ck_assert_int_eq(
		flash_with(&t, &f,
			BANNER DOWNLOADED VERIFIED "Option Bytes successfully programmed\n", "0"),
		0);
	assert_args("-c\nport=/dev/ttyUSB3\nbr=115200\nP=EVEN\n-w\nflash.hex\n-v\n-ob\nRDP=0xAA\n"
		    "nBOOT0=1\n");
}
END_TEST

static const struct {
	const char *says;
	enum err_code code;
} failures[] = {
	{"Error: No debug probe detected.", ERR_PORT_UNBOUND},
	{"Error: No STM32 target found! If your product embeds Debug Authentication, please "
	 "perform a "
	 "discovery using Debug Authentication",
		ERR_TIMEOUT},
	{"Error: ST-LINK error (DEV_TARGET_NOT_POWERED)", ERR_TIMEOUT},
	{"Voltage     : 0.02V", ERR_TIMEOUT},
	{"Error: ST-LINK error (DEV_CONNECT_ERR)", ERR_TIMEOUT},
	{"Error: ST-LINK error (DEV_USB_COMM_ERR)", ERR_IO},
	{"Error: Unable to get core ID", ERR_TIMEOUT},
	{"Error: Cannot identify the device", ERR_WRONG_DEVICE},
	{"Error: failed to erase memory", ERR_DEVICE_REFUSED},
	{"Error: Failed to download data! If it's a Flash memory, it may be not erased or "
	 "protected",
		ERR_DEVICE_REFUSED},
	{"Error: Expected value for Option Byte \"nBOOT0\": 0x0, found: 0x1",
		ERR_READ_BACK_MISMATCH},
	{"Error: Expected value for Option Byte \"RDP\": 0xAA, found: 0xBB",
		ERR_READ_BACK_MISMATCH},
	{"Error: Option Byte Programming failed", ERR_READ_BACK_MISMATCH},
	{"Error: Data read failed: the device is under read-out protection", ERR_DEVICE_REFUSED},
	{"Error: Data mismatch found at address 0x08000004 (byte = 0xFF instead of 0x05)",
		ERR_VERIFY_MISMATCH},
	{"Error: Download verification failed", ERR_VERIFY_MISMATCH},
	{"Error: File does not exist: flash.hex", ERR_IMAGE_INVALID},
	{"Error: libusb: LIBUSB_ERROR_ACCESS", ERR_ACCESS},
	{"Error: Something new", ERR_TOOL_FAILED},
	{"Wrong command parameter", ERR_TOOL_FAILED},
};

START_TEST(every_failure_text_has_its_code_although_it_ends_with_0)
{
	_cleanup_(freep) char *says = xasprintf(
		"%s\033[31m%s\033[0m\r\n%s", BANNER, failures[_i].says, DOWNLOADED VERIFIED RESET);

	ck_assert_msg(flash(says, "0") == -(int)failures[_i].code, "'%s': %s (%s)",
		failures[_i].says, err_code_str(e.code), e.msg);
}
END_TEST

/* Failures as they come, one after the other, and the sentence of the one that is the cause. */
static const struct {
	const char *says;
	enum err_code code;
	const char *sentence;
} causes[] = {
	{"Error: ST-LINK error (DEV_TARGET_NOT_POWERED)\nError: No STM32 target found! If your "
	 "product embeds Debug Authentication, please perform a discovery\n",
		ERR_TIMEOUT, "the unit has no power"},
	{"Voltage     : 0.00V\nError: Unable to get core ID\nError: No STM32 target found!\n",
		ERR_TIMEOUT, "the unit has no power"},
	{"Error: Unable to get core ID\nError: No STM32 target found!\n", ERR_TIMEOUT,
		"is it powered and seated"},
	{"Error: failed to erase memory\nError: Failed to download data! If it's a Flash memory, "
	 "it "
	 "may be not erased or protected\nDownload verified successfully\n",
		ERR_DEVICE_REFUSED, "could not be erased"},
	{"Error: Expected value for Option Byte \"RDP\": 0xAA, found: 0xBB\nError: Option Byte "
	 "Programming failed\n",
		ERR_READ_BACK_MISMATCH, "\"RDP\": 0xAA, found: 0xBB"},
	{"Error: Data mismatch found at address 0x08000004 (byte = 0xFF instead of 0x05)\nError: "
	 "Download verification failed\n",
		ERR_VERIFY_MISMATCH, "0x08000004"},
};

START_TEST(of_several_failures_the_cause_is_told)
{
	_cleanup_(freep) char *says = xasprintf("%s%s", BANNER ERASED, causes[_i].says);

	ck_assert_msg(flash(says, "1") == -(int)causes[_i].code, "'%s': %s (%s)", causes[_i].says,
		err_code_str(e.code), e.msg);
	ck_assert_msg(strstr(e.msg, causes[_i].sentence) != NULL, "%s", e.msg);
}
END_TEST

START_TEST(level_2_is_refused_however_it_is_written)
{
	static const char *const two[] = {"RDP=0xCC", "RDP=0xcc", "RDP=204", "rdp=0x00CC",
		"RDP_KEY=0xCC", "RDP=0x1CC", "RDP=460", "RDP=0XCC", "RDP=0314", "RDP=CC",
		"RDP=0xCC ", "RDP"};
	const struct cube_target t = target();

	for (size_t i = 0; i < ARRAY_LEN(two); i++) {
		const char *option[] = {"nBOOT0=1", two[i], NULL};
		const struct cube_flash f = {.option = option};

		ck_assert_msg(cube_check(&t, &f, &e) == -ERR_INVALID, "%s", two[i]);
	}
}
END_TEST

START_TEST(nothing_of_a_recipe_is_read_as_another_argument)
{
	static const char *const words[] = {"-ob", "a b", "x\n", "a=b", ""};
	const struct cube_flash f = {0};
	struct cube_target t = target();

	ck_assert_int_eq(cube_check(&t, &f, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		t = target();
		t.serial = words[i];
		ck_assert_int_eq(cube_check(&t, &f, &e), -ERR_INVALID);
		t = target();
		t.mode = words[i];
		ck_assert_int_eq(cube_check(&t, &f, &e), -ERR_INVALID);
		t = (struct cube_target){.port = CUBE_UART, .node = words[i]};
		ck_assert_int_eq(cube_check(&t, &f, &e), -ERR_INVALID);
	}
	t.node = "/etc/passwd";
	ck_assert_int_eq(cube_check(&t, &f, &e), -ERR_INVALID);
}
END_TEST

static Suite *cube_suite(void)
{
	Suite *s = suite_create("cubeprogrammer");
	TCase *t = tcase_create("cubeprogrammer");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, a_flash_passes_on_its_three_lines);
	tcase_add_test(t, what_is_not_said_did_not_happen);
	tcase_add_test(t, an_error_wins_over_the_verified_that_follows_it);
	tcase_add_test(t, the_boot_rom_is_reached_over_usb_and_a_serial_line);
	tcase_add_loop_test(
		t, every_failure_text_has_its_code_although_it_ends_with_0, 0, ARRAY_LEN(failures));
	tcase_add_loop_test(t, of_several_failures_the_cause_is_told, 0, ARRAY_LEN(causes));
	tcase_add_test(t, level_2_is_refused_however_it_is_written);
	tcase_add_test(t, nothing_of_a_recipe_is_read_as_another_argument);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(cube_suite)
