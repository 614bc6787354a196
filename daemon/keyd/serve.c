/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/serve.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"
#include "daemon/keyd/wire.h"

#define CONNECTIONS_MAX 64
#define REQUEST_US	(10 * US_PER_S) /* for all bytes of a request to come */
#define IDLE_US		(60 * US_PER_S) /* between two requests: a place is not kept for nothing */

struct server {
	int fd;
	struct line_caller line;
	struct keyring *keys;
	struct cancel cancel;
	pthread_t acceptor;
	struct mutex lock;
	struct cond fewer, more;
	/* All under lock: */
	unsigned connections;	    /* places that are taken */
	struct connection *open;    /* those that are served */
	struct connection *waiting; /* those that no thread has yet */
	unsigned queued, idle, threads;
	bool stop;
};

/* A certificate that was looked at on a connection: the one that is signed next, if it is the same. */
struct look {
	uint8_t *ask; /* its request */
	size_t n;
	struct draft *draft;
};

/* What a handler is given in addition to its fields. */
struct request {
	struct keyring *k;
	struct look *look; /* NULL: nothing is kept */
	bool looked_at;	   /* it is the request of the look */
};

struct connection {
	struct server *s;
	struct connection *next, *before; /* under s->lock */
	uint64_t asked_us;		  /* under s->lock; 0: no request is being answered */
	struct look look;
	int fd;
	unsigned caller;
};

static __thread int serving_fd = -1; /* of the request that this thread answers */

/* --- one request --- */

static size_t answer_error(const struct err *e, uint8_t *answer)
{
	const struct wire_value v[] = {wire_text(err_code_str(e->code)), wire_text(e->msg)};

	return wire_write(1, wire_error_fields, v, answer);
}

static int do_issuers(const struct request *q, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	json_t *a = keyring_issuers(q->k);

	*hold = json_dumps(a, JSON_COMPACT);
	json_decref(a);
	ret[0] = wire_text(*hold);
	return 0;
}

static void look_done(struct look *l)
{
	l->draft = draft_free(l->draft);
	free(l->ask);
	*l = (struct look){0};
}

static struct certify_request certificate_of(const struct wire_value *ask)
{
	return (struct certify_request){.issuer = ask[0].p,
		.profile = ask[1].p,
		.csr = ask[2].p,
		.csr_bytes = ask[2].n,
		.serial = ask[3].p,
		.values = ask[4].p};
}

static int do_check(const struct request *q, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	const struct certify_request c = certificate_of(ask);
	_cleanup_(draft_freep) struct draft *d = NULL;
	const struct profile *p;
	int r = keyring_draft(q->k, &c, true, &d, &p, e);

	if (r < 0)
		return r;
	*hold = xasprintf("%s@%d %s", p->name, p->version, p->digest);
	ret[0] = wire_text(*hold);
	if (q->look)
		q->look->draft = steal_ptr(&d);
	return 0;
}

static int do_certify(const struct request *q, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	const struct certify_request c = certificate_of(ask);
	_cleanup_(draft_freep) struct draft *d = q->looked_at ? steal_ptr(&q->look->draft) : NULL;
	char serial[2 * CERT_SERIAL_BYTES + 1];
	const struct profile *p;
	const char *chain = "";
	uint8_t *der = NULL;
	size_t n = 0;
	int r = d ? 0 : keyring_draft(q->k, &c, false, &d, &p, e);

	if (r == 0)
		r = keyring_issue(d, &der, &n, &chain, &p, e);
	if (r < 0)
		return r;
	log_info("signed: issuer %s, profile %s@%d, serial number %s, for %s", c.issuer, p->name,
		p->version, hex_of(c.serial, CERT_SERIAL_BYTES, serial), (const char *)ask[5].p);
	*hold = der;
	ret[0] = (struct wire_value){.p = der, .n = n};
	ret[1] = wire_text(chain);
	return 0;
}

