/* SPDX-License-Identifier: Apache-2.0
 *
 * Who keeps a connection and who loses one, with a clock and addresses of the test's.
 */
#include "api/conns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/iotime.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define MANY 64

static const struct conn_limits limits = {
	.total = 20,
	.anonymous = 8,
	.anonymous_per_address = 5,
	.owner = 6,
	.header_us = 10 * US_PER_S,
	.idle_us = 75 * US_PER_S,
	.body_us = 30 * US_PER_S,
	.body_rate_bytes = 1000,
	.answer_us = 60 * US_PER_S,
};
static struct conns *conns;
static struct conn *open_[MANY];
static bool cut[MANY], unread[MANY], ended[MANY];
static uint64_t now;

static void on_cut(void *data, int fd)
{
	ck_assert(!cut[fd]);
	cut[fd] = true;
}

static bool on_unread(void *data, int fd)
{
	return unread[fd];
}

static bool on_ended(void *data, int fd)
{
	return ended[fd];
}

static const struct conns_ops ops = {on_cut, on_unread, on_ended};

static void setup(void)
{
	memset(cut, 0, sizeof cut);
	memset(unread, 0, sizeof unread);
	memset(ended, 0, sizeof ended);
	memset(open_, 0, sizeof open_);
	now = 1000 * US_PER_S;
	conns = conns_new(&limits, &ops, NULL);
}

static void teardown(void)
{
	struct conn_counts n;

	for (int i = 0; i < MANY; i++)
		conn_close(open_[i]);
	conns_counts(conns, &n);
	ck_assert_uint_eq(n.open, 0);
	ck_assert_uint_eq(n.anonymous, 0);
	conns_free(conns);
}

static void opens(int fd, const char *address)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	now++;
	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
		open_[fd] = conn_open(conns, fd, (struct sockaddr *)&v4, now);
		return;
	}
	ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	open_[fd] = conn_open(conns, fd, (struct sockaddr *)&v6, now);
}

static void opens_many(int from, int n, const char *address, const char *owner)
{
	for (int i = from; i < from + n; i++) {
		opens(i, address);
		if (owner)
			ck_assert(conn_own(open_[i], owner));
	}
}

static int cuts(int from, int n)
{
	int found = 0;

	for (int i = from; i < from + n; i++)
		found += cut[i];
	return found;
}

START_TEST(an_address_without_a_token_loses_its_oldest)
{
	opens_many(0, 5, "10.0.0.1", NULL);
	ck_assert_int_eq(cuts(0, 5), 0);
	opens(5, "10.0.0.1");
	ck_assert(cut[0]);
	ck_assert_int_eq(cuts(0, 6), 1);
	/* Another address pays nothing for it. */
	opens_many(6, 2, "10.0.0.2", NULL);
	opens_many(8, 10, "10.0.0.1", NULL);
	ck_assert_int_eq(cuts(6, 2), 0);
}
END_TEST

START_TEST(what_waits_to_be_read_goes_after_what_says_nothing)
{
	opens_many(0, 5, "10.0.0.1", NULL);
	unread[0] = unread[1] = true;
	opens_many(5, 3, "10.0.0.1", NULL);
	ck_assert_int_eq(cuts(0, 2), 0);
	ck_assert_int_eq(cuts(2, 3), 3);
	/* Where all say something the oldest goes: there is no place for more of them. */
	memset(unread, true, sizeof unread);
	opens(8, "10.0.0.1");
	ck_assert(cut[0]);
	ck_assert(!cut[1]);
}
END_TEST

START_TEST(of_all_without_a_token_the_largest_address_pays)
{
	opens_many(0, 2, "10.0.0.2", NULL);
	opens_many(2, 5, "10.0.0.1", NULL);
	opens_many(7, 1, "10.0.0.3", NULL);
	ck_assert_int_eq(cuts(0, 8), 0);
	opens_many(8, 1, "10.0.0.4", NULL);
	ck_assert(cut[2]);
	ck_assert_int_eq(cuts(0, 9), 1);
}
END_TEST

START_TEST(a_network_of_ipv6_counts_as_one_address)
{
	char address[40];

	for (int i = 0; i < 6; i++) {
		snprintf(address, sizeof address, "2001:db8:1:2::%d", i + 1);
		opens(i, address);
	}
	ck_assert(cut[0]);
	ck_assert_str_eq(conn_peer(open_[5]), "2001:db8:1:2::6");
	opens(6, "2001:db8:1:3::1");
	ck_assert_int_eq(cuts(0, 7), 1);
}
END_TEST

/* However many come without one, those with a token stay, and new ones of theirs find room. */
START_TEST(a_flood_without_tokens_leaves_those_with_one)
{
	opens_many(0, 6, "10.0.0.9", "anna");
	opens_many(6, 6, "10.0.0.9", "bert");
	for (int i = 12; i < 60; i++) {
		opens(i, i % 2 ? "10.0.0.1" : "10.0.0.2");
		conn_phase(open_[i], CONN_HEADER, now);
	}
	ck_assert_int_eq(cuts(0, 12), 0);
	opens(60, "10.0.0.1");
	ck_assert(conn_own(open_[60], "carl"));
	ck_assert(!cut[60]);
}
END_TEST

START_TEST(a_principal_loses_the_one_that_rested_longest)
{
	opens_many(0, 6, "10.0.0.1", "anna");
	/* 0 has just been used, 1 is at work. */
	conn_phase(open_[0], CONN_WAITING, now + 100);
	conn_phase(open_[1], CONN_WORKING, now);
	opens(6, "10.0.0.1");
	ck_assert(conn_own(open_[6], "anna"));
	ck_assert(cut[2]);
	ck_assert_int_eq(cuts(0, 7), 1);
}
END_TEST

