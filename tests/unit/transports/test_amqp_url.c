/* SPDX-License-Identifier: Apache-2.0
 *
 * Which urls of AMQP are taken.
 */
#include "base/util.h"
#include "transports/links/amqp.h"
#include "tests/unit/unit.h"

START_TEST(a_url_is_a_host_with_the_port_of_its_scheme_or_its_own)
{
	static const struct {
		const char *url, *host;
		unsigned port;
		bool tls;
	} rows[] = {{"amqp://broker", "broker", 5672, false},
		{"amqps://broker.example.com", "broker.example.com", 5671, true},
		{"amqps://10.1.2.3:5700", "10.1.2.3", 5700, true},
		{"amqp://[::1]", "::1", 5672, false}, {"amqp://[fe80::1]:1", "fe80::1", 1, false},
		{"amqp://b:65535", "b", 65535, false}};
	struct amqp_url u;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(amqp_url_parse(rows[i].url, &u, &e), 0);
		ck_assert_str_eq(u.host, rows[i].host);
		ck_assert_uint_eq(u.port, rows[i].port);
		ck_assert_int_eq(u.tls, rows[i].tls);
	}
}
END_TEST

START_TEST(what_is_no_such_url_is_refused_with_what_is_expected)
{
	static const char *const urls[] = {"", "broker", "http://broker", "amqp:/broker", "amqp://",
		"amqp://:5672", "amqp://broker:", "amqp://broker:0", "amqp://broker:65536",
		"amqp://broker:5672/queue", "amqp://user:pw@broker", "amqp://broker?x=1",
		"amqp://[::1", "amqp://[]", "amqp://[::1]x", "amqp://bro ker", "amqp://b:56x",
		"amqp://b:+1", "amqp://b:0x10"};
	struct amqp_url u = {.port = 7};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		ck_assert_msg(
			amqp_url_parse(urls[i], &u, &e) == -ERR_INVALID, "'%s' is taken", urls[i]);
		ck_assert_ptr_nonnull(strstr(e.msg, "amqps://HOST[:PORT]"));
	}
	ck_assert_uint_eq(u.port, 7);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("amqp_url");
	TCase *t = tcase_create("amqp_url");

	tcase_add_test(t, a_url_is_a_host_with_the_port_of_its_scheme_or_its_own);
	tcase_add_test(t, what_is_no_such_url_is_refused_with_what_is_expected);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
