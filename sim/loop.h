/* SPDX-License-Identifier: Apache-2.0
 *
 * The poll loop of provsim: epoll for descriptors, one timerfd with microseconds for all that is
 * due by time. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/util.h"

struct loop;

typedef void watch_fn(void *data, uint32_t events);

/* Embedded by its owner, which removes it before the descriptor is closed. */
struct watch {
	struct loop *loop; /* NULL while not watched */
	int fd;
	uint32_t events;
	watch_fn *fn;
	void *data;
};

int loop_new(struct loop **ret, struct err *e);
struct loop *loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_free)

int watch_add(struct loop *l, struct watch *w, int fd, uint32_t events, watch_fn *fn, void *data,
	struct err *e);
/* EPOLLIN and/or EPOLLOUT, or 0 for nothing but errors. No system call where nothing changes. */
void watch_want(struct watch *w, uint32_t events);
void watch_remove(struct watch *w);

/* Calls due() after each round: it does what is due and returns when to come again (NEVER: only on
 * events). Ends with loop_quit(); may be run again. */
int loop_run(struct loop *l, uint64_t (*due)(void *data), void *data, struct err *e);
void loop_quit(struct loop *l);
