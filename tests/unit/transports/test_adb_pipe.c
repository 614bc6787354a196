/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets over bulk endpoints: the transfers that go out, and every way in which what comes in may
 * be cut. At the end the USB side of the virtual phone, which reads as adbd does.
 */
#include "base/bytes.h"
#include "tests/unit/transports/adb_phone.h"

#define MP 512

/* What the device has to say, packet by packet; what it was told, transfer by transfer. */
struct fake_bulk {
	uint8_t in[1 << 16];
	size_t in_packet[256]; /* lengths */
	size_t packets, packet_at, byte_at;
	bool overflow_is_error;
	struct {
		size_t n;
		bool zlp;
	} out[16];
	uint8_t out_bytes[1 << 16];
	size_t outs, out_len;
	unsigned cleared;
	int fail_once; /* code of the next read */
	bool freed;
};

static void says(struct fake_bulk *b, const void *p, size_t n)
{
	size_t at = 0;

	for (size_t i = 0; i < b->packets; i++)
		at += b->in_packet[i];
	memcpy(b->in + at, p, n);
	/* A transfer is packets of MP and a shorter one; adbd ends none with an empty packet. */
	for (size_t k = 0; k < n; k += MP)
		b->in_packet[b->packets++] = MIN(n - k, (size_t)MP);
}

static int fake_in(
	void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e)
{
	struct fake_bulk *b = data;
	size_t n = 0;

	ck_assert_msg(size % MP == 0, "a read of %zu bytes may overflow", size);
	if (b->fail_once) {
		int code = b->fail_once;

		b->fail_once = 0;
		return err_set(e, (enum err_code)code, "a fault");
	}
	*ret_n = 0;
	if (b->packet_at == b->packets)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	while (b->packet_at < b->packets && n < size) {
		size_t k = b->in_packet[b->packet_at++];

		memcpy((uint8_t *)buf + n, b->in + b->byte_at, k);
		b->byte_at += k;
		n += k;
		if (k < MP)
			break;
	}
	*ret_n = n;
	return 0;
}

static int fake_out(
	void *data, const void *buf, size_t n, bool zlp, const struct iotime *it, struct err *e)
{
	struct fake_bulk *b = data;

	b->out[b->outs].n = n;
	b->out[b->outs++].zlp = zlp;
	memcpy(b->out_bytes + b->out_len, buf, n);
	b->out_len += n;
	return 0;
}

static int fake_clear(void *data, struct err *e)
{
	((struct fake_bulk *)data)->cleared++;
	return 0;
}

static void fake_free(void *data)
{
	((struct fake_bulk *)data)->freed = true;
}

static struct fake_bulk bulk;
static struct adb_pipe *pipe_;
static struct iotime it;
static struct err e;

static void setup(void)
{
	const struct adb_bulk b = {&bulk, MP, MP, fake_in, fake_out, fake_clear, fake_free};

	bulk = (struct fake_bulk){0};
	pipe_ = adb_pipe_bulk(&b);
	it = soon();
	e = (struct err){0};
}

static void teardown(void)
{
	adb_pipe_free(pipe_);
	ck_assert(bulk.freed);
}

static void make_header(uint32_t command, uint32_t length, uint8_t out[ADB_HEADER_BYTES])
{
	const struct adb_packet p = {command, 1, 2, length, 0};

	adb_packet_encode(&p, out);
}

static const struct {
	size_t n, transfers;
	bool zlp;
} outs[] = {{0, 1, false}, {1, 2, false}, {511, 2, false}, {512, 2, true}, {513, 2, false},
	{1024, 2, true}, {16384, 2, true}};

START_TEST(header_and_payload_are_transfers_and_whole_packets_are_ended)
{
	static uint8_t payload[16384];
	uint8_t header[ADB_HEADER_BYTES];

	make_header(ADB_WRTE, (uint32_t)outs[_i].n, header);
	ck_assert_int_eq(pipe_->ops->send(pipe_, header, payload, outs[_i].n, &it, &e), 0);
	ck_assert_uint_eq(bulk.outs, outs[_i].transfers);
	ck_assert_uint_eq(bulk.out[0].n, 24);
	ck_assert(!bulk.out[0].zlp);
	if (outs[_i].transfers == 2) {
		ck_assert_uint_eq(bulk.out[1].n, outs[_i].n);
		ck_assert_int_eq(bulk.out[1].zlp, outs[_i].zlp);
	}
}
END_TEST

