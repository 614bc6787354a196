/* SPDX-License-Identifier: Apache-2.0
 *
 * Time and cancellation of everything that can wait. Nothing in a worker blocks without a
 * `struct iotime`: an absolute deadline on the monotonic clock plus a cancel flag that another
 * thread may fire. A budget is handed down unchanged; a callee that wants less makes its own with
 * iotime_within().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define US_PER_MS   1000ull
#define US_PER_S    1000000ull
#define NO_DEADLINE UINT64_MAX

/* Monotonic microseconds. */
uint64_t now_us(void);

/* A level-triggered flag with a reason, backed by an eventfd so that it wakes poll(). Fired from
 * any thread; the first reason stays until cancel_reset(). */
struct cancel {
	int fd;
	int reason; /* atomic; an enum err_code, ERR_NONE while not fired */
};

int cancel_init(struct cancel *c, struct err *e);
void cancel_done(struct cancel *c);
/* why: ERR_ABORTED, ERR_DEVICE_GONE, ERR_WRONG_DEVICE, ERR_SHUTDOWN, ... */
void cancel_fire(struct cancel *c, enum err_code why);
/* Only by the owner, while no one waits on it. */
void cancel_reset(struct cancel *c);
/* ERR_NONE or the reason. */
enum err_code cancel_reason(const struct cancel *c);

struct iotime {
	uint64_t deadline_us;	     /* absolute, NO_DEADLINE for none */
	const struct cancel *cancel; /* may be NULL */
};

/* The same cancel flag, and the earlier of the two deadlines. */
struct iotime iotime_within(const struct iotime *it, uint64_t budget_us);
/* 0 once the deadline has passed. */
uint64_t iotime_left_us(const struct iotime *it);
/* 0, or -ERR_TIMEOUT / -(cancel reason) with a message. */
int iotime_check(const struct iotime *it, struct err *e);
/* Waits until fd (or -1 for time alone) is ready for `events` (POLLIN/POLLOUT), the deadline or the
 * cancel. Returns the revents (> 0), or -ERR_TIMEOUT / -(cancel reason) / -ERR_IO. Cancel wins over
 * readiness. POLLHUP and POLLERR are returned as revents. */
int iotime_wait(int fd, short events, const struct iotime *it, struct err *e);
/* Sleeps for us; 0 when the time has gone by, else as iotime_wait. */
int iotime_sleep(uint64_t us, const struct iotime *it, struct err *e);
