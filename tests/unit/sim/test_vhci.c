/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual board as a USB device: USB/IP requests in, as the kernel's vhci_hcd sends them, replies
 * out. The messages are put together here, from the protocol's text, not by the code under test.
 */
#include "sim/usb_port.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "tests/unit/unit.h"

#define WAIT_US (5 * US_PER_S)

struct bench {
	struct loop *loop;
	struct usb_port *usb;
	int host;
	struct strbuf heard; /* by the board */
	size_t room;
	const char *answer; /* what the board says when it is fed */
	uint64_t deadline_us;
};

static struct bench b;

struct answer {
	uint32_t command, seqnum;
	int status;
	uint32_t actual;
};

static size_t board_has_room(void *data)
{
	return b.room;
}

static void board_hears(void *data, const void *p, size_t n)
{
	sb_add_n(&b.heard, p, n);
	b.room -= n;
	if (b.answer)
		usb_port_write(b.usb, b.answer, strlen(b.answer));
}

static void board_may_go_on(void *data)
{
}

static const struct port_ops board_ops = {
	.room = board_has_room, .input = board_hears, .writable = board_may_go_on};

static void setup(void)
{
	const struct port_place at = {
		.kind = PORT_VHCI, .usb_id = "1209:0001", .usb_serial = "S-1", .model = "board"};
	struct err e;
	int pair[2];

	b = (struct bench){.room = 65536};
	ck_assert_int_eq(loop_new(&b.loop, &e), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(usb_port_new(b.loop, pair[0], &at, &board_ops, NULL, &b.usb, &e), 0);
	b.host = pair[1];
}

static void teardown(void)
{
	usb_port_free(b.usb);
	loop_free(b.loop);
	close(b.host);
	sb_done(&b.heard);
}

/* Ends a round of the loop as soon as the host has something to read. */
static uint64_t until_readable(void *data)
{
	char c;

	if (recv(b.host, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1 || now_us() >= b.deadline_us) {
		loop_quit(b.loop);
		return 0;
	}
	return now_us() + US_PER_MS;
}

static void turn_loop(uint64_t budget_us)
{
	struct err e;

	b.deadline_us = now_us() + budget_us;
	ck_assert_int_eq(loop_run(b.loop, until_readable, NULL, &e), 0);
}

static void send_message(uint32_t command, uint32_t seqnum, bool in, uint32_t ep, uint32_t word,
	uint32_t length, const uint8_t setup_packet[8], const void *data)
{
	uint8_t m[48 + 4096] = {0};
	struct wbytes w = {m, sizeof m, 0, false};

	wb_be32(&w, command);
	wb_be32(&w, seqnum);
	wb_be32(&w, 0x10001);
	wb_be32(&w, in);
	wb_be32(&w, ep);
	wb_be32(&w, word);
	wb_be32(&w, length);
	wb_fill(&w, 0, 12);
	if (setup_packet)
		wb_put(&w, setup_packet, 8);
	else
		wb_fill(&w, 0, 8);
	if (data)
		wb_put(&w, data, length);
	ck_assert(!w.bad);
	ck_assert_int_eq(send(b.host, m, w.len, 0), (int)w.len);
}

static struct answer receive(void *data, size_t size)
{
	uint8_t h[48];
	struct answer a;

	turn_loop(WAIT_US);
	ck_assert_int_eq(recv(b.host, h, sizeof h, MSG_DONTWAIT), sizeof h);

	struct rbytes r = rbytes_of(h, sizeof h);

	a.command = rb_be32(&r);
	a.seqnum = rb_be32(&r);
	rb_take(&r, 12);
	a.status = (int)rb_be32(&r);
	a.actual = rb_be32(&r);
	if (data && a.actual) {
		ck_assert_uint_le(a.actual, size);
		ck_assert_int_eq(recv(b.host, data, a.actual, MSG_DONTWAIT), (int)a.actual);
	}
	return a;
}

static void open_tty(void)
{
	/* SET_CONTROL_LINE_STATE, DTR: PSTN 1.2, 6.3.12 */
	send_message(
		1, 900, false, 0, 0, 0, (const uint8_t[8]){0x21, 0x22, 1, 0, 0, 0, 0, 0}, NULL);
	ck_assert_int_eq(receive(NULL, 0).status, 0);
}

START_TEST(the_kernel_reads_what_it_is)
{
	uint8_t d[256];
	struct answer a;

	send_message(1, 1, true, 0, 0, 64, (const uint8_t[8]){0x80, 6, 0, 1, 0, 0, 64, 0}, NULL);
	a = receive(d, sizeof d);
	ck_assert_uint_eq(a.command, 3);
	ck_assert_uint_eq(a.seqnum, 1);
	ck_assert_int_eq(a.status, 0);
	ck_assert_uint_eq(a.actual, 18);
	ck_assert_uint_eq(d[8] | d[9] << 8, 0x1209);
	ck_assert_uint_eq(d[10] | d[11] << 8, 0x0001);

	send_message(1, 2, true, 0, 0, 255, (const uint8_t[8]){0x80, 6, 3, 3, 9, 4, 255, 0}, NULL);
	a = receive(d, sizeof d);
	ck_assert_mem_eq(d, "\x08\x03S\0-\0001\0", 8);

	/* The whole configuration is as long as it says. */
	send_message(1, 3, true, 0, 0, 255, (const uint8_t[8]){0x80, 6, 0, 2, 0, 0, 255, 0}, NULL);
	a = receive(d, sizeof d);
	ck_assert_uint_eq(a.actual, d[2] | d[3] << 8);
	unsigned at = 0;
	while (at < a.actual) {
		ck_assert_uint_gt(d[at], 1);
		at += d[at];
	}
	ck_assert_uint_eq(at, a.actual);
}
END_TEST

START_TEST(a_short_request_gets_no_more_than_it_asked_for)
{
	uint8_t d[256];

	send_message(1, 1, true, 0, 0, 9, (const uint8_t[8]){0x80, 6, 0, 2, 0, 0, 9, 0}, NULL);
	ck_assert_uint_eq(receive(d, sizeof d).actual, 9);
}
END_TEST

START_TEST(an_unknown_request_stalls)
{
	send_message(1, 1, true, 0, 0, 10, (const uint8_t[8]){0x80, 6, 0, 6, 0, 0, 10, 0}, NULL);
	ck_assert_int_eq(receive(NULL, 0).status, -EPIPE);
}
END_TEST

START_TEST(bytes_go_both_ways)
{
	uint8_t d[64];
	struct answer a;

	open_tty();
	b.answer = "pong\r\n";
	send_message(1, 5, true, 2, 0, 64, NULL, NULL);
	send_message(1, 6, false, 2, 0, 5, NULL, "ping\n");
	a = receive(NULL, 0);
	ck_assert_uint_eq(a.seqnum, 6);
	ck_assert_uint_eq(a.actual, 5);
	ck_assert_str_eq(b.heard.s, "ping\n");
	a = receive(d, sizeof d);
	ck_assert_uint_eq(a.seqnum, 5);
	ck_assert_uint_eq(a.actual, 6);
	ck_assert_mem_eq(d, "pong\r\n", 6);
}
END_TEST

START_TEST(what_is_said_to_a_closed_tty_is_lost)
{
	uint8_t d[64];
	struct answer a;

	usb_port_write(b.usb, "early", 5);
	open_tty();
	usb_port_write(b.usb, "late", 4);
	send_message(1, 5, true, 2, 0, 64, NULL, NULL);
	a = receive(d, sizeof d);
	ck_assert_uint_eq(a.actual, 4);
	ck_assert_mem_eq(d, "late", 4);
}
END_TEST

START_TEST(a_board_without_room_holds_the_transfer)
{
	struct answer a;

	open_tty();
	b.room = 2;
	send_message(1, 5, false, 2, 0, 5, NULL, "01234");
	/* An answer to another request proves that the first one is still held. */
	send_message(1, 6, true, 0, 0, 2, (const uint8_t[8]){0x80, 0, 0, 0, 0, 0, 2, 0}, NULL);
	char two[2];
	a = receive(two, sizeof two);
	ck_assert_uint_eq(a.seqnum, 6);
	ck_assert_uint_eq(b.heard.len, 2);
	b.room = 100;
	usb_port_poll(b.usb);
	a = receive(NULL, 0);
	ck_assert_uint_eq(a.seqnum, 5);
	ck_assert_uint_eq(a.actual, 5);
	ck_assert_mem_eq(b.heard.s, "01234", 5);
}
END_TEST

START_TEST(a_transfer_that_waits_can_be_taken_back)
{
	struct answer a;

	send_message(1, 5, true, 2, 0, 64, NULL, NULL);
	send_message(2, 6, false, 0, 5, 0, NULL, NULL);
	a = receive(NULL, 0);
	ck_assert_uint_eq(a.command, 4);
	ck_assert_uint_eq(a.seqnum, 6);
	ck_assert_int_eq(a.status, -ECONNRESET);
	/* Taken back twice: it is not there any more. */
	send_message(2, 7, false, 0, 5, 0, NULL, NULL);
	ck_assert_int_eq(receive(NULL, 0).status, 0);
}
END_TEST

START_TEST(nonsense_ends_the_connection_and_nothing_else)
{
	send_message(77, 1, true, 2, 0, 64, NULL, NULL);
	turn_loop(50 * US_PER_MS);
	usb_port_write(b.usb, "x", 1);
	ck_assert(!usb_port_blocked(b.usb));
}
END_TEST

START_TEST(a_usb_id_must_be_one)
{
	struct acm acm;
	struct err e;

	ck_assert_int_eq(acm_init(&acm, "1209", "m", "", &e), -ERR_INVALID);
	ck_assert_int_eq(acm_init(&acm, "12345:0001", "m", "", &e), -ERR_INVALID);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("vhci");
	TCase *c = tcase_create("vhci");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, the_kernel_reads_what_it_is);
	tcase_add_test(c, a_short_request_gets_no_more_than_it_asked_for);
	tcase_add_test(c, an_unknown_request_stalls);
	tcase_add_test(c, bytes_go_both_ways);
	tcase_add_test(c, what_is_said_to_a_closed_tty_is_lost);
	tcase_add_test(c, a_board_without_room_holds_the_transfer);
	tcase_add_test(c, a_transfer_that_waits_can_be_taken_back);
	tcase_add_test(c, nonsense_ends_the_connection_and_nothing_else);
	tcase_add_test(c, a_usb_id_must_be_one);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
