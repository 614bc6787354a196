/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenOCD replaced by a shell script that says what the real one was seen to say.
 */
#include "transports/tools/openocd.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/strbuf.h"
#include "tests/unit/unit.h"
#include "transports/tools/openocd_rpc.h"
#include "transports/tools/openocd_job.h"

#define BANNER "Open On-Chip Debugger 0.12.0\\nLicensed under GNU GPL v2\\n"
#define GOOD                                                                                 \
	BANNER "** Programming Started **\\n** Programming Finished **\\n** Verify Started " \
	       "**\\n** Verified OK **\\n** Resetting Target **\\nshutdown command invoked\\n"

static char dir[] = "/tmp/provd-openocd-test-XXXXXX";
static char script[64];
static struct err e;
static struct openocd_result res;
static struct image *image;
static struct openocd_probe probe;
static struct openocd_job job;
static struct strbuf logged, phases;

static void on_log(void *data, char d, const char *text)
{
	sb_addf(&logged, "%c%s\n", d, text);
}

static void on_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	sb_addf(&phases, "%s ", phase);
}

static void setup(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(script, sizeof script, "%s/openocd", dir);
	ck_assert_int_eq(image_parse("fw", "0123456789", 10,
				 &(struct image_opts){.address = 0x08000000, .format = IMAGE_BIN},
				 &image, &e),
		0);
	probe = (struct openocd_probe){
		.program = script, .work_dir = dir, .interface = "stlink", .target = "stm32f1x"};
	job = (struct openocd_job){.kind = OPENOCD_PROGRAM, .image = {image}, .images = 1};
	e = (struct err){0};
}

/* Nothing is left but the script: the run's own directory has gone. */
static void only_the_script_is_left(void)
{
	DIR *d = opendir(dir);

	ck_assert_ptr_nonnull(d);
	for (struct dirent *ent; (ent = readdir(d));)
		if (ent->d_name[0] != '.')
			ck_assert_str_eq(ent->d_name, "openocd");
	closedir(d);
}

static void teardown(void)
{
	openocd_result_done(&res);
	image = image_unref(image);
	sb_done(&logged);
	sb_done(&phases);
	unlink(script);
	rmdir(dir);
}

/* What OpenOCD does is said on stderr. */
static void the_program_is(const char *sh)
{
	FILE *f = fopen(script, "we");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\n%s\n", sh);
	fclose(f);
	chmod(script, 0700);
}

static int run_within(uint64_t us, const struct cancel *cancel)
{
	const struct teller h = {NULL, on_progress, on_log};
	const struct iotime it = {now_us() + us, cancel};
	int r;

	openocd_result_done(&res);
	sb_clear(&logged);
	sb_clear(&phases);
	r = openocd_run(&probe, &job, &h, &it, &res, &e);
	only_the_script_is_left();
	return r;
}

static int run_saying(const char *text, int status)
{
	char sh[4096];

	snprintf(sh, sizeof sh, "printf '%%b' '%s' >&2\nexit %d", text, status);
	the_program_is(sh);
	return run_within(30 * US_PER_S, NULL);
}

START_TEST(programming_passes_on_its_markers)
{
	job.leave = OPENOCD_RESET_RUN;
	ck_assert_msg(run_saying(GOOD, 0) == 0, "%s", e.msg);
	ck_assert_str_eq(res.tool.version, "0.12.0");
	ck_assert_str_eq(res.tool.program, script);
	ck_assert_uint_eq(res.lines, 2);
	ck_assert_str_eq(res.line[1], "** Verified OK **");
	ck_assert_str_eq(phases.s, "connect program verify reset ");
	ck_assert_ptr_nonnull(strstr(logged.s, "<** Verify Started **\n"));
	ck_assert_uint_eq(res.image_bytes, 10);
}
END_TEST

