/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts of libmicrohttpd 0.9.75 that shape this file: a suspended connection knows neither
 * time-outs nor dead peers, so that streams are woken by heartbeats and all are resumed before the
 * stop; to suspend twice is undefined, so that one lock surrounds "nothing to send: suspend" and
 * "something came: resume"; the connection limit is divided by the size of the pool, and a full
 * thread stops to accept, so that api/conns.h cuts before. The URI's callback is the first sign of
 * a request, before the URI is decoded; what it returns is the request's state. A cookie whose
 * value is a single quote is answered by the library itself, before any code of ours.
 *
 *   on_uri ─> begin ─> body ─> finish: direct ──────────────────────────────> answer
 *                                    └ suspend, submit ─> on_work ─> resume ──┘
 */
#include "api/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "api/conns.h"
#include "api/httpd_answer.h"
#include "api/httpd_body.h"
#include "api/httpd_header.h"
#include "api/httpd_streams.h"
#include "api/httpd_tls.h"
#include "api/httpd_upload.h"
#include "api/work.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/loopback.h"
#include "base/thread.h"
#include "base/util.h"

#define HTTP_THREADS	  2
#define WORK_THREADS	  8
#define WORK_HEAVY	  4
#define IDLE_TIMEOUT_S	  30
#define CONNECTION_MEMORY 16384
#define UPLOADS_MAX	  64
#define WAITS_MAX	  256 /* requests that wait for a change */
#define WAITS_OF_ONE	  32
#define BODIES_MAX_BYTES  (256ull << 20) /* held in memory, of all requests */
/* What the library is given is more than is held: between a cut and its end both count. */
#define CONNECTIONS	1408
#define CONNECTIONS_MHD 1536u
/* A handler that runs longer hangs: those in memory, those of the database, those of files. */
#define STUCK_DIRECT_US (30 * US_PER_S)
#define STUCK_LIGHT_US	(120 * US_PER_S)
#define STUCK_HEAVY_US	(1800 * US_PER_S)

static const struct conn_limits limits = {
	.total = CONNECTIONS,
	.anonymous = 256,
	.anonymous_per_address = 192,
	.owner = STREAMS_LIVE_OF_ONE + 128,
	.header_us = 10 * US_PER_S,
	.idle_us = 75 * US_PER_S,
	.body_us = 30 * US_PER_S,
	.body_rate_bytes = 64 * 1024,
	.answer_us = 60 * US_PER_S,
};

struct listener {
	int fd; /* -1: the library has it */
	struct MHD_Daemon *daemon;
	bool tls;
	uint16_t port;
	char address[INET6_ADDRSTRLEN]; /* "" of AF_UNIX */
	char *path; /* of AF_UNIX, removed at the end; NULL: none, or another's */
};

struct httpd {
	struct listener listener[HTTPD_LISTENS];
	size_t listeners;
	struct tls *tls;
	const struct httpd_ops *ops;
	void *data;
	char *upload_dir;
	struct streams *streams;
	struct conns *conns;
	struct work_pool *work;
	struct waits *waits;
	unsigned uploads; /* atomic: under way */
	uint64_t bodies;  /* atomic: bytes */
	/* Since when each HTTP thread is in code of ours; 0: it is not. Atomics. */
	uint64_t busy_us[HTTP_THREADS * HTTPD_LISTENS];
	unsigned busy_threads; /* atomic: of them that have a place there */
};

/* The socket context of a connection. */
struct door {
	struct httpd *httpd;
	struct conn *conn;
	struct httpd_tls_door *tls; /* NULL: it is in the clear */
};

/* One request, from its header to its completion. */
struct exchange {
	struct work work;
	struct wait wait;
	struct httpd *httpd;
	struct request rq;
	struct response rs;
	struct intake intake;
	struct conn *conn;
	bool begun;	  /* its header was looked at */
	bool bodiless;	  /* with its header it is whole */
	bool worked;	  /* rs is the answer */
	bool encoded_nul; /* %00 in the URI */
	bool counted;	  /* among httpd->uploads */
	struct upload upload;
	uint8_t *body;
	size_t body_cap;
	bool failed; /* the body was too large or the disk full: refused at its end */
	int fail_status;
	const char *fail_detail;
};

