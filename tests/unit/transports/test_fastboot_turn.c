/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies that an older session did not wait for, on a pipe that outlives sessions: a device that
 * answers one command after the other, and begins with what it still owes.
 */
#include "base/strbuf.h"
#include "tests/unit/unit.h"
#include "transports/protocols/fastboot/fastboot.h"

#define QUEUE 32

static struct device {
	struct fastboot_pipe pipe;
	char reply[QUEUE][64];
	unsigned at, n;
	unsigned silent;     /* so many reads end without a reply: the device is busy */
	unsigned busy_at;    /* that begins once so many replies were read */
	bool no_vars;	     /* FAIL to each */
	bool no_download;    /* FAIL to that too */
	bool self_test_good; /* what `oem selftest` says */
	uint32_t download;   /* bytes that are still to come */
	struct strbuf heard;
	uint64_t sent;
} dev;

static struct fastboot *f;
static struct err e;
static const struct iotime soon = {UINT64_MAX - 1, NULL};

static void queue(const char *reply)
{
	ck_assert_uint_lt(dev.n, QUEUE);
	snprintf(dev.reply[dev.n++], sizeof dev.reply[0], "%s", reply);
}

static int command(struct fastboot_pipe *p, const void *bytes, size_t n, const struct iotime *it,
	struct err *why)
{
	_cleanup_(freep) char *text = strndup(bytes, n);

	sb_addf(&dev.heard, "%s|", text);
	if (!strcmp(text, "getvar:version")) {
		queue(dev.no_vars ? "FAILunknown" : "OKAY0.4");
	} else if (!strncmp(text, "getvar:", 7)) {
		queue("FAILunknown");
	} else if (!strncmp(text, "download:", 9)) {
		char reply[64];

		snprintf(reply, sizeof reply, "DATA%s", text + 9);
		dev.download = (uint32_t)strtoul(text + 9, NULL, 16);
		queue(dev.no_download ? "FAILno" : reply);
	} else if (!strcmp(text, "oem selftest")) {
		queue(dev.self_test_good ? "OKAY" : "FAILsensor");
	} else {
		queue("OKAY");
	}
	return 0;
}

static int reply(struct fastboot_pipe *p, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *why)
{
	if (dev.silent > 0 && dev.at >= dev.busy_at) {
		dev.silent--;
		return err_set(why, ERR_TIMEOUT, "deadline passed");
	}
	if (dev.at == dev.n)
		return err_set(why, ERR_TIMEOUT, "deadline passed");
	*ret_n = strlen(dev.reply[dev.at]);
	memcpy(buf, dev.reply[dev.at++], *ret_n);
	return 0;
}

static int send(struct fastboot_pipe *p, const struct spans *bytes, fastboot_told_fn *told,
	void *told_data, const struct iotime *it, struct err *why)
{
	ck_assert_uint_eq(bytes->bytes, dev.download);
	dev.sent += bytes->bytes;
	queue("OKAY");
	return 0;
}

static void close_pipe(struct fastboot_pipe *p)
{
}

static const struct fastboot_pipe_ops ops = {.name = "usb",
	.outlives = true,
	.command = command,
	.reply = reply,
	.send = send,
	.close = close_pipe};

static void set_up(void)
{
	dev = (struct device){.pipe = {&ops}};
	f = NULL;
}

static void tear_down(void)
{
	f = fastboot_free(f);
	sb_done(&dev.heard);
}

static int open_session(bool no_getvar)
{
	const struct fastboot_config c = {.no_getvar = no_getvar};

	f = fastboot_free(f);
	sb_clear(&dev.heard);
	return fastboot_new(&dev.pipe, &c, NULL, &soon, &f, &e);
}

static int self_test(void)
{
	return fastboot_command(f, "oem selftest", US_PER_S, &soon, NULL, &e);
}

/* Of the command before, of the version that a session asked and gave up, and of both. */
static const char *const owed[][4] = {
	{"OKAY"},
	{"OKAYpass"},
	{"FAILlate"},
	{"OKAY0.4"},
	{"OKAY", "OKAY0.4"},
	{"FAILlate", "OKAY0.4"},
	{"INFOstill on it", "OKAY"},
	{"OKAY", "OKAY0.4", "OKAY0.4"},
};

static void owe(size_t i)
{
	dev.at = dev.n = 0;
	for (size_t k = 0; k < ARRAY_LEN(owed[i]) && owed[i][k]; k++)
		queue(owed[i][k]);
}

