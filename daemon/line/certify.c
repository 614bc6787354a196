/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/certify.h"

#include "daemon/keyd/client.h"
#include "daemon/line/authority.h"
#include "daemon/line/keys.h"
#include "daemon/line/services.h"
#include "db/certificates.h"
#include "db/writer.h"

#define WHO_BYTES 160

struct work {
	const struct line_services *line;
	struct recorder *rec;
	const struct certificate_ask *ask;
	struct keyd_order order;
	bool remote; /* another's issuer, which chooses the serial number */
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
	keyd_order_done(&w->order);
	free(w->values);
	free(w->pem);
	free(w->chain);
	x509_cert_done(&w->cert);
	json_decref(w->before);
}

static void who(struct recorder *rec, char ret[WHO_BYTES])
{
	snprintf(ret, WHO_BYTES, "run %.64s", recorder_run_id(rec));
}

/* --- records --- */

/* The new one takes the place of the old one, and so has its name (RFC 7030, 4.2.2). */
static int check_renewal(struct db *tx, const struct work *w, struct err *e)
{
	json_t *held = NULL;
	const char *subject;
	int r = certificates_held(tx, recorder_run_id(w->rec), w->ask->issuer, &held, e);

	if (r < 0)
		return r;
	subject = json_string_value(json_object_get(held, "subject"));
	if (w->remote)
		r = x509_same_name(w->ask->csr->subject, subject ? subject : "", e);
	json_decref(held);
	return r < 0 ? err_prefix(e, "the certificate that is to be renewed") : 0;
}

