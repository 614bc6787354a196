/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "base/bytes.h"
#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/fastboot/fastboot_pipe.h"

static struct fake_link wire;
static struct fastboot_pipe *p;
static struct err e;
static const struct iotime soon = {UINT64_MAX - 1, NULL};
static uint8_t buf[FASTBOOT_REPLY_MAX];
static size_t n;

static void tear_down(void)
{
	p = fastboot_pipe_close(p);
	fake_done(&wire);
}

static void say_frame(const char *bytes, size_t len)
{
	uint8_t head[8] = {0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};

	fake_say(&wire, head, 8);
	fake_say(&wire, bytes, len);
}

static void open_tcp(void)
{
	fake_init(&wire, NULL, NULL);
	fake_says(&wire, "FB01");
	ck_assert_msg(fastboot_tcp_open(&wire.link, &soon, &p, &e) == 0, "%s", e.msg);
}

START_TEST(tcp_shakes_hands_with_any_version_and_with_nothing_else)
{
	static const char *const good[] = {"FB01", "FB02", "FB99"};
	static const char *const bad[] = {"FB00", "FBxx", "HTTP", "SSH-", "FB1"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		fake_init(&wire, NULL, NULL);
		fake_says(&wire, good[i]);
		ck_assert_int_eq(fastboot_tcp_open(&wire.link, &soon, &p, &e), 0);
		ck_assert_mem_eq(wire.heard, "FB01", 4);
		tear_down();
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		fake_init(&wire, NULL, NULL);
		fake_says(&wire, bad[i]);
		ck_assert_int_eq(fastboot_tcp_open(&wire.link, &soon, &p, &e),
			strlen(bad[i]) < 4 ? -ERR_TIMEOUT : -ERR_PROTOCOL);
		tear_down();
	}
}
END_TEST

START_TEST(tcp_frames_commands_and_replies)
{
	open_tcp();
	ck_assert_int_eq(p->ops->command(p, "getvar:x", 8, &soon, &e), 0);
	ck_assert_mem_eq(wire.heard + 4, "\0\0\0\0\0\0\0\x08getvar:x", 16);
	say_frame("INFOa", 5);
	say_frame("OKAY", 4);
	wire.read_max = 3;
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_mem_eq(buf, "INFOa", 5);
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), 0);
	ck_assert_mem_eq(buf, "OKAY", 4);
	tear_down();
}
END_TEST

START_TEST(tcp_refuses_a_reply_that_is_too_long)
{
	static const char long_one[300] = "OKAY";

	open_tcp();
	say_frame(long_one, 257);
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), -ERR_PROTOCOL);
	fake_say(&wire, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	ck_assert_int_lt(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), 0);
	tear_down();
}
END_TEST

START_TEST(tcp_knows_what_lies_there_unasked)
{
	bool stale = true;

	open_tcp();
	ck_assert_int_eq(p->ops->stale(p, &stale, &soon, &e), 0);
	ck_assert(!stale);
	say_frame("OKAY", 4);
	ck_assert_int_eq(p->ops->stale(p, &stale, &soon, &e), 0);
	ck_assert(stale);
	tear_down();
}
END_TEST

START_TEST(tcp_gathers_a_data_phase_out_of_any_frames_and_not_more)
{
	char got[11];

	open_tcp();
	say_frame("hel", 3);
	say_frame("lo ", 3);
	say_frame("worldX", 6);
	ck_assert_int_eq(p->ops->receive(p, got, 4, &soon, &e), 0);
	ck_assert_int_eq(p->ops->receive(p, got + 4, 7, &soon, &e), 0);
	ck_assert_mem_eq(got, "hello world", 11);
	/* A reply begins a frame of its own. */
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), -ERR_PROTOCOL);
	tear_down();
}
END_TEST

static void count_told(void *data, uint64_t done)
{
	*(uint64_t *)data = done;
}

