/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/iotime.h"

/* Resident memory of a sleeping station is a promise (docs/performance.md); nothing here recurses
 * deeply, and sanitizers need more. */
#define STACK_BYTES (512 * 1024)

static void must(int r)
{
	if (r != 0)
		abort(); /* EINVAL or EDEADLK: a bug, never weather */
}

void mutex_init(struct mutex *m)
{
	must(pthread_mutex_init(&m->m, NULL));
}

void mutex_done(struct mutex *m)
{
	must(pthread_mutex_destroy(&m->m));
}

void mutex_lock(struct mutex *m) TS_ATTR(no_thread_safety_analysis)
{
	must(pthread_mutex_lock(&m->m));
}

void mutex_unlock(struct mutex *m) TS_ATTR(no_thread_safety_analysis)
{
	must(pthread_mutex_unlock(&m->m));
}

void cond_init(struct cond *c)
{
	pthread_condattr_t a;

	must(pthread_condattr_init(&a));
	must(pthread_condattr_setclock(&a, CLOCK_MONOTONIC));
	must(pthread_cond_init(&c->c, &a));
	pthread_condattr_destroy(&a);
}

void cond_done(struct cond *c)
{
	must(pthread_cond_destroy(&c->c));
}

void cond_signal(struct cond *c)
{
	must(pthread_cond_signal(&c->c));
}

void cond_broadcast(struct cond *c)
{
	must(pthread_cond_broadcast(&c->c));
}

void cond_wait(struct cond *c, struct mutex *m)
{
	must(pthread_cond_wait(&c->c, &m->m));
}

bool cond_wait_until(struct cond *c, struct mutex *m, uint64_t deadline_us)
{
	if (deadline_us == NO_DEADLINE) {
		cond_wait(c, m);
		return true;
	}

	struct timespec ts = {
		(time_t)(deadline_us / US_PER_S), (long)(deadline_us % US_PER_S) * 1000};
	int r = pthread_cond_timedwait(&c->c, &m->m, &ts);

	if (r == ETIMEDOUT)
		return false;
	must(r);
	return true;
}

int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *), void *arg, struct err *e)
{
	pthread_attr_t attr;
	sigset_t all;
	sigset_t old;
	char short_name[16];

	must(pthread_attr_init(&attr));
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &old));

	int r = pthread_create(ret, &attr, fn, arg);

	must(pthread_sigmask(SIG_SETMASK, &old, NULL));
	pthread_attr_destroy(&attr);
	if (r != 0)
		return err_errno(e, ERR_NO_MEMORY, r, "start thread %s", name);
	snprintf(short_name, sizeof short_name, "%s", name);
	pthread_setname_np(*ret, short_name);
	return 0;
}
