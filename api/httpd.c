/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts of libmicrohttpd 0.9.75 that shape this file: a suspended connection knows neither
 * time-outs nor dead peers, so that streams are woken by heartbeats and all are resumed before the
 * stop; to suspend twice is undefined, so that one lock stands around "nothing to send: suspend"
 * and "something came: resume"; the connection limit is divided by the size of the pool.
 */
#include "api/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"

#define IDLE_TIMEOUT_S	  30
#define CONNECTION_MEMORY 32768
#define STREAMS_MAX	  64
#define STREAM_BLOCK	  16384

struct stream {
	struct httpd *httpd;
	const struct stream_ops *ops;
	void *data;
	struct MHD_Connection *connection;
	bool suspended; /* under httpd->streams_lock */
	bool woken;	/* came while it was not suspended */
	struct stream *next;
};

struct httpd {
	struct MHD_Daemon *daemon;
	const struct httpd_ops *ops;
	void *data;
	uint16_t port;
	char *upload_dir;
	struct mutex streams_lock;
	struct stream *streams;
	unsigned stream_count;
	bool stopping;
};

struct shared_body {
	int refs;
	struct MHD_Response *response;
};

/* One request, from its header to its completion. */
struct exchange {
	struct request rq;
	uint64_t max_body;
	bool upload;
	int upload_fd;
	struct sha256 *sha;
	uint8_t *body;
	size_t body_cap;
	bool failed; /* the body was too large or the disk full: refused at its end */
	int fail_status;
	const char *fail_detail;
};

