/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of threads: all that is submitted is carried out, and heavy work leaves threads for the
 * rest.
 */
#include "api/work.h"

#include <sched.h>
#include <semaphore.h>
#include <string.h>

#include "base/iotime.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define HEAVY 20

struct job {
	struct work work;
	sem_t *begun, *may_end, *ended;
};

static struct work_pool *pool;
static sem_t begun, may_end, ended;

static void on_work(struct work *w)
{
	struct job *j = container_of(w, struct job, work);

	if (j->begun)
		sem_post(j->begun);
	if (j->may_end)
		sem_wait(j->may_end);
	sem_post(j->ended);
}

static void setup(void)
{
	struct err e;

	sem_init(&begun, 0, 0);
	sem_init(&may_end, 0, 0);
	sem_init(&ended, 0, 0);
	ck_assert_int_eq(work_pool_new(4, 2, &pool, &e), 0);
}

static void teardown(void)
{
	work_pool_free(pool);
	sem_destroy(&begun);
	sem_destroy(&may_end);
	sem_destroy(&ended);
}

static struct job heavy_job(void)
{
	return (struct job){{.run = on_work, .heavy = true}, &begun, &may_end, &ended};
}

START_TEST(light_work_is_done_while_heavy_work_waits)
{
	struct job heavy[HEAVY];
	struct job light[50];
	sem_t done;
	uint64_t light_us;
	uint64_t heavy_us;
	int running;

	sem_init(&done, 0, 0);
	for (size_t i = 0; i < HEAVY; i++) {
		heavy[i] = heavy_job();
		work_submit(pool, &heavy[i].work);
	}
	sem_wait(&begun);
	sem_wait(&begun);
	for (size_t i = 0; i < ARRAY_LEN(light); i++) {
		light[i] = (struct job){{.run = on_work}, NULL, NULL, &done};
		work_submit(pool, &light[i].work);
	}
	for (size_t i = 0; i < ARRAY_LEN(light); i++)
		sem_wait(&done);
	/* No third heavy one has begun, and none has ended. */
	sem_getvalue(&begun, &running);
	ck_assert_int_eq(running, 0);
	sem_getvalue(&ended, &running);
	ck_assert_int_eq(running, 0);
	/* A light one says that it is done a moment before its thread is free again. */
	do {
		sched_yield();
		work_pool_age(pool, now_us() + 5 * US_PER_S, &light_us, &heavy_us);
	} while (light_us > 0);
	ck_assert_uint_ge(heavy_us, 5 * US_PER_S);
	for (size_t i = 0; i < HEAVY; i++)
		sem_post(&may_end);
	for (size_t i = 0; i < HEAVY; i++)
		sem_wait(&ended);
	sem_destroy(&done);
}
END_TEST

START_TEST(the_end_carries_out_what_waits)
{
	struct job heavy[HEAVY];
	int n;

	for (size_t i = 0; i < HEAVY; i++) {
		heavy[i] = heavy_job();
		work_submit(pool, &heavy[i].work);
		sem_post(&may_end);
	}
	pool = work_pool_free(pool);
	sem_getvalue(&ended, &n);
	ck_assert_int_eq(n, HEAVY);
}
END_TEST

START_TEST(a_request_that_hangs_is_seen)
{
	struct job j = {{.run = on_work}, &begun, &may_end, &ended};
	uint64_t light_us;
	uint64_t heavy_us;

	work_submit(pool, &j.work);
	sem_wait(&begun);
	work_pool_age(pool, now_us() + 100 * US_PER_S, &light_us, &heavy_us);
	ck_assert_uint_ge(light_us, 100 * US_PER_S);
	ck_assert_uint_eq(heavy_us, 0);
	sem_post(&may_end);
	sem_wait(&ended);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("work");
	TCase *t = tcase_create("work");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, light_work_is_done_while_heavy_work_waits);
	tcase_add_test(t, the_end_carries_out_what_waits);
	tcase_add_test(t, a_request_that_hangs_is_seen);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
