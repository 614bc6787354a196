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
	o.tell.log = keep_log;
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
	/* Each of them is a dialogue of its own. */
	link_turn_clear(&dut.link.turn);
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
	/* What was left of the 2 s when the command had been sent. */
	double waited = 0;
	int end = 0;

	ck_assert_int_eq(asked("ERASE", ".*", NULL), -ERR_TIMEOUT);
	sscanf(e.msg, "console fake:dut: no answer to 'ERASE' in %lf s (is the unit powered?)%n",
		&waited, &end);
	ck_assert_msg(end > 0 && e.msg[end] == '\0', "'%s'", e.msg);
	ck_assert(waited > 0 && waited <= 2);
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
	ck_assert_str_eq(reply.line, "pong\\x00 \\xff");
	ck_assert_str_eq(seen.s, "<pong\\x00 \\xff|");
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
	/* Its end comes first: what is said before that belongs to it. */
	ck_assert_int_eq(asked("go", "^a+$", long_line), -ERR_UNEXPECTED_REPLY);
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

/* --- which question an answer belongs to --- */

/* A unit that handles one line after the other, each some time after it came: time goes by where
 * the reader waits, in reads that end without a byte. */
struct slow {
	unsigned waits; /* reads without a byte until the next answer comes */
	unsigned left;
	bool deaf;   /* it loses the next line */
	bool prompt; /* it shows "> " after each answer */
	bool echo;
	char lines[8][64];
	size_t count;
	char line[64];
	size_t len;
	bool ponged; /* it knows "echo" */
};

static struct slow unit;

static void slow_answer(struct fake_link *f)
{
	const char *line = unit.lines[0];

	if (unit.echo)
		fake_says(f, line), fake_says(f, "\r\n");
	if (!strcmp(line, "CAL"))
		fake_says(f, "OK\r\n");
	else if (!strcmp(line, "SELFTEST"))
		fake_says(f, "OK\r\n"); /* of the unit; the test counts who asked */
	else if (!strncmp(line, "read ", 5))
		fake_says(f, line + 5), fake_says(f, ".0\r\n");
	else if (!strncmp(line, "get ", 4))
		fake_says(f, line + 4), fake_says(f, " is 7\r\n");
	else if (!strncmp(line, "echo ", 5) && unit.ponged)
		fake_says(f, line + 5), fake_says(f, "\r\n");
	else if (*line)
		fake_says(f, "ERR unknown\r\n");
	if (unit.prompt)
		fake_says(f, "> ");
	memmove(unit.lines, unit.lines + 1, sizeof unit.lines - sizeof unit.lines[0]);
	unit.count--;
	unit.left = unit.waits;
}

static void slow_hears(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\r')
			continue;
		if (bytes[i] != '\n') {
			if (unit.len < sizeof unit.line - 1)
				unit.line[unit.len++] = (char)bytes[i];
			continue;
		}
		unit.line[unit.len] = '\0';
		unit.len = 0;
		if ((!*unit.line && !unit.prompt) || unit.deaf) {
			unit.deaf = false;
			continue;
		}
		if (unit.count == 0)
			unit.left = unit.waits;
		if (unit.count < ARRAY_LEN(unit.lines))
			strcpy(unit.lines[unit.count++], unit.line);
	}
}

/* A read: what there is, else the end of the wait, in which the unit comes nearer to its answer. */
static int slow_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *why)
{
	struct fake_link *f = container_of(l, struct fake_link, link);

	while (f->at == f->len && unit.count > 0 && unit.left == 0)
		slow_answer(f);
	if (f->at == f->len && unit.left > 0)
		unit.left--;
	return fake_read(l, buf, size, ret_n, it, why);
}

static struct link_ops slow_ops;

static void open_slow(unsigned waits, struct console_opts o)
{
	unit = (struct slow){
		.waits = waits, .left = waits, .prompt = o.prompt != NULL, .ponged = true};
	fake_init(&dut, slow_hears, NULL);
	slow_ops = fake_link_ops;
	slow_ops.read = slow_read;
	dut.link.ops = &slow_ops;
	open_console(o);
}

static bool heard(const char *line)
{
	return dut.heard_len && memmem(dut.heard, dut.heard_len, line, strlen(line));
}

START_TEST(a_late_answer_that_names_its_question_is_known_as_such_and_then_time_has_to_pass)
{
	open_slow(2, (struct console_opts){0});
	ck_assert_int_eq(ask("get volt", "^\\w+ is \\d$"), -ERR_TIMEOUT);
	ck_assert_uint_eq(dut.link.turn.owed, 1);
	/* It comes while the turn is being proved. */
	unit.left = 0;
	unit.waits = 0;
	ck_assert_msg(ask("get amps", "^\\w+ is \\d$") == 0, "%s", e.msg);
	ck_assert_str_eq(reply.line, "amps is 7");
	ck_assert_ptr_nonnull(strstr(seen.s, "#that was the answer to 'get volt', too late|"));
	ck_assert_uint_eq(dut.link.turn.owed, 0);
}
END_TEST

