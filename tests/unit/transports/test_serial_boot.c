/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/guide/serial_boot.h"

#include <fcntl.h>
#include <pthread.h>

#include "tests/unit/transports/boot_device.h"
#include "tests/unit/unit.h"

static struct boot_device dut;
static struct serial_boot_profile profile;
static struct serial_boot_hooks hooks;
static struct serial_boot *boot;
static struct serial_boot_result result;
static struct err e;
static uint8_t bytes[70000];

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static void set_up(void)
{
	boot_init(&dut);
	profile = serial_boot_guide_v1;
	hooks = (struct serial_boot_hooks){.data = &dut, .reset = boot_reset};
	result = (struct serial_boot_result){0};
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
}

static void tear_down(void)
{
	boot = serial_boot_free(boot);
	fake_done(&dut.wire);
}

/* An image in memory, as image_open() would give it. */
static struct image image_of(struct image_segment *s, size_t n)
{
	*s = (struct image_segment){BOOT_FLASH_BASE, n, bytes};
	return (struct image){.refs = 1, .bytes = n, .segments = s, .count = 1};
}

static void make(void)
{
	boot = serial_boot_free(boot);
	ck_assert_msg(
		serial_boot_new(&dut.wire.link, &profile, &hooks, &boot, &e) == 0, "%s", e.msg);
}

static int flash(size_t n)
{
	struct image_segment s;
	struct image image = image_of(&s, n);
	struct iotime it = soon();

	make();
	return serial_boot_flash(boot, &image, &it, &result, &e);
}

static void assert_holds(size_t n)
{
	ck_assert_mem_eq(dut.flash, bytes, n);
}

static void assert_says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

START_TEST(an_image_is_written_and_read_back)
{
	char sum[SHA256_HEX];

	ck_assert_msg(flash(sizeof bytes) == 0, "%s", e.msg);
	assert_holds(sizeof bytes);
	sha256_hex_of(bytes, sizeof bytes, sum);
	ck_assert_str_eq(result.sha256_written, sum);
	ck_assert_str_eq(result.sha256_read, sum);
	ck_assert_uint_eq(result.bytes, sizeof bytes);
	ck_assert_uint_eq(result.chunks, (sizeof bytes + 255) / 256);
	ck_assert_uint_eq(result.attempts, 1);
	ck_assert_uint_eq(dut.resets, 0);
}
END_TEST

START_TEST(the_bytes_on_the_wire_are_those_of_the_guide)
{
	static const uint8_t want_head[] = "BOOT\r\nERASE\r\n\x01\x00\x00\x01\x08\x00\x01";
	static const uint8_t want_read[] = "\x02\x00\x00\x01\x08\x04\x01\x00\x00";

	ck_assert_int_eq(flash(260), 0);

	const uint8_t *p = dut.wire.heard;

	ck_assert_mem_eq(p, want_head, sizeof want_head - 1);
	p += sizeof want_head - 1;
	ck_assert_mem_eq(p, bytes, 256);
	p += 256;
	ck_assert_mem_eq(p, "\x01\x00\x01\x01\x08\x04\x00", 7);
	ck_assert_mem_eq(p + 7, bytes + 256, 4);
	p += 11;
	ck_assert_mem_eq(p, want_read, sizeof want_read - 1);
	ck_assert_uint_eq(dut.wire.heard_len, (size_t)(p - dut.wire.heard) + sizeof want_read - 1);
}
END_TEST

START_TEST(flaw_01_an_erase_has_a_deadline_of_its_own)
{
	struct iotime it = soon();

	dut.erased = NULL;
	dut.in_bootloader = true;
	make();
	ck_assert_int_eq(serial_boot_erase(boot, &it, &e), -ERR_TIMEOUT);
	assert_says("no answer to 'ERASE'");
	ck_assert_uint_eq(serial_boot_guide_v1.erase_us, 30 * US_PER_S);
}
END_TEST

START_TEST(flaw_02_nothing_is_written_when_the_erase_was_refused)
{
	dut.erased = "NOT OK";
	ck_assert_int_eq(flash(1000), -ERR_DEVICE_REFUSED);
	ck_assert_uint_eq(dut.chunks, 0);
}
END_TEST

