/* SPDX-License-Identifier: Apache-2.0
 *
 * Which receivers a list allows, by name and by the address that a connection goes to.
 */
#include "transports/links/http_allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static struct http_allow list;

static void teardown(void)
{
	http_allow_done(&list);
}

static void allow(const char *text)
{
	struct err e;

	ck_assert_msg(http_allow_add(&list, text, &e) == 0, "%s", e.msg);
}

static bool goes(const char *host, const char *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
		return http_allow_address(&list, host, (struct sockaddr *)&v4);
	ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return http_allow_address(&list, host, (struct sockaddr *)&v6);
}

START_TEST(a_name_goes_to_the_internet_and_to_networks_of_the_list_alone)
{
	allow("mes.example.com");
	ck_assert(goes("mes.example.com", "93.184.216.34"));
	ck_assert(goes("MES.example.com", "2606:2800:220:1::1"));
	ck_assert(!goes("other.example.com", "93.184.216.34"));
	ck_assert(!goes("mes.example.com", "10.1.2.3"));
	allow("10.1.0.0/16");
	ck_assert(goes("mes.example.com", "10.1.2.3"));
	ck_assert(goes("whatever.example", "10.1.2.3"));
	ck_assert(goes("mes.example.com", "::ffff:10.1.2.3"));
	ck_assert(!goes("mes.example.com", "10.2.0.1"));
	ck_assert(!goes("whatever.example", "93.184.216.34"));
}
END_TEST

/* Where a name server that lies, or changes its mind, would have it go. */
static const char *const inside[] = {"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1",
	"172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1",
	"198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
	"64:ff9b:1::1", "100::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001::1",
	"2001:db8::1", "2002:7f00:1::1", "3fff::1"};

START_TEST(an_address_that_is_none_of_the_internet_needs_its_network)
{
	allow("*.example.com");
	ck_assert(goes("a.example.com", "172.32.0.1"));
	ck_assert_msg(!goes("a.example.com", inside[_i]), "%s", inside[_i]);
	allow(inside[_i]);
	ck_assert_msg(goes("a.example.com", inside[_i]), "%s", inside[_i]);
}
END_TEST

START_TEST(a_network_is_cut_at_its_bits)
{
	allow("192.168.4.0/22");
	allow("2001:470:1234::/45");
	ck_assert(goes("x", "192.168.7.255") && !goes("x", "192.168.8.0"));
	ck_assert(goes("x", "2001:470:1237::1") && !goes("x", "2001:470:1238::1"));
}
END_TEST

START_TEST(a_host_is_known_by_its_name_or_may_resolve_into_a_network)
{
	allow("*.example.com");
	ck_assert(http_allow_host(&list, "a.example.com"));
	ck_assert(http_allow_host(&list, "a.b.EXAMPLE.com"));
	ck_assert(!http_allow_host(&list, "example.com"));
	ck_assert(!http_allow_host(&list, "badexample.com"));
	ck_assert(!http_allow_host(&list, "localhost"));
	ck_assert(!http_allow_host(&list, "127.0.0.1"));
	allow("127.0.0.0/8");
	ck_assert(http_allow_host(&list, "localhost"));
	ck_assert(http_allow_host(&list, "127.0.0.1") && !http_allow_host(&list, "127.1"));
	ck_assert(!http_allow_host(&list, "2130706433") && !http_allow_host(&list, "0x7f000001"));
	ck_assert(!http_allow_host(&list, "::1"));
}
END_TEST

static const char *const mistakes[] = {"", "*", "*.", "a b", "http://x", "x/y", "10.0.0.0/33",
	"10.0.0.0/", "10.0.0.0/-1", "::/129", "user@host", "host:80", ".x", "x.", "10.1", "0x7f.1"};

START_TEST(what_names_no_receiver_is_refused)
{
	struct err e;

	ck_assert_msg(http_allow_add(&list, mistakes[_i], &e) == -ERR_INVALID, "%s", mistakes[_i]);
	ck_assert(http_allow_empty(&list));
}
END_TEST

START_TEST(the_host_of_an_address_has_no_port_and_no_brackets)
{
	static const char *const urls[][2] = {{"https://a.example", "a.example"},
		{"https://a.example:8443/x:y", "a.example"}, {"http://127.0.0.1:80", "127.0.0.1"},
		{"https://[2001:db8::1]:443/x", "2001:db8::1"}};
	char host[HTTP_HOST_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		http_url_host(urls[i][0], host);
		ck_assert_str_eq(host, urls[i][1]);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("http_allow");
	TCase *t = tcase_create("http_allow");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_name_goes_to_the_internet_and_to_networks_of_the_list_alone);
	tcase_add_loop_test(t, an_address_that_is_none_of_the_internet_needs_its_network, 0,
		(int)ARRAY_LEN(inside));
	tcase_add_test(t, a_network_is_cut_at_its_bits);
	tcase_add_test(t, a_host_is_known_by_its_name_or_may_resolve_into_a_network);
	tcase_add_loop_test(t, what_names_no_receiver_is_refused, 0, (int)ARRAY_LEN(mistakes));
	tcase_add_test(t, the_host_of_an_address_has_no_port_and_no_brackets);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
