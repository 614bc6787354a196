/* SPDX-License-Identifier: Apache-2.0
 *
 * Who listens while something takes its time: how far a phase is, and the lines that went, came and
 * were said. Whoever works takes a teller and never asks who is behind it: a station, a terminal, a
 * test, or nobody.
 *
 * A value: copy it. data belongs to whoever made the teller and outlives each copy. Its functions
 * are called on the thread of whoever works, one at a time, and do not wait.
 */
#pragma once

#include <stdint.h>

struct teller {
	void *data; /* goes to both */
	/* How far a phase is, in units of the phase (bytes, pages, attempts): done of total, total
	 * 0 where nobody knows. phase is one word ("write"). Called as often as is natural: who
	 * listens takes fewer. NULL: nobody looks. */
	void (*progress)(void *data, const char *phase, uint64_t done, uint64_t total);
	/* One line for the log of the run, without an end of line. dir: '>' sent, '<' received, '#'
	 * said about it by provd. NULL: it is dropped. */
	void (*log)(void *data, char dir, const char *text);
};

/* All take NULL and a teller without that member, and do nothing then. */
void teller_progress(const struct teller *t, const char *phase, uint64_t done, uint64_t total);
void teller_line(const struct teller *t, char dir, const char *text);
void teller_log(const struct teller *t, char dir, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
