/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that come late: the peer is a script of this thread that keeps what it has to say until
 * the next stream is opened, and says it before the answer to that.
 */
#include "base/bytes.h"
#include "base/strbuf.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"
#include "transports/protocols/adb/adb_packet.h"
#include "transports/protocols/adb/adb_services.h"

#define REMOTE_OLD   7
#define REMOTE_NEW   8
#define FRAME_STDOUT 1
#define FRAME_EXIT   3

static struct fake_link wire;
static struct adb_conn *conn;
static struct err e;

static struct peer {
	uint8_t in[4096];
	size_t in_n;
	uint32_t old, local; /* the host's ids: of the stream that gets no answer, and the newest */
	bool silent;	     /* the next stream gets none */
	bool silent_data;    /* opened, and what is written to it gets none */
	bool after_connect;  /* what is late comes with the next CNXN */
	bool as_first;	     /* it names the first stream of any session */
	const char *late;    /* data on the old stream */
	size_t late_n;
	const char *now; /* and on each one after it */
	size_t now_n;
	unsigned closed_old; /* CLSE from the host for the old one */
} peer;

static void say(uint32_t command, uint32_t arg0, uint32_t arg1, const void *p, size_t n)
{
	const struct adb_packet packet = {command, arg0, arg1, (uint32_t)n, adb_sum(p, n)};
	uint8_t header[ADB_HEADER_BYTES];

	adb_packet_encode(&packet, header);
	fake_say(&wire, header, sizeof header);
	fake_say(&wire, p, n);
}

static void say_late(void)
{
	uint32_t id = peer.as_first ? 1 : peer.old;

	if (!peer.late)
		return;
	say(ADB_OKAY, REMOTE_OLD, id, "", 0);
	say(ADB_WRTE, REMOTE_OLD, id, peer.late, peer.late_n);
	say(ADB_CLSE, REMOTE_OLD, id, "", 0);
	peer.late = NULL;
}

static void hear_open(uint32_t local)
{
	peer.local = local;
	if (peer.silent || peer.silent_data) {
		peer.old = local;
		if (peer.silent_data)
			say(ADB_OKAY, REMOTE_OLD, local, "", 0);
		peer.silent = false;
		return;
	}
	say_late();
	say(ADB_OKAY, REMOTE_NEW, local, "", 0);
}

static void hear_data(uint32_t local)
{
	if (peer.silent_data && local == peer.old) {
		peer.silent_data = false;
		return;
	}
	say(ADB_OKAY, REMOTE_NEW, local, "", 0);
	if (!peer.now_n)
		return;
	say(ADB_WRTE, REMOTE_NEW, local, peer.now, peer.now_n);
	peer.now_n = 0;
}

static void hear_packet(const struct adb_packet *p)
{
	switch (p->command) {
	case ADB_CNXN:
		say(ADB_CNXN, ADB_VERSION, 4096, "device::features=shell_v2,stat_v2", 33);
		if (peer.after_connect)
			say_late();
		break;
	case ADB_OPEN:
		hear_open(p->arg0);
		break;
	case ADB_WRTE:
		hear_data(p->arg0);
		break;
	case ADB_CLSE:
		peer.closed_old += p->arg1 == REMOTE_OLD;
		break;
	default:
		break;
	}
}

static void hear(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	ck_assert_uint_le(peer.in_n + n, sizeof peer.in);
	memcpy(peer.in + peer.in_n, bytes, n);
	peer.in_n += n;
	for (;;) {
		struct adb_packet p;
		size_t all;

		if (peer.in_n < ADB_HEADER_BYTES)
			return;
		ck_assert_int_eq(adb_packet_decode(peer.in, &p, &e), 0);
		all = ADB_HEADER_BYTES + p.length;
		if (peer.in_n < all)
			return;
		memmove(peer.in, peer.in + all, peer.in_n - all);
		peer.in_n -= all;
		hear_packet(&p);
	}
}

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static void connect(void)
{
	const struct adb_conn_config cfg = {0};
	struct iotime it = soon();

	conn = NULL;
	ck_assert_msg(
		adb_connect(adb_pipe_link(&wire.link), &cfg, &it, &conn, &e) == 0, "%s", e.msg);
}

