/* SPDX-License-Identifier: Apache-2.0
 *
 * The door in one process, with handlers of the test's: what is carried out apart holds nobody up,
 * and a handler that hangs is seen.
 */
#include "api/httpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>

#include "base/iotime.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static struct httpd *httpd;
static sem_t begun, may_end;

/* /direct is answered on the HTTP thread, anything else apart; /x/hang waits for the test. */
static int on_begin(void *data, struct request *rq, struct response *rs, struct intake *ret)
{
	*ret = (struct intake){.max_body = 1000,
		.direct = !strncmp(rq->path, "/direct", 7),
		.heavy = !strncmp(rq->path, "/heavy", 6),
		.owner = "someone"};
	return 0;
}

static void on_handle(void *data, struct request *rq, struct response *rs)
{
	if (strstr(rq->path, "/hang")) {
		sem_post(&begun);
		sem_wait(&may_end);
	}
	char *text = xasprintf("%s asked for %s", rq->peer, rq->path);

	response_text(rs, 200, "text/plain", text, strlen(text));
}

static void on_refuse(
	void *data, struct request *rq, struct response *rs, int status, const char *detail)
{
	response_text(rs, status, "text/plain", xstrdup(detail), strlen(detail));
}

static void on_done(void *data, struct request *rq)
{
}

static int on_upload(
	void *data, struct request *rq, uint64_t taken, uint64_t more, const char **ret_why)
{
	return 0;
}

static const struct httpd_ops ops = {on_begin, on_upload, on_handle, on_refuse, on_done};

static void setup(void)
{
	const struct httpd_listen local = {.host = "127.0.0.1"};
	const struct httpd_options o = {.listen = &local,
		.listens = 1,
		.listen_fd = -1,
		.upload_dir = "/tmp",
		.local_only = true};
	struct err e;

	sem_init(&begun, 0, 0);
	sem_init(&may_end, 0, 0);
	ck_assert_msg(httpd_start(&o, &ops, NULL, &httpd, &e) == 0, "%s", e.msg);
}

static void teardown(void)
{
	httpd_stop(httpd);
	sem_destroy(&begun);
	sem_destroy(&may_end);
}

static int say(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(httpd_port(httpd)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static int ask(const char *path)
{
	_cleanup_(freep) char *text =
		xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

	return say(text);
}

static void answered(int fd, const char *status, const char *body)
{
	char text[1024];
	size_t n = 0;
	ssize_t k;

	while ((k = read(fd, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)k;
	text[n] = 0;
	ck_assert_msg(!strncmp(text + 9, status, 3), "%s", text);
	ck_assert_msg(strstr(text, body) != NULL, "%s", text);
	close(fd);
}

START_TEST(a_request_that_takes_long_holds_nobody_up)
{
	int slow[20];

	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		slow[i] = ask("/heavy/hang");
	sem_wait(&begun);
	sem_wait(&begun);
	for (int i = 0; i < 20; i++) {
		answered(ask("/direct"), "200", "127.0.0.1");
		answered(ask("/light"), "200", "127.0.0.1");
	}
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		sem_post(&may_end);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++)
		answered(slow[i], "200", "127.0.0.1");
}
END_TEST

START_TEST(a_target_with_its_host_is_the_path_in_it)
{
	answered(ask("http://x/direct"), "200", "for /direct");
	answered(ask("HTTPS://x:8620/light"), "200", "for /light");
	answered(ask("http://x"), "200", "for /");
}
END_TEST

START_TEST(a_handler_that_hangs_is_seen)
{
	static const struct {
		const char *path;
		uint64_t patience_s;
	} rows[] = {{"/direct/hang", 60}, {"/light/hang", 300}, {"/heavy/hang", 3600}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		int fd = ask(rows[i].path);

		sem_wait(&begun);
		ck_assert_int_eq(httpd_alive(httpd, now_us(), &e), 0);
		ck_assert_msg(httpd_alive(httpd, now_us() + rows[i].patience_s * US_PER_S, &e) < 0,
			"%s", rows[i].path);
		sem_post(&may_end);
		answered(fd, "200", "127.0.0.1");
	}
}
END_TEST

START_TEST(the_stop_waits_for_what_is_carried_out)
{
	int fd = ask("/light/hang");

	sem_wait(&begun);
	sem_post(&may_end);
	httpd = httpd_stop(httpd);
	close(fd);
}
END_TEST

START_TEST(a_header_in_doubt_is_refused_before_a_handler_sees_it)
{
	answered(ask("/light?x=%00"), "400", "%00");
	answered(ask("/light HTTP/1.1\r\nA b: c"), "400", "'A b'");
	answered(say("GET /light HTTP/1.1\r\nConnection: close\r\n\r\n"), "400", "Host");
	answered(say("GET /light HTTP/1.0\r\n\r\n"), "200", "for /light");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("httpd");
	TCase *t = tcase_create("httpd");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_request_that_takes_long_holds_nobody_up);
	tcase_add_test(t, a_handler_that_hangs_is_seen);
	tcase_add_test(t, a_target_with_its_host_is_the_path_in_it);
	tcase_add_test(t, the_stop_waits_for_what_is_carried_out);
	tcase_add_test(t, a_header_in_doubt_is_refused_before_a_handler_sees_it);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
