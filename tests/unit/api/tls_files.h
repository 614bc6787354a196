/* SPDX-License-Identifier: Apache-2.0
 *
 * Authorities, certificates and lists of revoked ones, made by GnuTLS for a test, and put into files.
 */
#pragma once

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/util.h"
#include "tests/unit/unit.h"

#define HOUR 3600

struct made {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

/* What is asked for; times are relative to now. */
struct wish {
	const char *dn;
	long from_s, to_s; /* 0: an hour ago, in an hour */
	const char *purpose;
	const char *dns, *uri, *email;
	bool ca;
};

#define GOOD(call)                                                                 \
	do {                                                                       \
		int good_r = (call);                                               \
		ck_assert_msg(good_r >= 0, #call ": %s", gnutls_strerror(good_r)); \
	} while (0)

static inline void add_san(
	gnutls_x509_crt_t crt, gnutls_x509_subject_alt_name_t kind, const char *text)
{
	if (text)
		GOOD(gnutls_x509_crt_set_subject_alt_name(
			crt, kind, text, (unsigned)strlen(text), GNUTLS_FSAN_APPEND));
}

/* by NULL: signed by itself. */
static inline struct made make(const struct wish *w, const struct made *by)
{
	static unsigned char serial = 1;
	const time_t now = time(NULL);
	struct made m;

	GOOD(gnutls_x509_privkey_init(&m.key));
	GOOD(gnutls_x509_privkey_generate(
		m.key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	GOOD(gnutls_x509_crt_init(&m.crt));
	GOOD(gnutls_x509_crt_set_version(m.crt, 3));
	serial++;
	GOOD(gnutls_x509_crt_set_serial(m.crt, &serial, 1));
	GOOD(gnutls_x509_crt_set_dn(m.crt, w->dn, NULL));
	GOOD(gnutls_x509_crt_set_key(m.crt, m.key));
	GOOD(gnutls_x509_crt_set_activation_time(m.crt, now + (w->from_s ? w->from_s : -HOUR)));
	GOOD(gnutls_x509_crt_set_expiration_time(m.crt, now + (w->to_s ? w->to_s : HOUR)));
	GOOD(gnutls_x509_crt_set_basic_constraints(m.crt, w->ca, -1));
	GOOD(gnutls_x509_crt_set_key_usage(
		m.crt, w->ca ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
			     : GNUTLS_KEY_DIGITAL_SIGNATURE));
	if (w->purpose)
		GOOD(gnutls_x509_crt_set_key_purpose_oid(m.crt, w->purpose, 0));
	add_san(m.crt, GNUTLS_SAN_DNSNAME, w->dns);
	add_san(m.crt, GNUTLS_SAN_URI, w->uri);
	add_san(m.crt, GNUTLS_SAN_RFC822NAME, w->email);
	GOOD(gnutls_x509_crt_sign2(
		m.crt, by ? by->crt : m.crt, by ? by->key : m.key, GNUTLS_DIG_SHA256, 0));
	return m;
}

static inline void made_done(struct made *m)
{
	gnutls_x509_crt_deinit(m->crt);
	gnutls_x509_privkey_deinit(m->key);
}

static inline void put_text(const char *path, mode_t mode, gnutls_datum_t text, const char *how)
{
	FILE *f = fopen(path, how);

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text.data, 1, text.size, f), text.size);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	gnutls_free(text.data);
}

/* how: "we" or "ae". */
static inline void put_crt(const char *path, const struct made *m, const char *how)
{
	gnutls_datum_t text;

	GOOD(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_PEM, &text));
	put_text(path, 0644, text, how);
}

static inline void put_key(const char *path, const struct made *m, mode_t mode)
{
	gnutls_datum_t text;

	GOOD(gnutls_x509_privkey_export2(m->key, GNUTLS_X509_FMT_PEM, &text));
	put_text(path, mode, text, "we");
}

/* revoked may be NULL; next_s: when the next list comes, relative to now. */
static inline void put_crl(const char *path, const struct made *by, const struct made *revoked,
	long next_s, const char *how)
{
	const time_t now = time(NULL);
	const unsigned char number = 1;
	gnutls_x509_crl_t crl;
	gnutls_datum_t text;

	GOOD(gnutls_x509_crl_init(&crl));
	GOOD(gnutls_x509_crl_set_version(crl, 2));
	GOOD(gnutls_x509_crl_set_this_update(crl, now - 2 * HOUR));
	GOOD(gnutls_x509_crl_set_next_update(crl, now + next_s));
	GOOD(gnutls_x509_crl_set_number(crl, &number, 1));
	if (revoked)
		GOOD(gnutls_x509_crl_set_crt(crl, revoked->crt, now - HOUR));
	GOOD(gnutls_x509_crl_sign2(crl, by->crt, by->key, GNUTLS_DIG_SHA256, 0));
	GOOD(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &text));
	gnutls_x509_crl_deinit(crl);
	put_text(path, 0644, text, how);
}