START_TEST(a_late_answer_moves_the_end_of_the_wait_as_far_as_it_was_late)
{
	struct regex *never = NULL;
	struct iotime it = soon();
	uint64_t asked_us;

	regex_new("never", &never, &e);
	open_slow(50, (struct console_opts){0});
	ck_assert_int_eq(ask("get volt", "^\\w+ is \\d$"), -ERR_TIMEOUT);
	asked_us = dut.link.turn.first_us -= 5 * US_PER_S;
	fake_says(&dut, "volt is 7\r\n");
	ck_assert_int_lt(console_expect(con, never, NULL, &it, NULL, &e), 0);
	ck_assert_uint_eq(dut.link.turn.owed, 1);
	ck_assert_uint_ge(dut.link.turn.clear_us, asked_us + 10 * US_PER_S);
	regex_free(never);
}
END_TEST

START_TEST(a_line_that_anything_in_the_unit_may_say_pays_no_debt)
{
	static const struct {
		const char *ask, *expect, *log;
	} rows[] = {
		{"CAL", "^OK$", "OK\r\n"},
		{"read 12", "^([\\d.]+)$", "12.0\r\n"},
		{"set ok on", "^\\w+ on$", "ok on\r\n"},
		{"get volt", "^\\w+ is \\d$", "voltage is 7\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		open_slow(50, (struct console_opts){0});
		ck_assert_int_eq(ask(rows[i].ask, rows[i].expect), -ERR_TIMEOUT);
		fake_says(&dut, rows[i].log);
		ck_assert_int_eq(ask("SELFTEST", rows[i].expect), -ERR_OUT_OF_STEP);
		ck_assert(!heard("SELFTEST"));
		ck_assert_uint_eq(dut.link.turn.owed, 1);
		fake_done(&dut);
	}
	open_slow(0, (struct console_opts){0});
}
END_TEST

START_TEST(an_answer_that_may_still_come_keeps_other_questions_from_being_sent)
{
	open_slow(50, (struct console_opts){0});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(ask("SELFTEST", "^OK$"), -ERR_OUT_OF_STEP);
		assert_says("'CAL' may still be answered");
	}
	ck_assert(!heard("SELFTEST"));
}
END_TEST

START_TEST(another_console_on_the_same_link_and_on_the_next_one_knows_it)
{
	struct link_turn kept = {0};

	open_slow(50, (struct console_opts){.asker = "one"});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	open_console((struct console_opts){.asker = "two"});
	ck_assert_int_eq(ask("SELFTEST", "^OK$"), -ERR_OUT_OF_STEP);
	/* The same question of another step is another question: what it asks about has changed. */
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_OUT_OF_STEP);
	link_turn_move(&dut.link.turn, &kept);
	ck_assert_uint_eq(dut.link.turn.owed, 0);
	link_turn_move(&kept, &dut.link.turn);
	ck_assert_int_eq(ask("SELFTEST", "^OK$"), -ERR_OUT_OF_STEP);
	ck_assert(!heard("SELFTEST"));
}
END_TEST

START_TEST(a_step_that_is_tried_again_may_ask_the_same_and_what_is_owed_then_is_waited_for)
{
	open_slow(3, (struct console_opts){.asker = "cal"});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	unit.left = 1; /* after the second CAL was sent */
	ck_assert_msg(ask("CAL", "^OK$") == 0, "%s", e.msg);
	ck_assert_uint_eq(dut.link.turn.owed, 1);
	/* The second OK comes before the self-test is sent. */
	unit.left = 0;
	unit.waits = 0;
	dut.link.turn.clear_us = now_us() + US_PER_S;
	open_console((struct console_opts){.asker = "selftest"});
	ck_assert_int_eq(ask("read 7", "^([\\d.]+)$"), 0);
	ck_assert_str_eq(reply.line, "7.0");
	ck_assert_ptr_nonnull(strstr(seen.s, "#that may be the answer to 'CAL', or"));
}
END_TEST

START_TEST(a_prompt_proves_the_turn)
{
	struct regex *prompt = NULL;

	regex_new("> ", &prompt, &e);
	open_slow(2, (struct console_opts){.prompt = prompt});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	unit.left = unit.waits = 0;
	ck_assert_msg(ask("read 2", "^([\\d.]+)$") == 0, "%s", e.msg);
	ck_assert_str_eq(reply.line, "2.0");
	con = console_free(con);
	regex_free(prompt);
}
END_TEST

