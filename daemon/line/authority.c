/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/authority.h"

#include "base/secret.h"
#include "base/timefmt.h"
#include "transports/links/http.h"
#include "transports/protocols/cmp/cmp.h"
#include "transports/protocols/est/est.h"

#define CERTIFICATES_MAX 65536
#define CMP_PATH	 "/.well-known/cmp"

void authority_answer_done(struct authority_answer *a)
{
	free(a->pem);
	free(a->chain);
	x509_cert_done(&a->cert);
	*a = (struct authority_answer){0};
}

/* What its certificates must lead to; owned by the caller, NULL with an error. */
static char *read_trusted(const struct issuer_config *i, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(i->certificate, "re");
	char *text = xcalloc(1, CERTIFICATES_MAX + 1);
	size_t n = f ? fread(text, 1, CERTIFICATES_MAX, f) : 0;

	if (n > 0)
		return text;
	free(text);
	err_set(e, ERR_ISSUER_INVALID, "issuer '%.64s': %s cannot be read, or is empty", i->name,
		i->certificate);
	return NULL;
}

static int enroll_est(const struct issuer_config *i, const struct http_service *s,
	const struct x509_csr *csr, bool renew, const struct iotime *it,
	struct authority_answer *ret, struct err *e)
{
	const struct est est = {.service = s, .label = i->path};
	struct est_answer a;
	int r = est_enroll(&est, csr, renew, it, &a, e);

	ret->sent = a.sent;
	ret->pem = steal_ptr(&a.pem);
	ret->chain = steal_ptr(&a.others);
	est_answer_done(&a);
	return r;
}

static int enroll_cmp(struct config *c, const struct issuer_config *i, const struct http_service *s,
	const char *trusted, const struct x509_csr *csr, const struct iotime *it,
	struct authority_answer *ret, struct err *e)
{
	struct cmp cmp = {.service = s,
		.path = !i->path		? CMP_PATH
			: !strcmp(i->path, "/") ? NULL
						: i->path,
		.reference = i->reference,
		.certificate_file = i->client_certificate,
		.key_file = i->client_key,
		.trusted = trusted};
	struct cmp_answer a = {0};
	char *secret = NULL;
	int r = i->secret ? config_secret(c, i->secret, &secret, e) : 0;

	cmp.secret = secret;
	if (r == 0)
		r = cmp_enroll(&cmp, csr, it, &a, e);
	if (secret)
		secret_wipe(secret, strlen(secret));
	free(secret);
	ret->sent = a.sent;
	ret->pem = steal_ptr(&a.pem);
	ret->chain = steal_ptr(&a.others);
	cmp_answer_done(&a);
	return r;
}

static int judge(
	struct authority_answer *a, const char *trusted, const struct x509_csr *csr, struct err *e)
{
	char *chain = NULL;
	int r = x509_cert_read(a->pem, strlen(a->pem), &a->cert, e);

	if (r == 0)
		r = x509_cert_leads_to(&a->cert, trusted, a->chain, wall_ms() / 1000, &chain, e);
	/* An authority may send whatever it has: a unit gets what its certificate leads over. */
	if (r == 0 && chain && *chain) {
		free(a->chain);
		a->chain = steal_ptr(&chain);
	}
	free(chain);
	if (r == 0 && a->cert.ca)
		r = err_set(e, ERR_ISSUER_INVALID,
			"the certificate of '%.100s' may issue others (CA:TRUE or keyCertSign), and a unit's may not: correct the profile of the authority",
			a->cert.subject);
	/* What the unit is called is what it asked for. */
	if (r == 0 && csr->subject[0] && x509_same_name(a->cert.subject, csr->subject, NULL) < 0)
		r = err_set(e, ERR_ISSUER_INVALID,
			"the certificate names '%.100s', and the request '%.100s'", a->cert.subject,
			csr->subject);
	return r;
}

int authority_enroll(struct config *c, const struct issuer_config *i, const struct x509_csr *csr,
	bool renew, const struct iotime *it, struct authority_answer *ret, struct err *e)
{
	struct http_service s = {0};
	_cleanup_(freep) char *trusted = read_trusted(i, e);
	int r = trusted ? config_service(c, i->service, &s, e) : -(int)ERR_ISSUER_INVALID;

	*ret = (struct authority_answer){0};
	if (r < 0)
		return r;
	r = i->kind == ISSUER_EST ? enroll_est(i, &s, csr, renew, it, ret, e)
				  : enroll_cmp(c, i, &s, trusted, csr, it, ret, e);
	http_service_done(&s);
	if (r == 0)
		r = judge(ret, trusted, csr, e);
	if (r < 0)
		return err_prefix(e, "issuer '%.64s'", i->name);
	if (!ret->chain || !*ret->chain) {
		free(ret->chain);
		ret->chain = steal_ptr(&trusted);
	}
	return 0;
}

json_t *authority_json(const struct issuer_config *i)
{
	char from[RFC3339_SIZE], to[RFC3339_SIZE];
	struct err e = {0};
	_cleanup_(freep) char *trusted = read_trusted(i, &e);
	_cleanup_(x509_cert_done) struct x509_cert c = {0};
	int r = trusted ? x509_cert_read(trusted, strlen(trusted), &c, &e) : -1;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s?, s:[]}", "name", i->name,
		"kind", issuer_kinds[i->kind], "subject", c.subject, "key",
		x509_alg_name(c.key.alg), "sha256", c.sha256, "not_before",
		rfc3339(c.not_before_s * 1000, from), "not_after",
		rfc3339(c.not_after_s * 1000, to), "ready", r == 0, "problem",
		r == 0 ? NULL : e.msg, "profiles");
}
