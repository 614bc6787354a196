/* SPDX-License-Identifier: Apache-2.0
 *
 * One client of the live events: what it missed, then what comes, each event once and in order; filters; one
 * that is too slow is told so, and where to go on.
 */
#include "api/live.h"

#include "base/iotime.h"
#include "base/strbuf.h"
#include "db/events.h"
#include "tests/unit/db/fixture.h"

#define RING 8

static struct readers *readers;
static struct feed *feed;
static struct live *live;
static bool may;
static struct strbuf got;
static uint64_t now;

static bool allowed(void *data)
{
	return may;
}

static void notify(void *data)
{
}

static void setup(void)
{
	fixture_setup();
	readers = readers_new(fx.path);
	OK(feed_new(RING, &feed, &fx.e));
	live = NULL;
	may = true;
	now = 1000 * US_PER_S;
}

static void teardown(void)
{
	live_free(live);
	feed_free(feed);
	readers_free(readers);
	sb_done(&got);
	fixture_teardown();
}

/* As the writer does it: committed, then published. */
static void happen(const char *type, const char *station, const char *serial)
{
	int64_t first;
	int64_t seq;
	char json[64];

	TX(db_event(fx.db, type, station, "j1", "r1", serial, NULL, &fx.e));
	OK(events_bounds(fx.db, &first, &seq, &fx.e));
	snprintf(json, sizeof json, "{\"seq\":%lld}", (long long)seq);
	feed_publish(feed, &(struct feed_news){seq, type, station, "j1", "r1", serial}, json);
}

static void open_live(struct live_opts o)
{
	int64_t first;
	int64_t last;

	o.readers = readers;
	o.feed = feed;
	o.allowed = allowed;
	o.notify = notify;
	OK(events_bounds(fx.db, &first, &last, &fx.e));
	live = live_new(&o, now);
	live_begin(live, last);
}

/* All that there is now, with the numbers of the events as "1,2,3" and the other types by name. false: the
 * stream has ended. */
static bool take(size_t size, char *ret, size_t ret_size)
{
	char buf[4096];
	long n;

	sb_clear(&got);
	while ((n = live_read(live, buf, size, now)) > 0)
		sb_add_n(&got, buf, (size_t)n);
	*ret = 0;
	for (const char *p = got.s; p && *p; p = strstr(p, "\n\n") + 2) {
		char line[64] = "";
		long long seq;
		size_t at = strlen(ret);

		ck_assert_ptr_nonnull(strstr(p, "\n\n"));
		if (sscanf(p, "id: %lld", &seq) == 1)
			snprintf(line, sizeof line, "%lld", seq);
		else if (sscanf(p, "event: %40s", line) != 1)
			continue;
		snprintf(ret + at, ret_size - at, "%s%s", at ? "," : "", line);
	}
	return n == 0;
}

static const char *seen(void)
{
	static char text[8192];

	ck_assert(take(100, text, sizeof text));
	return text;
}

START_TEST(what_was_missed_comes_first_then_what_comes)
{
	for (int i = 0; i < 3; i++)
		happen("step-finished", "A1", NULL);
	open_live((struct live_opts){.after = 1});
	happen("step-finished", "A1", NULL);
	feed_publish(feed, &(struct feed_news){.type = "station", .station = "A1"}, "{}");
	/* Event 4 is in the database and in the ring: it comes once. */
	ck_assert_str_eq(seen(), "2,3,4,station");
	happen("run-finished", "A1", "S1");
	ck_assert_str_eq(seen(), "5");
	ck_assert_ptr_nonnull(strstr(got.s, "id: 5\nevent: run-finished\ndata: {\"seq\":5}\n\n"));
}
END_TEST

START_TEST(one_that_knows_nothing_begins_with_what_comes)
{
	happen("step-finished", "A1", NULL);
	open_live((struct live_opts){.after = -1});
	ck_assert_str_eq(seen(), "");
	happen("step-finished", "A1", NULL);
	ck_assert_str_eq(seen(), "2");
}
END_TEST