static int do_derive(const struct request *q, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	size_t n = (size_t)MIN(ask[3].number, (uint64_t)DERIVED_MAX + 1);
	uint8_t *key = *hold = xcalloc(1, DERIVED_MAX + 1);
	int r = keyring_derive(q->k, ask[0].p, ask[1].p, ask[2].p, ask[2].n, key, n, e);

	if (r == 0)
		log_info("derived: master %s, label %s, for %s", (const char *)ask[0].p,
			(const char *)ask[1].p, (const char *)ask[4].p);
	ret[0] = (struct wire_value){.p = key, .n = n};
	return r;
}

typedef int sign_fn(struct keyring *k, const char *key, const void *record, size_t n,
	uint8_t ret[SIGNATURE_MAX], size_t *ret_n, char **ret_public, struct err *e);

static int sign_with(struct keyring *k, sign_fn *sign, const char *what,
	const struct wire_value *ask, struct wire_value *ret, void **hold, struct err *e)
{
	_cleanup_(freep) char *public = NULL;
	uint8_t signature[SIGNATURE_MAX];
	size_t n = 0;
	uint8_t *both;
	int r = sign(k, ask[0].p, ask[1].p, ask[1].n, signature, &n, &public, e);

	if (r < 0)
		return r;
	log_info("signed: a %s of %zu bytes with %s, for %s", what, ask[1].n,
		(const char *)ask[0].p, (const char *)ask[2].p);
	both = *hold = xcalloc(1, n + strlen(public) + 1);
	memcpy(both, signature, n);
	memcpy(both + n, public, strlen(public));
	ret[0] = (struct wire_value){.p = both, .n = n};
	ret[1] = (struct wire_value){.p = both + n, .n = strlen(public)};
	return 0;
}

static int do_sign(const struct request *q, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	return sign_with(q->k, keyring_sign, "record", ask, ret, hold, e);
}

static int do_sign_record(const struct request *q, const struct wire_value *ask,
	struct wire_value *ret, void **hold, struct err *e)
{
	return sign_with(q->k, keyring_sign_checkpoint, "checkpoint", ask, ret, hold, e);
}

static int do_make_key(const struct request *q, const struct wire_value *ask,
	struct wire_value *ret, void **hold, struct err *e)
{
	char *name = *hold = xcalloc(1, UNIT_KEY_NAME_BYTES + X509_MAX_BYTES);
	_cleanup_(x509_key_done) struct x509_key key = {0};
	bool before;
	int r = unit_key_make(
		keyring_unit_keys(q->k), ask[0].p, ask[1].p, ask[2].p, name, &key, &before, e);

	if (r < 0)
		return r;
	log_info("%s: key %s of kind %s, %.16s, for %s", before ? "found" : "made", name,
		(const char *)ask[1].p, key.sha256, (const char *)ask[3].p);
	memcpy(name + UNIT_KEY_NAME_BYTES, key.der, key.der_bytes);
	ret[0] = wire_text(name);
	ret[1] = (struct wire_value){.p = name + UNIT_KEY_NAME_BYTES, .n = key.der_bytes};
	ret[2].number = before;
	return 0;
}

static int do_request(const struct request *q, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	uint8_t *der = NULL;
	size_t n = 0;
	int r = unit_key_request(keyring_unit_keys(q->k), ask[0].p, ask[1].p, &der, &n, e);

	*hold = der;
	ret[0] = (struct wire_value){.p = der, .n = n};
	if (r == 0)
		log_info("signed: a request with key %s, for %s", (const char *)ask[0].p,
			(const char *)ask[2].p);
	return r;
}

static int do_take_key(const struct request *q, const struct wire_value *ask,
	struct wire_value *ret, void **hold, struct err *e)
{
	uint8_t *der = NULL;
	size_t n = 0;
	int r = unit_key_take(keyring_unit_keys(q->k), ask[0].p, &der, &n, e);

