/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer of a receiver means, and when it is tried again (Standard Webhooks 1.0.0, "Deliverability
 * and reliability"): pure, so that it is tested without a clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WEBHOOK_FIRST_MS  2000
#define WEBHOOK_LATEST_MS 3600000 /* between two attempts at one event */
#define WEBHOOK_PROBE_MS  1000
#define WEBHOOK_PROBES_MS 600000  /* between two at a receiver that takes nothing */
#define WEBHOOK_ASKED_MS  3600000 /* the most of a Retry-After */

enum webhook_verdict {
	WEBHOOK_TAKEN, /* 2xx */
	WEBHOOK_AGAIN, /* anything else, a redirect as well, which is not followed */
	WEBHOOK_GONE,  /* 410 */
};

enum webhook_verdict webhook_judge(long status);
/* Until the next attempt at one event, after so many (from 1) that it did not take; random: any number.
 * From 75 to 125 % of first, twice that, and so on. */
int64_t webhook_again_ms(int64_t attempts, uint16_t random);
/* Until the next attempt at a receiver that has taken nothing so many times in a row. asked_ms: its Retry-After, 0
 * none. */
int64_t webhook_probe_ms(int64_t failures, int64_t asked_ms, uint16_t random);
