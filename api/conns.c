/* SPDX-License-Identifier: Apache-2.0 */
#include "api/conns.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/iotime.h"
#include "base/thread.h"
#include "base/util.h"

#define OWNER_SIZE 40
/* So many are asked whether something of them waits to be read, for one that must go. */
#define ASKED_MAX 16

struct conn {
	struct conns *of;
	struct conn *prev, *next; /* the oldest first */
	int fd;
	bool cut;
	enum conn_phase phase;
	uint64_t since_us; /* of the phase */
	uint64_t body_bytes;
	uint64_t ended_at;	/* body_bytes + 1 when its end was seen, 0: it was not */
	char owner[OWNER_SIZE]; /* "" anonymous */
	uint8_t address[16];	/* what counts as one address */
	char peer[INET6_ADDRSTRLEN];
	char network[INET6_ADDRSTRLEN];
};

struct conns {
	struct conn_limits limits;
	const struct conns_ops *ops;
	void *data;
	struct mutex lock;
	struct conn *oldest, *newest;
	/* Those that are not cut: */
	unsigned open, anonymous;
	uint64_t cut_for_room, cut_late;
};

struct conns *conns_new(const struct conn_limits *l, const struct conns_ops *ops, void *data)
{
	struct conns *c = xcalloc(1, sizeof *c);

	c->limits = *l;
	c->ops = ops;
	c->data = data;
	mutex_init(&c->lock);
	return c;
}

struct conns *conns_free(struct conns *c)
{
	if (c) {
		mutex_done(&c->lock);
		free(c);
	}
	return NULL;
}

/* IPv4 as a mapped address; of IPv6 the network, since a host has all of it to itself. */
static void read_peer(struct conn *n, const struct sockaddr *peer)
{
	if (peer && peer->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)peer;

		n->address[10] = n->address[11] = 0xff;
		memcpy(n->address + 12, &a->sin_addr, 4);
		inet_ntop(AF_INET, &a->sin_addr, n->peer, sizeof n->peer);
	} else if (peer && peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)peer;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);

		memcpy(n->address, &a->sin6_addr, mapped ? 16 : 8);
		inet_ntop(AF_INET6, &a->sin6_addr, n->peer, sizeof n->peer);
	}
	inet_ntop(AF_INET6, n->address, n->network, sizeof n->network);
}

static void count_locked(struct conns *c, struct conn *n, int by) REQUIRES(c->lock)
{
	if (n->cut)
		return;
	c->open += (unsigned)by;
	if (!n->owner[0])
		c->anonymous += (unsigned)by;
}

static void cut_locked(struct conns *c, struct conn *n) REQUIRES(c->lock)
{
	count_locked(c, n, -1);
	n->cut = true;
	c->ops->cut(c->data, n->fd);
}

/* --- which connection is cut --- */

static bool same_address(const struct conn *a, const struct conn *b)
{
	return !memcmp(a->address, b->address, sizeof a->address);
}

/* Anonymous ones of an address; the oldest that can be cut (but not `but`) into *ret, better one
 * that says nothing than one whose token is not read yet. What a handler works on is left: nobody
 * would see the cut before its end. */
static unsigned of_address_locked(struct conns *c, const struct conn *of, const struct conn *but,
	struct conn **ret) REQUIRES(c->lock)
{
	unsigned n = 0;
	unsigned asked = 0;
	bool silent = false;

	*ret = NULL;
	for (struct conn *x = c->oldest; x; x = x->next) {
		if (x->cut || x->owner[0] || !same_address(x, of))
			continue;
		n++;
		if (silent || x == but || x->phase == CONN_WORKING || asked == ASKED_MAX)
			continue;
		asked++;
		silent = !c->ops->unread(c->data, x->fd);
		if (silent || !*ret)
			*ret = x;
	}
	return n;
}

/* As of_address_locked, of a principal: the one that rested longest. */
static unsigned of_owner_locked(struct conns *c, const char *owner, const struct conn *but,
	struct conn **ret) REQUIRES(c->lock)
{
	unsigned n = 0;

	*ret = NULL;
	for (struct conn *x = c->oldest; x; x = x->next) {
		if (x->cut || strcmp(x->owner, owner) != 0)
			continue;
		n++;
		if (x != but && x->phase == CONN_WAITING &&
			(!*ret || x->since_us < (*ret)->since_us))
			*ret = x;
	}
	return n;
}

/* The oldest of the address that holds most. Each address is counted once, at the first of its
 * connections that is met. */
static struct conn *anonymous_victim_locked(struct conns *c, const struct conn *but)
	REQUIRES(c->lock)
{
	struct conn *victim = NULL;
	unsigned most = 0;

	for (struct conn *x = c->oldest; x; x = x->next) {
		const struct conn *p = x->prev;
		struct conn *oldest;
		unsigned n;

		if (x->cut || x->owner[0])
			continue;
		while (p && (p->cut || p->owner[0] || !same_address(p, x)))
			p = p->prev;
		if (p)
			continue;
		n = of_address_locked(c, x, but, &oldest);
		if (oldest && n > most) {
			most = n;
			victim = oldest;
		}
	}
	return victim;
}

static struct conn *owned_victim_locked(struct conns *c, const struct conn *but) REQUIRES(c->lock)
{
	struct conn *victim = NULL;
	unsigned most = 0;

