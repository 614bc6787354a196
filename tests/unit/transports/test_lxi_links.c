/* SPDX-License-Identifier: Apache-2.0
 *
 * VXI-11 and HiSLIP against scripted instruments in this thread: what each fault of the wire becomes.
 */
#include "base/bytes.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"
#include "transports/links/hislip.h"
#include "transports/links/message_address.h"
#include "transports/links/vxi11.h"

static struct err e;
static const struct iotime it = {.deadline_us = NO_DEADLINE};

/* The fakes outlive the links that they carry. */
static void stay_open(struct link *l)
{
}

static struct link_ops core_ops;

static void fake_core(
	struct fake_link *f, void (*device)(struct fake_link *f, const uint8_t *bytes, size_t n))
{
	core_ops = fake_link_ops;
	core_ops.close = stay_open;
	*f = (struct fake_link){
		.device = device, .link = {.ops = &core_ops, .address = strdup("fake")}};
}

static void fake_core_done(struct fake_link *f)
{
	free(f->out);
	free(f->heard);
}

static uint32_t be32(const uint8_t *p)
{
	struct rbytes b = rbytes_of(p, 4);

	return rb_be32(&b);
}

/* --- VXI-11 --- */

static struct {
	uint32_t error, reason;
	const char *answer;
	unsigned reads, clears, writes;
	bool old_first, fragments;
	char message[256];
	uint32_t io_timeout;
	uint32_t status; /* of RPC */
	size_t cut_at;	 /* of the reply; 0: whole */
	uint32_t record; /* a length that is claimed; 0: the right one */
} vxi;

static void reply(struct fake_link *f, uint32_t xid, const uint8_t *body, size_t n)
{
	uint8_t out[1024];
	struct wbytes w = wbytes_of(out, sizeof out);
	size_t len = 24 + n;

	if (vxi.fragments) {
		wb_be32(&w, 4);
		wb_be32(&w, xid);
		wb_be32(&w, 0x80000000u | (uint32_t)(len - 4));
	} else {
		wb_be32(&w, vxi.record ? vxi.record : 0x80000000u | (uint32_t)len);
		wb_be32(&w, xid);
	}
	wb_be32(&w, 1);
	wb_fill(&w, 0, 12);
	wb_be32(&w, vxi.status);
	wb_put(&w, body, n);
	fake_say(f, out, vxi.cut_at ? MIN(vxi.cut_at, w.len) : w.len);
}

static void answer_read(struct wbytes *w)
{
	const char *text = vxi.answer ? vxi.answer : "";

	wb_be32(w, vxi.error);
	wb_be32(w, vxi.reason);
	wb_be32(w, (uint32_t)strlen(text));
	wb_put(w, text, strlen(text));
	wb_fill(w, 0, -strlen(text) % 4);
	vxi.reads++;
}

static void vxi_device(struct fake_link *f, const uint8_t *p, size_t n)
{
	uint8_t body[512];
	struct wbytes w = wbytes_of(body, sizeof body);
	uint32_t xid = be32(p + 4), proc = be32(p + 24);

	ck_assert_uint_eq(be32(p), 0x80000000u | (uint32_t)(n - 4));
	ck_assert_uint_eq(be32(p + 12), 2);
	ck_assert_uint_eq(be32(p + 16), 395183);
	switch (proc) {
	case 10:
		wb_be32(&w, vxi.error);
		wb_be32(&w, 77);
		wb_be32(&w, 0);
		wb_be32(&w, 64);
		break;
	case 11:
		ck_assert_uint_eq(be32(p + 44), 77);
		vxi.io_timeout = be32(p + 48);
		strncat(vxi.message, (const char *)p + 64, be32(p + 60));
		vxi.writes++;
		wb_be32(&w, vxi.error);
		wb_be32(&w, be32(p + 60));
		break;
	case 12:
		answer_read(&w);
		break;
	default:
		vxi.clears += proc == 15;
		wb_be32(&w, vxi.error);
	}
	if (vxi.old_first)
		reply(f, xid - 1, (const uint8_t *)"\0\0\0\0\0\0\0\4\0\0\0\3old\0", 16);
	reply(f, xid, body, w.len);
}

static struct link *vxi_open(struct fake_link *f)
{
	struct link *l = NULL;