static int apply_order(struct db *tx, void *data, struct err *e)
{
	struct work *w = data;
	const struct certificate_order_row o = {.id = w->order.serial_hex,
		.serial = w->remote ? NULL : w->order.serial_hex,
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
	if (w->ask->renew)
		r = check_renewal(tx, w, e);
	if (r < 0)
		return r;
	r = w->ask->renew ? -ERR_NOT_FOUND : certificates_find(tx, &o, wall_ms(), &w->before, NULL);
	if (r == -ERR_NOT_FOUND)
		return certificates_order(tx, &o, e);
	return r < 0 ? err_set(e, ERR_DATABASE, "the certificates cannot be read") : 0;
}

static int apply_issue(struct db *tx, void *data, struct err *e)
{
	struct work *w = data;
	const struct certificate_row c = {.id = w->order.serial_hex,
		.serial = w->cert.serial,
		.subject = w->cert.subject,
		.sha256 = w->cert.sha256,
		.pem = w->pem,
		.chain = w->chain,
		.not_before_ms = w->cert.not_before_s * 1000,
		.not_after_ms = w->cert.not_after_s * 1000};

	/* Once more: another unit with the same key may have been faster. */
	int r = certificates_key_free(tx, recorder_run_id(w->rec), w->ask->csr->key.sha256, e);

	return r < 0 ? r : certificates_issue(tx, &c, e);
}

struct void_note {
	const struct work *w;
	const char *reason;
};

static int apply_void(struct db *tx, void *data, struct err *e)
{
	const struct void_note *n = data;

	return certificates_void(tx, n->w->order.serial_hex, n->reason, e);
}

/* --- the order --- */

/* Where even this fails the next start does it. */
static void give_up(struct work *w, const char *reason)
{
	struct void_note n = {w, reason};
	struct err ignored;

	writer_do(w->line->writer, apply_void, &n, &ignored);
}

static int sign(struct work *w, const struct iotime *it, struct err *e)
{
	int r = keyd_certify(&w->order, it, &w->cert, &w->chain, e);

	if (r < 0) {
		give_up(w, e->msg);
		return r;
	}
	keyd_order_done(&w->order);
	w->pem = x509_pem("CERTIFICATE", w->cert.der, w->cert.der_bytes);
	r = writer_do(w->line->writer, apply_issue, w, e);
	if (r < 0)
		give_up(w, e->msg);
	return r;
}

static int order_here(struct work *w, const struct iotime *it, struct err *e)
{
	int r = keys_socket(w->line->keys, &w->order.socket, e);

	if (r == 0 && !w->ask->profile)
		r = err_set(e, ERR_PROFILE_REFUSED,
			"issuer '%.64s' needs a profile: 'profile' of the step", w->ask->issuer);
	w->order.issuer = w->ask->issuer;
	w->order.profile = w->ask->profile;
	w->order.csr = w->ask->csr;
	w->order.values = w->values;
	w->order.who = w->who;
	if (r == 0)
		r = keyd_look(&w->order, it, w->profile, w->digest, e);
	if (r == 0)
		r = writer_do(w->line->writer, apply_order, w, e);
	return r < 0 || w->before ? r : sign(w, it, e);
}

/* --- an authority of the plant --- */

static int enroll(struct work *w, struct config *c, const struct issuer_config *i,
	const struct iotime *it, struct err *e)
{
	struct authority_answer a;
	int r = authority_enroll(c, i, w->ask->csr, w->ask->renew, it, &a, e);

	if (r == 0) {
		w->cert = a.cert;
		a.cert = (struct x509_cert){0};
		w->pem = steal_ptr(&a.pem);
		w->chain = steal_ptr(&a.chain);
		r = writer_do(w->line->writer, apply_issue, w, e);
	}
	if (r < 0) {
		_cleanup_(freep) char *why = xasprintf("%s%s",
			a.sent ? "it may have been issued, and was never given out: " : "", e->msg);

		give_up(w, why);
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
	if (w->ask->renew && i->kind != ISSUER_EST)
		return err_set(e, ERR_UNSUPPORTED,
			"issuer '%.64s' of kind %s is not asked to renew a certificate: take 'renew' out of the step",
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

	keyd_order_begin(&w.order);
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

/* Where the key process is asked, and by what its log names this run. */
static int ask_as(const struct line_services *line, struct recorder *rec, const char **ret_socket,
	char ret_who[WHO_BYTES], struct err *e)
{
	who(rec, ret_who);
	return keys_socket(line->keys, ret_socket, e);
}

int certify_derive(const struct line_services *line, struct recorder *rec,
	const struct derive_ask *q, const struct iotime *it, uint8_t *ret, struct err *e)
{
	char whom[WHO_BYTES];
	const char *socket;
	int r = ask_as(line, rec, &socket, whom, e);

	return r < 0 ? r
		     : keyd_derive(
			       socket, q->master, q->label, q->context, whom, it, ret, q->bytes, e);
}

int certify_make_key(const struct line_services *line, struct recorder *rec, struct key_ask *q,
	const struct iotime *it, struct x509_key *ret, struct err *e)
{
	char whom[WHO_BYTES];
	const char *socket;
	int r = ask_as(line, rec, &socket, whom, e);

	return r < 0 ? r
		     : keyd_make_key(socket, q->store ? q->store : "", q->alg,
			       q->label ? q->label : "", whom, it, q->name, ret, &q->before, e);
}

int certify_request(const struct line_services *line, struct recorder *rec, const char *name,
	const char *subject, const struct iotime *it, struct x509_csr *ret, struct err *e)
{
	char whom[WHO_BYTES];
	const char *socket;
	int r = ask_as(line, rec, &socket, whom, e);

	return r < 0 ? r : keyd_request(socket, name, subject, whom, it, ret, e);
}

int certify_take_key(const struct line_services *line, struct recorder *rec, const char *name,
	const struct iotime *it, uint8_t **ret, size_t *ret_n, struct err *e)
{
	char whom[WHO_BYTES];
	const char *socket;
	int r = ask_as(line, rec, &socket, whom, e);

	return r < 0 ? r : keyd_take_key(socket, name, whom, it, ret, ret_n, e);
}
