/* SPDX-License-Identifier: Apache-2.0
 *
 * The wall clock of records: RFC 3339 UTC with milliseconds, and UUIDv7 (RFC 9562), whose order is
 * the order of their making within one process. Never used to measure or to wait.
 */
#pragma once

#include <stdint.h>

#define RFC3339_SIZE 32
#define UUID_SIZE    37

/* Milliseconds since 1970-01-01T00:00:00Z. */
int64_t wall_ms(void);
/* "2026-11-22T15:58:41.123Z" into buf (RFC3339_SIZE bytes); returns buf. */
char *rfc3339(int64_t ms, char buf[RFC3339_SIZE]);
char *rfc3339_now(char buf[RFC3339_SIZE]);
/* Parses RFC 3339 with Z or an offset, 0..9 fraction digits; -1 if malformed. */
int rfc3339_parse(const char *s, int64_t *ret_ms);
/* So many minutes after the midnight before a moment, so many days later, in this machine's time zone; the day on which its
 * clocks are changed is as long as it is. Of a time that there is twice then the first one; one that there is not is as long
 * after the change as it would be. Any thread. */
int64_t local_day_ms(int64_t ms, int days, int minutes);
/* A new UUIDv7 in text form; returns buf. */
char *uuid7(char buf[UUID_SIZE]);
/* The milliseconds since 1970 in a UUID of version 7, -1 for another text. */
int64_t uuid7_ms(const char *s);
