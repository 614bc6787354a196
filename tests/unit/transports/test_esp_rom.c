/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions with provsim's boot ROM of the ESP32 family, which shares no code with them.
 */
#include "base/strbuf.h"
#include "tests/unit/transports/esp_bench.h"
#include "tests/unit/unit.h"
#include "transports/protocols/esp/esp_rom.h"

#define UID    "00112233445566778899aabb"
#define OTHER  "ffeeddccbbaa998877665544"
#define OFFSET 0x10000u

static struct boot_bench bench;
static struct esp_rom *rom;
static struct esp_opts opts;
static struct esp_hooks hooks;
static struct esp_region_result res[2];
static struct strbuf said;
static struct err e;
static uint8_t bytes[70001];

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
	opts = ESP_OPTS_DEFAULT;
	hooks = (struct esp_hooks){.tell = {.log = log_line}};
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251 + (i * i >> 9));
}

static void tear_down(void)
{
	rom = esp_rom_free(rom);
	boot_bench_done(&bench);
	sb_done(&said);
}

static void plug(const char *const *settings)
{
	boot_bench_init(&bench, &esp_device, settings, UID);
	rom = esp_rom_new(&bench.wire.link, &opts, &hooks);
}

static int connect(void)
{
	struct iotime it = soon();

	return esp_rom_connect(rom, &it, &e);
}

static void plug_and_connect(const char *const *settings)
{
	plug(settings);
	ck_assert_msg(connect() == 0, "%s", e.msg);
	bench.wire.heard_len = 0;
}

static const char *const c3[] = {"esp-chip=esp32c3", NULL};
static const char *const secure_c3[] = {"esp-chip=esp32c3", "esp-secure=1", NULL};

static int flash_regions(const struct esp_region *g, size_t n, struct esp_flash_opts o)
{
	struct iotime it = soon();

	return esp_rom_flash(rom, g, n, &o, &it, res, &e);
}

static int flash_with(uint32_t at, uint32_t n, struct esp_flash_opts o)
{
	const struct esp_region g = {"fw", at, n, bytes};

	return flash_regions(&g, 1, o);
}

static const struct esp_flash_opts packed = {.compress = true};
static const struct esp_flash_opts plain = {0};

static void says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

static bool holds(uint32_t at, const uint8_t *want, uint32_t n)
{
	_cleanup_(freep) uint8_t *got = malloc(n);
	struct iotime it = soon();
	bool same = esp_rom_read(rom, at, got, n, &it, &e) == 0 && !memcmp(got, want, n);

	return same;
}

/* How often the host sent these bytes. */
static size_t heard(const void *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i + n <= bench.wire.heard_len; i++)
		k += !memcmp(bench.wire.heard + i, p, n);
	return k;
}

static const struct {
	const char *setting, *name;
	unsigned major, minor;
} chip_rows[] = {
	{"esp-chip=esp32", "ESP32", 1, 1},
	{"esp-chip=esp32s2", "ESP32-S2", 1, 1},
	{"esp-chip=esp32s3", "ESP32-S3", 1, 1},
	{"esp-chip=esp32c2", "ESP32-C2", 1, 1},
	{"esp-chip=esp32c3", "ESP32-C3", 1, 1},
	{"esp-chip=esp32c6", "ESP32-C6", 1, 1},
	{"esp-chip=esp32h2", "ESP32-H2", 1, 1},
};

START_TEST(each_chip_says_what_it_is_and_is_flashed)
{
	const char *const settings[] = {chip_rows[_i].setting, "esp-flash=2M", NULL};
	const struct esp_info *i;
	json_t *unit;
	char mac[24];

	plug_and_connect(settings);
	i = esp_rom_info(rom);
	ck_assert_str_eq(i->chip->name, chip_rows[_i].name);
	ck_assert_uint_eq(i->major, chip_rows[_i].major);
	ck_assert_uint_eq(i->minor, chip_rows[_i].minor);
	ck_assert_uint_eq(i->flash_bytes, 2u << 20);
	ck_assert(!i->secure_download);
	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", i->mac[0], i->mac[1], i->mac[2],
		i->mac[3], i->mac[4], i->mac[5]);
	unit = boot_bench_state(&bench);
	ck_assert_str_eq(mac, json_string_value(json_object_get(unit, "mac")));
	json_decref(unit);
	ck_assert_msg(flash_with(OFFSET, 5001, packed) == 0, "%s", e.msg);
	ck_assert(holds(OFFSET, bytes, 5001));
	ck_assert_msg(flash_with(OFFSET, 5001, plain) == 0, "%s", e.msg);
	ck_assert(holds(OFFSET, bytes, 5001));
}
END_TEST

