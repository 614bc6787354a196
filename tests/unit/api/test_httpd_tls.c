/* SPDX-License-Identifier: Apache-2.0
 *
 * The door with TLS in one process: what a handshake gets while the files are exchanged, and what of a
 * client's certificate reaches the handler.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/httpd.h"
#include "api/tls.h"
#include "tests/unit/api/tls_files.h"

static char dir[64], crt[80], key[80], ca[80];
static struct made first, second, authority, client;
static struct httpd *httpd;
static struct tls *tls;
static struct err e;

static int on_begin(void *data, struct request *rq, struct response *rs, struct intake *ret)
{
	*ret = (struct intake){.max_body = 1 << 20, .direct = !strcmp(rq->path, "/direct")};
	return 0;
}

/* The bytes of the body, and who came. */
static void on_handle(void *data, struct request *rq, struct response *rs)
{
	char *text = xasprintf("%zu bytes, %s, %s", rq->body_len, rq->secure ? "TLS" : "clear",
		!rq->client		 ? "nobody"
		: rq->client->refused[0] ? rq->client->refused
					 : rq->client->subject);

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
	const struct tls_files files = {.certificate = crt, .key = key, .client_ca = ca};
	const struct httpd_listen listen[] = {
		{.host = "127.0.0.1", .tls = true}, {.host = "127.0.0.1"}};
	struct httpd_options o = {.listen = listen,
		.listens = 2,
		.listen_fd = -1,
		.upload_dir = "/tmp",
		.local_only = true};

	snprintf(dir, sizeof dir, "/tmp/test_httpd_tls_XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(crt, sizeof crt, "%s/provd.crt", dir);
	snprintf(key, sizeof key, "%s/provd.key", dir);
	snprintf(ca, sizeof ca, "%s/ca", dir);
	first = make(&(struct wish){.dn = "CN=first"}, NULL);
	second = make(&(struct wish){.dn = "CN=second"}, NULL);
	authority = make(&(struct wish){.dn = "CN=Line CA", .ca = true}, NULL);
	client = make(&(struct wish){.dn = "CN=mes"}, &authority);
	put_crt(crt, &first, "we");
	put_key(key, &first, 0600);
	put_crt(ca, &authority, "we");
	ck_assert_msg(tls_new(&files, &tls, &e) == 0, "%s", e.msg);
	o.tls = tls;
	ck_assert_msg(httpd_start(&o, &ops, NULL, &httpd, &e) == 0, "%s", e.msg);
}

static void teardown(void)
{
	httpd_stop(httpd);
	tls_free(tls);
	made_done(&first);
	made_done(&second);
	made_done(&authority);
	made_done(&client);
	unlink(crt);
	unlink(key);
	unlink(ca);
	rmdir(dir);
}

/* A client with one connection. */
struct caller {
	int fd;
	gnutls_session_t session;
	gnutls_certificate_credentials_t cred;
};

static void call(struct caller *c, const struct made *shows)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(httpd_port(httpd)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	gnutls_x509_crt_t chain[1];
	int r;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
	GOOD(gnutls_certificate_allocate_credentials(&c->cred));
	if (shows) {
		chain[0] = shows->crt;
		GOOD(gnutls_certificate_set_x509_key(c->cred, chain, 1, shows->key));
	}
	GOOD(gnutls_init(&c->session, GNUTLS_CLIENT));
	GOOD(gnutls_set_default_priority(c->session));
	GOOD(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->cred));
	gnutls_transport_set_int(c->session, c->fd);
	do
		r = gnutls_handshake(c->session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	GOOD(r);
}

static void hang_up(struct caller *c)
{
	gnutls_deinit(c->session);
	gnutls_certificate_free_credentials(c->cred);
	close(c->fd);
}

/* The API showed that certificate. */
static void was_shown(const struct caller *c, const struct made *m)
{
	unsigned n = 0;
	const gnutls_datum_t *got = gnutls_certificate_get_peers(c->session, &n);
	gnutls_datum_t der;

	GOOD(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_DER, &der));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(got->size, der.size);
	ck_assert_mem_eq(got->data, der.data, der.size);
	gnutls_free(der.data);
}