START_TEST(an_error_before_the_prompt_wins_over_the_line_that_agreed)
{
	struct regex *prompt = NULL;

	regex_new("> ", &prompt, &e);
	open_console((struct console_opts){.prompt = prompt});
	ck_assert_int_eq(
		asked("SET 1", "^OK$", "OK\r\nERROR: not stored\r\n> "), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_null(reply.line);
	ck_assert_msg(asked("SET 1", "^OK$", "OK\r\nstored\r\n> ") == 0, "%s", e.msg);
	con = console_free(con);
	regex_free(prompt);
}
END_TEST

START_TEST(a_number_that_comes_back_proves_the_turn_and_its_echo_does_not)
{
	open_slow(0, (struct console_opts){.ping = "echo {nonce}"});
	unit.deaf = true;
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	ck_assert_msg(ask("read 2", "^([\\d.]+)$") == 0, "%s", e.msg);
	ck_assert(heard("echo provd"));
	unit.deaf = true;
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	/* It echoes, and answers that it knows no such command. */
	unit.ponged = false;
	unit.echo = true;
	ck_assert_int_eq(ask("read 3", "^([\\d.]+)$"), -ERR_OUT_OF_STEP);
	ck_assert(!heard("read 3"));
}
END_TEST

/* A unit that says its last answer once more after the next question, and only then answers that one:
 * the true answer waits here for what is sent next. */
static struct twice {
	const char *truth;  /* the true answer, "" where it is the one that was said */
	const char *prompt; /* after each answer */
	bool mute;	    /* answers nothing else */
	bool owes;
} twice;

static void says_twice(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	bool ping = n > 5 && !memcmp(bytes, "echo ", 5);

	if (twice.mute && (ping || n <= 2))
		return;
	if (twice.owes) {
		fake_says(f, twice.truth);
		fake_says(f, twice.prompt);
		twice.owes = false;
	}
	if (ping)
		fake_say(f, bytes + 5, n - 5);
	else if (n > 2)
		fake_says(f, "OK\r\n");
	fake_says(f, twice.prompt);
	twice.owes = n > 2 && !ping && *twice.truth;
}

static int ask_twice(struct twice t, bool prove, bool by_prompt)
{
	struct regex *prompt = NULL;
	int r;

	if (by_prompt)
		regex_new("> ", &prompt, &e);
	twice = t;
	twice.prompt = by_prompt ? "> " : "";
	fake_done(&dut);
	fake_init(&dut, says_twice, NULL);
	open_console((struct console_opts){
		.prompt = prompt, .ping = by_prompt ? NULL : "echo {nonce}", .prove = prove});
	r = ask("SELFTEST", "^OK$");
	con = console_free(con);
	regex_free(prompt);
	return r;
}

START_TEST(an_answer_that_came_twice_is_found_out_by_the_proof_after_it)
{
	static const struct twice failed = {.truth = "FAILED sensor\r\n"};
	static const struct twice other = {.truth = "sensor 2 is bent\r\n"};
	static const struct twice well = {.truth = ""};
	static const struct twice deaf = {.truth = "", .mute = true};

	for (int by_prompt = 0; by_prompt < 2; by_prompt++) {
		ck_assert_int_eq(ask_twice(failed, true, by_prompt), -ERR_DEVICE_REFUSED);
		assert_says("FAILED sensor");
		ck_assert_uint_eq(dut.link.turn.owed, 1);
		ck_assert_msg(ask_twice(well, true, by_prompt) == 0, "%s", e.msg);
		ck_assert_str_eq(reply.line, "OK");
		ck_assert_uint_eq(dut.link.turn.owed, 0);
		ck_assert_int_eq(ask_twice(deaf, true, by_prompt), -ERR_OUT_OF_STEP);
		assert_says(by_prompt ? "then no prompt" : "then no answer to the ping");
	}
	/* After the prompt nothing is left to say. */
	ck_assert_int_eq(ask_twice(other, true, true), -ERR_OUT_OF_STEP);
	assert_says("'sensor 2 is bent' came after the prompt");
	/* Before the ping's number a unit may go on with its reply. */
	ck_assert_msg(ask_twice(other, true, false) == 0, "%s", e.msg);
}
END_TEST

START_TEST(a_value_that_came_twice_shows_in_the_proof_as_the_other_value)
{
	static const struct twice late = {.truth = "OK 9.9\r\n"};

	ck_assert_msg(ask_twice(late, true, false) == 0, "%s", e.msg);
	ck_assert_ptr_null(reply.other);
	twice = late;
	twice.prompt = "";
	fake_done(&dut);
	fake_init(&dut, says_twice, NULL);
	open_console((struct console_opts){.ping = "echo {nonce}", .prove = true});
	ck_assert_msg(ask("MEASURE", "^OK(?: [\\d.]+)?$") == 0, "%s", e.msg);
	ck_assert_str_eq(reply.other, "OK 9.9");
}
END_TEST

START_TEST(a_proof_needs_something_to_prove_by)
{
	struct console *none = NULL;
	struct console_opts o = {.prove = true};

	ck_assert_int_eq(console_new(&dut.link, &o, &none, &e), -ERR_INVALID);
	assert_says("needs a 'ping' or a 'prompt'");
}
END_TEST

/* What is said only after the next command was sent. */
static const char *then_says;

static void says_then(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	fake_says(f, then_says);
}

START_TEST(the_rest_of_a_line_of_which_the_begin_was_dropped_agrees_to_nothing)
{
	static const struct {
		const char *begin, *rest;
	} rows[] = {
		{"selftest NOT ", "OK\r\n"},
		{"selftest NOT\t", "OK\r\n"},
		{"\x1b[3", "1mOK\r\n"},
	};

	struct regex *never = NULL;

	regex_new("never", &never, &e);
	dut.device = says_then;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct iotime it = soon();

		open_console((struct console_opts){.own_turns = true});
		fake_says(&dut, rows[i].begin);
		then_says = rows[i].rest;
		ck_assert_msg(ask("SELFTEST", "OK$") < 0, "row %zu", i);
		/* The same where the step that read the begin is over. */
		then_says = "OK\r\n";
		fake_says(&dut, "\r\n");
		ck_assert_int_eq(ask("SET", "^OK$"), 0);
		fake_says(&dut, rows[i].begin);
		ck_assert_int_eq(console_expect(con, never, NULL, &it, NULL, &e), -ERR_TIMEOUT);
		then_says = rows[i].rest;
		con = console_leave(con);
		open_console((struct console_opts){.own_turns = true});
		ck_assert_msg(ask("SELFTEST", "OK$") < 0, "row %zu", i);
	}
	regex_free(never);
}
END_TEST