START_TEST(flaw_03_nothing_is_erased_before_the_unit_said_ready)
{
	dut.ready = NULL;
	profile.probe = false;
	ck_assert_int_eq(flash(1000), -ERR_TIMEOUT);
	assert_says("enter the bootloader");
	ck_assert_uint_eq(dut.erases, 0);
	ck_assert_uint_eq(dut.enters, 3);
}
END_TEST

START_TEST(flaw_04_ready_and_ok_are_words_and_not_parts_of_words)
{
	static const char *const no[] = {
		"NOT READY", "not-ready: READY soon", "ALREADY", "NOT_READY", "ERR READY"};
	static const char *const not_ok[] = {"TOKEN", "BROKEN", "NOT OK", "FAILED OK"};

	profile.probe = false;
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		dut.ready = no[i];
		ck_assert_msg(flash(100) < 0, "'%s' was taken as READY", no[i]);
		ck_assert_uint_eq(dut.erases, 0);
	}
	dut.ready = "bootloader v2 READY.";
	for (size_t i = 0; i < ARRAY_LEN(not_ok); i++) {
		dut.erased = not_ok[i];
		ck_assert_msg(flash(100) < 0, "'%s' was taken as OK", not_ok[i]);
		ck_assert_uint_eq(dut.chunks, 0);
	}
}
END_TEST

START_TEST(an_error_after_a_word_takes_it_back)
{
	struct iotime it = soon();

	profile.probe = false;
	for (const char *const *p = (const char *const[]){"READY\rFAILED",
		     "READY\r\nERROR: no flash", "READY\nNOT ready", NULL};
		*p; p++) {
		dut.ready = *p;
		ck_assert_msg(flash(100) < 0, "'%s' was taken as READY", *p);
		ck_assert_uint_eq(dut.erases, 0);
	}
	dut.ready = "READY";
	for (const char *const *p = (const char *const[]){"OK\rFAILED", "OK\r\nFAILED page 3",
		     "OK\nERR 7", NULL};
		*p; p++) {
		dut.erased = *p;
		ck_assert_msg(flash(100) < 0, "'%s' was taken as OK", *p);
		ck_assert_uint_eq(dut.chunks, 0);
	}
	for (const char *const *p = (const char *const[]){"BOOTING\rFAILED",
		     "BOOTING\r\nERROR: no application", NULL};
		*p; p++) {
		dut.booting = *p;
		dut.in_bootloader = true;
		make();
		ck_assert_int_eq(
			serial_boot_start(boot, NULL, &it, NULL, NULL, &e), -ERR_DEVICE_REFUSED);
	}
}
END_TEST

START_TEST(flaw_05_an_echo_is_no_answer)
{
	dut.echo = true;
	dut.prompt = true;
	ck_assert_msg(flash(1000) == 0, "%s", e.msg);
	assert_holds(1000);
	profile.start_text = "BOOTING";
	profile.start_ok = "BOOTING";
	make();

	struct iotime it = soon();

	ck_assert_int_lt(serial_boot_start(boot, NULL, &it, NULL, NULL, &e), 0);
}
END_TEST

START_TEST(flaw_06_boot_messages_are_not_taken_for_answers)
{
	fake_says(&dut.wire, "READY\r\nOK\r\n\x06\x06");
	dut.ready = NULL;
	profile.probe = false;
	ck_assert_int_eq(flash(1000), -ERR_TIMEOUT);
}
END_TEST

START_TEST(flaw_07_a_lost_ack_restarts_the_image_and_nothing_is_sent_into_the_open_frame)
{
	dut.silent_after = 3;
	ck_assert_msg(flash(5000) == 0, "%s", e.msg);
	assert_holds(5000);
	ck_assert_uint_eq(result.attempts, 2);
	ck_assert_uint_eq(dut.resets, 1);
	ck_assert_uint_eq(dut.erases, 2);
	/* After the unanswered frame the next bytes on the wire are a new BOOT. */
	const uint8_t *again =
		memmem(dut.wire.heard + 1, dut.wire.heard_len - 1, "BOOT\r\nERASE\r\n\x01", 14);

	ck_assert_ptr_nonnull(again);
	ck_assert_uint_eq((size_t)(again - dut.wire.heard), 13 + 4 * (7 + 256));
}
END_TEST

START_TEST(flaw_07_a_byte_beside_the_ack_is_no_ack)
{
	dut.noisy_after = 2;
	profile.attempts = 1;
	ck_assert_int_eq(flash(5000), -ERR_PROTOCOL);
}
END_TEST

