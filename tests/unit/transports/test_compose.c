/* SPDX-License-Identifier: Apache-2.0
 *
 * The image of one unit: values as bytes, sums by the catalogue, parts over a base, and what may not be touched.
 */
#include "tests/unit/transports/esp_bench.h"
#include "tests/unit/transports/mcuboot_file.h"
#include "tests/unit/unit.h"
#include "transports/images/compose.h"
#include "transports/images/esp_image.h"
#include "transports/images/field.h"

static struct compose *c;
static struct image *base;
static struct blob *result;
static struct err e;
static uint8_t file[65536];

static void set_up(void)
{
	c = compose_new();
}

static void tear_down(void)
{
	c = compose_free(c);
	base = image_unref(base);
	result = blob_unref(result);
}

static void refused(int r, enum err_code code, const char *says)
{
	ck_assert_msg(r == -(int)code && strstr(e.msg, says), "%d '%s' does not say '%s'", r, e.msg,
		says);
}

static void ok(int r)
{
	ck_assert_msg(r == 0, "%s", e.msg);
}

/* --- values --- */

static int encode(const struct field *f, const char *hex)
{
	static uint8_t bytes[FIELD_MAX_BYTES];
	char got[2 * 64 + 1];
	size_t n = 0;
	int r = field_bytes(f, bytes, &n, &e);

	if (r == 0 && hex)
		ck_assert_str_eq(hex_of(bytes, MIN(n, (size_t)64), got), hex);
	return r;
}

START_TEST(a_value_has_the_bytes_of_its_type)
{
	static const struct {
		struct field f;
		const char *hex;
	} all[] = {
		{{.type = "u8", .value = "255"}, "ff"},
		{{.type = "i8", .value = "-128"}, "80"},
		{{.type = "u16", .value = "0x1234"}, "3412"},
		{{.type = "u16", .value = "0x1234", .big = true}, "1234"},
		{{.type = "i16", .value = "-2"}, "feff"},
		{{.type = "u24", .value = "0x123456", .big = true}, "123456"},
		{{.type = "u32", .value = "010"}, "0a000000"},
		{{.type = "i32", .value = "-2147483648", .big = true}, "80000000"},
		{{.type = "u64", .value = "18446744073709551615"}, "ffffffffffffffff"},
		{{.type = "i64", .value = "-9223372036854775808"}, "0000000000000080"},
		{{.type = "f32", .value = "1.0"}, "0000803f"},
		{{.type = "f64", .value = "-0.5", .big = true}, "bfe0000000000000"},
		{{.type = "text", .value = "SN1"}, "534e31"},
		{{.type = "text", .value = "SN1", .width = 5}, "534e310000"},
		{{.type = "text", .value = "SN1", .width = 4, .padding = 0xff}, "534e31ff"},
		{{.type = "hex", .value = "00fF"}, "00ff"},
		{{.type = "base64", .value = "AAECAw=="}, "00010203"},
		{{.type = "mac", .value = "ac:de:48:00:12:34"}, "acde48001234"},
		{{.type = "mac", .value = "ACDE480012345678", .width = 8}, "acde480012345678"},
		{{.type = "i16", .value = "-1.2345", .scale = 1000}, "2dfb"},
		{{.type = "u8", .value = "0.0049", .scale = 100}, "00"},
		/* Halves that no binary number is. */
		{{.type = "u16", .value = "1.005", .scale = 100}, "6500"},
		{{.type = "i16", .value = "-0.285", .scale = 100}, "e3ff"},
		{{.type = "u8", .value = "5", .scale = 0.1}, "01"},
		{{.type = "u8", .value = "4.999", .scale = 0.1}, "00"},
		{{.type = "u8", .value = "3", .scale = 0.1}, "00"},
		{{.type = "i8", .value = "-.5", .scale = -1}, "01"},
		/* An integer that no double is. */
		{{.type = "u64", .value = "9007199254740993", .scale = 1}, "0100000000002000"},
		{{.type = "u64", .value = "18446744073709551615", .scale = 1}, "ffffffffffffffff"},
		{{.type = "i64", .value = "-9.223372036854775808e18", .scale = 1},
			"0000000000000080"},
		{{.type = "u32", .value = "1.00000000000000000000000000001", .scale = 1000},
			"e8030000"},
		{{.type = "u8", .value = "1e-400", .scale = 1}, "00"},
		{{.type = "u8", .value = "0e999999999999", .scale = 1}, "00"},
		/* Rounded once: between two floats, and above their half as a decimal only. */
		{{.type = "f32", .value = "1.00000005960464477540", .big = true}, "3f800001"},
		{{.type = "f32", .value = "0.000e7"}, "00000000"},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct field f = all[i].f;

		f.name = "v";
		ok(encode(&f, all[i].hex));
	}
}
END_TEST