START_TEST(tcp_sends_a_download_of_spans_as_one_frame)
{
	struct spans s = {0};
	uint64_t done = 0;

	open_tcp();
	ck_assert_int_eq(spans_add(&s, (const uint8_t *)"abc", 3, &e), 0);
	ck_assert_int_eq(spans_add(&s, NULL, 70000, &e), 0);
	ck_assert_int_eq(spans_add_copy(&s, "xyz", 3, &e), 0);
	ck_assert_int_eq(p->ops->send(p, &s, count_told, &done, &soon, &e), 0);
	ck_assert_uint_eq(done, 70006);
	ck_assert_uint_eq(wire.heard_len, 4 + 8 + 70006);
	ck_assert_mem_eq(wire.heard + 4,
		"\0\0\0\0\0\x01\x11\x76"
		"abc\0",
		12);
	ck_assert_mem_eq(wire.heard + wire.heard_len - 4, "\0xyz", 4);
	spans_done(&s);
	tear_down();
}
END_TEST

/* -- UDP -- */

/* A device that answers each datagram as the script says; the fake's empty buffer is the timeout
 * after which a packet is sent again. */
struct udp_device {
	uint16_t sequence;	   /* that it expects */
	unsigned drop, drop_reply; /* so many datagrams first */
	unsigned copies;	   /* of packets of one number that came */
	unsigned loss, lost;	   /* percent of what it is sent; how many that were */
	uint32_t dice;
	uint16_t version, packet;
	const char *says; /* the reply */
	size_t step;	  /* bytes of it in one packet */
	bool error, noise, refuse_data;
	uint8_t got[70000];
	size_t got_n;
	unsigned continued;
};
static struct udp_device dev;

static void answer(
	struct fake_link *w, uint8_t id, uint8_t flags, uint16_t seq, const void *data, size_t len)
{
	uint8_t raw[1500];
	struct wbytes b = wbytes_of(raw, sizeof raw);

	wb_u8(&b, id);
	wb_u8(&b, flags);
	wb_be16(&b, seq);
	wb_put(&b, data, len);
	fake_say(w, raw, b.len);
}

static void fastboot_packet(struct fake_link *w, uint16_t seq, const uint8_t *data, size_t len)
{
	size_t left = dev.says ? strlen(dev.says) : 0;

	if (len > 0) {
		memcpy(dev.got + dev.got_n, data, len);
		dev.got_n += len;
		answer(w, 3, 0, seq, "x", dev.refuse_data ? 1 : 0);
	} else if (left > 0) {
		size_t k = dev.step && dev.step < left ? dev.step : left;

		answer(w, 3, k < left, seq, dev.says, k);
		dev.says += k;
	}
}

static void udp_device(struct fake_link *w, const uint8_t *bytes, size_t len)
{
	struct rbytes b = rbytes_of(bytes, len);
	uint8_t id = rb_u8(&b), flags = rb_u8(&b);
	uint16_t seq = rb_be16(&b);
	uint8_t raw[4];
	struct wbytes out = wbytes_of(raw, sizeof raw);

	if (dev.drop) {
		dev.drop--;
		return;
	}
	dev.dice = dev.dice * 1664525u + 1013904223u;
	if ((dev.dice >> 16) % 100 < dev.loss) {
		dev.lost++;
		return;
	}
	dev.continued += flags & 1;
	if (dev.noise) {
		answer(w, 3, 0, (uint16_t)(seq - 1), "OKAYold", 7);
		answer(w, 1, 0, seq, "xx", 2);
	}
	if (dev.error) {
		answer(w, 0, 0, seq, "no more", 7);
		return;
	}
	if (id == 1) {
		wb_be16(&out, dev.sequence);
		answer(w, 1, 0, seq, raw, 2);
		return;
	}
	dev.copies += seq != dev.sequence;
	if (seq != dev.sequence)
		return;
	dev.sequence++;
	if (id == 2) {
		wb_be16(&out, dev.version);
		wb_be16(&out, dev.packet);
		answer(w, 2, 0, seq, raw, 4);
	} else {
		fastboot_packet(w, seq, b.p + 4, len - 4);
	}
}