START_TEST(flaw_08_every_byte_value_survives)
{
	static const uint8_t special[8] = {0x0a, 0x0d, 0x11, 0x13, 0x00, 0xff, 0x06, 0x15};

	for (size_t i = 0; i < 1024; i++)
		bytes[i] = i % 2 ? special[i / 2 % 8] : (uint8_t)(i / 4);
	ck_assert_int_eq(flash(1024), 0);
	assert_holds(1024);
}
END_TEST

START_TEST(flaw_09_a_missing_ack_names_the_address_and_the_attempt)
{
	dut.silent_after = 2;
	profile.attempts = 1;
	ck_assert_int_eq(flash(5000), -ERR_TIMEOUT);
	assert_says("no ACK for the chunk at 0x08010200");
	ck_assert_uint_gt(serial_boot_guide_v1.ack_us, US_PER_S);
}
END_TEST

START_TEST(flaw_10_a_nak_is_a_refusal_and_ends_it)
{
	dut.nak_after = 1;
	ck_assert_int_eq(flash(5000), -ERR_DEVICE_REFUSED);
	assert_says("0x08010100");
	ck_assert_uint_eq(dut.erases, 1);
}
END_TEST

START_TEST(flaw_11_verify_reads_in_blocks_that_fit_their_deadline)
{
	profile.read_block_bytes = 1000;
	ck_assert_int_eq(flash(sizeof bytes), 0);
	ck_assert_str_eq(result.sha256_read, result.sha256_written);

	dut.worn = 4321;
	bytes[4321] = 0x7e;
	ck_assert_int_eq(flash(sizeof bytes), -ERR_VERIFY_MISMATCH);
	assert_says("at 0x080110e1 expected 7e, read 00");
}
END_TEST

START_TEST(flaw_12_nothing_is_erased_for_an_image_that_could_not_be_written)
{
	struct image_segment s;
	struct image image = image_of(&s, 1000);
	struct iotime it = soon();

	profile.flash_address = BOOT_FLASH_BASE;
	profile.flash_bytes = 999;
	make();
	ck_assert_int_eq(serial_boot_flash(boot, &image, &it, &result, &e), -ERR_IMAGE_RANGE);
	profile.flash_bytes = 4096;
	make();
	s.address += 1;
	ck_assert_int_eq(serial_boot_flash(boot, &image, &it, &result, &e), -ERR_IMAGE_RANGE);
	assert_says("aligned");
	s.address = BOOT_FLASH_BASE - 4;
	ck_assert_int_eq(serial_boot_flash(boot, &image, &it, &result, &e), -ERR_IMAGE_RANGE);
	ck_assert_uint_eq(dut.wire.heard_len, 0);
}
END_TEST

START_TEST(flaw_13_sizes_that_the_frame_cannot_hold_are_refused)
{
	struct serial_boot *b = NULL;

	profile.chunk_bytes = 65536;
	ck_assert_int_eq(serial_boot_new(&dut.wire.link, &profile, &hooks, &b, &e), -ERR_INVALID);
	assert_says("65536");
	profile.chunk_bytes = 258;
	ck_assert_int_eq(serial_boot_new(&dut.wire.link, &profile, &hooks, &b, &e), -ERR_INVALID);
	profile.chunk_bytes = 256;
	profile.page_bytes = 3;
	ck_assert_int_eq(serial_boot_new(&dut.wire.link, &profile, &hooks, &b, &e), -ERR_INVALID);
	ck_assert_ptr_null(b);
}
END_TEST

START_TEST(flaw_14_a_short_tail_is_filled_with_ff_to_the_write_unit)
{
	dut.write_unit = 8;
	profile.write_unit_bytes = 8;
	ck_assert_msg(flash(261) == 0, "%s", e.msg);
	ck_assert_uint_eq(dut.last_chunk_bytes, 8);
	assert_holds(261);
	ck_assert_mem_eq(dut.flash + 261, "\xff\xff\xff", 3);
	/* The digest is of the image, not of the filling. */
	char sum[SHA256_HEX];

	ck_assert_str_eq(result.sha256_read, sha256_hex_of(bytes, 261, sum));
}
END_TEST

START_TEST(flaw_23_a_step_that_fails_leaves_the_board_reset)
{
	dut.silent_after = 2;
	profile.attempts = 1;
	ck_assert_int_lt(flash(5000), 0);
	ck_assert_uint_eq(dut.resets, 1);
	ck_assert(!dut.in_bootloader);
	ck_assert_uint_eq(dut.len, 0);
}
END_TEST

