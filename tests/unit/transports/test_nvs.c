/* SPDX-License-Identifier: Apache-2.0
 *
 * NVS partitions of ESP-IDF, read again by a reader that was written from the published description alone.
 */
#include "tests/unit/transports/nvs_reader.h"
#include "transports/images/nvs.h"

static struct nvs *nvs;
static struct nvs_reading got;
static struct err e;

static void set_up(void)
{
	ck_assert_msg(nvs_new(0x6000, &nvs, &e) == 0, "%s", e.msg);
}

static void tear_down(void)
{
	nvs_read_done(&got);
	nvs = nvs_free(nvs);
}

static int put(const char *space, const char *key, const char *type, const void *p, size_t n)
{
	return nvs_put(nvs, &(struct nvs_value){space, key, type, p, n}, &e);
}

static void puts_it(const char *space, const char *key, const char *type, const void *p, size_t n)
{
	ck_assert_msg(put(space, key, type, p, n) == 0, "%s", e.msg);
}

static struct nvs_read *holds(
	const char *space, const char *key, uint8_t type, const void *p, size_t n)
{
	struct nvs_read *x = nvs_found(&got, space, key);

	ck_assert_uint_eq(x->type, type);
	ck_assert_uint_eq(x->n, n);
	ck_assert_mem_eq(x->value, p, n);
	return x;
}

static void refused(int r, enum err_code code, const char *says)
{
	ck_assert_msg(r == -(int)code && strstr(e.msg, says), "%d '%s' does not say '%s'", r, e.msg,
		says);
}

START_TEST(every_type_is_read_back_as_it_was_given)
{
	static const struct {
		const char *type;
		uint8_t code;
		size_t n;
	} all[] = {{"u8", 0x01, 1}, {"i8", 0x11, 1}, {"u16", 0x02, 2}, {"i16", 0x12, 2},
		{"u32", 0x04, 4}, {"i32", 0x14, 4}, {"u64", 0x08, 8}, {"i64", 0x18, 8}};
	static const uint8_t bytes[] = "\x81\x02\x83\x04\x85\x06\x87\x08";

	for (size_t i = 0; i < 8; i++)
		puts_it("cal", all[i].type, all[i].type, bytes, all[i].n);
	puts_it("wifi", "ssid", "string", "factory", 7);
	puts_it("wifi", "psk", "blob", bytes, 5);
	nvs_read(nvs_bytes(nvs), 0x6000, &got);
	for (size_t i = 0; i < 8; i++)
		holds("cal", all[i].type, all[i].code, bytes, all[i].n);
	holds("wifi", "ssid", 0x21, "factory", 8);
	holds("wifi", "psk", 0x48, bytes, 5);
	ck_assert_uint_eq(got.count, 10);
	ck_assert_uint_eq(got.active, 1);
}
END_TEST

/* The bytes of a partition that ESP-IDF's own generator wrote (nvs_partition_gen.py of ESP-IDF 5, format version 2): a
 * namespace, a u8 and a string. The state alone differs: it calls each page full, also those that it leaves empty. */
START_TEST(the_bytes_are_those_of_espressifs_generator)
{
	static const uint8_t theirs[] = {
		0xfc,
		0xff,
		0xff,
		0xff,
		0x00,
		0x00,
		0x00,
		0x00,
		0xfe,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0x84,
		0x2d,
		0xba,
		0xb9,
		0xaa,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0x00,
		0x01,
		0x01,
		0xff,
		0x59,
		0x11,
		0x31,
		0x27,
		0x77,
		0x69,
		0x66,
		0x69,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x01,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0x01,
		0x01,
		0x01,
		0xff,
		0x7f,
		0xf2,
		0x7b,
		0xd3,
		0x63,
		0x68,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x0b,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0x01,
		0x21,
		0x02,
		0xff,
		0x64,
		0x9a,
		0xe8,
		0x8b,
		0x73,
		0x73,
		0x69,
		0x64,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x08,
		0x00,
		0xff,
		0xff,
		0xbd,
		0xb3,
		0x45,
		0x8c,
		0x66,
		0x61,
		0x63,
		0x74,
		0x6f,
		0x72,
		0x79,
		0x00,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
	};

	puts_it("wifi", "ch", "u8", "\x0b", 1);
	puts_it("wifi", "ssid", "string", "factory", 7);
	ck_assert_uint_eq(nvs_u32(nvs_bytes(nvs)), 0xfffffffe);
	ck_assert_mem_eq(nvs_bytes(nvs) + 4, theirs + 4, sizeof theirs - 4);
}
END_TEST

START_TEST(a_blob_goes_on_in_the_next_pages)
{
	static uint8_t big[9000];

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 7 + (i >> 8));
	puts_it("a", "first", "u8", "\1", 1);
	puts_it("a", "big", "blob", big, sizeof big);
	puts_it("a", "last", "string", "x", 1);
	nvs_read(nvs_bytes(nvs), 0x6000, &got);
	holds("a", "big", 0x48, big, sizeof big);
	holds("a", "last", 0x21, "x", 2);
	ck_assert_uint_eq(got.full, 2);
	ck_assert_uint_eq(got.active, 1);
}
END_TEST

