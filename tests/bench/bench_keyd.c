/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates a second:
 *
 *	bench_keyd ask SOCKET ISSUER PROFILE CSR THREADS SECONDS [DATABASE]
 *		from provd-keyd; with a database as a step does it: looked at, ordered, signed, issued
 *	bench_keyd bare KEY CERTIFICATE CSR SECONDS
 *		by libcrypto alone, in one thread
 *	bench_keyd token MODULE LABEL PIN SECONDS
 *		signatures by the token's C interface alone, in one thread
 *
 * CSR, KEY and CERTIFICATE are PEM files.
 */
#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/iotime.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "base/x509.h"
#include "daemon/keyd/client.h"
#include "db/certificates.h"
#include "db/runs.h"
#include "db/writer.h"

#define THREADS_MAX  64
#define SERIAL_BYTES 16
#define VALUES	     "{\"serial\":\"BENCH0001\",\"model\":\"bench\"}"

#define die(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(EXIT_FAILURE))

static double seconds_of(uint64_t since_us)
{
	return (double)(now_us() - since_us) / US_PER_S;
}

static char *file_text(const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char *text = xcalloc(1, 65536);

	if (!f || fread(text, 1, 65535, f) == 0)
		die("%s cannot be read", path);
	return text;
}

/* --- provd-keyd --- */

struct asker {
	pthread_t thread;
	const char *socket, *issuer, *profile;
	const struct x509_csr *csr;
	struct writer *w; /* NULL: no records */
	uint64_t until_us;
	uint64_t made;
	char run[24];
	struct keyd_order ask;
	char key[SHA256_HEX], digest[SHA256_HEX];
	struct x509_cert cert;
	char *pem, *chain;
	struct err e;
};

static int open_run(struct db *tx, void *data, struct err *e)
{
	struct asker *a = data;
	const struct run_new r = {.id = a->run, .station = "bench", .attached_ms = 1};
	const struct step_begin s = {.run = a->run,
		.n = 1,
		.id = "certificate",
		.action = "key.certificate",
		.phase = "steps",
		.attempt = 1};
	int ret = runs_open(tx, &r, e);

	return ret < 0 ? ret : runs_step_begin(tx, &s, e);
}

static int order(struct db *tx, void *data, struct err *e)
{
	struct asker *a = data;
	const struct certificate_order_row o = {.id = a->ask.serial_hex,
		.serial = a->ask.serial_hex,
		.run = a->run,
		.step_n = 1,
		.issuer = a->issuer,
		.profile = a->profile,
		.profile_digest = a->digest,
		.key = a->key,
		.asked = a->digest};
	json_t *before = NULL;
	int r = certificates_find(tx, &o, wall_ms(), &before, NULL);

	json_decref(before);
	return r == -ERR_NOT_FOUND ? certificates_order(tx, &o, e) : -ERR_INTERNAL;
}

static int issue(struct db *tx, void *data, struct err *e)
{
	struct asker *a = data;
	const struct certificate_row c = {.id = a->ask.serial_hex,
		.serial = a->cert.serial,
		.subject = a->cert.subject,
		.sha256 = a->cert.sha256,
		.pem = a->pem,
		.chain = a->chain,
		.not_before_ms = a->cert.not_before_s * 1000,
		.not_after_ms = a->cert.not_after_s * 1000};

	return certificates_issue(tx, &c, e);
}

static int before_it_is_signed(struct asker *a)
{
	const struct iotime it = {NO_DEADLINE, NULL};
	uint8_t key[SHA256_BYTES];
	char profile[96];
	int r = keyd_look(&a->ask, &it, profile, a->digest, &a->e);

	if (r < 0)
		return r;
	random_bytes(key, sizeof key);
	hex_of(key, sizeof key, a->key);
	return writer_do(a->w, order, a, &a->e);
}

static int after_it_is_signed(struct asker *a)
{
	int r;

	a->pem = x509_pem("CERTIFICATE", a->cert.der, a->cert.der_bytes);
	r = writer_do(a->w, issue, a, &a->e);
	free(a->pem);
	return r;
}