START_TEST(frames_never_cross_a_page)
{
	profile.page_bytes = 128;
	ck_assert_msg(flash(1000) == 0, "%s", e.msg);
	ck_assert_uint_eq(result.chunks, 8);
	assert_holds(1000);
}
END_TEST

START_TEST(blank_chunks_are_skipped_only_when_asked_and_still_verified)
{
	memset(bytes + 256, 0xff, 512);
	ck_assert_int_eq(flash(1024), 0);
	ck_assert_uint_eq(result.chunks, 4);
	profile.skip_blank = true;
	ck_assert_int_eq(flash(1024), 0);
	ck_assert_uint_eq(result.chunks, 2);
	assert_holds(1024);
	dut.worn = 300;
	ck_assert_int_eq(flash(1024), -ERR_VERIFY_MISMATCH);
}
END_TEST

START_TEST(a_unit_that_is_already_in_the_bootloader_is_found_by_reading)
{
	dut.in_bootloader = true;
	dut.already = "ERR unknown command";
	ck_assert_msg(flash(1000) == 0, "%s", e.msg);
	assert_holds(1000);
	ck_assert_uint_eq(dut.enters, 1);
}
END_TEST

static void says_err(struct fake_link *f, const uint8_t *p, size_t n)
{
	fake_says(f, "ERR\n");
}

START_TEST(an_application_that_answers_four_bytes_to_all_is_no_bootloader)
{
	dut.wire.device = says_err;
	ck_assert_int_eq(flash(1000), -ERR_DEVICE_REFUSED);
}
END_TEST

START_TEST(an_unplugged_unit_is_gone_and_not_tried_again)
{
	dut.faults[0] = (struct boot_fault){FAULT_VANISH, 1000};
	ck_assert_int_eq(flash(5000), -ERR_DEVICE_GONE);
	ck_assert_uint_eq(dut.resets, 0);
}
END_TEST

static void cancel_at_half(void *data, const char *phase, uint64_t done, uint64_t total)
{
	if (!strcmp(phase, "write") && done * 2 > total)
		cancel_fire(((struct boot_device *)data)->wire.link.trace_data, ERR_ABORTED);
}

START_TEST(a_cancel_ends_it_between_two_frames)
{
	struct image_segment s;
	struct image image = image_of(&s, 50000);
	struct cancel c;
	struct iotime it = {now_us() + 20 * US_PER_S, &c};

	cancel_init(&c, &e);
	dut.wire.link.trace_data = &c;
	hooks.tell = (struct teller){.data = &dut, .progress = cancel_at_half};
	make();
	ck_assert_int_eq(serial_boot_flash(boot, &image, &it, &result, &e), -ERR_ABORTED);
	ck_assert_uint_lt(dut.chunks, 150);
	ck_assert_uint_eq(dut.resets, 1);
	cancel_done(&c);
}
END_TEST

START_TEST(start_waits_for_the_applications_own_banner)
{
	struct console_reply started = {0}, banner = {0};
	struct regex *x = NULL;
	struct iotime it = soon();

	regex_new("^App v(\\S+) ready$", &x, &e);
	dut.in_bootloader = true;
	dut.booting = "BOOTING app";
	dut.banner = "App v2.1.0 ready";
	make();
	ck_assert_int_eq(serial_boot_start(boot, x, &it, &started, &banner, &e), 0);
	ck_assert_str_eq(started.line, "BOOTING app");
	ck_assert_str_eq(banner.group[1], "2.1.0");
	console_reply_done(&started);
	console_reply_done(&banner);

	dut.in_bootloader = true;
	dut.banner = NULL;
	ck_assert_int_eq(serial_boot_start(boot, x, &it, NULL, &banner, &e), -ERR_TIMEOUT);
	assert_says("start the application");
	regex_free(x);
}
END_TEST

