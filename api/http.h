/* SPDX-License-Identifier: Apache-2.0
 *
 * A request as a handler sees it, and the answer that it makes. What carries the two is
 * api/httpd.h.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/waits.h"
#include "base/digest.h"
#include "base/timefmt.h"
#include "base/trace_context.h"
#include "base/util.h"

struct MHD_Connection;
struct tls_client;
struct httpd;

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
/* HEAD is GET: the library leaves the body out. HTTP_OTHER for one that is not here. */
enum http_method http_method_from(const char *s);

#define REQUEST_PARAMS 4

/* A piece of a file (api/httpd_upload.h). */
struct upload_piece {
	uint64_t first, last;
	uint64_t total; /* of the file; 0: it comes whole, in one request */
	bool asks;	/* no bytes: how much is there? */
};

struct request {
	enum http_method method;
	bool head;	/* HEAD, which is GET without the body of its answer */
	char path[512]; /* decoded, without the query */
	struct {
		const char *name; /* of the route's pattern */
		char value[200];
	} param[REQUEST_PARAMS];
	char id[UUID_SIZE];  /* X-Request-Id */
	const uint8_t *body; /* whole, with a NUL after it; NULL for uploads */
	size_t body_len;
	const char *peer;    /* the client's address, without the port */
	const char *network; /* what of it counts as one address (api/conns.h) */
	bool secure;	     /* it came over TLS */
	/* What the client showed there, and whether it is good; NULL: nothing. */
	const struct tls_client *client;
	/* An upload (ROUTE_UPLOAD) is in this file, removed after the handler unless it was moved.
	 */
	char upload_path[FILE_PATH_BYTES];
	char upload_sha256[SHA256_HEX];
	uint64_t upload_bytes;
	uint64_t upload_taken; /* the router's: of the store's quota */
	struct upload_piece upload_piece;
	bool upload_kept; /* the file stays, for more of it: upload_sha256 is "" where it is not whole */
	uint64_t begun_us; /* its first line was there (monotonic) */
	/* Of the answer, once it is sent: */
	int status;	      /* 0: there is none yet */
	int64_t answer_bytes; /* of its body; -1: a stream */
	/* Filled by the router: */
	const void *route;
	const void *principal;
	/* httpd's: it has waited before, until then at the latest; 0: not yet. */
	uint64_t wait_until_us;
	/* httpd's own: */
	struct MHD_Connection *connection;
	struct httpd *httpd;
};

/* NULL if absent. */
const char *request_header(const struct request *rq, const char *name);
/* The trace that it belongs to; false: none. */
bool request_trace(const struct request *rq, struct trace_context *ret);
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
		char *value; /* owned */
	} header[12];
	int headers;
	/* Instead of an answer: carry the request out again when the topic changes, or then (httpd_wait_ticket()); 0: do not. */
	uint64_t wait_until_us, wait_ticket;
	char wait_topic[WAIT_TOPIC_SIZE];
	bool close;		/* drop the connection afterwards */
	unsigned retry_after_s; /* with 429 and 503; 0: a second */
};

void response_header(struct response *rs, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the reference. */
void response_json(struct response *rs, int status, json_t *body);
void response_text(struct response *rs, int status, const char *content_type, char *body, size_t n);

/* tag: its ETag, "" none. */
struct shared_body *shared_body_new(
	char *text, size_t n, const char *content_type, const char *tag);
struct shared_body *shared_body_ref(struct shared_body *b);
struct shared_body *shared_body_unref(struct shared_body *b);

/* A stream of server-sent events. */
struct stream_ops {
	/* Up to size bytes into buf; 0: nothing yet, -1: end, -2: it is broken off, which the
	 * client sees. */
	long (*read)(void *data, char *buf, size_t size);
	void (*free)(void *data);
};
struct stream;
/* Each kind has its own limits: an export works, a live stream waits for the most part. */
enum stream_kind { STREAM_LIVE, STREAM_EXPORT, STREAM_KINDS };
/* Any thread: there is something to read. */
void stream_wake(struct stream *s);