	for (struct conn *x = c->oldest; x; x = x->next) {
		struct conn *idle;
		unsigned n;

		if (x->cut || !x->owner[0] || (victim && !strcmp(victim->owner, x->owner)))
			continue;
		n = of_owner_locked(c, x->owner, but, &idle);
		if (idle && n > most) {
			most = n;
			victim = idle;
		}
	}
	return victim;
}

static void make_room_locked(struct conns *c, struct conn *fresh) REQUIRES(c->lock)
{
	struct conn *victim = NULL;

	if (of_address_locked(c, fresh, fresh, &victim) > c->limits.anonymous_per_address) {
		/* victim is that address's oldest */
	} else if (c->anonymous > c->limits.anonymous) {
		victim = anonymous_victim_locked(c, fresh);
	} else if (c->open > c->limits.total) {
		victim = anonymous_victim_locked(c, fresh);
		if (!victim)
			victim = owned_victim_locked(c, fresh);
	} else {
		return;
	}
	c->cut_for_room++;
	cut_locked(c, victim ? victim : fresh);
}

/* --- the life of one --- */

struct conn *conn_open(struct conns *c, int fd, const struct sockaddr *peer, uint64_t now_us)
{
	struct conn *n = xcalloc(1, sizeof *n);

	n->of = c;
	n->fd = fd;
	n->since_us = now_us;
	read_peer(n, peer);
	mutex_lock(&c->lock);
	n->prev = c->newest;
	*(c->newest ? &c->newest->next : &c->oldest) = n;
	c->newest = n;
	count_locked(c, n, 1);
	make_room_locked(c, n);
	mutex_unlock(&c->lock);
	return n;
}

void conn_close(struct conn *n)
{
	struct conns *c;

	if (!n)
		return;
	c = n->of;
	mutex_lock(&c->lock);
	*(n->prev ? &n->prev->next : &c->oldest) = n->next;
	*(n->next ? &n->next->prev : &c->newest) = n->prev;
	count_locked(c, n, -1);
	mutex_unlock(&c->lock);
	free(n);
}

void conn_phase(struct conn *n, enum conn_phase p, uint64_t now_us)
{
	mutex_lock(&n->of->lock);
	if (p == CONN_BODY)
		n->body_bytes = 0;
	n->ended_at = 0;
	n->phase = p;
	n->since_us = now_us;
	mutex_unlock(&n->of->lock);
}

void conn_body(struct conn *n, size_t bytes)
{
	mutex_lock(&n->of->lock);
	n->body_bytes += bytes;
	mutex_unlock(&n->of->lock);
}

bool conn_own(struct conn *n, const char *principal)
{
	struct conns *c = n->of;
	bool room = true;

	mutex_lock(&c->lock);
	if (*principal && strcmp(n->owner, principal) != 0) {
		struct conn *idle;

		room = of_owner_locked(c, principal, n, &idle) < c->limits.owner || idle;
		if (room && of_owner_locked(c, principal, n, &idle) >= c->limits.owner) {
			c->cut_for_room++;
			cut_locked(c, idle);
		}
	}
	if (room) {
		count_locked(c, n, -1);
		snprintf(n->owner, sizeof n->owner, "%s", principal);
		count_locked(c, n, 1);
	}
	mutex_unlock(&c->lock);
	return room;
}

const char *conn_peer(const struct conn *n)
{
	return n->peer;
}

const char *conn_network(const struct conn *n)
{
	return n->network;
}

/* --- deadlines --- */

static bool late_locked(const struct conns *c, const struct conn *n, uint64_t now_us)
	REQUIRES(c->lock)
{
	uint64_t took = now_us - n->since_us;
	bool anonymous = !n->owner[0];

	switch (n->phase) {
	case CONN_WAITING:
		return took > (anonymous ? c->limits.header_us : c->limits.idle_us);
	case CONN_HEADER:
		return took > c->limits.header_us;
	case CONN_BODY:
		return took >
		       c->limits.body_us + n->body_bytes / c->limits.body_rate_bytes * US_PER_S;
	case CONN_ANSWERING:
		return anonymous && took > c->limits.answer_us;
	case CONN_WORKING:
		return false;
	}
	return false;
}

/* Twice in a row: what came before the end may be on its way through the library. */
static bool given_up_locked(const struct conns *c, struct conn *n) REQUIRES(c->lock)
{
	const uint64_t at = n->body_bytes + 1;
	const bool before = n->ended_at == at;

	if ((n->phase != CONN_HEADER && n->phase != CONN_BODY) || !c->ops->ended(c->data, n->fd))
		return false;
	n->ended_at = at;
	return before;
}

unsigned conns_sweep(struct conns *c, uint64_t now_us)
{
	unsigned cut = 0;

	mutex_lock(&c->lock);
	for (struct conn *n = c->oldest; n; n = n->next) {
		bool late = !n->cut && late_locked(c, n, now_us);

		if (!late && (n->cut || !given_up_locked(c, n)))
			continue;
		cut_locked(c, n);
		c->cut_late += late;
		cut++;
	}
	mutex_unlock(&c->lock);
	return cut;
}

void conns_counts(struct conns *c, struct conn_counts *ret)
{
	mutex_lock(&c->lock);
	*ret = (struct conn_counts){c->open, c->anonymous, c->cut_for_room, c->cut_late};
	mutex_unlock(&c->lock);
}