static enum MHD_Result refuse(struct httpd *h, struct exchange *x, struct MHD_Connection *c,
	int status, const char *detail)
{
	struct response rs = {.fd = -1, .close = true};

	enum MHD_Result r;

	h->ops->refuse(h->data, &x->rq, &rs, status, detail);
	r = answer_send(&rs, &x->rq, c);
	answer_drop(&rs);
	return r;
}

/* --- bodies --- */

static int open_upload(struct httpd *h, struct exchange *x, const char **ret_why)
{
	x->counted = true;
	if (__atomic_add_fetch(&h->uploads, 1, __ATOMIC_ACQ_REL) > UPLOADS_MAX) {
		*ret_why = "too many uploads at a time";
		return 503;
	}
	return upload_open(&x->upload, &x->rq, h->upload_dir, ret_why);
}

/* A body follows; what its header says of it must be acceptable. */
static int check_body(struct httpd *h, struct exchange *x, const char **ret)
{
	const char *length = request_header(&x->rq, "Content-Length");
	int status = httpd_body_coding(request_header(&x->rq, "Content-Encoding"), NULL);

	if (status == 0 && x->intake.upload && request_header(&x->rq, "Content-Encoding"))
		status = 415;
	if (status != 0) {
		*ret = x->intake.upload ? "a file is sent as it is, without a Content-Encoding"
					: "the Content-Encoding of a body is gzip or none";
		return status;
	}
	if ((length && strtoull(length, NULL, 10) > x->intake.max_body) ||
		x->rq.upload_piece.total > x->intake.max_body) {
		*ret = "the body is too large";
		return 413;
	}
	if (x->intake.upload)
		status = h->ops->upload(
			h->data, &x->rq, 0, length ? strtoull(length, NULL, 10) : 0, ret);
	if (status != 0)
		return status;
	return x->intake.upload ? open_upload(h, x, ret) : 0;
}

/* A server must take "GET http://host/path", which clients of a proxy send (RFC 9112, 3.2.2). */
static const char *path_of(const char *target)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (!strncasecmp(target, schemes[i], n)) {
			const char *path = strchr(target + n, '/');

			return path ? path : "/";
		}
	}
	return target;
}

/* The header is there: what is not refused here may send its body. */
static enum MHD_Result begin(struct httpd *h, struct exchange *x, struct MHD_Connection *c,
	const char *method, const char *target, const char *version)
{
	const char *url = path_of(target);
	bool body = request_header(&x->rq, "Content-Length") ||
		    request_header(&x->rq, "Transfer-Encoding");
	char detail[200];
	const char *why = NULL;
	int status;

	snprintf(x->rq.path, sizeof x->rq.path, "%s", url);
	status = header_check(&x->rq, version, x->encoded_nul, detail, sizeof detail);
	if (status != 0)
		return refuse(h, x, c, status, detail);
	x->rq.method = http_method_from(method);
	x->rq.head = !strcmp(method, "HEAD");
	if (strlen(url) >= sizeof x->rq.path)
		return refuse(h, x, c, 414, "the path is too long");
	status = h->ops->begin(h->data, &x->rq, &x->rs, &x->intake);
	if (x->intake.owner && !conn_own(x->conn, x->intake.owner))
		return refuse(h, x, c, 429, "this principal holds too many connections");
	if (status != 0) {
		x->rs.close = body;
		return answer_send(&x->rs, &x->rq, c);
	}
	status = check_body(h, x, &why);
	if (status != 0)
		return refuse(h, x, c, status, why);
	x->bodiless = !body;
	conn_phase(x->conn, body ? CONN_BODY : CONN_WORKING, now_us());
	return MHD_YES;
}

