/* SPDX-License-Identifier: Apache-2.0
 *
 * The USB pipe over a fake of transports/links/usb.h: this file takes its place.
 */
#include "tests/unit/unit.h"

#include "transports/protocols/fastboot/fastboot_pipe.h"

/* -- the device below -- */

struct usb {
	struct usb_facts facts;
	struct usb_interface list[3];
	size_t count;
};

static struct usb dev;
static struct err e;
static const struct iotime soon = {UINT64_MAX - 1, NULL};

/* IN transfers to come: n < 0 is a timeout. A transfer ends with a packet that is not full. */
static struct {
	const char *bytes;
	int n;
} in_script[16];
static size_t in_at;
static size_t asked[32], asked_n;
static char said[4096];
static size_t said_n, zlps, claims, releases, alts;

const struct usb_facts *usb_facts(const struct usb *u)
{
	return &u->facts;
}

size_t usb_interfaces(const struct usb *u, const struct usb_interface **ret)
{
	*ret = u->list;
	return u->count;
}

int usb_claim(struct usb *u, uint8_t interface, struct err *err)
{
	claims++;
	return 0;
}

void usb_release(struct usb *u, uint8_t interface)
{
	releases++;
}

int usb_set_alt(struct usb *u, uint8_t interface, uint8_t alt, struct err *err)
{
	alts++;
	return 0;
}

int usb_read(struct usb *u, uint8_t ep, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *err)
{
	ck_assert_uint_eq(ep, 0x81);
	asked[asked_n++] = size;
	if (in_script[in_at].n < 0 || !in_script[in_at].bytes) {
		if (in_script[in_at].bytes)
			in_at++;
		*ret_n = 0;
		return err_set(err, ERR_TIMEOUT, "deadline passed");
	}

	size_t n = (size_t)in_script[in_at].n;

	ck_assert_uint_le(n, size);
	memcpy(buf, in_script[in_at].bytes, n);
	in_at++;
	*ret_n = n;
	return 0;
}

int usb_write(struct usb *u, uint8_t ep, const void *buf, size_t n, bool zlp,
	const struct iotime *it, struct err *err)
{
	ck_assert_uint_eq(ep, 0x01);
	zlps += zlp || n == 0;
	memcpy(said + said_n, buf, n);
	said_n += n;
	return 0;
}

int usb_stream(struct usb *u, uint8_t ep, uint64_t total, usb_source_fn *fn, void *data,
	void (*told)(void *data, uint64_t done), const struct iotime *it, struct err *err)
{
	for (uint64_t at = 0; at < total; at += 100) {
		size_t n = (size_t)MIN(total - at, 100u);

		fn(data, at, said + said_n, n, err);
		said_n += n;
		told(data, at + n);
	}
	return 0;
}

/* -- the tests -- */

static struct fastboot_pipe *p;
static char buf[FASTBOOT_REPLY_MAX];
static size_t n;

static struct usb_interface interface(uint8_t protocol, uint16_t packet)
{
	struct usb_interface i = {.number = 1, .cls = 0xff, .subclass = 0x42, .protocol = protocol};

	i.ep[0] = (struct usb_endpoint){0x82, USB_EP_INTERRUPT, 16};
	i.ep[1] = (struct usb_endpoint){0x81, USB_EP_BULK, packet};
	i.ep[2] = (struct usb_endpoint){0x01, USB_EP_BULK, packet};
	i.eps = 3;
	return i;
}

static void set_up(void)
{
	memset(in_script, 0, sizeof in_script);
	in_at = asked_n = said_n = zlps = claims = releases = alts = 0;
	dev = (struct usb){.count = 1};
	dev.list[0] = interface(3, 512);
}

static int open_it(uint16_t packet)
{
	const struct fastboot_usb_opts o = {0};

	dev.list[0] = interface(3, packet);
	return fastboot_usb_open(&dev, &o, &soon, &p, &e);
}

static void next(const char *bytes, int len)
{
	static size_t at;

	if (!in_script[0].bytes)
		at = 0;
	in_script[at].bytes = bytes;
	in_script[at].n = len;
	at++;
}

static void reply_is(const char *what)
{
	ck_assert_msg(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e) == 0, "%s", e.msg);
	ck_assert_msg(n == strlen(what) && !memcmp(buf, what, n), "'%.*s', '%s' expected", (int)n,
		buf, what);
}

START_TEST(the_interface_is_found_by_its_class_beside_others)
{
	const struct fastboot_usb_opts o = {0};

	dev.list[0] = interface(1, 512); /* adb */
	dev.list[1] = interface(3, 512);
	dev.list[1].number = 4;
	dev.list[1].alt = 1;
	dev.count = 2;
	ck_assert_int_eq(fastboot_usb_open(&dev, &o, &soon, &p, &e), 0);
	ck_assert_uint_eq(claims, 1);
	ck_assert_uint_eq(alts, 1);
	p = fastboot_pipe_close(p);
	ck_assert_uint_eq(releases, 1);
	dev.count = 1;
	ck_assert_int_eq(fastboot_usb_open(&dev, &o, &soon, &p, &e), -ERR_WRONG_DEVICE);
	ck_assert_ptr_nonnull(strstr(e.msg, "ff/42/03"));
	ck_assert_uint_eq(claims, 1);
}
END_TEST

