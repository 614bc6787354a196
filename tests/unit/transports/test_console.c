/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/console.h"

#include <string.h>

#include "base/strbuf.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"

static struct fake_link dut;
static struct console *con;
static struct console_reply reply;
static struct regex *refusal;
static struct strbuf seen; /* the console's log */
static struct err e;

/* What the device answers to the next lines, in turn. */
static const char *script[8];
static size_t script_at;

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 2 * US_PER_S, NULL};
}

static void answer(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	if (n > 2 && script_at < ARRAY_LEN(script) && script[script_at])
		fake_says(f, script[script_at++]);
}

static void keep_log(void *data, char dir, const char *text)
{
	sb_addf(&seen, "%c%s|", dir, text);
}

static void open_console(struct console_opts o)
{
	o.log = keep_log;
	con = console_free(con);
	ck_assert_int_eq(console_new(&dut.link, &o, &con, &e), 0);
}

static void set_up(void)
{
	memset(script, 0, sizeof script);
	script_at = 0;
	fake_init(&dut, answer, NULL);
	ck_assert_int_eq(regex_new(CONSOLE_ERROR_DEFAULT, &refusal, &e), 0);
	open_console((struct console_opts){0});
}

static void tear_down(void)
{
	console_reply_done(&reply);
	con = console_free(con);
	refusal = regex_free(refusal);
	fake_done(&dut);
	sb_done(&seen);
}

static int ask(const char *text, const char *expect)
{
	struct regex *x = NULL;
	struct iotime it = soon();

	ck_assert_int_eq(regex_new(expect, &x, &e), 0);
	console_reply_done(&reply);

	int r = console_command(con, text, x, refusal, &it, &reply, &e);

	regex_free(x);
	return r;
}

static int asked(const char *text, const char *expect, const char *said)
{
	memset(script, 0, sizeof script);
	script_at = 0;
	script[0] = said;
	return ask(text, expect);
}

static void assert_says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

START_TEST(flaw_02_a_missing_reply_is_a_timeout_and_not_an_empty_success)
{
	ck_assert_int_eq(asked("ERASE", ".*", NULL), -ERR_TIMEOUT);
	ck_assert_str_eq(
		e.msg, "console fake:dut: no answer to 'ERASE' in 2 s (is the unit powered?)");
}
END_TEST

START_TEST(flaw_04_only_a_whole_token_is_ok)
{
	ck_assert_int_eq(
		asked("SET_SERIAL 1", CONSOLE_EXPECT_DEFAULT, "NOT OK\r\n"), -ERR_DEVICE_REFUSED);
	ck_assert_int_eq(asked("x", CONSOLE_EXPECT_DEFAULT, "TOKEN\r\n"), -ERR_UNEXPECTED_REPLY);
	ck_assert_int_eq(asked("x", CONSOLE_EXPECT_DEFAULT, "OKAY\r\n"), -ERR_UNEXPECTED_REPLY);
	ck_assert_int_eq(asked("version", "^v\\d", "invalid command\r\n"), -ERR_UNEXPECTED_REPLY);
	ck_assert_int_eq(asked("x", CONSOLE_EXPECT_DEFAULT, "OK 3 pages\r\n"), 0);
	ck_assert_str_eq(reply.line, "OK 3 pages");
}
END_TEST

START_TEST(flaw_05_the_echo_of_a_command_is_never_its_reply)
{
	ck_assert_int_eq(asked("version", "v", "version\r\n"), -ERR_TIMEOUT);
	ck_assert_int_eq(asked("version", "v", "version\r\nv1.2\r\n"), 0);
	ck_assert_str_eq(reply.line, "v1.2");
}
END_TEST

START_TEST(exactly_one_echo_is_skipped)
{
	ck_assert_int_eq(asked("hello", "^hello$", "hello\r\nhello\r\n"), 0);
	ck_assert_str_eq(reply.line, "hello");
}
END_TEST

START_TEST(flaw_06_what_came_before_the_command_is_not_its_reply)
{
	fake_says(&dut, "boot: all OK\r\nOK\r\n> ");
	ck_assert_int_eq(asked("SET_SERIAL 1", CONSOLE_EXPECT_DEFAULT, "ERR locked\r\n"),
		-ERR_DEVICE_REFUSED);
	assert_says("ERR locked");
}
END_TEST

START_TEST(flaw_06_sync_drops_boot_messages_and_waits_for_the_prompt)
{
	struct regex *prompt = NULL;
	struct iotime it = soon();

	regex_new("> ", &prompt, &e);
	open_console((struct console_opts){.prompt = prompt});
	fake_says(&dut, "OK\r\nbooting...\r\n");
	ck_assert_int_eq(console_sync(con, &it, &e), -ERR_TIMEOUT);
	assert_says("no prompt");
	con = console_free(con);
	regex_free(prompt);
}
END_TEST