START_TEST(read_and_blank_check_see_the_flash)
{
	uint8_t got[5000];
	struct iotime it = soon();

	dut.in_bootloader = true;
	dut.flash[4999] = 0x42;
	make();
	ck_assert_int_eq(serial_boot_read(boot, BOOT_FLASH_BASE, got, sizeof got, &it, &e), 0);
	ck_assert_mem_eq(got, dut.flash, sizeof got);
	ck_assert_int_eq(serial_boot_erase(boot, &it, &e), 0);
	ck_assert_int_eq(serial_boot_check_blank(boot, BOOT_FLASH_BASE, 5000, &it, &e), 0);
	dut.flash[4999] = 0x42;
	ck_assert_int_eq(serial_boot_check_blank(boot, BOOT_FLASH_BASE, 5000, &it, &e),
		-ERR_VERIFY_MISMATCH);
	assert_says("at 0x08011387 expected ff, read 42");
}
END_TEST

/* --- answers that come late --- */

/* The answer that the device gives to the hold-th input from now on comes with the next one, before
 * the answer to that. */
static unsigned hold;
static uint8_t late[8192];
static size_t late_n;

static void late_heard(struct fake_link *f, const uint8_t *p, size_t n)
{
	fake_say(f, late, late_n);
	late_n = 0;
	if (f->at == f->len)
		f->at = f->len = 0;

	size_t from = f->len;

	boot_heard(f, p, n);
	if (hold && f->len > from && --hold == 0) {
		late_n = MIN(f->len - from, sizeof late);
		memcpy(late, f->out + from, late_n);
		f->len = from;
	}
}

static void set_up_late(unsigned at)
{
	tear_down();
	set_up();
	dut.wire.device = late_heard;
	hold = at;
	late_n = 0;
}