/* The same filter for what is stored and for what comes. */
START_TEST(filters_hold_for_both)
{
	static const struct {
		struct live_opts o;
		const char *stored, *live;
	} row[] = {
		{{.types = "run-finished"}, "2,4", "6,8"},
		{{.types = "run-started,run-finished"}, "1,2,4", "5,6,8"},
		{{.types = "run-*"}, "1,2,4", "5,6,8"},
		{{.types = "pool-low"}, "", ""},
		{{.station = "A2"}, "3,4", "7,8"},
		{{.serial = "S2"}, "4", "8"},
		{{.types = "run-*", .station = "A1"}, "1,2", "5,6"},
		{{.job = "j1", .run = "r1"}, "1,2,3,4", "5,6,7,8"},
		{{.job = "j2"}, "", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		if (i) {
			teardown();
			setup();
		}
		for (int round = 0; round < 2; round++) {
			happen("run-started", "A1", "S1");
			happen("run-finished", "A1", "S1");
			happen("step-finished", "A2", NULL);
			happen("run-finished", "A2", "S2");
			if (round == 0)
				open_live(row[i].o);
			ck_assert_str_eq(seen(), round ? row[i].live : row[i].stored);
		}
	}
}
END_TEST

START_TEST(run_logs_are_for_those_who_ask)
{
	const struct feed_news n = {.type = "run-log", .station = "A1", .run = "r1"};

	open_live((struct live_opts){.after = -1});
	feed_publish(feed, &n, "{}");
	ck_assert_str_eq(seen(), "");
	live = live_free(live);
	open_live((struct live_opts){.after = -1, .log = true});
	feed_publish(feed, &n, "{}");
	ck_assert_str_eq(seen(), "run-log");
}
END_TEST

START_TEST(a_token_for_one_station_hears_of_that_one)
{
	json_t *scopes = json_pack("{s:[s]}", "stations", "A2");

	happen("step-finished", "A1", NULL);
	happen("step-finished", "A2", NULL);
	happen("pool-low", NULL, NULL);
	open_live((struct live_opts){.scopes = scopes});
	ck_assert_str_eq(seen(), "2");
	happen("step-finished", "A2", NULL);
	happen("step-finished", "A1", NULL);
	happen("pool-low", NULL, NULL);
	ck_assert_str_eq(seen(), "4");
	live = live_free(live);
	json_decref(scopes);
}
END_TEST

/* Any sizes of reads give the same bytes. */
START_TEST(a_frame_may_be_cut_anywhere)
{
	char text[256];

	happen("step-finished", "A1", NULL);
	open_live((struct live_opts){.beats = true});
	happen("step-finished", "A1", NULL);
	ck_assert(take(1, text, sizeof text));
	ck_assert_str_eq(text, "heartbeat,1,2");
	now += 950 * US_PER_MS;
	ck_assert(take(7, text, sizeof text));
	ck_assert_str_eq(text, "heartbeat");
	ck_assert_str_eq(got.s, "event: heartbeat\ndata: {\"seq\":2}\n\n");
	ck_assert_str_eq(seen(), "");
}
END_TEST

START_TEST(a_quiet_stream_has_a_comment)
{
	open_live((struct live_opts){.after = -1});
	ck_assert_str_eq(seen(), "");
	now += 9 * US_PER_S;
	ck_assert_str_eq(seen(), "");
	ck_assert_uint_eq(got.len, 0);
	now += 2 * US_PER_S;
	ck_assert_str_eq(seen(), "");
	ck_assert_str_eq(got.s, ": alive\n\n");
}
END_TEST

static void happen_often(void)
{
	for (int i = 0; i < RING + 2; i++)
		happen("step-finished", "A1", NULL);
}

/* Late by more than the ring it reads the database; late for a minute it is cut. */
START_TEST(one_that_is_too_slow_is_told_where_to_go_on)
{
	char text[256], buf[8];

	open_live((struct live_opts){.after = -1});
	happen("step-finished", "A1", NULL);
	ck_assert_str_eq(seen(), "1");
	happen_often();
	ck_assert_str_eq(seen(), "2,3,4,5,6,7,8,9,10,11,resync");
	/* It was up to date: the minute begins again. */
	now += 100 * US_PER_S;
	happen_often();
	ck_assert_int_gt(live_read(live, buf, sizeof buf, now), 0);
	now += 59 * US_PER_S;
	happen_often();
	ck_assert_int_gt(live_read(live, buf, sizeof buf, now), 0);
	now += 2 * US_PER_S;
	happen_often();
	ck_assert(!take(64, text, sizeof text));
	ck_assert_ptr_nonnull(strstr(got.s, "event: end\ndata: {\"code\":\"slow\",\"seq\":"));
	/* It goes on from there. */
	live = live_free(live);
	open_live((struct live_opts){.after = 38});
	ck_assert_str_eq(seen(), "39,40,41");
}
END_TEST

/* One that still reads what it had missed is not slow: it gets there, and learns that it saw no transient ones. */
START_TEST(one_that_was_behind_arrives_with_a_resync)
{
	char buf[64];

	for (int i = 0; i < 3; i++)
		happen("step-finished", "A1", NULL);
	open_live((struct live_opts){.after = 0});
	ck_assert_int_gt(live_read(live, buf, 4, now), 0);
	for (int i = 0; i < 2 * RING; i++)
		happen("step-finished", "A1", NULL);
	ck_assert_str_eq(seen(), "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,resync");
	happen("step-finished", "A1", NULL);
	ck_assert_str_eq(seen(), "20");
}
END_TEST

START_TEST(many_pages_come_whole_and_in_order)
{
	struct strbuf all = {0};

	OK(db_begin(fx.db, &fx.e));
	for (int i = 1; i <= 1001; i++) {
		int r = db_event(
			fx.db, i % 2 ? "odd" : "even", "A1", NULL, NULL, NULL, NULL, &fx.e);

		ck_assert_int_eq(r, 0);
		if (i % 2)
			sb_addf(&all, "%s%d", i > 1 ? "," : "", i);
	}
	OK(db_commit(fx.db, &fx.e));
	open_live((struct live_opts){.types = "odd"});
	ck_assert_str_eq(seen(), all.s);
	sb_done(&all);
}
END_TEST

START_TEST(one_that_may_no_longer_listen_hears_nothing_more)
{
	char text[64];

	open_live((struct live_opts){.after = -1});
	happen("step-finished", "A1", NULL);
	may = false;
	ck_assert(!take(64, text, sizeof text));
	ck_assert_str_eq(text, "");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("live");
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_missed_comes_first_then_what_comes);
	tcase_add_test(t, one_that_knows_nothing_begins_with_what_comes);
	tcase_add_test(t, filters_hold_for_both);
	tcase_add_test(t, run_logs_are_for_those_who_ask);
	tcase_add_test(t, a_token_for_one_station_hears_of_that_one);
	tcase_add_test(t, a_frame_may_be_cut_anywhere);
	tcase_add_test(t, a_quiet_stream_has_a_comment);
	tcase_add_test(t, one_that_is_too_slow_is_told_where_to_go_on);
	tcase_add_test(t, one_that_was_behind_arrives_with_a_resync);
	tcase_add_test(t, many_pages_come_whole_and_in_order);
	tcase_add_test(t, one_that_may_no_longer_listen_hears_nothing_more);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
