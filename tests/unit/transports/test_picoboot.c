/* SPDX-License-Identifier: Apache-2.0
 *
 * PICOBOOT sessions against provsim's boot ROM, which shares no code with them.
 */
#include "tests/unit/transports/picoboot_bench.h"

#include "tests/unit/transports/image_files.h"
#include "transports/images/crc.h"
#include "transports/protocols/picoboot/picoboot_usb.h"

#define BASE PICOBOOT_FLASH_BASE

static struct err e;
static struct iotime soon;
static uint8_t content[300 * 1024];
static struct pico_bench *t;
static const struct picoboot_flash_options firmware = {.boots = true};
static const char *const rp2350[] = {"pico-chip", "rp2350", NULL};

/* With the second stage of a RP2040, and no block of a RP2350. */
static void setup(void)
{
	const struct crc_kind *k = crc_kind_of("crc-32/mpeg-2");
	uint32_t sum;

	soon = (struct iotime){now_us() + 60 * US_PER_S, NULL};
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)((i * 2654435761u) >> 11);
	sum = crc_end(k, crc_add(k, crc_begin(k), content, 252));
	for (int i = 0; i < 4; i++)
		content[252 + i] = (uint8_t)(sum >> 8 * i);
}

static void teardown(void)
{
	if (t)
		t = pico_bench_free(t);
}

static struct image *image_at(uint64_t address, const void *bytes, size_t n)
{
	struct image *i = NULL;

	ck_assert_msg(
		image_parse("test.bin", bytes, n, &IMAGE_OPTS(address), &i, &e) == 0, "%s", e.msg);
	return i;
}

/* As an action does it. */
static int write_image(const struct image *i, struct picoboot_flash_result *res)
{
	int r = picoboot_reset(&t->pico, &soon, &e);

	if (r == 0)
		r = picoboot_exclusive(&t->pico, &soon, &e);
	if (r == 0)
		r = picoboot_exit_xip(&t->pico, &soon, &e);
	return r == 0 ? picoboot_flash(&t->pico, i, res, &soon, &e) : r;
}