START_TEST(the_end_of_a_line_that_was_too_long_is_no_line)
{
	_cleanup_(freep) char *line = malloc(20000);

	open_console((struct console_opts){0});
	memset(line, 'x', 20000);
	memcpy(line + 19990, " OK\r\n", 6);
	dut.device = NULL;
	ck_assert_int_eq(ask("CAL", "OK$"), -ERR_TIMEOUT);
	/* However it is cut: the answer that is owed has not come. */
	for (size_t k = 1; k < 5000; k += 97) {
		fake_say(&dut, line, 15000 - k);
		fake_say(&dut, line + 19990, 6);
		ck_assert_int_eq(ask("SELFTEST", "OK$"), -ERR_OUT_OF_STEP);
	}
}
END_TEST

START_TEST(a_byte_that_could_not_be_read_may_hide_a_word_and_a_bell_does_not)
{
	for (const char *const *p =
			(const char *const[]){"\aOK\r\n", "\x11OK\x13\r\n", "\x11\aOK\r\n", NULL};
		*p; p++) {
		ck_assert_msg(asked("SELFTEST", "^OK$", *p) == 0, "%s", e.msg);
		console_reply_done(&reply);
	}
	dut.device = NULL;
	open_console((struct console_opts){.own_turns = true});

	struct regex *ok = NULL;
	struct iotime it = soon();

	regex_new("OK", &ok, &e);
	fake_say(&dut, "NO\0T OK\r\n", 10);
	fake_say(&dut, "OK FAI\0LED\r\n", 13);
	ck_assert_int_eq(console_expect(con, ok, NULL, &it, NULL, &e), -ERR_UNEXPECTED_REPLY);
	regex_free(ok);
}
END_TEST

/* Its echo, with a line of a log in the middle. */
static void echoes_in_parts(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);

	if (strncmp(text, "echo ", 5) != 0)
		return;
	fake_says(f, "ec[1.2] wifi up\r\n");
	fake_says(f, text + 2);
}

START_TEST(an_echo_in_parts_proves_no_turn)
{
	dut.device = echoes_in_parts;
	open_console((struct console_opts){.ping = "echo {nonce}"});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	ck_assert_int_eq(ask("SELFTEST", "^OK$"), -ERR_OUT_OF_STEP);
}
END_TEST

