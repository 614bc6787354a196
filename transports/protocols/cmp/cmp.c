/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/cmp/cmp.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <openssl/cmp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/strbuf.h"

#define LATER_MAX_S 60 /* between two looks, whatever the authority says */

struct session {
	const struct cmp *s;
	const struct iotime *it;
	struct err why; /* of the exchange that failed */
	bool failed, sent;
	struct http_line *line;
};

void cmp_answer_done(struct cmp_answer *a)
{
	free(a->pem);
	free(a->others);
	*a = (struct cmp_answer){0};
}

static const char *path_text(const struct cmp *s)
{
	return s->path ? s->path : "the authority";
}

/* One message there, one back, over one connection: some authorities forget the transaction with it.
 *  OpenSSL's own HTTP client has neither our deadline nor our TLS. */
static OSSL_CMP_MSG *transfer(OSSL_CMP_CTX *ctx, const OSSL_CMP_MSG *ask)
{
	struct session *x = OSSL_CMP_CTX_get_transfer_cb_arg(ctx);
	BIO *b = BIO_new(BIO_s_mem());
	struct http_answer a = {0};
	OSSL_CMP_MSG *got = NULL;
	char *p = NULL;
	long n;

	if (!b || i2d_OSSL_CMP_MSG_bio(b, ask) != 1) {
		BIO_free(b);
		return NULL;
	}
	n = BIO_get_mem_data(b, &p);

	const struct http_request q = {.method = "POST",
		.path = x->s->path,
		.line = x->line,
		.body = p,
		.body_bytes = (size_t)n,
		.type = "application/pkixcmp",
		.accept = "application/pkixcmp"};

	x->failed = http_exchange(x->s->service, &q, x->it, &a, &x->why) < 0;
	x->sent |= a.sent;
	BIO_free(b);
	if (!x->failed &&
		(a.status != 200 || strncasecmp(a.type, "application/pkixcmp", 19) != 0)) {
		x->failed = true;
		err_set(&x->why, a.status == 200 ? ERR_SERVICE_ANSWER : ERR_SERVICE_REFUSED,
			"%s was answered with status %ld and %s, application/pkixcmp expected",
			path_text(x->s), a.status, a.type[0] ? a.type : "no type");
	}
	if (!x->failed) {
		BIO *in = BIO_new_mem_buf(a.body.s, (int)a.body.len);

		got = in ? d2i_OSSL_CMP_MSG_bio(in, NULL) : NULL;
		BIO_free(in);
		if (!got) {
			x->failed = true;
			err_set(&x->why, ERR_SERVICE_ANSWER,
				"%s was answered with %zu bytes that are no message of CMP",
				path_text(x->s), a.body.len);
		}
	}
	http_answer_done(&a);
	return got;
}

static int no_set_up(struct err *e)
{
	return err_set(e, ERR_INTERNAL, "OpenSSL's client of CMP cannot be set up");
}

/* --- a key of this host --- */

static STACK_OF(X509) * read_certificates(BIO *b)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	X509 *x;

	while (list && b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)))
		sk_X509_push(list, x);
	BIO_free(b);
	ERR_clear_error();
	return list;
}

static void certificates_freep(STACK_OF(X509) * *list)
{
	sk_X509_pop_free(*list, X509_free);
}

static void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

/* Nobody but its owner or group may read it: it is who provd is for the authority. */
static EVP_PKEY *read_key(const char *path, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	bool open_to_all = fd >= 0 && (fstat(fd, &st) < 0 || st.st_mode & 0007);
	BIO *b = fd >= 0 ? BIO_new_fd(fd, BIO_CLOSE) : NULL;
	EVP_PKEY *k = b && !open_to_all ? PEM_read_bio_PrivateKey(b, NULL, NULL, (void *)"") : NULL;

	BIO_free(b);
	ERR_clear_error();
	if (!k)
		err_set(e, ERR_INVALID, "%s %s", path,
			open_to_all
				? "may be read by everyone: chmod 0600 it, and replace the key if others could read it"
				: "does not hold a private key (PEM, without a passphrase) that provd may read");
	return k;
}

static int store_index;

