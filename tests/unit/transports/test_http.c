/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP exchange of workers against a server of this process that answers with what the test says.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "transports/links/http.h"

#include "transports/links/http_auth.h"

/* One connection at a time. */
static struct server {
	int fd;
	pthread_t thread;
	const char *say; /* then it closes */
	size_t again;	 /* how often `more` follows */
	const char *more;
	struct cancel *fire; /* when the request is there; then it says nothing */
	bool hang;	     /* says nothing until the client leaves */
	unsigned connections;
	char got[8192];
} server;

static struct cancel cancel;
static struct http_service service;
static struct http_answer answer;
static struct err e;

/* All of the request is there; a greeting of TLS is not a request, and gets its answer at once. */
static bool heard(void)
{
	const char *body = strstr(server.got, "\r\n\r\n");

	return *server.got == 0x16 || (body && (!strstr(server.got, "\r\nContent-Length: 9\r\n") ||
						       strlen(body + 4) == 9));
}

static void hear(int fd)
{
	size_t n = 0;

	while (!heard()) {
		ssize_t k = read(fd, server.got + n, sizeof server.got - 1 - n);

		if (k <= 0)
			return;
		n += (size_t)k;
		server.got[n] = '\0';
	}
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void *serve(void *unused)
{
	char byte;
	int fd;

	while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
		server.connections++;
		hear(fd);
		if (server.fire)
			cancel_fire(server.fire, ERR_ABORTED);
		if (server.say)
			say(fd, server.say);
		for (size_t i = 0; i < server.again; i++)
			say(fd, server.more);
		if (server.fire || server.hang)
			while (read(fd, &byte, 1) > 0)
				;
		close(fd);
	}
	return NULL;
}

static void set_up(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	server = (struct server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(server.fd, 4), 0);
	ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&a, &n), 0);
	service = (struct http_service){
		.url = xasprintf("http://127.0.0.1:%d/api", ntohs(a.sin_port)),
		.token = xstrdup("the-token"),
		.timeout_us = 20 * US_PER_S,
	};
	ck_assert_int_eq(cancel_init(&cancel, &e), 0);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void stop_server(void)
{
	if (server.fd < 0)
		return;
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.fd);
	server.fd = -1;
}

static void tear_down(void)
{
	stop_server();
	http_answer_done(&answer);
	http_service_done(&service);
	cancel_done(&cancel);
}

static int ask(const char *method, const char *body)
{
	const char *const headers[] = {"X-Line: 7", NULL};
	const struct http_request q = {.method = method,
		.path = "/devices",
		.query = "a=b%20c",
		.headers = headers,
		.body = body};
	const struct iotime it = {now_us() + 20 * US_PER_S, &cancel};

	e = (struct err){0};
	http_answer_done(&answer);
	return http_exchange(&service, &q, &it, &answer, &e);
}

START_TEST(an_answer_comes_whole_and_the_request_says_what_was_meant)
{
	server.say = "HTTP/1.1 201 Created\r\nContent-Type: application/json; charset=utf-8\r\n"
		     "Set-Cookie: s=1\r\nContent-Length: 8\r\n\r\n{\"x\": 1}";
	for (int i = 0; i < 2; i++) {
		*server.got = '\0';
		ck_assert_msg(ask("POST", "{\"a\":\"b\"}") == 0, "%s", e.msg);
		ck_assert_int_eq(answer.status, 201);
		ck_assert_str_eq(answer.type, "application/json; charset=utf-8");
		ck_assert_str_eq(answer.body.s, "{\"x\": 1}");
		ck_assert(answer.sent);
		ck_assert_ptr_eq(
			strstr(server.got, "POST /api/devices?a=b%20c HTTP/1.1\r\n"), server.got);
		ck_assert_ptr_nonnull(
			strstr(server.got, "\r\nAuthorization: Bearer the-token\r\n"));
		ck_assert_ptr_nonnull(strstr(server.got, "\r\nContent-Type: application/json\r\n"));
		ck_assert_ptr_nonnull(strstr(server.got, "\r\nX-Line: 7\r\n"));
		ck_assert_ptr_nonnull(strstr(server.got, "\r\n\r\n{\"a\":\"b\"}"));
		ck_assert_ptr_null(strstr(server.got, "ookie"));
	}
	/* Each on a connection of its own. */
	ck_assert_uint_eq(server.connections, 2);
}
END_TEST