START_TEST(an_error_in_the_line_or_the_burst_of_an_answer_wins)
{
	static const struct {
		const char *expect, *said;
		int r;
	} rows[] = {
		/* In the same line: a CR alone ends none. */
		{"OK$", "OK\rFAILED\r\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\rFAILED", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\rFAILED\r", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\r\rsensor not found\r\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "self test FAILED\rOK\r\n", -ERR_DEVICE_REFUSED},
		{"^([\\d.]+)$", "3.3\rFAIL\r\n", -ERR_DEVICE_REFUSED},
		{"^([\\d.]+)$", "3.3\rrange error\r\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\r", 0},
		{"^OK$", "OK\rno error\r", 0},
		{"^OK$", "OK\r> ", 0},
		{"^OK$", "self test FAILED\r\rstep 2\r\nOK\r\n", 0},
		/* In a line that came with it. */
		{"^OK$", "OK\nFAILED\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\r\nFAILED\r\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\n\rFAILED\n\r", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\r\nself test FAILED\r\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\r\nready\r\nERROR 7", -ERR_DEVICE_REFUSED},
		{"^([\\d.]+)$", "3.3\r\nERR: sensor\r\n", -ERR_DEVICE_REFUSED},
		/* Good news, and what a log says of other things. */
		{"^OK$", "OK\r\nno error\r\n", 0},
		{"^OK$", "OK\r\n0 errors\r\n", 0},
		{"^OK$", "OK\r\nfailed: 0\r\n", 0},
		{"^OK$", "OK\r\nself test: errors=0\r\n", 0},
		{"^OK$", "OK\r\nfailed: 10\r\n", -ERR_DEVICE_REFUSED},
		{"^OK$", "OK\r\n[1.2] wifi: not connected\r\n", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t piece = 0; piece < 4; piece++) {
			open_console((struct console_opts){0});
			dut.read_max = piece;
			ck_assert_msg(asked("go", rows[i].expect, rows[i].said) == rows[i].r,
				"row %zu '%s': %s", i, rows[i].said, e.msg);
		}
}
END_TEST

START_TEST(a_prompt_ends_the_look_and_an_error_before_it_wins)
{
	static const struct {
		const char *said;
		int r;
	} rows[] = {
		{"OK\r\n> ", 0},
		{"OK\r> ", 0},
		{"OK\r\nfailed: 0\r\n> ", 0},
		{"OK\r\n[1.2] wifi: not connected\r\n> ", 0},
		{"OK\rFAILED\r\n> ", -ERR_DEVICE_REFUSED},
		{"OK\rsensor not found\r> ", -ERR_DEVICE_REFUSED},
		{"self test FAILED\rOK\r\n> ", -ERR_DEVICE_REFUSED},
		{"OK\r\nself test FAILED\r\n> ", -ERR_DEVICE_REFUSED},
		{"OK\r\nself test FAILED", -ERR_DEVICE_REFUSED},
		{"OK\rno sensor\r\n> ", -ERR_UNEXPECTED_REPLY},
	};
	struct regex *prompt = NULL;

	regex_new("> ", &prompt, &e);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t piece = 0; piece < 4; piece++) {
			open_console((struct console_opts){.prompt = prompt});
			dut.read_max = piece;
			ck_assert_msg(asked("go", "^OK$", rows[i].said) == rows[i].r,
				"row %zu '%s': %s", i, rows[i].said, e.msg);
		}
	con = console_free(con);
	regex_free(prompt);
}
END_TEST

START_TEST(a_pattern_of_the_recipe_judges_the_lines_after_an_answer_alone)
{
	struct regex *own = NULL;

	refusal = regex_free(refusal);
	regex_new("^E\\d+", &own, &e);
	refusal = own;
	ck_assert_int_eq(asked("go", "^OK$", "OK\r\nwifi: scan failed\r\n"), 0);
	ck_assert_int_eq(asked("go", "^OK$", "OK\r\nE7\r\n"), -ERR_DEVICE_REFUSED);
	/* Not in the answer's own line. */
	ck_assert_int_eq(asked("go", "^OK$", "OK\rscan failed\r\n"), -ERR_DEVICE_REFUSED);
}
END_TEST

START_TEST(of_texts_written_over_each_other_the_last_counts)
{
	ck_assert_int_eq(asked("measure", "^([\\d.]+)$", "1.0\r2.0\r3.3\r\n"), 0);
	ck_assert_str_eq(reply.line, "3.3");
	ck_assert_int_eq(
		asked("measure", "^([\\d.]+)$", "3.3\rno sensor\r\n"), -ERR_UNEXPECTED_REPLY);
	ck_assert_int_eq(asked("go", "^(10%|OK)$", "10%\r20%\r\nOK\r\n"), 0);
	ck_assert_str_eq(reply.line, "OK");
	/* A unit that ends its lines with CR has no others. */
	ck_assert_int_eq(asked("measure", "^([\\d.]+)$", "1.0\r2.0\r"), 0);
	ck_assert_str_eq(reply.line, "1.0");
}
END_TEST

/* What comes after a read that ends without a byte, as long as there is something. */
static const char *after_a_moment[4];
static unsigned moment;

static int read_in_moments(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *why)
{
	struct fake_link *f = container_of(l, struct fake_link, link);

	/* Each wait of the look sees one of them. */
	if (f->at == f->len && f->heard_len && moment < ARRAY_LEN(after_a_moment) &&
		after_a_moment[moment])
		fake_says(f, after_a_moment[moment++]);
	return fake_read(l, buf, size, ret_n, it, why);
}

START_TEST(an_error_that_comes_a_moment_after_the_answer_wins)
{
	static const struct link_ops ops = {.name = "fake",
		.read = read_in_moments,
		.write = fake_write,
		.control = fake_control,
		.close = fake_close};
	static const char *const rows[][4] = {
		{"self test FAILED\rOK", "\r", "\n"},
		{"OK\r", "\nFAILED\r\n"},
		{"OK\r", "\n", "FAI", "LED\r\n"},
		{"OK\r", "FAILED\r\n"},
		{"OK\n", "FAILED\n"},
		{"OK", "\r\n", "ERROR", ": 7\r\n"},
	};

	dut.link.ops = &ops;
	dut.device = NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memcpy(after_a_moment, rows[i], sizeof after_a_moment);
		moment = 0;
		dut.heard_len = 0;
		link_turn_clear(&dut.link.turn);
		ck_assert_msg(
			ask("SELFTEST", "^OK$") == -ERR_DEVICE_REFUSED, "row %zu: %s", i, e.msg);
		ck_assert_msg(strstr(e.msg, "FAIL") || strstr(e.msg, "ERROR"), "%s", e.msg);
	}
	/* The CRLF of a good one comes in two. */
	memcpy(after_a_moment, (const char *[4]){"OK\r", "\n"}, sizeof after_a_moment);
	moment = 0;
	dut.heard_len = 0;
	link_turn_clear(&dut.link.turn);
	ck_assert_msg(ask("SELFTEST", "^OK$") == 0, "%s", e.msg);
	memset(after_a_moment, 0, sizeof after_a_moment);
}
END_TEST

START_TEST(what_a_wait_for_a_line_found_is_taken_back_by_its_own_line)
{
	static const struct {
		const char *said;
		int r;
	} rows[] = {
		{"READY\r\n", 0},
		{"READY\rFAILED\r\n", -ERR_UNEXPECTED_REPLY},
		{"self test failed\rREADY\r\n", -ERR_UNEXPECTED_REPLY},
		{"READY\rFAILED\r\nREADY\r\n", 0},
		{"READY\r\nERROR: no sensor\r\n", -ERR_DEVICE_REFUSED},
		{"READY\r\nFAILED\r\n", -ERR_DEVICE_REFUSED},
		/* A log tells of other things too. */
		{"READY\r\n[2.3] mmc0: error -110\r\n", 0},
		{"READY\r\nfailed: 0\r\nno errors\r\n", 0},
	};
	struct regex *ready = NULL;
	struct iotime it = soon();

	regex_new("^READY$", &ready, &e);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		open_console((struct console_opts){0});
		fake_says(&dut, rows[i].said);
		console_reply_done(&reply);
		ck_assert_msg(console_expect(con, ready, NULL, &it, &reply, &e) == rows[i].r,
			"'%s': %s", rows[i].said, e.msg);
		ck_assert(!reply.line == (rows[i].r < 0));
	}
	regex_free(ready);
}
END_TEST

