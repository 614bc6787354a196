/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <poll.h>

#include "base/thread.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define SENDERS 4
#define EACH	2000

struct letter {
	int sender, n;
};

struct sender {
	pthread_t thread;
	struct mailbox *box;
	int id;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int n = 0; n < EACH; n++) {
		struct letter *l = xcalloc(1, sizeof *l);

		*l = (struct letter){s->id, n};
		while (mailbox_post(s->box, l, NULL) == -ERR_OVERLOADED)
			sched_yield(); /* refused: still ours */
	}
	return NULL;
}

START_TEST(many_senders_lose_nothing_and_each_keeps_its_order)
{
	struct sender s[SENDERS];
	int next[SENDERS] = {0};
	struct iotime it = {now_us() + 30 * US_PER_S, NULL};
	struct mailbox *box = NULL;
	struct err e = {0};

	ck_assert_int_eq(mailbox_new(16, free, &box, &e), 0);
	for (int i = 0; i < SENDERS; i++) {
		s[i] = (struct sender){.box = box, .id = i};
		ck_assert_int_eq(thread_start(&s[i].thread, "sender", send_all, &s[i], &e), 0);
	}
	for (int i = 0; i < SENDERS * EACH; i++) {
		void *item;

		ck_assert_int_eq(mailbox_wait(box, &it, &item, &e), 0);

		struct letter *l = item;

		ck_assert_int_eq(l->n, next[l->sender]++);
		free(l);
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(s[i].thread, NULL);
	ck_assert_ptr_null(mailbox_take(box));
	mailbox_free(box);
}
END_TEST

START_TEST(a_full_box_refuses_and_its_fd_tells_whether_it_is_empty)
{
	struct mailbox *box = NULL;
	struct err e = {0};

	ck_assert_int_eq(mailbox_new(2, free, &box, &e), 0);

	struct pollfd p = {.fd = mailbox_fd(box), .events = POLLIN};
	char *third = xstrdup("c");

	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(mailbox_post(box, xstrdup("a"), &e), 0);
	ck_assert_int_eq(mailbox_post(box, xstrdup("b"), &e), 0);
	ck_assert_int_eq(mailbox_post(box, third, &e), -ERR_OVERLOADED);
	ck_assert_int_eq(poll(&p, 1, 0), 1);

	char *got = mailbox_take(box);

	ck_assert_str_eq(got, "a");
	free(got);
	ck_assert_int_eq(poll(&p, 1, 0), 1);
	free(mailbox_take(box));
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	ck_assert_int_eq(mailbox_post(box, third, &e), 0);
	mailbox_free(box); /* frees what is left: the sanitizer would tell */
}
END_TEST

START_TEST(waiting_for_mail_ends_with_the_deadline_or_the_cancel)
{
	struct mailbox *box = NULL;
	struct cancel c;
	struct err e = {0};
	void *item;

	ck_assert_int_eq(mailbox_new(2, NULL, &box, &e), 0);
	ck_assert_int_eq(cancel_init(&c, &e), 0);

	struct iotime it = {now_us() + 1000, &c};

	ck_assert_int_eq(mailbox_wait(box, &it, &item, &e), -ERR_TIMEOUT);
	cancel_fire(&c, ERR_SHUTDOWN);
	it.deadline_us = NO_DEADLINE;
	ck_assert_int_eq(mailbox_wait(box, &it, &item, &e), -ERR_SHUTDOWN);
	cancel_done(&c);
	mailbox_free(box);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mailbox");
	TCase *t = tcase_create("mailbox");

	tcase_set_timeout(t, 40);
	tcase_add_test(t, many_senders_lose_nothing_and_each_keeps_its_order);
	tcase_add_test(t, a_full_box_refuses_and_its_fd_tells_whether_it_is_empty);
	tcase_add_test(t, waiting_for_mail_ends_with_the_deadline_or_the_cancel);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
