/* SPDX-License-Identifier: Apache-2.0
 *
 * Pacing with given time: the arithmetic is exact, late wake-ups do not add up, and a board asks
 * for few of them.
 */
#include "tests/unit/sim/bench.h"

static const char *const paced[] = {"baud", "115200", NULL};
static const uint8_t read64k[] = {0x02, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x01, 0x00};

static uint64_t line_us(uint64_t bytes)
{
	return (bytes * 10 * US_PER_S + 115200 - 1) / 115200;
}

START_TEST(a_64k_read_takes_its_5_69_seconds)
{
	struct bench *t = bench_new(paced, NULL);
	uint64_t begin = t->now_us;

	bench_bytes(t, read64k, sizeof read64k);
	ck_assert_uint_eq(t->out_len, 65536);
	/* The request is on the line first, then the answer. */
	ck_assert_uint_ge(t->now_us - begin, line_us(9) + line_us(65536) - 1);
	ck_assert_uint_le(t->now_us - begin, line_us(9) + line_us(65536) + 1);
	ck_assert_uint_eq(line_us(65536) / 10000, 568);
	bench_free(t);
}
END_TEST

START_TEST(late_wake_ups_do_not_add_up)
{
	struct bench *t = bench_new(paced, NULL);
	uint64_t begin = t->now_us;
	unsigned wakes = 0;

	bench_put(t, read64k, sizeof read64k);
	for (uint64_t due; (due = board_due(t->board)) != NEVER; wakes++) {
		t->now_us = MAX(t->now_us, due) + 3000;
		bench_read(t);
	}
	ck_assert_uint_eq(t->out_len, 65536);
	ck_assert_uint_le(t->now_us - begin, line_us(9) + line_us(65536) + 3002);
	/* One each 10 ms and a few: no wake-up for each byte. */
	ck_assert_uint_lt(wakes, 600);
	bench_free(t);
}
END_TEST

START_TEST(bytes_never_come_before_their_time)
{
	struct bench *t = bench_new(paced, NULL);
	uint64_t begin = t->now_us;

	bench_put(t, read64k, sizeof read64k);
	for (int i = 0; i < 1000; i++) {
		t->now_us += 777;
		bench_read(t);

		uint64_t gone = t->now_us - begin;
		uint64_t answer = gone > line_us(9) ? gone - line_us(9) : 0;

		ck_assert_uint_le(t->out_len, answer * 115200 / (10 * US_PER_S) + 1);
	}
	bench_free(t);
}
END_TEST

START_TEST(a_write_frame_costs_its_bytes_the_write_time_and_one_wake_up_each)
{
	struct bench *t =
		bench_new((const char *[]){"baud", "115200", "write-us", "5000", NULL}, NULL);
	uint8_t data[256] = {0};
	uint64_t begin = t->now_us;

	for (uint32_t i = 0; i < 100; i++)
		bench_write(t, BASE + i * 256, data, 256);

	uint64_t want = 100 * (line_us(263) + 5000 + line_us(1));

	ck_assert_uint_ge(t->now_us - begin, want - 200);
	ck_assert_uint_le(t->now_us - begin, want + 200);
	ck_assert_uint_eq(flash_used(t->board->unit->flash), 25600);
	bench_free(t);
}
END_TEST

START_TEST(the_ack_waits_for_the_last_byte_on_the_line)
{
	struct bench *t = bench_new(paced, NULL);
	uint8_t frame[263] = {0x01, 0x00, 0x00, 0x01, 0x08, 0x00, 0x01};

	bench_put(t, frame, sizeof frame);
	ck_assert_uint_eq(board_due(t->board), t->now_us + line_us(263));
	t->now_us += line_us(263) - 1;
	bench_read(t);
	ck_assert_uint_eq(flash_used(t->board->unit->flash), 0);
	t->now_us += 1;
	bench_read(t);
	ck_assert_uint_eq(flash_used(t->board->unit->flash), 256);
	ck_assert_uint_eq(t->out_len, 0);
	t->now_us += line_us(1);
	bench_read(t);
	ck_assert_uint_eq(t->out_len, 1);
	bench_free(t);
}
END_TEST

START_TEST(an_erase_takes_its_time_and_what_comes_meanwhile_waits)
{
	struct bench *t = bench_new((const char *[]){"erase-ms", "100", "erase-page-us", "1000",
					    "page-size", "256", NULL},
		NULL);
	uint8_t data[1000] = {0};

	bench_write(t, BASE, data, sizeof data);
	t->out_len = 0;

	uint64_t begin = t->now_us;

	bench_put(t, "ERASE\r\nBOOT\r\n", 13);
	bench_read(t);
	ck_assert_uint_eq(t->out_len, 0);
	bench_settle(t);
	ck_assert_str_eq((char *)t->out, "OK\r\nREADY\r\n");
	ck_assert_uint_eq(t->now_us - begin, 104 * US_PER_MS);
	bench_free(t);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("pacing");
	TCase *c = tcase_create("pacing");

	tcase_add_test(c, a_64k_read_takes_its_5_69_seconds);
	tcase_add_test(c, late_wake_ups_do_not_add_up);
	tcase_add_test(c, bytes_never_come_before_their_time);
	tcase_add_test(c, a_write_frame_costs_its_bytes_the_write_time_and_one_wake_up_each);
	tcase_add_test(c, the_ack_waits_for_the_last_byte_on_the_line);
	tcase_add_test(c, an_erase_takes_its_time_and_what_comes_meanwhile_waits);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