static void fail(struct exchange *x, int status, const char *detail)
{
	if (!x->failed) {
		x->failed = true;
		x->fail_status = status;
		x->fail_detail = detail;
	}
}

static void take_upload(struct exchange *x, const char *data, size_t n)
{
	const struct upload_piece *p = &x->rq.upload_piece;
	const char *why = NULL;
	int status;

	x->rq.upload_bytes += n;
	if (x->rq.upload_bytes > x->intake.max_body) {
		fail(x, 413, "the body is too large");
		return;
	}
	if (p->total && (p->asks || x->rq.upload_bytes > p->last + 1)) {
		fail(x, 400, "more bytes came than Content-Range says");
		return;
	}
	status = x->httpd->ops->upload(x->httpd->data, &x->rq, n, 0, &why);
	if (status != 0)
		fail(x, status, why);
	else if (upload_write(&x->upload, data, n) != 0)
		fail(x, 507, "the disk is full");
}

static bool grow_body(struct exchange *x, size_t need)
{
	size_t cap = MAX(x->body_cap * 2, need);
	uint64_t *all = &x->httpd->bodies;
	uint8_t *grown;

	if (__atomic_add_fetch(all, cap - x->body_cap, __ATOMIC_RELAXED) > BODIES_MAX_BYTES) {
		__atomic_sub_fetch(all, cap - x->body_cap, __ATOMIC_RELAXED);
		return false;
	}
	grown = realloc(x->body, cap);
	if (!grown) {
		__atomic_sub_fetch(all, cap - x->body_cap, __ATOMIC_RELAXED);
		return false;
	}
	x->body = grown;
	x->body_cap = cap;
	return true;
}

static void take_body(struct exchange *x, const char *data, size_t n)
{
	if (n > x->intake.max_body - x->rq.body_len) {
		fail(x, 413, "the body is too large");
		return;
	}
	if (x->rq.body_len + n + 1 > x->body_cap && !grow_body(x, x->rq.body_len + n + 1)) {
		fail(x, 503, "too many bodies at a time");
		return;
	}
	memcpy(x->body + x->rq.body_len, data, n);
	x->rq.body_len += n;
	x->body[x->rq.body_len] = 0;
}

/* --- carrying out --- */

static void refuse_later(struct exchange *x, int status, const char *detail)
{
	x->rs.close = true;
	x->httpd->ops->refuse(x->httpd->data, &x->rq, &x->rs, status, detail);
}

/* The digest and the disk of an upload; false when it is refused. */
static bool end_upload(struct exchange *x)
{
	if (upload_end(&x->upload, &x->rq) == 0)
		return true;
	refuse_later(x, 507, "the upload cannot be stored");
	return false;
}

/* Takes the Content-Encoding off; false when the body is refused. */
static bool end_body(struct exchange *x)
{
	const char *detail = NULL;
	int status = httpd_body_decode(request_header(&x->rq, "Content-Encoding"), &x->body,
		&x->rq.body_len, x->intake.max_body, &detail);

	if (status != 0) {
		refuse_later(x, status, detail);
		return false;
	}
	x->rq.body = x->body ? x->body : (const uint8_t *)"";
	return true;
}

static void drop_body(struct exchange *x)
{
	__atomic_sub_fetch(&x->httpd->bodies, x->body_cap, __ATOMIC_RELAXED);
	x->body_cap = 0;
	free(x->body);
	x->body = NULL;
}

static void carry_out(struct exchange *x)
{
	answer_drop(&x->rs);
	x->rs.status = 500;
	if (x->failed)
		refuse_later(x, x->fail_status, x->fail_detail);
	else if (x->intake.upload ? end_upload(x) : end_body(x))
		x->httpd->ops->handle(x->httpd->data, &x->rq, &x->rs);
	/* Before the answer: who has it may send the next piece at once, over another connection. */
	upload_done(&x->upload, &x->rq);
	x->worked = true;
	drop_body(x);
}

