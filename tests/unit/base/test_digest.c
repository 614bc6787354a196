/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

/* FIPS 180-4 example: "abc". */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

START_TEST(the_known_digests_come_out)
{
	char hex[SHA256_HEX];

	ck_assert_str_eq(sha256_hex_of("abc", 3, hex), ABC);
	ck_assert_str_eq(sha256_hex_of("", 0, hex),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

START_TEST(a_digest_in_pieces_and_of_a_file_is_the_same)
{
	struct sha256 *d = sha256_new();
	uint8_t raw[SHA256_BYTES];
	char hex[SHA256_HEX];
	char path[] = "/tmp/test_digest_XXXXXX";
	int fd = mkstemp(path);
	struct err e = {0};

	sha256_add(d, "a", 1);
	sha256_add(d, "", 0);
	sha256_add(d, "bc", 2);
	sha256_end(d, raw);
	sha256_free(d);
	ck_assert_str_eq(hex_of(raw, sizeof raw, hex), ABC);
	ck_assert_int_eq(write(fd, "abc", 3), 3);
	close(fd);
	ck_assert_int_eq(sha256_file(path, hex, &e), 0);
	ck_assert_str_eq(hex, ABC);
	unlink(path);
	ck_assert_int_lt(sha256_file(path, hex, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, path));
}
END_TEST

START_TEST(the_known_authentication_code_comes_out)
{
	static const char key[] = "Jefe",
			  text[] = "what do ya want for nothing?"; /* RFC 4231, 4.3 */
	uint8_t mac[SHA256_BYTES];
	char hex[SHA256_HEX];

	hmac_sha256(key, strlen(key), text, strlen(text), mac);
	ck_assert_str_eq(hex_of(mac, sizeof mac, hex),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
END_TEST

START_TEST(base64_goes_there_and_back_and_nothing_else_is_taken)
{
	static const struct {
		const char *plain, *coded;
	} rows[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}}; /* RFC 4648, 10 */
	static const char *const bad[] = {
		"Zg=", "Z===", "Zm9v ", "Zm 9v", "Zm9v\n", "Zg==Zg==", "Zm9-", "Z"};
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *coded = base64_of(rows[i].plain, strlen(rows[i].plain));
		_cleanup_(freep) uint8_t *plain = base64_parse(rows[i].coded, &n);

		ck_assert_str_eq(coded, rows[i].coded);
		ck_assert_uint_eq(n, strlen(rows[i].plain));
		ck_assert_str_eq((char *)plain, rows[i].plain);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(base64_parse(bad[i], &n) == NULL, "%s", bad[i]);
}
END_TEST

START_TEST(hex_is_read_exactly_or_not_at_all)
{
	uint8_t b[2] = {0};

	ck_assert(hex_parse("aB09", b, 2));
	ck_assert_mem_eq(b, "\xab\x09", 2);
	ck_assert(!hex_parse("aB0", b, 2));
	ck_assert(!hex_parse("aB090", b, 2));
	ck_assert(!hex_parse("aB0g", b, 2));
	ck_assert(is_sha256_hex(ABC));
	ck_assert(!is_sha256_hex(ABC "0"));
	ck_assert(
		!is_sha256_hex("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("digest");
	TCase *t = tcase_create("digest");

	tcase_add_test(t, the_known_digests_come_out);
	tcase_add_test(t, a_digest_in_pieces_and_of_a_file_is_the_same);
	tcase_add_test(t, hex_is_read_exactly_or_not_at_all);
	tcase_add_test(t, the_known_authentication_code_comes_out);
	tcase_add_test(t, base64_goes_there_and_back_and_nothing_else_is_taken);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