START_TEST(the_size_of_the_flash_bounds_what_is_written_before_the_erase)
{
	static const char *const small[] = {"esp-flash=1M", NULL};

	plug_and_connect(small);
	ck_assert_int_eq(flash_with((1 << 20) - 0x1000, 0x1001, packed), -ERR_IMAGE_RANGE);
	says("do not fit the flash of 1024 KiB");
	ck_assert_int_eq(flash_with(0x1800, 10, packed), -ERR_IMAGE_RANGE);
	says("sector");
	ck_assert_int_eq(flash_with(0x1000, 0, packed), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 0);
	ck_assert_msg(flash_with((1 << 20) - 0x1000, 0x1000, packed) == 0, "%s", e.msg);
}
END_TEST

START_TEST(regions_that_share_a_sector_are_refused)
{
	const struct esp_region both[] = {{"a", 0x1000, 0x1001, bytes}, {"b", 0x2000, 16, bytes}};

	plug_and_connect(c3);
	ck_assert_int_eq(flash_regions(both, 2, packed), -ERR_IMAGE_RANGE);
	says("a at 0x1000 and b at 0x2000 share");
}
END_TEST

START_TEST(several_regions_touch_their_own_sectors_alone)
{
	const struct esp_region old = {"old", 0x3000, 0x1000, bytes + 9};
	const struct esp_region both[] = {
		{"a", 0x1000, 0x2000, bytes}, {"b", 0x4000, 33, bytes + 3}};

	plug_and_connect(c3);
	ck_assert_msg(flash_regions(&old, 1, packed) == 0, "%s", e.msg);
	ck_assert_msg(flash_regions(both, 2, packed) == 0, "%s", e.msg);
	ck_assert(holds(0x3000, bytes + 9, 0x1000));
	ck_assert(holds(0x4000, bytes + 3, 33));
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 1 + 3);
}
END_TEST

START_TEST(an_equal_region_is_left_alone_when_asked)
{
	const struct esp_flash_opts skip = {.compress = true, .skip_equal = true};

	plug_and_connect(c3);
	ck_assert_msg(flash_with(OFFSET, 9000, skip) == 0, "%s", e.msg);
	ck_assert(!res[0].equal);
	ck_assert_msg(flash_with(OFFSET, 9000, skip) == 0, "%s", e.msg);
	ck_assert(res[0].equal);
	ck_assert_uint_eq(strlen(res[0].md5), MD5_HEX - 1);
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 3);
	bytes[8000] ^= 1;
	ck_assert_msg(flash_with(OFFSET, 9000, skip) == 0, "%s", e.msg);
	ck_assert(!res[0].equal);
	ck_assert(holds(OFFSET, bytes, 9000));
}
END_TEST

START_TEST(the_frames_are_those_of_the_protocol)
{
	/* FLASH_BEGIN of 1024 bytes at 0x10000, one packet of 1024, and the word of later chips. */
	static const uint8_t begin[] = {0xc0, 0, 2, 20, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0, 4,
		0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0xc0};
	static const uint8_t escaped[] = {0xdb, 0xdc, 0xdb, 0xdd, 0x01, 0xff};

	memcpy(bytes, "\xc0\xdb\x01", 3);
	plug_and_connect(c3);
	ck_assert_msg(flash_with(OFFSET, 3, plain) == 0, "%s", e.msg);
	ck_assert_uint_eq(heard(begin, sizeof begin), 1);
	ck_assert_uint_eq(heard(escaped, sizeof escaped), 1);
	ck_assert(holds(OFFSET, bytes, 3));
}
END_TEST

START_TEST(the_esp32_gets_no_fifth_word)
{
	static const char *const esp32[] = {"esp-chip=esp32", NULL};
	static const uint8_t begin[] = {0xc0, 0, 2, 16, 0, 0, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0, 4,
		0, 0, 0, 0, 1, 0, 0xc0};

	plug_and_connect(esp32);
	ck_assert_msg(flash_with(OFFSET, 3, plain) == 0, "%s", e.msg);
	ck_assert_uint_eq(heard(begin, sizeof begin), 1);
}
END_TEST