static int one(struct asker *a)
{
	const struct iotime it = {NO_DEADLINE, NULL};
	int r = 0;

	keyd_order_begin(&a->ask);
	a->ask.socket = a->socket;
	a->ask.issuer = a->issuer;
	a->ask.profile = a->profile;
	a->ask.csr = a->csr;
	a->ask.values = VALUES;
	a->ask.who = "bench";
	if (a->w)
		r = before_it_is_signed(a);
	if (r == 0)
		r = keyd_certify(&a->ask, &it, &a->cert, &a->chain, &a->e);
	keyd_order_done(&a->ask);
	if (r < 0)
		return r;
	if (a->w)
		r = after_it_is_signed(a);
	x509_cert_done(&a->cert);
	free(a->chain);
	return r;
}

static void *work(void *data)
{
	struct asker *a = data;

	while (now_us() < a->until_us && one(a) == 0)
		a->made++;
	return NULL;
}

static void open_records(const char *path, struct db **db, struct writer **w)
{
	const struct writer_opts o = {0};
	struct err e = {0};

	if (db_open(path, db, &e) < 0 || writer_new(*db, &o, w, &e) < 0)
		die("%s", e.msg);
}

static double ask_all(struct asker *a, int threads, double seconds)
{
	uint64_t begun = now_us(), made = 0;

	for (int i = 0; i < threads; i++) {
		a[i].until_us = begun + (uint64_t)(seconds * US_PER_S);
		if (thread_start(&a[i].thread, "bench", work, &a[i], NULL) < 0)
			die("no thread");
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(a[i].thread, NULL);
		if (a[i].e.code)
			die("%s", a[i].e.msg);
		made += a[i].made;
	}
	return (double)made / seconds_of(begun);
}

static double ask_keyd(char **argv, const char *database)
{
	static struct asker a[THREADS_MAX];
	_cleanup_(freep) char *text = file_text(argv[3]);
	int threads = MIN(atoi(argv[4]), THREADS_MAX);
	struct x509_csr csr = {0};
	struct writer *w = NULL;
	struct db *db = NULL;
	struct err e = {0};
	double rate;

	if (x509_csr_read(text, strlen(text), &csr, &e) < 0)
		die("%s", e.msg);
	if (database)
		open_records(database, &db, &w);
	for (int i = 0; i < threads; i++) {
		a[i] = (struct asker){.socket = argv[0],
			.issuer = argv[1],
			.profile = argv[2],
			.csr = &csr,
			.w = w};
		snprintf(a[i].run, sizeof a[i].run, "run-%d", i);
		if (w && writer_do(w, open_run, &a[i], &e) < 0)
			die("%s", e.msg);
	}
	rate = ask_all(a, threads, atof(argv[5]));
	writer_free(w);
	x509_csr_done(&csr);
	return rate;
}

/* --- libcrypto alone --- */

static void add(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	if (!ext || !X509_add_ext(x, ext, -1))
		die("no extension %d", nid);
	X509_EXTENSION_free(ext);
}

/* What a profile such as idevid says, without one. */
static void sign_one(EVP_PKEY *key, X509 *issuer, const unsigned char *der, long n)
{
	X509_REQ *req = d2i_X509_REQ(NULL, &der, n);
	EVP_PKEY *public = X509_REQ_get0_pubkey(req);
	unsigned char serial[SERIAL_BYTES], *out = NULL;
	X509 *x = X509_new();
	X509V3_CTX ctx;
	BIGNUM *number;

	if (X509_REQ_verify(req, public) != 1)
		die("the request is not signed");
	random_bytes(serial, sizeof serial);
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	number = BN_bin2bn(serial, sizeof serial, NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	X509_set_version(x, 2);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	X509_set_subject_name(x, X509_REQ_get_subject_name(req));
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, public);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	add(x, &ctx, NID_basic_constraints, "critical,CA:FALSE");
	add(x, &ctx, NID_key_usage, "critical,digitalSignature");
	add(x, &ctx, NID_subject_key_identifier, "hash");
	add(x, &ctx, NID_authority_key_identifier, "keyid");
	if (X509_sign(x, key, EVP_sha256()) <= 0 || i2d_X509(x, &out) <= 0)
		die("not signed");
	OPENSSL_free(out);
	X509_free(x);
	X509_REQ_free(req);
}

