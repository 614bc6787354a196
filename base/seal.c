/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/digest.h"
#include "base/outfile.h"

#define SIGNATURE_BYTES 64

struct seal {
	EVP_PKEY *key;
	char *pem;
	char id[SEAL_ID];
};

struct seal *seal_free(struct seal *s)
{
	if (!s)
		return NULL;
	EVP_PKEY_free(s->key);
	free(s->pem);
	free(s);
	return NULL;
}

static int wrong_key(const char *path, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"%s does not hold an Ed25519 key (PEM): move it away, and a new one is made", path);
}

/* What a memory BIO holds, as text; owned by the caller. */
static char *bio_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	return n > 0 ? strndup(p, (size_t)n) : xstrdup("");
}

static int write_key(EVP_PKEY *key, const char *path, struct err *e)
{
	struct outfile f = {.fd = -1};
	BIO *b = BIO_new(BIO_s_secmem());
	char digest[SHA256_HEX];
	char *p = NULL;
	long n;
	int r;

	if (!b || PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1) {
		BIO_free(b);
		return err_set(e, ERR_INTERNAL, "the key of the records cannot be written");
	}
	n = BIO_get_mem_data(b, &p);
	r = outfile_open(&f, path, e);
	if (r == 0 && fchmod(f.fd, 0600) < 0)
		r = err_errno(e, ERR_IO, errno, "key of the records %s", path);
	if (r == 0)
		r = outfile_add(&f, p, (size_t)n, e);
	if (r == 0)
		r = outfile_end(&f, digest, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	BIO_free(b);
	return r;
}

static int make_key(const char *path, EVP_PKEY **ret, struct err *e)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	int r;

	if (!key)
		return err_set(e, ERR_INTERNAL, "the key of the records cannot be made");
	r = write_key(key, path, e);
	if (r < 0) {
		EVP_PKEY_free(key);
		return r;
	}
	*ret = key;
	return 0;
}

static int read_key(const char *path, EVP_PKEY **ret, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	BIO *b;

	if (fd < 0 && errno == ENOENT)
		return make_key(path, ret, e);
	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "key of the records %s", path);
	b = BIO_new_fd(fd, BIO_NOCLOSE);
	*ret = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	if (*ret && EVP_PKEY_is_a(*ret, "ED25519"))
		return 0;
	EVP_PKEY_free(*ret);
	*ret = NULL;
	return wrong_key(path, e);
}

static int describe(struct seal *s, struct err *e)
{
	BIO *b = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(s->key, &der);
	char hex[SHA256_HEX];
	bool ok = b && n > 0 && PEM_write_bio_PUBKEY(b, s->key) == 1;

	if (ok) {
		s->pem = bio_text(b);
		snprintf(s->id, sizeof s->id, "%.16s", sha256_hex_of(der, (size_t)n, hex));
	}
	BIO_free(b);
	OPENSSL_free(der);
	return ok ? 0 : err_set(e, ERR_INTERNAL, "the public key of the records cannot be written");
}

int seal_open(const char *path, struct seal **ret, struct err *e)
{
	_cleanup_(seal_freep) struct seal *s = xcalloc(1, sizeof *s);
	int r = read_key(path, &s->key, e);

	if (r == 0)
		r = describe(s, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&s);
	return 0;
}

int seal_sign(const struct seal *s, const void *p, size_t n, char ret[SEAL_BASE64], struct err *e)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned char raw[SIGNATURE_BYTES];
	size_t size = sizeof raw;
	bool ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, s->key) == 1 &&
		  EVP_DigestSign(c, raw, &size, p, n) == 1 && size == sizeof raw;

	EVP_MD_CTX_free(c);
	if (!ok)
		return err_set(e, ERR_INTERNAL, "the records cannot be signed");
	EVP_EncodeBlock((unsigned char *)ret, raw, sizeof raw);
	return 0;
}

const char *seal_public(const struct seal *s)
{
	return s->pem;
}

const char *seal_id(const struct seal *s)
{
	return s->id;
}