/* What the wire or the ROM does once is made good; the region is there in the end. */
static const char *const made_good[] = {"silent=0x02", "silent=0x03", "silent=0x13", "silent=0x10",
	"silent=0x11", "twice=0x02", "twice=0x03", "twice=0x10", "twice=0x11", "twice=0x13",
	"refuse=0x02", "refuse=0x11", "bad-sum", "wrong-md5", "noise", "cut", "resets=0x11",
	"resets=0x02", "resets=0x13", "drop=300", "flip=300,phase=write",
	"drop-reply=3,phase=write", "flip-reply=9,phase=read"};

START_TEST(what_goes_wrong_once_is_made_good)
{
	bool compressed = strstr(made_good[_i], "0x10") || strstr(made_good[_i], "0x11");

	plug_and_connect(c3);
	boot_bench_fault(&bench, made_good[_i]);
	ck_assert_msg(flash_with(OFFSET, 9000, compressed ? packed : plain) == 0, "%s: %s",
		made_good[_i], e.msg);
	ck_assert_msg(
		bench.faults.fired + bench.wire_faults.fired > 0, "%s did not come", made_good[_i]);
	ck_assert_msg(holds(OFFSET, bytes, 9000), "%s: %s", made_good[_i], e.msg);
}
END_TEST

static const struct {
	const char *fault;
	int code;
} lasting[] = {
	{"silent=0x11,count=0", ERR_TIMEOUT},
	{"silent=0x10,count=0", ERR_TIMEOUT},
	{"silent=0x13,count=0", ERR_TIMEOUT},
	{"refuse=0x10,count=0", ERR_DEVICE_REFUSED},
	{"refuse=0x11,count=0", ERR_DEVICE_REFUSED},
	{"refuse=0x13,count=0", ERR_DEVICE_REFUSED},
	{"bad-sum,count=0", ERR_PROTOCOL},
	{"wrong-md5,count=0", ERR_VERIFY_MISMATCH},
	{"weak-cell=0x10123,count=0", ERR_VERIFY_MISMATCH},
	{"bit-rot=0x10123,count=0", ERR_VERIFY_MISMATCH},
	{"cut,count=0", ERR_TIMEOUT},
	{"resets=0x11,count=0", ERR_TIMEOUT},
	{"twice=0x11,count=0", ERR_PROTOCOL},
};

START_TEST(what_lasts_never_passes)
{
	plug_and_connect(c3);
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == 0, "%s", e.msg);
	bytes[0x123] ^= 1;
	bytes[7000] ^= 1;
	boot_bench_fault(&bench, lasting[_i].fault);
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == -lasting[_i].code, "%s: %d %s",
		lasting[_i].fault, e.code, e.msg);
	ck_assert(*e.msg);
}
END_TEST

START_TEST(an_erase_that_does_nothing_never_passes)
{
	plug_and_connect(c3);
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == 0, "%s", e.msg);
	bytes[5000] ^= 0xff;
	boot_bench_fault(&bench, "no-erase,count=0");
	ck_assert_int_eq(flash_with(OFFSET, 9000, packed), -ERR_VERIFY_MISMATCH);
	says("does not hold what was written");
}
END_TEST

/* The answer to each write of a session in turn comes late: with the next one's. */
START_TEST(a_late_answer_at_any_place_makes_no_pass_of_a_wrong_flash)
{
	bool ended = false;

	for (unsigned k = 1; !ended; k++) {
		int r;

		plug(c3);
		bench.hold = k;
		r = connect();
		if (r == 0)
			r = flash_with(OFFSET, 2500, plain);
		ended = bench.hold > 0;
		bench.hold = 0;
		bench.late_n = 0;
		if (r == 0)
			ck_assert_msg(holds(OFFSET, bytes, 2500), "late answer %u: %s", k, e.msg);
		ck_assert_msg(r == 0 || *e.msg, "late answer %u", k);
		ck_assert_uint_lt(k, 500);
		if (ended)
			break;
		rom = esp_rom_free(rom);
		boot_bench_done(&bench);
	}
}
END_TEST

/* The same, where a wrong flash has to be found: a cell is wrong from then on. */
START_TEST(a_late_answer_at_any_place_hides_no_rotten_cell)
{
	bool ended = false;

	for (unsigned k = 1; !ended; k++) {
		plug(c3);
		ck_assert_msg(connect() == 0, "%s", e.msg);
		ck_assert_msg(flash_with(OFFSET, 2500, plain) == 0, "%s", e.msg);
		boot_bench_fault(&bench, "bit-rot=0x10100,count=0");
		bench.hold = k;
		ck_assert_msg(flash_with(OFFSET, 2500, plain) != 0, "late answer %u", k);
		ended = bench.hold > 0;
		if (ended)
			break;
		rom = esp_rom_free(rom);
		boot_bench_done(&bench);
	}
}
END_TEST

