/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire of the bootloader, byte by byte, and the lines of the console.
 */
#include "tests/unit/sim/bench.h"

START_TEST(a_blank_board_answers_boot_and_has_no_application)
{
	struct bench *t = bench_new(NULL, NULL);

	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	ck_assert_str_eq(bench_ask(t, "BOOT_APP"), "BOOTING\r\nNO APP\r\n");
	ck_assert_str_eq(bench_ask(t, "ping"), "ERROR: unknown command\r\n");
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	bench_free(t);
}
END_TEST

START_TEST(a_write_frame_gives_one_ack_only_after_its_last_byte)
{
	static const uint8_t frame[] = {0x01, 0x00, 0x00, 0x01, 0x08, 0x03, 0x00, 0x0d, 0x0a, 0x06};
	struct bench *t = bench_new(NULL, NULL);

	for (size_t i = 0; i < sizeof frame; i++) {
		bench_bytes(t, &frame[i], 1);
		ck_assert_uint_eq(t->out_len, i + 1 == sizeof frame);
	}
	ck_assert_uint_eq(t->out[0], 0x06);
	ck_assert_mem_eq(flash_content(t->board->unit->flash), "\r\n\x06", 3);
	bench_free(t);
}
END_TEST

START_TEST(a_read_gives_exactly_the_bytes_and_ff_beyond_them)
{
	static const uint8_t read5[] = {0x02, 0x00, 0x00, 0x01, 0x08, 0x05, 0x00, 0x00, 0x00};
	struct bench *t = bench_new(NULL, NULL);

	bench_write(t, BASE, "abc", 3);
	bench_bytes(t, read5, sizeof read5);
	ck_assert_uint_eq(t->out_len, 5);
	ck_assert_mem_eq(t->out, "abc\xff\xff", 5);
	bench_free(t);
}
END_TEST

START_TEST(frames_and_lines_in_one_piece_are_told_apart)
{
	static const uint8_t all[] = "BOOT\r\n"
				     "\x01\x00\x00\x01\x08\x04\x00OK\r\n"
				     "\x02\x00\x00\x01\x08\x04\x00\x00\x00"
				     "GET_UID\n";
	struct bench *t = bench_new(NULL, NULL);
	_cleanup_(freep) char *want = xasprintf("READY\r\n\x06OK\r\n%s\r\n", t->board->unit->uid);

	ck_assert_str_eq(bench_bytes(t, all, sizeof all - 1), want);
	bench_free(t);
}
END_TEST

START_TEST(bad_writes_are_refused_and_change_nothing)
{
	struct bench *t = bench_new((const char *[]){"write-unit", "4", NULL}, NULL);

	ck_assert_str_eq(bench_write(t, BASE - 4, "abcd", 4), "\x15");
	ck_assert_str_eq(bench_write(t, BASE + 512 * 1024 - 4, "abcdefgh", 8), "\x15");
	ck_assert_str_eq(bench_write(t, BASE, "abc", 3), "\x15");
	ck_assert_str_eq(bench_write(t, BASE + 2, "abcd", 4), "\x15");
	ck_assert_uint_eq(flash_used(t->board->unit->flash), 0);
	ck_assert_str_eq(bench_write(t, BASE, "abcd", 4), "\x06");
	ck_assert_str_eq(bench_write(t, BASE, "abcd", 4), "\x15");
	bench_free(t);
}
END_TEST

START_TEST(a_lax_board_acknowledges_and_keeps_the_and_of_both)
{
	struct bench *t = bench_new((const char *[]){"lax", "1", NULL}, NULL);

	bench_write(t, BASE, "\x0f", 1);
	ck_assert_str_eq(bench_write(t, BASE, "\x3c", 1), "\x06");
	ck_assert_uint_eq(flash_content(t->board->unit->flash)[0], 0x0c);
	ck_assert_str_eq(bench_write(t, 0, "x", 1), "\x06");
	bench_free(t);
}
END_TEST

START_TEST(a_read_out_of_range_gives_one_nak)
{
	static const uint8_t all[] = {0x02, 0x00, 0x00, 0x01, 0x08, 0xff, 0xff, 0xff, 0xff};
	struct bench *t = bench_new(NULL, NULL);

	ck_assert_str_eq(bench_bytes(t, all, sizeof all), "\x15");
	bench_free(t);
}
END_TEST

START_TEST(a_lost_byte_leaves_the_frame_open_until_its_timeout)
{
	static const uint8_t torn[] = {0x01, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 'x'};
	struct bench *t = bench_new((const char *[]){"frame-timeout-ms", "100", NULL}, NULL);

	bench_bytes(t, torn, sizeof torn);
	ck_assert_uint_eq(t->out_len, 0);
	t->now_us += 100 * US_PER_MS;
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	bench_free(t);
}
END_TEST

START_TEST(the_version_is_the_tag_of_the_image_or_its_digest)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_flash_app(t, "xxxxxxxx PROVSIM-VERSION:1.2.3");
	ck_assert_str_eq(bench_ask(t, "version"), "v1.2.3\r\n");
	/* printf hello | sha256sum */
	bench_flash_app(t, "hello");
	ck_assert_str_eq(bench_ask(t, "version"), "v2cf24dba\r\n");
	bench_free(t);
}
END_TEST