START_TEST(a_principal_with_all_in_use_is_refused)
{
	opens_many(0, 6, "10.0.0.1", "anna");
	for (int i = 0; i < 6; i++)
		conn_phase(open_[i], CONN_ANSWERING, now);
	opens(6, "10.0.0.1");
	ck_assert(!conn_own(open_[6], "anna"));
	ck_assert(conn_own(open_[6], "bert"));
	ck_assert_int_eq(cuts(0, 7), 0);
}
END_TEST

START_TEST(a_full_house_of_tokens_gives_up_what_rests)
{
	static const char *const names[] = {"a", "b", "c", "d"};

	for (int i = 0; i < 20; i++) {
		opens(i, "10.0.0.1");
		ck_assert(conn_own(open_[i], names[i % 4]));
		conn_phase(open_[i], i == 7 ? CONN_WAITING : CONN_ANSWERING, now);
	}
	opens(20, "10.0.0.2");
	ck_assert(cut[7]);
	ck_assert(!cut[20]);
	/* Nobody rests: the new one goes. */
	ck_assert(conn_own(open_[20], "e"));
	conn_phase(open_[20], CONN_WORKING, now);
	opens(21, "10.0.0.2");
	ck_assert(cut[21]);
}
END_TEST

START_TEST(a_header_has_its_time_however_it_drips)
{
	opens(0, "10.0.0.1"); /* silent */
	opens(1, "10.0.0.1");
	conn_phase(open_[1], CONN_HEADER, now);
	opens(2, "10.0.0.1");
	conn_own(open_[2], "anna"); /* rests */
	ck_assert_uint_eq(conns_sweep(conns, now + 9 * US_PER_S), 0);
	ck_assert_uint_eq(conns_sweep(conns, now + 11 * US_PER_S), 2);
	ck_assert(cut[0] && cut[1] && !cut[2]);
	ck_assert_uint_eq(conns_sweep(conns, now + 11 * US_PER_S), 0);
	ck_assert_uint_eq(conns_sweep(conns, now + 76 * US_PER_S), 1);
}
END_TEST

START_TEST(a_body_has_time_by_what_came)
{
	for (int i = 0; i < 3; i++) {
		opens(i, "10.0.0.1");
		conn_own(open_[i], "anna");
		conn_phase(open_[i], CONN_BODY, now);
	}
	conn_body(open_[1], 60 * 1000);
	conn_phase(open_[2], CONN_WORKING, now); /* came, and is being parsed */
	ck_assert_uint_eq(conns_sweep(conns, now + 31 * US_PER_S), 1);
	ck_assert(cut[0] && !cut[1]);
	ck_assert_uint_eq(conns_sweep(conns, now + 89 * US_PER_S), 0);
	ck_assert_uint_eq(conns_sweep(conns, now + 91 * US_PER_S), 1);
	ck_assert(cut[1]);
	ck_assert_uint_eq(conns_sweep(conns, now + 4000 * US_PER_S), 0);
}
END_TEST

/* Not at once: what came before the end may still be on its way to a handler. */
START_TEST(what_its_client_gave_up_is_cut_at_the_second_look)
{
	static const enum conn_phase phases[] = {
		CONN_HEADER, CONN_BODY, CONN_BODY, CONN_WORKING, CONN_ANSWERING, CONN_WAITING};

	for (int i = 0; i < 6; i++) {
		opens(i, "10.0.0.1");
		conn_own(open_[i], "anna");
		conn_phase(open_[i], phases[i], now);
		ended[i] = true;
	}
	ck_assert_uint_eq(conns_sweep(conns, now), 0);
	conn_body(open_[2], 10); /* goes on */
	ck_assert_uint_eq(conns_sweep(conns, now), 2);
	ck_assert(cut[0] && cut[1]);
	conn_phase(open_[2], CONN_WORKING, now); /* it was whole */
	ck_assert_uint_eq(conns_sweep(conns, now), 0);
	ck_assert_int_eq(cuts(0, 6), 2);
}
END_TEST

START_TEST(an_answer_is_taken_in_time_by_who_has_no_token)
{
	opens(0, "10.0.0.1");
	opens(1, "10.0.0.1");
	conn_own(open_[1], "wall");
	conn_phase(open_[0], CONN_ANSWERING, now);
	conn_phase(open_[1], CONN_ANSWERING, now); /* live events go on for days */
	ck_assert_uint_eq(conns_sweep(conns, now + 61 * US_PER_S), 1);
	ck_assert(cut[0]);
	ck_assert_uint_eq(conns_sweep(conns, now + 1000000 * US_PER_S), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("conns");
	TCase *t = tcase_create("conns");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_address_without_a_token_loses_its_oldest);
	tcase_add_test(t, what_waits_to_be_read_goes_after_what_says_nothing);
	tcase_add_test(t, of_all_without_a_token_the_largest_address_pays);
	tcase_add_test(t, a_network_of_ipv6_counts_as_one_address);
	tcase_add_test(t, a_flood_without_tokens_leaves_those_with_one);
	tcase_add_test(t, a_principal_loses_the_one_that_rested_longest);
	tcase_add_test(t, a_principal_with_all_in_use_is_refused);
	tcase_add_test(t, a_full_house_of_tokens_gives_up_what_rests);
	tcase_add_test(t, a_header_has_its_time_however_it_drips);
	tcase_add_test(t, a_body_has_time_by_what_came);
	tcase_add_test(t, what_its_client_gave_up_is_cut_at_the_second_look);
	tcase_add_test(t, an_answer_is_taken_in_time_by_who_has_no_token);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
