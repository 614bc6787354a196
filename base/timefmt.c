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
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(buf, RFC3339_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms % 1000));
	return buf;
}

char *rfc3339_now(char buf[RFC3339_SIZE])
{
	return rfc3339(wall_ms(), buf);
}

int rfc3339_parse(const char *s, int64_t *ret_ms)
{
	struct tm tm = {0};
	int used = 0;

	if (sscanf(s, "%4d-%2d-%2d%*1[Tt]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
		used != 19)
		return -1;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;

	int64_t ms = 0;
	int scale = 100;

	s += used;
	if (*s == '.') {
		const char *first = ++s;

		for (; *s >= '0' && *s <= '9' && s - first < 9; s++, scale /= 10)
			ms += (*s - '0') * scale;
		if (s == first)
			return -1;
	}

	int offset_min = 0;

	if (*s == 'Z' || *s == 'z') {
		s++;
	} else {
		int h;
		int m;

		if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2d:%2d%n", &h, &m, &used) != 2 ||
			used != 5 || h > 23 || m > 59)
			return -1;
		offset_min = (*s == '-' ? -1 : 1) * (h * 60 + m);
		s += 6;
	}
	if (*s)
		return -1;

	time_t t = timegm(&tm);

	*ret_ms = ((int64_t)t - offset_min * 60) * 1000 + ms;
	return 0;
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
	if (getrandom(&rnd, sizeof rnd, 0) != sizeof rnd)
		abort();
	snprintf(buf, UUID_SIZE, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(next >> 28),
		(unsigned)(next >> 12 & 0xffff), (unsigned)(next & 0xfff),
		(unsigned)(0x8000 | (rnd >> 48 & 0x3fff)),
		(unsigned long long)(rnd & 0xffffffffffffull));
	return buf;
}