static void prompting(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	if (n == 2)
		fake_says(f, "\r\n> ");
	else
		fake_says(f, "ping\r\npong\r\n> ");
}

START_TEST(a_prompt_is_stripped_and_ends_the_reply)
{
	struct regex *prompt = NULL;
	struct iotime it = soon();

	regex_new("> ", &prompt, &e);
	dut.device = prompting;
	open_console((struct console_opts){.prompt = prompt});
	ck_assert_msg(console_sync(con, &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(ask("ping", "^pong$"), 0);
	ck_assert_int_eq(ask("ping", "^pong$"), 0);
	ck_assert_int_eq(ask("ping", "^peng$"), -ERR_UNEXPECTED_REPLY);
	dut.device = answer;
	ck_assert_int_eq(asked("ping", "^pong$", "> > ping\r\n> pong\r\n"), 0);
	ck_assert_str_eq(reply.line, "pong");
	con = console_free(con);
	regex_free(prompt);
}
END_TEST

START_TEST(flaw_10_a_refusal_keeps_the_reason_that_the_unit_gave)
{
	ck_assert_int_eq(asked("SET_SERIAL 1", "^OK", "ERR 17 serial locked\r\nOK\r\n"),
		-ERR_DEVICE_REFUSED);
	assert_says("ERR 17 serial locked");
	ck_assert_int_eq(asked("frob", "^OK", "sh: Unknown Command frob\r\n"), -ERR_DEVICE_REFUSED);
}
END_TEST

START_TEST(chatter_before_the_reply_is_logged_and_skipped)
{
	ck_assert_int_eq(asked("ping", "^pong$", "[12.3] wifi up\r\n\r\npong\r\n"), 0);
	ck_assert_ptr_nonnull(strstr(seen.s, "<[12.3] wifi up|"));
	ck_assert_int_eq(asked("ping", "^pong$", "a\r\nb\r\nc\r\n"), -ERR_UNEXPECTED_REPLY);
	assert_says("'c' came last");
}
END_TEST

START_TEST(endless_chatter_ends_the_wait)
{
	struct strbuf flood = {0};

	for (int i = 0; i < 1000; i++)
		sb_add(&flood, "tick\n");
	ck_assert_int_eq(asked("ping", "^pong$", flood.s), -ERR_UNEXPECTED_REPLY);
	sb_done(&flood);
}
END_TEST

START_TEST(each_kind_of_line_end_ends_a_line_once)
{
	static const char *const ends[] = {"\r", "\n", "\r\n", "\n\r"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		for (size_t piece = 0; piece < 3; piece++) {
			_cleanup_(freep) char *said = xasprintf(
				"one%stwo%s%sthree%s", ends[i], ends[i], ends[i], ends[i]);

			dut.read_max = piece;
			sb_clear(&seen);
			ck_assert_int_eq(asked("go", "^three$", said), 0);
			ck_assert_str_eq(seen.s, ">go|<one|<two|<three|");
		}
}
END_TEST

START_TEST(a_reply_cut_at_any_byte_is_never_taken_for_another)
{
	static const char whole[] = "NOT OK\r\n";

	for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
		_cleanup_(freep) char *said = strndup(whole, cut);
		int r = asked("SET_SERIAL 1", "OK", said);

		ck_assert_msg(r == (cut > 6 ? -ERR_DEVICE_REFUSED : -ERR_TIMEOUT), "cut %zu: %d %s",
			cut, r, e.msg);
	}
}
END_TEST

START_TEST(groups_are_given_apart)
{
	ck_assert_int_eq(asked("cal", "offset=(\\S+)( x)? n=(\\d+)", "offset=-1.5 n=42\r\n"), 0);
	ck_assert_int_eq(reply.groups, 4);
	ck_assert_str_eq(reply.group[1], "-1.5");
	ck_assert_ptr_null(reply.group[2]);
	ck_assert_str_eq(reply.group[3], "42");
}
END_TEST

START_TEST(control_bytes_are_shown_and_cannot_forge_a_line)
{
	static const char said[] = "pong\0\x1b[2J\xff\r\n";

	fake_init(&dut, NULL, NULL);
	open_console((struct console_opts){0});
	fake_say(&dut, said, sizeof said - 1);

	struct regex *x = NULL;
	struct iotime it = soon();

	regex_new("pong", &x, &e);
	ck_assert_int_eq(console_expect(con, x, refusal, &it, &reply, &e), 0);
	ck_assert_str_eq(reply.line, "pong\\x00\\x1b[2J\\xff");
	ck_assert_str_eq(seen.s, "<pong\\x00\\x1b[2J\\xff|");
	regex_free(x);
}
END_TEST

START_TEST(a_line_without_end_is_a_broken_protocol)
{
	char long_line[CONSOLE_LINE_MAX + 10];

	memset(long_line, 'a', sizeof long_line - 1);
	long_line[sizeof long_line - 1] = '\0';
	ck_assert_int_eq(asked("go", "^OK", long_line), -ERR_PROTOCOL);
	long_line[CONSOLE_LINE_MAX] = '\n';
	long_line[CONSOLE_LINE_MAX + 1] = '\0';
	ck_assert_int_eq(asked("go", "^a+$", long_line), 0);
}
END_TEST

START_TEST(a_value_cannot_carry_a_second_command)
{
	static const char *const bad[] = {"a\rb", "a\nFACTORY_RESET", "a\x03", "\x7f", "a\tb"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_int_eq(ask(bad[i], "^OK"), -ERR_INVALID);
		ck_assert_uint_eq(dut.heard_len, 0);
	}
}
END_TEST

START_TEST(flaw_20_a_reply_that_is_no_number_is_an_error_and_not_a_crash)
{
	ck_assert_int_eq(asked("read temp", "^([-+\\d.]+)", "\r\n\r\n"), -ERR_TIMEOUT);
	ck_assert_int_eq(asked("read temp", "^([-+\\d.]+)", "sensor?\r\n"), -ERR_UNEXPECTED_REPLY);
}
END_TEST

START_TEST(flaw_21_a_reply_that_comes_at_once_is_not_lost)
{
	dut.read_max = 1;
	ck_assert_int_eq(asked("ping", "^pong$", "pong\n"), 0);
}
END_TEST

START_TEST(flaw_22_a_secret_is_in_no_log_and_no_message)
{
	struct secret_set *secrets = secret_set_new();

	secret_set_add(secrets, "hunter2hunter2", &e);
	open_console((struct console_opts){.secrets = secrets});
	ck_assert_int_eq(asked("CONFIG_SET CLIENT_SECRET hunter2hunter2", "^OK$",
				 "CONFIG_SET CLIENT_SECRET hunter2hunter2\r\n"
				 "ERR bad hunter2hunter2\r\n"),
		-ERR_DEVICE_REFUSED);
	ck_assert_ptr_null(strstr(e.msg, "hunter2"));
	assert_says("ERR bad [secret]");
	ck_assert_ptr_null(strstr(seen.s, "hunter2"));
	/* The device itself got the value. */
	ck_assert_ptr_nonnull(memmem(dut.heard, dut.heard_len, "hunter2hunter2\r\n", 16));
	con = console_free(con);
	secret_set_free(secrets);
}
END_TEST

START_TEST(a_unit_that_leaves_is_gone_and_not_late)
{
	dut.gone = true;
	ck_assert_int_eq(ask("ping", "^pong$"), -ERR_DEVICE_GONE);
	assert_says("fake:dut");
}
END_TEST

static Suite *console_suite(void)
{
	Suite *s = suite_create("console");
	TCase *t = tcase_create("console");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, flaw_02_a_missing_reply_is_a_timeout_and_not_an_empty_success);
	tcase_add_test(t, flaw_04_only_a_whole_token_is_ok);
	tcase_add_test(t, flaw_05_the_echo_of_a_command_is_never_its_reply);
	tcase_add_test(t, exactly_one_echo_is_skipped);
	tcase_add_test(t, flaw_06_what_came_before_the_command_is_not_its_reply);
	tcase_add_test(t, flaw_06_sync_drops_boot_messages_and_waits_for_the_prompt);
	tcase_add_test(t, a_prompt_is_stripped_and_ends_the_reply);
	tcase_add_test(t, flaw_10_a_refusal_keeps_the_reason_that_the_unit_gave);
	tcase_add_test(t, chatter_before_the_reply_is_logged_and_skipped);
	tcase_add_test(t, endless_chatter_ends_the_wait);
	tcase_add_test(t, each_kind_of_line_end_ends_a_line_once);
	tcase_add_test(t, a_reply_cut_at_any_byte_is_never_taken_for_another);
	tcase_add_test(t, groups_are_given_apart);
	tcase_add_test(t, control_bytes_are_shown_and_cannot_forge_a_line);
	tcase_add_test(t, a_line_without_end_is_a_broken_protocol);
	tcase_add_test(t, a_value_cannot_carry_a_second_command);
	tcase_add_test(t, flaw_20_a_reply_that_is_no_number_is_an_error_and_not_a_crash);
	tcase_add_test(t, flaw_21_a_reply_that_comes_at_once_is_not_lost);
	tcase_add_test(t, flaw_22_a_secret_is_in_no_log_and_no_message);
	tcase_add_test(t, a_unit_that_leaves_is_gone_and_not_late);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(console_suite)
