/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock of one direction of a serial line: ten bit times a byte (8N1), as absolute due times
 * from the start of a run of back-to-back bytes, so that late wake-ups never add up.
 */
#pragma once

#include <stdint.h>

#include "base/iotime.h"

#define PACE_BITS_PER_BYTE 10ull
#define NEVER		   UINT64_MAX /* as the time when something is due */

struct pace {
	uint32_t baud; /* 0: takes no time */
	uint64_t start_us;
	uint64_t bytes; /* of this run so far */
};

/* When the first n bytes of the run are through. */
static inline uint64_t pace_of_run(const struct pace *p, uint64_t n)
{
	if (!p->baud)
		return p->start_us;
	return p->start_us + (n * PACE_BITS_PER_BYTE * US_PER_S + p->baud - 1) / p->baud;
}

/* When n more bytes are through. */
static inline uint64_t pace_at(const struct pace *p, uint64_t n)
{
	return pace_of_run(p, p->bytes + n);
}

/* The next byte cannot start before t_us: an idle line begins a new run. Whether it did. */
static inline int pace_begin(struct pace *p, uint64_t t_us)
{
	if (t_us <= pace_at(p, 0))
		return 0;
	p->start_us = t_us;
	p->bytes = 0;
	return 1;
}

/* How many bytes of the run are through at t_us. */
static inline uint64_t pace_done(const struct pace *p, uint64_t t_us)
{
	if (t_us < p->start_us)
		return 0;
	if (!p->baud)
		return UINT64_MAX;
	return (t_us - p->start_us) * p->baud / (PACE_BITS_PER_BYTE * US_PER_S);
}
