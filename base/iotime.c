/* SPDX-License-Identifier: Apache-2.0 */
#include "base/iotime.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

int cancel_init(struct cancel *c, struct err *e)
{
	c->reason = ERR_NONE;
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0)
		return err_errno(e, ERR_IO, errno, "eventfd");
	return 0;
}

void cancel_done(struct cancel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void cancel_fire(struct cancel *c, enum err_code why)
{
	int none = ERR_NONE;

	if (!__atomic_compare_exchange_n(
		    &c->reason, &none, (int)why, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	eventfd_write(c->fd, 1);
}

void cancel_reset(struct cancel *c)
{
	eventfd_t v;

	__atomic_store_n(&c->reason, ERR_NONE, __ATOMIC_SEQ_CST);
	eventfd_read(c->fd, &v);
}

enum err_code cancel_reason(const struct cancel *c)
{
	return (enum err_code)__atomic_load_n(&c->reason, __ATOMIC_SEQ_CST);
}

struct iotime iotime_within(const struct iotime *it, uint64_t budget_us)
{
	uint64_t now = now_us();
	uint64_t end = budget_us > NO_DEADLINE - now ? NO_DEADLINE : now + budget_us;
	struct iotime r = *it;

	if (end < r.deadline_us)
		r.deadline_us = end;
	return r;
}

uint64_t iotime_left_us(const struct iotime *it)
{
	if (it->deadline_us == NO_DEADLINE)
		return NO_DEADLINE;

	uint64_t now = now_us();

	return now >= it->deadline_us ? 0 : it->deadline_us - now;
}

static int cancelled(const struct iotime *it, struct err *e)
{
	enum err_code why = it->cancel ? cancel_reason(it->cancel) : ERR_NONE;

	if (why == ERR_NONE)
		return 0;
	return err_set(e, why, "%s", err_code_hint(why));
}

int iotime_check(const struct iotime *it, struct err *e)
{
	int r = cancelled(it, e);

	if (r < 0)
		return r;
	if (iotime_left_us(it) == 0)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	return 0;
}

int iotime_wait(int fd, short events, const struct iotime *it, struct err *e)
{
	for (;;) {
		int r = cancelled(it, e);

		if (r < 0)
			return r;

		uint64_t left = iotime_left_us(it);
		struct pollfd p[2] = {
			{.fd = fd, .events = events},
			{.fd = it->cancel ? it->cancel->fd : -1, .events = POLLIN},
		};
		struct timespec ts = {(time_t)(left / US_PER_S), (long)(left % US_PER_S) * 1000};

		r = ppoll(p, 2, left == NO_DEADLINE ? NULL : &ts, NULL);
		if (r < 0) {
			if (errno == EINTR)
				continue;
			return err_errno(e, ERR_IO, errno, "poll");
		}
		if (p[1].revents)
			continue;
		if (fd >= 0 && p[0].revents)
			return p[0].revents;
		if (r == 0)
			return err_set(e, ERR_TIMEOUT, "deadline passed");
	}
}

int iotime_sleep(uint64_t us, const struct iotime *it, struct err *e)
{
	uint64_t end = now_us() + us;
	struct iotime nap = iotime_within(it, us);
	int r = iotime_wait(-1, 0, &nap, e);

	return r == -ERR_TIMEOUT && now_us() >= end ? 0 : r;
}