	*hold = der;
	ret[0] = (struct wire_value){.p = der, .n = n};
	if (r == 0)
		log_notice("handed out: key %s, which is no longer here, for %s",
			(const char *)ask[0].p, (const char *)ask[1].p);
	return r;
}

static int (*const handlers[KEYD_OP_END])(const struct request *q, const struct wire_value *ask,
	struct wire_value *ret, void **hold, struct err *e) = {
	[KEYD_ISSUERS] = do_issuers,
	[KEYD_CHECK] = do_check,
	[KEYD_CERTIFY] = do_certify,
	[KEYD_DERIVE] = do_derive,
	[KEYD_SIGN] = do_sign,
	[KEYD_MAKE_KEY] = do_make_key,
	[KEYD_REQUEST] = do_request,
	[KEYD_TAKE_KEY] = do_take_key,
	[KEYD_SIGN_RECORD] = do_sign_record,
};

/* What is kept of a look, for the signature that is asked for after it; all else ends it. The request is
 * copied before its texts get their NUL. */
static bool remember_look(struct look *l, uint8_t op, const uint8_t *ask, size_t n)
{
	bool same = l && op == KEYD_CERTIFY && l->draft && n == l->n && !memcmp(l->ask, ask, n);

	if (!l || same)
		return same;
	look_done(l);
	if (op == KEYD_CHECK && n > 0) {
		l->ask = xcalloc(1, n);
		l->n = n;
		memcpy(l->ask, ask, n);
	}
	return false;
}

static int handle(struct request *q, unsigned caller, uint8_t *p, size_t n, uint8_t *answer,
	size_t *ret, struct err *e)
{
	uint8_t op = n > 0 ? p[0] : 0;
	const struct wire_row *row = op > 0 && op < KEYD_OP_END ? &wire_rows[op] : NULL;
	struct wire_value ask[WIRE_FIELDS], got[WIRE_FIELDS] = {0};
	void *hold = NULL;
	int r;

	if (!row)
		return err_set(e, ERR_PROTOCOL, "request %u is not known", op);
	if (!(row->callers & caller))
		return err_set(e, ERR_FORBIDDEN, "this user may not ask for '%s'", row->name);
	q->looked_at = remember_look(q->look, op, p + 1, n - 1);
	r = wire_read(row->ask, p + 1, n - 1, ask, e);
	if (r == 0)
		r = handlers[op](q, ask, got, &hold, e);
	if (r == 0) {
		*ret = wire_write(0, row->answer, got, answer);
		if (!*ret)
			r = err_set(e, ERR_TOO_LARGE, "the answer to '%s' is too long", row->name);
	}
	if (hold && op == KEYD_DERIVE)
		secret_wipe(hold, DERIVED_MAX + 1);
	if (hold && op == KEYD_TAKE_KEY)
		secret_wipe(hold, got[0].n);
	free(hold);
	return r;
}

static size_t answer_with(struct request *q, unsigned caller, uint8_t *p, size_t n, uint8_t *answer)
{
	struct err e = {0};
	size_t size = 0;

	return handle(q, caller, p, n, answer, &size, &e) < 0 ? answer_error(&e, answer) : size;
}

size_t server_answer(struct keyring *k, unsigned caller, uint8_t *p, size_t n, uint8_t *answer)
{
	struct request q = {.k = k};

	return answer_with(&q, caller, p, n, answer);
}

/* --- one connection --- */

/* -1: the peer has gone, is too slow, or the server ends. */
static int move_all(int fd, uint8_t *p, size_t n, bool out, const struct iotime *it)
{
	while (n > 0) {
		ssize_t got = out ? send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT)
				  : recv(fd, p, n, MSG_DONTWAIT);

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (iotime_wait(fd, out ? POLLOUT : POLLIN, it, NULL) < 0) {
			return -1;
		}
	}
	return 0;
}

