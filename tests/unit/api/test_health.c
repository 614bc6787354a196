/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include "base/iotime.h"
#include "base/thread.h"
#include "tests/unit/unit.h"

static struct api api;
static struct request rq;

static void open_api(void)
{
	api = (struct api){0};
	mutex_init(&api.health_lock);
}

static void close_api(void)
{
	mutex_done(&api.health_lock);
}

/* The status, and the code of the first cause; "" none. */
static int livez(char ret[32])
{
	struct response rs = {.fd = -1};
	struct call c = {.api = &api, .rq = &rq, .rs = &rs};
	struct err e;
	json_t *o, *causes;

	ck_assert_int_eq(get_livez(&c, &e), 0);
	o = json_loads(rs.body, 0, NULL);
	causes = json_object_get(o, "causes");
	ck_assert_str_eq(json_string_value(json_object_get(o, "status")),
		rs.status == 200 ? "ok" : "unavailable");
	snprintf(ret, 32, "%s",
		json_array_size(causes)
			? json_string_value(json_object_get(json_array_get(causes, 0), "code"))
			: "");
	json_decref(o);
	free(rs.body);
	return rs.status;
}

START_TEST(before_the_main_loop_has_begun_it_lives)
{
	char code[32];

	ck_assert_int_eq(livez(code), 200);
	ck_assert_str_eq(code, "");
}
END_TEST

START_TEST(a_thread_that_hangs_ends_the_life_until_it_comes_round)
{
	char code[32];

	health_beat(&api, false, "station A3 has not moved for 31 s");
	ck_assert_int_eq(livez(code), 503);
	ck_assert_str_eq(code, "thread-hangs");
	health_beat(&api, true, "");
	ck_assert_int_eq(livez(code), 200);
}
END_TEST

START_TEST(a_main_loop_that_is_late_is_seen_without_it)
{
	char code[32];

	health_beat(&api, true, "");
	api.beat_us = now_us() - 19 * US_PER_S;
	ck_assert_int_eq(livez(code), 200);
	api.beat_us = now_us() - 21 * US_PER_S;
	ck_assert_int_eq(livez(code), 503);
	ck_assert_str_eq(code, "main-loop-hangs");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("health");
	TCase *t = tcase_create("health");

	tcase_add_checked_fixture(t, open_api, close_api);
	tcase_add_test(t, before_the_main_loop_has_begun_it_lives);
	tcase_add_test(t, a_thread_that_hangs_ends_the_life_until_it_comes_round);
	tcase_add_test(t, a_main_loop_that_is_late_is_seen_without_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
