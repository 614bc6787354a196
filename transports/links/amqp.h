/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of AMQP 1.0 (OASIS 2012): one connection, for each target address a session and a link of its own,
 * so that an address that the peer refuses with its session stops no other one. At least once: a message is
 * unsettled until the peer has said what became of it. Of one thread, which never waits without an iotime.
 *
 *	amqp_open() ──> amqp_link() ──> attached, credit ──> amqp_send() ──> amqp_next()
 *	                   ^               │
 *	                   └── detached <──┘  the rest of the connection goes on
 *
 * The library (qpid-proton) is optional: without it amqp_open() is -ERR_UNSUPPORTED.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "transports/links/http_allow.h"

#define AMQP_ADDRESS_BYTES 256

struct amqp_url {
	char host[HTTP_HOST_BYTES]; /* without [] */
	uint16_t port;
	bool tls;
};
/* amqp://HOST[:PORT] (5672) or amqps://HOST[:PORT] (5671; AMQP 1.0, IANA), and nothing else. -ERR_INVALID. */
int amqp_url_parse(const char *url, struct amqp_url *ret, struct err *e);

/* Whether this provd can speak it. */
bool amqp_built(void);

struct amqp_peer {
	struct amqp_url at;
	const char *ca; /* PEM of who signs its certificate; NULL: those of the system */
	const char *user, *password; /* SASL PLAIN; NULL: ANONYMOUS */
	const char *container;	     /* who we are: the same at each connection */
	uint64_t idle_us;	     /* a peer that says nothing for so long is lost */
};

/* What became of a message, or why a link has none. */
enum amqp_end {
	AMQP_ACCEPTED,
	AMQP_REJECTED,	/* the peer says that the message is bad */
	AMQP_RELEASED,	/* it did not take it, and may later */
	AMQP_MODIFIED,	/* the same, after it tried */
	AMQP_TOO_LARGE, /* for the link: it was not sent */
	AMQP_DETACHED, /* the peer closed the link, or refused it: an address that it does not have */
	AMQP_LOST,     /* the connection went: whether the peer has it is not known */
	AMQP_END_COUNT
};
/* Stable codes: "accepted", "rejected", ...; NULL-terminated. */
extern const char *const amqp_ends[];

struct amqp;

/* Connects, shows who it is and opens, within it. -ERR_SERVICE_DOWN, -ERR_SERVICE_UNTRUSTED (TLS, or a peer
 * without it), -ERR_SERVICE_REFUSED (who we are), -ERR_SERVICE_ANSWER (no AMQP 1.0), the cancel's reason. */
int amqp_open(const struct amqp_peer *p, const struct iotime *it, struct amqp **ret, struct err *e);
/* Closes; what is unsettled has no end. Waits for nothing. NULL is fine. */
struct amqp *amqp_free(struct amqp *a);

struct amqp_link;

/* Asks for a link to an address; it belongs to the connection. */
struct amqp_link *amqp_link(struct amqp *a, const char *address);
/* How many messages it takes now: 0 while it is not attached, or has no credit. */
size_t amqp_room(const struct amqp_link *l);
/* Whether the peer has detached it: why. It is gone with amqp_unlink(). */
bool amqp_detached(const struct amqp_link *l, struct err *e);
/* What was sent over it has no end any more. */
void amqp_unlink(struct amqp *a, struct amqp_link *l);

struct amqp_message {
	const char *id, *subject, *reply_to, *content_type;
	const char *correlation_id;    /* NULL: none */
	int64_t created_ms;	       /* UTC */
	const char *const *properties; /* of the application: name, value, ..., NULL */
	const char *body;	       /* one data section */
	size_t body_bytes;
};
/* There is room. The texts are copied. data comes back with the end. -ERR_TOO_LARGE where the link takes no message of
 * that size: nothing was sent. */
int amqp_send(struct amqp_link *l, const struct amqp_message *m, void *data, struct err *e);

struct amqp_sent {
	void *data;
	enum amqp_end end;
	struct err err; /* not of AMQP_ACCEPTED */
};
/* One that has an end; false: none has. */
bool amqp_next(struct amqp *a, struct amqp_sent *ret);

/* --- what comes --- */

#define AMQP_RECEIVED_MAX   (64 * 1024) /* bytes of a message; of a larger one no byte is kept */
#define AMQP_RECEIVED_QUEUE 16		/* messages that may wait for amqp_take() */

/* Asks for a link from an address of the peer; target: what the peer calls our end (the reply-to of a question). */
struct amqp_link *amqp_receiver(struct amqp *a, const char *source, const char *target);
/* Nothing more is wanted: what the peer had sent before it heard that comes still, and amqp_detached() is true after it. */
void amqp_stop(struct amqp_link *l);
/* Whether the peer has attached it, and not detached it since. */
bool amqp_attached(const struct amqp_link *l);

struct amqp_received {
	char *correlation_id; /* "" there is none, or it is no text */
	char *body;	      /* with a NUL after it */
	size_t body_bytes;
	bool too_large, unreadable; /* and then without a body */
};
void amqp_received_done(struct amqp_received *m);
/* The oldest one that came over any of the links, which the peer knows to be taken; false: none. Freed by the caller. */
bool amqp_take(struct amqp *a, struct amqp_received *ret);

/* Moves bytes until something is to be looked at (an end, a link, credit, a message), wake_fd is readable, or the
 * deadline: 0. -ERR_SERVICE_DOWN once the connection is lost, after which amqp_next() has the ends of all that
 * was unsettled; the cancel's reason. */
int amqp_wait(struct amqp *a, int wake_fd, const struct iotime *it, struct err *e);
