/* SPDX-License-Identifier: Apache-2.0 */
#include "base/x509.h"

#include <openssl/ec.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/strbuf.h"

#define NAME_PARTS_MAX (X509_NAME_BYTES / 2 + 1) /* none is left out */
#define ED25519_BYTES  32

const char *const x509_alg_names[] = {
	"p256", "p384", "ed25519", "rsa2048", "rsa3072", "rsa4096", NULL};

const char *x509_alg_name(enum x509_alg a)
{
	return a > X509_ALG_NONE && a < X509_ALG_COUNT ? x509_alg_names[a - 1] : "none";
}

enum x509_alg x509_alg_of(const char *name)
{
	for (int i = 0; x509_alg_names[i]; i++)
		if (!strcmp(x509_alg_names[i], name))
			return (enum x509_alg)(i + 1);
	return X509_ALG_NONE;
}

/* OpenSSL keeps its reasons per thread: none is left for whoever asks next. */
static void forget_errors(void)
{
	ERR_clear_error();
}

/* --- public keys --- */

static enum x509_alg rsa_alg(int bits)
{
	return bits == 2048   ? X509_RSA2048
	       : bits == 3072 ? X509_RSA3072
	       : bits == 4096 ? X509_RSA4096
			      : X509_ALG_NONE;
}

static enum x509_alg alg_of(const EVP_PKEY *k)
{
	char curve[32] = "";

	if (EVP_PKEY_is_a(k, "ED25519"))
		return X509_ED25519;
	if (EVP_PKEY_is_a(k, "RSA"))
		return rsa_alg(EVP_PKEY_get_bits(k));
	if (!EVP_PKEY_is_a(k, "EC") || EVP_PKEY_get_group_name(k, curve, sizeof curve, NULL) != 1)
		return X509_ALG_NONE;
	return !strcmp(curve, "prime256v1")  ? X509_P256
	       : !strcmp(curve, "secp384r1") ? X509_P384
					     : X509_ALG_NONE;
}

/* Points of Ed25519 of low order, without the bit of the sign, and those that are not reduced: one and
 * the same signature is right for every message, and nobody needs a private key for it (RFC 8032, 5.1.7
 * does not look for them). */