static void make_store_index(void)
{
	store_index = X509_STORE_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static bool is_trusted_itself(X509_STORE_CTX *v, X509 *x)
{
	STACK_OF(X509) *same = X509_STORE_CTX_get1_certs(v, X509_get_subject_name(x));
	bool found = false;

	for (int i = 0; i < sk_X509_num(same); i++)
		found |= X509_cmp(sk_X509_value(same, i), x) == 0;
	sk_X509_pop_free(same, X509_free);
	return found;
}

/* id-kp-cmcCA or id-kp-cmcRA (RFC 6402, 2.10; RFC 9480, 3.2). */
static bool is_for_authorities(X509 *x)
{
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++) {
		int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usage, i));

		found |= nid == NID_cmcCA || nid == NID_cmcRA;
	}
	EXTENDED_KEY_USAGE_free(usage);
	return found;
}

/* Every unit has a certificate that leads to the issuer: it may not answer for it. */
static int check_signer(int ok, X509_STORE_CTX *v)
{
	struct session *x = X509_STORE_get_ex_data(X509_STORE_CTX_get0_store(v), store_index);
	X509 *signer = X509_STORE_CTX_get_current_cert(v);
	char name[120];

	if (!ok || X509_STORE_CTX_get_error_depth(v) > 0 || is_for_authorities(signer) ||
		is_trusted_itself(v, signer))
		return ok;
	X509_NAME_oneline(X509_get_subject_name(signer), name, sizeof name);
	x->failed = true;
	err_set(&x->why, ERR_SERVICE_UNTRUSTED,
		"%s signs its messages as '%s', which is neither the issuer nor a certificate for an authority (extended key usage cmcRA or cmcCA)",
		path_text(x->s), name);
	X509_STORE_CTX_set_error(v, X509_V_ERR_CERT_REJECTED);
	return 0;
}

static X509_STORE *store_of(struct session *x)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_(certificates_freep) STACK_OF(X509) *trusted =
		read_certificates(BIO_new_mem_buf(x->s->trusted, -1));
	X509_STORE *store = X509_STORE_new();

	pthread_once(&once, make_store_index);
	for (int i = 0; i < sk_X509_num(trusted); i++)
		X509_STORE_add_cert(store, sk_X509_value(trusted, i));
	/* The certificates of an issuer need not end with a root: the first that is there is trusted. */
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	X509_STORE_set_ex_data(store, store_index, x);
	X509_STORE_set_verify_cb(store, check_signer);
	return store;
}

static int sign_messages(OSSL_CMP_CTX *c, struct session *x, struct err *e)
{
	const struct cmp *s = x->s;
	_cleanup_(certificates_freep) STACK_OF(X509) *own =
		read_certificates(BIO_new_file(s->certificate_file, "re"));
	_cleanup_(pkey_freep) EVP_PKEY *key = read_key(s->key_file, e);
	X509_STORE *store;

	if (!key)
		return -ERR_INVALID;
	if (sk_X509_num(own) < 1 || X509_check_private_key(sk_X509_value(own, 0), key) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID,
			"%s does not begin with the certificate (PEM) of the key in %s",
			s->certificate_file, s->key_file);
	}
	store = store_of(x);
	if (OSSL_CMP_CTX_set0_trustedStore(c, store) != 1) {
		X509_STORE_free(store);
		return no_set_up(e);
	}
	return OSSL_CMP_CTX_set1_cert(c, sk_X509_value(own, 0)) == 1 &&
			       OSSL_CMP_CTX_set1_pkey(c, key) == 1 &&
			       OSSL_CMP_CTX_set1_untrusted(c, own) == 1 &&
			       OSSL_CMP_CTX_set1_extraCertsOut(c, own) == 1
		       ? 0
		       : no_set_up(e);
}

/* --- one session --- */

static int share_secret(OSSL_CMP_CTX *c, const struct cmp *s, struct err *e)
{
	return OSSL_CMP_CTX_set1_referenceValue(
		       c, (const unsigned char *)s->reference, (int)strlen(s->reference)) == 1 &&
			       OSSL_CMP_CTX_set1_secretValue(c, (const unsigned char *)s->secret,
				       (int)strlen(s->secret)) == 1
		       ? 0
		       : no_set_up(e);
}

static int set_up(OSSL_CMP_CTX *c, struct session *x, const X509_REQ *req, struct err *e)
{
	if (!c || !req || OSSL_CMP_CTX_set_transfer_cb(c, transfer) != 1 ||
		OSSL_CMP_CTX_set_transfer_cb_arg(c, x) != 1 ||
		OSSL_CMP_CTX_set1_p10CSR(c, req) != 1)
		return no_set_up(e);
	return x->s->secret ? share_secret(c, x->s, e) : sign_messages(c, x, e);
}

