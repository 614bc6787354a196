/* SPDX-License-Identifier: Apache-2.0
 *
 * Wrong tokens slow down their sender, and nobody else. Failures are counted for a minute by
 * address, by token, and by the two together:
 *
 *   this token failed too often from here               -> wait
 *   a known token that never failed from here           -> it is looked at, whatever else goes on
 *   this address, or this token anywhere, failed often  -> wait
 *
 * so that a right token is never shut out by what others do, not even at its own address. Memory is
 * bounded: a flood of addresses pushes out the oldest counts. Not locked: the caller has a lock.
 * Time comes from the caller (monotonic microseconds).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GUARD_FAILURES 5
#define GUARD_WINDOW_S 60

struct guard;

struct guard *guard_new(void);
struct guard *guard_free(struct guard *g);

/* Seconds to wait before a secret is looked at; 0: now. token: its id, "" where the text is not
 * a token; known: it exists. */
unsigned guard_wait_s(
	struct guard *g, const char *address, const char *token, bool known, uint64_t now_us);

struct guard_note {
	unsigned failures;   /* of the address, in its minute */
	unsigned suppressed; /* failures since the last note of which no note was made */
};
/* A secret was wrong. guess: also against the address and the token, not for a right secret of a
 * revoked token. True: make a note of it in the audit trail. */
bool guard_failed(struct guard *g, const char *address, const char *token, bool guess,
	uint64_t now_us, struct guard_note *ret);