/* Nothing waits any more: the answer is what there is now. */
static void carry_out_at_once(struct exchange *x)
{
	x->rq.wait_until_us = 1;
	carry_out(x);
}

/* Whether it waits, and is not this thread's any more. */
static bool wait_on(struct exchange *x)
{
	struct wait *w = &x->wait;

	w->until_us = x->rq.wait_until_us = x->rs.wait_until_us;
	w->ticket = x->rs.wait_ticket;
	memcpy(w->topic, x->rs.wait_topic, sizeof w->topic);
	snprintf(w->owner, sizeof w->owner, "%s", x->intake.owner ? x->intake.owner : "");
	switch (waits_add(x->httpd->waits, w)) {
	case WAIT_ADDED:
		return true;
	case WAIT_FULL:
		answer_drop(&x->rs);
		refuse_later(
			x, 429, "too many requests of this principal wait: ask without Prefer");
		break;
	case WAIT_STOPPING:
		carry_out_at_once(x);
		break;
	}
	return false;
}

/* A thread of the pool: nothing of x is touched after the resume, or once it waits. */
static void on_work(struct work *w)
{
	struct exchange *x = container_of(w, struct exchange, work);

	carry_out(x);
	if (x->rs.wait_until_us && wait_on(x))
		return;
	MHD_resume_connection(x->rq.connection);
}

static void on_ready(void *data, struct wait *w)
{
	struct exchange *x = container_of(w, struct exchange, wait);

	x->rq.wait_until_us = w->until_us;
	work_submit(((struct httpd *)data)->work, &x->work);
}

