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
	struct cond fewer;
	unsigned connections; /* under lock */
};

struct connection {
	struct server *s;
	int fd;
	unsigned caller;
};

/* --- one request --- */

static size_t answer_error(const struct err *e, uint8_t *answer)
{
	const struct wire_value v[] = {wire_text(err_code_str(e->code)), wire_text(e->msg)};

	return wire_write(1, wire_error_fields, v, answer);
}

static int do_issuers(struct keyring *k, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	json_t *a = keyring_issuers(k);

	*hold = json_dumps(a, JSON_COMPACT);
	json_decref(a);
	ret[0] = wire_text(*hold);
	return 0;
}

static int certify(struct keyring *k, const struct wire_value *ask, bool only_look,
	struct wire_value *ret, void **hold, struct err *e)
{
	const struct certify_request q = {.issuer = ask[0].p,
		.profile = ask[1].p,
		.csr = ask[2].p,
		.csr_bytes = ask[2].n,
		.serial = ask[3].p,
		.values = ask[4].p};
	const struct profile *p = NULL;
	const char *chain = "";
	uint8_t *der = NULL;
	size_t n = 0;
	char serial[2 * CERT_SERIAL_BYTES + 1];
	int r = keyring_certify(k, &q, only_look ? NULL : &der, &n, &chain, &p, e);

	if (r < 0)
		return r;
	if (only_look) {
		*hold = xasprintf("%s@%d %s", p->name, p->version, p->digest);
		ret[0] = wire_text(*hold);
		return 0;
	}
	log_info("signed: issuer %s, profile %s@%d, serial number %s, for %s", q.issuer, p->name,
		p->version, hex_of(q.serial, CERT_SERIAL_BYTES, serial), (const char *)ask[5].p);
	*hold = der;
	ret[0] = (struct wire_value){.p = der, .n = n};
	ret[1] = wire_text(chain);
	return 0;
}

static int do_check(struct keyring *k, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	return certify(k, ask, true, ret, hold, e);
}

static int do_certify(struct keyring *k, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	return certify(k, ask, false, ret, hold, e);
}

static int do_derive(struct keyring *k, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	size_t n = (size_t)MIN(ask[3].number, (uint64_t)DERIVED_MAX + 1);
	uint8_t *key = *hold = xcalloc(1, DERIVED_MAX + 1);
	int r = keyring_derive(k, ask[0].p, ask[1].p, ask[2].p, ask[2].n, key, n, e);

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

static int do_sign(struct keyring *k, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	return sign_with(k, keyring_sign, "record", ask, ret, hold, e);
}

static int do_sign_record(struct keyring *k, const struct wire_value *ask, struct wire_value *ret,
	void **hold, struct err *e)
{
	return sign_with(k, keyring_sign_checkpoint, "checkpoint", ask, ret, hold, e);
}

static int (*const handlers[KEYD_OP_END])(struct keyring *k, const struct wire_value *ask,
	struct wire_value *ret, void **hold, struct err *e) = {
	[KEYD_ISSUERS] = do_issuers,
	[KEYD_CHECK] = do_check,
	[KEYD_CERTIFY] = do_certify,
	[KEYD_DERIVE] = do_derive,
	[KEYD_SIGN] = do_sign,
	[KEYD_SIGN_RECORD] = do_sign_record,
};

static int handle(struct keyring *k, unsigned caller, uint8_t *p, size_t n, uint8_t *answer,
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
	r = wire_read(row->ask, p + 1, n - 1, ask, e);
	if (r == 0)
		r = handlers[op](k, ask, got, &hold, e);
	if (r == 0) {
		*ret = wire_write(0, row->answer, got, answer);
		if (!*ret)
			r = err_set(e, ERR_TOO_LARGE, "the answer to '%s' is too long", row->name);
	}
	if (hold && op == KEYD_DERIVE)
		secret_wipe(hold, DERIVED_MAX + 1);
	free(hold);
	return r;
}

size_t server_answer(struct keyring *k, unsigned caller, uint8_t *p, size_t n, uint8_t *answer)
{
	struct err e = {0};
	size_t size = 0;

	return handle(k, caller, p, n, answer, &size, &e) < 0 ? answer_error(&e, answer) : size;
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

static int serve_one(const struct connection *c, uint8_t *buf, uint8_t *answer)
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
	n = server_answer(c->s->keys, c->caller, buf, size, answer);
	it = iotime_within(&idle, REQUEST_US);
	return n > 0 ? move_all(c->fd, answer, n, true, &it) : -1;
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

static void *serve(void *data)
{
	struct connection *c = data;
	uint8_t *buf = xcalloc(2, WIRE_MAX_BYTES);
	struct server *s = c->s;

	while (serve_one(c, buf, buf + WIRE_MAX_BYTES) == 0)
		secret_wipe(buf, 2 * WIRE_MAX_BYTES);
	secret_wipe(buf, 2 * WIRE_MAX_BYTES);
	free(buf);
	close(c->fd);
	free(c);
	leave_place(s);
	return NULL;
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
	pthread_t thread;
	int fd;

	wait_for_place(s);
	fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		leave_place(s);
		return;
	}
	c = xcalloc(1, sizeof *c);
	*c = (struct connection){.s = s, .fd = fd, .caller = caller_of(s, fd)};
	if (c->caller && thread_start(&thread, "keyd-client", serve, c, NULL) == 0) {
		pthread_detach(thread);
		return;
	}
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

int server_start(int listen_fd, struct line_caller line, struct keyring *k, struct server **ret,
	struct err *e)
{
	struct server *s = xcalloc(1, sizeof *s);
	int r;

	s->fd = listen_fd;
	s->line = line;
	s->keys = k;
	mutex_init(&s->lock);
	cond_init(&s->fewer);
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
	while (s->connections > 0)
		cond_wait(&s->fewer, &s->lock);
	mutex_unlock(&s->lock);
	cancel_done(&s->cancel);
	cond_done(&s->fewer);
	mutex_done(&s->lock);
	free(s);
}