START_TEST(a_value_that_does_not_fit_has_its_code)
{
	static const struct {
		struct field f;
		enum err_code code;
	} all[] = {
		{{.type = "u8", .value = "256"}, ERR_VALUE_RANGE},
		{{.type = "u8", .value = "-1"}, ERR_VALUE_RANGE},
		{{.type = "i8", .value = "128"}, ERR_VALUE_RANGE},
		{{.type = "i8", .value = "-129"}, ERR_VALUE_RANGE},
		{{.type = "u24", .value = "0x1000000"}, ERR_VALUE_RANGE},
		{{.type = "u64", .value = "18446744073709551616"}, ERR_VALUE_RANGE},
		{{.type = "i64", .value = "9223372036854775808"}, ERR_VALUE_RANGE},
		{{.type = "f32", .value = "1e39"}, ERR_VALUE_RANGE},
		{{.type = "f64", .value = "1e999"}, ERR_VALUE_RANGE},
		{{.type = "u8", .value = "2.56", .scale = 100}, ERR_VALUE_RANGE},
		{{.type = "u64", .value = "1e30", .scale = 1}, ERR_VALUE_RANGE},
		{{.type = "u64", .value = "18446744073709551615.5", .scale = 1}, ERR_VALUE_RANGE},
		{{.type = "u64", .value = "18446744073709551616", .scale = 1}, ERR_VALUE_RANGE},
		{{.type = "u64", .value = "1e999999999999", .scale = 1}, ERR_VALUE_RANGE},
		{{.type = "f32", .value = "1e-50"}, ERR_VALUE_RANGE},
		{{.type = "f64", .value = "-1e-400"}, ERR_VALUE_RANGE},
		{{.type = "u8", .value = "1e", .scale = 1}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = ".", .scale = 1}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "1 ", .scale = 1}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "inf", .scale = 1}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "twelve"}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "12 "}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "1.5"}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "--1"}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "0x"}, ERR_VALUE_MALFORMED},
		{{.type = "u8", .value = "nan", .scale = 1}, ERR_VALUE_MALFORMED},
		{{.type = "f32", .value = "nan"}, ERR_VALUE_MALFORMED},
		{{.type = "hex", .value = "0"}, ERR_VALUE_MALFORMED},
		{{.type = "hex", .value = "0g"}, ERR_VALUE_MALFORMED},
		{{.type = "base64", .value = "A"}, ERR_VALUE_MALFORMED},
		{{.type = "mac", .value = "ac:de:48:00:12"}, ERR_VALUE_MALFORMED},
		{{.type = "text", .value = "SN12", .width = 3}, ERR_VALUE_TOO_LONG},
		{{.type = "hex", .value = "0011", .width = 3}, ERR_VALUE_TOO_LONG},
		{{.type = "mac", .value = "ACDE480012345678"}, ERR_VALUE_TOO_LONG},
		{{.type = "mac", .value = "ACDE48001234", .width = 8}, ERR_VALUE_TOO_LONG},
		{{.type = "text", .value = ""}, ERR_VALUE_EMPTY},
		{{.type = "u8", .value = ""}, ERR_VALUE_EMPTY},
		{{.type = "u128", .value = "1"}, ERR_INVALID},
		{{.type = "u8", .value = "1", .width = 2}, ERR_INVALID},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct field f = all[i].f;

		f.name = "the-name";
		refused(encode(&f, NULL), all[i].code, "'the-name'");
		/* The value may be a secret. */
		if (strlen(f.value) > 6)
			ck_assert_ptr_null(strstr(e.msg, f.value));
	}
}
END_TEST

/* --- sums --- */

START_TEST(every_crc_gives_the_check_value_of_the_catalogue)
{
	static const uint8_t nine[] = "123456789";
	size_t n = 0;

	for (; crc_names[n]; n++) {
		const struct crc_kind *k = crc_kind_of(crc_names[n]);
		uint32_t whole = crc_end(k, crc_add(k, crc_begin(k), nine, 9));
		uint32_t parts = crc_add(k, crc_add(k, crc_begin(k), nine, 4), nine + 4, 5);

		ck_assert_msg(whole == k->check, "%s: %x", k->name, whole);
		ck_assert_uint_eq(crc_end(k, parts), whole);
	}
	ck_assert_uint_ge(n, 16);
	ck_assert_ptr_null(crc_kind_of("crc-32"));
}
END_TEST

