/* SPDX-License-Identifier: Apache-2.0
 *
 * Public keys, certificate requests and certificates, read and compared: what a unit or an issuer
 * gave is never believed before it was taken apart here. No private key comes near this file. One
 * of the few doors to OpenSSL. Any thread.
 *
 * Formats: PKCS#10 (RFC 2986), X.509 (RFC 5280), SubjectPublicKeyInfo (RFC 5480, 8410), PEM (RFC
 * 7468). Names are text as RFC 2253 writes them, the most specific part first: "CN=A-0001,O=Example".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define X509_NAME_BYTES	  512
#define X509_SERIAL_BYTES 41	/* 20 octets in hex (RFC 5280, 4.1.2.2), and the NUL */
#define X509_MAX_BYTES	  16384 /* of a request or certificate, DER or PEM */

/* The kinds of keys that provd knows, by their names in recipes and profiles. */
enum x509_alg {
	X509_ALG_NONE,
	X509_P256,
	X509_P384,
	X509_ED25519,
	X509_RSA2048,
	X509_RSA3072,
	X509_RSA4096,
	X509_ALG_COUNT
};
/* "p256", "p384", "ed25519", "rsa2048", ...; NULL-terminated, without X509_ALG_NONE. */
extern const char *const x509_alg_names[];
const char *x509_alg_name(enum x509_alg a);
enum x509_alg x509_alg_of(const char *name); /* X509_ALG_NONE for another */

/* A public key. End it with x509_key_done(). */
struct x509_key {
	enum x509_alg alg;
	uint8_t *der; /* SubjectPublicKeyInfo, owned */
	size_t der_bytes;
	char sha256[SHA256_HEX]; /* of der: the name of the key in records */
};
/* Text is PEM ("PUBLIC KEY", or a certificate) or the hex digits of the DER; -ERR_INVALID for what
 * is not a key of a known kind, and for one that everybody can sign for (RSA with the exponent 1, a point
 * of Ed25519 of low order). The same holds for the keys of requests and certificates. */
int x509_key_read(const char *text, struct x509_key *ret, struct err *e);
void x509_key_done(struct x509_key *k);
bool x509_key_equal(const struct x509_key *a, const struct x509_key *b);
/* The message was signed by the owner of the key: ECDSA (DER, with SHA-256 for P-256 and SHA-384 for
 * P-384), Ed25519, or RSA (PKCS #1 v1.5 with SHA-256). -ERR_KEY_NOT_PROVEN where it was not. */
int x509_key_verify(const struct x509_key *k, const void *message, size_t n, const void *signature,
	size_t m, struct err *e);

/* A request for a certificate. End it with x509_csr_done(). */
struct x509_csr {
	uint8_t *der; /* owned */
	size_t der_bytes;
	struct x509_key key;
	char subject[X509_NAME_BYTES]; /* "" for an empty name */
	char asked
		[SHA256_HEX]; /* of all that is signed (RFC 2986, 4.1): of two requests that ask for
					  the same, whatever their signatures */
	struct X509_req_st *parsed; /* the same, as OpenSSL has it; of one thread */
};
/* PEM, with text around it as tools print it, or DER. Who made it holds its key: its signature is
 * verified. -ERR_CSR_MISMATCH for a request with a wrong signature, -ERR_INVALID for what is none. */
int x509_csr_read(const void *p, size_t n, struct x509_csr *ret, struct err *e);
void x509_csr_done(struct x509_csr *c);
/* Whether a request has what an authority wants in it: DER of CsrAttrs (RFC 7030, 4.5.2). What is not known
 * here is passed over, as the standard says. -ERR_CSR_ATTRIBUTES names what is lacking, -ERR_SERVICE_ANSWER
 * is for what is no CsrAttrs. */
int x509_csr_has(const struct x509_csr *c, const uint8_t *wanted, size_t n, struct err *e);
/* Whether two names as text have the same parts: in whatever order, since a console prints them as it
 * likes. -ERR_CSR_MISMATCH, with both. */
int x509_same_name(const char *got, const char *expected, struct err *e);

/* A certificate. End it with x509_cert_done(). */
struct x509_cert {
	uint8_t *der; /* owned */
	size_t der_bytes;
	struct x509_key key;
	char serial[X509_SERIAL_BYTES]; /* lower-case hex, two digits for each octet */
	char subject[X509_NAME_BYTES], issuer[X509_NAME_BYTES];
	int64_t not_before_s, not_after_s; /* seconds since 1970; no end is 253402300799 */
	char sha256[SHA256_HEX];	   /* of der */
	bool ca;			   /* it may issue others, or some verifiers take it so */
};
/* PEM (the first certificate of a text) or DER; -ERR_INVALID. */
int x509_cert_read(const void *p, size_t n, struct x509_cert *ret, struct err *e);
void x509_cert_done(struct x509_cert *c);

/* Whether it was issued by one of the certificates of `trusted` (PEM), over those of `untrusted` (PEM, NULL:
 * none): every signature is verified, and that all of them are valid at now_s. *ret_chain is the PEM of
 * those over it, up to the first that is trusted, owned by the caller. -ERR_ISSUER_INVALID, with what is
 * wrong. */
int x509_cert_leads_to(const struct x509_cert *c, const char *trusted, const char *untrusted,
	int64_t now_s, char **ret_chain, struct err *e);
/* Every certificate of a text in PEM, or of a PKCS #7 bundle without signatures ("certs-only", RFC 5652; DER
 * or PEM): those that are not for `key` as PEM in *ret_others, and the one that is in *ret. -ERR_INVALID,
 * -ERR_NOT_FOUND where none is for the key (NULL: none is wanted). Both are owned by the caller. */
int x509_bundle_read(const void *p, size_t n, const struct x509_key *key, char **ret,
	char **ret_others, struct err *e);
/* The PEM of some DER ("CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY"), owned by the caller. */
char *x509_pem(const char *label, const void *der, size_t n);