	memset(&vxi, 0, sizeof vxi);
	fake_core(f, vxi_device);
	ck_assert_msg(vxi11_link_over(&f->link, "inst0", &it, &l, &e) == 0, "%s", e.msg);
	l->address = strdup("vxi11:fake");
	return l;
}

static void text_is(struct link *l, const char *wanted)
{
	char text[256] = "";
	size_t n = 0;

	while (n < strlen(wanted)) {
		size_t k = 0;

		ck_assert_msg(
			link_read(l, text + n, sizeof text - 1 - n, &k, &it, &e) == 0, "%s", e.msg);
		n += k;
	}
	text[n] = 0;
	ck_assert_str_eq(text, wanted);
}

START_TEST(a_message_goes_in_pieces_and_its_answer_ends_with_a_line)
{
	struct fake_link f;
	struct link *l = vxi_open(&f);
	char text[] =
		"MEAS:VOLT? 0123456789012345678901234567890123456789012345678901234567890123456789\n";

	ck_assert_int_eq(link_write(l, text, strlen(text), &it, &e), 0);
	ck_assert_uint_eq(vxi.writes, 2);
	ck_assert_str_eq(vxi.message, text);
	vxi.answer = "+1.5";
	vxi.reason = 4; /* END, and no NL */
	text_is(l, "+1.5\n");
	vxi.answer = "+1.5\n";
	text_is(l, "+1.5\n");
	vxi.fragments = vxi.old_first = true;
	text_is(l, "+1.5\n");
	ck_assert_int_eq(link_clear(l, &it, &e), 0);
	ck_assert_uint_eq(vxi.clears, 1);
	link_close(l);
	fake_core_done(&f);
}
END_TEST

START_TEST(a_read_without_an_answer_is_over_on_both_sides)
{
	struct iotime soon = {.deadline_us = now_us() + 3 * US_PER_S};
	struct fake_link f;
	struct link *l = vxi_open(&f);
	char buf[16];
	size_t n;

	ck_assert_int_eq(link_write(l, "X?\n", 3, &soon, &e), 0);
	/* It says that it had no time before the deadline. */
	ck_assert_uint_ge(vxi.io_timeout, 1500);
	ck_assert_uint_le(vxi.io_timeout, 2500);
	vxi.error = 15;
	ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), -ERR_TIMEOUT);
	vxi.error = 0;
	vxi.answer = "1\n";
	text_is(l, "1\n");
	link_close(l);
	fake_core_done(&f);
}
END_TEST

START_TEST(every_error_of_vxi11_is_one)
{
	static const struct {
		uint32_t error;
		int code;
	} errors[] = {{15, -ERR_TIMEOUT}, {11, -ERR_BUSY}, {4, -ERR_DEVICE_GONE},
		{17, -ERR_PROTOCOL}, {1, -ERR_PROTOCOL}};
	struct fake_link f;
	struct link *l = vxi_open(&f);
	char buf[16];
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		vxi.error = errors[i].error;
		ck_assert_int_eq(link_write(l, "X\n", 2, &it, &e), errors[i].code);
		ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), errors[i].code);
		ck_assert_int_eq(link_clear(l, &it, &e), errors[i].code);
	}
	link_close(l);
	fake_core_done(&f);
}
END_TEST

START_TEST(a_reply_that_is_cut_or_too_long_ends_the_link)
{
	for (int k = 0; k < 3; k++) {
		struct fake_link f;
		struct link *l = vxi_open(&f);
		char buf[16];
		size_t n;
		int r;

		vxi.answer = "1\n";
		vxi.cut_at = k == 0 ? 30 : 0;
		vxi.record = k == 1 ? 0xffffffffu : 0;
		vxi.status = k == 2 ? 5 : 0;
		r = link_read(l, buf, sizeof buf, &n, &it, &e);
		ck_assert_msg(
			r == (k == 0 ? -ERR_TIMEOUT : -ERR_PROTOCOL), "%d: %d %s", k, r, e.msg);
		/* What comes next could be the rest of that. */
		ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), -ERR_DEVICE_GONE);
		link_close(l);
		fake_core_done(&f);
	}
}
END_TEST

/* --- HiSLIP --- */