/* What the cells hold, read past the session. */
static void check_cells(uint32_t address, const uint8_t *want, size_t n)
{
	_cleanup_(freep) uint8_t *buf = malloc(n);

	t->gone = false;
	t->gone_at = 0;
	ck_assert_int_eq(picoboot_reset(&t->pico, &soon, &e), 0);
	ck_assert_msg(picoboot_flash_read(&t->pico, address, buf, n, &soon, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(buf, want, n);
}

START_TEST(an_image_is_written_and_read_back_on_both_chips)
{
	for (int k = 0; k < 2; k++) {
		struct picoboot_flash_result res;
		struct image *i = image_at(BASE, content, 100 * 1024 + 3);

		t = pico_bench_new(k ? rp2350 : NULL);
		ck_assert_msg(write_image(i, &res) == 0, "%s", e.msg);
		ck_assert_str_eq(res.sha256_written, res.sha256_read);
		ck_assert_uint_eq(res.bytes, 100 * 1024 + 3);
		ck_assert_uint_eq(res.sectors, 26);
		ck_assert_uint_eq(res.sectors_written, 26);
		check_cells(BASE, content, 100 * 1024 + 3);
		image_unref(i);
		t = pico_bench_free(t);
	}
}
END_TEST

START_TEST(what_is_there_already_is_passed_over_after_it_was_seen)
{
	struct picoboot_flash_result res;
	struct image *i = image_at(BASE, content, 90000);

	t = pico_bench_new(NULL);
	ck_assert_int_eq(write_image(i, &res), 0);

	json_int_t erases = pico_bench_count(t, "erases");

	ck_assert_msg(write_image(i, &res) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.sectors_erased, 0);
	ck_assert_str_eq(res.sha256_written, res.sha256_read);
	ck_assert_int_eq(pico_bench_count(t, "erases"), erases);

	/* One byte of a sector in the middle: that one, and the first. */
	struct image *j;

	content[40000] ^= 0x55;
	j = image_at(BASE, content, 90000);
	ck_assert_msg(write_image(j, &res) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.sectors_erased, 2);
	check_cells(BASE, content, 90000);
	image_unref(i);
	image_unref(j);
}
END_TEST

START_TEST(a_segment_that_begins_inside_a_sector_arrives)
{
	struct picoboot_flash_result res;
	struct image *i = image_at(BASE + 0x1010, content, 5000);
	uint8_t blank[0x10];

	memset(blank, 0xff, sizeof blank);
	t = pico_bench_new(NULL);
	ck_assert_msg(write_image(i, &res) == 0, "%s", e.msg);
	check_cells(BASE + 0x1010, content, 5000);
	check_cells(BASE + 0x1000, blank, sizeof blank);
	image_unref(i);
}
END_TEST

/* Its ROM starts nothing of an interrupted unit. */
START_TEST(an_interrupted_unit_has_no_first_sector)
{
	struct picoboot_flash_result res;
	struct image *old = image_at(BASE, content + 1000, 60000);
	struct image *i = image_at(BASE, content, 60000);
	uint8_t blank[4096];

	memset(blank, 0xff, sizeof blank);
	for (unsigned cut = 60; cut < 120; cut += 7) {
		t = pico_bench_new(NULL);
		ck_assert_int_eq(write_image(old, &res), 0);
		t->gone_at = t->transfers + cut;
		ck_assert_int_eq(write_image(i, &res), -ERR_DEVICE_GONE);
		check_cells(BASE, blank, sizeof blank);
		t = pico_bench_free(t);
	}
	image_unref(i);
	image_unref(old);
}
END_TEST

START_TEST(a_cancel_ends_it_at_once)
{
	struct picoboot_flash_result res;
	struct image *i = image_at(BASE, content, 60000);
	struct cancel c;

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	soon.cancel = &c;
	t = pico_bench_new(NULL);
	t->fires = &c;
	t->gone_at = 50;
	ck_assert_int_eq(write_image(i, &res), -ERR_ABORTED);
	ck_assert_uint_le(t->transfers, 52);
	soon.cancel = NULL;
	cancel_done(&c);
	image_unref(i);
}
END_TEST

/* A chip of 256 KiB under an image that ends above it: blank, and with a unit's old firmware. */
START_TEST(a_flash_that_wraps_is_found)
{
	static const char *const small[] = {"pico-flash", "256K", NULL};
	static const char *const enough[] = {"pico-flash", "512K", NULL};
	static const uint32_t offsets[] = {0, 4096, 100 * 1024, 300 * 1024};

	for (size_t k = 0; k < 2 * ARRAY_LEN(offsets); k++) {
		struct picoboot_flash_result res;
		bool was_used = k % 2;
		struct image *old = image_at(BASE, content, 200 * 1024);
		uint32_t offset = offsets[k / 2];
		struct image *i =
			image_at(BASE + offset, content + 7, offset ? 180 * 1024 : 270 * 1024);
		bool fits = offset + i->bytes <= 256 * 1024;

		t = pico_bench_new(small);
		if (was_used)
			ck_assert_msg(write_image(old, &res) == 0, "%s", e.msg);
		ck_assert_int_eq(write_image(i, &res), fits ? 0 : -ERR_IMAGE_RANGE);
		if (!fits)
			ck_assert_ptr_nonnull(strstr(e.msg, "too small"));
		t = pico_bench_free(t);
		t = pico_bench_new(enough);
		if (was_used)
			ck_assert_int_eq(write_image(old, &res), 0);
		ck_assert_msg(write_image(i, &res) == 0, "%u: %s", offset, e.msg);
		t = pico_bench_free(t);
		image_unref(i);
		image_unref(old);
	}
}
END_TEST

/* The same firmware in two places of one flash does not show a smaller one. */
START_TEST(two_equal_slots_are_not_a_small_flash)
{
	struct picoboot_flash_result res;
	struct image *a = image_at(BASE + 0x10000, content, 50000);
	struct image *b = image_at(BASE + 0x110000, content, 50000);

	t = pico_bench_new(NULL);
	ck_assert_int_eq(write_image(a, &res), 0);
	ck_assert_msg(write_image(b, &res) == 0, "%s", e.msg);
	ck_assert_msg(write_image(b, &res) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.sectors_erased, 2); /* the last, to see it, and the first */
	check_cells(BASE + 0x10000, content, 50000);
	check_cells(BASE + 0x110000, content, 50000);
	image_unref(a);
	image_unref(b);
}
END_TEST

/* Each fault: never a pass of what is not there, and the code that fits. */
START_TEST(each_fault_ends_as_what_it_is)
{
	static const struct {
		const char *fault;
		int code;
		const char *word;
	} rows[] = {
		{"status=10", ERR_DEVICE_REFUSED, "not permitted"},
		{"status=4", ERR_DEVICE_REFUSED, "invalid address"},
		{"status=7", ERR_DEVICE_REFUSED, "rebooting"},
		{"disappear=20", ERR_DEVICE_GONE, "gone"},
		{"weak-cell=70001,count=0", ERR_VERIFY_MISMATCH, "0x10011171"},
		{"lost-write", ERR_VERIFY_MISMATCH, "ff"},
		{"no-erase,count=0", ERR_VERIFY_MISMATCH, "differs"},
		{"short-read", ERR_PROTOCOL, "expected"},
		{"long-ack", ERR_PROTOCOL, "empty packet"},
		{"late", ERR_TIMEOUT, "deadline"},
		{"old-token", ERR_PROTOCOL, "number"},
		{"short-status", ERR_PROTOCOL, "status of 8 bytes"},
		{"in-progress", ERR_PROTOCOL, "in progress"},
	};
	struct image *old = image_at(BASE, content + 1000, 80000);
	struct image *i = image_at(BASE, content, 80000);

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		struct picoboot_flash_result res;

		t = pico_bench_new(k % 2 ? rp2350 : NULL);
		ck_assert_int_eq(write_image(old, &res), 0);
		pico_bench_fault(t, rows[k].fault);
		ck_assert_msg(
			write_image(i, &res) == -rows[k].code, "%s: %s", rows[k].fault, e.msg);
		ck_assert_msg(strstr(e.msg, rows[k].word) != NULL, "%s: %s", rows[k].fault, e.msg);
		/* The next session is not disturbed by what the last one left. */
		t->faults.n = 0;
		t->gone = false;
		t->device->wish = WISH_NONE;
		ck_assert_msg(write_image(i, &res) == 0, "%s: %s", rows[k].fault, e.msg);
		check_cells(BASE, content, 80000);
		t = pico_bench_free(t);
	}
	image_unref(i);
	image_unref(old);
}
END_TEST

/* One bit of the last reading: it was written right, and is not believed. */
START_TEST(a_reading_with_a_wrong_bit_is_no_pass)
{
	struct picoboot_flash_result res;
	struct image *i = image_at(BASE, content, 8192);

	t = pico_bench_new(NULL);
	ck_assert_int_eq(write_image(i, &res), 0);
	pico_bench_fault(t, "flip-read,count=0");
	ck_assert_int_eq(write_image(i, &res), -ERR_VERIFY_MISMATCH);
	image_unref(i);
}
END_TEST

/* The ROM of the RP2040 acknowledges an erase that it refuses; that of the RP2350 does not. */
START_TEST(the_acknowledge_of_an_erase_proves_nothing)
{
	t = pico_bench_new(NULL);
	ck_assert_int_eq(picoboot_erase(&t->pico, BASE + 1, 4096, &soon, &e), 0);
	ck_assert_int_eq(pico_bench_count(t, "erases"), 0);
	t = pico_bench_free(t);
	t = pico_bench_new(rp2350);
	ck_assert_int_eq(picoboot_erase(&t->pico, BASE + 1, 4096, &soon, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "bad alignment"));
}
END_TEST

/* The words of the protocol, by boot/picoboot.h: magic, number, READ, 8 bytes of arguments, 256 bytes, address, size. */
static uint8_t first_out[32];
static size_t first_n;

static int keep_out(void *data, const void *buf, size_t n, const struct iotime *it, struct err *err)
{
	if (!first_n)
		memcpy(first_out, buf, first_n = MIN(n, sizeof first_out));
	return err_set(err, ERR_DEVICE_GONE, "enough");
}

START_TEST(a_command_is_laid_out_as_the_header_says)
{
	static const uint8_t want[32] = {0x0b, 0xd1, 0x1f, 0x43, 0x08, 0, 0, 0, 0x84, 8, 0, 0, 0, 1,
		0, 0, 0, 0x20, 0, 0x10, 0, 1, 0, 0};
	const struct picoboot_port port = {NULL, keep_out, NULL, NULL, NULL};
	struct picoboot p;
	uint8_t buf[256];

	picoboot_init(&p, &port, PICOBOOT_RP2040, 7, NULL);
	ck_assert_int_eq(picoboot_read(&p, 0x10002000, buf, 256, &soon, &e), -ERR_DEVICE_GONE);
	ck_assert_uint_eq(first_n, 32);
	ck_assert_mem_eq(first_out, want, 32);
}
END_TEST

START_TEST(a_rp2350_says_what_it_is_and_a_rp2040_does_not)
{
	static const char *const parted[] = {"pico-chip", "rp2350", "pico-partitions", "3", NULL};
	struct picoboot_info info;

	t = pico_bench_new(parted);
	ck_assert_msg(picoboot_info(&t->pico, &info, &soon, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(info.chip_id, 0x89abcdef01234567);
	ck_assert_str_eq(info.cpu, "arm");
	ck_assert(info.partition_table && !info.secure_boot);
	ck_assert_uint_eq(info.partitions, 3);
	t = pico_bench_free(t);
	t = pico_bench_new(NULL);
	ck_assert_int_eq(picoboot_info(&t->pico, &info, &soon, &e), -ERR_UNSUPPORTED);
}
END_TEST

START_TEST(each_chip_restarts_by_its_own_command)
{
	for (int k = 0; k < 2; k++) {
		struct picoboot_flash_result res;
		struct image *i = image_at(BASE, content, 8192);
		enum device_wish w = WISH_NONE;
		uint64_t until = now_us() + 5 * US_PER_S;

		t = pico_bench_new(k ? rp2350 : NULL);
		ck_assert_int_eq(write_image(i, &res), 0);
		ck_assert_msg(picoboot_reboot(&t->pico, &soon, &e) == 0, "%s", e.msg);
		while (w == WISH_NONE && now_us() < until)
			w = device_take_wish(t->device);
		ck_assert_int_eq(w, WISH_REENUMERATE);
		ck_assert_str_eq(t->device->ops->state(t->device), "application");
		image_unref(i);
		t = pico_bench_free(t);
	}
}
END_TEST

/* -- images -- */

static int check_image(const struct image *i, enum picoboot_chip chip)
{
	e.msg[0] = '\0';
	return picoboot_image_check(i, chip, &firmware, &e);
}

START_TEST(an_image_of_the_other_chip_is_refused)
{
	struct image *i = image_at(BASE, content, 8192);
	struct image *j;

	ck_assert_msg(check_image(i, PICOBOOT_RP2040) == 0, "%s", e.msg);
	ck_assert_int_eq(check_image(i, PICOBOOT_RP2350), -ERR_IMAGE_PART);
	ck_assert_ptr_nonnull(strstr(e.msg, "0xffffded3"));
	/* A block at 0x100, and the second stage's checksum gone. */
	memcpy(content + 0x100, (const uint8_t[]){0xd3, 0xde, 0xff, 0xff}, 4);
	content[252] ^= 1;
	j = image_at(BASE, content, 8192);
	ck_assert_msg(check_image(j, PICOBOOT_RP2350) == 0, "%s", e.msg);
	ck_assert_int_eq(check_image(j, PICOBOOT_RP2040), -ERR_IMAGE_PART);
	ck_assert_ptr_nonnull(strstr(e.msg, "second stage"));
	image_unref(i);
	image_unref(j);
}
END_TEST

START_TEST(an_image_for_ram_or_above_the_flash_is_refused)
{
	struct image *ram = image_at(0x20000000, content, 100);
	struct image *high = image_at(0x11000000 - 50, content, 100);
	struct image *mid = image_at(BASE + 0x1fff00, content, 1000);
	const struct picoboot_flash_options two = {.flash_bytes = 2 << 20};
	const struct picoboot_flash_options lots = {.flash_bytes = 64 << 20};

	ck_assert_int_eq(check_image(ram, PICOBOOT_RP2040), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "RAM"));
	ck_assert_int_eq(check_image(high, PICOBOOT_RP2040), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x11000000"));
	ck_assert_int_eq(check_image(high, PICOBOOT_RP2350), 0);
	ck_assert_int_eq(check_image(mid, PICOBOOT_RP2040), 0);
	ck_assert_int_eq(picoboot_image_check(mid, PICOBOOT_RP2040, &two, &e), -ERR_IMAGE_RANGE);
	ck_assert_int_eq(picoboot_image_check(mid, PICOBOOT_RP2040, &lots, &e), -ERR_INVALID);
	image_unref(ram);
	image_unref(high);
	image_unref(mid);
}
END_TEST

static struct image *uf2_of(uint32_t family)
{
	const struct uf2_kind kind = {0x2000, family};
	const struct part part = {BASE, content, 512};
	struct strbuf b = {0};
	struct image *i = NULL;

	write_uf2(&b, kind, &part, 1, 256);
	ck_assert_msg(
		image_parse("test.uf2", b.s, b.len, &IMAGE_OPTS(IMAGE_NO_ADDRESS), &i, &e) == 0,
		"%s", e.msg);
	sb_done(&b);
	return i;
}

START_TEST(a_uf2_family_of_another_chip_is_refused)
{
	static const struct {
		uint32_t family;
		int rp2040, rp2350;
	} rows[] = {
		{0xe48bff56, 0, -ERR_IMAGE_PART}, {0xe48bff57, -ERR_IMAGE_PART, 0},
		{0xe48bff59, -ERR_IMAGE_PART, 0}, {0xe48bff5a, -ERR_IMAGE_PART, 0},
		{0xada52840, -ERR_IMAGE_PART, -ERR_IMAGE_PART}, /* nRF52840 */
	};
	const struct picoboot_flash_options data = {0};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		struct image *i = uf2_of(rows[k].family);

		ck_assert_int_eq(
			picoboot_image_check(i, PICOBOOT_RP2040, &data, &e), rows[k].rp2040);
		ck_assert_int_eq(
			picoboot_image_check(i, PICOBOOT_RP2350, &data, &e), rows[k].rp2350);
		image_unref(i);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("picoboot");
	TCase *c = tcase_create("picoboot");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, an_image_is_written_and_read_back_on_both_chips);
	tcase_add_test(c, what_is_there_already_is_passed_over_after_it_was_seen);
	tcase_add_test(c, a_segment_that_begins_inside_a_sector_arrives);
	tcase_add_test(c, an_interrupted_unit_has_no_first_sector);
	tcase_add_test(c, a_cancel_ends_it_at_once);
	tcase_add_test(c, a_flash_that_wraps_is_found);
	tcase_add_test(c, two_equal_slots_are_not_a_small_flash);
	tcase_add_test(c, each_fault_ends_as_what_it_is);
	tcase_add_test(c, a_reading_with_a_wrong_bit_is_no_pass);
	tcase_add_test(c, the_acknowledge_of_an_erase_proves_nothing);
	tcase_add_test(c, a_command_is_laid_out_as_the_header_says);
	tcase_add_test(c, a_rp2350_says_what_it_is_and_a_rp2040_does_not);
	tcase_add_test(c, each_chip_restarts_by_its_own_command);
	tcase_add_test(c, an_image_of_the_other_chip_is_refused);
	tcase_add_test(c, an_image_for_ram_or_above_the_flash_is_refused);
	tcase_add_test(c, a_uf2_family_of_another_chip_is_refused);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