static void set_asked(struct connection *c, uint64_t at_us)
{
	mutex_lock(&c->s->lock);
	c->asked_us = at_us;
	mutex_unlock(&c->s->lock);
}

static size_t answer(struct connection *c, uint8_t *buf, size_t n, uint8_t *ret)
{
	struct request q = {.k = c->s->keys, .look = &c->look};

	set_asked(c, now_us());
	serving_fd = c->fd;
	n = answer_with(&q, c->caller, buf, n, ret);
	serving_fd = -1;
	set_asked(c, 0);
	return n;
}

static int serve_one(struct connection *c, uint8_t *buf, uint8_t *out)
{
	const struct iotime idle = {NO_DEADLINE, &c->s->cancel};
	struct iotime it = iotime_within(&idle, IDLE_US);
	uint32_t size;
	size_t n;

	if (iotime_wait(c->fd, POLLIN, &it, NULL) < 0)
		return -1;
	it = iotime_within(&idle, REQUEST_US);
	if (move_all(c->fd, buf, 4, false, &it) < 0)
		return -1;
	size = (uint32_t)buf[0] << 24 | (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];
	if (size < 1 || size > WIRE_MAX_BYTES - 4 || move_all(c->fd, buf, size, false, &it) < 0)
		return -1;
	n = answer(c, buf, size, out);
	secret_wipe(buf, size);
	it = iotime_within(&idle, REQUEST_US);
	if (n == 0 || move_all(c->fd, out, n, true, &it) < 0)
		return -1;
	secret_wipe(out, n);
	return 0;
}

/* Those who come while all places are taken wait in the socket's backlog: a line of a hundred stations
 * asks at once. At the end every connection leaves its place. */
static void wait_for_place(struct server *s)
{
	mutex_lock(&s->lock);
	while (s->connections >= CONNECTIONS_MAX)
		cond_wait(&s->fewer, &s->lock);
	s->connections++;
	mutex_unlock(&s->lock);
}

static void leave_place(struct server *s)
{
	mutex_lock(&s->lock);
	s->connections--;
	cond_signal(&s->fewer);
	mutex_unlock(&s->lock);
}

static void enter(struct connection *c)
{
	struct server *s = c->s;

	mutex_lock(&s->lock);
	c->next = s->open;
	if (c->next)
		c->next->before = c;
	s->open = c;
	mutex_unlock(&s->lock);
}

static void leave(struct connection *c)
{
	struct server *s = c->s;

	mutex_lock(&s->lock);
	if (c->before)
		c->before->next = c->next;
	else
		s->open = c->next;
	if (c->next)
		c->next->before = c->before;
	mutex_unlock(&s->lock);
}

/* One that waits, when there is one; NULL at the end. */
static struct connection *next_connection(struct server *s)
{
	struct connection *c;

	mutex_lock(&s->lock);
	s->idle++;
	while (!s->waiting && !s->stop)
		cond_wait(&s->more, &s->lock);
	s->idle--;
	c = s->waiting;
	if (c) {
		s->waiting = c->next;
		s->queued--;
		c->next = NULL;
	}
	mutex_unlock(&s->lock);
	return c;
}

static void serve_connection(struct connection *c, uint8_t *buf)
{
	enter(c);
	while (serve_one(c, buf, buf + WIRE_MAX_BYTES) == 0)
		;
	secret_wipe(buf, 2 * WIRE_MAX_BYTES);
	look_done(&c->look);
	leave(c);
	close(c->fd);
}

/* A thread stays for the connections that come later: its stack and buffers are locked in memory, and to make
 * them is dearer than a signature. */
static void *serve(void *data)
{
	struct server *s = data;
	uint8_t *buf = xcalloc(2, WIRE_MAX_BYTES);
	struct connection *c;

	while ((c = next_connection(s))) {
		serve_connection(c, buf);
		free(c);
		leave_place(s);
	}
	free(buf);
	mutex_lock(&s->lock);
	s->threads--;
	cond_signal(&s->fewer);
	mutex_unlock(&s->lock);
	return NULL;
}