static const char *const low_order_points[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static bool is_low_order(const EVP_PKEY *k)
{
	uint8_t p[ED25519_BYTES];
	char hex[2 * ED25519_BYTES + 1];
	size_t n = sizeof p;
	bool low = false;

	if (EVP_PKEY_get_raw_public_key(k, p, &n) != 1 || n != sizeof p)
		return true;
	p[n - 1] &= 0x7f;
	hex_of(p, n, hex);
	for (size_t i = 0; i < ARRAY_LEN(low_order_points); i++)
		low |= !strcmp(hex, low_order_points[i]);
	return low;
}

/* A key whose signatures everybody can make proves nothing: RSA with the exponent 1, a point of low
 * order. */
static bool is_sound(EVP_PKEY *k)
{
	EVP_PKEY_CTX *c;
	bool sound;

	if (EVP_PKEY_is_a(k, "ED25519"))
		return !is_low_order(k);
	c = EVP_PKEY_CTX_new(k, NULL);
	/* Of the curves that are taken each point is in the group (cofactor 1: SEC 1, 3.2.2.1): the full check would
	 * multiply it by the order to see the same. */
	sound = c && (EVP_PKEY_is_a(k, "EC") ? EVP_PKEY_public_check_quick(c)
					     : EVP_PKEY_public_check(c)) == 1;
	EVP_PKEY_CTX_free(c);
	return sound;
}

/* How long the only form of these keys is (RFC 5480, 8410); 0: it may have several. */
static int whole_bytes(enum x509_alg a)
{
	return a == X509_P256 ? 91 : a == X509_P384 ? 120 : a == X509_ED25519 ? 44 : 0;
}

/* SubjectPublicKeyInfo: as it came where it can have but one form, since OpenSSL 3 asks each of its encoders. */
static int spki_of(
	const EVP_PKEY *k, enum x509_alg alg, const X509_PUBKEY *from, unsigned char **ret)
{
	int n = from ? i2d_X509_PUBKEY(from, ret) : 0;

	if (n > 0 && n == whole_bytes(alg))
		return n;
	OPENSSL_free(*ret);
	*ret = NULL;
	return i2d_PUBKEY(k, ret);
}

/* Borrows k, and what it came in (NULL: nothing). */
static int key_of(EVP_PKEY *k, const X509_PUBKEY *from, struct x509_key *ret, struct err *e)
{
	unsigned char *der = NULL;
	enum x509_alg alg = k ? alg_of(k) : X509_ALG_NONE;
	int n = alg ? spki_of(k, alg, from, &der) : 0;

	forget_errors();
	if (n <= 0)
		return err_set(e, ERR_INVALID,
			"the public key is of a kind that provd does not know: P-256, P-384, Ed25519 or RSA with 2048, 3072 or 4096 bits expected");
	if (!is_sound(k)) {
		OPENSSL_free(der);
		forget_errors();
		return err_set(e, ERR_INVALID,
			"the public key (%s) is weak: everybody can sign for it, or its numbers are not those of a key; the unit has to make another one",
			x509_alg_name(alg));
	}
	/* In another form the same key would have another digest. */
	if (whole_bytes(alg) && n != whole_bytes(alg)) {
		OPENSSL_free(der);
		return err_set(e, ERR_INVALID,
			"the public key (%s) has %d bytes: %d expected, with an uncompressed point (RFC 5480, 2.2)",
			x509_alg_name(alg), n, whole_bytes(alg));
	}
	if ((alg == X509_P256 || alg == X509_P384) &&
		der[n - 1 - 2 * (alg == X509_P256 ? 32 : 48)] != POINT_CONVERSION_UNCOMPRESSED) {
		OPENSSL_free(der);
		return err_set(e, ERR_INVALID,
			"the public key (%s) has a point in hybrid form: uncompressed expected (RFC 5480, 2.2)",
			x509_alg_name(alg));
	}
	ret->alg = alg;
	ret->der_bytes = (size_t)n;
	ret->der = xcalloc(1, ret->der_bytes);
	memcpy(ret->der, der, ret->der_bytes);
	OPENSSL_free(der);
	sha256_hex_of(ret->der, ret->der_bytes, ret->sha256);
	return 0;
}

static EVP_PKEY *read_der_key(const uint8_t *p, size_t n)
{
	const unsigned char *at = p;
	EVP_PKEY *k = d2i_PUBKEY(NULL, &at, (long)n);

	if (k && at == p + n)
		return k;
	EVP_PKEY_free(k);
	return NULL;
}

static EVP_PKEY *read_hex_key(const char *text)
{
	size_t n = strlen(text) / 2;
	_cleanup_(freep) uint8_t *der = NULL;

	if (n == 0 || n > X509_MAX_BYTES)
		return NULL;
	der = xcalloc(1, n);
	return hex_parse(text, der, n) ? read_der_key(der, n) : NULL;
}

static EVP_PKEY *read_pem_key(const char *text)
{
	BIO *b = BIO_new_mem_buf(text, -1);
	EVP_PKEY *k = b ? PEM_read_bio_PUBKEY(b, NULL, NULL, NULL) : NULL;

	BIO_free(b);
	return k;
}

int x509_key_read(const char *text, struct x509_key *ret, struct err *e)
{
	EVP_PKEY *k;
	int r;

	*ret = (struct x509_key){0};
	if (strlen(text) > 2 * X509_MAX_BYTES)
		return err_set(e, ERR_INVALID, "a public key has at most %d bytes", X509_MAX_BYTES);
	if (strstr(text, "-----BEGIN CERTIFICATE-----")) {
		struct x509_cert c;

		r = x509_cert_read(text, strlen(text), &c, e);
		if (r == 0) {
			*ret = c.key;
			c.key = (struct x509_key){0};
			x509_cert_done(&c);
		}
		return r;
	}
	k = strstr(text, "-----BEGIN") ? read_pem_key(text) : read_hex_key(text);
	r = k ? key_of(k, NULL, ret, e)
	      : err_set(e, ERR_INVALID,
			"'%.40s' is not a public key: PEM, or the hex digits of a SubjectPublicKeyInfo expected",
			text);
	EVP_PKEY_free(k);
	forget_errors();
	return r;
}

void x509_key_done(struct x509_key *k)
{
	free(k->der);
	*k = (struct x509_key){0};
}

bool x509_key_equal(const struct x509_key *a, const struct x509_key *b)
{
	return a->der_bytes == b->der_bytes && a->der_bytes > 0 &&
	       !memcmp(a->der, b->der, a->der_bytes);
}

static const EVP_MD *digest_for(enum x509_alg a)
{
	return a == X509_ED25519 ? NULL : a == X509_P384 ? EVP_sha384() : EVP_sha256();
}

int x509_key_verify(const struct x509_key *k, const void *message, size_t n, const void *signature,
	size_t m, struct err *e)
{
	EVP_PKEY *key = read_der_key(k->der, k->der_bytes);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = key && c && EVP_DigestVerifyInit(c, NULL, digest_for(k->alg), NULL, key) == 1 &&
		  EVP_DigestVerify(c, signature, m, message, n) == 1;

	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	forget_errors();
	return ok ? 0
		  : err_set(e, ERR_KEY_NOT_PROVEN,
			    "the signature of %zu bytes is not by the %s key %.16s", m,
			    x509_alg_name(k->alg), k->sha256);
}

/* --- names --- */

/* Without the escapes of bytes above 127: a name in UTF-8 is read as it was written. */
#define NAME_FLAGS (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB)

static int name_text(
	const X509_NAME *name, const char *of, char ret[X509_NAME_BYTES], struct err *e)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n = 0;

	if (b && X509_NAME_print_ex(b, name, 0, NAME_FLAGS) >= 0)
		n = BIO_get_mem_data(b, &p);
	if (n < 0 || n >= X509_NAME_BYTES || (n > 0 && memchr(p, 0, (size_t)n))) {
		BIO_free(b);
		return err_set(e, ERR_INVALID, "the name in the %s is longer than %d bytes", of,
			X509_NAME_BYTES - 1);
	}
	if (n > 0)
		memcpy(ret, p, (size_t)n);
	ret[n] = '\0';
	BIO_free(b);
	return 0;
}