/* An answer has no checksum: what it says counts once it was said twice. */
START_TEST(a_flipped_bit_at_any_place_of_a_connection_leaves_it_right)
{
	static const char *const small[] = {"esp-flash=256K", NULL};
	static struct esp_info right;

	plug_and_connect(small);
	right = *esp_rom_info(rom);
	for (unsigned k = 0; k < 900; k++) {
		char spec[32];
		const struct esp_info *i;

		rom = esp_rom_free(rom);
		boot_bench_done(&bench);
		plug(small);
		snprintf(spec, sizeof spec, "flip-reply=%u", k);
		boot_bench_fault(&bench, spec);
		if (connect() != 0)
			continue;
		i = esp_rom_info(rom);
		ck_assert_msg(i->chip == right.chip && i->security_flags == right.security_flags &&
				      i->crypt_count == right.crypt_count &&
				      i->flash_bytes == right.flash_bytes &&
				      i->major == right.major && i->minor == right.minor &&
				      !memcmp(i->mac, right.mac, sizeof right.mac),
			"byte %u", k);
	}
}
END_TEST

START_TEST(a_missing_answer_is_owed_to_the_dialogue_that_follows)
{
	plug_and_connect(c3);
	boot_bench_fault(&bench, "silent=0x13,count=0");
	ck_assert_int_eq(flash_with(OFFSET, 100, packed), -ERR_TIMEOUT);
	rom = esp_rom_free(rom);
	ck_assert_uint_gt(bench.wire.link.turn.owed, 0);
}
END_TEST

/* In the middle of the flash another unit comes to the line, without a word. */
static void swap_at_data(struct boot_bench *t, const uint8_t *p, size_t n)
{
	struct device_config c = {.set = &t->set,
		.wire_faults = &t->wire_faults,
		.faults = &t->faults,
		.uid = OTHER,
		.fresh = true};

	if (n < 3 || p[2] != 0x03)
		return;
	t->watch = NULL;
	device_free(t->device);
	if (esp_device.new(&c, &t->device, NULL) < 0)
		abort();
	t->device->ops = &esp_device;
	t->device->ops->power_on(t->device, t->now_us);
}

START_TEST(another_chip_on_the_line_is_not_gone_on_with)
{
	plug_and_connect(c3);
	bench.watch = swap_at_data;
	ck_assert_int_eq(flash_with(OFFSET, 9000, plain), -ERR_WRONG_DEVICE);
	says("another chip");
	ck_assert_int_eq(boot_bench_count(&bench, "writes"), 0);
}
END_TEST