START_TEST(a_late_ok_of_an_erase_is_not_that_of_the_next_one)
{
	struct iotime it = soon();

	set_up_late(1);
	dut.in_bootloader = true;
	make();
	ck_assert_int_eq(serial_boot_erase(boot, &it, &e), -ERR_TIMEOUT);
	/* Not before the bootloader was entered again. */
	ck_assert_int_eq(serial_boot_erase(boot, &it, &e), -ERR_OUT_OF_STEP);
	assert_says("enter the bootloader");
	ck_assert_uint_eq(dut.erases, 1);
	dut.erased = "ERR protected";
	ck_assert_msg(serial_boot_enter(boot, BOOT_FLASH_BASE, &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(serial_boot_erase(boot, &it, &e), -ERR_DEVICE_REFUSED);
}
END_TEST

START_TEST(a_late_ready_is_no_ok_and_no_booting)
{
	struct iotime it = soon();

	set_up_late(1);
	profile.enter_attempts = 2;
	make();
	ck_assert_msg(serial_boot_enter(boot, BOOT_FLASH_BASE, &it, &e) == 0, "%s", e.msg);
	hold = 0;
	dut.erased = dut.booting = NULL;
	fake_says(&dut.wire, "READY\r\n");
	ck_assert_int_lt(serial_boot_erase(boot, &it, &e), 0);
	ck_assert_int_lt(serial_boot_start(boot, NULL, &it, NULL, NULL, &e), 0);
}
END_TEST

START_TEST(a_late_answer_at_any_place_of_a_flash_makes_no_pass)
{
	for (unsigned at = 1;; at++) {
		bool was_late;

		/* A cell that does not take must be found. */
		set_up_late(at);
		dut.worn = 300;
		ck_assert_msg(flash(600) < 0, "answer %u", at);
		was_late = hold == 0;
		set_up_late(at);
		if (flash(600) == 0)
			assert_holds(600);
		if (!was_late)
			break;
	}
	hold = 0;
}
END_TEST

static uint64_t rng = 88172645463325252ull;

static uint64_t any(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

START_TEST(random_faults_end_in_equal_flash_or_a_reported_failure)
{
	unsigned passed = 0, failed = 0;

	for (int round = 0; round < 1500; round++) {
		size_t n = any(round % 8 ? 3000 : sizeof bytes + 1);
		uint64_t wire = 2 * n + 200;

		tear_down();
		set_up();
		dut.echo = any(8) == 0;
		dut.wire.read_max = any(4) ? 0 : 1 + any(40);
		hooks.reset = any(4) ? boot_reset : NULL;
		if (any(16) == 0)
			dut.worn = (int64_t)any(n + 1);
		for (size_t i = 0; i < ARRAY_LEN(dut.faults); i++)
			if (any(3) == 0)
				dut.faults[i] = (struct boot_fault){
					(enum boot_fault_kind)any(FAULT_KINDS), any(wire)};
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)any(256);

		int r = flash(n);

		if (r == 0) {
			ck_assert_msg(!memcmp(dut.flash, bytes, n),
				"passed and different: round %d", round);
			passed++;
		} else {
			ck_assert_int_ne(e.msg[0], 0);
			failed++;
		}
	}
	/* Both ends are really reached. */
	ck_assert_uint_gt(passed, 200);
	ck_assert_uint_gt(failed, 50);
}
END_TEST

/* The same device behind a real pty, on a thread of its own. */
struct board {
	pthread_t thread;
	int master;
	uint64_t leave_after; /* bytes heard until it is unplugged; 0: it stays */
	char address[80];
};

static void *board_main(void *arg)
{
	struct board *bd = arg;
	uint8_t in[512];
	uint64_t heard = 0;
	ssize_t n;

	while ((n = read(bd->master, in, sizeof in)) > 0) {
		heard += (uint64_t)n;
		if (bd->leave_after && heard >= bd->leave_after)
			break;
		boot_heard(&dut.wire, in, (size_t)n);
		while (dut.wire.at < dut.wire.len) {
			n = write(
				bd->master, dut.wire.out + dut.wire.at, dut.wire.len - dut.wire.at);
			if (n < 0)
				break;
			dut.wire.at += (size_t)n;
		}
	}
	close(bd->master);
	return NULL;
}

static struct link *board_start(struct board *bd)
{
	char name[64];
	struct link *l = NULL;
	struct link_config config = LINK_CONFIG_DEFAULT;
	struct iotime it = soon();

	bd->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(bd->master, 0);
	ck_assert_int_eq(grantpt(bd->master), 0);
	ck_assert_int_eq(unlockpt(bd->master), 0);
	ck_assert_int_eq(ptsname_r(bd->master, name, sizeof name), 0);
	snprintf(bd->address, sizeof bd->address, "tty:%s", name);
	/* Opened before the thread reads: a master without a slave reads as hung up. */
	ck_assert_msg(link_open(bd->address, &config, &it, &l, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(pthread_create(&bd->thread, NULL, board_main, bd), 0);
	return l;
}

static int flash_over(struct link *l, size_t n)
{
	struct image_segment s;
	struct image image = image_of(&s, n);
	struct iotime it = soon();

	hooks = (struct serial_boot_hooks){0};
	boot = serial_boot_free(boot);
	ck_assert_int_eq(serial_boot_new(l, &profile, &hooks, &boot, &e), 0);
	return serial_boot_flash(boot, &image, &it, &result, &e);
}

START_TEST(an_image_goes_through_a_real_pty)
{
	struct board bd = {0};
	struct link *l = board_start(&bd);
	int r = flash_over(l, sizeof bytes);

	link_close(l);
	pthread_join(bd.thread, NULL);
	ck_assert_msg(r == 0, "%s", e.msg);
	ck_assert_uint_eq(result.attempts, 1);
	assert_holds(sizeof bytes);
}
END_TEST

START_TEST(flaw_03_a_second_open_of_the_port_is_refused_and_takes_no_bytes)
{
	struct board bd = {0};
	struct link *l = board_start(&bd);
	struct link *second = NULL;
	struct link_config config = LINK_CONFIG_DEFAULT;
	struct iotime it = soon();

	ck_assert_int_eq(link_open(bd.address, &config, &it, &second, &e), -ERR_BUSY);
	ck_assert_int_eq(flash_over(l, 5000), 0);
	link_close(l);
	pthread_join(bd.thread, NULL);
	assert_holds(5000);
}
END_TEST

START_TEST(an_unplug_in_the_middle_ends_it_within_a_second)
{
	struct board bd = {.leave_after = 20000};
	struct link *l = board_start(&bd);
	uint64_t t0 = now_us();
	int r = flash_over(l, sizeof bytes);
	uint64_t took = now_us() - t0;

	link_close(l);
	pthread_join(bd.thread, NULL);
	ck_assert_int_eq(r, -ERR_DEVICE_GONE);
	ck_assert_uint_lt(took, US_PER_S);
	assert_says(bd.address);
}
END_TEST

START_TEST(parts_that_share_a_write_unit_are_one_frame_and_gaps_are_none)
{
	static const struct image_segment parts[] = {
		{BOOT_FLASH_BASE + 0x10, 5, (const uint8_t *)"abcde", 0},
		{BOOT_FLASH_BASE + 0x17, 2, (const uint8_t *)"fg", 0},
		{BOOT_FLASH_BASE + 0x801, 3, (const uint8_t *)"hij", 0},
	};
	struct image image = {.refs = 1,
		.placed = true,
		.bytes = 10,
		.segments = (struct image_segment *)parts,
		.count = 3};
	struct iotime it = soon();
	char sum[SHA256_HEX];

	make();
	ck_assert_msg(serial_boot_flash(boot, &image, &it, &result, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(dut.flash + 0x0c,
		"\xff\xff\xff\xff"
		"abcde\xff\xff"
		"fg\xff\xff",
		15);
	ck_assert_mem_eq(dut.flash + 0x800, "\xffhij\xff", 5);
	ck_assert_uint_eq(result.chunks, 2);
	ck_assert_str_eq(result.sha256_written, sha256_hex_of("abcdefghij", 10, sum));
	image.placed = false;
	ck_assert_int_eq(serial_boot_flash(boot, &image, &it, &result, &e), -ERR_IMAGE_RANGE);
}
END_TEST

static Suite *serial_boot_suite(void)
{
	Suite *s = suite_create("serial_boot");
	TCase *t = tcase_create("serial_boot");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 50);
	tcase_add_test(t, parts_that_share_a_write_unit_are_one_frame_and_gaps_are_none);
	tcase_add_test(t, an_image_is_written_and_read_back);
	tcase_add_test(t, the_bytes_on_the_wire_are_those_of_the_guide);
	tcase_add_test(t, flaw_01_an_erase_has_a_deadline_of_its_own);
	tcase_add_test(t, flaw_02_nothing_is_written_when_the_erase_was_refused);
	tcase_add_test(t, flaw_03_nothing_is_erased_before_the_unit_said_ready);
	tcase_add_test(t, flaw_04_ready_and_ok_are_words_and_not_parts_of_words);
	tcase_add_test(t, an_error_after_a_word_takes_it_back);
	tcase_add_test(t, flaw_05_an_echo_is_no_answer);
	tcase_add_test(t, flaw_06_boot_messages_are_not_taken_for_answers);
	tcase_add_test(
		t, flaw_07_a_lost_ack_restarts_the_image_and_nothing_is_sent_into_the_open_frame);
	tcase_add_test(t, flaw_07_a_byte_beside_the_ack_is_no_ack);
	tcase_add_test(t, flaw_08_every_byte_value_survives);
	tcase_add_test(t, flaw_09_a_missing_ack_names_the_address_and_the_attempt);
	tcase_add_test(t, flaw_10_a_nak_is_a_refusal_and_ends_it);
	tcase_add_test(t, flaw_11_verify_reads_in_blocks_that_fit_their_deadline);
	tcase_add_test(t, flaw_12_nothing_is_erased_for_an_image_that_could_not_be_written);
	tcase_add_test(t, flaw_13_sizes_that_the_frame_cannot_hold_are_refused);
	tcase_add_test(t, flaw_14_a_short_tail_is_filled_with_ff_to_the_write_unit);
	tcase_add_test(t, flaw_23_a_step_that_fails_leaves_the_board_reset);
	tcase_add_test(t, frames_never_cross_a_page);
	tcase_add_test(t, blank_chunks_are_skipped_only_when_asked_and_still_verified);
	tcase_add_test(t, a_unit_that_is_already_in_the_bootloader_is_found_by_reading);
	tcase_add_test(t, an_application_that_answers_four_bytes_to_all_is_no_bootloader);
	tcase_add_test(t, an_unplugged_unit_is_gone_and_not_tried_again);
	tcase_add_test(t, a_cancel_ends_it_between_two_frames);
	tcase_add_test(t, start_waits_for_the_applications_own_banner);
	tcase_add_test(t, read_and_blank_check_see_the_flash);
	tcase_add_test(t, a_late_ok_of_an_erase_is_not_that_of_the_next_one);
	tcase_add_test(t, a_late_ready_is_no_ok_and_no_booting);
	tcase_add_test(t, a_late_answer_at_any_place_of_a_flash_makes_no_pass);
	tcase_add_test(t, random_faults_end_in_equal_flash_or_a_reported_failure);
	tcase_add_test(t, an_image_goes_through_a_real_pty);
	tcase_add_test(t, flaw_03_a_second_open_of_the_port_is_refused_and_takes_no_bytes);
	tcase_add_test(t, an_unplug_in_the_middle_ends_it_within_a_second);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(serial_boot_suite)