/* Where each part of a name begins: a comma that is not escaped ends one. s is cut. */
static size_t split_name(char *s, char *part[NAME_PARTS_MAX])
{
	size_t n = 0;

	while (*s && n < NAME_PARTS_MAX) {
		while (*s == ' ')
			s++;
		part[n++] = s;
		while (*s && *s != ',')
			s += *s == '\\' && s[1] ? 2 : 1;
		if (*s)
			*s++ = '\0';
	}
	return n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int x509_same_name(const char *got, const char *expected, struct err *e)
{
	_cleanup_(freep) char *a = xstrdup(got);
	_cleanup_(freep) char *b = xstrdup(expected);
	char *part[2][NAME_PARTS_MAX];
	size_t n = split_name(a, part[0]);
	bool same = n == split_name(b, part[1]);

	qsort(part[0], n, sizeof part[0][0], by_text);
	qsort(part[1], same ? n : 0, sizeof part[1][0], by_text);
	for (size_t i = 0; same && i < n; i++)
		same = !strcmp(part[0][i], part[1][i]);
	return same ? 0
		    : err_set(e, ERR_CSR_MISMATCH, "the request names '%.120s', '%.120s' expected",
			      got, expected);
}

/* --- what is PEM or DER --- */

/* *ret, owned by OpenSSL's allocator, is the DER of the first block with one of these labels; of
 * what is not PEM a copy. -1: there is none. */
static long der_of(
	const void *p, size_t n, const char *label, const char *other, unsigned char **ret)
{
	BIO *b;
	char *name = NULL, *header = NULL;
	long size = -1;

	*ret = NULL;
	if (!memmem(p, n, "-----BEGIN ", 11)) {
		*ret = n > 0 ? OPENSSL_memdup(p, n) : NULL;
		return *ret ? (long)n : -1;
	}
	b = BIO_new_mem_buf(p, (int)n);
	while (b && PEM_read_bio(b, &name, &header, ret, &size) == 1) {
		bool found = !strcmp(name, label) || !strcmp(name, other);

		OPENSSL_free(name);
		OPENSSL_free(header);
		if (found)
			break;
		OPENSSL_free(*ret);
		*ret = NULL;
		size = -1;
	}
	BIO_free(b);
	forget_errors();
	return *ret ? size : -1;
}

static void keep_der(const unsigned char *der, size_t n, uint8_t **ret, size_t *ret_n)
{
	*ret = xcalloc(1, n);
	memcpy(*ret, der, n);
	*ret_n = n;
}

/* --- requests --- */

static void digest_request(X509_REQ *req, char ret[SHA256_HEX])
{
	unsigned char *info = NULL;
	int n = i2d_re_X509_REQ_tbs(req, &info);

	sha256_hex_of(info, n > 0 ? (size_t)n : 0, ret);
	OPENSSL_free(info);
}

static int take_csr(X509_REQ *req, struct x509_csr *ret, struct err *e)
{
	EVP_PKEY *k = X509_REQ_get0_pubkey(req);
	int r = key_of(k, X509_REQ_get_X509_PUBKEY(req), &ret->key, e);

	if (r == 0 && X509_REQ_verify(req, k) != 1)
		r = err_set(
			e, ERR_CSR_MISMATCH, "the request is not signed by the key that it is for");
	if (r == 0)
		r = name_text(X509_REQ_get_subject_name(req), "request", ret->subject, e);
	digest_request(req, ret->asked);
	return r;
}

int x509_csr_read(const void *p, size_t n, struct x509_csr *ret, struct err *e)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	X509_REQ *req = NULL;
	long size;
	int r;

	*ret = (struct x509_csr){0};
	size = n > X509_MAX_BYTES
		       ? -1
		       : der_of(p, n, PEM_STRING_X509_REQ, PEM_STRING_X509_REQ_OLD, &der);
	at = der;
	if (size > 0)
		req = d2i_X509_REQ(NULL, &at, size);
	if (req && at == der + size) {
		keep_der(der, (size_t)size, &ret->der, &ret->der_bytes);
		ret->parsed = req;
		r = take_csr(req, ret, e);
	} else {
		r = err_set(e, ERR_INVALID,
			"%zu bytes are not a certificate request (PKCS#10): PEM between BEGIN and END CERTIFICATE REQUEST, or DER, of at most %d bytes expected",
			n, X509_MAX_BYTES);
	}
	if (!ret->parsed)
		X509_REQ_free(req);
	if (r < 0)
		x509_csr_done(ret);
	OPENSSL_free(der);
	forget_errors();
	return r;
}