START_TEST(how_long_to_wait_is_in_seconds_or_a_date_and_not_for_ever)
{
	static const struct {
		const char *value;
		uint64_t least_s, most_s;
	} rows[] = {{"3", 3, 3}, {"0", 0, 0}, {"soon", 0, 0}, {"-1", 0, 0},
		{"99999999999", 86400, 86400}, {"Fri, 31 Dec 2099 23:59:59 GMT", 86400, 86400},
		{"Fri, 31 Dec 1999 23:59:59 GMT", 0, 0}};

	/* The server's thread may still look at one that was said. */
	static char said[ARRAY_LEN(rows)][160];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(said[i], sizeof said[i],
			"HTTP/1.1 202 Accepted\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
			rows[i].value);
		server.say = said[i];
		ck_assert_msg(ask("GET", NULL) == 0, "%s", e.msg);
		ck_assert_msg(answer.retry_after_us >= rows[i].least_s * US_PER_S &&
				      answer.retry_after_us <= rows[i].most_s * US_PER_S,
			"%s: %llu", rows[i].value, (unsigned long long)answer.retry_after_us);
	}
}
END_TEST

START_TEST(a_content_type_that_is_no_text_is_none)
{
	server.say = "HTTP/1.1 200 OK\r\nContent-Type: a\x1b[2J\xff\r\nContent-Length: 0\r\n\r\n";
	ck_assert_msg(ask("GET", NULL) == 0, "%s", e.msg);
	ck_assert_str_eq(answer.type, "");
}
END_TEST

START_TEST(a_proxy_of_the_environment_is_not_asked)
{
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	server.say = "HTTP/1.1 204 No Content\r\n\r\n";
	ck_assert_msg(ask("GET", NULL) == 0, "%s", e.msg);
	ck_assert_int_eq(answer.status, 204);
	ck_assert_ptr_null(strstr(server.got, "Content-"));
}
END_TEST

START_TEST(a_redirect_is_an_answer_and_not_followed)
{
	_cleanup_(freep) char *text = xasprintf(
		"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s/other\r\nContent-Length: 0\r\n\r\n",
		service.url);

	server.say = text;
	ck_assert_msg(ask("POST", "{\"a\":\"b\"}") == 0, "%s", e.msg);
	ck_assert_int_eq(answer.status, 307);
	stop_server();
	ck_assert_uint_eq(server.connections, 1);
}
END_TEST

static const char kilobyte[] =
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567\r\n";

/* What a server may do in the place of an answer. */
static const struct {
	const char *say, *more;
	size_t again;
	enum err_code code;
	const char *text;
} broken[] = {
	{"", NULL, 0, ERR_SERVICE_DOWN, "without an answer"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"x\":", NULL, 0, ERR_SERVICE_DOWN,
		"before its answer ended"},
	{"220 mail.example ESMTP\r\n", NULL, 0, ERR_SERVICE_ANSWER, "does not speak HTTP"},
	{"HTTP/1.1 200 OK\r\n\r\n", kilobyte, 8000, ERR_SERVICE_ANSWER, "1048576 bytes"},
	{"HTTP/1.1 200 OK\r\n", "X-Pad: 0123456789012345678901234567890123456789\r\n", 4000,
		ERR_SERVICE_ANSWER, "is that the service?"},
};

START_TEST(an_answer_that_is_none_has_its_own_sentence)
{
	server.say = broken[_i].say;
	server.more = broken[_i].more;
	server.again = broken[_i].again;
	ck_assert_int_eq(ask("POST", "{\"a\":\"b\"}"), -(int)broken[_i].code);
	ck_assert_msg(strstr(e.msg, broken[_i].text) != NULL, "%s", e.msg);
	ck_assert_ptr_nonnull(strstr(e.msg, service.url));
	ck_assert(answer.sent);
	ck_assert_uint_le(answer.body.len, HTTP_ANSWER_MAX);
}
END_TEST

