/* SPDX-License-Identifier: Apache-2.0
 *
 * Several requests at a time against servers of this process: one that says nothing delays no other, an
 * answer without an end is cut, and nothing goes where the list does not allow it.
 */
#include "transports/links/http_many.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"

#define FOREVER_US (20 * US_PER_S)

/* One connection. */
struct server {
	int fd;
	pthread_t thread;
	const char *say;  /* NULL: nothing, until the client leaves */
	size_t more;	  /* bytes after it */
	bool met;	  /* somebody connected */
	int connections;  /* of serve_kept() */
	int gate;	  /* its first answer waits for a byte of this; 0: it does not */
	char asked[4096]; /* of serve_kept(): the last request */
	char url[64];
};

static struct server quick, slow;
static struct http_allow allow, nobody;
static struct http_many *many;
static struct err e;
static unsigned lists;

static void send_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, text, n, MSG_NOSIGNAL);

		if (k <= 0)
			return;
		text += k;
		n -= (size_t)k;
	}
}

static void *serve(void *arg)
{
	struct server *s = arg;
	char filler[4096], byte;
	int fd = accept(s->fd, NULL, NULL);

	if (fd < 0)
		return NULL;
	s->met = true;
	memset(filler, 'x', sizeof filler);
	(void)!recv(fd, filler, sizeof filler, 0);
	if (s->say)
		send_all(fd, s->say, strlen(s->say));
	for (size_t sent = 0; sent < s->more; sent += sizeof filler)
		send_all(fd, filler, sizeof filler);
	while (!s->say && read(fd, &byte, 1) > 0)
		;
	close(fd);
	return NULL;
}

static void begin_by(struct server *s, void *(*serve_one)(void *), const char *say, size_t more)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	*s = (struct server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.say = say,
		.more = more,
		.gate = s->gate};
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(s->fd, 4), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/x", ntohs(a.sin_port));
	ck_assert_int_eq(pthread_create(&s->thread, NULL, serve_one, s), 0);
}

static void begin(struct server *s, const char *say, size_t more)
{
	begin_by(s, serve, say, more);
}