static struct {
	uint32_t last, piece;
	unsigned clears, answers;
	bool old_first, pieces, fatal;
	bool rmt, piece_rmt; /* of the last message, and of a piece before */
	uint64_t length;     /* a claimed one of an answer; 0: the right one */
	struct fake_link *sync;
} his;

static void his_say(
	struct fake_link *f, uint8_t type, uint32_t parameter, const void *payload, size_t n)
{
	uint8_t head[16];
	struct wbytes w = wbytes_of(head, sizeof head);

	wb_put(&w, "HS", 2);
	wb_u8(&w, type);
	wb_u8(&w, 0);
	wb_be32(&w, parameter);
	wb_be32(&w, (uint32_t)(his.length >> 32));
	wb_be32(&w, his.length ? (uint32_t)his.length : (uint32_t)n);
	fake_say(f, head, sizeof head);
	fake_say(f, payload, n);
}

static void his_answer(struct fake_link *f)
{
	his.answers++;
	if (his.old_first)
		his_say(f, 7, his.last - 2, "old\n", 4);
	if (his.fatal)
		his_say(f, 2, 0, "broken", 6);
	else if (his.pieces) {
		his_say(f, 6, his.last, "+1", 2);
		his_say(f, 13, 0, NULL, 0);
		his_say(f, 7, his.last, ".5", 2);
	} else {
		his_say(f, 7, his.last, "+1.5\n", 5);
	}
}

static void his_device(struct fake_link *f, const uint8_t *p, size_t n)
{
	ck_assert_mem_eq(p, "HS", 2);
	switch (p[2]) {
	case 0:
		his_say(f, 1, 0x01000007, NULL, 0);
		break;
	case 17:
		ck_assert_uint_eq(be32(p + 4), 7);
		his_say(f, 18, 0, NULL, 0);
		break;
	case 15:
		his_say(f, 16, 0, "\0\0\0\0\0\1\0\0", 8);
		break;
	case 6:
		his.piece = be32(p + 4);
		his.piece_rmt = p[3] & 1;
		break;
	case 7:
		his.last = be32(p + 4);
		his.rmt = p[3] & 1;
		his_answer(f);
		break;
	case 19:
		his.clears++;
		his_say(f, 23, 0, NULL, 0);
		break;
	case 8:
		his_say(f, 9, 0, NULL, 0);
		break;
	default:
		ck_abort_msg("message %u", p[2]);
	}
}

static struct link *his_open(struct fake_link *sync, struct fake_link *async)
{
	struct hislip *h = NULL;
	struct link *l = NULL;

	memset(&his, 0, sizeof his);
	fake_core(sync, his_device);
	fake_core(async, his_device);
	ck_assert_msg(hislip_begin(&sync->link, "hislip0", &it, &h, &e) == 0, "%s", e.msg);
	ck_assert_msg(hislip_join(h, &async->link, &it, &l, &e) == 0, "%s", e.msg);
	l->address = strdup("hislip:fake");
	return l;
}

START_TEST(an_answer_has_the_number_of_its_message)
{
	struct fake_link sync, async;
	struct link *l = his_open(&sync, &async);
	uint32_t first;

	ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
	first = his.last;
	ck_assert_uint_eq(first, 0xffffff00u);
	text_is(l, "+1.5\n");
	his.old_first = his.pieces = true;
	ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
	ck_assert_uint_eq(his.last, first + 2);
	/* The answer before was taken to its end. */
	ck_assert(his.rmt);
	text_is(l, "+1.5\n");
	link_close(l);
	fake_core_done(&sync);
	fake_core_done(&async);
}
END_TEST

/* Of more than the instrument takes at once. */
START_TEST(each_piece_of_a_message_has_a_number_of_its_own)
{
	static char question[70000];
	struct fake_link sync, async;
	struct link *l = his_open(&sync, &async);

	memset(question, ' ', sizeof question);
	memcpy(question + sizeof question - 3, "X?\n", 3);
	ck_assert_int_eq(link_write(l, question, sizeof question, &it, &e), 0);
	ck_assert_uint_eq(his.piece, 0xffffff00u);
	ck_assert_uint_eq(his.last, 0xffffff02u);
	ck_assert(his.piece_rmt && !his.rmt);
	text_is(l, "+1.5\n");
	ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
	ck_assert_uint_eq(his.last, 0xffffff04u);
	text_is(l, "+1.5\n");
	link_close(l);
	fake_core_done(&sync);
	fake_core_done(&async);
}
END_TEST

