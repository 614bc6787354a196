/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions with provsim's boot ROM, which shares no code with them.
 */
#include "tests/unit/transports/image_files.h"
#include "tests/unit/transports/stm32_bench.h"
#include "tests/unit/unit.h"

#define BASE 0x08000000u

static struct stm32_bench bench;
static struct stm32 *rom;
static struct stm32_opts opts;
static struct stm32_result res;
static struct strbuf said;
static struct err e;
static uint8_t bytes[70000];

static void log_line(void *data, char dir, const char *text)
{
	sb_addf(&said, "%s|", text);
}

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static void set_up(void)
{
	opts = STM32_OPTS_DEFAULT;
	opts.times.reset_us = 0;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + 1);
}

static void tear_down(void)
{
	rom = stm32_free(rom);
	stm32_bench_done(&bench);
	sb_done(&said);
}

static void plug(const char *const *settings)
{
	stm32_bench_init(&bench, settings);
	rom = stm32_new(&bench.wire.link, &opts, &(struct stm32_hooks){.tell = {.log = log_line}});
}

static int connect(void)
{
	struct iotime it = soon();

	return stm32_connect(rom, &it, &e);
}

static void plug_and_connect(const char *const *settings)
{
	plug(settings);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	bench.wire.heard_len = 0;
}

static const char *const f4[] = {"stm32-pid=0x413", NULL};
static const char *const f1[] = {"stm32-pid=0x410", NULL};
static const char *const l0[] = {"stm32-pid=0x447", NULL};

static int flash_parts(const struct image_segment *s, size_t n, const struct stm32_flash_opts *o)
{
	struct image image = {.refs = 1,
		.placed = true,
		.segments = (struct image_segment *)(uintptr_t)s,
		.count = n,
		.path = (char *)(uintptr_t) "fw"};
	struct iotime it = soon();

	for (size_t i = 0; i < n; i++)
		image.bytes += s[i].len;
	return stm32_flash(rom, &image, o, &it, &res, &e);
}

static int flash_at(uint32_t address, size_t n)
{
	const struct image_segment s = {address, n, bytes, 0};
	const struct stm32_flash_opts o = {0};

	return flash_parts(&s, 1, &o);
}

static void flashed(size_t n)
{
	ck_assert_msg(flash_at(BASE, n) == 0, "%s", e.msg);
}

