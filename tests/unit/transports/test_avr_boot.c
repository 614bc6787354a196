/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions with provsim's AVR bootloaders, which share no code with them.
 */
#include "base/digest.h"
#include "tests/unit/transports/boot_bench.h"
#include "tests/unit/unit.h"
#include "transports/protocols/avr/avr_boot.h"

static struct boot_bench bench;
static struct avr_boot *boot;
static struct avr_opts opts;
static struct avr_result res;
static struct err e;
static uint8_t bytes[200000];

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static void set_up(void)
{
	opts = AVR_OPTS_DEFAULT;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + (i * i >> 9));
}

static void tear_down(void)
{
	boot = avr_boot_free(boot);
	boot_bench_done(&bench);
}

static const char *const m328p[] = {"avr-part=m328p", NULL};
static const char *const m2560[] = {"avr-part=m2560", "avr-protocol=2", NULL};
static const char *const m2560_v1[] = {"avr-part=m2560", NULL};

/* As the capacitor between DTR and RESET does it. */
static int enter(void *data, const struct iotime *it, struct err *err)
{
	static const struct line_state off = {0}, on = {.dtr = true};

	bench.device->ops->line(bench.device, &off, bench.now_us);
	bench.device->ops->line(bench.device, &on, bench.now_us);
	return 0;
}

static const char *const wired[] = {"avr-part=m328p", "avr-wiring=dtr", NULL};

static void plug(const char *const *settings)
{
	const struct avr_hooks hooks = {.enter = settings == wired ? enter : NULL};

	boot_bench_init(&bench, &avr_device, settings, "00112233445566778899aabb");
	opts.protocol = settings == m2560 ? AVR_STK500_V2 : AVR_STK500_V1;
	boot = avr_boot_new(&bench.wire.link, &opts, &hooks);
}

static int connect(void)
{
	struct iotime it = soon();

	return avr_boot_connect(boot, &it, &e);
}

static void plug_and_connect(const char *const *settings)
{
	plug(settings);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	bench.wire.heard_len = 0;
}

static int flash_at(uint32_t at, uint32_t n)
{
	const struct image_segment g = {at, n, bytes, 0};
	struct image image = {.refs = 1,
		.placed = true,
		.bytes = n,
		.segments = (struct image_segment *)(uintptr_t)&g,
		.count = 1,
		.path = (char *)(uintptr_t) "fw"};
	struct iotime it = soon();

	return avr_boot_flash(boot, &image, &it, &res, &e);
}

/* What the unit holds: its digest is that of what was written, and FF elsewhere. */
static bool holds(uint32_t at, uint32_t n, uint32_t size)
{
	json_t *o = json_object();
	uint8_t *all = malloc(size);
	char sum[SHA256_HEX];
	bool same;

	ck_assert_ptr_nonnull(all);
	memset(all, 0xff, size);
	memcpy(all + at, bytes, n);
	bench.device->ops->json(bench.device, true, o);
	sha256_hex_of(all, size, sum);
	same = !strcmp(sum, json_string_value(json_object_get(o, "flash_sha256")));
	free(all);
	json_decref(o);
	return same;
}

static void says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

START_TEST(a_part_is_known_by_its_signature)
{
	plug_and_connect(_i ? m2560 : m328p);
	ck_assert_str_eq(avr_boot_info(boot)->part, _i ? "ATmega2560" : "ATmega328P");
	ck_assert_uint_eq(avr_boot_info(boot)->flash_bytes, _i ? 256 * 1024 : 32 * 1024);
}
END_TEST

START_TEST(an_image_is_written_and_all_of_it_read_back)
{
	plug_and_connect(_i ? m2560 : m328p);
	ck_assert_msg(flash_at(0, 5001) == 0, "%s", e.msg);
	ck_assert(holds(0, 5001, _i ? 256 * 1024 : 32 * 1024));
	ck_assert_uint_eq(res.pages, _i ? 20 : 40);
	ck_assert_int_eq(boot_bench_count(&bench, "reads"), res.pages);
	ck_assert_str_eq(res.sha256_read, res.sha256_written);
}
END_TEST

/* Above 64 K words the address has another byte, of either protocol. */
START_TEST(flash_above_128_kib_is_reached)
{
	plug_and_connect(_i ? m2560 : m2560_v1);
	opts.reserve = 0;
	ck_assert_msg(flash_at(0, 150000) == 0, "%s", e.msg);
	ck_assert(holds(0, 150000, 256 * 1024));
}
END_TEST

