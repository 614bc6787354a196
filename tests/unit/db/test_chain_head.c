/* SPDX-License-Identifier: Apache-2.0 */
#include "db/chain_head.h"

#include "db/events.h"
#include "tests/unit/db/fixture.h"

static struct chain_head told;

static void setup(void)
{
	fixture_setup();
	told = (struct chain_head){.chain = -1};
}

static size_t events(json_t **ret_last)
{
	struct db_page page = {.limit = 1000};
	struct db_list list = {0};
	struct event_filter f = {0};
	json_t *o;
	size_t i;
	size_t n = 0;

	OK(events_list(fx.db, &f, &page, &list, &fx.e));
	json_array_foreach(list.items, i, o) {
		if (strcmp(str_at(o, "type"), "chain-head") != 0)
			continue;
		n++;
		json_decref(*ret_last);
		*ret_last = json_incref(o);
	}
	json_decref(list.items);
	return n;
}

static void tell(void)
{
	struct chain_head head;

	OK(chain_head_tell(fx.db, &told, NULL, &head, &fx.e));
	told = head;
}

START_TEST(each_head_is_said_once_also_across_a_restart)
{
	json_t *last = NULL;

	tell();
	ck_assert_int_eq(told.chain, 0);
	ck_assert_uint_eq(events(&last), 0);
	open_run("r1", "A1", NULL);
	tell();
	ck_assert_uint_eq(events(&last), 0);
	finish_run("r1", "passed");
	tell();
	tell();
	ck_assert_uint_eq(events(&last), 1);
	ck_assert_int_eq(int_at(last, "data.chain"), 1);
	ck_assert_str_eq(str_at(last, "data.hash"), told.hash);
	ck_assert_uint_eq(strlen(told.hash), 64);
	ck_assert_str_eq(str_at(last, "data.run"), "r1");
	/* A start knows nothing, but the events do. */
	told.chain = -1;
	tell();
	ck_assert_uint_eq(events(&last), 1);
	open_run("r2", "A1", NULL);
	finish_run("r2", "failed");
	told.chain = -1;
	tell();
	ck_assert_uint_eq(events(&last), 2);
	ck_assert_int_eq(int_at(last, "data.chain"), 2);
	json_decref(last);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("chain_head");
	TCase *t = tcase_create("chain_head");

	tcase_add_checked_fixture(t, setup, fixture_teardown);
	tcase_add_test(t, each_head_is_said_once_also_across_a_restart);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
