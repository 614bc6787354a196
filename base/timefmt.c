/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

char *rfc3339(int64_t ms, char buf[RFC3339_SIZE])
{
	int64_t rest = (ms % 1000 + 1000) % 1000;
	time_t t = (time_t)((ms - rest) / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(buf, RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
	return buf;
}

char *rfc3339_now(char buf[RFC3339_SIZE])
{
	return rfc3339(wall_ms(), buf);
}

/* Exactly n digits at *s; moves on. -1 if they are not there. */
static int take_digits(const char **s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if ((*s)[i] < '0' || (*s)[i] > '9')
			return -1;
		v = v * 10 + ((*s)[i] - '0');
	}
	*s += n;
	return v;
}

static bool take_char(const char **s, const char *any)
{
	if (!**s || !strchr(any, **s))
		return false;
	(*s)++;
	return true;
}

/* "+hh:mm" or Z as minutes east. */
static bool take_offset(const char **s, int *ret_min)
{
	int sign = **s == '-' ? -1 : 1;
	int h;
	int m;

	*ret_min = 0;
	if (take_char(s, "Zz"))
		return true;
	if (!take_char(s, "+-"))
		return false;
	h = take_digits(s, 2);
	if (h < 0 || h > 23 || !take_char(s, ":"))
		return false;
	m = take_digits(s, 2);
	*ret_min = sign * (h * 60 + m);
	return m >= 0 && m <= 59;
}

/* Years of four digits, in UTC. */
#define FIRST_S (-62167219200ll)
#define LAST_S	253402300799ll

int rfc3339_parse(const char *s, int64_t *ret_ms)
{
	struct tm tm = {0};
	struct tm day;
	int64_t ms = 0;
	int offset_min, mday;
	time_t t;

	tm.tm_year = take_digits(&s, 4) - 1900;
	if (tm.tm_year < -1900 || !take_char(&s, "-") || (tm.tm_mon = take_digits(&s, 2)) < 1 ||
		tm.tm_mon > 12 || !take_char(&s, "-") || (tm.tm_mday = take_digits(&s, 2)) < 1 ||
		!take_char(&s, "Tt") || (tm.tm_hour = take_digits(&s, 2)) < 0 || tm.tm_hour > 23 ||
		!take_char(&s, ":") || (tm.tm_min = take_digits(&s, 2)) < 0 || tm.tm_min > 59 ||
		!take_char(&s, ":") || (tm.tm_sec = take_digits(&s, 2)) < 0 || tm.tm_sec > 60)
		return -1;
	tm.tm_mon--;
	if (take_char(&s, ".")) {
		const char *first = s;

		for (int scale = 100; *s >= '0' && *s <= '9' && s - first < 9; s++, scale /= 10)
			ms += (*s - '0') * scale;
		if (s == first)
			return -1;
	}
	if (!take_offset(&s, &offset_min) || *s)
		return -1;
	mday = tm.tm_mday;
	/* A day that its month does not have moves into the next one; so may a leap second. */
	day = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday};
	timegm(&day);
	t = timegm(&tm) - (time_t)offset_min * 60;
	if (day.tm_mday != mday || t < FIRST_S || t > LAST_S)
		return -1;
	*ret_ms = (int64_t)t * 1000 + ms;
	return 0;
}

#define DAY_S 86400

/* Of local time from UTC, in seconds. */
static int64_t offset_at(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	localtime_r(&t, &tm);
	return tm.tm_gmtoff;
}

int64_t local_day_ms(int64_t ms, int days, int minutes)
{
	time_t t = (time_t)(ms / 1000);
	int64_t wall, before, after;
	struct tm tm;

	localtime_r(&t, &tm);
	tm.tm_mday += days;
	tm.tm_hour = minutes / 60;
	tm.tm_min = minutes % 60;
	tm.tm_sec = 0;
	/* Not mktime(): which of two instants of one wall time it gives depends on the calls before. */
	wall = timegm(&tm);
	before = wall - offset_at(wall - DAY_S);
	after = wall - offset_at(wall + DAY_S);
	return (wall - before != offset_at(before) && wall - after == offset_at(after) ? after
										       : before) *
	       1000;
}

/* 64 random bits out of a pool of the thread: one system call for 32 of them. */
static uint64_t next_random(void)
{
	static _Thread_local uint64_t pool[32];
	static _Thread_local unsigned left;

	if (left == 0) {
		if (getrandom(pool, sizeof pool, 0) != sizeof pool)
			abort(); /* up to 256 bytes come whole or not at all */
		left = sizeof pool / sizeof pool[0];
	}
	return pool[--left];
}

/* The last `digits` hex digits of v; each request of the API has one, and snprintf() takes ten times as long. */
static void put_hex(char *at, uint64_t v, unsigned digits)
{
	for (unsigned i = digits; i-- > 0; v >>= 4)
		at[i] = "0123456789abcdef"[v & 15];
}

/* RFC 9562, 5.7 with method 1 of 6.2: 48 bits of milliseconds, then a 12-bit counter that keeps the
 * order within a millisecond, then randomness. */
char *uuid7(char buf[UUID_SIZE])
{
	static uint64_t last; /* atomic: milliseconds << 12 | counter */
	uint64_t prev = __atomic_load_n(&last, __ATOMIC_RELAXED);
	uint64_t next;
	uint64_t rnd;

	do {
		next = (uint64_t)wall_ms() << 12;
		if (next <= prev)
			next = prev + 1;
	} while (!__atomic_compare_exchange_n(
		&last, &prev, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	rnd = next_random();
	memcpy(buf, "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx", UUID_SIZE);
	put_hex(buf, next >> 28, 8);
	put_hex(buf + 9, next >> 12, 4);
	put_hex(buf + 15, next, 3);
	put_hex(buf + 19, 0x8000 | (rnd >> 48 & 0x3fff), 4);
	put_hex(buf + 24, rnd, 12);
	return buf;
}

int64_t uuid7_ms(const char *s)
{
	static const char shape[] = "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx";
	int64_t ms = 0;

	if (strlen(s) != sizeof shape - 1)
		return -1;
	for (size_t i = 0; s[i]; i++)
		if (shape[i] == 'x' ? !strchr("0123456789abcdef", s[i]) : s[i] != shape[i])
			return -1;
	for (size_t i = 0; i < 13; i++)
		if (s[i] != '-')
			ms = ms << 4 | (s[i] <= '9' ? s[i] - '0' : s[i] - 'a' + 10);
	return ms;
}