/* A request with a body of that size; the answer ends with `expected`. */
static void answered(const struct caller *c, const char *path, size_t body, const char *expected)
{
	_cleanup_(freep) char *head =
		xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path, body);
	_cleanup_(freep) char *bytes = xcalloc(1, body + 1);
	char text[2048] = "";
	size_t n = 0;
	ssize_t k;

	GOOD((int)gnutls_record_send(c->session, head, strlen(head)));
	for (size_t sent = 0; sent < body; sent += (size_t)k) {
		k = gnutls_record_send(c->session, bytes + sent, body - sent);
		GOOD((int)k);
	}
	while (!strstr(text, expected)) {
		k = gnutls_record_recv(c->session, text + n, sizeof text - 1 - n);
		ck_assert_msg(k > 0, "%s: '%s' expected", text, expected);
		text[n += (size_t)k] = 0;
	}
}

START_TEST(a_connection_goes_on_with_the_certificate_that_it_began_with)
{
	struct caller before;
	struct caller after;
	static const struct tls_files files = {.certificate = crt, .key = key, .client_ca = ca};

	call(&before, NULL);
	was_shown(&before, &first);
	answered(&before, "/direct", 0, "0 bytes, TLS, nobody");
	put_crt(crt, &second, "we");
	put_key(key, &second, 0600);
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	call(&after, NULL);
	was_shown(&after, &second);
	/* More than a record, which waits while a worker has the request. */
	answered(&before, "/apart", 300000, "300000 bytes, TLS, nobody");
	answered(&before, "/direct", 1, "1 bytes, TLS, nobody");
	answered(&after, "/apart", 1, "1 bytes, TLS, nobody");
	hang_up(&before);
	hang_up(&after);
}
END_TEST

START_TEST(what_a_client_shows_is_judged_again_when_the_trust_changes)
{
	static const struct tls_files files = {.certificate = crt, .key = key, .client_ca = ca};
	struct made other = make(&(struct wish){.dn = "CN=Other CA", .ca = true}, NULL);
	struct made stranger = make(&(struct wish){.dn = "CN=stranger"}, &other);
	struct caller c;

	call(&c, &client);
	answered(&c, "/apart", 0, "TLS, CN=mes");
	put_crt(ca, &other, "we");
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	answered(&c, "/apart", 0, "no authority of client_ca");
	put_crt(ca, &authority, "ae");
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	answered(&c, "/direct", 0, "TLS, CN=mes");
	hang_up(&c);
	put_crt(ca, &authority, "we");
	ck_assert_int_eq(tls_reload(tls, &files, &e), 1);
	call(&c, &stranger);
	answered(&c, "/direct", 0, "the client certificate 'CN=stranger' is refused");
	hang_up(&c);
	made_done(&stranger);
	made_done(&other);
}
END_TEST

START_TEST(one_who_leaves_in_the_middle_of_a_handshake_is_forgotten)
{
	struct caller c;

	for (int i = 0; i < 20; i++) {
		struct sockaddr_in a = {.sin_family = AF_INET,
			.sin_port = htons(httpd_port(httpd)),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
		ck_assert_int_eq(write(fd, "\x16\x03\x01\x02", 4), 4);
		close(fd);
	}
	call(&c, NULL);
	answered(&c, "/direct", 0, "TLS, nobody");
	hang_up(&c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("httpd_tls");
	TCase *t = tcase_create("httpd_tls");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_connection_goes_on_with_the_certificate_that_it_began_with);
	tcase_add_test(t, what_a_client_shows_is_judged_again_when_the_trust_changes);
	tcase_add_test(t, one_who_leaves_in_the_middle_of_a_handshake_is_forgotten);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
