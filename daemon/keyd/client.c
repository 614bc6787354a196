/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/secret.h"
#include "base/util.h"

static int down(const char *socket, const char *what, int os_errno, struct err *e)
{
	return err_set(e, ERR_KEYS_DOWN, "%s %s%s%s", what, socket, os_errno ? ": " : "",
		os_errno ? strerror(os_errno) : "");
}

/* One that is being started is waited for. */
#define START_US (3 * US_PER_S)
#define LOOK_US	 (20 * US_PER_MS)

static int open_once(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof a.sun_path)
		return err_set(e, ERR_INVALID, "the path %s is too long for a socket", path);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0) {
		*ret = fd;
		return 0;
	}
	down(path, "provd-keyd does not answer at", errno, e);
	if (fd >= 0)
		close(fd);
	return -ERR_KEYS_DOWN;
}

static int open_socket(const char *path, const struct iotime *it, int *ret, struct err *e)
{
	const uint64_t until = now_us() + START_US;

	for (;;) {
		int r = open_once(path, ret, e);

		if (r != -ERR_KEYS_DOWN || now_us() >= until)
			return r;
		if (iotime_sleep(LOOK_US, it, NULL) < 0)
			return iotime_check(it, NULL) == -ERR_TIMEOUT ? r : iotime_check(it, e);
	}
}