START_TEST(a_service_that_says_nothing_ends_with_its_timeout)
{
	server.hang = true;
	service.timeout_us = 200 * US_PER_MS;
	ck_assert_int_eq(ask("POST", "{\"a\":\"b\"}"), -ERR_SERVICE_DOWN);
	ck_assert_msg(strstr(e.msg, "'timeout' of the service") != NULL, "%s", e.msg);
	ck_assert(answer.sent);
}
END_TEST

START_TEST(a_cancel_ends_the_wait)
{
	server.fire = &cancel;
	service.timeout_us = NO_DEADLINE;
	ck_assert_int_eq(ask("GET", NULL), -ERR_ABORTED);
	ck_assert(answer.sent);
	/* And before the first byte. */
	ck_assert_int_eq(ask("GET", NULL), -ERR_ABORTED);
	ck_assert(!answer.sent);
	stop_server();
	ck_assert_uint_eq(server.connections, 1);
}
END_TEST

START_TEST(nothing_was_sent_where_nobody_listens)
{
	stop_server();
	ck_assert_int_eq(ask("POST", "{\"a\":\"b\"}"), -ERR_SERVICE_DOWN);
	ck_assert_msg(strstr(e.msg, "accepts no connection") != NULL, "%s", e.msg);
	ck_assert(!answer.sent);
}
END_TEST

START_TEST(a_server_without_tls_is_not_trusted)
{
	char *url = xasprintf("https%s", service.url + 4);

	free(service.url);
	service.url = url;
	server.say = "HTTP/1.1 400 Bad Request\r\n\r\n";
	ck_assert_int_eq(ask("GET", NULL), -ERR_SERVICE_UNTRUSTED);
	ck_assert_ptr_null(strstr(server.got, "the-token"));
}
END_TEST

START_TEST(a_server_that_leaves_in_the_handshake_is_away)
{
	char *url = xasprintf("https%s", service.url + 4);

	free(service.url);
	service.url = url;
	server.say = "";
	ck_assert_msg(ask("POST", "{}") == -ERR_SERVICE_DOWN, "%s", e.msg);
	ck_assert_msg(strstr(e.msg, "in the TLS handshake") != NULL, "%s", e.msg);
	ck_assert(!answer.sent);
}
END_TEST

