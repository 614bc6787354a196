/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections of the API, and how many each client may hold, so that none shuts others out. A
 * connection is anonymous until a request on it carries a valid token; then it is its principal's.
 *
 *   opened ──> WAITING ──> HEADER ──> BODY ──> WORKING ──> ANSWERING ──┐
 *                 ^        (first line)        (a handler)             │
 *                 └────────────────────────────────────────────────────┘
 *
 * Room is made, never asked for: one connection too many cuts the oldest anonymous one of the
 * address that holds most, or the connection of the largest principal that has rested longest. An
 * anonymous one from which something waits to be read goes after those that say nothing: its thread
 * may be late, and its token unread.
 * A phase that must end by itself has a deadline that no dripping byte prolongs; a body has one
 * that grows with what came. To cut is to shut the socket down: its thread then closes it.
 *
 * Any thread. Time comes from the caller (monotonic microseconds).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct conns;
struct conn;

enum conn_phase { CONN_WAITING, CONN_HEADER, CONN_BODY, CONN_WORKING, CONN_ANSWERING };

struct conn_limits {
	unsigned total;
	unsigned anonymous;		/* of them without a token */
	unsigned anonymous_per_address; /* of those from one address; an IPv6 network of 64 bits
					   counts as one */
	unsigned owner;			/* of one principal */
	uint64_t header_us;		/* for a header, also the first one */
	uint64_t idle_us;		/* between two requests of a principal */
	uint64_t body_us;		/* for a body, and 1 s more for each body_rate bytes */
	uint64_t body_rate_bytes;
	uint64_t answer_us; /* for an anonymous one to take its answer */
};

/* Both are called under a lock, and must not wait. */
struct conns_ops {
	void (*cut)(void *data, int fd);
	/* Whether bytes came that nobody has read; false at the end of the stream. */
	bool (*unread)(void *data, int fd);
	/* Whether its end came, and nothing before it that nobody has read. */
	bool (*ended)(void *data, int fd);
};

struct conns *conns_new(const struct conn_limits *l, const struct conns_ops *ops, void *data);
/* When none is open. */
struct conns *conns_free(struct conns *c);

/* A new one, which may cost another its place, or is cut itself where all others are in use. */
struct conn *conn_open(struct conns *c, int fd, const struct sockaddr *peer, uint64_t now_us);
/* Before its descriptor is closed. */
void conn_close(struct conn *n);
void conn_phase(struct conn *n, enum conn_phase p, uint64_t now_us);
void conn_body(struct conn *n, size_t bytes);
/* From now on it is of that principal ("" of nobody); false, and nothing changed, when the
 * principal holds as many as it may and all of them are in use. */
bool conn_own(struct conn *n, const char *principal);
/* The address as text, without the port; lives as long as the connection. */
const char *conn_peer(const struct conn *n);
/* As conn_peer(), of what counts as one address: "2001:db8:1:2::" for all of its network. */
const char *conn_network(const struct conn *n);

/* Cuts what is over its deadline, and what its client has closed before a request was whole: with epoll, libmicrohttpd
 * does not see an end that came together with the last bytes. How many. Once a second. */
unsigned conns_sweep(struct conns *c, uint64_t now_us);

struct conn_counts {
	unsigned open, anonymous;
	uint64_t cut_for_room, cut_late; /* since the start */
};
void conns_counts(struct conns *c, struct conn_counts *ret);
