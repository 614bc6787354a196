/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads, mutexes and condition variables with clang's thread-safety annotations. A mutex guards
 * data for a few instructions: it is never held across I/O, SQL or a callback.
 * Order of locks: fleet -> station -> feed.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#if defined(__clang__)
#define TS_ATTR(x) __attribute__((x))
#else
#define TS_ATTR(x)
#endif
#define REQUIRES(m) TS_ATTR(requires_capability(m))

struct TS_ATTR(capability("mutex")) mutex {
	pthread_mutex_t m;
};

void mutex_init(struct mutex *m);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m) TS_ATTR(acquire_capability(*m));
void mutex_unlock(struct mutex *m) TS_ATTR(release_capability(*m));

struct cond {
	pthread_cond_t c; /* on the monotonic clock */
};

void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m) REQUIRES(*m);
/* false once deadline_us (monotonic) has passed. */
bool cond_wait_until(struct cond *c, struct mutex *m, uint64_t deadline_us) REQUIRES(*m);

/* A joinable thread with all signals blocked, a small stack and a name (15 characters) for top and
 * gdb. */
int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg, struct err *e);