static const char *const method_name[HTTP_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

const char *http_method_str(enum http_method m)
{
	return method_name[m];
}

const char *request_header(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_cookie(const struct request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_COOKIE_KIND, name);
}

void response_header(struct response *rs, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (rs->headers == (int)ARRAY_LEN(rs->header))
		return;
	snprintf(rs->header[rs->headers].name, sizeof rs->header[0].name, "%s", name);
	va_start(ap, fmt);
	vsnprintf(rs->header[rs->headers].value, sizeof rs->header[0].value, fmt, ap);
	va_end(ap);
	rs->headers++;
}

void response_text(struct response *rs, int status, const char *content_type, char *body, size_t n)
{
	free(rs->body);
	rs->status = status;
	snprintf(rs->content_type, sizeof rs->content_type, "%s", content_type);
	rs->body = body;
	rs->body_len = n;
}

void response_json(struct response *rs, int status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : xstrdup("null");

	if (!text)
		abort();
	response_text(rs, status, "application/json", text, strlen(text));
	json_decref(body);
}

struct shared_body *shared_body_new(char *text, size_t n, const char *content_type)
{
	struct shared_body *b = xcalloc(1, sizeof *b);

	b->refs = 1;
	b->response = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
	if (!b->response)
		abort();
	MHD_add_response_header(b->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	MHD_add_response_header(b->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return b;
}

struct shared_body *shared_body_ref(struct shared_body *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

struct shared_body *shared_body_unref(struct shared_body *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		MHD_destroy_response(b->response);
		free(b);
	}
	return NULL;
}

/* --- streams --- */

struct stream *stream_new(struct httpd *h, const struct stream_ops *ops, void *data)
{
	struct stream *s = xcalloc(1, sizeof *s);

	s->httpd = h;
	s->ops = ops;
	s->data = data;
	mutex_lock(&h->streams_lock);
	if (h->stream_count >= STREAMS_MAX || h->stopping) {
		mutex_unlock(&h->streams_lock);
		free(s);
		return NULL;
	}
	s->next = h->streams;
	h->streams = s;
	h->stream_count++;
	mutex_unlock(&h->streams_lock);
	return s;
}

void stream_wake(struct stream *s)
{
	mutex_lock(&s->httpd->streams_lock);
	if (s->suspended) {
		s->suspended = false;
		MHD_resume_connection(s->connection);
	} else {
		s->woken = true;
	}
	mutex_unlock(&s->httpd->streams_lock);
}

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct stream *s = cls;
	ssize_t n;

	for (;;) {
		n = s->ops->read(s->data, buf, max);
		if (n != 0)
			break;
		mutex_lock(&s->httpd->streams_lock);
		if (s->httpd->stopping) {
			n = -1;
		} else if (!s->woken) {
			s->suspended = true;
			MHD_suspend_connection(s->connection);
			mutex_unlock(&s->httpd->streams_lock);
			return 0;
		}
		s->woken = false;
		mutex_unlock(&s->httpd->streams_lock);
		if (n < 0)
			break;
	}
	return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void stream_free(void *cls)
{
	struct stream *s = cls;

	/* First the source of wake-ups ends, then the object. */
	s->ops->free(s->data);
	mutex_lock(&s->httpd->streams_lock);
	for (struct stream **p = &s->httpd->streams; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			s->httpd->stream_count--;
			break;
		}
	}
	mutex_unlock(&s->httpd->streams_lock);
	free(s);
}

/* --- answers --- */

static struct MHD_Response *mhd_response(struct response *rs, struct MHD_Connection *c)
{
	struct MHD_Response *r;

	if (rs->stream) {
		rs->stream->connection = c;
		return MHD_create_response_from_callback(
			MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, rs->stream, stream_free);
	}
	if (rs->fd >= 0)
		return MHD_create_response_from_fd64(rs->body_len, steal_fd(&rs->fd));
	if (rs->static_body)
		return MHD_create_response_from_buffer(
			rs->body_len, (void *)rs->static_body, MHD_RESPMEM_PERSISTENT);
	r = MHD_create_response_from_buffer(rs->body_len, rs->body, MHD_RESPMEM_MUST_FREE);
	rs->body = NULL;
	return r;
}

static enum MHD_Result send_response(
	struct exchange *x, struct MHD_Connection *c, struct response *rs)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	if (rs->shared) {
		ok = MHD_queue_response(c, (unsigned)rs->status, rs->shared->response);
		shared_body_unref(rs->shared);
		return ok;
	}
	r = mhd_response(rs, c);
	if (!r)
		return MHD_NO;
	if (rs->content_type[0])
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, rs->content_type);
	MHD_add_response_header(r, "X-Request-Id", x->rq.id);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	for (int i = 0; i < rs->headers; i++)
		MHD_add_response_header(r, rs->header[i].name, rs->header[i].value);
	if (rs->close)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(c, (unsigned)rs->status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result refuse(struct httpd *h, struct exchange *x, struct MHD_Connection *c,
	int status, const char *detail)
{
	struct response rs = {.fd = -1, .close = true};

	h->ops->refuse(h->data, &x->rq, &rs, status, detail);
	return send_response(x, c, &rs);
}

/* --- requests --- */

static bool method_from(const char *s, enum http_method *ret)
{
	if (!strcmp(s, "HEAD"))
		s = "GET"; /* libmicrohttpd leaves the body out */
	for (int i = 0; i < HTTP_METHODS; i++) {
		if (!strcmp(s, method_name[i])) {
			*ret = (enum http_method)i;
			return true;
		}
	}
	return false;
}

static bool length_conflict(const struct request *rq)
{
	return request_header(rq, "Content-Length") && request_header(rq, "Transfer-Encoding");
}

static int open_upload(struct httpd *h, struct exchange *x)
{
	snprintf(x->rq.upload_path, sizeof x->rq.upload_path, "%s/upload-%s", h->upload_dir,
		x->rq.id);
	x->upload_fd = open(x->rq.upload_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	x->sha = sha256_new();
	return x->upload_fd < 0 ? -1 : 0;
}

/* The header is there. 0: go on, else the answer is queued. */
static enum MHD_Result begin(struct httpd *h, struct exchange *x, struct MHD_Connection *c,
	const char *method, const char *url, bool *ret_done)
{
	struct response rs = {.fd = -1};
	const char *length = request_header(&x->rq, "Content-Length");

	*ret_done = true;
	if (!method_from(method, &x->rq.method))
		return refuse(h, x, c, 405, "unknown method");
	if (strlen(url) >= sizeof x->rq.path)
		return refuse(h, x, c, 414, "the path is too long");
	snprintf(x->rq.path, sizeof x->rq.path, "%s", url);
	if (length_conflict(&x->rq))
		return refuse(
			h, x, c, 400, "Content-Length and Transfer-Encoding exclude each other");
	if (h->ops->begin(h->data, &x->rq, &rs, &x->max_body, &x->upload) != 0) {
		rs.close = length != NULL || request_header(&x->rq, "Transfer-Encoding") != NULL;
		return send_response(x, c, &rs);
	}
	if (length && strtoull(length, NULL, 10) > x->max_body)
		return refuse(h, x, c, 413, "the body is too large");
	if (x->upload && open_upload(h, x) < 0)
		return refuse(h, x, c, 507, "the upload cannot be stored");
	*ret_done = false;
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
	x->rq.upload_bytes += n;
	if (x->rq.upload_bytes > x->max_body) {
		fail(x, 413, "the body is too large");
		return;
	}
	sha256_add(x->sha, data, n);
	while (n > 0) {
		ssize_t k = write(x->upload_fd, data, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			fail(x, 507, "the disk is full");
			return;
		}
		data += k;
		n -= (size_t)k;
	}
}

static void take_body(struct exchange *x, const char *data, size_t n)
{
	if (n > x->max_body - x->rq.body_len) {
		fail(x, 413, "the body is too large");
		return;
	}
	if (x->rq.body_len + n + 1 > x->body_cap) {
		size_t cap = MAX(x->body_cap * 2, x->rq.body_len + n + 1);
		uint8_t *grown = realloc(x->body, cap);

		if (!grown) {
			fail(x, 503, "out of memory");
			return;
		}
		x->body = grown;
		x->body_cap = cap;
	}
	memcpy(x->body + x->rq.body_len, data, n);
	x->rq.body_len += n;
	x->body[x->rq.body_len] = 0;
}

static enum MHD_Result finish(struct httpd *h, struct exchange *x, struct MHD_Connection *c)
{
	struct response rs = {.fd = -1, .status = 500};

	if (x->failed)
		return refuse(h, x, c, x->fail_status, x->fail_detail);
	if (x->upload) {
		uint8_t raw[SHA256_BYTES];

		sha256_end(x->sha, raw);
		hex_of(raw, sizeof raw, x->rq.upload_sha256);
		if (fdatasync(x->upload_fd) < 0)
			return refuse(h, x, c, 507, "the upload cannot be stored");
	}
	x->rq.body = x->body ? x->body : (const uint8_t *)"";
	h->ops->handle(h->data, &x->rq, &rs);
	return send_response(x, c, &rs);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct httpd *h = cls;
	struct exchange *x = *state;

	if (!x) {
		bool done;

		x = xcalloc(1, sizeof *x);
		x->upload_fd = -1;
		x->rq.connection = c;
		x->rq.httpd = h;
		uuid7(x->rq.id);
		*state = x;
		return begin(h, x, c, method, url, &done);
	}
	if (*size > 0) {
		/* All of the body is taken, also of what is refused: the answer comes behind it. */
		if (!x->failed && x->upload)
			take_upload(x, data, *size);
		else if (!x->failed)
			take_body(x, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return finish(h, x, c);
}

static void on_completed(
	void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	struct httpd *h = cls;
	struct exchange *x = *state;

	if (!x)
		return;
	h->ops->done(h->data, &x->rq);
	if (x->upload_fd >= 0) {
		close(x->upload_fd);
		unlink(x->rq.upload_path);
	}
	sha256_free(x->sha);
	free(x->body);
	free(x);
	*state = NULL;
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("http: %s", text);
}

static int open_listener(const struct httpd_options *o, int *ret, struct err *e)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *ai;
	char port[8];
	_cleanup_(closep) int fd = -1;
	const int on = 1;
	int r;

	snprintf(port, sizeof port, "%u", o->port);
	r = getaddrinfo(o->host, port, &hints, &ai);
	if (r != 0)
		return err_set(e, ERR_INVALID, "listen on %s: %s", o->host, gai_strerror(r));
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	r = fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 256) < 0
		    ? err_errno(e, ERR_IO, errno, "listen on %s:%u", o->host, o->port)
		    : 0;
	freeaddrinfo(ai);
	if (r == 0)
		*ret = steal_fd(&fd);
	return r;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	if (a.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&a)->sin_port);
	return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port) : 0;
}

int httpd_start(const struct httpd_options *o, const struct httpd_ops *ops, void *data,
	struct httpd **ret, struct err *e)
{
	struct httpd *h = xcalloc(1, sizeof *h);
	int fd = o->listen_fd;

	h->ops = ops;
	h->data = data;
	h->upload_dir = xstrdup(o->upload_dir);
	mutex_init(&h->streams_lock);
	if (fd < 0 && open_listener(o, &fd, e) < 0) {
		httpd_stop(h);
		return -(int)e->code;
	}
	h->port = port_of(fd);
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, o->threads,
		MHD_OPTION_CONNECTION_LIMIT, o->connections, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_END);
	if (!h->daemon) {
		close(fd);
		httpd_stop(h);
		return err_set(e, ERR_IO, "libmicrohttpd does not start");
	}
	*ret = h;
	return 0;
}

uint16_t httpd_port(const struct httpd *h)
{
	return h->port;
}

void httpd_heartbeat(struct httpd *h)
{
	mutex_lock(&h->streams_lock);
	for (struct stream *s = h->streams; s; s = s->next) {
		if (s->suspended) {
			s->suspended = false;
			MHD_resume_connection(s->connection);
		}
	}
	mutex_unlock(&h->streams_lock);
}

struct httpd *httpd_stop(struct httpd *h)
{
	if (!h)
		return NULL;
	mutex_lock(&h->streams_lock);
	h->stopping = true;
	for (struct stream *s = h->streams; s; s = s->next) {
		if (s->suspended) {
			s->suspended = false;
			MHD_resume_connection(s->connection);
		}
		s->woken = true;
	}
	mutex_unlock(&h->streams_lock);
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	mutex_done(&h->streams_lock);
	free(h->upload_dir);
	free(h);
	return NULL;
}