START_TEST(a_path_stays_below_the_service)
{
	static const char *const good[] = {
		"/devices", "/devices/a-b_c.~:@!$&'()*+,;=/x", "/...", "/devices/.x"};
	static const char *const bad[] = {"", "/", "devices", "http://other/", "//other/x", "/a//b",
		"/..", "/a/../b", "/a/.", "/./a", "/a%2e%2e/b", "/a?b=c", "/a#b", "/a\\..\\b",
		"/a b", "/a\r\nHost: x", "/a/", "/\xc3\xa4", "/a\x7f"};
	char long_one[HTTP_PATH_MAX + 3];

	memset(long_one, 'a', sizeof long_one);
	long_one[0] = '/';
	long_one[sizeof long_one - 1] = '\0';
	ck_assert_int_eq(http_path_check(long_one, NULL), -ERR_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(http_path_check(good[i], NULL) == 0, "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(http_path_check(bad[i], NULL) == -ERR_INVALID, "%s", bad[i]);
}
END_TEST

START_TEST(a_header_of_a_recipe_changes_no_other)
{
	ck_assert_int_eq(http_header_check("X-Line", "A, b; c=\"d\"", NULL), 0);
	ck_assert_int_eq(http_header_check("X-Line", "a\r\nHost: x", NULL), -ERR_INVALID);
	ck_assert_int_eq(http_header_check("X: y", "a", NULL), -ERR_INVALID);
	ck_assert_int_eq(http_header_check("", "a", NULL), -ERR_INVALID);
	ck_assert_int_eq(http_header_check("AUTHORIZATION", "Basic x", NULL), -ERR_INVALID);
	ck_assert_int_eq(http_header_check("transfer-Encoding", "chunked", NULL), -ERR_INVALID);
}
END_TEST

START_TEST(an_address_of_a_service_is_http_a_host_and_a_path)
{
	static const char *const good[] = {"https://cloud.example", "http://127.0.0.1:8080",
		"https://[::1]:443/api/v1", "HTTPS://x/y"};
	static const char *const bad[] = {"", "cloud.example", "ftp://x", "file:///etc/passwd",
		"https://", "https:///x", "https://u:p@host/", "https://host/a?b", "https://host?b",
		"https://host#b", "https://host/../x", "https://ho st", "https://host/"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(http_url_check(good[i], NULL) == 0, "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(http_url_check(bad[i], NULL) == -ERR_INVALID, "%s", bad[i]);
	ck_assert(http_url_clear("HTTP://x"));
	ck_assert(!http_url_clear("https://x"));
}
END_TEST

START_TEST(a_value_is_one_segment)
{
	_cleanup_(freep) char *got = http_escape("a/../b?c#d%e f\xc3\xa4~");

	ck_assert_str_eq(got, "a%2F..%2Fb%3Fc%23d%25e%20f%C3%A4~");
}
END_TEST

/* The documentation's own scripts, run with Python, give these. */
START_TEST(a_registration_signs_with_the_key_that_is_made_of_its_groups)
{
	static const char group[] =
		"G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";
	static const char device[] =
		"18RQk/hOPJR9EbsJlk2j8WA6vWaj/yi+oaYg7zmxfQNdOyMSu+SJ8O7TSlZhDJCYmn4rzEiVKIzNiVAWjLxrGA==";
	const struct http_service dps = {.url = (char *)"https://dps.example/0ne00111111",
		.token = (char *)group,
		.auth = HTTP_AUTH_AZURE_DPS};
	static const char path[] = "/registrations/my-symkey-device/register";
	_cleanup_(freep) char *key = NULL, *sas = NULL, *value = NULL;
	struct err why;

	ck_assert_int_eq(http_auth_device_key(&dps, path, &key, &why), 0);
	ck_assert_str_eq(key, "Q+erii/qT0ty8UwJPpnDYucSU2Np3B1053zvwW2S+ns=");
	ck_assert_int_eq(http_auth_sas(device, "0ne00111111/registrations/my-symkey-device",
				 1663952627, &sas, &why),
		0);
	ck_assert_str_eq(sas,
		"SharedAccessSignature sr=0ne00111111%2Fregistrations%2Fmy-symkey-device"
		"&sig=8VPprb8BiTkuVE0hBqHm%2FSVrzVpdD8VZcXugntdbhuU%3D&se=1663952627&skn=registration");
	ck_assert_int_eq(http_auth_value(&dps, path, 1000, &value, &why), 0);
	ck_assert_msg(strstr(value, "&se=4600&skn=registration") != NULL, "%s", value);
	ck_assert_int_eq(http_auth_device_key(&dps, "/enrollments/x", &key, &why), -ERR_INVALID);
	ck_assert_msg(strstr(why.msg, "names no registration") != NULL, "%s", why.msg);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("http");
	TCase *t = tcase_create("http");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, an_answer_comes_whole_and_the_request_says_what_was_meant);
	tcase_add_test(t, a_content_type_that_is_no_text_is_none);
	tcase_add_test(t, a_proxy_of_the_environment_is_not_asked);
	tcase_add_test(t, a_redirect_is_an_answer_and_not_followed);
	tcase_add_loop_test(
		t, an_answer_that_is_none_has_its_own_sentence, 0, (int)ARRAY_LEN(broken));
	tcase_add_test(t, a_service_that_says_nothing_ends_with_its_timeout);
	tcase_add_test(t, a_cancel_ends_the_wait);
	tcase_add_test(t, nothing_was_sent_where_nobody_listens);
	tcase_add_test(t, a_server_without_tls_is_not_trusted);
	tcase_add_test(t, a_path_stays_below_the_service);
	tcase_add_test(t, a_header_of_a_recipe_changes_no_other);
	tcase_add_test(t, an_address_of_a_service_is_http_a_host_and_a_path);
	tcase_add_test(t, how_long_to_wait_is_in_seconds_or_a_date_and_not_for_ever);
	tcase_add_test(t, a_server_that_leaves_in_the_handshake_is_away);
	tcase_add_test(t, a_value_is_one_segment);
	tcase_add_test(t, a_registration_signs_with_the_key_that_is_made_of_its_groups);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