void x509_csr_done(struct x509_csr *c)
{
	free(c->der);
	X509_REQ_free(c->parsed);
	x509_key_done(&c->key);
	*c = (struct x509_csr){0};
}

/* --- certificates --- */

static int64_t time_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

static int serial_of(const X509 *x, char ret[X509_SERIAL_BYTES], struct err *e)
{
	const ASN1_INTEGER *s = X509_get0_serialNumber(x);
	int n = ASN1_STRING_length(s);

	if (n < 1 || n > 20)
		return err_set(e, ERR_INVALID,
			"the certificate's serial number has %d octets, 1 to 20 expected", n);
	hex_of(ASN1_STRING_get0_data(s), (size_t)n, ret);
	return 0;
}

static int take_cert(X509 *x, struct x509_cert *ret, struct err *e)
{
	int r = key_of(X509_get0_pubkey(x), X509_get_X509_PUBKEY(x), &ret->key, e);

	if (r == 0)
		r = serial_of(x, ret->serial, e);
	if (r == 0)
		r = name_text(X509_get_subject_name(x), "certificate", ret->subject, e);
	if (r == 0)
		r = name_text(X509_get_issuer_name(x), "certificate", ret->issuer, e);
	ret->not_before_s = time_of(X509_get0_notBefore(x));
	ret->not_after_s = time_of(X509_get0_notAfter(x));
	if (r == 0 && (ret->not_before_s == INT64_MIN || ret->not_after_s == INT64_MIN))
		r = err_set(e, ERR_INVALID, "the certificate's dates cannot be read");
	sha256_hex_of(ret->der, ret->der_bytes, ret->sha256);
	ret->ca = (X509_get_extension_flags(x) & EXFLAG_CA) || X509_check_ca(x) != 0;
	return r;
}

int x509_cert_read(const void *p, size_t n, struct x509_cert *ret, struct err *e)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	X509 *x = NULL;
	long size;
	int r;

	*ret = (struct x509_cert){0};
	size = der_of(
		p, MIN(n, 4 * (size_t)X509_MAX_BYTES), PEM_STRING_X509, PEM_STRING_X509_OLD, &der);
	at = der;
	if (size > 0 && size <= X509_MAX_BYTES)
		x = d2i_X509(NULL, &at, size);
	if (x && at == der + size) {
		keep_der(der, (size_t)size, &ret->der, &ret->der_bytes);
		r = take_cert(x, ret, e);
	} else {
		r = err_set(e, ERR_INVALID,
			"%zu bytes are not a certificate (X.509): PEM or DER of at most %d bytes expected",
			n, X509_MAX_BYTES);
	}
	if (r < 0)
		x509_cert_done(ret);
	X509_free(x);
	OPENSSL_free(der);
	forget_errors();
	return r;
}

void x509_cert_done(struct x509_cert *c)
{
	free(c->der);
	x509_key_done(&c->key);
	*c = (struct x509_cert){0};
}

/* --- chains --- */

static STACK_OF(X509) * certs_of_pem(const char *pem)
{
	STACK_OF(X509) *list = sk_X509_new_null();
	BIO *b = BIO_new_mem_buf(pem ? pem : "", -1);
	X509 *x;

	while (b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)))
		sk_X509_push(list, x);
	BIO_free(b);
	forget_errors();
	return list;
}

