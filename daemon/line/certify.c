/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/certify.h"

#include "base/secret.h"
#include "daemon/keyd/client.h"
#include "daemon/line/authority.h"
#include "daemon/line/keys.h"
#include "daemon/line/services.h"
#include "db/certificates.h"
#include "db/writer.h"

#define SERIAL_OCTETS 16
#define WHO_BYTES     160

struct work {
	const struct line_services *line;
	struct recorder *rec;
	const struct certificate_ask *ask;
	const char *socket;
	bool remote; /* another's issuer, which chooses the serial number */
	uint8_t serial[SERIAL_OCTETS];
	char serial_hex[2 * SERIAL_OCTETS + 1];
	char profile[96], digest[SHA256_HEX]; /* "idevid@1" */
	char *values;
	char asked[SHA256_HEX]; /* what the certificate is asked for, but the key */
	char who[WHO_BYTES];
	struct x509_cert cert;
	char *pem, *chain;
	json_t *before;
};

static void work_done(struct work *w)
{
	free(w->values);
	free(w->pem);
	free(w->chain);
	x509_cert_done(&w->cert);
	json_decref(w->before);
}

/* 16 octets, positive, the first not 0: what is recorded is what the certificate shows (RFC 5280,
 * 4.1.2.2). */
static void make_serial(struct work *w)
{
	random_bytes(w->serial, sizeof w->serial);
	w->serial[0] = (uint8_t)((w->serial[0] & 0x7f) | 0x40);
	hex_of(w->serial, sizeof w->serial, w->serial_hex);
}

static void who(struct recorder *rec, char ret[WHO_BYTES])
{
	snprintf(ret, WHO_BYTES, "run %.64s", recorder_run_id(rec));
}

static int ask(struct work *w, enum keyd_op op, const struct iotime *it, uint8_t *buf,
	struct wire_value *ret, struct err *e)
{
	const struct wire_value v[] = {wire_text(w->ask->issuer), wire_text(w->ask->profile),
		{.p = w->ask->csr->der, .n = w->ask->csr->der_bytes},
		{.p = w->serial, .n = sizeof w->serial}, wire_text(w->values), wire_text(w->who)};

	return keyd_ask(w->socket, op, v, it, buf, ret, e);
}

/* What would be signed: the profile as it is now. */
static int look(struct work *w, const struct iotime *it, uint8_t *buf, struct err *e)
{
	struct wire_value got[WIRE_FIELDS];
	int r = ask(w, KEYD_CHECK, it, buf, got, e);

	if (r == 0 && sscanf(got[0].p, "%95s %64s", w->profile, w->digest) != 2)
		r = err_set(e, ERR_KEYS_DOWN, "provd-keyd names no profile in its answer");
	return r;
}

/* --- records --- */

static int apply_order(struct db *tx, void *data, struct err *e)
{
	struct work *w = data;
	const struct certificate_order_row o = {.id = w->serial_hex,
		.serial = w->remote ? NULL : w->serial_hex,
		.run = recorder_run_id(w->rec),
		.step_n = recorder_step_n(w->rec),
		.issuer = w->ask->issuer,
		.profile = w->profile,
		.profile_digest = w->digest,
		.key = w->ask->csr->key.sha256,
		.asked = w->asked};
	int r = certificates_key_free(tx, o.run, o.key, e);

	if (r < 0)
		return r;
	r = certificates_find(tx, &o, wall_ms(), &w->before, NULL);
	if (r == -ERR_NOT_FOUND)
		return certificates_order(tx, &o, e);
	return r < 0 ? err_set(e, ERR_DATABASE, "the certificates cannot be read") : 0;
}

static int apply_issue(struct db *tx, void *data, struct err *e)
{
	struct work *w = data;
	const struct certificate_row c = {.id = w->serial_hex,
		.serial = w->cert.serial,
		.subject = w->cert.subject,
		.sha256 = w->cert.sha256,
		.pem = w->pem,
		.chain = w->chain,
		.not_before_ms = w->cert.not_before_s * 1000,
		.not_after_ms = w->cert.not_after_s * 1000};

	return certificates_issue(tx, &c, e);
}

struct void_note {
	const struct work *w;
	const char *reason;
};

static int apply_void(struct db *tx, void *data, struct err *e)
{
	const struct void_note *n = data;

	return certificates_void(tx, n->w->serial_hex, n->reason, e);
}

/* --- the order --- */

static int take_certificate(struct work *w, const struct wire_value *got, struct err *e)
{
	int r = x509_cert_read(got[0].p, got[0].n, &w->cert, e);

	if (r < 0)
		return err_prefix(e, "what the issuer '%s' gave", w->ask->issuer);
	if (!x509_key_equal(&w->cert.key, &w->ask->csr->key) ||
		strcmp(w->cert.serial, w->serial_hex) != 0)
		return err_set(e, ERR_KEYS_DOWN,
			"the issuer '%s' gave a certificate with serial number %s for key %.16s, and %s for %.16s was ordered",
			w->ask->issuer, w->cert.serial, w->cert.key.sha256, w->serial_hex,
			w->ask->csr->key.sha256);
	w->pem = x509_pem("CERTIFICATE", w->cert.der, w->cert.der_bytes);
	w->chain = xstrdup(got[1].p);
	return 0;
}

/* Where even this fails the next start does it. */
static void give_up(struct work *w, const char *reason)
{
	struct void_note n = {w, reason};
	struct err ignored;

	writer_do(w->line->writer, apply_void, &n, &ignored);
}