/* The fake gives what is there in one piece; a datagram is one read. */
static int one_datagram(struct link *l, void *to, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *err)
{
	struct fake_link *w = container_of(l, struct fake_link, link);

	if (w->at == w->len)
		return err_set(err, ERR_TIMEOUT, "deadline passed");

	size_t len = w->out[w->at];

	memcpy(to, w->out + w->at + 1, len);
	w->at += len + 1;
	*ret_n = len;
	return 0;
}

static void say_datagram(struct fake_link *w, const uint8_t *bytes, size_t len)
{
	struct fake_link one = {0};

	udp_device(&one, bytes, len);
	/* Each answer follows its length: with noise, two of 11 and 6 bytes come before it. */
	for (size_t at = 0; at < one.len;) {
		size_t k = one.len - at;
		uint8_t head;

		if (dev.noise && at == 0)
			k = 11;
		else if (dev.noise && at == 11)
			k = 6;
		head = (uint8_t)k;
		fake_say(w, &head, 1);
		fake_say(w, one.out + at, k);
		at += k;
	}
	fake_done(&one);
}

static struct link_ops datagram_ops;

static int open_udp(void)
{
	fake_init(&wire, say_datagram, NULL);
	datagram_ops = fake_link_ops;
	datagram_ops.read = one_datagram;
	wire.link.ops = &datagram_ops;
	return fastboot_udp_open(&wire.link, &soon, &p, &e);
}

static void set_up_udp(void)
{
	dev = (struct udp_device){.sequence = 0xfffe, .version = 1, .packet = 1024};
}

START_TEST(udp_asks_for_the_number_and_takes_the_smaller_packet)
{
	set_up_udp();
	ck_assert_msg(open_udp() == 0, "%s", e.msg);
	ck_assert_mem_eq(wire.heard, "\x01\0\0\0", 4);
	ck_assert_mem_eq(wire.heard + 4, "\x02\0\xff\xfe\0\x01\x20\0", 8);
	tear_down();
	set_up_udp();
	dev.packet = 511;
	ck_assert_int_eq(open_udp(), -ERR_PROTOCOL);
	fake_done(&wire);
	set_up_udp();
	dev.version = 0;
	ck_assert_int_eq(open_udp(), -ERR_PROTOCOL);
	fake_done(&wire);
}
END_TEST

START_TEST(udp_numbers_wrap_and_lost_packets_are_sent_again)
{
	set_up_udp();
	ck_assert_int_eq(open_udp(), 0);
	for (int i = 0; i < 3; i++) {
		dev.says = "OKAYv";
		dev.drop = (unsigned)i;
		ck_assert_int_eq(p->ops->command(p, "getvar:x", 8, &soon, &e), 0);
		ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), 0);
		ck_assert_mem_eq(buf, "OKAYv", 5);
	}
	ck_assert_uint_eq(dev.sequence, 5); /* 0xfffe and seven more */
	ck_assert_uint_eq(dev.got_n, 24);
	tear_down();
}
END_TEST

START_TEST(udp_sends_again_what_was_lost_and_nothing_else)
{
	static const unsigned losses[] = {2, 10, 40};
	static uint8_t image[60000];
	struct spans s = {0};

	for (size_t i = 0; i < sizeof image; i++)
		image[i] = (uint8_t)(i * 2654435761u >> 13);
	ck_assert_int_eq(spans_add(&s, image, sizeof image, &e), 0);
	for (size_t k = 0; k < ARRAY_LEN(losses); k++) {
		set_up_udp();
		dev.packet = 512;
		ck_assert_int_eq(open_udp(), 0);
		dev.loss = losses[k];
		ck_assert_int_eq(p->ops->send(p, &s, NULL, NULL, &soon, &e), 0);
		ck_assert_uint_eq(dev.got_n, sizeof image);
		ck_assert_mem_eq(dev.got, image, sizeof image);
		ck_assert_uint_gt(dev.lost, 0);
		ck_assert_uint_eq(dev.copies, 0);
		tear_down();
	}
	spans_done(&s);
}
END_TEST