START_TEST(a_device_clear_drops_what_is_on_its_way)
{
	struct fake_link sync, async;
	struct link *l = his_open(&sync, &async);
	char buf[16];
	size_t n;

	ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
	ck_assert_int_eq(link_read(l, buf, 2, &n, &it, &e), 0);
	ck_assert_int_eq(link_clear(l, &it, &e), 0);
	ck_assert_uint_eq(his.clears, 1);
	ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), -ERR_TIMEOUT);
	ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
	ck_assert_uint_eq(his.last, 0xffffff00u);
	text_is(l, "+1.5\n");
	link_close(l);
	fake_core_done(&sync);
	fake_core_done(&async);
}
END_TEST

START_TEST(what_the_instrument_says_of_itself_is_said)
{
	struct fake_link sync, async;
	struct link *l = his_open(&sync, &async);
	char buf[16];
	size_t n;

	his.fatal = true;
	ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
	ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), -ERR_PROTOCOL);
	ck_assert_msg(strstr(e.msg, "fatal error 0: broken") != NULL, "%s", e.msg);
	link_close(l);
	fake_core_done(&sync);
	fake_core_done(&async);
}
END_TEST

START_TEST(a_head_that_is_cut_or_claims_too_much_ends_the_link)
{
	for (int k = 0; k < 2; k++) {
		struct fake_link sync, async;
		struct link *l = his_open(&sync, &async);
		char buf[16];
		size_t n;

		if (k == 0)
			fake_say(&sync, "HS\7", 3);
		his.length = k == 1 ? 1ull << 40 : 0;
		if (k == 1)
			ck_assert_int_eq(link_write(l, "X?\n", 3, &it, &e), 0);
		ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e),
			k == 0 ? -ERR_TIMEOUT : -ERR_PROTOCOL);
		ck_assert_int_eq(link_read(l, buf, sizeof buf, &n, &it, &e), -ERR_DEVICE_GONE);
		link_close(l);
		fake_core_done(&sync);
		fake_core_done(&async);
	}
}
END_TEST

START_TEST(addresses_are_taken_apart)
{
	static const struct {
		const char *text, *host, *device;
		unsigned port;
	} good[] = {{"192.0.2.30", "192.0.2.30", "inst0", 9},
		{"meter:4880", "meter", "inst0", 4880}, {"meter/gpib0,5", "meter", "gpib0,5", 9},
		{"[2001:db8::7]", "[2001:db8::7]", "inst0", 9},
		{"[2001:db8::7]:5/x", "[2001:db8::7]", "x", 5}};
	static const char *const bad[] = {
		"", "/inst0", ":5", "meter:", "meter:0", "meter:70000", "meter:x", "meter/"};
	struct message_address a;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		ck_assert_msg(
			message_address_read(good[i].text, 9, "inst0", &a, &e) == 0, "%s", e.msg);
		ck_assert_str_eq(a.host, good[i].host);
		ck_assert_str_eq(a.device, good[i].device);
		ck_assert_uint_eq(a.port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(message_address_read(bad[i], 9, "inst0", &a, &e) == -ERR_INVALID,
			"%s", bad[i]);
}
END_TEST

static Suite *lxi_links_suite(void)
{
	Suite *s = suite_create("lxi_links");
	TCase *t = tcase_create("lxi_links");

	tcase_add_test(t, a_message_goes_in_pieces_and_its_answer_ends_with_a_line);
	tcase_add_test(t, a_read_without_an_answer_is_over_on_both_sides);
	tcase_add_test(t, every_error_of_vxi11_is_one);
	tcase_add_test(t, a_reply_that_is_cut_or_too_long_ends_the_link);
	tcase_add_test(t, an_answer_has_the_number_of_its_message);
	tcase_add_test(t, each_piece_of_a_message_has_a_number_of_its_own);
	tcase_add_test(t, a_device_clear_drops_what_is_on_its_way);
	tcase_add_test(t, what_the_instrument_says_of_itself_is_said);
	tcase_add_test(t, a_head_that_is_cut_or_claims_too_much_ends_the_link);
	tcase_add_test(t, addresses_are_taken_apart);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(lxi_links_suite)
