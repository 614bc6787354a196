/* SPDX-License-Identifier: Apache-2.0
 *
 * The quota of the store: what is taken never exceeds it, whoever takes at the same time.
 */
#include "api/artifact_quota.h"

#include <pthread.h>

#include "tests/unit/unit.h"

#define QUOTA	1000000
#define THREADS 4

static struct artifact_quota quota;

static void setup(void)
{
	quota = (struct artifact_quota){.quota_bytes = QUOTA};
}

START_TEST(what_is_announced_must_fit_and_is_not_taken)
{
	const char *why = NULL;

	ck_assert_int_eq(artifact_quota_take(&quota, 0, QUOTA, &why), 0);
	ck_assert_int_eq(artifact_quota_take(&quota, 0, QUOTA + 1ull, &why), 413);
	ck_assert_ptr_nonnull(why);
	ck_assert_int_eq(artifact_quota_take(&quota, 0, UINT64_MAX, &why), 413);
	ck_assert_int_eq(artifact_quota_take(&quota, QUOTA, 0, &why), 0);
	ck_assert_int_eq(artifact_quota_take(&quota, 1, 0, &why), 413);
	ck_assert_int_eq(artifact_quota_take(&quota, 0, 0, &why), 0);
	artifact_quota_give(&quota, QUOTA);
	ck_assert_int_eq(artifact_quota_take(&quota, QUOTA, 0, &why), 0);
}
END_TEST

START_TEST(a_smaller_quota_gives_no_more_room)
{
	const char *why;

	artifact_quota_add(&quota, QUOTA);
	quota.quota_bytes = 10;
	ck_assert_int_eq(artifact_quota_take(&quota, 0, 1, &why), 413);
	ck_assert_int_eq(artifact_quota_take(&quota, 1, 0, &why), 413);
	ck_assert_uint_eq(quota.used_bytes, QUOTA);
}
END_TEST

static void *take_all(void *arg)
{
	uint64_t *taken = arg;
	const char *why;

	while (artifact_quota_take(&quota, 7, 0, &why) == 0)
		*taken += 7;
	return NULL;
}

START_TEST(many_at_a_time_never_exceed_it)
{
	pthread_t thread[THREADS];
	uint64_t taken[THREADS] = {0};
	uint64_t sum = 0;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, take_all, &taken[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		sum += taken[i];
	}
	ck_assert_uint_le(sum, QUOTA);
	ck_assert_uint_eq(sum, quota.used_bytes);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("artifact_quota");
	TCase *t = tcase_create("artifact_quota");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, what_is_announced_must_fit_and_is_not_taken);
	tcase_add_test(t, a_smaller_quota_gives_no_more_room);
	tcase_add_test(t, many_at_a_time_never_exceed_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