START_TEST(the_frames_of_version_1)
{
	static const uint8_t page[] = {0x55, 0x40, 0x00, 0x20, 0x64, 0x00, 0x80, 'F'};

	plug_and_connect(m328p);
	ck_assert_msg(flash_at(0x80, 3) == 0, "%s", e.msg);
	ck_assert_ptr_nonnull(memmem(bench.wire.heard, bench.wire.heard_len, page, sizeof page));
}
END_TEST

START_TEST(the_bootloader_is_not_written_over)
{
	opts.reserve = 512;
	plug_and_connect(m328p);
	ck_assert_int_eq(flash_at(32768 - 600, 100), -ERR_IMAGE_RANGE);
	says("the bootloader has the last 512 bytes");
	ck_assert_int_eq(boot_bench_count(&bench, "writes"), 0);
	ck_assert_msg(flash_at(32768 - 640, 100) == 0, "%s", e.msg);
}
END_TEST

static const char *const made_good[] = {"silent=WRITE", "twice=WRITE", "twice=READ", "refuse=WRITE",
	"noise", "short", "read-flip=300", "drop=700", "flip=700", "drop-reply=60",
	"flip-reply=60"};

/* The number of the command in either protocol. */
static void fault(const char *spec, bool second, const char *more)
{
	char text[64];
	const char *at = strchr(spec, '=');
	bool write = strstr(spec, "WRITE") != NULL;

	if (write || strstr(spec, "READ"))
		snprintf(text, sizeof text, "%.*s=%d%s", (int)(at - spec), spec,
			second ? (write ? 0x13 : 0x14) : (write ? 0x64 : 0x74), more);
	else
		snprintf(text, sizeof text, "%s%s", spec, more);
	boot_bench_fault(&bench, text);
}

START_TEST(what_goes_wrong_once_is_made_good)
{
	bool second = _i & 1;

	plug_and_connect(second ? m2560 : wired);
	fault(made_good[_i / 2], second, "");
	ck_assert_msg(flash_at(0, 5001) == 0, "%s: %s", made_good[_i / 2], e.msg);
	ck_assert_uint_gt(bench.faults.fired + bench.wire_faults.fired, 0);
	ck_assert(holds(0, 5001, second ? 256 * 1024 : 32 * 1024));
}
END_TEST

static const struct {
	const char *fault;
	enum err_code v1, v2;
} lasting[] = {
	{"silent=WRITE", ERR_TIMEOUT, ERR_TIMEOUT},
	{"silent=READ", ERR_TIMEOUT, ERR_TIMEOUT},
	{"refuse=WRITE", ERR_DEVICE_REFUSED, ERR_DEVICE_REFUSED},
	{"twice=WRITE", ERR_PROTOCOL, ERR_NONE},
	{"weak-cell=300", ERR_VERIFY_MISMATCH, ERR_VERIFY_MISMATCH},
	{"bit-rot=300", ERR_VERIFY_MISMATCH, ERR_VERIFY_MISMATCH},
	{"read-flip=300", ERR_VERIFY_MISMATCH, ERR_VERIFY_MISMATCH},
	{"short", ERR_TIMEOUT, ERR_PROTOCOL},
};

START_TEST(what_lasts_never_passes)
{
	bool second = _i & 1;
	enum err_code want = second ? lasting[_i / 2].v2 : lasting[_i / 2].v1;

	plug_and_connect(second ? m2560 : m328p);
	fault(lasting[_i / 2].fault, second, ",count=0");
	ck_assert_msg(
		flash_at(0, 5001) == -(int)want, "%s: %d %s", lasting[_i / 2].fault, e.code, e.msg);
	/* A weak cell, or a page that was not written, shows in what came. */
	if (want == ERR_VERIFY_MISMATCH && !strncmp(lasting[_i / 2].fault, "weak", 4))
		ck_assert_msg(strstr(e.msg, second ? "; 1 of the 256 bytes of that page differ"
						   : "; 1 of the 128 bytes of that page differ"),
			"%s", e.msg);
}
END_TEST

/* The answer to each write of a session in turn comes late: with the next one's. */
START_TEST(a_late_answer_at_any_place_makes_no_pass_of_a_wrong_flash)
{
	bool ended = false;

	for (unsigned k = 1; !ended; k++) {
		int r;

		plug(_i ? m2560 : m328p);
		bench.hold = k;
		r = connect();
		if (r == 0)
			r = flash_at(0, 700);
		ended = bench.hold > 0;
		ck_assert_msg(
			r != 0 || holds(0, 700, _i ? 256 * 1024 : 32 * 1024), "late answer %u", k);
		ck_assert_msg(r == 0 || *e.msg, "late answer %u", k);
		ck_assert_uint_lt(k, 500);
		if (ended)
			break;
		boot = avr_boot_free(boot);
		boot_bench_done(&bench);
	}
}
END_TEST