static int sign(struct work *w, const struct iotime *it, uint8_t *buf, struct err *e)
{
	struct wire_value got[WIRE_FIELDS];
	int r = ask(w, KEYD_CERTIFY, it, buf, got, e);

	if (r == 0)
		r = take_certificate(w, got, e);
	if (r < 0) {
		give_up(w, e->msg);
		return r;
	}
	return writer_do(w->line->writer, apply_issue, w, e);
}

static int order_here(struct work *w, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	int r = keys_socket(w->line->keys, &w->socket, e);

	if (r == 0 && !w->ask->profile)
		r = err_set(e, ERR_PROFILE_REFUSED,
			"issuer '%.64s' needs a profile: 'profile' of the step", w->ask->issuer);
	if (r == 0)
		r = look(w, it, buf, e);
	if (r == 0)
		r = writer_do(w->line->writer, apply_order, w, e);
	return r < 0 || w->before ? r : sign(w, it, buf, e);
}

/* --- an authority of the plant --- */

static int enroll(struct work *w, struct config *c, const struct issuer_config *i,
	const struct iotime *it, struct err *e)
{
	struct authority_answer a;
	int r = authority_enroll(c, i, w->ask->csr, it, &a, e);

	if (r < 0) {
		_cleanup_(freep) char *why = xasprintf("%s%s",
			a.sent ? "it may have been issued, and was never given out: " : "", e->msg);

		give_up(w, why);
	} else {
		w->cert = a.cert;
		a.cert = (struct x509_cert){0};
		w->pem = steal_ptr(&a.pem);
		w->chain = steal_ptr(&a.chain);
		r = writer_do(w->line->writer, apply_issue, w, e);
	}
	authority_answer_done(&a);
	return r;
}

static int order_there(struct work *w, struct config *c, const struct issuer_config *i,
	const struct iotime *it, struct err *e)
{
	int r;

	w->remote = true;
	snprintf(w->asked, sizeof w->asked, "%s", w->ask->csr->asked);
	if (w->ask->profile)
		return err_set(e, ERR_PROFILE_REFUSED,
			"issuer '%.64s' of kind %s decides itself what a certificate says: take 'profile' out of the step",
			i->name, issuer_kinds[i->kind]);
	r = writer_do(w->line->writer, apply_order, w, e);
	return r < 0 || w->before ? r : enroll(w, c, i, it, e);
}

static int order(struct work *w, const struct iotime *it, struct err *e)
{
	struct config *c = w->line->config(w->line->line);
	const struct issuer_config *i = NULL;
	int r;

	for (size_t k = 0; k < c->keys.issuers; k++)
		if (!strcmp(c->keys.issuer[k].name, w->ask->issuer))
			i = &c->keys.issuer[k];
	r = i && i->kind != ISSUER_LOCAL ? order_there(w, c, i, it, e) : order_here(w, it, e);
	config_unref(c);
	return r;
}

static void give(struct work *w, struct certificate *ret)
{
	const char *serial = json_string_value(json_object_get(w->before, "serial"));

	ret->before = w->before != NULL;
	snprintf(ret->serial, sizeof ret->serial, "%s", serial ? serial : w->cert.serial);
	if (w->before) {
		ret->pem = xstrdup(json_string_value(json_object_get(w->before, "pem")));
		ret->chain = xstrdup(json_string_value(json_object_get(w->before, "chain")));
	} else {
		ret->pem = steal_ptr(&w->pem);
		ret->chain = steal_ptr(&w->chain);
	}
}

int certify(const struct line_services *line, struct recorder *rec, const struct certificate_ask *q,
	const struct iotime *it, struct certificate *ret, struct err *e)
{
	_cleanup_(work_done) struct work w = {.line = line, .rec = rec, .ask = q};
	int r;

	make_serial(&w);
	who(rec, w.who);
	w.values = json_dumps(q->values, JSON_COMPACT | JSON_SORT_KEYS);
	sha256_hex_of(w.values, strlen(w.values), w.asked);
	r = order(&w, it, e);
	if (r == 0)
		give(&w, ret);
	return r;
}

/* --- what follows --- */

struct deliver_note {
	const char *run, *sha256;
};

static int apply_deliver(struct db *tx, void *data, struct err *e)
{
	const struct deliver_note *n = data;

	return certificates_deliver(tx, n->run, n->sha256, e);
}

int certify_delivered(
	const struct line_services *line, struct recorder *rec, const char *sha256, struct err *e)
{
	struct deliver_note n = {recorder_run_id(rec), sha256};

	return writer_do(line->writer, apply_deliver, &n, e);
}

int certify_derive(const struct line_services *line, struct recorder *rec,
	const struct derive_ask *q, const struct iotime *it, uint8_t *ret, struct err *e)
{
	struct wire_value v[] = {wire_text(q->master), wire_text(q->label), wire_text(q->context),
		{.number = q->bytes}, {0}};
	_cleanup_(freep) uint8_t *buf = NULL;
	struct wire_value got[WIRE_FIELDS];
	char whom[WHO_BYTES];
	const char *socket;
	int r = keys_socket(line->keys, &socket, e);

	if (r < 0)
		return r;
	who(rec, whom);
	v[4] = wire_text(whom);
	buf = xcalloc(1, WIRE_MAX_BYTES + 1);
	r = keyd_ask(socket, KEYD_DERIVE, v, it, buf, got, e);
	if (r == 0 && got[0].n != q->bytes)
		r = err_set(e, ERR_KEYS_DOWN, "provd-keyd gave %zu bytes, %zu were asked for",
			got[0].n, q->bytes);
	if (r == 0)
		memcpy(ret, got[0].p, q->bytes);
	secret_wipe(buf, WIRE_MAX_BYTES + 1);
	return r;
}