static double bare(char **argv)
{
	_cleanup_(fclosep) FILE *key_file = fopen(argv[0], "re"), *cert_file = fopen(argv[1], "re");
	_cleanup_(freep) char *text = file_text(argv[2]);
	EVP_PKEY *key = key_file ? PEM_read_PrivateKey(key_file, NULL, NULL, NULL) : NULL;
	X509 *issuer = cert_file ? PEM_read_X509(cert_file, NULL, NULL, NULL) : NULL;
	struct x509_csr csr = {0};
	struct err e = {0};
	uint64_t begun = now_us(), made = 0;
	double rate;

	if (!key || !issuer || x509_csr_read(text, strlen(text), &csr, &e) < 0)
		die("no key, certificate or request: %s", e.msg);
	for (; seconds_of(begun) < atof(argv[3]); made++)
		sign_one(key, issuer, csr.der, (long)csr.der_bytes);
	rate = (double)made / seconds_of(begun);
	x509_csr_done(&csr);
	EVP_PKEY_free(key);
	X509_free(issuer);
	return rate;
}

/* --- the token alone --- */

static CK_SESSION_HANDLE log_in(CK_FUNCTION_LIST *f, const char *pin)
{
	CK_SLOT_ID slot[16];
	CK_ULONG n = ARRAY_LEN(slot);
	CK_SESSION_HANDLE s = 0;

	/* The first slot that takes the PIN; an empty one does not. */
	if (f->C_Initialize(NULL) != CKR_OK || f->C_GetSlotList(CK_TRUE, slot, &n) != CKR_OK)
		die("no token");
	for (CK_ULONG i = 0; i < n; i++) {
		if (f->C_OpenSession(slot[i], CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK &&
			f->C_Login(s, CKU_USER, (CK_UTF8CHAR_PTR)(uintptr_t)pin, strlen(pin)) ==
				CKR_OK)
			return s;
		s = 0;
	}
	die("no token takes this PIN");
	return 0;
}

static double token(char **argv)
{
	void *so = dlopen(argv[0], RTLD_NOW);
	CK_C_GetFunctionList get =
		so ? (CK_C_GetFunctionList)(uintptr_t)dlsym(so, "C_GetFunctionList") : NULL;
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE want[] = {
		{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, argv[1], strlen(argv[1])}};
	CK_MECHANISM m = {.mechanism = CKM_ECDSA};
	uint8_t digest[SHA256_BYTES], signature[128];
	CK_FUNCTION_LIST *f = NULL;
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;
	CK_ULONG n = 0;
	uint64_t begun, made = 0;

	if (!get || get(&f) != CKR_OK)
		die("%s is not a module", argv[0]);
	s = log_in(f, argv[2]);
	if (f->C_FindObjectsInit(s, want, 2) != CKR_OK ||
		f->C_FindObjects(s, &key, 1, &n) != CKR_OK || n != 1)
		die("no key %s", argv[1]);
	f->C_FindObjectsFinal(s);
	random_bytes(digest, sizeof digest);
	for (begun = now_us(); seconds_of(begun) < atof(argv[3]); made++) {
		CK_ULONG size = sizeof signature;

		if (f->C_SignInit(s, &m, key) != CKR_OK ||
			f->C_Sign(s, digest, sizeof digest, signature, &size) != CKR_OK)
			die("the token does not sign");
	}
	return (double)made / seconds_of(begun);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	double rate;

	if (!strcmp(verb, "ask") && (argc == 8 || argc == 9))
		rate = ask_keyd(argv + 2, argv[8]);
	else if (!strcmp(verb, "bare") && argc == 6)
		rate = bare(argv + 2);
	else if (!strcmp(verb, "token") && argc == 6)
		rate = token(argv + 2);
	else
		die("usage: bench_keyd ask|bare|token ..., see the source");
	printf("%.1f\n", rate);
	return EXIT_SUCCESS;
}