static const struct {
	const char *ask, *answer;
} dialogue[] = {
	{"ping", "pong"},
	{"led on", "LED: ON"},
	{"led off", "LED: OFF"},
	{"read temp", "24.6 C"},
	{"status", "OK"},
	{"GET_SERIAL", "NONE"},
	{"SET_SERIAL SN20260101000001", "OK"},
	{"GET_SERIAL", "SN20260101000001"},
	{"SET_SERIAL", "ERROR: no serial number"},
	{"GET_MAC 0", "NONE"},
	{"SET_MAC 0 AC:DE:48:00:12:34", "OK"},
	{"SET_MAC 7 AC:DE:48:00:00:00:12:34", "OK"},
	{"GET_MAC 0", "ac:de:48:00:12:34"},
	{"GET_MAC 7", "ac:de:48:00:00:00:12:34"},
	{"SET_MAC 0 01:00:5E:00:00:01", "ERROR: not an address"},
	{"SET_MAC 0 AC:DE:48:00:12", "ERROR: not an address"},
	{"SET_MAC 8 AC:DE:48:00:12:34", "ERROR: usage: SET_MAC 0..7 aa:bb:cc:dd:ee:ff"},
	{"GET_MAC 8", "ERROR: usage: GET_MAC 0..7"},
	{"GET_LICENSE", "NONE"},
	{"SET_LICENSE AB-1{2}", "OK"},
	{"GET_LICENSE", "AB-1{2}"},
	{"SET_LICENSE", "ERROR: no license"},
	{"GET_FLAGS", "NONE"},
	{"SET_FLAG debug 0", "OK"},
	{"SET_FLAG radio 1", "OK"},
	{"GET_FLAGS", "debug=0 radio=1"},
	{"SET_FLAG radio 2", "ERROR: usage: SET_FLAG name 0|1"},
	{"CAL_TEMP 25.0", "OK offset=0.400"},
	{"CAL_TEMP warm", "ERROR: bad value"},
	{"CONFIG_SET API_URL https://a b c", "OK"},
	{"CONFIG_GET API_URL", "https://a b c"},
	{"CONFIG_GET NONE", "ERROR: no such key"},
	{"CONFIG_SET API_URL", "ERROR: usage: CONFIG_SET key value"},
	{"pingpong", "ERROR: unknown command"},
	{"ERASE", "ERROR: unknown command"},
	{"BOOT", "READY"},
	{"SET_SERIAL X", "ERROR: unknown command"},
};

START_TEST(each_command_has_one_answer_line)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_flash_app(t, "an application");
	for (size_t i = 0; i < ARRAY_LEN(dialogue); i++) {
		_cleanup_(freep) char *want = xasprintf("%s\r\n", dialogue[i].answer);

		ck_assert_str_eq(bench_ask(t, dialogue[i].ask), want);
	}
	ck_assert_uint_eq(json_array_size(t->board->unit->serials), 1);
	bench_free(t);
}
END_TEST

START_TEST(cr_lf_and_crlf_end_a_line_once)
{
	struct bench *t = bench_new((const char *[]){"prompt", "1", NULL}, NULL);

	bench_flash_app(t, "an application");
	ck_assert_str_eq(
		bench_bytes(t, "ping\r\nping\rping\n", 16), "pong\r\n> pong\r\n> pong\r\n> ");
	ck_assert_str_eq(bench_bytes(t, "\r\n", 2), "> ");
	bench_free(t);
}
END_TEST

START_TEST(echo_and_line_ends_are_settings)
{
	struct bench *t = bench_new((const char *[]){"echo", "1", "eol", "lf", NULL}, NULL);

	bench_ask(t, "BOOT");
	bench_write(t, BASE, "an application", 14);
	bench_ask(t, "BOOT_APP");
	ck_assert_str_eq(bench_ask(t, "ping"), "ping\npong\n");
	bench_free(t);
}
END_TEST

START_TEST(a_line_too_long_is_refused_whole)
{
	struct bench *t = bench_new(NULL, NULL);
	char line[BOARD_LINE_MAX + 100];

	memset(line, 'x', sizeof line);
	bench_bytes(t, line, sizeof line);
	ck_assert_str_eq(bench_ask(t, ""), "ERROR: line too long\r\n");
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	bench_free(t);
}
END_TEST

START_TEST(a_booting_board_hears_nothing)
{
	struct bench *t = bench_new((const char *[]){"boot-ms", "50", NULL}, NULL);

	bench_write(t, BASE, "an application", 14);
	t->out_len = 0;
	bench_put(t, "BOOT_APP\r\nping\r\n", 16);
	bench_settle(t);
	ck_assert_ptr_null(strstr((char *)t->out, "pong"));
	ck_assert_str_eq(bench_ask(t, "ping"), "pong\r\n");
	bench_free(t);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("board");
	TCase *c = tcase_create("board");

	tcase_add_test(c, a_blank_board_answers_boot_and_has_no_application);
	tcase_add_test(c, a_write_frame_gives_one_ack_only_after_its_last_byte);
	tcase_add_test(c, a_read_gives_exactly_the_bytes_and_ff_beyond_them);
	tcase_add_test(c, frames_and_lines_in_one_piece_are_told_apart);
	tcase_add_test(c, bad_writes_are_refused_and_change_nothing);
	tcase_add_test(c, a_lax_board_acknowledges_and_keeps_the_and_of_both);
	tcase_add_test(c, a_read_out_of_range_gives_one_nak);
	tcase_add_test(c, a_lost_byte_leaves_the_frame_open_until_its_timeout);
	tcase_add_test(c, the_version_is_the_tag_of_the_image_or_its_digest);
	tcase_add_test(c, each_command_has_one_answer_line);
	tcase_add_test(c, cr_lf_and_crlf_end_a_line_once);
	tcase_add_test(c, echo_and_line_ends_are_settings);
	tcase_add_test(c, a_line_too_long_is_refused_whole);
	tcase_add_test(c, a_booting_board_hears_nothing);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
