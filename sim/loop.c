/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/loop.h"

#include <errno.h>
#include <sys/timerfd.h>

#include "base/iotime.h"

#define BATCH 64

struct loop {
	int epoll_fd;
	int timer_fd;
	uint64_t armed_us; /* what the timer is set to, UINT64_MAX: off */
	struct epoll_event batch[BATCH];
	int batch_n; /* events of this round, some of them not handled yet */
	bool quit;
};

int loop_new(struct loop **ret, struct err *e)
{
	_cleanup_(loop_freep) struct loop *l = xcalloc(1, sizeof *l);

	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->armed_us = UINT64_MAX;

	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	if (l->timer_fd < 0 || l->epoll_fd < 0 ||
		epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->timer_fd, &ev) < 0)
		return err_errno(e, ERR_IO, errno, "poll loop");
	*ret = steal_ptr(&l);
	return 0;
}

struct loop *loop_free(struct loop *l)
{
	if (l) {
		closep(&l->timer_fd);
		closep(&l->epoll_fd);
		free(l);
	}
	return NULL;
}

int watch_add(struct loop *l, struct watch *w, int fd, uint32_t events, watch_fn *fn, void *data,
	struct err *e)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return err_errno(e, ERR_IO, errno, "watch descriptor %d", fd);
	*w = (struct watch){l, fd, events, fn, data};
	return 0;
}

void watch_want(struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (!w->loop || w->events == events)
		return;
	w->events = events;
	epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void watch_remove(struct watch *w)
{
	if (!w->loop)
		return;
	epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	/* An event of this round may still point here. */
	for (int i = 0; i < w->loop->batch_n; i++)
		if (w->loop->batch[i].data.ptr == w)
			w->loop->batch[i].data.ptr = NULL;
	w->loop = NULL;
}

/* The kernel's timer is set once for each new due time; one in the past fires at once. */
static void arm(struct loop *l, uint64_t due_us)
{
	struct itimerspec ts = {0};

	if (due_us == l->armed_us)
		return;
	l->armed_us = due_us;
	if (due_us != UINT64_MAX) {
		due_us = MAX(due_us, 1u); /* zero would switch it off */
		ts.it_value.tv_sec = (time_t)(due_us / US_PER_S);
		ts.it_value.tv_nsec = (long)(due_us % US_PER_S) * 1000;
	}
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &ts, NULL);
}

static void dispatch(struct loop *l)
{
	for (int i = 0; i < l->batch_n && !l->quit; i++) {
		struct watch *w = l->batch[i].data.ptr;

		if (w)
			w->fn(w->data, l->batch[i].events);
	}
	l->batch_n = 0;
}

int loop_run(struct loop *l, uint64_t (*due)(void *data), void *data, struct err *e)
{
	while (!l->quit) {
		uint64_t next = due(data);

		if (l->quit)
			break;
		arm(l, next);

		int n = epoll_wait(l->epoll_fd, l->batch, BATCH, -1);

		if (n < 0 && errno != EINTR)
			return err_errno(e, ERR_IO, errno, "epoll_wait");
		l->batch_n = MAX(n, 0);
		/* The timer stays readable once it fired: a new due time re-arms and clears it. */
		if (l->armed_us <= now_us())
			l->armed_us = 0;
		dispatch(l);
	}
	l->quit = false;
	return 0;
}

void loop_quit(struct loop *l)
{
	l->quit = true;
}
