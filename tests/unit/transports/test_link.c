/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static int master = -1;
static char address[80];
static struct err e;
static const struct link_config config = {.dtr = -1, .rts = -1};

static struct iotime in_ms(unsigned ms)
{
	return (struct iotime){now_us() + ms * US_PER_MS, NULL};
}

static void make_pty(void)
{
	char name[64];

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	ck_assert_int_eq(ptsname_r(master, name, sizeof name), 0);
	snprintf(address, sizeof address, "tty:%s", name);
}

static void drop_pty(void)
{
	closep(&master);
	master = -1;
}

static struct link *opened(const char *at)
{
	struct link *l = NULL;
	struct iotime it = in_ms(2000);

	ck_assert_msg(link_open(at, &config, &it, &l, &e) == 0, "%s", e.msg);
	return l;
}

static int open_fails(const char *at)
{
	struct link *l = NULL;
	struct iotime it = in_ms(2000);

	return link_open(at, &config, &it, &l, &e);
}

START_TEST(every_byte_value_passes_both_ways_unchanged)
{
	struct link *l = opened(address);
	struct iotime it = in_ms(2000);
	uint8_t all[256], got[256];

	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	ck_assert_int_eq(link_write(l, all, sizeof all, &it, &e), 0);
	for (size_t n = 0; n < sizeof got;) {
		ssize_t k = read(master, got + n, sizeof got - n);

		ck_assert_int_gt(k, 0);
		n += (size_t)k;
	}
	ck_assert_mem_eq(all, got, sizeof all);
	ck_assert_int_eq(write(master, all, sizeof all), sizeof all);
	memset(got, 0, sizeof got);
	ck_assert_int_eq(link_read_exact(l, got, sizeof got, NULL, &it, &e), 0);
	ck_assert_mem_eq(all, got, sizeof all);

	struct link_stats s;

	link_get_stats(l, &s);
	ck_assert_uint_eq(s.rx_bytes, 256);
	ck_assert_uint_eq(s.tx_bytes, 256);
	link_close(l);
}
END_TEST

START_TEST(nothing_of_an_earlier_user_is_inherited)
{
	char name[64];
	struct termios t;

	ptsname_r(master, name, sizeof name);

	_cleanup_(closep) int slave = open(name, O_RDWR | O_NOCTTY);

	tcgetattr(slave, &t);
	t.c_iflag |= ICRNL | IXON | ISTRIP;
	t.c_lflag |= ECHO | ICANON | ISIG;
	t.c_oflag |= OPOST | ONLCR;
	tcsetattr(slave, TCSANOW, &t);

	struct link *l = opened(address);

	tcgetattr(slave, &t);
	ck_assert_uint_eq(t.c_iflag, 0);
	ck_assert_uint_eq(t.c_lflag, 0);
	ck_assert_uint_eq(t.c_oflag, 0);
	ck_assert_uint_eq(t.c_cflag & HUPCL, 0);
	ck_assert_uint_ne(t.c_cflag & CLOCAL, 0);
	link_close(l);
}
END_TEST

START_TEST(a_port_in_use_is_busy_and_free_again_after_close)
{
	struct link *l = opened(address);

	ck_assert_int_eq(open_fails(address), -ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.msg, address));
	link_close(l);
	link_close(opened(address));
}
END_TEST

START_TEST(any_rate_is_taken)
{
	char with_rate[96];

	snprintf(with_rate, sizeof with_rate, "%s@250000", address);

	struct link *l = opened(with_rate);

	ck_assert_uint_eq(l->baud, 250000);
	ck_assert_int_eq(link_control(l, LINK_CONTROL_BAUD, 74880, &e), 0);
	ck_assert_uint_eq(l->baud, 74880);
	link_close(l);
	snprintf(with_rate, sizeof with_rate, "%s@fast", address);
	ck_assert_int_eq(open_fails(with_rate), -ERR_INVALID);
}
END_TEST

