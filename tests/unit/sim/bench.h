/* SPDX-License-Identifier: Apache-2.0
 *
 * A board on the bench: bytes go in, bytes come out, time is what the test says. No I/O.
 */
#pragma once

#include "sim/guide/board.h"
#include "tests/unit/unit.h"

#define BASE 0x08010000u

struct bench {
	struct board_settings set;
	struct faults faults;
	struct board *board;
	uint64_t now_us;
	uint8_t out[1 << 20];
	size_t out_len;
};

/* A blank board with no waits, switched on. dir may be NULL. */
static inline struct bench *bench_new(const char *const *settings, const char *dir)
{
	struct bench *t = xcalloc(1, sizeof *t);
	struct unit *u = NULL;
	struct err e = {0};

	settings_default(&t->set);
	settings_set(&t->set, "erase-ms", "0", NULL);
	settings_set(&t->set, "boot-ms", "0", NULL);
	for (; settings && *settings; settings += 2)
		ck_assert_msg(
			settings_set(&t->set, settings[0], settings[1], &e) == 0, "%s", e.msg);
	ck_assert_msg(unit_open(&t->set, dir, "b1", &u, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(unit_link(u, "b1", NULL), 0);
	t->board = board_new(&t->set, &t->faults, u);
	t->now_us = 1000000;
	board_power_on(t->board, t->now_us);
	return t;
}

static inline void bench_free(struct bench *t)
{
	board_power_off(t->board);
	board_free(t->board);
	free(t);
}

/* All that is through now, in addition to what was not looked at yet. */
static inline void bench_read(struct bench *t)
{
	size_t n;

	while ((n = board_output(t->board, t->out + t->out_len, sizeof t->out - 1 - t->out_len,
			t->now_us)) > 0)
		t->out_len += n;
	t->out[t->out_len] = 0;
}

static inline void bench_put(struct bench *t, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n) {
		size_t k = MIN(n, board_room(t->board));

		ck_assert_uint_gt(k, 0);
		board_input(t->board, at, k, t->now_us);
		at += k;
		n -= k;
	}
}

/* Lets time go by until nothing is due any more. */
static inline void bench_settle(struct bench *t)
{
	uint64_t due;

	bench_read(t);
	while ((due = board_due(t->board)) != NEVER) {
		t->now_us = MAX(t->now_us, due);
		bench_read(t);
	}
}

/* Sends bytes, waits for all answers: they are in t->out. */
static inline const char *bench_bytes(struct bench *t, const void *p, size_t n)
{
	t->out_len = 0;
	bench_put(t, p, n);
	bench_settle(t);
	return (const char *)t->out;
}

static inline const char *bench_ask(struct bench *t, const char *line)
{
	_cleanup_(freep) char *text = xasprintf("%s\r\n", line);

	return bench_bytes(t, text, strlen(text));
}

static inline void bench_fault(struct bench *t, const char *spec)
{
	struct err e = {0};

	ck_assert_msg(faults_add(&t->faults, spec, &e) == 0, "%s", e.msg);
}

/* One write frame of the guide, literally: 01, u32 LE address, u16 LE length, data. */
static inline const char *bench_write(struct bench *t, uint32_t addr, const void *p, uint16_t n)
{
	uint8_t f[7 + 65535] = {0x01, (uint8_t)addr, (uint8_t)(addr >> 8), (uint8_t)(addr >> 16),
		(uint8_t)(addr >> 24), (uint8_t)n, (uint8_t)(n >> 8)};

	memcpy(f + 7, p, n);
	return bench_bytes(t, f, 7u + n);
}

/* The application runs: a small image was flashed. */
static inline void bench_flash_app(struct bench *t, const char *image)
{
	ck_assert_str_eq(bench_ask(t, "BOOT"), "READY\r\n");
	ck_assert_str_eq(bench_ask(t, "ERASE"), "OK\r\n");
	ck_assert_str_eq(bench_write(t, BASE, image, (uint16_t)strlen(image)), "\x06");
	ck_assert_ptr_nonnull(strstr(bench_ask(t, "BOOT_APP"), "ready"));
	ck_assert_int_eq(board_state(t->board, t->now_us), BOARD_APPLICATION);
}