#define INITED                                                                                  \
	"Info : clock speed 1000 kHz\\nInfo : JTAG tap: stm32f1x.cpu tap/device found: "        \
	"0x3ba00477 "                                                                           \
	"(mfg: 0x23b (ARM Ltd), part: 0xba00, ver: 0x3)\\nInfo : stm32f1x.cpu: Cortex-M3 r1p1 " \
	"processor detected\\nInfo : stm32f1x.cpu: target has 6 breakpoints, 4 watchpoints\\n"  \
	"target halted due to debug-request, current mode: Thread\\nxPSR: 0x01000000 pc: "      \
	"0xfffffffe msp: 0xfffffffc\\nInfo : device id = 0x20036410\\nInfo : flash size = 128 " \
	"KiB\\n"
#define DOWN "shutdown command invoked\\n"

/* What OpenOCD says before and after a failure. */
enum { AT_INIT, AT_CONFIG, AT_RESET, AT_FLASH, AT_VERIFY };
static const struct {
	const char *before, *after;
} context[] = {
	[AT_INIT] = {"Info : clock speed 1000 kHz\\n", "** OpenOCD init failed **\\n" DOWN},
	[AT_CONFIG] = {"", ""},
	[AT_RESET] = {INITED, "** Unable to reset target **\\n" DOWN},
	[AT_FLASH] = {INITED "** Programming Started **\\n", "** Programming Failed **\\n" DOWN},
	[AT_VERIFY] = {INITED "** Programming Started **\\n** Programming Finished **\\n** Verify "
			      "Started **\\n",
		"** Verify Failed **\\n" DOWN},
};