/* The library does not look at a connection that is suspended. Over TLS the end comes after bytes that nobody has read. */
static bool has_gone(const struct wait *w)
{
	const struct exchange *x = container_of(w, const struct exchange, wait);
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(x->rq.connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = {.fd = fd ? fd->connect_fd : -1, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0 && p.revents;
}

static void submit(void *data)
{
	struct exchange *x = data;

	work_submit(x->httpd->work, &x->work);
}

static enum MHD_Result answer(struct exchange *x, struct MHD_Connection *c)
{
	conn_phase(x->conn, CONN_ANSWERING, now_us());
	return answer_send(&x->rs, &x->rq, c);
}

/* The request is whole. */
static enum MHD_Result finish(struct httpd *h, struct exchange *x, struct MHD_Connection *c)
{
	if (x->worked)
		return answer(x, c);
	if (!x->bodiless)
		conn_phase(x->conn, CONN_WORKING, now_us());
	if (x->intake.direct || x->failed) {
		carry_out(x);
		return answer(x, c);
	}
	x->work = (struct work){.run = on_work, .heavy = x->intake.heavy};
	if (streams_suspend(h->streams, c, submit, x))
		return MHD_YES;
	carry_out(x);
	if (x->rs.wait_until_us)
		carry_out_at_once(x);
	return answer(x, c);
}

/* Where a thread of the library says that it is in code of ours. */
static uint64_t *busy_place(struct httpd *h)
{
	static _Thread_local const struct httpd *of;
	static _Thread_local uint64_t *place;

	if (of != h) {
		unsigned i = __atomic_fetch_add(&h->busy_threads, 1, __ATOMIC_RELAXED);

		of = h;
		place = i < ARRAY_LEN(h->busy_us) ? &h->busy_us[i] : NULL;
	}
	return place;
}

static void busy(struct httpd *h, uint64_t since_us)
{
	uint64_t *place = busy_place(h);

	if (place)
		__atomic_store_n(place, since_us, __ATOMIC_RELAXED);
}

static enum MHD_Result take(struct httpd *h, struct exchange *x, struct MHD_Connection *c,
	const char *url, const char *method, const char *version, const char *data, size_t *size)
{
	if (!x->begun) {
		x->begun = true;
		return begin(h, x, c, method, url, version);
	}
	if (*size > 0) {
		/* All of the body is taken, also of what is refused: the answer comes after it. */
		conn_body(x->conn, *size);
		if (!x->failed && x->intake.upload)
			take_upload(x, data, *size);
		else if (!x->failed)
			take_body(x, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return finish(h, x, c);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	enum MHD_Result r;

	busy(cls, now_us());
	r = take(cls, *state, c, url, method, version, data, size);
	busy(cls, 0);
	return r;
}

static struct door *door_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info->socket_context;
}

static bool has_encoded_nul(const char *uri)
{
	return strstr(uri, "%00") != NULL;
}

/* The first line of a request is there. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
	struct door *door = door_of(c);
	struct exchange *x = xcalloc(1, sizeof *x);

	x->upload.fd = -1;
	x->rs.fd = -1;
	x->httpd = cls;
	x->rq.connection = c;
	x->rq.httpd = cls;
	x->conn = door->conn;
	x->rq.secure = door->tls != NULL;
	x->rq.client = httpd_tls_client(door->tls, c);
	x->rq.peer = conn_peer(x->conn);
	x->rq.network = conn_network(x->conn);
	x->encoded_nul = uri && has_encoded_nul(uri);
	x->rq.begun_us = now_us();
	uuid7(x->rq.id);
	conn_phase(x->conn, CONN_HEADER, x->rq.begun_us);
	return x;
}

static void on_completed(
	void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	struct httpd *h = cls;
	struct exchange *x = *state;

	if (!x)
		return;
	h->ops->done(h->data, &x->rq);
	answer_drop(&x->rs);
	upload_done(&x->upload, &x->rq);
	if (x->counted)
		__atomic_sub_fetch(&h->uploads, 1, __ATOMIC_ACQ_REL);
	drop_body(x);
	conn_phase(x->conn, CONN_WAITING, now_us());
	free(x);
	*state = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
	enum MHD_ConnectionNotificationCode what)
{
	struct httpd *h = cls;
	const union MHD_ConnectionInfo *fd;
	const union MHD_ConnectionInfo *peer;
	struct door *door = *context;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!door)
			return;
		conn_close(door->conn);
		httpd_tls_close(door->tls);
		free(door);
		*context = NULL;
		return;
	}
	fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	peer = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	*context = door = xcalloc(1, sizeof *door);
	door->httpd = h;
	door->tls = httpd_tls_open(h->tls, c);
	/* A handshake is part of the wait for the first header: it has the same deadline. */
	door->conn = conn_open(h->conns, fd->connect_fd, peer ? peer->client_addr : NULL, now_us());
}

void httpd_conns(struct httpd *h, struct conn_counts *ret)
{
	conns_counts(h->conns, ret);
}

/* gnutls_certificate_retrieve_function3: of each handshake. */
static int on_handshake(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
	gnutls_pcert_st **ret_certs, unsigned *ret_n, gnutls_ocsp_data_st **ret_ocsp,
	unsigned *ret_ocsp_n, gnutls_privkey_t *ret_key, unsigned *ret_flags)
{
	struct MHD_Connection *c = gnutls_session_get_ptr(session);
	struct door *door = c ? door_of(c) : NULL;

	return httpd_tls_give(door ? door->tls : NULL, ret_certs, ret_n, ret_ocsp, ret_ocsp_n,
		ret_key, ret_flags);
}

/* Its thread sees the end of the stream and closes it. */
static void cut_connection(void *data, int fd)
{
	shutdown(fd, SHUT_RDWR);
}

static bool has_unread(void *data, int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static bool has_ended(void *data, int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static const struct conns_ops on_conns = {cut_connection, has_unread, has_ended};

static void on_log(void *cls, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("http: %s", text);
}

static int bind_address(const struct httpd_listen *l, int *ret, struct err *e)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *ai;
	char port[8];
	_cleanup_(closep) int fd = -1;
	const int on = 1;
	int r;

	snprintf(port, sizeof port, "%u", l->port);
	r = getaddrinfo(l->host, port, &hints, &ai);
	if (r != 0)
		return err_set(e, ERR_INVALID, "listen on %s: %s", l->host, gai_strerror(r));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	r = fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 256) < 0
		    ? err_errno(e, ERR_IO, errno, "listen on %s:%u", l->host, l->port)
		    : 0;
	freeaddrinfo(ai);
	if (r == 0)
		*ret = steal_fd(&fd);
	return r;
}

/* A socket that nobody listens on any more is replaced, and nothing else. */
static int bind_path(const struct httpd_listen *l, int *ret, struct err *e)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;

	snprintf(a.sun_path, sizeof a.sun_path, "%s", l->path);
	if (fd >= 0 && stat(l->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == ECONNREFUSED)
		unlink(l->path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || chmod(l->path, 0660) < 0 ||
		listen(fd, 256) < 0)
		return err_errno(e, ERR_IO, errno, "listen on unix:%s", l->path);
	*ret = steal_fd(&fd);
	return 0;
}

static void read_address(struct listener *l)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (getsockname(l->fd, (struct sockaddr *)&a, &len) < 0)
		return;
	if (a.ss_family == AF_INET) {
		l->port = ntohs(((struct sockaddr_in *)&a)->sin_port);
		inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, l->address,
			sizeof l->address);
	} else if (a.ss_family == AF_INET6) {
		l->port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, l->address,
			sizeof l->address);
	}
}