/* What the authority or OpenSSL says, in a sentence. */
static int refused(OSSL_CMP_CTX *c, const struct session *x, struct err *e)
{
	char status[160] = "";
	char reason[120] = "";

	if (x->failed) {
		if (e)
			*e = x->why;
		return -(int)x->why.code;
	}
	if (OSSL_CMP_CTX_get_status(c) >= 0)
		OSSL_CMP_CTX_snprint_PKIStatus(c, status, sizeof status);
	for (unsigned long code; (code = ERR_get_error());)
		snprintf(reason, sizeof reason, "%s", ERR_reason_error_string(code));
	return err_set(e, status[0] ? ERR_SERVICE_REFUSED : ERR_SERVICE_ANSWER, "%s: %s%s%s",
		path_text(x->s), status, status[0] && reason[0] ? "; " : "", reason);
}

static int wait_later(struct session *x, int after_s, struct err *e)
{
	const uint64_t us = (uint64_t)MIN(MAX(after_s, 1), LATER_MAX_S) * US_PER_S;

	if (iotime_left_us(x->it) <= us)
		return err_set(e, ERR_SERVICE_DOWN,
			"%s wants to be asked again in %llu s, and the step's time ends before: it may wait for a person",
			path_text(x->s), (unsigned long long)(us / US_PER_S));
	return iotime_sleep(us, x->it, e);
}

/* OpenSSL's own loop sleeps between two polls, where neither cancel nor deadline reach it: a try returns
 * there (-1), and goes on with a pollReq when it is called again (RFC 4210, 5.3.22). */
static int exchange(OSSL_CMP_CTX *c, struct session *x, struct err *e)
{
	for (;;) {
		int after_s = 0;
		int got = OSSL_CMP_try_certreq(c, OSSL_CMP_P10CR, NULL, &after_s);
		int r;

		if (got > 0)
			return 0;
		if (got == 0 || x->failed)
			return refused(c, x, e);
		r = wait_later(x, after_s, e);
		if (r < 0)
			return r;
	}
}

static void take(OSSL_CMP_CTX *c, const X509 *cert, struct cmp_answer *ret)
{
	STACK_OF(X509) *chain = OSSL_CMP_CTX_get1_newChain(c);
	struct strbuf others = {0};
	unsigned char *der = NULL;
	int n = i2d_X509(cert, &der);

	ret->pem = n > 0 ? x509_pem("CERTIFICATE", der, (size_t)n) : NULL;
	OPENSSL_free(der);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		unsigned char *more = NULL;
		int size = i2d_X509(sk_X509_value(chain, i), &more);
		_cleanup_(freep) char *pem =
			size > 0 ? x509_pem("CERTIFICATE", more, (size_t)size) : NULL;

		/* The chain may begin with the certificate itself. */
		if (pem && (!ret->pem || strcmp(pem, ret->pem) != 0))
			sb_add(&others, pem);
		OPENSSL_free(more);
	}
	sk_X509_pop_free(chain, X509_free);
	ret->others = sb_take(&others);
}

static int check_key(const struct cmp_answer *a, const struct x509_csr *csr, struct err *e)
{
	_cleanup_(x509_cert_done) struct x509_cert c = {0};
	int r = a->pem ? x509_cert_read(a->pem, strlen(a->pem), &c, e)
		       : err_set(e, ERR_SERVICE_ANSWER, "the certificate cannot be read");

	if (r == 0 && !x509_key_equal(&c.key, &csr->key))
		r = err_set(e, ERR_SERVICE_ANSWER,
			"the authority gave a certificate for key %.16s, %.16s was asked for",
			c.key.sha256, csr->key.sha256);
	return r;
}

int cmp_enroll(const struct cmp *s, const struct x509_csr *csr, const struct iotime *it,
	struct cmp_answer *ret, struct err *e)
{
	struct session x = {.s = s, .it = it, .line = http_line_new()};
	const unsigned char *der = csr->der;
	X509_REQ *req = d2i_X509_REQ(NULL, &der, (long)csr->der_bytes);
	OSSL_CMP_CTX *c = OSSL_CMP_CTX_new(NULL, NULL);
	int r;

	*ret = (struct cmp_answer){0};
	r = set_up(c, &x, req, e);
	if (r == 0)
		r = exchange(c, &x, e);
	ret->sent = x.sent;
	if (r == 0) {
		take(c, OSSL_CMP_CTX_get0_newCert(c), ret);
		r = check_key(ret, csr, e);
	}
	OSSL_CMP_CTX_free(c);
	http_line_free(x.line);
	X509_REQ_free(req);
	ERR_clear_error();
	return r;
}