/* The rows of the table of causes: text, code, when it is said. */
static const struct {
	const char *text;
	enum err_code code;
	int when;
} causes[] = {
	{"Error: open failed", ERR_PORT_UNBOUND},
	{"Error: No J-Link device found", ERR_PORT_UNBOUND},
	{"Error: unable to find a matching CMSIS-DAP device", ERR_PORT_UNBOUND},
	{"Error: no device found", ERR_PORT_UNBOUND},
	{"Error: Error on socket '\\''Failed to connect'\\'': errno==9, message: Bad file "
	 "descriptor.",
		ERR_PORT_UNBOUND},
	{"Error: unable to open ftdi device with vid 0403, pid 6010, description \"*\", serial "
	 "\"*\" at bus location \"*\"",
		ERR_PORT_UNBOUND},
	{"Error: ST-LINK open failed (serial mismatch)", ERR_WRONG_DEVICE},
	{"Error: Invalid serial number: 12z", ERR_WRONG_DEVICE},
	{"Error: Multiple devices found, specify the desired device", ERR_RECIPE_INVALID},
	{"Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", ERR_ACCESS},
	{"Error: libusb_claim_interface() failed with LIBUSB_ERROR_BUSY", ERR_BUSY},
	{"Error: the selected device is already used", ERR_BUSY},
	{"Info : Target voltage: 0.001606", ERR_TIMEOUT},
	{"Error: target voltage may be too low for reliable debugging", ERR_TIMEOUT},
	{"Error: init mode failed (unable to connect to the target)", ERR_TIMEOUT},
	{"Error: Error connecting DP: cannot read IDR", ERR_TIMEOUT},
	{"Warn : target stm32f1x.cpu examination failed", ERR_TIMEOUT},
	{"Error: unable to connect to the target", ERR_TIMEOUT},
	{"Error: JTAG scan chain interrogation failed: all ones", ERR_TIMEOUT},
	{"Error: timed out while waiting for target halted", ERR_TIMEOUT, AT_RESET},
	{"Error: Target not halted", ERR_TIMEOUT, AT_FLASH},
	{"** Unable to reset target **", ERR_TIMEOUT, AT_RESET},
	{"** OpenOCD init failed **", ERR_TIMEOUT},
	{"Error: Device Security Bit Set", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Error: stm32x device protected", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Info : device id = 0x00000000", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Warn : Cannot identify target as a STM32 family.", ERR_WRONG_DEVICE, AT_FLASH},
	{"Warn : could not claim interface: Resource busy", ERR_BUSY},
	{"Error: error writing data: No such device (it may have been disconnected)",
		ERR_DEVICE_GONE},
	{"Warn : ** APPROTECT is active: the device is locked **", ERR_DEVICE_REFUSED},
	{"Error: flash memory write protected", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Error: auto_probe failed", ERR_WRONG_DEVICE, AT_FLASH},
	{"Warn : JTAG tap: stm32f1x.cpu       UNEXPECTED: 0x12345677 (mfg: 0x33b)",
		ERR_WRONG_DEVICE},
	{"Warn : UNEXPECTED idcode: 0x2ba01477", ERR_WRONG_DEVICE},
	{"Error: unexpected idcode", ERR_WRONG_DEVICE},
	{"Warn : no flash bank found for address 0x09000000", ERR_IMAGE_RANGE, AT_FLASH},
	{"Error: Flash write aborted", ERR_IMAGE_RANGE, AT_FLASH},
	{"Error: flash write failed at address 0x08000200", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Error: error executing stm32x flash write algorithm", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Error: timed out waiting for flash", ERR_DEVICE_REFUSED, AT_FLASH},
	{"Error: failed erasing sectors 0 to 3", ERR_DEVICE_REFUSED, AT_FLASH},
	{"** Programming Failed **", ERR_DEVICE_REFUSED, AT_FLASH},
	{"** Verify Failed **", ERR_VERIFY_MISMATCH, AT_VERIFY},
	{"Error: checksum mismatch - attempting binary compare", ERR_VERIFY_MISMATCH, AT_VERIFY},
	{"diff 0 address 0x08000100. Was 0x92 instead of 0x93", ERR_VERIFY_MISMATCH, AT_VERIFY},
	{"embedded:startup.tcl:28: Error: Can'\\''t find interface/nosuch.cfg", ERR_RECIPE_INVALID,
		AT_CONFIG},
	{"Error: couldn'\\''t open i0.hex", ERR_RECIPE_INVALID, AT_CONFIG},
	{"invalid command name \"nosuchcmd\"", ERR_RECIPE_INVALID, AT_CONFIG},
	{"Error: couldn'\\''t bind tcl to socket on port 6666: Address already in use", ERR_BUSY,
		AT_CONFIG},
	{"Error: remote_bitbang: socket closed", ERR_DEVICE_GONE, AT_FLASH},
	{"Error: Error on socket '\\''remote_bitbang_putc'\\'': errno==32, message: Broken pipe.",
		ERR_DEVICE_GONE},
	{"Error: ST-LINK open failed", ERR_PORT_UNBOUND},
	{"Error: Unsupported device id 0x00000445", ERR_WRONG_DEVICE, AT_FLASH},
	{"Warn : flash size clipped to 128 KiB", ERR_WRONG_DEVICE, AT_FLASH},
	/* Together with what belongs to them. */
	{"Info : device id = 0x00000000\\nWarn : Cannot identify target as a STM32 family.",
		ERR_DEVICE_REFUSED, AT_FLASH},
	{"Info : Target voltage: 0.001606\\nError: target voltage may be too low for reliable "
	 "debugging\\nError: init mode failed (unable to connect to the target)",
		ERR_TIMEOUT},
	{"Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\\nError: No J-Link device found",
		ERR_ACCESS},
	{"Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\\nError: open failed", ERR_ACCESS},
	{"Info : Unable to match requested speed 1000 kHz, using 950 kHz\\nError: Error connecting "
	 "DP: cannot read IDR",
		ERR_TIMEOUT},
	{"Error: stm32x device protected\\nError: failed erasing sectors 0 to 3",
		ERR_DEVICE_REFUSED, AT_FLASH},
	{"Warn : no flash bank found for address 0x20000000\\nwrote 0 bytes from file i0.hex in "
	 "0.000s (0.000 KiB/s)",
		ERR_IMAGE_RANGE, AT_FLASH},
	{"Error: timed out while waiting for target halted\\nError: error executing stm32x flash "
	 "write algorithm\\nError: flash write failed at address 0x08000400",
		ERR_DEVICE_REFUSED, AT_FLASH},
	{"Error: checksum mismatch - attempting binary compare\\ndiff 0 address 0x08000000. Was "
	 "0xff instead of 0x01\\nNo more differences found.",
		ERR_VERIFY_MISMATCH, AT_VERIFY},
};

/* A line of it is in the sentence, after what it means. */
static void assert_quotes(const char *text)
{
	_cleanup_(freep) char *said = xstrdup(text);
	bool quoted = false;

	/* As the shell said it. */
	for (char *at; (at = strstr(said, "'\\''"));)
		memmove(at + 1, at + 4, strlen(at + 4) + 1);
	for (char *at; (at = strstr(said, "\\n"));)
		at[0] = at[1] = '\n';
	for (char *save, *at = strtok_r(said, "\n", &save); at; at = strtok_r(NULL, "\n", &save))
		quoted |= strstr(e.msg, at) != NULL;
	ck_assert_msg(quoted, "'%s' does not say '%s'", e.msg, text);
}

/* The worst of them end with status 0, after all positive markers. */
START_TEST(each_failure_text_has_its_code_whatever_the_status_and_the_markers)
{
	const char *before = context[causes[_i].when].before;
	char text[2048];

	for (int status = 0; status < 2; status++) {
		snprintf(text, sizeof text, BANNER "%s%s\\n%s", before, causes[_i].text,
			status ? context[causes[_i].when].after : GOOD);
		ck_assert_msg(run_saying(text, status) == -(int)causes[_i].code,
			"%s: %s expected, got %s: %s", causes[_i].text,
			err_code_str(causes[_i].code), err_code_str(e.code), e.msg);
		ck_assert_msg(strstr(e.msg, "OpenOCD: "), "%s", e.msg);
		assert_quotes(causes[_i].text);
	}
}
END_TEST

START_TEST(what_it_says_on_the_way_is_no_failure)
{
	ck_assert_msg(run_saying(BANNER INITED GOOD, 0) == 0, "%s", e.msg);
}
END_TEST

START_TEST(the_most_specific_cause_wins_over_what_follows_from_it)
{
	ck_assert_int_eq(run_saying("Error: init mode failed (unable to connect to the target)\\n"
				    "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\\n"
				    "** OpenOCD init failed **\\n",
				 1),
		-ERR_ACCESS);
}
END_TEST

START_TEST(status_0_without_the_markers_is_no_evidence)
{
	static const char *const texts[] = {"", "** Programming Finished **\\n",
		"** Verified OK **\\n", "x** Programming Finished **\\nx** Verified OK **\\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_int_eq(run_saying(texts[i], 0), -ERR_NO_EVIDENCE);
}
END_TEST

START_TEST(a_failure_that_no_rule_knows_is_told_with_its_last_error)
{
	ck_assert_int_eq(
		run_saying("Error: first\\nError: the moon is full\\n", 1), -ERR_TOOL_FAILED);
	ck_assert_msg(strstr(e.msg, "status 1, expected 0; it said: 'Error: the moon is full'"),
		"%s", e.msg);
}
END_TEST

START_TEST(warnings_that_are_allowed_stand_in_the_record)
{
	ck_assert_int_eq(
		run_saying("Warn : Adding extra erase range, 0x0800138c .. 0x080013ff\\n"
			   "Info : Padding image section 0 at 0x0800138b with 1 bytes\\n" GOOD,
			0),
		0);
	ck_assert_uint_eq(res.warnings, 2);
}
END_TEST

START_TEST(regions_pass_when_all_their_bytes_were_written_and_verified)
{
	static const struct {
		const char *wrote, *verified;
		int want;
	} cases[] = {
		{"wrote 12 bytes from file i0.hex in 0.1s (1 KiB/s)\\n",
			"verified 10 bytes in 0.1s (1 KiB/s)\\n", 0},
		{"wrote 0 bytes from file i0.hex in 0.1s (0 KiB/s)\\n",
			"verified 10 bytes in 0.1s (1 KiB/s)\\n", -ERR_NO_EVIDENCE},
		{"wrote 12 bytes from file i0.hex in 0.1s (1 KiB/s)\\n",
			"verified 4 bytes in 0.1s (1 KiB/s)\\n", -ERR_NO_EVIDENCE},
		{"wrote 12 bytes from file i0.hex in 0.1s (1 KiB/s)\\n", "", -ERR_NO_EVIDENCE},
		{"", "verified 10 bytes in 0.1s (1 KiB/s)\\n", -ERR_NO_EVIDENCE},
	};
	char text[512];

	job.kind = OPENOCD_FLASH;
	snprintf(text, sizeof text, "%s%s", cases[_i].wrote, cases[_i].verified);
	ck_assert_int_eq(run_saying(text, 0), cases[_i].want);
}
END_TEST

#define VERIFIED "verified 10 bytes in 0.1s (1 KiB/s)"

/* Where provd compares itself, no marker helps. */
START_TEST(a_read_back_that_differs_or_is_missing_is_no_pass)
{
	job.kind = OPENOCD_VERIFY;
	job.read_back = true;
	the_program_is("printf 0123456789 > o0.bin; echo '" VERIFIED "' >&2");
	ck_assert_msg(run_within(30 * US_PER_S, NULL) == 0, "%s", e.msg);
	ck_assert_str_eq(res.sha256_read, res.sha256_image);
	the_program_is("printf 0123456x89 > o0.bin; echo '" VERIFIED "' >&2");
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_VERIFY_MISMATCH);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x08000007 holds 0x78, 0x37"));
	ck_assert_str_eq(res.sha256_read, "");
	the_program_is("printf 012345678 > o0.bin; echo '" VERIFIED "' >&2");
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_NO_EVIDENCE);
	the_program_is("echo '" VERIFIED "' >&2");
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_NO_EVIDENCE);
}
END_TEST