static void receive(size_t n)
{
	uint8_t header[ADB_HEADER_BYTES];
	uint8_t got[ADB_HEADER_BYTES];
	uint8_t payload[5000];
	uint8_t back[5000];
	bool begun = false;

	for (size_t i = 0; i < n; i++)
		payload[i] = (uint8_t)(i * 7);
	make_header(ADB_WRTE, (uint32_t)n, header);
	says(&bulk, header, sizeof header);
	says(&bulk, payload, n);
	/* The next one is not touched. */
	make_header(ADB_CLSE, 0, header);
	says(&bulk, header, sizeof header);
	ck_assert_msg(
		pipe_->ops->recv_header(pipe_, got, &begun, &it, &e) == 0, "%zu %s", n, e.msg);
	ck_assert_msg(pipe_->ops->recv_payload(pipe_, back, n, &it, &e) == 0, "%zu %s", n, e.msg);
	ck_assert(!memcmp(back, payload, n));
	ck_assert_msg(
		pipe_->ops->recv_header(pipe_, got, &begun, &it, &e) == 0, "%zu %s", n, e.msg);
	ck_assert(!memcmp(got, header, sizeof header));
}

START_TEST(packets_of_every_length_come_whole)
{
	static const size_t sizes[] = {1, 23, 24, 25, 511, 513, 535, 1000, 4097};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		receive(sizes[i]);
		teardown();
		setup();
	}
}
END_TEST

/* Whole packets in the payload, then the header: the host asks for exactly the payload. */
START_TEST(a_payload_of_whole_packets_ends_where_it_ends)
{
	receive(512);
	teardown();
	setup();
	receive(4096);
}
END_TEST

START_TEST(a_device_that_joins_header_and_payload_is_understood)
{
	uint8_t joined[ADB_HEADER_BYTES + 40];
	uint8_t got[ADB_HEADER_BYTES];
	uint8_t back[40];
	bool begun;

	make_header(ADB_WRTE, 40, joined);
	memset(joined + ADB_HEADER_BYTES, 'x', 40);
	says(&bulk, joined, sizeof joined);
	ck_assert_int_eq(pipe_->ops->recv_header(pipe_, got, &begun, &it, &e), 0);
	ck_assert_int_eq(pipe_->ops->recv_payload(pipe_, back, 40, &it, &e), 0);
	ck_assert_int_eq(back[39], 'x');
}
END_TEST

START_TEST(a_timeout_tells_whether_a_packet_has_begun)
{
	uint8_t header[ADB_HEADER_BYTES];
	uint8_t back[40];
	bool begun = true;

	ck_assert_int_eq(pipe_->ops->recv_header(pipe_, header, &begun, &it, &e), -ERR_TIMEOUT);
	ck_assert(!begun);
	says(&bulk, "short", 5);
	ck_assert_int_eq(pipe_->ops->recv_header(pipe_, header, &begun, &it, &e), -ERR_PROTOCOL);
	ck_assert(begun);
	make_header(ADB_WRTE, 40, header);
	says(&bulk, header, sizeof header);
	ck_assert_int_eq(pipe_->ops->recv_header(pipe_, header, &begun, &it, &e), -ERR_PROTOCOL);
	teardown();
	setup();
	says(&bulk, header, sizeof header);
	says(&bulk, "ten bytes.", 10);
	ck_assert_int_eq(pipe_->ops->recv_header(pipe_, header, &begun, &it, &e), 0);
	ck_assert_int_eq(pipe_->ops->recv_payload(pipe_, back, 40, &it, &e), -ERR_TIMEOUT);
	ck_assert_msg(strstr(e.msg, "10 of 40 bytes"), "%s", e.msg);
}
END_TEST

static const size_t stale[] = {0, 1, 5, 23, 24, 25, 488, 511, 512, 513, 536, 1024, 4096, 5000};

START_TEST(what_a_former_session_left_is_passed_over)
{
	static uint8_t rest[5000];
	uint8_t header[ADB_HEADER_BYTES];
	uint8_t got[ADB_HEADER_BYTES];

	memset(rest, 0x55, sizeof rest);
	says(&bulk, rest, stale[_i]);
	make_header(ADB_WRTE, 5, header); /* whole, and of another session */
	says(&bulk, header, sizeof header);
	says(&bulk, "hello", 5);
	make_header(ADB_CNXN, 0, header);
	says(&bulk, header, sizeof header);
	ck_assert_msg(
		pipe_->ops->find_header(pipe_, got, &it, &e) == 0, "%zu: %s", stale[_i], e.msg);
	ck_assert(!memcmp(got, header, sizeof header));
}
END_TEST

START_TEST(a_halt_is_cleared_once)
{
	uint8_t header[ADB_HEADER_BYTES];

	make_header(ADB_CNXN, 0, header);
	says(&bulk, header, sizeof header);
	bulk.fail_once = ERR_DEVICE_REFUSED;
	ck_assert_int_eq(pipe_->ops->find_header(pipe_, header, &it, &e), 0);
	ck_assert_uint_eq(bulk.cleared, 1);
}
END_TEST

