/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to libmicrohttpd: connections and bytes in, a `struct request` out to a handler, a
 * `struct response` back. The HTTP threads move bytes and answer what is in memory; all other
 * handlers run on the threads of api/work.h while their connection is suspended. They may wait for
 * the writer, never for a station's worker or a device. Who may hold how many connections, and for
 * how long, is api/conns.h.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/timefmt.h"

struct httpd;
struct MHD_Connection;

/* HTTP_OTHER: one that no route has. */
enum http_method {
	HTTP_GET,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_METHODS,
	HTTP_OTHER = HTTP_METHODS
};
const char *http_method_str(enum http_method m);

#define REQUEST_PARAMS 4

struct request {
	enum http_method method;
	char path[512]; /* decoded, without the query */
	struct {
		const char *name; /* of the route's pattern */
		char value[200];
	} param[REQUEST_PARAMS];
	char id[UUID_SIZE];  /* X-Request-Id */
	const uint8_t *body; /* whole, NUL-terminated behind; NULL for uploads */
	size_t body_len;
	const char *peer;    /* the client's address, without the port */
	const char *network; /* what of it counts as one address (api/conns.h) */
	/* An upload (ROUTE_UPLOAD) is in this file, removed after the handler unless it was moved.
	 */
	char upload_path[512];
	char upload_sha256[SHA256_HEX];
	uint64_t upload_bytes;
	uint64_t upload_taken; /* the router's: of the store's quota */
	/* Filled by the router: */
	const void *route;
	const void *principal;
	/* httpd's own: */
	struct MHD_Connection *connection;
	struct httpd *httpd;
};

/* NULL if absent. */
const char *request_header(const struct request *rq, const char *name);
const char *request_query(const struct request *rq, const char *name);
const char *request_cookie(const struct request *rq, const char *name);
/* Each parameter of the query in turn, until visit() returns false. value may be NULL ("?name"). */
void request_each_query(const struct request *rq,
	bool (*visit)(void *data, const char *name, const char *value), void *data);
/* A parameter of the route's path: the router's. */
const char *request_param(const struct request *rq, const char *name);

struct shared_body; /* an answer that many requests share: refcounted, immutable */

struct response {
	int status;
	char content_type[64];
	char *body; /* owned */
	size_t body_len;
	const void *static_body;    /* lives as long as the program; instead of body */
	struct shared_body *shared; /* instead of body; a reference */
	int fd;			    /* >= 0: the file's content, body_len bytes */
	struct stream *stream;	    /* server-sent events: api/sse.h; owned by the response */
	struct {
		char name[32];
		char value[256];
	} header[8];
	int headers;
	bool close;		/* drop the connection afterwards */
	unsigned retry_after_s; /* with 429 and 503; 0: a second */
};

void response_header(struct response *rs, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the reference. */
void response_json(struct response *rs, int status, json_t *body);
void response_text(struct response *rs, int status, const char *content_type, char *body, size_t n);

struct shared_body *shared_body_new(char *text, size_t n, const char *content_type);
struct shared_body *shared_body_ref(struct shared_body *b);
struct shared_body *shared_body_unref(struct shared_body *b);

/* A stream of server-sent events. */
struct stream_ops {
	/* Up to size bytes into buf; 0: nothing yet, -1: end. */
	long (*read)(void *data, char *buf, size_t size);
	void (*free)(void *data);
};
struct stream;
/* owner: the principal's id. NULL when there are too many, or too many of that principal. */
struct stream *stream_new(
	struct httpd *h, const struct stream_ops *ops, void *data, const char *owner);
/* Any thread: there is something to read. */
void stream_wake(struct stream *s);

/* What may come after a header, and who carries the request out. */
struct intake {
	uint64_t max_body;
	bool upload; /* the body goes to a file */
	bool direct; /* answered on the HTTP thread: it reads memory and never waits */
	bool heavy;  /* it parses files */
	/* Whose the connection is from now on ("" of nobody); NULL: as before. */
	const char *owner;
};

struct httpd_ops {
	/* When the header is there: fills status (with the answer) to refuse, else 0. HTTP thread:
	 * it never waits. */
	int (*begin)(void *data, struct request *rq, struct response *rs, struct intake *ret);
	/* Whether an upload may grow: `taken` bytes more are about to be written, `more` are
	 * announced. 0, or the status and what *ret_why says. HTTP thread: it never waits. */
	int (*upload)(void *data, struct request *rq, uint64_t taken, uint64_t more,
		const char **ret_why);
	void (*handle)(void *data, struct request *rq, struct response *rs);
	/* The answer to a request that httpd itself refuses. Any thread. */
	void (*refuse)(void *data, struct request *rq, struct response *rs, int status,
		const char *detail);
	/* The request is over, answered or not. */
	void (*done)(void *data, struct request *rq);
};

struct httpd_options {
	const char *host; /* numeric */
	uint16_t port;	  /* 0: any free one */
	int listen_fd;	  /* >= 0: instead, owned by httpd */
	const char *upload_dir;
	/* A listener that others than this machine reach is refused: there is no TLS. */
	bool local_only;
};

/* The most descriptors that the API holds at a time: connections, a file that goes in or out for
 * each, readers. */
#define HTTPD_DESCRIPTORS 2208

int httpd_start(const struct httpd_options *o, const struct httpd_ops *ops, void *data,
	struct httpd **ret, struct err *e);
uint16_t httpd_port(const struct httpd *h);
/* The address that it listens on, numeric; "" for a socket that has none (AF_UNIX). */
const char *httpd_address(const struct httpd *h);
/* Every second: wakes the streams, so that a dead peer is noticed by what is written to it, and
 * cuts the connections that are over their deadline. */
void httpd_tick(struct httpd *h);
/* Whether no thread of the API hangs in a request; the sentence into e where one does. Time comes
 * from the caller (monotonic). */
int httpd_alive(struct httpd *h, uint64_t now_us, struct err *e);
/* Streams end, requests under way finish. */
struct httpd *httpd_stop(struct httpd *h);