static void have_base(const void *p, size_t n, uint64_t at)
{
	const struct image_opts o = {.address = at, .format = IMAGE_BIN};

	ok(image_parse("base", p, n, &o, &base, &e));
	ok(compose_base(c, base, &e));
}

static int crc_at(const char *name, const char *kind, uint64_t from, uint64_t n, uint64_t at)
{
	return compose_crc(
		c, name, &(struct compose_crc){crc_kind_of(kind), from, n, at, false}, &e);
}

START_TEST(a_sum_is_made_after_those_that_it_covers)
{
	const struct crc_kind *k = crc_kind_of("crc-32/iso-hdlc");
	uint32_t inner, outer;

	memset(file, 0x11, 256);
	have_base(file, 256, 0x1000);
	/* In the wrong order. */
	ok(crc_at("outer", "crc-32/iso-hdlc", 0x1000, 0x80, 0x10f0));
	ok(crc_at("inner", "crc-32/iso-hdlc", 0x1020, 0x10, 0x1010));
	ok(compose_put(c, "sn", 0x1020, (const uint8_t *)"abcd", 4, false, &e));
	ok(compose_end(c, &e));
	ok(compose_result(c, "x.bin", &result, &e));
	ck_assert_uint_eq(result->size, 256);
	ck_assert_mem_eq(result->data + 0x20, "abcd", 4);
	inner = crc_end(k, crc_add(k, crc_begin(k), result->data + 0x20, 0x10));
	outer = crc_end(k, crc_add(k, crc_begin(k), result->data, 0x80));
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(result->data[0x10 + i], (uint8_t)(inner >> 8 * i));
		ck_assert_uint_eq(result->data[0xf0 + i], (uint8_t)(outer >> 8 * i));
	}
}
END_TEST

START_TEST(sums_that_cannot_be_made_are_refused)
{
	memset(file, 0x11, 256);
	have_base(file, 256, 0);
	refused(crc_at("self", "crc-16/arc", 0, 100, 50), ERR_INVALID, "cannot cover itself");
	refused(crc_at("none", "crc-16/arc", 0, 0, 50), ERR_INVALID, "no bytes");
	refused(crc_at("far", "crc-16/arc", 0, 50, 255), ERR_PART_OUTSIDE, "'far'");
	ok(crc_at("a", "crc-16/arc", 0, 10, 20));
	ok(crc_at("b", "crc-16/arc", 15, 10, 5));
	refused(compose_end(c, &e), ERR_INVALID, "cover each other");
}
END_TEST

START_TEST(a_sum_over_what_is_not_there_is_refused)
{
	memset(file, 0x11, 256);
	have_base(file, 256, 0x1000);
	ok(crc_at("a", "crc-32/mpeg-2", 0xff0, 0x20, 0x1080));
	refused(compose_end(c, &e), ERR_PART_OUTSIDE, "nothing at 0xff0");
}
END_TEST

/* --- parts --- */

static int put(const char *name, uint64_t at, const char *text)
{
	return compose_put(c, name, at, (const uint8_t *)text, strlen(text), false, &e);
}

START_TEST(each_byte_belongs_to_one_part)
{
	memset(file, 0, 256);
	have_base(file, 256, 0x1000);
	ok(put("a", 0x1010, "12345678"));
	ok(put("b", 0x1018, "1"));
	refused(put("c", 0x1017, "x"), ERR_PART_OVERLAP, "'a' (0x1010, 8 bytes) and 'c'");
	refused(put("d", 0x100f, "12"), ERR_PART_OVERLAP, "'d'");
	refused(put("e", 0x1008, "12345678901234567890"), ERR_PART_OVERLAP, "'e'");
	refused(put("f", 0x10ff, "12"), ERR_PART_OUTSIDE, "0x1000 to 0x10ff");
	refused(put("g", 0xfff, "1"), ERR_PART_OUTSIDE, "'g'");
	refused(put("h", UINT64_MAX, "12"), ERR_PART_OUTSIDE, "'h'");
	refused(put("i", 0x1000, ""), ERR_VALUE_EMPTY, "'i'");
}
END_TEST

START_TEST(a_base_lies_over_a_blank_that_holds_it)
{
	memset(file, 0x22, 16);
	ok(compose_blank(c, 0x100, 64, 0xee, &e));
	have_base(file, 16, 0x100);
	ok(put("sn", 0x120, "abc"));
	ok(compose_end(c, &e));
	ok(compose_result(c, "x.bin", &result, &e));
	ck_assert_uint_eq(result->size, 64);
	ck_assert_mem_eq(result->data, file, 16);
	ck_assert_uint_eq(result->data[16], 0xee);
	ck_assert_mem_eq(result->data + 0x20, "abc\xee", 4);
}
END_TEST