START_TEST(a_drain_ends_when_nothing_comes)
{
	static uint8_t rest[3000];

	says(&bulk, rest, sizeof rest);
	ck_assert_int_eq(pipe_->ops->drain(pipe_, &it, &e), 0);
	ck_assert_uint_eq(bulk.packet_at, bulk.packets);
}
END_TEST

/* --- the virtual phone over USB --- */

struct usb_phone {
	struct sim_link p;
};

static int phone_in(
	void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *t, struct err *err)
{
	struct usb_phone *u = data;
	ssize_t n = u->p.device->ops->gadget->in(u->p.device, 1, buf, size, u->p.now);

	*ret_n = n > 0 ? (size_t)n : 0;
	if (n == GADGET_NAK)
		return err_set(err, ERR_TIMEOUT, "deadline passed");
	return n < 0 ? err_set(err, ERR_DEVICE_REFUSED, "stall") : 0;
}

static int put(struct usb_phone *u, const void *buf, size_t n, struct err *err)
{
	return u->p.device->ops->gadget->out(u->p.device, 1, buf, n, u->p.now) == 0
		       ? 0
		       : err_set(err, ERR_DEVICE_REFUSED, "stall");
}

static bool forget_zlp;

static int phone_out(
	void *data, const void *buf, size_t n, bool zlp, const struct iotime *t, struct err *err)
{
	int r = put(data, buf, n, err);

	return r == 0 && zlp && !forget_zlp ? put(data, "", 0, err) : r;
}

static int phone_clear(void *data, struct err *err)
{
	struct usb_phone *u = data;

	u->p.device->ops->gadget->reset(u->p.device, u->p.now);
	return 0;
}

static const struct adb_conn_config no_keys;

static int usb_connect(struct usb_phone *u, struct adb_conn **ret)
{
	const struct adb_bulk b = {u, MP, MP, phone_in, phone_out, phone_clear, NULL};

	return adb_connect(adb_pipe_bulk(&b), &no_keys, &it, ret, &e);
}

static int push_to(struct adb_conn *c, size_t n)
{
	static uint8_t bytes[200000];
	struct adb_source src = {bytes, n};
	struct adb_sync *y = NULL;
	int r = adb_sync_open(c, &it, &y, &e);

	if (r == 0)
		r = adb_sync_send(y, "/sdcard/f", 0644, 0, &src, NULL, &it, &e);
	adb_sync_free(y);
	return r;
}

START_TEST(the_phone_over_usb_takes_files_of_every_length)
{
	/* 8 bytes of DATA and 8 of DONE: WRTEs of whole packets are among them. */
	static const size_t sizes[] = {0, 1, 488, 496, 504, 512, 16368, 16376, 65528, 200000};
	struct usb_phone u;
	struct adb_conn *c = NULL;

	phone_init(&u.p, NULL);
	ck_assert_msg(usb_connect(&u, &c) == 0, "%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		ck_assert_msg(push_to(c, sizes[i]) == 0, "%zu: %s", sizes[i], e.msg);
	adb_conn_free(c);
	/* And a second session after what the first has left. */
	ck_assert_msg(usb_connect(&u, &c) == 0, "%s", e.msg);
	ck_assert_msg(push_to(c, 1000) == 0, "%s", e.msg);
	adb_conn_free(c);
	sim_link_done(&u.p);
}
END_TEST

START_TEST(a_forgotten_zero_length_packet_is_noticed_by_the_phone)
{
	struct usb_phone u;
	struct adb_conn *c = NULL;

	forget_zlp = true;
	phone_init(&u.p, NULL);
	ck_assert_msg(usb_connect(&u, &c) == 0, "%s", e.msg);
	ck_assert_int_lt(push_to(c, 504), 0);
	adb_conn_free(c);
	sim_link_done(&u.p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("adb_pipe");
	TCase *t = tcase_create("bulk");
	TCase *p = tcase_create("phone");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, header_and_payload_are_transfers_and_whole_packets_are_ended, 0,
		ARRAY_LEN(outs));
	tcase_add_test(t, packets_of_every_length_come_whole);
	tcase_add_test(t, a_payload_of_whole_packets_ends_where_it_ends);
	tcase_add_test(t, a_device_that_joins_header_and_payload_is_understood);
	tcase_add_test(t, a_timeout_tells_whether_a_packet_has_begun);
	tcase_add_loop_test(t, what_a_former_session_left_is_passed_over, 0, ARRAY_LEN(stale));
	tcase_add_test(t, a_halt_is_cleared_once);
	tcase_add_test(t, a_drain_ends_when_nothing_comes);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(p, setup, teardown);
	tcase_add_test(p, the_phone_over_usb_takes_files_of_every_length);
	tcase_add_test(p, a_forgotten_zero_length_packet_is_noticed_by_the_phone);
	suite_add_tcase(s, p);
	return s;
}

UNIT_MAIN(suite)
