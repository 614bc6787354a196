/* SPDX-License-Identifier: Apache-2.0
 *
 * What leaves the house has no secret in it, and what is none stays readable.
 */
#include "cli/without_secrets.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text, *expected;
} rows[] = {
	{"url: https://anna:hunter22@iot.example/api", "url: https://[secret]@iot.example/api"},
	{"key: 'pkcs11:token=hsm;object=k?pin-value=4711'",
		"key: 'pkcs11:token=hsm;object=k?pin-value=[secret]'"},
	{"Authorization: Basic YW5uYTpodW50ZXIy", "Authorization: [secret]"},
	{"sent Bearer abcdefgh.ijkl to x", "sent Bearer [secret] to x"},
	{"password: hunter22 # of anna", "password: [secret] # of anna"},
	{"wifi_password: 'a b c'", "wifi_password: '[secret]'"},
	{"{\"token\":\"abc\",\"n\":1}", "{\"token\":\"[secret]\",\"n\":1}"},
	{"{\"token\": \"a\\\"b c\"}", "{\"token\": \"[secret]\"}"},
	{"{\"text\":\"password: a b\"}", "{\"text\":\"password: [secret] b\"}"},
	{"{\"text\":\"password: \\\"a b\\\" c\"}", "{\"text\":\"password: \\\"[secret]\\\" c\"}"},
	{"{\"text\":\"{\\\"password\\\":\\\"a b\\\"}\"}",
		"{\"text\":\"{\\\"password\\\":\\\"[secret]\\\"}\"}"},
	{"pin: 4711", "pin: [secret]"},
	{"#user_pin: 4711", "#user_pin: [secret]"},
	{"api_key=k1, api-key=k2", "api_key=[secret], api-key=[secret]"},
	{"SetCredential=hsm-pin:4711", "SetCredential=hsm-pin:[secret]"},
	/* What is none. */
	{"pin: {credential: hsm-pin}", "pin: {credential: hsm-pin}"},
	{"pin: {file: /etc/credstore/pin}", "pin: {file: /etc/credstore/pin}"},
	{"ping: 4711", "ping: 4711"},
	{"tokens: 3", "tokens: 3"},
	{"url: https://iot.example/a@b", "url: https://iot.example/a@b"},
	{"listen: 127.0.0.1:8620", "listen: 127.0.0.1:8620"},
	{"a\n\nb\n", "a\n\nb\n"},
	{"", ""},
};

START_TEST(what_looks_like_a_secret_goes)
{
	_cleanup_(freep) char *got = without_secrets(NULL, rows[_i].text);

	ck_assert_str_eq(got, rows[_i].expected);
}
END_TEST

START_TEST(a_private_key_goes_line_by_line)
{
	_cleanup_(freep) char *got = without_secrets(NULL,
		"before\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\nAAAA\n-----END EC PRIVATE KEY-----\nafter\n-----BEGIN CERTIFICATE-----\nMIIB\n");

	ck_assert_ptr_null(strstr(got, "MHcCAQ"));
	ck_assert_ptr_null(strstr(got, "AAAA"));
	ck_assert_ptr_nonnull(strstr(got, "before\n"));
	ck_assert_ptr_nonnull(strstr(got, "\nafter\n"));
	ck_assert_ptr_nonnull(strstr(got, "MIIB"));
}
END_TEST

/* A key on one line, as JSON has it. */
START_TEST(a_private_key_within_a_line_goes)
{
	_cleanup_(freep) char *got = without_secrets(NULL,
		"{\"k\":\"-----BEGIN PRIVATE KEY-----\\nMHcCAQ\\n-----END PRIVATE KEY-----\"}\nafter\n");

	ck_assert_str_eq(got, "[secret]\nafter\n");
}
END_TEST

START_TEST(what_the_configuration_holds_or_names_goes_everywhere)
{
	struct secret_set *s = secret_set_new();
	char path[] = "/tmp/test_secret_XXXXXX";
	int fd = mkstemp(path);
	_cleanup_(freep) char *config = NULL;
	_cleanup_(freep) char *got = NULL;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "of-a-file\nrest", 14), 14);
	close(fd);
	config = xasprintf(
		"secrets:\n  a: {file: %s}\n  b: by-mistake\n  c: {credential: not-a-secret}\nissuers:\n  f: {pin: {file: %s}}\n  g: {pin: wrong-here}\n",
		path, path);
	secrets_of_config(s, config);
	unlink(path);
	got = without_secrets(s, "log: of-a-file by-mistake not-a-secret wrong-here");
	ck_assert_str_eq(got, "log: [secret] [secret] not-a-secret [secret]");
	secret_set_free(s);
}
END_TEST

START_TEST(a_secret_with_quotes_goes_as_json_has_it)
{
	struct secret_set *s = secret_set_new();
	_cleanup_(freep) char *got = NULL;

	secrets_of_config(s, "secrets: {a: 'quo\"ted'}");
	got = without_secrets(s, "{\"evidence\": \"quo\\\"ted\"} quo\"ted");
	ck_assert_str_eq(got, "{\"evidence\": \"[secret]\"} [secret]");
	secret_set_free(s);
}
END_TEST

/* Nobody can say what is a value there. */
START_TEST(the_secrets_of_a_configuration_with_mistakes_go_as_a_whole)
{
	struct secret_set *s = secret_set_new();
	static const char text[] =
		"listen: [\nsecrets:\n  cloud: hunter22\n\n  b: x\nstations: []\n";
	_cleanup_(freep) char *got = NULL;

	secrets_of_config(s, text);
	got = without_secrets(s, text);
	ck_assert_ptr_null(strstr(got, "hunter22"));
	ck_assert_ptr_null(strstr(got, "b: x"));
	ck_assert_ptr_nonnull(strstr(got, "listen: ["));
	ck_assert_ptr_nonnull(strstr(got, "stations: []"));
	secret_set_free(s);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("without_secrets");
	TCase *tc = tcase_create("without_secrets");

	tcase_add_loop_test(tc, what_looks_like_a_secret_goes, 0, ARRAY_LEN(rows));
	tcase_add_test(tc, a_private_key_goes_line_by_line);
	tcase_add_test(tc, a_private_key_within_a_line_goes);
	tcase_add_test(tc, what_the_configuration_holds_or_names_goes_everywhere);
	tcase_add_test(tc, a_secret_with_quotes_goes_as_json_has_it);
	tcase_add_test(tc, the_secrets_of_a_configuration_with_mistakes_go_as_a_whole);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