START_TEST(a_base_that_is_longer_than_its_blank_is_refused)
{
	const struct image_opts o = {.address = 0, .format = IMAGE_BIN};

	ok(compose_blank(c, 0, 8, 0xff, &e));
	ok(image_parse("base", file, 16, &o, &base, &e));
	refused(compose_base(c, base, &e), ERR_PART_OUTSIDE, "make 'size' larger");
	refused(compose_blank(c, 0, IMAGE_MAX_BYTES + 1, 0, &e), ERR_INVALID, "67108865");
}
END_TEST

/* Two pieces with addresses of their own. */
static const char two[] =
	":020000040800F2\n:0400000000200020BC\n:040100000A0B0C0DCD\n:00000001FF\n";

static void have_hex(void)
{
	ok(image_parse("two.hex", two, strlen(two), &IMAGE_OPTS(IMAGE_NO_ADDRESS), &base, &e));
	ok(compose_base(c, base, &e));
}

START_TEST(an_image_with_addresses_stays_one)
{
	struct image *again = NULL;
	uint8_t got[4];

	have_hex();
	refused(put("gap", 0x08000010, "1"), ERR_PART_OUTSIDE, "'outside: add'");
	ok(put("in", 0x08000101, "x"));
	compose_allow_gaps(c);
	ok(put("gap", 0x10001080, "UICR"));
	refused(put("edge", 0x080000ff, "12"), ERR_PART_OUTSIDE, "'edge'");
	ok(compose_end(c, &e));
	ok(compose_result(c, "x.hex", &result, &e));
	ok(image_parse(
		"x.hex", result->data, result->size, &IMAGE_OPTS(IMAGE_NO_ADDRESS), &again, &e));
	ck_assert_uint_eq(again->count, 3);
	ck_assert_uint_eq(image_read(again, 0, 0x10001080, got, 4), 4);
	ck_assert_mem_eq(got, "UICR", 4);
	ck_assert_uint_eq(image_read(again, 0, 0x08000100, got, 4), 4);
	ck_assert_mem_eq(got, "\x0ax\x0c\x0d", 4);
	image_unref(again);
}
END_TEST

START_TEST(a_secret_part_makes_a_secret_image)
{
	memset(file, 0, 64);
	have_base(file, 64, 0);
	ok(put("a", 0, "1"));
	ck_assert(!compose_is_secret(c));
	ok(compose_put(c, "key", 8, (const uint8_t *)"hunter2", 7, true, &e));
	ck_assert(compose_is_secret(c));
	ok(compose_end(c, &e));
	ok(compose_result(c, "x.bin", &result, &e));
	ck_assert(result->wiped);
}
END_TEST

/* --- what vouches for bytes --- */

START_TEST(the_sums_of_an_esp_image_are_made_right)
{
	size_t n = esp_image_file(file, sizeof file, 5, 1000);
	struct esp_image head;

	have_base(file, n, 0x10000);
	ok(put("sn", 0x10000 + 24 + 8 + 100, "SN0001"));
	ok(crc_at("sum", "crc-32/iso-hdlc", 0x10000 + 24 + 8, 200, 0x10000 + 24 + 8 + 300));
	ok(compose_end(c, &e));
	ck_assert_uint_eq(compose_esp_seals(c), 1);
	ok(compose_result(c, "x.bin", &result, &e));
	ck_assert_uint_eq(result->size, n);
	ok(esp_image_check("x", result->data, result->size, &head, &e));
	ck_assert_mem_eq(result->data + 24 + 8 + 100, "SN0001", 6);
	ck_assert_mem_ne(result->data + n - 32, file + n - 32, 32);
}
END_TEST

START_TEST(an_esp_image_that_no_part_touches_is_left_alone)
{
	size_t n = esp_image_file(file, sizeof file, 5, 1000);

	memset(file + n, 0xff, 8192 - n);
	have_base(file, 8192, 0);
	ok(put("sn", 4096, "SN0001"));
	ok(compose_end(c, &e));
	ck_assert_uint_eq(compose_esp_seals(c), 0);
	ok(compose_result(c, "x.bin", &result, &e));
	ck_assert_mem_eq(result->data, file, n);
}
END_TEST

START_TEST(the_structure_of_an_esp_image_is_not_broken)
{
	size_t n = esp_image_file(file, sizeof file, 5, 1000);

	have_base(file, n, 0);
	ok(put("length", 24 + 4, "\x08")); /* of the first segment */
	refused(compose_end(c, &e), ERR_IMAGE_INVALID, "only what its segments hold");
}
END_TEST