static void certs_freep(STACK_OF(X509) * *list)
{
	sk_X509_pop_free(*list, X509_free);
}

static char *pem_of(X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	char *pem = n > 0 ? x509_pem("CERTIFICATE", der, (size_t)n) : NULL;

	OPENSSL_free(der);
	return pem;
}

/* Those over the first, which is the certificate itself. */
static char *pem_of_chain(const STACK_OF(X509) * chain)
{
	struct strbuf b = {0};

	for (int i = 1; i < sk_X509_num(chain); i++) {
		_cleanup_(freep) char *pem = pem_of(sk_X509_value(chain, i));

		sb_add(&b, pem ? pem : "");
	}
	return sb_take(&b);
}

int x509_cert_leads_to(const struct x509_cert *c, const char *trusted, const char *untrusted,
	int64_t now_s, char **ret_chain, struct err *e)
{
	_cleanup_(certs_freep) STACK_OF(X509) *anchors = certs_of_pem(trusted);
	_cleanup_(certs_freep) STACK_OF(X509) *between = certs_of_pem(untrusted);
	const unsigned char *der = c->der;
	X509 *x = d2i_X509(NULL, &der, (long)c->der_bytes);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok;
	int why;

	for (int i = 0; i < sk_X509_num(anchors); i++)
		X509_STORE_add_cert(store, sk_X509_value(anchors, i));
	ok = X509_STORE_CTX_init(ctx, store, x, between) == 1;
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now_s);
	ok = ok && X509_verify_cert(ctx) == 1;
	why = X509_STORE_CTX_get_error(ctx);
	if (ok)
		*ret_chain = pem_of_chain(X509_STORE_CTX_get0_chain(ctx));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(x);
	forget_errors();
	return ok ? 0
		  : err_set(e, ERR_ISSUER_INVALID,
			    "the certificate of '%.120s' does not lead to those that are trusted: %s",
			    c->subject, X509_verify_cert_error_string(why));
}

/* Of a "certs-only" bundle; NULL where it is none. */
static STACK_OF(X509) * certs_of_bundle(const void *p, size_t n)
{
	unsigned char *der = NULL;
	long size = der_of(p, n, "PKCS7", "CMS", &der);
	const unsigned char *at = der;
	PKCS7 *bundle = size > 0 ? d2i_PKCS7(NULL, &at, size) : NULL;
	STACK_OF(X509) *list = NULL;

	if (bundle && PKCS7_type_is_signed(bundle) && bundle->d.sign->cert)
		list = X509_chain_up_ref(bundle->d.sign->cert);
	PKCS7_free(bundle);
	OPENSSL_free(der);
	forget_errors();
	return list;
}

static bool is_for(X509 *x, const struct x509_key *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(X509_get0_pubkey(x), &der);
	bool same =
		key && n > 0 && (size_t)n == key->der_bytes && !memcmp(der, key->der, (size_t)n);

	OPENSSL_free(der);
	return same;
}

int x509_bundle_read(const void *p, size_t n, const struct x509_key *key, char **ret,
	char **ret_others, struct err *e)
{
	_cleanup_(freep) char *text = strndup(p, n);
	_cleanup_(certs_freep) STACK_OF(X509) *list =
		memmem(p, n, "-----BEGIN CERTIFICATE-----", 27) ? certs_of_pem(text)
								: certs_of_bundle(p, n);
	struct strbuf others = {0};

	*ret = *ret_others = NULL;
	if (!list || sk_X509_num(list) == 0)
		return err_set(e, ERR_INVALID,
			"%zu bytes are neither certificates in PEM nor a PKCS #7 bundle of them",
			n);
	for (int i = 0; i < sk_X509_num(list); i++) {
		char *pem = pem_of(sk_X509_value(list, i));

		if (!*ret && is_for(sk_X509_value(list, i), key))
			*ret = steal_ptr(&pem);
		else
			sb_add(&others, pem ? pem : "");
		free(pem);
	}
	*ret_others = sb_take(&others);
	forget_errors();
	if (*ret || !key)
		return 0;
	free(*ret_others);
	*ret_others = NULL;
	return err_set(e, ERR_NOT_FOUND, "none of %d certificates is for the key %.16s",
		sk_X509_num(list), key->sha256);
}

char *x509_pem(const char *label, const void *der, size_t n)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	char *text;
	long size = 0;

	if (b && PEM_write_bio(b, label, "", der, (long)n) > 0)
		size = BIO_get_mem_data(b, &p);
	text = xcalloc(1, (size_t)size + 1);
	if (size > 0)
		memcpy(text, p, (size_t)size);
	BIO_free(b);
	return text;
}