START_TEST(a_pty_says_that_it_has_no_modem_lines_and_no_parity)
{
	struct link *l = opened(address);

	ck_assert_int_eq(link_control(l, LINK_CONTROL_DTR, 1, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(link_control(l, LINK_CONTROL_RTS, 0, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(
		link_control(l, LINK_CONTROL_PARITY, LINK_PARITY_EVEN, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(l->parity, LINK_PARITY_NONE);
	ck_assert_int_eq(link_control(l, LINK_CONTROL_PARITY, LINK_PARITY_NONE, &e), 0);
	link_close(l);
}
END_TEST

START_TEST(a_read_ends_at_its_deadline)
{
	struct link *l = opened(address);
	struct iotime it = in_ms(30);
	uint64_t t0 = now_us();
	size_t n;
	char b[4];

	ck_assert_int_eq(link_read(l, b, sizeof b, &n, &it, &e), -ERR_TIMEOUT);
	ck_assert_uint_ge(now_us() - t0, 29 * US_PER_MS);
	ck_assert_uint_lt(now_us() - t0, 1000 * US_PER_MS);
	ck_assert_int_eq(write(master, "ab", 2), 2);
	it = in_ms(30);
	ck_assert_int_eq(link_read_exact(l, b, 4, &n, &it, &e), -ERR_TIMEOUT);
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_nonnull(strstr(e.msg, "2 of 4 bytes"));
	link_close(l);
}
END_TEST

START_TEST(a_device_that_never_stops_talking_carries_no_reader_past_the_deadline)
{
	struct link *l = opened(address);
	struct iotime it = {now_us(), NULL};
	size_t n;
	char b[4];

	ck_assert_int_eq(write(master, "abcd", 4), 4);
	ck_assert_int_eq(link_read(l, b, sizeof b, &n, &it, &e), -ERR_TIMEOUT);
	link_close(l);
}
END_TEST

START_TEST(a_write_to_a_device_that_takes_nothing_ends_at_its_deadline)
{
	struct link *l = opened(address);
	struct iotime it = in_ms(50);
	static char big[1024 * 1024];

	ck_assert_int_eq(link_write(l, big, sizeof big, &it, &e), -ERR_TIMEOUT);
	link_close(l);
}
END_TEST

START_TEST(unplug_ends_a_waiting_read_at_once)
{
	struct link *l = opened(address);
	struct iotime it = in_ms(5000);
	uint64_t t0 = now_us();
	size_t n;
	char b[4];

	drop_pty();
	ck_assert_int_eq(link_read(l, b, sizeof b, &n, &it, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(link_write(l, "x", 1, &it, &e), -ERR_DEVICE_GONE);
	ck_assert_uint_lt(now_us() - t0, US_PER_S);
	ck_assert_ptr_nonnull(strstr(e.msg, address));
	link_close(l);
	ck_assert_int_eq(open_fails(address), -ERR_DEVICE_GONE);
}
END_TEST

static void *fire(void *cancel)
{
	cancel_fire(cancel, ERR_ABORTED);
	return NULL;
}

START_TEST(a_cancel_wakes_a_waiting_read)
{
	struct link *l = opened(address);
	struct cancel c;
	struct iotime it = {now_us() + 10 * US_PER_S, &c};
	pthread_t t;
	size_t n;
	char b[4];

	cancel_init(&c, &e);
	pthread_create(&t, NULL, fire, &c);
	ck_assert_int_eq(link_read(l, b, sizeof b, &n, &it, &e), -ERR_ABORTED);
	pthread_join(t, NULL);
	cancel_done(&c);
	link_close(l);
}
END_TEST

static void keep_trace(void *data, char dir, const void *bytes, size_t n)
{
	char *s = data;
	size_t k = strlen(s);

	snprintf(s + k, 64 - k, "%c%.*s", dir, (int)n, (const char *)bytes);
}

START_TEST(drain_drops_what_came_and_the_trace_still_shows_it)
{
	struct link *l = opened(address);
	struct iotime it = in_ms(2000);
	char seen[64] = "";
	bool quiet = false;
	size_t n;

	link_set_trace(l, keep_trace, seen);
	ck_assert_int_eq(write(master, "stale", 5), 5);
	ck_assert_int_eq(link_drain(l, 5 * US_PER_MS, US_PER_S, &quiet, &it, &e), 0);
	ck_assert(quiet);
	ck_assert_int_eq(link_write(l, "q", 1, &it, &e), 0);
	ck_assert_str_eq(seen, "<stale>q");
	it = in_ms(1);
	ck_assert_int_eq(link_read(l, seen, 1, &n, &it, &e), -ERR_TIMEOUT);
	link_close(l);
}
END_TEST

START_TEST(addresses_that_name_no_link_are_refused)
{
	static const char *const bad[] = {"", "usb:1-1", "tty:", "/dev/ttyS0", "tcp:host", "tcp::1",
		"tcp:localhost:0", "tcp:localhost:70000", "tcp:::1:80"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(open_fails(bad[i]) == -ERR_INVALID, "'%s': %s", bad[i], e.msg);
	ck_assert_int_eq(open_fails("tty:/dev/no-such-tty"), -ERR_DEVICE_GONE);
	ck_assert_int_eq(open_fails("tty:/dev/null"), -ERR_INVALID);
}
END_TEST

static int listen_here(int family, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int s = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(s, 1), 0);
	getsockname(s, (struct sockaddr *)&a, &len);
	*port = ntohs(a.sin_port);
	return s;
}

START_TEST(tcp_carries_bytes_and_notices_that_the_peer_left)
{
	uint16_t port;
	_cleanup_(closep) int s = listen_here(AF_INET, &port);
	char at[64], b[8];
	struct iotime it = in_ms(2000);

	snprintf(at, sizeof at, "tcp:localhost:%u", port);

	struct link *l = opened(at);
	int peer = accept(s, NULL, NULL);

	ck_assert_uint_eq(l->baud, 0);
	ck_assert_int_eq(link_write(l, "ping", 4, &it, &e), 0);
	ck_assert_int_eq(read(peer, b, 4), 4);
	ck_assert_int_eq(write(peer, "pong", 4), 4);
	close(peer);
	ck_assert_int_eq(link_read_exact(l, b, 4, NULL, &it, &e), 0);
	ck_assert_mem_eq(b, "pong", 4);
	ck_assert_int_eq(link_read_exact(l, b, 1, NULL, &it, &e), -ERR_DEVICE_GONE);
	ck_assert_int_eq(link_control(l, LINK_CONTROL_DTR, 1, &e), -ERR_UNSUPPORTED);
	link_close(l);
}
END_TEST

/* More than the peer's window: its TCP acknowledges the rest once the peer has read. */
START_TEST(tcp_knows_what_the_peer_has_acknowledged)
{
	enum { ALL = 400000 };
	uint16_t port;
	_cleanup_(closep) int s = listen_here(AF_INET, &port);
	int window = 4096;
	struct linger now = {.l_onoff = 1};
	_cleanup_(freep) char *bytes = xcalloc(ALL, 1);
	struct iotime soon = in_ms(50), it = in_ms(20000);
	char at[64];

	setsockopt(s, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
	snprintf(at, sizeof at, "tcp:localhost:%u", port);

	struct link *l = opened(at);
	int peer = accept(s, NULL, NULL);

	ck_assert_int_eq(link_write(l, bytes, ALL, &it, &e), 0);
	ck_assert_int_eq(link_acknowledged(l, &soon, &e), -ERR_TIMEOUT);
	ck_assert_int_eq(recv(peer, bytes, ALL, MSG_WAITALL), ALL);
	ck_assert_int_eq(link_acknowledged(l, &it, &e), 0);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(peer); /* reset */
	ck_assert_int_eq(link_acknowledged(l, &it, &e), -ERR_DEVICE_GONE);
	link_close(l);
}
END_TEST

START_TEST(tcp_refused_says_so_at_once)
{
	uint16_t port;
	int s = listen_here(AF_INET, &port);
	char at[64];

	close(s);
	snprintf(at, sizeof at, "tcp:127.0.0.1:%u", port);
	ck_assert_int_eq(open_fails(at), -ERR_DEVICE_GONE);
	ck_assert_ptr_nonnull(strstr(e.msg, at));
	ck_assert_ptr_nonnull(strstr(e.msg, "refused"));
}
END_TEST

static Suite *link_suite(void)
{
	Suite *s = suite_create("link");
	TCase *t = tcase_create("tty");

	tcase_add_checked_fixture(t, make_pty, drop_pty);
	tcase_add_test(t, every_byte_value_passes_both_ways_unchanged);
	tcase_add_test(t, nothing_of_an_earlier_user_is_inherited);
	tcase_add_test(t, a_port_in_use_is_busy_and_free_again_after_close);
	tcase_add_test(t, any_rate_is_taken);
	tcase_add_test(t, a_pty_says_that_it_has_no_modem_lines_and_no_parity);
	tcase_add_test(t, a_read_ends_at_its_deadline);
	tcase_add_test(t, a_device_that_never_stops_talking_carries_no_reader_past_the_deadline);
	tcase_add_test(t, a_write_to_a_device_that_takes_nothing_ends_at_its_deadline);
	tcase_add_test(t, unplug_ends_a_waiting_read_at_once);
	tcase_add_test(t, a_cancel_wakes_a_waiting_read);
	tcase_add_test(t, drain_drops_what_came_and_the_trace_still_shows_it);
	suite_add_tcase(s, t);
	t = tcase_create("tcp");
	tcase_add_test(t, addresses_that_name_no_link_are_refused);
	tcase_add_test(t, tcp_carries_bytes_and_notices_that_the_peer_left);
	tcase_add_test(t, tcp_knows_what_the_peer_has_acknowledged);
	tcase_add_test(t, tcp_refused_says_so_at_once);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(link_suite)