/* To a thread that has nothing to do, or to a new one. false: there is none at all. */
static bool hand_over(struct server *s, struct connection *c)
{
	pthread_t thread;
	bool more;

	mutex_lock(&s->lock);
	more = s->queued >= s->idle;
	if (more && thread_start(&thread, "keyd-client", serve, s, NULL) == 0) {
		pthread_detach(thread);
		s->threads++;
	}
	if (s->threads > 0) {
		c->next = s->waiting;
		s->waiting = c;
		s->queued++;
		cond_signal(&s->more);
	}
	more = s->threads > 0;
	mutex_unlock(&s->lock);
	return more;
}

static bool is_line(const struct server *s, const struct ucred *who)
{
	return who->uid == s->line.uid && (!s->line.pid || who->pid == s->line.pid);
}

static unsigned caller_of(const struct server *s, int fd)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t n = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
		return 0;
	return (is_line(s, &who) ? CALLER_LINE : 0u) | (who.uid == 0 ? CALLER_ADMIN : 0u);
}

static void accept_one(struct server *s)
{
	struct connection *c;
	int fd;

	wait_for_place(s);
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		leave_place(s);
		return;
	}
	c = xcalloc(1, sizeof *c);
	*c = (struct connection){.s = s, .fd = fd, .caller = caller_of(s, fd)};
	if (c->caller && hand_over(s, c))
		return;
	close(fd);
	free(c);
	leave_place(s);
}

static void *accept_all(void *data)
{
	struct server *s = data;
	const struct iotime it = {NO_DEADLINE, &s->cancel};

	while (iotime_wait(s->fd, POLLIN, &it, NULL) > 0)
		accept_one(s);
	return NULL;
}

/* --- a module that takes the process with it --- */

static uint8_t crash_answer[512];
static size_t crash_answer_n;

static void make_crash_answer(void)
{
	struct err e;

	err_set(&e, ERR_TOKEN_GONE,
		"the module of the token crashed, and provd-keyd with it: it is started again (see its log)");
	crash_answer_n = answer_error(&e, crash_answer);
}

void server_crashed(void)
{
	if (serving_fd >= 0 && crash_answer_n > 0)
		send(serving_fd, crash_answer, crash_answer_n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The lock stays with this thread: who comes back late is not heard. */
void server_give_up(struct server *s, uint64_t since_us, const struct err *e)
	TS_ATTR(no_thread_safety_analysis)
{
	uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES);
	size_t n = answer_error(e, buf);

	mutex_lock(&s->lock);
	for (const struct connection *c = s->open; c; c = c->next)
		if (c->asked_us && c->asked_us <= since_us && n > 0)
			send(c->fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(buf);
}

int server_start(int listen_fd, struct line_caller line, struct keyring *k, struct server **ret,
	struct err *e)
{
	struct server *s = xcalloc(1, sizeof *s);
	int r;

	s->fd = listen_fd;
	s->line = line;
	s->keys = k;
	make_crash_answer();
	mutex_init(&s->lock);
	cond_init(&s->fewer);
	cond_init(&s->more);
	r = cancel_init(&s->cancel, e);
	if (r == 0)
		r = thread_start(&s->acceptor, "keyd-accept", accept_all, s, e);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void server_stop(struct server *s)
{
	cancel_fire(&s->cancel, ERR_SHUTDOWN);
	pthread_join(s->acceptor, NULL);
	mutex_lock(&s->lock);
	s->stop = true;
	cond_broadcast(&s->more);
	while (s->threads > 0)
		cond_wait(&s->fewer, &s->lock);
	mutex_unlock(&s->lock);
	cancel_done(&s->cancel);
	cond_done(&s->fewer);
	cond_done(&s->more);
	mutex_done(&s->lock);
	free(s);
}