static struct httpd *httpd_new(
	const struct httpd_options *o, const struct httpd_ops *ops, void *data)
{
	struct httpd *h = xcalloc(1, sizeof *h);

	h->ops = ops;
	h->data = data;
	h->tls = o->tls;
	h->upload_dir = xstrdup(o->upload_dir);
	h->conns = conns_new(&limits, &on_conns, h);
	h->streams = streams_new();
	h->waits = waits_new(WAITS_MAX, WAITS_OF_ONE, on_ready, h);
	return h;
}

static bool is_clear(const struct listener *l)
{
	return !l->tls && *l->address && !is_loopback(l->address);
}

static int check_clear(const struct listener *l, struct err *e)
{
	return is_clear(l)
		       ? err_set(e, ERR_INVALID,
				 "the socket of the API listens on %s, not this machine alone: tokens and firmware would pass through the network in the clear. Give 'tls' of provd.yaml a certificate and key, or say 'insecure: true'",
				 l->address)
		       : 0;
}

static int open_listeners(struct httpd *h, const struct httpd_options *o, struct err *e)
{
	int r = 0;

	if (o->listen_fd >= 0) {
		struct listener *l = &h->listener[h->listeners++];

		*l = (struct listener){.fd = o->listen_fd};
		read_address(l);
		l->tls = o->tls && *l->address;
		return o->local_only ? check_clear(l, e) : 0;
	}
	for (size_t i = 0; r == 0 && i < MIN(o->listens, (size_t)HTTPD_LISTENS); i++) {
		const struct httpd_listen *from = &o->listen[i];
		struct listener *l = &h->listener[h->listeners++];

		*l = (struct listener){.fd = -1, .tls = from->tls && o->tls};
		r = from->path ? bind_path(from, &l->fd, e) : bind_address(from, &l->fd, e);
		if (r < 0)
			return r;
		l->path = from->path ? xstrdup(from->path) : NULL;
		read_address(l);
		r = o->local_only ? check_clear(l, e) : 0;
	}
	return r;
}

/* The options of TLS come after what both kinds of listener have. With epoll a thread of the library
 * goes round without a pause for as long as a client lets its handshake wait (api/httpd_tls.h): TLS has poll. */
static struct MHD_Daemon *start_daemon(struct httpd *h, const struct listener *l)
{
	const unsigned loop =
		l->tls ? MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_TLS : MHD_USE_EPOLL_INTERNAL_THREAD;

