/* SPDX-License-Identifier: Apache-2.0
 *
 * Each fault does what its row of the table says, as often as its count says, and only in its
 * phase.
 */
#include "tests/unit/sim/bench.h"

static const uint8_t read3[] = {0x02, 0x00, 0x00, 0x01, 0x08, 0x03, 0x00, 0x00, 0x00};

START_TEST(nonsense_is_refused_with_a_hint)
{
	struct faults f = {0};
	struct err e = {0};

	ck_assert_int_lt(faults_add(&f, "lateack=5", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "late-ack"));
	ck_assert_int_lt(faults_add(&f, "nak=5", &e), 0);
	ck_assert_int_lt(faults_add(&f, "drop=x", &e), 0);
	ck_assert_int_lt(faults_add(&f, "wrong-ack=256", &e), 0);
	ck_assert_int_lt(faults_add(&f, "drop=1,phase=lunch", &e), 0);
	ck_assert_uint_eq(f.n, 0);
}
END_TEST

START_TEST(a_dropped_byte_to_the_board_leaves_the_frame_short)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_fault(t, "drop=8,phase=write");
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	bench_write(t, BASE, "abc", 3);
	ck_assert_uint_eq(t->out_len, 0);
	/* The next header is eaten as data: the ACK that comes is of the first frame. */
	ck_assert_str_eq(bench_bytes(t, "\x01", 1), "\x06");
	ck_assert_mem_eq(flash_content(t->board->unit->flash), "ac\x01", 3);
	bench_free(t);
}
END_TEST

START_TEST(a_flipped_byte_to_the_board_is_written_flipped)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_fault(t, "flip=7,phase=write");
	ck_assert_str_eq(bench_write(t, BASE, "abc", 3), "\x06");
	ck_assert_mem_eq(flash_content(t->board->unit->flash), "`bc", 3);
	bench_free(t);
}
END_TEST

START_TEST(bytes_of_the_read_back_are_lost_and_flipped_on_the_way)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_write(t, BASE, "abc", 3);
	bench_fault(t, "drop-reply=1,phase=read");
	ck_assert_str_eq(bench_bytes(t, read3, sizeof read3), "ac");
	bench_fault(t, "flip-reply=2,phase=read");
	ck_assert_str_eq(bench_bytes(t, read3, sizeof read3), "abb");
	ck_assert_str_eq(bench_bytes(t, read3, sizeof read3), "abc");
	bench_free(t);
}
END_TEST

START_TEST(acknowledgements_go_wrong)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_fault(t, "nak");
	ck_assert_str_eq(bench_write(t, BASE, "a", 1), "\x15");
	ck_assert_uint_eq(flash_used(t->board->unit->flash), 0);
	bench_fault(t, "wrong-ack=0x07");
	ck_assert_str_eq(bench_write(t, BASE, "a", 1), "\x07");
	bench_fault(t, "lost-ack");
	ck_assert_str_eq(bench_write(t, BASE + 1, "b", 1), "");
	ck_assert_mem_eq(flash_content(t->board->unit->flash), "ab", 2);

	uint64_t begin = t->now_us;

	bench_fault(t, "late-ack=1500");
	ck_assert_str_eq(bench_write(t, BASE + 2, "c", 1), "\x06");
	ck_assert_uint_eq(t->now_us - begin, 1500 * US_PER_MS);
	bench_free(t);
}
END_TEST

START_TEST(a_count_of_zero_is_for_ever)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_fault(t, "nak,count=0");
	for (int i = 0; i < 5; i++)
		ck_assert_str_eq(bench_write(t, BASE, "a", 1), "\x15");
	faults_clear(&t->faults);
	ck_assert_str_eq(bench_write(t, BASE, "a", 1), "\x06");
	bench_free(t);
}
END_TEST

START_TEST(a_stalled_board_is_silent_until_a_reset)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_fault(t, "stall=6");
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	ck_assert_str_eq(bench_ask(t, "BOOT"), "");
	ck_assert_str_eq(bench_ask(t, "BOOT"), "");
	board_power_on(t->board, t->now_us);
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	bench_free(t);
}
END_TEST

START_TEST(a_board_asks_to_be_unplugged_or_swapped_at_a_byte)
{
	static const struct {
		const char *fault;
		enum device_wish wish;
	} rows[] = {{"disappear=3", WISH_UNPLUG}, {"replug=3", WISH_REPLUG}, {"swap=3", WISH_SWAP}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bench *t = bench_new(NULL, NULL);

		bench_fault(t, rows[i].fault);
		bench_bytes(t, "BOO", 3);
		ck_assert_int_eq(board_take_wish(t->board), WISH_NONE);
		bench_bytes(t, "T\r\n", 3);
		ck_assert_int_eq(board_take_wish(t->board), rows[i].wish);
		ck_assert_uint_eq(t->out_len, 0);
		bench_free(t);
	}
}
END_TEST