/* _i: v2 with RSA, v2 with ECDSA, v1. */
START_TEST(a_signed_esp_image_is_refused)
{
	size_t n = esp_image_file(file, sizeof file, 5, 1000);
	size_t all = n + 68;

	memset(file + n, 0xff, sizeof file - n);
	if (_i < 2) {
		file[4096] = 0xe7;
		file[4097] = (uint8_t)(2 + _i);
		all = 8192;
	} else {
		memset(file + n, 0, 4);
	}
	have_base(file, all, 0);
	refused(put("sn", 100, "SN0001"), ERR_IMAGE_SIGNED, "secure boot");
	/* The signature itself, and what it covers after the image. */
	refused(put("end", n, "S"), ERR_IMAGE_SIGNED, "secure boot");
	refused(put("signature", _i < 2 ? 4096 + 1215 : n + 67, "S"), ERR_IMAGE_SIGNED,
		"secure boot");
	if (_i < 2)
		ok(put("sn", 6000, "SN0001"));
}
END_TEST

/* _i: an ESP image of secure boot v1, a footer of Android Verified Boot. */
START_TEST(a_blank_after_a_signed_base_hides_nothing)
{
	size_t n = _i ? 8192 : esp_image_file(file, sizeof file, 5, 1000) + 68;

	if (_i)
		memset(file, 0, n);
	else
		memset(file + n - 68, 0, 68);
	if (_i)
		memcpy(file + n - 64, "AVBf", 4);
	ok(compose_blank(c, 0, 16384, 0xff, &e));
	have_base(file, n, 0);
	refused(put("sn", 100, "SN0001"), ERR_IMAGE_SIGNED,
		_i ? "Android Verified Boot" : "secure boot");
	ok(put("after", n, "SN0001"));
}
END_TEST

START_TEST(an_image_for_mcuboot_is_refused_wherever_it_lies)
{
	size_t n = mcuboot_file(file + 0x400, sizeof file - 0x400, 2, 1000, _i);

	memset(file, 0xff, 0x400);
	memset(file + 0x400 + n, 0xff, 0x1000 - n);
	have_base(file, 0x1400, 0x8000);
	refused(put("sn", 0x8400 + 200, "SN0001"), ERR_IMAGE_SIGNED, "MCUboot");
	refused(put("end", 0x8400 + n - 1, "x"), ERR_IMAGE_SIGNED, "MCUboot");
	ok(put("behind", 0x8400 + n, "x"));
	ok(put("before", 0x8000, "SN0001"));
}
END_TEST

START_TEST(what_verified_boot_vouches_for_is_refused)
{
	memset(file, 0, 8192);
	memcpy(file + (_i ? 0 : 8192 - 64), _i ? "AVB0" : "AVBf", 4);
	have_base(file, 8192, 0);
	refused(put("sn", 100, "SN0001"), ERR_IMAGE_SIGNED, "Android Verified Boot");
}
END_TEST

static void add_parts(TCase *t)
{
	tcase_add_test(t, each_byte_belongs_to_one_part);
	tcase_add_test(t, a_base_lies_over_a_blank_that_holds_it);
	tcase_add_test(t, a_base_that_is_longer_than_its_blank_is_refused);
	tcase_add_test(t, an_image_with_addresses_stays_one);
	tcase_add_test(t, a_secret_part_makes_a_secret_image);
	tcase_add_test(t, the_sums_of_an_esp_image_are_made_right);
	tcase_add_test(t, an_esp_image_that_no_part_touches_is_left_alone);
	tcase_add_test(t, the_structure_of_an_esp_image_is_not_broken);
	tcase_add_loop_test(t, a_blank_after_a_signed_base_hides_nothing, 0, 2);
	tcase_add_loop_test(t, a_signed_esp_image_is_refused, 0, 3);
	tcase_add_loop_test(t, an_image_for_mcuboot_is_refused_wherever_it_lies, 0, 2);
	tcase_add_loop_test(t, what_verified_boot_vouches_for_is_refused, 0, 2);
}

static Suite *suite(void)
{
	Suite *s = suite_create("compose");
	TCase *t = tcase_create("compose");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_value_has_the_bytes_of_its_type);
	tcase_add_test(t, a_value_that_does_not_fit_has_its_code);
	tcase_add_test(t, every_crc_gives_the_check_value_of_the_catalogue);
	tcase_add_test(t, a_sum_is_made_after_those_that_it_covers);
	tcase_add_test(t, sums_that_cannot_be_made_are_refused);
	tcase_add_test(t, a_sum_over_what_is_not_there_is_refused);
	add_parts(t);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