static void end(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

static void wait_at_gate(struct server *s)
{
	char byte;

	if (s->gate)
		ck_assert_int_eq(read(s->gate, &byte, 1), 1);
	s->gate = 0;
}

/* Answers on any of its connections, and counts them. */
static void *serve_kept(void *arg)
{
	struct server *s = arg;
	struct pollfd p[8] = {{.fd = s->fd, .events = POLLIN}};
	nfds_t n = 1;
	ssize_t k;

	while (poll(p, n, -1) > 0 && !(p[0].revents & POLLHUP)) {
		if (p[0].revents) {
			p[n] = (struct pollfd){.fd = accept(s->fd, NULL, NULL), .events = POLLIN};
			if (p[n].fd < 0 || n + 1 == ARRAY_LEN(p))
				break;
			s->connections++;
			n++;
		}
		for (nfds_t i = 1; i < n; i++) {
			if (!p[i].revents)
				continue;
			k = recv(p[i].fd, s->asked, sizeof s->asked - 1, 0);
			if (k > 0) {
				s->asked[k] = 0;
				wait_at_gate(s);
				send_all(p[i].fd, s->say, strlen(s->say));
			} else {
				p[i].events = p[i].revents = 0;
			}
		}
	}
	for (nfds_t i = 1; i < n; i++)
		close(p[i].fd);
	return NULL;
}

static void setup(void)
{
	many = http_many_new();
	ck_assert_int_eq(http_allow_add(&allow, "127.0.0.0/8", &e), 0);
	ck_assert_int_eq(http_allow_add(&nobody, "192.0.2.0/24", &e), 0);
}

static void teardown(void)
{
	http_many_free(many);
	http_allow_done(&allow);
	http_allow_done(&nobody);
}

static void add(const char *url, const struct http_allow *to, uint64_t timeout_us, int *tag)
{
	static const char *const headers[] = {"webhook-id: 1", NULL};
	const struct http_post p = {.url = url,
		.headers = headers,
		.body = "{}",
		.timeout_us = timeout_us,
		.answer_bytes = 100,
		.allow = to,
		.clear = &nobody,
		.lists = lists};

	http_many_add(many, &p, tag);
}

static struct http_end next(void)
{
	struct http_end got;

	while (!http_many_next(many, &got))
		http_many_wait(many, FOREVER_US);
	return got;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

START_TEST(one_that_says_nothing_delays_no_other)
{
	int first = 1, second = 2;
	struct http_end got;

	begin(&slow, NULL, 0);
	begin(&quick, OK_HEAD, 0);
	add(slow.url, &allow, FOREVER_US, &first);
	add(quick.url, &allow, FOREVER_US, &second);
	ck_assert_uint_eq(http_many_count(many), 2);
	got = next();
	ck_assert_ptr_eq(got.data, &second);
	ck_assert_int_eq(got.result, 0);
	ck_assert_int_eq(got.answer.status, 200);
	ck_assert_str_eq(got.answer.body.s, "{}");
	http_answer_done(&got.answer);
	ck_assert_uint_eq(http_many_count(many), 1);
	/* A wake ends the wait, from any thread and also before it began. */
	http_many_wake(many);
	http_many_wait(many, FOREVER_US);
	ck_assert(!http_many_next(many, &got));
	many = http_many_free(many); /* breaks it off */
	end(&slow);
	end(&quick);
}
END_TEST

START_TEST(of_an_answer_without_an_end_the_start_is_enough)
{
	struct http_end got;

	begin(&quick, "HTTP/1.1 503 No\r\n\r\n", 8 << 20);
	add(quick.url, &allow, FOREVER_US, NULL);
	got = next();
	ck_assert_msg(got.result == 0, "%s", got.err.msg);
	ck_assert_int_eq(got.answer.status, 503);
	ck_assert_uint_eq(got.answer.body.len, 100);
	http_answer_done(&got.answer);
	end(&quick);
}
END_TEST

/* What the receiver says of an event is the whole head, not how it begins. */
START_TEST(an_answer_that_breaks_off_in_its_head_is_none)
{
	static const char *const heads[] = {"HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Len",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"};
	struct http_end got;

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		begin(&quick, heads[i], 0);
		add(quick.url, &allow, FOREVER_US, NULL);
		got = next();
		ck_assert_msg(got.result == -ERR_SERVICE_DOWN, "%s: %d", heads[i], got.result);
		ck_assert_msg(
			strstr(got.err.msg, "broke the connection off") != NULL, "%s", got.err.msg);
		http_answer_done(&got.answer);
		end(&quick);
	}
}
END_TEST

START_TEST(one_that_takes_too_long_has_its_own_sentence)
{
	struct http_end got;

	begin(&slow, NULL, 0);
	add(slow.url, &allow, 50000, NULL);
	got = next();
	ck_assert_int_eq(got.result, -ERR_SERVICE_DOWN);
	ck_assert_msg(strstr(got.err.msg, "did not answer in 50 ms") != NULL, "%s", got.err.msg);
	http_answer_done(&got.answer);
	end(&slow);
}
END_TEST

START_TEST(nothing_connects_where_the_list_does_not_allow_it)
{
	struct http_end got;
	_cleanup_(freep) char *by_name = NULL;

	begin(&quick, OK_HEAD, 0);
	by_name = xasprintf("http://localhost%s", strrchr(quick.url, ':'));
	for (int i = 0; i < 2; i++) {
		add(i ? by_name : quick.url, &nobody, FOREVER_US, NULL);
		got = next();
		ck_assert_int_eq(got.result, -ERR_SERVICE_UNTRUSTED);
		ck_assert_msg(strstr(got.err.msg, "does not allow") != NULL, "%s", got.err.msg);
		ck_assert(!got.answer.sent);
		http_answer_done(&got.answer);
	}
	end(&quick);
	ck_assert(!quick.met);
}
END_TEST

/* What the lists say is looked at as a connection is made: it is not used again under others. */
START_TEST(a_connection_is_used_again_until_the_lists_are_others)
{
	struct http_end got;

	begin_by(&quick, serve_kept, OK_HEAD, 0);
	for (int i = 0; i < 6; i++) {
		lists = i < 3 ? 1 : 2;
		add(quick.url, i == 5 ? &nobody : &allow, FOREVER_US, NULL);
		got = next();
		ck_assert_int_eq(got.result, i == 5 ? -ERR_SERVICE_UNTRUSTED : 0);
		http_answer_done(&got.answer);
		ck_assert_int_eq(quick.connections, i < 3 ? 1 : MIN(i - 1, 3));
	}
	end(&quick);
}
END_TEST

/* A receiver that is slow to answer has its connection from before the lists changed, however long ago that is. */
START_TEST(a_connection_of_a_late_answer_is_not_used_again_under_other_lists)
{
	struct http_end got;
	int gate[2], late = 1;

	ck_assert_int_eq(pipe(gate), 0);
	slow.gate = gate[0];
	begin_by(&slow, serve_kept, OK_HEAD, 0);
	begin_by(&quick, serve_kept, OK_HEAD, 0);
	lists = 1;
	add(slow.url, &allow, FOREVER_US, &late);
	lists = 2;
	add(quick.url, &allow, FOREVER_US, NULL);
	got = next();
	ck_assert_ptr_null(got.data);
	http_answer_done(&got.answer);
	/* Longer than any connection that was idle as the lists changed is kept. */
	http_many_wait(many, 7 * US_PER_S);
	ck_assert_int_eq(write(gate[1], "x", 1), 1);
	got = next();
	ck_assert_ptr_eq(got.data, &late);
	ck_assert_int_eq(got.result, 0);
	http_answer_done(&got.answer);
	add(slow.url, &nobody, FOREVER_US, NULL);
	got = next();
	ck_assert_int_eq(got.result, -ERR_SERVICE_UNTRUSTED);
	http_answer_done(&got.answer);
	end(&slow);
	end(&quick);
	close(gate[0]);
	close(gate[1]);
}
END_TEST

static void ask(const char *const *headers, const char *body, size_t answer_bytes)
{
	const struct http_post p = {.url = quick.url,
		.headers = headers,
		.body = body,
		.timeout_us = FOREVER_US,
		.answer_bytes = answer_bytes,
		.allow = &allow,
		.clear = &nobody,
		.lists = lists};
	struct http_end got;

	http_many_add(many, &p, NULL);
	got = next();
	ck_assert_int_eq(got.result, 0);
	ck_assert_uint_eq(got.answer.body.len, MIN(answer_bytes, (size_t)2));
	http_answer_done(&got.answer);
}

/* A handle is used again: what one request said is not in the next one. */
START_TEST(a_request_has_nothing_of_the_one_before_it)
{
	begin_by(&quick, serve_kept, OK_HEAD, 0);
	ask((const char *const[]){"webhook-id: 1", "Authorization: first", NULL}, "{\"long\": 1}",
		1);
	ck_assert_ptr_nonnull(strstr(quick.asked, "Authorization: first"));
	ck_assert_ptr_nonnull(strstr(quick.asked, "{\"long\": 1}"));
	ask((const char *const[]){"webhook-id: 2", NULL}, "{}", 100);
	ck_assert_ptr_nonnull(strstr(quick.asked, "webhook-id: 2"));
	ck_assert_ptr_nonnull(strstr(quick.asked, "Content-Length: 2\r\n"));
	ck_assert_ptr_nonnull(strstr(quick.asked, "\r\n\r\n{}"));
	ck_assert_ptr_null(strstr(quick.asked, "Authorization"));
	ck_assert_ptr_null(strstr(quick.asked, "webhook-id: 1"));
	ck_assert_ptr_null(strstr(quick.asked, "long"));
	end(&quick);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("http_many");
	TCase *t = tcase_create("http_many");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_that_says_nothing_delays_no_other);
	tcase_add_test(t, of_an_answer_without_an_end_the_start_is_enough);
	tcase_add_test(t, an_answer_that_breaks_off_in_its_head_is_none);
	tcase_add_test(t, one_that_takes_too_long_has_its_own_sentence);
	tcase_add_test(t, a_connection_is_used_again_until_the_lists_are_others);
	tcase_add_test(t, a_connection_of_a_late_answer_is_not_used_again_under_other_lists);
	tcase_add_test(t, a_request_has_nothing_of_the_one_before_it);
	tcase_add_test(t, nothing_connects_where_the_list_does_not_allow_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