START_TEST(an_erase_is_proved_by_blank_cells)
{
	job = (struct openocd_job){
		.kind = OPENOCD_ERASE, .address = 0x08000000, .size = 4, .erased = 0xff};
	the_program_is("printf '\\377\\377\\377\\377' > o0.bin; echo 'dumped 4 bytes in 1s' >&2;"
		       "echo 'erased address 0x08000000 (length 4) in 0.1s (1 KiB/s)' >&2");
	ck_assert_msg(run_within(30 * US_PER_S, NULL) == 0, "%s", e.msg);
	the_program_is("printf '\\377\\377\\377\\376' > o0.bin; echo 'dumped 4 bytes in 1s' >&2;"
		       "echo 'erased address 0x08000000 (length 4) in 0.1s (1 KiB/s)' >&2");
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_VERIFY_MISMATCH);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x08000003 holds 0xfe"));
}
END_TEST

START_TEST(commands_pass_on_every_pattern_that_was_declared)
{
	static const char *const command[] = {"mdw 0x08000000", NULL};
	static const char *const expect[] = {"^0x08000000: ", "deadbeef", NULL};

	job = (struct openocd_job){.kind = OPENOCD_COMMAND, .command = command, .expect = expect};
	ck_assert_int_eq(run_saying("0x08000000: deadbeef\\n", 0), 0);
	ck_assert_int_eq(run_saying("0x08000000: deadbeee\\n", 0), -ERR_NO_EVIDENCE);
	ck_assert_ptr_nonnull(strstr(e.msg, "deadbeef"));
}
END_TEST