	return MHD_start_daemon(loop | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
		l->fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)HTTP_THREADS,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MHD, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
		h, l->tls ? MHD_OPTION_HTTPS_CERT_CALLBACK2 : MHD_OPTION_END, on_handshake,
		MHD_OPTION_HTTPS_PRIORITIES, HTTPD_TLS_PRIORITIES, MHD_OPTION_END);
}

int httpd_start(const struct httpd_options *o, const struct httpd_ops *ops, void *data,
	struct httpd **ret, struct err *e)
{
	struct httpd *h = httpd_new(o, ops, data);
	int r = work_pool_new(WORK_THREADS, WORK_HEAVY, &h->work, e);

	if (r == 0)
		r = open_listeners(h, o, e);
	for (size_t i = 0; r == 0 && i < h->listeners; i++) {
		struct listener *l = &h->listener[i];

		l->daemon = start_daemon(h, l);
		if (l->daemon)
			l->fd = -1;
		else
			r = err_set(e, ERR_IO, "libmicrohttpd does not start");
	}
	if (r < 0) {
		httpd_stop(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct stream *stream_new(struct httpd *h, enum stream_kind kind, const struct stream_ops *ops,
	void *data, const char *owner)
{
	return streams_add(h->streams, kind, ops, data, owner);
}

uint16_t httpd_port(const struct httpd *h)
{
	for (size_t i = 0; i < h->listeners; i++)
		if (h->listener[i].port)
			return h->listener[i].port;
	return 0;
}

const char *httpd_clear_address(const struct httpd *h)
{
	for (size_t i = 0; i < h->listeners; i++)
		if (is_clear(&h->listener[i]))
			return h->listener[i].address;
	return "";
}

void httpd_tick(struct httpd *h)
{
	unsigned cut = conns_sweep(h->conns, now_us());

	if (cut)
		log_debug("http: %u connection%s cut: over its deadline, or given up by its client",
			cut, cut == 1 ? "" : "s");
	streams_wake_all(h->streams);
	waits_tick(h->waits, now_us(), has_gone);
}

uint64_t httpd_wait_ticket(struct httpd *h)
{
	return waits_ticket(h->waits);
}

void httpd_wake(struct httpd *h, const char *topic)
{
	waits_wake(h->waits, topic);
}

int httpd_alive(struct httpd *h, uint64_t now, struct err *e)
{
	uint64_t light;
	uint64_t heavy;

	for (size_t i = 0; i < ARRAY_LEN(h->busy_us); i++) {
		uint64_t since = __atomic_load_n(&h->busy_us[i], __ATOMIC_RELAXED);

		if (since && now > since && now - since > STUCK_DIRECT_US)
			return err_set(e, ERR_TIMEOUT,
				"an HTTP thread hangs in a request for %llu s",
				(unsigned long long)((now - since) / US_PER_S));
	}
	work_pool_age(h->work, now, &light, &heavy);
	if (light > STUCK_LIGHT_US || heavy > STUCK_HEAVY_US)
		return err_set(e, ERR_TIMEOUT, "a request is being carried out for %llu s",
			(unsigned long long)(MAX(light, heavy) / US_PER_S));
	return 0;
}

static void stop_listener(struct listener *l)
{
	/* A socket that systemd handed over stays for the next provd, with what waits in it: taken away from the library, which
	 * would shut it down for both. */
	if (l->daemon) {
		l->fd = MHD_quiesce_daemon(l->daemon);
		MHD_stop_daemon(l->daemon);
	}
	if (l->fd >= 0)
		close(l->fd);
	if (l->path)
		unlink(l->path);
	free(l->path);
}

struct httpd *httpd_stop(struct httpd *h)
{
	if (!h)
		return NULL;
	streams_stop(h->streams);
	waits_stop(h->waits);
	/* All that is suspended for a handler is resumed by its end. */
	work_pool_free(h->work);
	for (size_t i = 0; i < h->listeners; i++)
		stop_listener(&h->listener[i]);
	conns_free(h->conns);
	streams_free(h->streams);
	waits_free(h->waits);
	free(h->upload_dir);
	free(h);
	return NULL;
}