START_TEST(an_older_reply_is_not_that_of_a_session_s_command)
{
	/* However late, and whatever reply it is that comes late. */
	for (unsigned i = 0; i < 3 * 8; i++) {
		set_up();
		owe((size_t)_i);
		dev.silent = 1 + i / 8;
		dev.busy_at = i % 8;

		int r = open_session(false);

		/* Silence instead of an answer ends the session, which leaves one more owed. */
		for (int again = 0; r < 0 && again < 3; again++)
			r = open_session(false);
		ck_assert_msg(r == 0, "%s", e.msg);
		dev.silent = 0;
		r = self_test();
		ck_assert_msg(r == -ERR_DEVICE_REFUSED, "row %u: %d %s", i, r, e.msg);
		ck_assert_ptr_nonnull(strstr(e.msg, "sensor"));
		ck_assert_uint_eq(dev.at, dev.n);
		tear_down();
	}
	set_up();
}
END_TEST

START_TEST(what_lies_there_already_is_dropped)
{
	dev.no_vars = dev.self_test_good = true;
	queue("FAILlate");
	ck_assert_int_eq(open_session(true), 0);
	ck_assert_msg(self_test() == 0, "%s", e.msg);
}
END_TEST

START_TEST(a_device_that_knows_no_variable_shows_its_turn_by_a_download_of_random_size)
{
	for (int no_getvar = 0; no_getvar < 2; no_getvar++) {
		set_up();
		dev.no_vars = true;
		dev.self_test_good = true;
		ck_assert_msg(open_session(no_getvar) == 0, "%s", e.msg);
		ck_assert_uint_eq(dev.sent, 0);
		ck_assert_int_eq(self_test(), 0);
		ck_assert_uint_gt(dev.sent, 0);
		ck_assert_uint_le(dev.sent, 4096);
		/* Once. */
		dev.sent = 0;
		ck_assert_int_eq(self_test(), 0);
		ck_assert_uint_eq(dev.sent, 0);
		tear_down();
	}
	set_up();
}
END_TEST

START_TEST(an_older_reply_fails_a_session_with_a_device_that_knows_no_variable)
{
	static const char *const late[] = {"OKAY", "FAIL", "DATA00000000"};

	for (int no_getvar = 0; no_getvar < 2; no_getvar++)
		for (size_t i = 0; i < ARRAY_LEN(late); i++) {
			set_up();
			dev.no_vars = true;
			ck_assert_msg(open_session(no_getvar) == 0, "%s", e.msg);
			/* It comes just before the first command. */
			queue(late[i]);
			ck_assert_int_eq(self_test(), -ERR_OUT_OF_STEP);
			ck_assert_ptr_null(strstr(dev.heard.s, "selftest"));
			ck_assert_int_eq(self_test(), -ERR_OUT_OF_STEP);
			tear_down();
		}
	set_up();
}
END_TEST

START_TEST(a_device_that_can_show_nothing_is_out_of_step)
{
	dev.no_vars = dev.no_download = true;
	ck_assert_int_eq(open_session(false), 0);
	ck_assert_int_eq(self_test(), -ERR_OUT_OF_STEP);
	ck_assert_ptr_null(strstr(dev.heard.s, "selftest"));
}
END_TEST

START_TEST(a_download_of_one_s_own_is_the_proof)
{
	struct spans bytes = {0};

	ck_assert_int_eq(spans_add(&bytes, NULL, 100, &e), 0);
	ck_assert_int_eq(open_session(true), 0);
	ck_assert_int_eq(fastboot_download(f, &bytes, &soon, &e), 0);
	ck_assert_int_eq(fastboot_command(f, "flash:x", US_PER_S, &soon, NULL, &e), 0);
	ck_assert_str_eq(dev.heard.s, "download:00000064|flash:x|");
	ck_assert_uint_eq(dev.sent, 100);
	spans_done(&bytes);
}
END_TEST

static Suite *turn_suite(void)
{
	Suite *s = suite_create("fastboot_turn");
	TCase *t = tcase_create("fastboot_turn");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(
		t, an_older_reply_is_not_that_of_a_session_s_command, 0, ARRAY_LEN(owed));
	tcase_add_test(
		t, a_device_that_knows_no_variable_shows_its_turn_by_a_download_of_random_size);
	tcase_add_test(t, an_older_reply_fails_a_session_with_a_device_that_knows_no_variable);
	tcase_add_test(t, what_lies_there_already_is_dropped);
	tcase_add_test(t, a_device_that_can_show_nothing_is_out_of_step);
	tcase_add_test(t, a_download_of_one_s_own_is_the_proof);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(turn_suite)