START_TEST(a_program_that_hangs_is_stopped_and_its_cause_is_told)
{
	uint64_t start = now_us();

	the_program_is("trap '' TERM; echo 'Error: libusb_open() failed with LIBUSB_ERROR_ACCESS' "
		       ">&2; sleep 100 & wait; sleep 100");
	ck_assert_int_eq(run_within(300 * US_PER_MS, NULL), -ERR_ACCESS);
	the_program_is("trap '' TERM; sleep 100 & wait; sleep 100");
	ck_assert_int_eq(run_within(300 * US_PER_MS, NULL), -ERR_TIMEOUT);
	ck_assert_uint_lt(now_us() - start, 5 * US_PER_S);
}
END_TEST

static void *fire_when_it_runs(void *data)
{
	_cleanup_(freep) char *flag = xasprintf("%s/openocd.runs", dir);

	while (access(flag, F_OK) != 0)
		usleep(1000);
	unlink(flag);
	cancel_fire(data, ERR_ABORTED);
	return NULL;
}

START_TEST(a_cancel_ends_it_within_a_second_though_it_ignores_term)
{
	struct cancel c;
	pthread_t t;
	uint64_t start;

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	the_program_is("trap '' TERM; : > \"$0.runs\"; sleep 100 & wait; sleep 100");
	ck_assert_int_eq(pthread_create(&t, NULL, fire_when_it_runs, &c), 0);
	start = now_us();
	ck_assert_int_eq(run_within(60 * US_PER_S, &c), -ERR_ABORTED);
	pthread_join(t, NULL);
	ck_assert_uint_lt(now_us() - start, 2 * US_PER_S);
	cancel_done(&c);
}
END_TEST

