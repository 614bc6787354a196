/* SPDX-License-Identifier: Apache-2.0
 *
 * The only door to libmicrohttpd: connections and bytes in, a `struct request` out to a handler, a
 * `struct response` back. The HTTP threads move bytes and answer what is in memory; all other
 * handlers run on the threads of api/work.h while their connection is suspended. They may wait for
 * the writer, never for a station's worker or a device. How many connections each client may
 * hold, and for how long, is api/conns.h.
 */
#pragma once

#include "api/conns.h"
#include "api/http.h"
#include "base/err.h"

struct httpd;

/* owner: the principal's id. NULL when there are too many of that kind, or too many of that principal. */
struct stream *stream_new(struct httpd *h, enum stream_kind kind, const struct stream_ops *ops,
	void *data, const char *owner);

/* What may come after a header, and which thread carries the request out. */
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

struct tls;

/* Where it listens. */
struct httpd_listen {
	const char *host; /* numeric; NULL: path */
	uint16_t port;	  /* 0: any free one */
	const char *path; /* of a socket of AF_UNIX, which users of its owner and group may use */
	bool tls;
};

#define HTTPD_LISTENS 8

struct httpd_options {
	const struct httpd_listen *listen;
	size_t listens; /* 1 to HTTPD_LISTENS */
	/* >= 0: instead of all of them, owned by httpd; over TLS where there is one, but for AF_UNIX */
	int listen_fd;
	struct tls *tls; /* NULL: there is none; it must outlive the httpd */
	const char *upload_dir;
	/* A listener that others than this machine reach in the clear is refused. */
	bool local_only;
};

/* The most descriptors that the API holds at a time: connections, a file that goes in or out for
 * each, readers. */
#define HTTPD_DESCRIPTORS 3232

int httpd_start(const struct httpd_options *o, const struct httpd_ops *ops, void *data,
	struct httpd **ret, struct err *e);
/* Of its first listener that has one; 0 where all are of AF_UNIX. */
uint16_t httpd_port(const struct httpd *h);
/* The first address that others than this machine reach in the clear; "" there is none. */
const char *httpd_clear_address(const struct httpd *h);
/* Before a handler looks at what it may wait for (response.wait_until_us). Any thread, as the next one. */
uint64_t httpd_wait_ticket(struct httpd *h);
/* What waits for that topic is carried out again; NULL: whatever waits. */
void httpd_wake(struct httpd *h, const char *topic);
/* Every second: wakes the streams, so that a dead peer is noticed by what is written to it, and
 * cuts the connections that are over their deadline. */
void httpd_tick(struct httpd *h);
/* Whether no thread of the API hangs in a request; the sentence into e where one does. Time comes
 * from the caller (monotonic). */
int httpd_alive(struct httpd *h, uint64_t now_us, struct err *e);
/* The connections of now, and those that were cut. Any thread. */
void httpd_conns(struct httpd *h, struct conn_counts *ret);
/* Streams end, requests under way finish. */
struct httpd *httpd_stop(struct httpd *h);