/* Blobs of each length around a page's end, after each number of entries. */
START_TEST(no_length_at_the_end_of_a_page_breaks_the_format)
{
	static const uint8_t big[4096] = {1, 2, 3};
	static const size_t lengths[] = {1, 31, 32, 33, 3967, 3968, 3999, 4000, 4001, 4032};

	for (size_t k = 0; k < ARRAY_LEN(lengths); k++)
		for (unsigned before = 0; before < 128; before += AMOUNT(1, 7)) {
			struct nvs *n;
			struct nvs_reading r = {0};
			size_t most;

			ck_assert_int_eq(nvs_new(0x5000, &n, &e), 0);
			for (unsigned i = 0; i < before; i++) {
				char key[16];

				snprintf(key, sizeof key, "k%u", i);
				ck_assert_int_eq(
					nvs_put(n, &(struct nvs_value){"s", key, "u8", big, 1}, &e),
					0);
			}
			ck_assert_msg(
				nvs_put(n,
					&(struct nvs_value){"s", "blob", "blob", big, lengths[k]},
					&e) == 0,
				"%s", e.msg);
			nvs_read(nvs_bytes(n), 0x5000, &r);
			ck_assert_uint_eq(nvs_found(&r, "s", "blob")->n, lengths[k]);
			ck_assert_uint_eq(r.count, before + 1);
			ck_assert_uint_ge(nvs_used(n, &most), r.entries);
			ck_assert_uint_eq(most, 4 * 126);
			nvs_read_done(&r);
			nvs_free(n);
		}
}
END_TEST

START_TEST(a_string_lies_in_one_page)
{
	static char text[4000];

	memset(text, 'x', sizeof text);
	puts_it("a", "one", "u8", "\1", 1);
	puts_it("a", "text", "string", text, 3999);
	nvs_read(nvs_bytes(nvs), 0x6000, &got);
	ck_assert_uint_eq(nvs_found(&got, "a", "text")->n, 4000);
	ck_assert_uint_eq(got.full, 1);
	refused(put("a", "more", "string", text, 4000), ERR_VALUE_TOO_LONG, "make it a blob");
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
	static const uint8_t big[16384];
	int r = 0;

	puts_it("a", "b", "blob", big, 16000);
	for (unsigned i = 0; r == 0 && i < 1000; i++) {
		char key[16];

		snprintf(key, sizeof key, "k%u", i);
		r = put("a", key, "u8", big, 1);
	}
	refused(r, ERR_NVS_FULL, "one stays empty");
}
END_TEST

START_TEST(each_wrong_value_has_its_code)
{
	puts_it("a", "key", "u8", "\1", 1);
	refused(put("a", "key", "u16", "\1\2", 2), ERR_PART_OVERLAP, "'a.key' comes twice");
	puts_it("b", "key", "u8", "\1", 1);
	refused(put("a", "", "u8", "\1", 1), ERR_VALUE_EMPTY, "name of a key");
	refused(put("", "k", "u8", "\1", 1), ERR_VALUE_EMPTY, "name of a namespace");
	refused(put("a", "sixteen_letters_", "u8", "\1", 1), ERR_VALUE_TOO_LONG, "15 are the most");
	refused(put("sixteen_letters_", "k", "u8", "\1", 1), ERR_VALUE_TOO_LONG, "15 are the most");
	refused(put("a", "k\xc3\xb6", "u8", "\1", 1), ERR_VALUE_MALFORMED, "printable ASCII");
	refused(put("a", "s", "string", "", 0), ERR_VALUE_EMPTY, "'a.s' has an empty value");
	refused(put("a", "z", "string", "a\0b", 3), ERR_VALUE_MALFORMED, "NUL");
	refused(put("a", "w", "u32", "\1", 1), ERR_INVALID, "1 bytes are no u32");
	refused(put("a", "t", "u128", "\1", 1), ERR_INVALID, "no type 'u128'");
}
END_TEST

START_TEST(a_partition_has_whole_pages)
{
	static const uint64_t wrong[] = {0, 4096, 8192, 0x3001, 0x6100, 0x400000 + 4096};
	struct nvs *n = NULL;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		refused(nvs_new(wrong[i], &n, &e), ERR_INVALID, "a multiple of 4096");
	ck_assert_ptr_null(n);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("nvs");
	TCase *t = tcase_create("nvs");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, every_type_is_read_back_as_it_was_given);
	tcase_add_test(t, the_bytes_are_those_of_espressifs_generator);
	tcase_add_test(t, a_blob_goes_on_in_the_next_pages);
	/* A busy machine takes longer than the usual 4 s. */
	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_length_at_the_end_of_a_page_breaks_the_format);
	tcase_add_test(t, a_string_lies_in_one_page);
	tcase_add_test(t, what_does_not_fit_is_refused);
	tcase_add_test(t, each_wrong_value_has_its_code);
	tcase_add_test(t, a_partition_has_whole_pages);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
