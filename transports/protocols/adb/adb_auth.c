/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/adb/adb_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/secret.h"

#define KEY_BITS     2048
#define KEY_BYTES    (KEY_BITS / 8)
#define KEY_WORDS    (KEY_BYTES / 4)
#define EXPONENT     65537u
#define STRUCT_BYTES (4 + 4 + KEY_BYTES + KEY_BYTES + 4)
#define BASE64_SIZE  (4 * ((STRUCT_BYTES + 2) / 3) + 1)
#define PEM_MAX	     16384
#define KEY_NAME     " provd@line"

struct adb_key {
	EVP_PKEY *pkey;
	char public[BASE64_SIZE + sizeof KEY_NAME];
	char print[17];
};

static void bn_freep(BIGNUM **b)
{
	BN_free(*b);
}

static void bn_ctx_freep(BN_CTX **c)
{
	BN_CTX_free(*c);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void bio_freep(BIO **b)
{
	BIO_free(*b);
}

static int crypto_failed(struct err *e, const char *what)
{
	return err_set(e, ERR_INTERNAL, "OpenSSL cannot %s", what);
}

struct adb_key *adb_key_free(struct adb_key *k)
{
	if (k) {
		EVP_PKEY_free(k->pkey);
		free(k);
	}
	return NULL;
}

/* The lowest word of -n^-1 mod 2^32, by Newton: each step doubles the bits that are right. */
static uint32_t n0_inverse(uint32_t n0)
{
	uint32_t x = n0; /* right to 3 bits for odd n0 */

	for (int i = 0; i < 4; i++)
		x *= 2 - n0 * x;
	return -x;
}

/* words, n0inv, n, rr = (2^2048)^2 mod n, exponent; all little-endian. */
static int android_form(const BIGNUM *n, uint8_t out[STRUCT_BYTES], struct err *e)
{
	_cleanup_(bn_freep) BIGNUM *rr = BN_new();
	_cleanup_(bn_ctx_freep) BN_CTX *ctx = BN_CTX_new();
	uint8_t le[KEY_BYTES];
	struct wbytes w = wbytes_of(out, STRUCT_BYTES);
	struct rbytes low;

	if (!rr || !ctx || BN_bn2lebinpad(n, le, sizeof le) != KEY_BYTES ||
		!BN_set_bit(rr, 2 * KEY_BITS) || !BN_mod(rr, rr, n, ctx))
		return crypto_failed(e, "encode the public key");
	low = rbytes_of(le, 4);
	wb_le32(&w, KEY_WORDS);
	wb_le32(&w, n0_inverse(rb_le32(&low)));
	wb_put(&w, le, sizeof le);
	if (BN_bn2lebinpad(rr, le, sizeof le) != KEY_BYTES)
		return crypto_failed(e, "encode the public key");
	wb_put(&w, le, sizeof le);
	wb_le32(&w, EXPONENT);
	return w.bad ? err_set(e, ERR_INTERNAL, "the public key does not fit its form") : 0;
}

/* What devices know the key by. */
static int describe(struct adb_key *k, struct err *e)
{
	_cleanup_(bn_freep) BIGNUM *n = NULL;
	_cleanup_(bn_freep) BIGNUM *exponent = NULL;
	uint8_t form[STRUCT_BYTES];
	uint8_t digest[SHA256_BYTES];
	int r;

	if (EVP_PKEY_get_base_id(k->pkey) != EVP_PKEY_RSA ||
		EVP_PKEY_get_bits(k->pkey) != KEY_BITS ||
		!EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
		!EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) ||
		!BN_is_word(exponent, EXPONENT))
		return err_set(e, ERR_INVALID, "ADB wants an RSA key of %d bits with exponent %u",
			KEY_BITS, EXPONENT);
	r = android_form(n, form, e);
	if (r < 0)
		return r;
	EVP_EncodeBlock((unsigned char *)k->public, form, sizeof form);
	strcat(k->public, KEY_NAME);
	sha256_of(form, sizeof form, digest);
	hex_of(digest, 8, k->print);
	return 0;
}

static int parse(const char *path, const char *pem, size_t n, struct adb_key **ret, struct err *e)
{
	_cleanup_(adb_key_freep) struct adb_key *k = xcalloc(1, sizeof *k);
	_cleanup_(bio_freep) BIO *bio = BIO_new_mem_buf(pem, (int)n);
	int r;

	/* A key with a pass phrase would ask for it on the terminal. */
	k->pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
	if (!k->pkey)
		return err_set(e, ERR_INVALID, "%s: no private key in PEM", path);
	r = describe(k, e);
	if (r < 0)
		return err_prefix(e, "%s", path);
	*ret = steal_ptr(&k);
	return 0;
}

int adb_key_read(const char *path, struct adb_key **ret, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char pem[PEM_MAX];
	size_t n = 0;
	ssize_t got = 0;
	int r;

	if (fd < 0)
		return err_errno(
			e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "ADB key %s", path);
	while (n < sizeof pem && (got = read(fd, pem + n, sizeof pem - n)) > 0)
		n += (size_t)got;
	r = got < 0 ? err_errno(e, ERR_IO, errno, "ADB key %s", path) : parse(path, pem, n, ret, e);
	secret_wipe(pem, sizeof pem);
	return r;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return fsync(fd);
}

static int make_pem(BIO *bio, struct err *e)
{
	EVP_PKEY *pkey = EVP_RSA_gen(KEY_BITS);
	int ok = pkey && PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);

	EVP_PKEY_free(pkey);
	return ok ? 0 : crypto_failed(e, "make an RSA key");
}

/* link() does not replace: of two that make a key at once, the second takes the first one's. */
static int publish(const char *part, const char *path, struct err *e)
{
	int r = 0;

	if (link(part, path) < 0 && errno != EEXIST)
		r = err_errno(e, ERR_IO, errno, "keep the ADB key as %s", path);
	unlink(part);
	return r;
}

static int make(const char *path, struct err *e)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_secmem());
	_cleanup_(freep) char *part = xasprintf("%s.XXXXXX", path);
	_cleanup_(closep) int fd = -1;
	char *pem = NULL;
	long n;
	int r;

	if (!bio)
		return crypto_failed(e, "hold a key");
	r = make_pem(bio, e);
	if (r < 0)
		return r;
	n = BIO_get_mem_data(bio, &pem);
	fd = mkostemp(part, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "create %s", part);
	if (n <= 0 || write_all(fd, pem, (size_t)n) < 0) {
		r = err_errno(e, ERR_IO, errno, "write %s", part);
		unlink(part);
		return r;
	}
	return publish(part, path, e);
}

int adb_key_keep(const char *path, struct adb_key **ret, struct err *e)
{
	int r = adb_key_read(path, ret, e);

	if (r != -ERR_NOT_FOUND)
		return r;
	r = make(path, e);
	return r < 0 ? r : adb_key_read(path, ret, e);
}

int adb_key_sign(const struct adb_key *k, const uint8_t token[ADB_TOKEN_BYTES],
	uint8_t ret[ADB_SIGNATURE_SIZE], struct err *e)
{
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	size_t n = ADB_SIGNATURE_SIZE;

	if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
		EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha1()) != 1 ||
		EVP_PKEY_sign(ctx, ret, &n, token, ADB_TOKEN_BYTES) != 1 || n != ADB_SIGNATURE_SIZE)
		return crypto_failed(e, "sign the unit's token");
	return 0;
}

const char *adb_key_public(const struct adb_key *k)
{
	return k->public;
}

const char *adb_key_print(const struct adb_key *k)
{
	return k->print;
}
