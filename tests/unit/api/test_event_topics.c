/* SPDX-License-Identifier: Apache-2.0
 *
 * A request that waits for events is woken by each that its filters let through, and mostly by no other.
 */
#include "api/event_topics.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct feed_news finished = {
	.seq = 1, .type = "run-finished", .station = "A1", .job = "j", .run = "r", .serial = "S1"};
static const struct feed_news bare = {.seq = 2, .type = "pool-created", .station = "", .job = NULL};

static bool wakes(const struct feed_news *n, struct event_filter f)
{
	char topic[EVENT_TOPICS][WAIT_TOPIC_SIZE];
	char asked[WAIT_TOPIC_SIZE];
	const size_t count = event_topics_of(n, topic);

	event_topic(&f, asked);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(topic[i], asked))
			return true;
	return false;
}

START_TEST(what_a_filter_lets_through_wakes_it)
{
	ck_assert(wakes(&finished, (struct event_filter){0}));
	ck_assert(wakes(&bare, (struct event_filter){.type = ""}));
	ck_assert(wakes(&finished, (struct event_filter){.type = "run-finished"}));
	ck_assert(wakes(&finished, (struct event_filter){.type = "run-*,pool-low"}));
	ck_assert(wakes(&finished, (struct event_filter){.station = "A1", .type = "run-finished"}));
	ck_assert(wakes(&finished, (struct event_filter){.job = "j", .station = "A1"}));
	ck_assert(wakes(&finished, (struct event_filter){.run = "r", .job = "j"}));
	ck_assert(wakes(&finished, (struct event_filter){.serial = "S1"}));
}
END_TEST

START_TEST(another_one_does_not)
{
	ck_assert(!wakes(&finished, (struct event_filter){.type = "run-started"}));
	ck_assert(!wakes(&finished, (struct event_filter){.station = "A2"}));
	ck_assert(!wakes(&finished, (struct event_filter){.job = "S1"}));
	ck_assert(!wakes(&bare, (struct event_filter){.serial = "S1", .type = "pool-created"}));
}
END_TEST

START_TEST(long_values_are_cut_on_both_sides)
{
	char serial[200];

	memset(serial, 'x', sizeof serial - 1);
	serial[sizeof serial - 1] = '\0';
	ck_assert(wakes(&(struct feed_news){.type = "t", .serial = serial},
		(struct event_filter){.serial = serial}));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("event_topics");
	TCase *t = tcase_create("event_topics");

	tcase_add_test(t, what_a_filter_lets_through_wakes_it);
	tcase_add_test(t, another_one_does_not);
	tcase_add_test(t, long_values_are_cut_on_both_sides);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