START_TEST(fixed_endpoints_are_taken_on_any_interface)
{
	const struct fastboot_usb_opts o = {0x01, 0x81}, other = {0x03, 0x83};

	dev.list[0].cls = 0;
	ck_assert_int_eq(fastboot_usb_open(&dev, &o, &soon, &p, &e), 0);
	p = fastboot_pipe_close(p);
	ck_assert_int_eq(fastboot_usb_open(&dev, &other, &soon, &p, &e), -ERR_WRONG_DEVICE);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x03"));
}
END_TEST

START_TEST(a_command_is_one_transfer_and_no_empty_packet_follows)
{
	char command[512];

	memset(command, 'x', sizeof command);
	ck_assert_int_eq(open_it(512), 0);
	ck_assert_int_eq(p->ops->command(p, command, sizeof command, &soon, &e), 0);
	ck_assert_uint_eq(said_n, 512);
	ck_assert_uint_eq(zlps, 0);
	p = fastboot_pipe_close(p);
}
END_TEST

START_TEST(high_speed_reads_whole_packets_and_over_empty_ones)
{
	ck_assert_int_eq(open_it(512), 0);
	next("", 0);
	next("INFOa", 5);
	next("OKAY", 4);
	reply_is("INFOa");
	reply_is("OKAY");
	ck_assert_uint_eq(asked[0], 512);
	p = fastboot_pipe_close(p);
}
END_TEST

START_TEST(a_device_of_empty_packets_alone_is_left)
{
	ck_assert_int_eq(open_it(512), 0);
	for (int i = 0; i < 9; i++)
		next("", 0);
	ck_assert_int_eq(p->ops->reply(p, buf, sizeof buf, &n, &soon, &e), -ERR_PROTOCOL);
	p = fastboot_pipe_close(p);
}
END_TEST

#define FULL "INFO567890123456789012345678901234567890123456789012345678901234"

START_TEST(full_speed_reads_one_packet_at_a_time_so_that_replies_stay_apart)
{
	ck_assert_int_eq(open_it(64), 0);
	/* A reply of exactly one packet, and the next one directly after it. */
	next(FULL, 64);
	next("OKAYx", 5);
	reply_is(FULL);
	reply_is("OKAYx");
	for (size_t i = 0; i < asked_n; i++)
		ck_assert_uint_eq(asked[i], 64);
	p = fastboot_pipe_close(p);
}
END_TEST

START_TEST(full_speed_joins_a_reply_of_several_packets)
{
	ck_assert_int_eq(open_it(64), 0);
	next(FULL, 64);
	next("and its rest", 12);
	next(FULL, 64);
	next("", 0); /* ended by an empty packet */
	next(FULL, 64);
	next("x", -1); /* ended by silence */
	next("OKAY", 4);
	reply_is(FULL "and its rest");
	reply_is(FULL);
	reply_is(FULL);
	reply_is("OKAY");
	p = fastboot_pipe_close(p);
}
END_TEST

static void count_told(void *data, uint64_t done)
{
	*(uint64_t *)data = done;
}

START_TEST(a_download_is_streamed_whole)
{
	struct spans s = {0};
	uint64_t done = 0;

	ck_assert_int_eq(open_it(512), 0);
	ck_assert_int_eq(spans_add(&s, (const uint8_t *)"abc", 3, &e), 0);
	ck_assert_int_eq(spans_add(&s, NULL, 1021, &e), 0);
	ck_assert_int_eq(p->ops->send(p, &s, count_told, &done, &soon, &e), 0);
	ck_assert_uint_eq(done, 1024);
	ck_assert_uint_eq(said_n, 1024);
	ck_assert_mem_eq(said, "abc\0", 4);
	ck_assert_uint_eq(zlps, 0);
	spans_done(&s);
	p = fastboot_pipe_close(p);
}
END_TEST

START_TEST(data_to_the_host_is_never_asked_for_beyond_its_end)
{
	char got[700];

	ck_assert_int_eq(open_it(512), 0);
	next(FULL FULL FULL FULL FULL FULL FULL FULL, 512);
	next(FULL FULL FULL, 188);
	ck_assert_int_eq(p->ops->receive(p, got, 700, &soon, &e), 0);
	ck_assert_uint_eq(asked[0], 1024);
	ck_assert_uint_eq(asked[1], 512);
	next(FULL, 64);
	ck_assert_int_eq(p->ops->receive(p, got, 60, &soon, &e), -ERR_PROTOCOL);
	p = fastboot_pipe_close(p);
}
END_TEST

static Suite *fastboot_usb_suite(void)
{
	Suite *s = suite_create("fastboot_usb");
	TCase *t = tcase_create("fastboot_usb");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, the_interface_is_found_by_its_class_beside_others);
	tcase_add_test(t, fixed_endpoints_are_taken_on_any_interface);
	tcase_add_test(t, a_command_is_one_transfer_and_no_empty_packet_follows);
	tcase_add_test(t, high_speed_reads_whole_packets_and_over_empty_ones);
	tcase_add_test(t, a_device_of_empty_packets_alone_is_left);
	tcase_add_test(t, full_speed_reads_one_packet_at_a_time_so_that_replies_stay_apart);
	tcase_add_test(t, full_speed_joins_a_reply_of_several_packets);
	tcase_add_test(t, a_download_is_streamed_whole);
	tcase_add_test(t, data_to_the_host_is_never_asked_for_beyond_its_end);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fastboot_usb_suite)