static void holds(uint32_t address, const uint8_t *want, uint32_t n)
{
	_cleanup_(freep) uint8_t *got = malloc(n);
	struct iotime it = soon();

	ck_assert_msg(stm32_read(rom, address, got, n, &it, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(got, want, n);
}

static void says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

/* How often the host sent these bytes. */
static size_t heard(const void *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i + n <= bench.wire.heard_len; i++)
		k += !memcmp(bench.wire.heard + i, p, n);
	return k;
}

START_TEST(a_part_says_what_it_is)
{
	const struct stm32_info *i;

	plug_and_connect(f4);
	i = stm32_info(rom);
	ck_assert_uint_eq(i->pid, 0x413);
	ck_assert_uint_eq(i->version, 0x31);
	ck_assert(i->known);
	ck_assert_uint_eq(i->flash_bytes, 1 << 20);
	ck_assert_int_eq(i->size_from, STM32_SIZE_OF_REGISTER);
	ck_assert(!i->read_protected);
	ck_assert(i->has_uid);
	ck_assert_mem_eq(i->uid, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb", 12);
	ck_assert(stm32_has(rom, STM32_EXTENDED_ERASE));
	ck_assert(!stm32_has(rom, STM32_ERASE));
}
END_TEST

START_TEST(the_size_register_bounds_the_flash_not_the_table)
{
	static const char *const small[] = {"stm32-pid=0x413", "stm32-flash=512K", NULL};

	plug_and_connect(small);
	ck_assert_uint_eq(stm32_info(rom)->flash_bytes, 512 << 10);
	ck_assert_int_eq(flash_at(BASE + (512 << 10) - 4, 8), -ERR_IMAGE_RANGE);
	says("0x08080000 lies outside");
	ck_assert_int_eq(flash_at(BASE - 4, 8), -ERR_IMAGE_RANGE);
	ck_assert_uint_eq(bench.wire.heard_len, 0);
	ck_assert_msg(flash_at(BASE + (512 << 10) - 4, 4) == 0, "%s", e.msg);
}
END_TEST

START_TEST(a_rom_that_is_synchronised_already_is_found)
{
	plug_and_connect(f4);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	ck_assert_uint_eq(stm32_info(rom)->pid, 0x413);
}
END_TEST

START_TEST(a_second_ack_to_the_first_byte_is_borne_with)
{
	plug(f4);
	stm32_bench_fault(&bench, "extra-ack");
	ck_assert_msg(connect() == 0, "%s", e.msg);
	flashed(1000);
}
END_TEST

START_TEST(where_no_rom_answers_the_reason_is_guessed)
{
	plug(f4);
	bench.device->ops->power_off(bench.device);
	ck_assert_int_eq(connect(), -ERR_TIMEOUT);
	says("BOOT0");
}
END_TEST

START_TEST(a_part_that_no_table_has_needs_its_pages_and_size)
{
	static const char *const odd[] = {"stm32-pid=0x999", "stm32-pages=1K", NULL};

	plug(odd);
	ck_assert_int_eq(connect(), -ERR_UNSUPPORTED);
	says("PID 0x999 is in no table");
	stm32_free(rom);
	stm32_runs_parse("1K", opts.run, NULL);
	opts.flash_bytes = 64 << 10;
	rom = stm32_new(&bench.wire.link, &opts, NULL);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	flashed(3000);
	holds(BASE, bytes, 3000);
}
END_TEST

START_TEST(an_image_is_written_first_block_last_and_read_back)
{
	char sum[SHA256_HEX];
	static const uint8_t erase_page_0[] = {0x44, 0xbb, 0, 0, 0, 0, 0};
	static const uint8_t second[] = {0x31, 0xce, 8, 0, 1, 0, 9, 0xff};
	static const uint8_t first[] = {0x31, 0xce, 8, 0, 0, 0, 8, 0xff};
	static const uint8_t tail[] = {0x31, 0xce, 8, 0, 3, 0, 0x0b, 0xeb};
	const uint8_t *at_first;
	const uint8_t *at_tail;

	plug_and_connect(f4);
	flashed(1001);
	ck_assert_str_eq(res.sha256_written, sha256_hex_of(bytes, 1001, sum));
	ck_assert_str_eq(res.sha256_read, sum);
	ck_assert_uint_eq(res.blocks, 4);
	ck_assert_uint_eq(res.pages, 1);
	ck_assert_uint_eq(res.erased, 1);
	holds(BASE, bytes, 1001);
	ck_assert_uint_eq(heard(erase_page_0, sizeof erase_page_0), 1);
	ck_assert_uint_eq(heard(second, sizeof second), 1);
	at_first = memmem(bench.wire.heard, bench.wire.heard_len, first, sizeof first);
	at_tail = memmem(bench.wire.heard, bench.wire.heard_len, tail, sizeof tail);
	ck_assert_msg(at_first && at_tail && at_first > at_tail, "the first block is not the last");
}
END_TEST

START_TEST(several_parts_touch_their_own_pages_alone)
{
	static const uint8_t old[] = {0x12, 0x34, 0x56, 0x78};
	const struct image_segment before = {BASE + 0x4000, 4, old, 0};
	const struct image_segment parts[] = {
		{BASE, 300, bytes, 0},
		{BASE + 0x8000, 3, bytes, 0},
		{BASE + 0x8003 + 2, 5, bytes, 0},
	};
	const struct stm32_flash_opts o = {0};

	plug_and_connect(f4);
	ck_assert_msg(flash_parts(&before, 1, &o) == 0, "%s", e.msg);
	ck_assert_msg(flash_parts(parts, 3, &o) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.erased, 2);
	holds(BASE + 0x4000, old, 4);
	holds(BASE + 0x8000, (const uint8_t *)"\x01\x08\x0f\xff\xff\x01\x08\x0f\x16\x1d", 10);
}
END_TEST

START_TEST(equal_pages_are_left_alone_when_asked)
{
	const struct image_segment s = {BASE, 40000, bytes, 0};
	const struct stm32_flash_opts o = {.skip_equal = true};

	plug_and_connect(f4);
	flashed(40000);
	ck_assert_msg(flash_parts(&s, 1, &o) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.pages, 3);
	ck_assert_uint_eq(res.skipped, 3);
	ck_assert_uint_eq(res.blocks, 0);
	bytes[20000] ^= 0xff;
	ck_assert_msg(flash_parts(&s, 1, &o) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.skipped, 2);
	ck_assert_uint_eq(res.erased, 1);
	ck_assert_uint_eq(res.blocks, 64);
	holds(BASE, bytes, 40000);
}
END_TEST

START_TEST(the_short_erase_is_used_where_the_rom_has_no_other)
{
	static const uint8_t erase_0_and_1[] = {0x43, 0xbc, 1, 0, 1, 0};
	static const uint8_t erase_all[] = {0x43, 0xbc, 0xff, 0};
	struct iotime it = soon();

	plug_and_connect(f1);
	flashed(1500);
	ck_assert_uint_eq(heard(erase_0_and_1, sizeof erase_0_and_1), 1);
	ck_assert_int_eq(stm32_erase_mass(rom, STM32_MASS_ALL, &it, &e), 0);
	ck_assert_uint_eq(heard(erase_all, sizeof erase_all), 1);
	ck_assert_int_eq(stm32_check_blank(rom, BASE, 1500, &it, &e), 0);
	ck_assert_int_eq(stm32_erase_mass(rom, STM32_MASS_BANK1, &it, &e), -ERR_UNSUPPORTED);
}
END_TEST

START_TEST(parts_that_erase_to_00_are_padded_and_checked_with_00)
{
	struct iotime it = soon();

	plug_and_connect(l0);
	flashed(130);
	holds(BASE + 130, (const uint8_t *)"\0\0\0", 3);
	ck_assert_int_eq(stm32_check_blank(rom, BASE + 256, 1024, &it, &e), 0);
	ck_assert_int_eq(stm32_check_blank(rom, BASE + 128, 128, &it, &e), -ERR_VERIFY_MISMATCH);
	/* No mass erase: page by page. */
	ck_assert_msg(stm32_erase_mass(rom, STM32_MASS_ALL, &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(stm32_check_blank(rom, BASE, 192 << 10, &it, &e), 0);
}
END_TEST

START_TEST(special_erase_codes_go_out_with_their_checksums)
{
	static const char *const two_banks[] = {"stm32-pid=0x415", NULL};
	struct iotime it = soon();

	plug_and_connect(two_banks);
	ck_assert_int_eq(stm32_erase_mass(rom, STM32_MASS_ALL, &it, &e), 0);
	ck_assert_uint_eq(heard("\x44\xbb\xff\xff\x00", 5), 1);
	ck_assert_int_eq(stm32_erase_mass(rom, STM32_MASS_BANK1, &it, &e), 0);
	ck_assert_uint_eq(heard("\x44\xbb\xff\xfe\x01", 5), 1);
	ck_assert_int_eq(stm32_erase_mass(rom, STM32_MASS_BANK2, &it, &e), 0);
	ck_assert_uint_eq(heard("\x44\xbb\xff\xfd\x02", 5), 1);
}
END_TEST

/* What the wire does once is made good; the image is there in the end. */
static void made_good(const char *fault)
{
	plug_and_connect(f4);
	stm32_bench_fault(&bench, fault);
	flashed(20000);
	holds(BASE, bytes, 20000);
	ck_assert_msg(bench.faults.n == 0, "%s did not happen", fault);
}

START_TEST(what_the_wire_loses_once_is_made_good)
{
	static const char *const faults[] = {"nack-address", "nack-data", "garbage", "busy=5",
		"lost-ack", "half-write", "gap", "short-read", "nack-command=0x31", "silent=0x31",
		"silent=0x11", "nack-command=0x44", "silent=0x44"};

	made_good(faults[_i]);
}
END_TEST
#define FAULTS_MADE_GOOD 13

START_TEST(a_read_that_was_wrong_once_is_read_again_and_told)
{
	made_good("read-flip=300");
	ck_assert_uint_eq(res.reread, 1);
	ck_assert_msg(strstr(said.s, "read back wrong once"), "%s", said.s);
	ck_assert_uint_eq(res.attempts, 1);
}
END_TEST

START_TEST(a_cell_that_does_not_take_is_a_mismatch)
{
	plug_and_connect(f4);
	stm32_bench_fault(&bench, "weak-cell=300,count=0");
	ck_assert_int_eq(flash_at(BASE, 1000), -ERR_VERIFY_MISMATCH);
	says("at 0x0800012c expected");
}
END_TEST

START_TEST(a_cell_that_always_reads_wrong_is_a_mismatch)
{
	plug_and_connect(f4);
	stm32_bench_fault(&bench, "read-flip=300,count=0");
	ck_assert_int_eq(flash_at(BASE, 1000), -ERR_VERIFY_MISMATCH);
}
END_TEST

START_TEST(an_erase_that_does_nothing_never_passes)
{
	static const uint8_t blank[1024] = {[0] = 1, [1 ... 1023] = 0xff};
	const struct image_segment s = {BASE, sizeof blank, blank, 0};
	const struct stm32_flash_opts o = {0};
	struct iotime it = soon();

	plug_and_connect(f4);
	flashed(1000);
	stm32_bench_fault(&bench, "no-erase,count=0");
	bytes[5] ^= 0xff;
	ck_assert_int_lt(flash_at(BASE, 1000), 0);
	/* Blocks of FF are not written, and yet compared. */
	ck_assert_int_lt(flash_parts(&s, 1, &o), 0);
	ck_assert_int_eq(stm32_erase_mass(rom, STM32_MASS_ALL, &it, &e), 0);
	ck_assert_int_eq(stm32_check_blank(rom, BASE, 1000, &it, &e), -ERR_VERIFY_MISMATCH);
	says("at 0x08000000 expected ff");
}
END_TEST

START_TEST(a_refusal_that_lasts_is_a_refusal)
{
	plug_and_connect(f4);
	stm32_bench_fault(&bench, "nack-data,count=0");
	ck_assert_int_eq(flash_at(BASE, 1000), -ERR_DEVICE_REFUSED);
	says("attempt 2 of 2");
}
END_TEST

START_TEST(a_device_that_goes_is_gone_at_once)
{
	plug_and_connect(f4);
	ck_assert_int_eq(faults_add(&bench.wire_faults, "disappear=700,phase=write", &e), 0);
	ck_assert_int_eq(flash_at(BASE, 5000), -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(read_protection_is_told_and_lifted_with_a_wipe)
{
	static const char *const locked[] = {
		"stm32-pid=0x413", "stm32-rdp=1", "stm32-fill=0x5a", NULL};
	struct iotime it = soon();
	uint8_t b[4];

	plug_and_connect(locked);
	ck_assert(stm32_info(rom)->read_protected);
	ck_assert_int_eq(flash_at(BASE, 100), -ERR_DEVICE_REFUSED);
	says("read protection is on");
	ck_assert_int_eq(stm32_read(rom, BASE, b, 4, &it, &e), -ERR_DEVICE_REFUSED);
	ck_assert_msg(stm32_readout_unprotect(rom, &it, &e) == 0, "%s", e.msg);
	ck_assert(!stm32_info(rom)->read_protected);
	ck_assert_int_eq(stm32_check_blank(rom, BASE, 1 << 20, &it, &e), 0);
	flashed(100);
	ck_assert_msg(stm32_readout_protect(rom, &it, &e) == 0, "%s", e.msg);
	ck_assert(stm32_info(rom)->read_protected);
}
END_TEST

START_TEST(write_protected_sectors_take_nothing_and_do_not_pass)
{
	struct iotime it = soon();

	plug_and_connect(f4);
	ck_assert_msg(
		stm32_write_protect(rom, (const uint8_t[]){0, 1}, 2, &it, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(heard("\x63\x9c\x01\x00\x01\x00", 6), 1);
	ck_assert_int_eq(flash_at(BASE, 100), -ERR_VERIFY_MISMATCH);
	ck_assert_msg(stm32_write_unprotect(rom, &it, &e) == 0, "%s", e.msg);
	flashed(100);
	ck_assert_int_eq(stm32_write_protect(rom, NULL, 0, &it, &e), -ERR_INVALID);
}
END_TEST

START_TEST(a_rom_without_a_command_says_so)
{
	static const char *const less[] = {"stm32-pid=0x413", "stm32-missing=21,82", NULL};
	struct iotime it = soon();

	plug_and_connect(less);
	ck_assert_int_eq(stm32_go(rom, BASE, &it, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(stm32_readout_protect(rom, &it, &e), -ERR_UNSUPPORTED);
}
END_TEST

START_TEST(go_jumps_once_and_a_refusal_is_an_error)
{
	struct iotime it = soon();

	plug_and_connect(f4);
	ck_assert_int_eq(stm32_go(rom, 0x40000000, &it, &e), -ERR_DEVICE_REFUSED);
	says("start the application");
	ck_assert_int_eq(stm32_go(rom, BASE, &it, &e), 0);
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
}
END_TEST

/* --- answers that come late --- */

static int read_it(const struct iotime *it)
{
	uint8_t b[16];

	return stm32_read(rom, BASE, b, sizeof b, it, &e);
}

static int erase_page(const struct iotime *it)
{
	return stm32_erase_pages(rom, (const uint32_t[]){1}, 1, it, &e);
}

static int erase_all(const struct iotime *it)
{
	return stm32_erase_mass(rom, STM32_MASS_ALL, it, &e);
}

static int go(const struct iotime *it)
{
	return stm32_go(rom, BASE, it, &e);
}

static const struct {
	int (*run)(const struct iotime *it);
	unsigned phases;
} late_rows[] = {{read_it, 3}, {erase_page, 2}, {erase_all, 2}, {go, 2}};

START_TEST(a_late_answer_of_any_phase_is_not_that_of_the_next_command)
{
	struct iotime it = soon();

	for (unsigned phase = 1; phase <= late_rows[_i].phases; phase++) {
		plug_and_connect(f4);
		bench.hold = phase;

		int r = late_rows[_i].run(&it);

		ck_assert_uint_eq(bench.hold, 0);
		/* A read asks again by itself. */
		ck_assert(r == -ERR_TIMEOUT || (r == 0 && late_rows[_i].run == read_it));
		/* The ROM refuses this address: an ACK to it is another's. */
		ck_assert_msg(stm32_go(rom, 0x40000000, &it, &e) < 0, "phase %u", phase);
		if (late_rows[_i].run != go || phase == 1) {
			ck_assert_msg(read_it(&it) == 0, "phase %u: %s", phase, e.msg);
			/* Nor is it that of a new session. */
			bench.hold = phase;
			late_rows[_i].run(&it);
			ck_assert_msg(connect() == 0, "phase %u: %s", phase, e.msg);
			ck_assert_uint_eq(stm32_info(rom)->pid, 0x413);
			ck_assert(!stm32_info(rom)->read_protected);
			ck_assert_int_eq(stm32_go(rom, 0x40000000, &it, &e), -ERR_DEVICE_REFUSED);
		}
		rom = stm32_free(rom);
		stm32_bench_done(&bench);
	}
	plug(f4);
}
END_TEST

START_TEST(a_missing_answer_is_owed_to_the_dialogue_that_follows)
{
	struct iotime it = soon();

	plug_and_connect(f4);
	rom = stm32_free(rom);
	ck_assert_uint_eq(bench.wire.link.turn.owed, 0);
	rom = stm32_new(&bench.wire.link, &opts, NULL);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	bench.hold = 2;
	ck_assert_int_eq(erase_all(&it), -ERR_TIMEOUT);
	rom = stm32_free(rom);
	ck_assert_uint_eq(bench.wire.link.turn.owed, 1);
	/* And not any more once the ROM was found in turn. */
	rom = stm32_new(&bench.wire.link, &opts, NULL);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	ck_assert_uint_eq(bench.wire.link.turn.owed, 0);
}
END_TEST

START_TEST(a_late_answer_at_any_place_of_a_flash_makes_no_pass)
{
	/* 400 bytes of the old content lie there; each reply comes late, one after the other. */
	for (unsigned at = 1;; at++) {
		bool was_late;

		plug_and_connect(f4);
		stm32_bench_fault(&bench, "weak-cell=300,count=0");
		bench.hold = at;
		ck_assert_msg(flash_at(BASE, 400) < 0, "reply %u", at);
		was_late = bench.hold == 0;
		rom = stm32_free(rom);
		stm32_bench_done(&bench);
		plug_and_connect(f4);
		bench.hold = at;
		if (flash_at(BASE, 400) == 0)
			holds(BASE, bytes, 400);
		if (!was_late)
			break;
		rom = stm32_free(rom);
		stm32_bench_done(&bench);
	}
}
END_TEST

START_TEST(a_late_answer_at_any_place_of_a_connection_leaves_it_right)
{
	for (unsigned at = 1;; at++) {
		plug(f4);
		bench.hold = at;
		if (connect() == 0) {
			ck_assert_uint_eq(stm32_info(rom)->pid, 0x413);
			ck_assert_uint_eq(stm32_info(rom)->flash_bytes, 1 << 20);
			ck_assert(!stm32_info(rom)->read_protected);
			ck_assert_mem_eq(stm32_info(rom)->uid,
				"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb", 12);
		}
		if (bench.hold)
			break;
		rom = stm32_free(rom);
		stm32_bench_done(&bench);
	}
}
END_TEST

/* A NACK that nobody asked for comes with the answer to the first read. */
static void nack_comes_between(struct fake_link *f, const uint8_t *p, size_t n)
{
	static const uint8_t read_command[] = {0x11, 0xee};

	if (n == 2 && !memcmp(p, read_command, 2)) {
		fake_say(f, "\x1f", 1);
		f->device = stm32_bench_heard;
	}
	stm32_bench_heard(f, p, n);
}

START_TEST(a_nack_of_another_command_is_no_read_protection)
{
	plug(f4);
	bench.wire.device = nack_comes_between;
	ck_assert_msg(connect() == 0, "%s", e.msg);
	ck_assert_ptr_eq(bench.wire.device, stm32_bench_heard);
	ck_assert(!stm32_info(rom)->read_protected);
}
END_TEST

/* An ACK that nobody asked for comes right after that of the command. */
static void ack_comes_twice(struct fake_link *f, const uint8_t *p, size_t n)
{
	static const uint8_t go_command[] = {0x21, 0xde};

	stm32_bench_heard(f, p, n);
	if (n == 2 && !memcmp(p, go_command, 2))
		fake_say(f, "\x79", 1);
}

START_TEST(a_second_ack_is_not_that_of_the_address)
{
	struct iotime it = soon();

	plug_and_connect(f4);
	bench.wire.device = ack_comes_twice;
	ck_assert_int_eq(stm32_go(rom, 0x40000000, &it, &e), -ERR_PROTOCOL);
	says("no one asked for");
}
END_TEST

START_TEST(a_cancel_ends_it)
{
	struct cancel c;
	const struct image_segment s = {BASE, 100, bytes, 0};
	struct image image = {.refs = 1,
		.placed = true,
		.bytes = 100,
		.count = 1,
		.segments = (struct image_segment *)(uintptr_t)&s};
	const struct stm32_flash_opts o = {0};
	struct iotime it = {NO_DEADLINE, &c};

	plug_and_connect(f4);
	ck_assert_int_eq(cancel_init(&c, &e), 0);
	cancel_fire(&c, ERR_ABORTED);
	ck_assert_int_eq(stm32_flash(rom, &image, &o, &it, &res, &e), -ERR_ABORTED);
	cancel_done(&c);
}
END_TEST

static Suite *stm32_suite(void)
{
	Suite *s = suite_create("stm32_uart");
	TCase *t = tcase_create("stm32_uart");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_part_says_what_it_is);
	tcase_add_test(t, the_size_register_bounds_the_flash_not_the_table);
	tcase_add_test(t, a_rom_that_is_synchronised_already_is_found);
	tcase_add_test(t, a_second_ack_to_the_first_byte_is_borne_with);
	tcase_add_test(t, where_no_rom_answers_the_reason_is_guessed);
	tcase_add_test(t, a_part_that_no_table_has_needs_its_pages_and_size);
	tcase_add_test(t, an_image_is_written_first_block_last_and_read_back);
	tcase_add_test(t, several_parts_touch_their_own_pages_alone);
	tcase_add_test(t, equal_pages_are_left_alone_when_asked);
	tcase_add_test(t, the_short_erase_is_used_where_the_rom_has_no_other);
	tcase_add_test(t, parts_that_erase_to_00_are_padded_and_checked_with_00);
	tcase_add_test(t, special_erase_codes_go_out_with_their_checksums);
	tcase_add_loop_test(t, what_the_wire_loses_once_is_made_good, 0, FAULTS_MADE_GOOD);
	tcase_add_test(t, a_read_that_was_wrong_once_is_read_again_and_told);
	tcase_add_test(t, a_cell_that_does_not_take_is_a_mismatch);
	tcase_add_test(t, a_cell_that_always_reads_wrong_is_a_mismatch);
	tcase_add_test(t, an_erase_that_does_nothing_never_passes);
	tcase_add_test(t, a_refusal_that_lasts_is_a_refusal);
	tcase_add_test(t, a_device_that_goes_is_gone_at_once);
	tcase_add_test(t, read_protection_is_told_and_lifted_with_a_wipe);
	tcase_add_test(t, write_protected_sectors_take_nothing_and_do_not_pass);
	tcase_add_test(t, a_rom_without_a_command_says_so);
	tcase_add_test(t, go_jumps_once_and_a_refusal_is_an_error);
	tcase_add_loop_test(t, a_late_answer_of_any_phase_is_not_that_of_the_next_command, 0,
		ARRAY_LEN(late_rows));
	tcase_add_test(t, a_missing_answer_is_owed_to_the_dialogue_that_follows);
	tcase_add_test(t, a_late_answer_at_any_place_of_a_flash_makes_no_pass);
	tcase_add_test(t, a_late_answer_at_any_place_of_a_connection_leaves_it_right);
	tcase_add_test(t, a_nack_of_another_command_is_no_read_protection);
	tcase_add_test(t, a_second_ack_is_not_that_of_the_address);
	tcase_add_test(t, a_cancel_ends_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(stm32_suite)