START_TEST(a_long_reply_before_a_prompt_is_looked_at_to_its_end)
{
	struct regex *prompt = NULL;
	struct strbuf said = {0};

	regex_new("> ", &prompt, &e);
	for (int end = 0; end < 2; end++) {
		open_console((struct console_opts){.prompt = prompt, .own_turns = true});
		sb_clear(&said);
		sb_add(&said, "OK\r\n");
		for (int i = 0; i < 1000; i++)
			sb_add(&said, "a line of the log\r\n");
		sb_add(&said, end ? "ERROR 7\r\n> " : "> ");
		ck_assert_int_eq(asked("dump", "^OK$", said.s), end ? -ERR_DEVICE_REFUSED : 0);
	}
	sb_done(&said);
	con = console_free(con);
	regex_free(prompt);
}
END_TEST

static int read_forever(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *why)
{
	struct fake_link *f = container_of(l, struct fake_link, link);

	if (f->at == f->len && f->heard_len)
		fake_says(f, "tick\r\n");
	return fake_read(l, buf, size, ret_n, it, why);
}

static void says_and_leaves(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	fake_says(f, "OK\r\n");
	f->gone = true;
}

START_TEST(a_unit_that_leaves_after_its_answer_has_given_it)
{
	dut.device = says_and_leaves;
	ck_assert_msg(ask("reboot", "^OK$") == 0, "%s", e.msg);
	ck_assert_str_eq(reply.line, "OK");
	ck_assert_int_eq(ask("reboot", "^OK$"), -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(a_unit_that_never_falls_quiet_does_not_hold_its_answer_up)
{
	static const struct link_ops ops = {.name = "fake",
		.read = read_forever,
		.write = fake_write,
		.control = fake_control,
		.close = fake_close};

	dut.link.ops = &ops;
	ck_assert_msg(asked("CAL", "^OK$", "OK\r\n") == 0, "%s", e.msg);
}
END_TEST

START_TEST(what_came_with_an_answer_is_there_for_the_next_step)
{
	struct regex *banner = NULL;
	struct iotime it = soon();

	regex_new("^READY$", &banner, &e);
	ck_assert_int_eq(asked("reboot", "^OK$", "OK\r\nREADY\r\nrest"), 0);
	con = console_leave(con);
	open_console((struct console_opts){0});
	ck_assert_msg(console_expect(con, banner, NULL, &it, NULL, &e) == 0, "%s", e.msg);
	/* Who reads bytes, not lines, begins with what is on the wire. */
	con = console_leave(con);
	ck_assert_uint_gt(dut.link.rest.len, 0);
	ck_assert_int_eq(link_drain(&dut.link, 0, 0, NULL, &it, &e), 0);
	ck_assert_uint_eq(dut.link.rest.len, 0);
	regex_free(banner);
}
END_TEST

START_TEST(a_ping_without_a_number_proves_nothing_and_is_refused)
{
	static const char *const bad[] = {"ping", "{nonce}", ""};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct console *c = NULL;

		ck_assert_int_eq(
			console_new(&dut.link, &(struct console_opts){.ping = bad[i]}, &c, &e),
			-ERR_INVALID);
		ck_assert_ptr_null(c);
	}
}
END_TEST

START_TEST(a_unit_that_is_never_later_than_the_recipe_says_is_asked_on)
{
	open_slow(0, (struct console_opts){.late_us = 1});
	unit.deaf = true;
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	ck_assert_msg(ask("read 2", "^([\\d.]+)$") == 0, "%s", e.msg);
	ck_assert_str_eq(reply.line, "2.0");
}
END_TEST

START_TEST(chatter_is_not_the_late_answer)
{
	open_slow(50, (struct console_opts){0});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	fake_says(&dut, "[12] wifi up\r\n");
	ck_assert_int_eq(ask("SELFTEST", "^OK$"), -ERR_OUT_OF_STEP);
	/* Nor is it waited for as a banner. */
	fake_says(&dut, "OK\r\nbooted\r\n");

	struct regex *x = NULL;
	struct iotime it = soon();

	regex_new("^(OK|booted)$", &x, &e);
	console_reply_done(&reply);
	ck_assert_int_eq(console_expect(con, x, NULL, &it, &reply, &e), 0);
	ck_assert_str_eq(reply.line, "booted");
	regex_free(x);
}
END_TEST

START_TEST(a_refusal_leaves_the_rest_of_its_time_to_the_answer)
{
	ck_assert_int_eq(asked("CAL", "^OK$", "ERROR: wifi lost\r\n"), -ERR_DEVICE_REFUSED);
	ck_assert_uint_eq(dut.link.turn.owed, 1);
	ck_assert_uint_gt(dut.link.turn.clear_us, dut.link.turn.last_us);
	/* The answer itself came late: it is not the next question's. */
	fake_says(&dut, "OK\r\n");
	script[script_at] = "2.0\r\n";
	ck_assert_msg(ask("read 2", "^(OK|[\\d.]+)$") == 0, "%s", e.msg);
	ck_assert_str_eq(reply.line, "2.0");
}
END_TEST

START_TEST(a_fixture_is_made_safe_out_of_step_too_and_the_step_fails)
{
	open_slow(50, (struct console_opts){.send_anyway = true});
	ck_assert_int_eq(ask("CAL", "^OK$"), -ERR_TIMEOUT);
	ck_assert_int_eq(ask("POWER OFF", "^OK$"), -ERR_OUT_OF_STEP);
	ck_assert(heard("POWER OFF\r\n"));
	ck_assert_ptr_null(reply.line);
}
END_TEST

START_TEST(where_the_unit_echoes_what_comes_before_the_echo_is_no_reply)
{
	open_console((struct console_opts){.echo = true});
	ck_assert_int_eq(asked("CAL", "^OK$", "OK\r\nCAL\r\nERR 3\r\n"), -ERR_DEVICE_REFUSED);
	ck_assert_int_eq(asked("CAL", "^OK$", "ERR 3\r\nCAL\r\nOK\r\n"), 0);
	ck_assert_int_eq(asked("CAL", "^OK$", "OK\r\n"), -ERR_UNEXPECTED_REPLY);
}
END_TEST

START_TEST(an_error_pattern_that_gives_up_refuses)
{
	refusal = regex_free(refusal);
	ck_assert_int_eq(regex_new("(a+)+b|FAULT", &refusal, &e), 0);
	ck_assert_int_eq(asked("x", "^OK", "OK aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa FAULT\r\n"),
		-ERR_DEVICE_REFUSED);
	ck_assert_int_eq(asked("x", "^OK", "OK aa\r\n"), 0);
}
END_TEST

START_TEST(words_against_in_the_rest_of_a_line_refuse)
{
	static const struct {
		const char *expect, *said;
		int r;
	} rows[] = {
		{"READY", "READY", 0},
		{"READY", "unit READY", 0},
		{"READY", "NOT READY", -ERR_DEVICE_REFUSED},
		{"READY", "status: not READY", -ERR_DEVICE_REFUSED},
		{"READY", "READY: not yet", -ERR_DEVICE_REFUSED},
		{"READY", "UNREADY", -ERR_DEVICE_REFUSED},
		{"READY", "no READY", -ERR_DEVICE_REFUSED},
		{"BOOTING", "BOOTING FAILED", -ERR_DEVICE_REFUSED},
		{"BOOTING", "BOOTING aborted", -ERR_DEVICE_REFUSED},
		{"OK\\b", "OK, 3 errors", -ERR_DEVICE_REFUSED},
		{"OK\\b", "OK, 0 errors", 0},
		{"OK\\b", "OK no errors", 0},
		{"OK\\b", "OK errors: 0", 0},
		{"OK\\b", "OK errors: 10", -ERR_DEVICE_REFUSED},
		{"OK\\b", "OK notable", 0},
		{"OK\\b", "OK terror", 0},
		{"^OK, 3 errors$", "OK, 3 errors", 0}, /* the recipe's own word */
		{"^OK$", "\x1b[32mOK\x1b[0m", 0},
		{"^OK$", "\x1b[31mERROR: locked\x1b[0m", -ERR_DEVICE_REFUSED},
		{"^OK$", "\x1b]0;console\x07OK", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t piece = 0; piece < 4; piece++) {
			_cleanup_(freep) char *said = xasprintf("%s\r\n", rows[i].said);

			dut.read_max = piece;
			ck_assert_msg(asked("go", rows[i].expect, said) == rows[i].r,
				"'%s' for '%s': %s", rows[i].said, rows[i].expect, e.msg);
		}
}
END_TEST

START_TEST(the_end_of_a_line_whose_begin_was_dropped_agrees_to_nothing)
{
	fake_says(&dut, "value NOT");
	ck_assert_int_eq(asked("SET 1", "^OK$", "OK\r\n"), -ERR_UNEXPECTED_REPLY);
	fake_says(&dut, "value NOT");
	ck_assert_int_eq(asked("SET 1", "^OK$", "\r\nOK\r\n"), 0);
	/* A prompt that nobody configured does not begin a line. */
	fake_says(&dut, "unit> ");
	ck_assert_int_eq(asked("SET 1", "^OK$", "OK\r\n"), 0);
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
	tcase_add_test(t,
		a_late_answer_that_names_its_question_is_known_as_such_and_then_time_has_to_pass);
	tcase_add_test(t, a_late_answer_moves_the_end_of_the_wait_as_far_as_it_was_late);
	tcase_add_test(t, a_line_that_anything_in_the_unit_may_say_pays_no_debt);
	tcase_add_test(t, an_error_in_the_line_or_the_burst_of_an_answer_wins);
	tcase_add_test(t, a_prompt_ends_the_look_and_an_error_before_it_wins);
	tcase_add_test(t, a_pattern_of_the_recipe_judges_the_lines_after_an_answer_alone);
	tcase_add_test(t, of_texts_written_over_each_other_the_last_counts);
	tcase_add_test(t, an_error_that_comes_a_moment_after_the_answer_wins);
	tcase_add_test(t, what_a_wait_for_a_line_found_is_taken_back_by_its_own_line);
	tcase_add_test(t, a_long_reply_before_a_prompt_is_looked_at_to_its_end);
	tcase_add_test(t, a_unit_that_leaves_after_its_answer_has_given_it);
	tcase_add_test(t, a_unit_that_never_falls_quiet_does_not_hold_its_answer_up);
	tcase_add_test(t, an_answer_that_may_still_come_keeps_other_questions_from_being_sent);
	tcase_add_test(t, another_console_on_the_same_link_and_on_the_next_one_knows_it);
	tcase_add_test(
		t, a_step_that_is_tried_again_may_ask_the_same_and_what_is_owed_then_is_waited_for);
	tcase_add_test(t, a_prompt_proves_the_turn);
	tcase_add_test(t, an_error_before_the_prompt_wins_over_the_line_that_agreed);
	tcase_add_test(t, a_number_that_comes_back_proves_the_turn_and_its_echo_does_not);
	tcase_add_test(t, an_answer_that_came_twice_is_found_out_by_the_proof_after_it);
	tcase_add_test(t, a_value_that_came_twice_shows_in_the_proof_as_the_other_value);
	tcase_add_test(t, a_proof_needs_something_to_prove_by);
	tcase_add_test(t, the_rest_of_a_line_of_which_the_begin_was_dropped_agrees_to_nothing);
	tcase_add_test(t, the_end_of_a_line_that_was_too_long_is_no_line);
	tcase_add_test(t, a_byte_that_could_not_be_read_may_hide_a_word_and_a_bell_does_not);
	tcase_add_test(t, an_echo_in_parts_proves_no_turn);
	tcase_add_test(t, what_came_with_an_answer_is_there_for_the_next_step);
	tcase_add_test(t, a_ping_without_a_number_proves_nothing_and_is_refused);
	tcase_add_test(t, a_unit_that_is_never_later_than_the_recipe_says_is_asked_on);
	tcase_add_test(t, chatter_is_not_the_late_answer);
	tcase_add_test(t, a_refusal_leaves_the_rest_of_its_time_to_the_answer);
	tcase_add_test(t, a_fixture_is_made_safe_out_of_step_too_and_the_step_fails);
	tcase_add_test(t, where_the_unit_echoes_what_comes_before_the_echo_is_no_reply);
	tcase_add_test(t, an_error_pattern_that_gives_up_refuses);
	tcase_add_test(t, words_against_in_the_rest_of_a_line_refuse);
	tcase_add_test(t, the_end_of_a_line_whose_begin_was_dropped_agrees_to_nothing);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(console_suite)
