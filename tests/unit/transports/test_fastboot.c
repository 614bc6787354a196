/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/transports/fake_pipe.h"

#include "transports/protocols/fastboot/fastboot.h"

static struct fake_pipe pipe_;
static struct fastboot *f;
static struct err e;
static struct strbuf log_;
static const struct iotime soon = {UINT64_MAX - 1, NULL};

static void keep_log(void *data, char dir, const char *text)
{
	sb_addf(&log_, "%c%s|", dir, text);
}

static int open_with(const struct fake_line *script, const struct fastboot_config *c)
{
	const struct teller h = {.log = keep_log};

	e = (struct err){0};
	sb_clear(&log_);
	fake_pipe_init(&pipe_, script);
	return fastboot_new(&pipe_.pipe, c, &h, &soon, &f, &e);
}

static void open_plain(const struct fake_line *script)
{
	static const struct fastboot_config c = {.no_getvar = true};

	ck_assert_int_eq(open_with(script, &c), 0);
}

static void done(void)
{
	f = fastboot_free(f);
	ck_assert(pipe_.closed);
	fake_pipe_done(&pipe_);
	sb_done(&log_);
}

static void says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what) != NULL, "'%s' does not say '%s'", e.msg, what);
}

START_TEST(a_command_ends_with_okay_and_its_lines_are_kept)
{
	static const struct fake_line script[] = {
		{"oem x", {"INFOone", "TEXTtwo ", "TEXThalves\n", "INFO", "OKAY value \n"}}, {0}};
	struct strbuf lines = {0};
	struct fastboot_reply r = {.lines = &lines};

	open_plain(script);
	ck_assert_msg(fastboot_command(f, "oem x", 1, &soon, &r, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(r.text, " value");
	ck_assert_str_eq(lines.s, "one\ntwo halves\\n\n");
	ck_assert_ptr_nonnull(strstr(log_.s, ">oem x|<one|"));
	sb_done(&lines);
	done();
}
END_TEST

START_TEST(a_refusal_names_its_reason_and_leaves_the_session_usable)
{
	static const struct fake_line script[] = {
		{"flash:boot", {"INFOerasing", "FAILnot \x01 allowed"}}, {"erase:boot", {"FAIL"}},
		{"reboot", {"OKAY"}}, {0}};

	open_plain(script);
	ck_assert_int_eq(
		fastboot_command(f, "flash:boot", 1, &soon, NULL, &e), -ERR_DEVICE_REFUSED);
	says("'flash:boot': the device says: not \\x01 allowed");
	ck_assert_int_eq(
		fastboot_command(f, "erase:boot", 1, &soon, NULL, &e), -ERR_DEVICE_REFUSED);
	says("without a reason");
	ck_assert_int_eq(fastboot_command(f, "reboot", 1, &soon, NULL, &e), 0);
	done();
}
END_TEST

/* After anything but OKAY or FAIL nothing more is sent. */
static void breaks(const char *reply, size_t n, enum err_code code, const char *what)
{
	const struct fake_line script[] = {{"oem x", {reply}}, {0}};

	open_plain(script);
	pipe_.reply_bytes = n;
	ck_assert_int_eq(fastboot_command(f, "oem x", US_PER_S, &soon, NULL, &e), -(int)code);
	says(what);
	/* What broke it is said again: an optional question must not hide it. */
	ck_assert_int_eq(fastboot_command(f, "oem y", 1, &soon, NULL, &e), -(int)code);
	says(what);
	says("before 'oem y'");
	done();
}

START_TEST(what_is_no_reply_ends_the_session)
{
	breaks(NULL, 0, ERR_TIMEOUT, "no answer in 1 s");
	breaks("OKA", 0, ERR_PROTOCOL, "3 bytes that are not a reply: 'OKA'");
	breaks("okay", 0, ERR_PROTOCOL, "not a reply");
	breaks("GARBAGE\x01", 0, ERR_PROTOCOL, "'GARBAGE\\x01'");
	breaks("DATA00000004", 0, ERR_PROTOCOL, "OKAY or FAIL expected");
	breaks("DATA0004", 0, ERR_PROTOCOL, "not a reply");
	breaks("DATA000000004", 0, ERR_PROTOCOL, "not a reply");
	breaks("DATA0000000g", 0, ERR_PROTOCOL, "not a reply");
	breaks("\0\0\0\0", 4, ERR_PROTOCOL, "4 bytes");
	breaks("INFOalmostOKAY", 0, ERR_TIMEOUT, "no answer");
}
END_TEST

START_TEST(an_answer_that_no_one_asked_for_is_not_taken_for_the_next_one_s)
{
	static const struct fake_line script[] = {{"oem x", {"OKAY", "OKAY"}}, {0}};

	open_plain(script);
	ck_assert_int_eq(fastboot_command(f, "oem x", 1, &soon, NULL, &e), 0);
	ck_assert_int_eq(fastboot_command(f, "flash:boot", 1, &soon, NULL, &e), -ERR_PROTOCOL);
	says("no one asked for");
	done();
}
END_TEST

START_TEST(trailing_nuls_of_a_reply_are_no_text)
{
	static const struct fake_line script[] = {{"oem x", {"OKAYa\0\0"}}, {0}};
	struct fastboot_reply r = {0};

	open_plain(script);
	pipe_.reply_bytes = 7;
	ck_assert_int_eq(fastboot_command(f, "oem x", 1, &soon, &r, &e), 0);
	ck_assert_str_eq(r.text, "a");
	done();
}
END_TEST

START_TEST(a_reply_of_256_bytes_is_whole)
{
	char reply[257];
	const struct fake_line script[] = {{"oem x", {reply}}, {0}};

	memset(reply, 'x', 256);
	memcpy(reply, "FAIL", 4);
	reply[256] = 0;
	open_plain(script);
	ck_assert_int_eq(fastboot_command(f, "oem x", 1, &soon, NULL, &e), -ERR_DEVICE_REFUSED);
	ck_assert_uint_gt(strlen(e.msg), 252);
	done();
}
END_TEST

START_TEST(a_command_that_a_device_could_misread_is_not_sent)
{
	static const struct fake_line script[] = {{0}};
	char long_one[80];

	memset(long_one, 'x', sizeof long_one);
	long_one[65] = 0;
	open_plain(script);
	ck_assert_int_eq(fastboot_command(f, long_one, 1, &soon, NULL, &e), -ERR_INVALID);
	says("65 bytes, the device takes 64");
	ck_assert_int_eq(fastboot_command(f, "oem a\nb", 1, &soon, NULL, &e), -ERR_INVALID);
	ck_assert_int_eq(fastboot_command(f, "oem \xc3\xa9", 1, &soon, NULL, &e), -ERR_INVALID);
	ck_assert_int_eq(fastboot_command(f, "", 1, &soon, NULL, &e), -ERR_INVALID);
	done();
}
END_TEST

static int download(const char *bytes)
{
	struct spans s = {0};
	int r;

	ck_assert_int_eq(spans_add(&s, (const uint8_t *)bytes, strlen(bytes), &e), 0);
	r = fastboot_download(f, &s, &soon, &e);
	spans_done(&s);
	return r;
}

START_TEST(a_download_sends_exactly_what_was_announced)
{
	static const struct fake_line script[] = {
		{"download:0000000b", {"INFOwait", "DATA0000000b", "INFOstoring", "OKAY"}}, {0}};

	open_plain(script);
	ck_assert_msg(download("hello world") == 0, "%s", e.msg);
	ck_assert_uint_eq(pipe_.sent_n, 11);
	ck_assert_mem_eq(pipe_.sent, "hello world", 11);
	done();
}
END_TEST

START_TEST(a_download_of_another_size_is_not_begun)
{
	static const struct fake_line other[] = {
		{"download:00000003", {"DATA00000004", "OKAY"}}, {0}};
	static const struct fake_line okay[] = {{"download:00000003", {"OKAY"}}, {0}};
	static const struct fake_line fail[] = {{"download:00000003", {"FAILtoo large"}}, {0}};

	open_plain(other);
	ck_assert_int_eq(download("abc"), -ERR_PROTOCOL);
	says("wants 4 bytes, 3 were offered");
	ck_assert_uint_eq(pipe_.sent_n, 0);
	done();
	open_plain(okay);
	ck_assert_int_eq(download("abc"), -ERR_PROTOCOL);
	ck_assert_uint_eq(pipe_.sent_n, 0);
	done();
	open_plain(fail);
	ck_assert_int_eq(download("abc"), -ERR_DEVICE_REFUSED);
	ck_assert_uint_eq(pipe_.sent_n, 0);
	ck_assert_int_eq(download(""), -ERR_INVALID);
	done();
}
END_TEST

START_TEST(a_refusal_behind_the_data_is_one)
{
	static const struct fake_line script[] = {
		{"download:00000003", {"DATA00000003", "FAILchecksum"}}, {0}};

	open_plain(script);
	ck_assert_int_eq(download("abc"), -ERR_DEVICE_REFUSED);
	says("checksum");
	done();
}
END_TEST

static int collected(void *data, const uint8_t *bytes, size_t n, struct err *err)
{
	sb_add_n(data, bytes, n);
	return 0;
}

START_TEST(data_to_the_host_is_as_long_as_asked_for)
{
	static const struct fake_line script[] = {
		{"fetch:x:0x00000000:0x00000005", {"DATA00000005", "OKAY"}, "hello"},
		{"upload", {"DATA00000007", "OKAY"}, "1234567"}, {0}};
	struct strbuf got = {0};
	uint64_t n = 0;

	open_plain(script);
	ck_assert_int_eq(fastboot_collect(f, "fetch:x:0x00000000:0x00000005", 5, 5, collected, &got,
				 &n, &soon, &e),
		0);
	ck_assert_uint_eq(n, 5);
	ck_assert_str_eq(got.s, "hello");
	ck_assert_int_eq(
		fastboot_collect(f, "upload", 0, 6, collected, &got, &n, &soon, &e), -ERR_PROTOCOL);
	says("at most 6");
	sb_done(&got);
	done();
}
END_TEST

START_TEST(a_session_begins_with_the_version_and_notices_answers_of_other_questions)
{
	static const struct fake_line good[] = {
		{"getvar:version", {"OKAY0.4"}}, {"getvar:version", {"OKAY0.4"}}, {0}};
	static const struct fake_line shifted[] = {
		{"getvar:version", {"OKAY0.4"}}, {"getvar:version", {"OKAY"}}, {0}};
	static const struct fake_line unknown[] = {{"getvar:version", {"FAILunknown"}}, {0}};
	static const struct fake_line silent[] = {{"getvar:version", {NULL}}, {0}};
	static const struct fastboot_config c = {0};

	ck_assert_int_eq(open_with(good, &c), 0);
	ck_assert_int_eq(fastboot_sync(f, &soon, &e), 0);
	done();
	ck_assert_int_eq(open_with(shifted, &c), 0);
	ck_assert_int_eq(fastboot_sync(f, &soon, &e), -ERR_PROTOCOL);
	says("out of step: version '0.4' before");
	done();
	ck_assert_int_eq(open_with(unknown, &c), 0);
	ck_assert_int_eq(fastboot_sync(f, &soon, &e), 0);
	done();
	ck_assert_int_eq(open_with(silent, &c), -ERR_TIMEOUT);
	ck_assert(pipe_.closed);
	fake_pipe_done(&pipe_);
}
END_TEST

START_TEST(numbers_follow_the_rule_of_their_variable)
{
	static const struct {
		const char *text;
		bool size_ok, hex_ok;
		uint64_t size, hex;
	} rows[] = {
		{"0x10000000", true, true, 0x10000000, 0x10000000},
		{" 1000 ", true, true, 1000, 0x1000},
		{"0X1f", true, true, 0x1f, 0x1f},
		{"7B5000", false, true, 0, 0x7b5000},
		{"", false, false, 0, 0},
		{"0x", false, false, 0, 0},
		{"12 34", false, false, 0, 0},
		{"-1", false, false, 0, 0},
		{"ffffffffffffffff", false, true, 0, UINT64_MAX},
		{"10000000000000000", true, false, 10000000000000000ull, 0},
		{"99999999999999999999", false, false, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t v = 0;

		ck_assert_msg(fastboot_parse_size(rows[i].text, &v) == rows[i].size_ok &&
				      (!rows[i].size_ok || v == rows[i].size),
			"size '%s'", rows[i].text);
		ck_assert_msg(fastboot_parse_hex(rows[i].text, &v) == rows[i].hex_ok &&
				      (!rows[i].hex_ok || v == rows[i].hex),
			"hex '%s'", rows[i].text);
	}
}
END_TEST

START_TEST(an_unknown_variable_is_a_fail_or_an_empty_okay)
{
	static const struct fake_line script[] = {{"getvar:version", {"FAIL"}},
		{"getvar:a", {"FAILno"}}, {"getvar:a", {"OKAY"}}, {"getvar:a", {"OKAY  "}},
		{"getvar:max-download-size", {"OKAYlarge"}}, {0}};
	static const struct fastboot_config c = {0};
	char v[FASTBOOT_REPLY_MAX + 1];
	uint64_t n = 7;

	ck_assert_int_eq(open_with(script, &c), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fastboot_getvar(f, "a", v, &soon, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(fastboot_getvar_size(f, "max-download-size", &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_nonnull(strstr(log_.s, "not a number: 'large'"));
	done();
}
END_TEST

START_TEST(all_variables_of_fastbootd_and_of_u_boot)
{
	static const struct {
		const char *line, *name, *value;
	} rows[] = {
		{"version:0.4", "version", "0.4"},
		{"partition-size:boot_a:0x4000000", "partition-size:boot_a", "0x4000000"},
		{"has-slot:boot:yes", "has-slot:boot", "yes"},
		{"version-bootloader: U-Boot 2023.01", "version-bootloader", "U-Boot 2023.01"},
		{"fingerprint:a/b:13/C:user", "fingerprint", "a/b:13/C:user"},
		{"partition-type:mmc0: raw ", "partition-type:mmc0", "raw"},
		{"empty:", "empty", ""},
	};
	struct fastboot_vars v = {0};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		fastboot_vars_add(&v, rows[i].line);
	fastboot_vars_add(&v, "no variable");
	fastboot_vars_add(&v, ":nothing");
	ck_assert_uint_eq(v.count, ARRAY_LEN(rows));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_str_eq(v.list[i].name, rows[i].name);
		ck_assert_str_eq(v.list[i].value, rows[i].value);
	}
	fastboot_vars_done(&v);
}
END_TEST

START_TEST(a_slot_is_put_behind_the_first_word_of_partitions_that_have_slots)
{
	static const struct fake_line script[] = {{"getvar:version", {"FAIL"}},
		{"getvar:has-slot:boot", {"OKAYyes"}}, {"getvar:current-slot", {"OKAY_b"}},
		{"getvar:has-slot:vendor_boot", {"OKAYyes"}}, {"getvar:current-slot", {"OKAYa"}},
		{"getvar:has-slot:boot", {"OKAYyes"}}, {"getvar:has-slot:cache", {"OKAYno"}},
		{"getvar:has-slot:cache", {"FAIL"}}, {"getvar:has-slot:cache", {"OKAYno"}},
		{"getvar:has-slot:boot", {"OKAYyes"}}, {"getvar:current-slot", {"OKAYyes"}}, {0}};
	static const struct fastboot_config c = {0};
	char t[FASTBOOT_NAME_MAX];

	ck_assert_int_eq(open_with(script, &c), 0);
	ck_assert_int_eq(fastboot_target(f, "boot", NULL, t, &soon, &e), 0);
	ck_assert_str_eq(t, "boot_b");
	ck_assert_int_eq(fastboot_target(f, "vendor_boot:default", "other", t, &soon, &e), 0);
	ck_assert_str_eq(t, "vendor_boot_b:default");
	ck_assert_int_eq(fastboot_target(f, "boot", "a", t, &soon, &e), 0);
	ck_assert_str_eq(t, "boot_a");
	ck_assert_int_eq(fastboot_target(f, "cache", NULL, t, &soon, &e), 0);
	ck_assert_str_eq(t, "cache");
	ck_assert_int_eq(fastboot_target(f, "cache", "", t, &soon, &e), 0);
	ck_assert_int_eq(fastboot_target(f, "cache", "a", t, &soon, &e), -ERR_UNSUPPORTED);
	ck_assert_int_eq(fastboot_target(f, "boot", NULL, t, &soon, &e), -ERR_UNEXPECTED_REPLY);
	says("'yes'");
	ck_assert_int_eq(fastboot_target(f, "", NULL, t, &soon, &e), -ERR_INVALID);
	ck_assert_int_eq(fastboot_target(f, "a b", NULL, t, &soon, &e), -ERR_INVALID);
	ck_assert_int_eq(fastboot_target(f, "../x", NULL, t, &soon, &e), -ERR_INVALID);
	done();
}
END_TEST

START_TEST(a_device_that_leaves_is_gone_and_a_cancel_is_told)
{
	static const struct fake_line script[] = {{0}};
	struct cancel c;
	struct iotime cancelled = {NO_DEADLINE, &c};

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	open_plain(script);
	pipe_.gone = true;
	ck_assert_int_eq(fastboot_command(f, "reboot", 1, &soon, NULL, &e), -ERR_DEVICE_GONE);
	done();
	open_plain(script);
	cancel_fire(&c, ERR_ABORTED);
	ck_assert_int_eq(fastboot_command(f, "reboot", 1, &cancelled, NULL, &e), -ERR_ABORTED);
	done();
	cancel_done(&c);
}
END_TEST

static Suite *fastboot_suite(void)
{
	Suite *s = suite_create("fastboot");
	TCase *t = tcase_create("fastboot");

	tcase_add_test(t, a_command_ends_with_okay_and_its_lines_are_kept);
	tcase_add_test(t, a_refusal_names_its_reason_and_leaves_the_session_usable);
	tcase_add_test(t, what_is_no_reply_ends_the_session);
	tcase_add_test(t, an_answer_that_no_one_asked_for_is_not_taken_for_the_next_one_s);
	tcase_add_test(t, trailing_nuls_of_a_reply_are_no_text);
	tcase_add_test(t, a_reply_of_256_bytes_is_whole);
	tcase_add_test(t, a_command_that_a_device_could_misread_is_not_sent);
	tcase_add_test(t, a_download_sends_exactly_what_was_announced);
	tcase_add_test(t, a_download_of_another_size_is_not_begun);
	tcase_add_test(t, a_refusal_behind_the_data_is_one);
	tcase_add_test(t, data_to_the_host_is_as_long_as_asked_for);
	tcase_add_test(t, a_session_begins_with_the_version_and_notices_answers_of_other_questions);
	tcase_add_test(t, numbers_follow_the_rule_of_their_variable);
	tcase_add_test(t, an_unknown_variable_is_a_fail_or_an_empty_okay);
	tcase_add_test(t, all_variables_of_fastbootd_and_of_u_boot);
	tcase_add_test(t, a_slot_is_put_behind_the_first_word_of_partitions_that_have_slots);
	tcase_add_test(t, a_device_that_leaves_is_gone_and_a_cancel_is_told);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(fastboot_suite)