START_TEST(a_flood_rubbish_or_a_signal_is_no_pass)
{
	_cleanup_(freep) char *flood =
		xasprintf("printf '%%b' '" GOOD "' >&2; "
			  "yes \"$(printf '** Verified OK ** %%0200d' 0)\" | head -c %d >&2",
			AMOUNT(40000000, 10000000));

	the_program_is(flood);
	ck_assert_int_eq(run_within(60 * US_PER_S, NULL), -ERR_TOOL_FAILED);
	ck_assert_ptr_nonnull(strstr(e.msg, "printed more than 8192 KiB"));
	ck_assert_uint_lt(logged.len, 1000000);
	the_program_is("head -c 100000 /dev/urandom >&2");
	ck_assert_int_ne(run_within(60 * US_PER_S, NULL), 0);
	the_program_is("printf '%b' '" GOOD "' >&2; kill -SEGV $$");
	ck_assert_int_eq(run_within(60 * US_PER_S, NULL), -ERR_TOOL_FAILED);
	ck_assert_ptr_nonnull(strstr(e.msg, "signal 11"));
	unlink(script);
	ck_assert_int_eq(run_within(60 * US_PER_S, NULL), -ERR_TOOL_MISSING);
}
END_TEST

START_TEST(its_directory_and_home_are_private_and_its_environment_is_ours)
{
	setenv("OPENOCD_SCRIPTS", "/tmp/evil", 1);
	the_program_is(
		"echo \"$HOME $(pwd -P) $(stat -c %a .) $LC_ALL ${OPENOCD_SCRIPTS:-unset}\" >&2;"
		"mkdir -p .openocd/a; ln -s / .openocd/a/root; ls >&2; exit 1");
	ck_assert_int_lt(run_within(30 * US_PER_S, NULL), 0);
	ck_assert_ptr_nonnull(strstr(logged.s, " 700 C.UTF-8 unset\n"));
	ck_assert_ptr_nonnull(strstr(logged.s, "<i0.hex\n"));
	ck_assert_int_eq(access("/etc/passwd", F_OK), 0);
	unsetenv("OPENOCD_SCRIPTS");
}
END_TEST

/* --- the command line --- */

