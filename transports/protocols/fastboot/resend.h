/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait for the answer to a packet before it is sent again (RFC 6298, and Karn's rule:
 * an answer to a packet that was sent twice says nothing of how long one takes). The smallest and
 * largest wait are those of a cable on a bench, not of the Internet: a device that answers within a
 * millisecond is asked again after 20, and a busy one twice a second as AOSP's fastboot does.
 *
 * Pure data: one for each session, any thread.
 */
#pragma once

#include <stdint.h>

#define RESEND_MIN_US 20000u
#define RESEND_MAX_US 500000u

struct resend {
	uint64_t mean_us, spread_us; /* of the answers so far; 0: none came yet */
};

/* The wait after that many sendings (from 1) of the same packet: doubled with each. */
uint64_t resend_wait_us(const struct resend *r, unsigned sent);
/* An answer took so long, to a packet that was sent once. */
void resend_measured(struct resend *r, uint64_t us);