START_TEST(a_late_answer_at_any_place_hides_no_rotten_cell)
{
	bool ended = false;

	for (unsigned k = 1; !ended; k++) {
		plug_and_connect(_i ? m2560 : m328p);
		boot_bench_fault(&bench, "bit-rot=300,count=0");
		bench.hold = k;
		ck_assert_msg(flash_at(0, 700) != 0, "late answer %u", k);
		ended = bench.hold > 0;
		if (ended)
			break;
		boot = avr_boot_free(boot);
		boot_bench_done(&bench);
	}
}
END_TEST

/* The answer to the first READ_PAGE comes a second time, right before that to the second. */
static void read_comes_twice(struct fake_link *f, const uint8_t *p, size_t n)
{
	static uint8_t first[200];
	static size_t first_n;
	size_t from;

	if (p[0] != 0x74) {
		boot_bench_heard(f, p, n);
		return;
	}
	fake_say(f, first, first_n);
	from = f->len - f->at;
	boot_bench_heard(f, p, n);
	if (first_n == 0) {
		first_n = MIN(f->len - f->at - from, sizeof first);
		memcpy(first, f->out + f->at + from, first_n);
	}
}

START_TEST(an_answer_that_comes_twice_hides_no_rotten_cell_of_an_equal_page)
{
	memset(bytes, 0x5a, 256);
	opts.attempts = 1;
	plug_and_connect(m328p);
	boot_bench_fault(&bench, "bit-rot=200,count=0");
	bench.wire.device = read_comes_twice;
	ck_assert_int_eq(flash_at(0, 256), -ERR_PROTOCOL);
	says("no one asked for");
}
END_TEST

START_TEST(a_missing_answer_is_owed_to_the_dialogue_that_follows)
{
	plug_and_connect(m328p);
	fault("silent=READ", false, ",count=0");
	ck_assert_int_eq(flash_at(0, 100), -ERR_TIMEOUT);
	boot = avr_boot_free(boot);
	ck_assert_uint_gt(bench.wire.link.turn.owed, 0);
}
END_TEST

START_TEST(where_no_bootloader_answers_the_reason_is_guessed)
{
	plug(m328p);
	bench.device->ops->power_off(bench.device);
	ck_assert_int_eq(connect(), -ERR_TIMEOUT);
	says("'protocol' right?");
}
END_TEST

START_TEST(the_other_protocol_is_not_taken_for_its_own)
{
	plug(m2560);
	boot = avr_boot_free(boot);
	opts.protocol = AVR_STK500_V1;
	boot = avr_boot_new(&bench.wire.link, &opts, NULL);
	ck_assert_int_eq(connect(), -ERR_TIMEOUT);
}
END_TEST

START_TEST(a_device_that_goes_is_gone_at_once)
{
	plug_and_connect(m328p);
	boot_bench_fault(&bench, "disappear=400");
	ck_assert_int_eq(flash_at(0, 5001), -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(the_application_is_started)
{
	struct iotime it = soon();

	plug_and_connect(_i ? m2560 : m328p);
	ck_assert_msg(avr_boot_leave(boot, &it, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
}
END_TEST

static Suite *avr_suite(void)
{
	Suite *s = suite_create("avr_boot");
	TCase *t = tcase_create("avr_boot");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, a_part_is_known_by_its_signature, 0, 2);
	tcase_add_loop_test(t, an_image_is_written_and_all_of_it_read_back, 0, 2);
	tcase_add_loop_test(t, flash_above_128_kib_is_reached, 0, 2);
	tcase_add_test(t, the_frames_of_version_1);
	tcase_add_test(t, the_bootloader_is_not_written_over);
	tcase_add_loop_test(t, what_goes_wrong_once_is_made_good, 0, 2 * ARRAY_LEN(made_good));
	tcase_add_loop_test(t, what_lasts_never_passes, 0, 2 * ARRAY_LEN(lasting));
	tcase_add_loop_test(t, a_late_answer_at_any_place_makes_no_pass_of_a_wrong_flash, 0, 2);
	tcase_add_loop_test(t, a_late_answer_at_any_place_hides_no_rotten_cell, 0, 2);
	tcase_add_test(t, an_answer_that_comes_twice_hides_no_rotten_cell_of_an_equal_page);
	tcase_add_test(t, a_missing_answer_is_owed_to_the_dialogue_that_follows);
	tcase_add_test(t, where_no_bootloader_answers_the_reason_is_guessed);
	tcase_add_test(t, the_other_protocol_is_not_taken_for_its_own);
	tcase_add_test(t, a_device_that_goes_is_gone_at_once);
	tcase_add_loop_test(t, the_application_is_started, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(avr_suite)