static int move_all(int fd, uint8_t *p, size_t n, bool out, const char *path,
	const struct iotime *it, struct err *e)
{
	while (n > 0) {
		ssize_t got = out ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
		int r;

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return down(path, "provd-keyd ended the connection at", got ? errno : 0, e);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
			continue;
		}
		r = iotime_wait(fd, out ? POLLOUT : POLLIN, it, e);
		if (r == -ERR_TIMEOUT)
			return down(path, "provd-keyd gave no answer in time at", 0, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What it said is an error of its own. */
static int its_error(uint8_t *p, size_t n, const char *path, struct err *e)
{
	struct wire_value v[WIRE_FIELDS];
	int code;

	if (wire_read(wire_error_fields, p, n, v, e) < 0)
		return down(path, "what answers is not provd-keyd at", 0, e);
	code = err_code_from_str(v[0].p);
	return err_set(
		e, code > 0 ? (enum err_code)code : ERR_KEYS_DOWN, "%s", (const char *)v[1].p);
}

/* On a connection that is open. */
static int ask_on(int fd, const char *socket, enum keyd_op op, const struct wire_value *ask,
	const struct iotime *it, uint8_t *buf, struct wire_value *ret, struct err *e)
{
	size_t n = wire_write((uint8_t)op, wire_rows[op].ask, ask, buf);
	uint32_t size;
	int r = n > 0 ? move_all(fd, buf, n, true, socket, it, e)
		      : err_set(e, ERR_INVALID,
				"a text of the request '%s' is too short or too long",
				wire_rows[op].name);

	if (r == 0)
		r = move_all(fd, buf, 4, false, socket, it, e);
	if (r < 0)
		return r;
	size = (uint32_t)buf[0] << 24 | (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];
	if (size < 1 || size > WIRE_MAX_BYTES - 4)
		return down(socket, "what answers is not provd-keyd at", 0, e);
	r = move_all(fd, buf, size, false, socket, it, e);
	if (r < 0)
		return r;
	if (buf[0] != 0)
		return its_error(buf + 1, size - 1, socket, e);
	if (wire_read(wire_rows[op].answer, buf + 1, size - 1, ret, e) < 0)
		return down(socket, "what answers is not provd-keyd at", 0, e);
	return 0;
}

int keyd_ask(const char *socket, enum keyd_op op, const struct wire_value *ask,
	const struct iotime *it, uint8_t *buf, struct wire_value *ret, struct err *e)
{
	const struct iotime within = iotime_within(it, KEYD_ANSWER_US);
	_cleanup_(closep) int fd = -1;
	int r = open_socket(socket, &within, &fd, e);

	return r < 0 ? r : ask_on(fd, socket, op, ask, &within, buf, ret, e);
}

/* --- certificates --- */

void keyd_order_begin(struct keyd_order *o)
{
	*o = (struct keyd_order){.fd = -1};
	random_bytes(o->serial, sizeof o->serial);
	o->serial[0] = (uint8_t)((o->serial[0] & 0x7f) | 0x40);
	hex_of(o->serial, sizeof o->serial, o->serial_hex);
}

void keyd_order_done(struct keyd_order *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

static int ask_order(struct keyd_order *o, enum keyd_op op, const struct iotime *it, uint8_t *buf,
	struct wire_value *ret, struct err *e)
{
	const struct iotime within = iotime_within(it, KEYD_ANSWER_US);
	const struct wire_value v[] = {wire_text(o->issuer), wire_text(o->profile),
		{.p = o->csr->der, .n = o->csr->der_bytes}, {.p = o->serial, .n = sizeof o->serial},
		wire_text(o->values), wire_text(o->who)};
	int r = o->fd >= 0 ? 0 : open_socket(o->socket, &within, &o->fd, e);

	return r < 0 ? r : ask_on(o->fd, o->socket, op, v, &within, buf, ret, e);
}

int keyd_look(struct keyd_order *o, const struct iotime *it, char ret_profile[96],
	char ret_digest[SHA256_HEX], struct err *e)
{
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = ask_order(o, KEYD_CHECK, it, buf, got, e);

	if (r == 0 && sscanf(got[0].p, "%95s %64s", ret_profile, ret_digest) != 2)
		r = err_set(e, ERR_KEYS_DOWN, "provd-keyd names no profile in its answer");
	return r;
}

static int check_certificate(const struct keyd_order *o, const struct x509_cert *c, struct err *e)
{
	if (x509_key_equal(&c->key, &o->csr->key) && !strcmp(c->serial, o->serial_hex))
		return 0;
	return err_set(e, ERR_KEYS_DOWN,
		"the issuer '%s' gave a certificate with serial number %s for key %.16s, and %s for %.16s was ordered",
		o->issuer, c->serial, c->key.sha256, o->serial_hex, o->csr->key.sha256);
}

int keyd_certify(struct keyd_order *o, const struct iotime *it, struct x509_cert *ret,
	char **ret_chain, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = ask_order(o, KEYD_CERTIFY, it, buf, got, e);

	if (r < 0)
		return r;
	r = x509_cert_read(got[0].p, got[0].n, ret, e);
	if (r < 0)
		return err_prefix(e, "what the issuer '%s' gave", o->issuer);
	r = check_certificate(o, ret, e);
	if (r < 0)
		x509_cert_done(ret);
	else
		*ret_chain = xstrdup(got[1].p);
	return r;
}

/* --- keys --- */

int keyd_derive(const char *socket, const char *master, const char *label, const char *context,
	const char *who, const struct iotime *it, uint8_t *ret, size_t n, struct err *e)
{
	const struct wire_value v[] = {wire_text(master), wire_text(label), wire_text(context),
		{.number = n}, wire_text(who)};
	uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = keyd_ask(socket, KEYD_DERIVE, v, it, buf, got, e);

	if (r == 0 && got[0].n != n)
		r = err_set(e, ERR_KEYS_DOWN, "provd-keyd gave %zu bytes, %zu were asked for",
			got[0].n, n);
	if (r == 0)
		memcpy(ret, got[0].p, n);
	secret_wipe(buf, WIRE_MAX_BYTES + 1);
	free(buf);
	return r;
}

int keyd_make_key(const char *socket, const char *store, const char *alg, const char *label,
	const char *who, const struct iotime *it, char ret_name[KEYD_NAME_BYTES],
	struct x509_key *ret, bool *ret_before, struct err *e)
{
	const struct wire_value v[] = {
		wire_text(store), wire_text(alg), wire_text(label), wire_text(who)};
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	_cleanup_(freep) char *pem = NULL;
	struct wire_value got[WIRE_FIELDS];
	int r = keyd_ask(socket, KEYD_MAKE_KEY, v, it, buf, got, e);

	if (r < 0)
		return r;
	snprintf(ret_name, KEYD_NAME_BYTES, "%s", (const char *)got[0].p);
	*ret_before = got[2].number != 0;
	pem = x509_pem("PUBLIC KEY", got[1].p, got[1].n);
	return x509_key_read(pem, ret, e);
}

int keyd_request(const char *socket, const char *name, const char *subject, const char *who,
	const struct iotime *it, struct x509_csr *ret, struct err *e)
{
	const struct wire_value v[] = {wire_text(name), wire_text(subject), wire_text(who)};
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = keyd_ask(socket, KEYD_REQUEST, v, it, buf, got, e);

	return r < 0 ? r : x509_csr_read(got[0].p, got[0].n, ret, e);
}

int keyd_take_key(const char *socket, const char *name, const char *who, const struct iotime *it,
	uint8_t **ret, size_t *ret_n, struct err *e)
{
	const struct wire_value v[] = {wire_text(name), wire_text(who)};
	uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	struct wire_value got[WIRE_FIELDS];
	int r = keyd_ask(socket, KEYD_TAKE_KEY, v, it, buf, got, e);

	if (r == 0) {
		*ret = xcalloc(1, got[0].n);
		*ret_n = got[0].n;
		memcpy(*ret, got[0].p, got[0].n);
	}
	secret_wipe(buf, WIRE_MAX_BYTES + 1);
	free(buf);
	return r;
}