START_TEST(a_weak_cell_shows_in_the_read_back_and_a_lying_one_in_the_status)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_ask(t, "BOOT");
	bench_fault(t, "weak-cell=1");
	bench_write(t, BASE, "abc", 3);
	ck_assert_str_eq(bench_bytes(t, read3, sizeof read3), "acc");
	bench_ask(t, "ERASE");
	bench_fault(t, "lying-read=1");
	bench_write(t, BASE, "abc", 3);
	ck_assert_str_eq(bench_bytes(t, read3, sizeof read3), "abc");
	ck_assert_mem_eq(flash_content(t->board->unit->flash), "acc", 3);
	bench_ask(t, "BOOT_APP");
	ck_assert_str_eq(bench_ask(t, "status"), "ERROR: image checksum\r\n");
	bench_flash_app(t, "abc");
	ck_assert_str_eq(bench_ask(t, "status"), "OK\r\n");
	bench_free(t);
}
END_TEST

START_TEST(an_erase_that_does_nothing_leaves_the_cells)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_write(t, BASE, "abc", 3);
	bench_fault(t, "no-erase");
	ck_assert_str_eq(bench_ask(t, "ERASE"), "OK\r\n");
	ck_assert_str_eq(bench_write(t, BASE, "abc", 3), "\x15");

	uint64_t begin = t->now_us;

	bench_fault(t, "slow-erase=700");
	ck_assert_str_eq(bench_ask(t, "ERASE"), "OK\r\n");
	ck_assert_uint_eq(t->now_us - begin, 700 * US_PER_MS);
	bench_free(t);
}
END_TEST

static const struct {
	const char *fault, *ask, *answer;
} console_rows[] = {
	{"not-ok", "SET_SERIAL A", "NOT OK\r\n"},
	{"refuse-serial", "SET_SERIAL A", "OK\r\n"},
	{"nan-temp", "read temp", "nan C\r\n"},
	{"temp", "read temp", "85.0 C\r\n"},
	{"temp=-40.5", "read temp", "-40.5 C\r\n"},
	{"echo,count=1", "ping", "ping\r\npong\r\n"},
	{"prompt,count=1", "ping", "pong\r\n> "},
	{"chatter", "ping", "[   12.345678] wdt: still here\r\npong\r\n"},
	{"garbage", "ping", "\xff\xfe\x80\xc3\x28\xf5\r\n"},
};

START_TEST(answers_of_the_console_go_wrong_once)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_flash_app(t, "an application");
	for (size_t i = 0; i < ARRAY_LEN(console_rows); i++) {
		bench_fault(t, console_rows[i].fault);
		ck_assert_str_eq(bench_ask(t, console_rows[i].ask), console_rows[i].answer);
		ck_assert_str_eq(bench_ask(t, "ping"), "pong\r\n");
		ck_assert_str_eq(bench_ask(t, "GET_SERIAL"), "NONE\r\n");
	}
	bench_free(t);
}
END_TEST

START_TEST(a_huge_line_has_no_end_and_nuls_are_in_the_answer)
{
	struct bench *t = bench_new(NULL, NULL);

	bench_flash_app(t, "an application");
	bench_fault(t, "huge-line");
	bench_ask(t, "ping");
	ck_assert_uint_ge(t->out_len, 100 * 1024);
	ck_assert_ptr_null(memchr(t->out, '\n', t->out_len));
	bench_fault(t, "nul");
	bench_ask(t, "ping");
	ck_assert_uint_eq(t->out_len, 9);
	ck_assert_mem_eq(t->out, "\0\0po\0ng\r\n", 9);
	bench_free(t);
}
END_TEST

START_TEST(a_split_answer_comes_byte_by_byte)
{
	struct bench *t = bench_new(NULL, NULL);
	char buf[64];

	bench_fault(t, "split=5");
	bench_put(t, "BOOT\r\n", 6);
	for (size_t i = 0; i < 7; i++) {
		ck_assert_uint_eq(board_output(t->board, buf, sizeof buf, t->now_us), 1);
		ck_assert_int_eq(buf[0], "READY\r\n"[i]);
		ck_assert_uint_eq(board_output(t->board, buf, sizeof buf, t->now_us), 0);
		t->now_us += 5 * US_PER_MS;
	}
	bench_free(t);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fault");
	TCase *c = tcase_create("fault");

	tcase_add_test(c, nonsense_is_refused_with_a_hint);
	tcase_add_test(c, a_dropped_byte_to_the_board_leaves_the_frame_short);
	tcase_add_test(c, a_flipped_byte_to_the_board_is_written_flipped);
	tcase_add_test(c, bytes_of_the_read_back_are_lost_and_flipped_on_the_way);
	tcase_add_test(c, acknowledgements_go_wrong);
	tcase_add_test(c, a_count_of_zero_is_for_ever);
	tcase_add_test(c, a_stalled_board_is_silent_until_a_reset);
	tcase_add_test(c, a_board_asks_to_be_unplugged_or_swapped_at_a_byte);
	tcase_add_test(c, a_weak_cell_shows_in_the_read_back_and_a_lying_one_in_the_status);
	tcase_add_test(c, an_erase_that_does_nothing_leaves_the_cells);
	tcase_add_test(c, answers_of_the_console_go_wrong_once);
	tcase_add_test(c, a_huge_line_has_no_end_and_nuls_are_in_the_answer);
	tcase_add_test(c, a_split_answer_comes_byte_by_byte);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