static void set_up(void)
{
	peer = (struct peer){0};
	fake_init(&wire, hear, NULL);
	connect();
}

static void tear_down(void)
{
	conn = adb_conn_free(conn);
	fake_done(&wire);
}

#define GOOD "\x01\x03\0\0\0old\x03\x01\0\0\0\0"
#define BAD  "\x01\x03\0\0\0new\x03\x01\0\0\0\x01"

/* The status of a command on the peer, or the error. */
static int shell(void)
{
	struct adb_shell_result res = {0};
	struct iotime it = soon();
	int r = adb_shell(conn, "selftest", 64, NULL, NULL, &it, &res, &e);

	if (r == 0) {
		ck_assert_ptr_nonnull(res.out.s);
		ck_assert_str_eq(res.out.s, "new");
		r = res.status;
		adb_shell_result_done(&res);
	}
	return r;
}

static void bad_self_test(void)
{
	peer.now = BAD;
	peer.now_n = sizeof BAD - 1;
	ck_assert_msg(shell() == 1, "%s", e.msg);
}

START_TEST(a_stream_that_opens_late_is_closed_and_its_output_is_nobody_s)
{
	peer.silent = true;
	peer.late = GOOD;
	peer.late_n = sizeof GOOD - 1;
	ck_assert_int_eq(shell(), -ERR_TIMEOUT);
	bad_self_test();
	ck_assert_uint_eq(peer.closed_old, 1);
	ck_assert_uint_ne(peer.old, peer.local);
}
END_TEST

START_TEST(output_that_comes_late_is_not_the_next_command_s)
{
	peer.silent_data = true;
	peer.late = GOOD;
	peer.late_n = sizeof GOOD - 1;
	ck_assert_int_eq(shell(), -ERR_TIMEOUT);
	bad_self_test();
	ck_assert_uint_ge(peer.closed_old, 1);
}
END_TEST

START_TEST(what_an_older_session_is_owed_is_not_a_newer_one_s)
{
	/* Also where it names the id that sessions begin with elsewhere. */
	for (int first = 0; first < 2; first++) {
		peer.silent = true;
		ck_assert_int_eq(shell(), -ERR_TIMEOUT);
		conn = adb_conn_free(conn);
		peer.in_n = 0;
		peer.late = GOOD;
		peer.late_n = sizeof GOOD - 1;
		peer.after_connect = true;
		peer.as_first = first;
		connect();
		bad_self_test();
	}
}
END_TEST

START_TEST(a_late_answer_of_a_sync_stream_is_not_another_stream_s)
{
	/* STA2: no error, mode 0100644, of a file that is not there any more. */
	uint8_t old[72] = {'S', 'T', 'A', '2'}, now[72] = {'S', 'T', 'A', '2', 2};
	struct iotime it = soon();
	struct adb_sync *s = NULL;
	struct adb_stat st;

	old[24] = 0xa4;
	old[25] = 0x81;
	peer.silent_data = true;
	peer.late = (const char *)old;
	peer.late_n = sizeof old;
	ck_assert_msg(adb_sync_open(conn, &it, &s, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(adb_sync_stat(s, "/a", &it, &st, &e), -ERR_TIMEOUT);
	/* Nothing is asked on that stream any more. */
	ck_assert_int_eq(adb_sync_stat(s, "/b", &it, &st, &e), -ERR_PROTOCOL);
	s = adb_sync_free(s);
	peer.now = (const char *)now;
	peer.now_n = sizeof now;
	ck_assert_msg(adb_sync_open(conn, &it, &s, &e) == 0, "%s", e.msg);
	ck_assert_msg(adb_sync_stat(s, "/b", &it, &st, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(st.mode, 0);
	adb_sync_free(s);
}
END_TEST

static Suite *late_suite(void)
{
	Suite *s = suite_create("adb_late");
	TCase *t = tcase_create("adb_late");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_stream_that_opens_late_is_closed_and_its_output_is_nobody_s);
	tcase_add_test(t, output_that_comes_late_is_not_the_next_command_s);
	tcase_add_test(t, what_an_older_session_is_owed_is_not_a_newer_one_s);
	tcase_add_test(t, a_late_answer_of_a_sync_stream_is_not_another_stream_s);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(late_suite)
