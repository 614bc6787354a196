/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "transports/links/link.h"

static int peer = -1;
static char address[64];
static struct link *l;
static struct err e;

static void set_up(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	peer = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(peer, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(peer, (struct sockaddr *)&a, &n), 0);
	snprintf(address, sizeof address, "udp:127.0.0.1:%u", ntohs(a.sin_port));
}

static void tear_down(void)
{
	l = link_close(l);
	closep(&peer);
	peer = -1;
}

static struct iotime within(uint64_t us)
{
	return (struct iotime){now_us() + us, NULL};
}

static void open_it(void)
{
	struct iotime it = within(5 * US_PER_S);
	struct sockaddr_in from;
	socklen_t n = sizeof from;
	char hello[8];

	ck_assert_msg(link_open(address, &LINK_CONFIG_DEFAULT, &it, &l, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(link_write(l, "hello", 5, &it, &e), 0);
	ck_assert_int_eq(recvfrom(peer, hello, sizeof hello, 0, (struct sockaddr *)&from, &n), 5);
	ck_assert_mem_eq(hello, "hello", 5);
	ck_assert_int_eq(connect(peer, (struct sockaddr *)&from, n), 0);
}

START_TEST(each_read_gives_one_datagram_whole)
{
	struct iotime it = within(5 * US_PER_S);
	char buf[100];
	size_t n = 0;

	open_it();
	ck_assert_int_eq(send(peer, "one", 3, 0), 3);
	ck_assert_int_eq(send(peer, "", 0, 0), 0);
	ck_assert_int_eq(send(peer, "three", 5, 0), 5);
	ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_mem_eq(buf, "three", 5);
	ck_assert_int_eq(send(peer, buf, 100, 0), 100);
	ck_assert_int_eq(link_read(l, buf, 99, &n, &it, &e), -ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.msg, "100 bytes"));
}
END_TEST

START_TEST(a_silent_peer_is_a_timeout_and_a_closed_port_is_gone)
{
	struct iotime it = within(30 * US_PER_MS);
	struct iotime later = within(5 * US_PER_S);
	char buf[10];
	size_t n;
	int r;

	open_it();
	ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), -ERR_TIMEOUT);
	close(peer);
	peer = -1;
	r = link_write(l, "x", 1, &later, &e);
	if (r == 0)
		r = link_read(l, buf, sizeof buf, &n, &later, &e);
	ck_assert_int_eq(r, -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(addresses_are_checked)
{
	static const char *const bad[] = {"udp:", "udp:127.0.0.1", "udp:127.0.0.1:0",
		"udp:127.0.0.1:70000", "udp:::1:5554", "udp:127.0.0.1:x"};
	struct iotime it = within(5 * US_PER_S);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_eq(
			link_open(bad[i], &LINK_CONFIG_DEFAULT, &it, &l, &e), -ERR_INVALID);
	/* A machine without IPv6 has no way to it; the address is one all the same. */
	ck_assert_int_ne(
		link_open("udp:[::1]:5554", &LINK_CONFIG_DEFAULT, &it, &l, &e), -ERR_INVALID);
}
END_TEST

START_TEST(it_has_no_modem_lines)
{
	open_it();
	ck_assert_int_eq(link_control(l, LINK_CONTROL_DTR, 1, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(link_control(l, LINK_CONTROL_FLUSH, 0, &e), 0);
}
END_TEST

static Suite *udp_suite(void)
{
	Suite *s = suite_create("udp");
	TCase *t = tcase_create("udp");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, each_read_gives_one_datagram_whole);
	tcase_add_test(t, a_silent_peer_is_a_timeout_and_a_closed_port_is_gone);
	tcase_add_test(t, addresses_are_checked);
	tcase_add_test(t, it_has_no_modem_lines);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(udp_suite)