static char *joined(void)
{
	struct openocd_argv v = {0};
	struct strbuf b = {0};

	ck_assert_msg(openocd_argv_make(&probe, &job, &v, &e) == 0, "%s", e.msg);
	for (size_t i = 0; i < v.n; i++)
		sb_addf(&b, "%s|", v.arg[i]);
	openocd_argv_done(&v);
	return sb_take(&b);
}

START_TEST(the_probe_is_chosen_after_its_interface_and_all_ports_are_off)
{
	static const char *const setup_commands[] = {"reset_config srst_only", NULL};

	probe = (struct openocd_probe){.interface = "ftdi/olimex",
		.target = "/etc/provd/board.cfg",
		.serial = "066DFF",
		.location = "1-1.4",
		.transport = "hla_swd",
		.speed_khz = 4000,
		.has_work_area = true,
		.setup = setup_commands};
	job.leave = OPENOCD_RESET_RUN;

	_cleanup_(freep) char *args = joined();

	ck_assert_str_eq(args,
		"openocd|-f|interface/ftdi/olimex.cfg|-c|adapter serial 066DFF|-c|adapter usb "
		"location 1-1.4|-c|transport select hla_swd|-c|set WORKAREASIZE "
		"0|-f|/etc/provd/board.cfg|-c|adapter speed 4000|-c|gdb_port disabled; tcl_port "
		"disabled; telnet_port disabled|-c|reset_config srst_only|-c|init|-c|reset "
		"init|-c|source ibanks.tcl|-c|program i0.hex verify reset exit|");
}
END_TEST

START_TEST(regions_are_all_written_before_any_is_verified)
{
	job.kind = OPENOCD_FLASH;
	job.image[1] = image;
	job.images = 2;
	job.read_back = true;

	_cleanup_(freep) char *args = joined();

	ck_assert_ptr_nonnull(strstr(args,
		"|-c|init|-c|reset init|-c|source ibanks.tcl|-c|flash write_image erase "
		"i0.hex|-c|flash write_image "
		"erase i1.hex|-c|verify_image i0.hex|-c|verify_image i1.hex|-c|dump_image o0.bin "
		"0x08000000 10|-c|dump_image o1.bin 0x08000000 10|-c|reset run|-c|shutdown|"));
}
END_TEST

static char *joined_argv(struct openocd_argv *v)
{
	struct strbuf b = {0};

	for (size_t i = 0; i < v->n; i++)
		sb_addf(&b, "%s|", v->arg[i]);
	openocd_argv_done(v);
	return sb_take(&b);
}

START_TEST(one_that_stays_takes_any_free_port_of_this_machine_and_no_exit_with_its_jobs)
{
	struct openocd_argv v = {0};

	ck_assert_int_eq(openocd_argv_server(&probe, &v, &e), 0);

	_cleanup_(freep) char *server = joined_argv(&v);

	ck_assert_ptr_nonnull(strstr(server, "|-c|bindto 127.0.0.1|"));
	ck_assert_ptr_nonnull(
		strstr(server, "|-c|gdb_port disabled; tcl_port 0; telnet_port disabled|"));
	job.leave = OPENOCD_RESET_RUN;
	ck_assert_int_eq(openocd_argv_commands(&job, &v, &e), 0);

	_cleanup_(freep) char *program = joined_argv(&v);

	ck_assert_str_eq(
		program, "-c|reset init|-c|source ibanks.tcl|-c|program i0.hex verify reset|");
	job.kind = OPENOCD_VERIFY;
	job.enter = OPENOCD_HALT;
	job.leave = OPENOCD_RESUME;
	ck_assert_int_eq(openocd_argv_commands(&job, &v, &e), 0);

	_cleanup_(freep) char *verify = joined_argv(&v);

	ck_assert_str_eq(verify, "-c|halt|-c|verify_image i0.hex|-c|resume|");
}
END_TEST

static const char *const hostile[] = {"x; exec touch /tmp/evil", "[exec id]", "$env(HOME)", "a{b",
	"a}b", "a\"b", "a\\b", "a b", "a\nb", "", "-f", "../../etc/x.cfg", "a/../b", "a\tb",
	"caf\xc3\xa9", "a#b", "a,b", "a'b", "a`b"};