START_TEST(udp_reads_over_late_copies_and_packets_of_others)
{
	set_up_udp();
	ck_assert_int_eq(open_udp(), 0);
	dev.noise = true;
	dev.says = "OKAYnew";
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), 0);
	ck_assert_mem_eq(buf, "OKAYnew", 7);
	tear_down();
}
END_TEST

START_TEST(udp_gathers_a_reply_that_continues_and_refuses_one_that_is_too_long)
{
	char long_one[300];

	memset(long_one, 'x', 299);
	long_one[299] = 0;
	set_up_udp();
	ck_assert_int_eq(open_udp(), 0);
	dev.says = "INFOin several packets";
	dev.step = 5;
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 22);
	ck_assert_mem_eq(buf, "INFOin several packets", 22);
	dev.says = long_one;
	dev.step = 100;
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), -ERR_PROTOCOL);
	tear_down();
}
END_TEST

START_TEST(udp_sends_a_data_phase_in_packets_of_which_all_but_the_last_continue)
{
	struct spans s = {0};
	static uint8_t bytes[5000];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 / 5);
	set_up_udp();
	ck_assert_int_eq(open_udp(), 0);
	ck_assert_int_eq(spans_add(&s, bytes, sizeof bytes, &e), 0);
	ck_assert_int_eq(p->ops->send(p, &s, NULL, NULL, &soon, &e), 0);
	ck_assert_uint_eq(dev.got_n, sizeof bytes);
	ck_assert_mem_eq(dev.got, bytes, sizeof bytes);
	ck_assert_uint_eq(dev.continued, 4); /* 1020 bytes each */
	spans_done(&s);
	tear_down();
}
END_TEST

START_TEST(udp_ends_where_the_device_says_so_or_answers_data_with_data)
{
	set_up_udp();
	ck_assert_int_eq(open_udp(), 0);
	dev.error = true;
	ck_assert_int_eq(p->ops->command(p, "x", 1, &soon, &e), -ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.msg, "no more"));
	tear_down();
	set_up_udp();
	ck_assert_int_eq(open_udp(), 0);
	dev.refuse_data = true;
	ck_assert_int_eq(p->ops->command(p, "x", 1, &soon, &e), -ERR_PROTOCOL);
	tear_down();
}
END_TEST

START_TEST(udp_ends_at_the_deadline_where_no_one_answers)
{
	struct iotime past = {now_us() + 30000, NULL};

	set_up_udp();
	fake_init(&wire, NULL, NULL);
	ck_assert_int_eq(fastboot_udp_open(&wire.link, &past, &p, &e), -ERR_TIMEOUT);
	fake_done(&wire);
	p = NULL;
}
END_TEST

static Suite *fastboot_net_suite(void)
{
	Suite *s = suite_create("fastboot_net");
	TCase *t = tcase_create("fastboot_net");

	tcase_add_test(t, tcp_shakes_hands_with_any_version_and_with_nothing_else);
	tcase_add_test(t, tcp_frames_commands_and_replies);
	tcase_add_test(t, tcp_refuses_a_reply_that_is_too_long);
	tcase_add_test(t, tcp_knows_what_lies_there_unasked);
	tcase_add_test(t, tcp_gathers_a_data_phase_out_of_any_frames_and_not_more);
	tcase_add_test(t, tcp_sends_a_download_of_spans_as_one_frame);
	tcase_add_test(t, udp_asks_for_the_number_and_takes_the_smaller_packet);
	tcase_add_test(t, udp_numbers_wrap_and_lost_packets_are_sent_again);
	tcase_add_test(t, udp_sends_again_what_was_lost_and_nothing_else);
	tcase_add_test(t, udp_reads_over_late_copies_and_packets_of_others);
	tcase_add_test(t, udp_gathers_a_reply_that_continues_and_refuses_one_that_is_too_long);
	tcase_add_test(t, udp_sends_a_data_phase_in_packets_of_which_all_but_the_last_continue);
	tcase_add_test(t, udp_ends_where_the_device_says_so_or_answers_data_with_data);
	tcase_add_test(t, udp_ends_at_the_deadline_where_no_one_answers);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fastboot_net_suite)