START_TEST(a_device_that_goes_is_gone_at_once)
{
	plug_and_connect(c3);
	boot_bench_fault(&bench, "disappear=400");
	ck_assert_int_eq(flash_with(OFFSET, 9000, plain), -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(the_rate_is_changed_and_proved)
{
	opts.baud = 921600;
	plug_and_connect(c3);
	ck_assert_int_eq(boot_bench_count(&bench, "baud"), 921600);
	ck_assert_uint_eq(bench.wire.link.baud, 921600);
	ck_assert_msg(flash_with(OFFSET, 100, packed) == 0, "%s", e.msg);
	/* A chip that fell back to its first rate is found there, and brought back. */
	boot_bench_fault(&bench, "resets=0x11");
	ck_assert_msg(flash_with(OFFSET, 3000, packed) == 0, "%s", e.msg);
	ck_assert_int_eq(boot_bench_count(&bench, "baud"), 921600);
}
END_TEST

START_TEST(a_link_without_a_rate_cannot_change_it)
{
	opts.baud = 921600;
	plug(c3);
	bench.wire.link.baud = 0;
	ck_assert_int_eq(connect(), -ERR_UNSUPPORTED);
	ck_assert_uint_eq(bench.wire.heard_len, 0);
}
END_TEST

START_TEST(secure_download_mode_is_told_and_takes_nothing_for_proof)
{
	char md5[MD5_HEX];
	uint32_t word[ESP_FUSE_WORDS_MAX];
	struct iotime it = soon();

	opts.flash_bytes = 4u << 20;
	plug_and_connect(secure_c3);
	ck_assert(esp_rom_info(rom)->secure_download);
	ck_assert_int_eq(flash_with(OFFSET, 3000, packed), -ERR_UNSUPPORTED);
	says("verify: acknowledged");
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 0);
	ck_assert_int_eq(esp_rom_md5(rom, 0, 16, md5, &it, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(esp_rom_fuses(rom, word, &it, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(esp_rom_erase(rom, 0, 4096, &it, &e), -ERR_UNSUPPORTED);
	ck_assert_msg(flash_with(OFFSET, 3000, (struct esp_flash_opts){.unproved = true}) == 0,
		"%s", e.msg);
	ck_assert_str_eq(res[0].md5, "");
	ck_assert_int_eq(boot_bench_count(&bench, "writes"), 3);
}
END_TEST

START_TEST(secure_download_mode_of_a_chip_that_names_none)
{
	static const char *const s2[] = {"esp-chip=esp32s2", "esp-secure=1", NULL};

	plug_and_connect(s2);
	ck_assert_str_eq(esp_rom_info(rom)->chip->name, "ESP32-S2");
	ck_assert_int_eq(flash_with(OFFSET, 3000, (struct esp_flash_opts){.unproved = true}),
		-ERR_UNSUPPORTED);
	says("flash_size");
}
END_TEST

START_TEST(a_chip_that_proves_is_asked_for_its_proof)
{
	plug_and_connect(c3);
	ck_assert_int_eq(
		flash_with(OFFSET, 3000, (struct esp_flash_opts){.unproved = true}), -ERR_INVALID);
	ck_assert_int_eq(boot_bench_count(&bench, "erases"), 0);
}
END_TEST

START_TEST(erased_flash_is_proved_blank)
{
	struct iotime it = soon();

	plug_and_connect(c3);
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == 0, "%s", e.msg);
	ck_assert_msg(esp_rom_erase(rom, OFFSET, 0x3000, &it, &e) == 0, "%s", e.msg);
	ck_assert(holds(OFFSET, (const uint8_t *)"\xff\xff\xff\xff", 4));
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == 0, "%s", e.msg);
	boot_bench_fault(&bench, "no-erase,count=0");
	ck_assert_int_eq(esp_rom_erase(rom, OFFSET, 0x3000, &it, &e), -ERR_VERIFY_MISMATCH);
	says("not blank");
}
END_TEST

START_TEST(a_read_that_the_chip_does_not_confirm_is_none)
{
	struct iotime it = soon();
	uint8_t got[200];

	plug_and_connect(c3);
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == 0, "%s", e.msg);
	/* One bit of an answer, which has no checksum: read again. */
	boot_bench_fault(&bench, "flip-reply=20,phase=read");
	ck_assert_msg(esp_rom_read(rom, OFFSET, got, sizeof got, &it, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(got, bytes, sizeof got);
	boot_bench_fault(&bench, "wrong-md5,count=0");
	ck_assert_int_eq(
		esp_rom_read(rom, OFFSET, got, sizeof got, &it, &e), -ERR_READ_BACK_MISMATCH);
}
END_TEST

START_TEST(it_leaves_for_the_application)
{
	struct iotime it = soon();

	plug_and_connect(c3);
	ck_assert_msg(esp_rom_reboot(rom, &it, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(bench.device->ops->state(bench.device), "application");
}
END_TEST

static int release(void *data, const struct iotime *it, struct err *err)
{
	static const struct line_state run[] = {{.rts = true}, {0}};

	for (size_t i = 0; i < ARRAY_LEN(run); i++)
		bench.device->ops->line(bench.device, &run[i], bench.now_us += 1000);
	boot_bench_pump(&bench);
	return 0;
}

START_TEST(a_chip_that_runs_its_application_says_so_in_its_boot_log)
{
	static const char *const wired[] = {"esp-wiring=dtr-rts", NULL};

	hooks.enter = release;
	plug(wired);
	ck_assert_int_eq(connect(), -ERR_TIMEOUT);
	says("started its application ('boot:0x13 (SPI_FAST_FLASH_BOOT)')");
}
END_TEST

START_TEST(where_no_rom_answers_the_reason_is_guessed)
{
	plug(c3);
	bench.device->ops->power_off(bench.device);
	ck_assert_int_eq(connect(), -ERR_TIMEOUT);
	says("BOOT");
}
END_TEST

/* A stub that another program left answers SYNC with 0. */
static void a_stub(struct fake_link *f, const uint8_t *p, size_t n)
{
	if (n > 2 && p[2] == 0x08)
		fake_say(f, "\xc0\x01\x08\x02\x00\x00\x00\x00\x00\x00\x00\xc0", 12);
}

START_TEST(a_stub_is_not_taken_for_the_rom)
{
	plug(c3);
	bench.wire.device = a_stub;
	ck_assert_int_eq(connect(), -ERR_UNSUPPORTED);
	says("stub");
}
END_TEST

START_TEST(two_chips_at_the_same_time_do_not_meet)
{
	static struct boot_bench other;
	struct esp_rom *second;
	struct iotime it = soon();
	uint8_t got[100];

	plug_and_connect(c3);
	boot_bench_init(&other, &esp_device, c3, OTHER);
	second = esp_rom_new(&other.wire.link, &opts, NULL);
	ck_assert_msg(esp_rom_connect(second, &it, &e) == 0, "%s", e.msg);
	ck_assert_mem_ne(esp_rom_info(rom)->mac, esp_rom_info(second)->mac, ESP_MAC_BYTES);
	ck_assert_msg(flash_with(OFFSET, 9000, packed) == 0, "%s", e.msg);
	ck_assert_int_eq(boot_bench_count(&other, "erases"), 0);
	ck_assert_msg(esp_rom_read(second, OFFSET, got, sizeof got, &it, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(got[0], 0xff);
	esp_rom_free(second);
	boot_bench_done(&other);
}
END_TEST

START_TEST(a_cancel_ends_it)
{
	struct cancel c;
	const struct esp_region g = {"fw", OFFSET, 100, bytes};
	struct iotime it = {NO_DEADLINE, &c};

	plug_and_connect(c3);
	ck_assert_int_eq(cancel_init(&c, &e), 0);
	cancel_fire(&c, ERR_ABORTED);
	boot_bench_fault(&bench, "silent=0x02,count=0");
	ck_assert_int_eq(esp_rom_flash(rom, &g, 1, &packed, &it, res, &e), -ERR_ABORTED);
	cancel_done(&c);
}
END_TEST

static Suite *esp_suite(void)
{
	Suite *s = suite_create("esp_rom");
	TCase *t = tcase_create("esp_rom");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, each_chip_says_what_it_is_and_is_flashed, 0, ARRAY_LEN(chip_rows));
	tcase_add_test(t, the_size_of_the_flash_bounds_what_is_written_before_the_erase);
	tcase_add_test(t, regions_that_share_a_sector_are_refused);
	tcase_add_test(t, several_regions_touch_their_own_sectors_alone);
	tcase_add_test(t, an_equal_region_is_left_alone_when_asked);
	tcase_add_test(t, the_frames_are_those_of_the_protocol);
	tcase_add_test(t, the_esp32_gets_no_fifth_word);
	tcase_add_loop_test(t, what_goes_wrong_once_is_made_good, 0, ARRAY_LEN(made_good));
	tcase_add_loop_test(t, what_lasts_never_passes, 0, ARRAY_LEN(lasting));
	tcase_add_test(t, an_erase_that_does_nothing_never_passes);
	tcase_add_test(t, a_late_answer_at_any_place_makes_no_pass_of_a_wrong_flash);
	tcase_add_test(t, a_late_answer_at_any_place_hides_no_rotten_cell);
	tcase_add_test(t, a_flipped_bit_at_any_place_of_a_connection_leaves_it_right);
	tcase_add_test(t, a_missing_answer_is_owed_to_the_dialogue_that_follows);
	tcase_add_test(t, another_chip_on_the_line_is_not_gone_on_with);
	tcase_add_test(t, a_device_that_goes_is_gone_at_once);
	tcase_add_test(t, the_rate_is_changed_and_proved);
	tcase_add_test(t, a_link_without_a_rate_cannot_change_it);
	tcase_add_test(t, secure_download_mode_is_told_and_takes_nothing_for_proof);
	tcase_add_test(t, secure_download_mode_of_a_chip_that_names_none);
	tcase_add_test(t, a_chip_that_proves_is_asked_for_its_proof);
	tcase_add_test(t, erased_flash_is_proved_blank);
	tcase_add_test(t, a_read_that_the_chip_does_not_confirm_is_none);
	tcase_add_test(t, it_leaves_for_the_application);
	tcase_add_test(t, a_chip_that_runs_its_application_says_so_in_its_boot_log);
	tcase_add_test(t, where_no_rom_answers_the_reason_is_guessed);
	tcase_add_test(t, a_stub_is_not_taken_for_the_rom);
	tcase_add_test(t, two_chips_at_the_same_time_do_not_meet);
	tcase_add_test(t, a_cancel_ends_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(esp_suite)