START_TEST(no_name_or_serial_number_becomes_tcl)
{
	const char **slot[] = {
		&probe.interface, &probe.target, &probe.serial, &probe.location, &probe.transport};

	the_program_is(": > \"$0.ran\"");
	for (size_t i = 0; i < ARRAY_LEN(slot); i++) {
		const char *before = *slot[i];

		*slot[i] = hostile[_i];
		ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_RECIPE_INVALID);
		*slot[i] = before;
	}
	probe.interface = NULL;
	probe.bitbang_host = hostile[_i];
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_RECIPE_INVALID);
}
END_TEST

START_TEST(quoted_text_is_one_word_of_tcl)
{
	char *q = NULL;

	ck_assert_int_eq(openocd_quote("a b;[exec id]$x{\"}\\~", &q, &e), 0);
	ck_assert_str_eq(q, "a\\ b\\;\\[exec\\ id\\]\\$x\\{\\\"\\}\\\\\\~");
	free(q);
	ck_assert_int_eq(openocd_quote("", &q, &e), 0);
	ck_assert_str_eq(q, "{}");
	free(q);
	ck_assert_int_eq(openocd_quote("a\nb", &q, &e), -ERR_INVALID);
}
END_TEST

START_TEST(ranges_that_are_none_are_refused_before_anything_starts)
{
	job = (struct openocd_job){.kind = OPENOCD_DUMP, .address = 0xfffffff0, .size = 0x11};
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_INVALID);
	job.size = 0;
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_INVALID);
	job = (struct openocd_job){.kind = OPENOCD_FLASH};
	ck_assert_int_eq(run_within(30 * US_PER_S, NULL), -ERR_RECIPE_INVALID);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("openocd");
	TCase *c = tcase_create("openocd");

	tcase_set_timeout(c, 180);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, programming_passes_on_its_markers);
	tcase_add_loop_test(c, each_failure_text_has_its_code_whatever_the_status_and_the_markers,
		0, ARRAY_LEN(causes));
	tcase_add_test(c, what_it_says_on_the_way_is_no_failure);
	tcase_add_test(c, the_most_specific_cause_wins_over_what_follows_from_it);
	tcase_add_test(c, status_0_without_the_markers_is_no_evidence);
	tcase_add_test(c, a_failure_that_no_rule_knows_is_told_with_its_last_error);
	tcase_add_test(c, warnings_that_are_allowed_stand_in_the_record);
	tcase_add_loop_test(c, regions_pass_when_all_their_bytes_were_written_and_verified, 0, 5);
	tcase_add_test(c, a_read_back_that_differs_or_is_missing_is_no_pass);
	tcase_add_test(c, an_erase_is_proved_by_blank_cells);
	tcase_add_test(c, commands_pass_on_every_pattern_that_was_declared);
	tcase_add_test(c, a_program_that_hangs_is_stopped_and_its_cause_is_told);
	tcase_add_test(c, a_cancel_ends_it_within_a_second_though_it_ignores_term);
	tcase_add_test(c, a_flood_rubbish_or_a_signal_is_no_pass);
	tcase_add_test(c, its_directory_and_home_are_private_and_its_environment_is_ours);
	tcase_add_test(c, the_probe_is_chosen_after_its_interface_and_all_ports_are_off);
	tcase_add_test(c, regions_are_all_written_before_any_is_verified);
	tcase_add_test(
		c, one_that_stays_takes_any_free_port_of_this_machine_and_no_exit_with_its_jobs);
	tcase_add_loop_test(c, no_name_or_serial_number_becomes_tcl, 0, ARRAY_LEN(hostile));
	tcase_add_test(c, quoted_text_is_one_word_of_tcl);
	tcase_add_test(c, ranges_that_are_none_are_refused_before_anything_starts);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
