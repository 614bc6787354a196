/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "daemon/keyd/pin.h"
#include "daemon/keyd/token.h"

struct signer {
	struct x509_key key;
	EVP_PKEY *file;		 /* NULL: in a token */
	struct token_key *token; /* NULL: in a file */
};

/* --- a key in a file --- */

static int give_pin(char *buf, int size, int writing, void *data)
{
	const char *pin = data;
	size_t n = pin ? strlen(pin) : 0;

	if (!pin || n >= (size_t)size)
		return -1;
	memcpy(buf, pin, n);
	return (int)n;
}

/* Nobody but its owner (or provd-keyd's group) may have read it. */
static int open_key_file(const char *path, int *ret, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "the key %s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 0007)) {
		*ret = fd;
		return 0;
	}
	close(fd);
	return err_set(e, ERR_INVALID,
		"the key %s may be read by everyone, or is not a file: chmod 0600 it, and replace the key if others could read it",
		path);
}

static int read_key_file(struct signer *s, const struct key_place *place, struct err *e)
{
	char *pin = NULL;
	int fd = -1;
	BIO *b;
	int r = pin_read(place, &pin, e);

	if (r == 0)
		r = open_key_file(place->key, &fd, e);
	if (r < 0) {
		pin_free(pin);
		return r;
	}
	b = BIO_new_fd(fd, BIO_CLOSE);
	s->file = b ? PEM_read_bio_PrivateKey(b, NULL, give_pin, pin) : NULL;
	BIO_free(b);
	pin_free(pin);
	ERR_clear_error();
	return s->file ? 0
		       : err_set(e,
				 place->pin_file || place->pin_credential ? ERR_TOKEN_PIN
									  : ERR_INVALID,
				 "%s does not hold a private key (PEM) that its passphrase opens",
				 place->key);
}

static int public_of(EVP_PKEY *k, struct x509_key *ret, struct err *e)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k, &der);
	_cleanup_(freep) char *pem = n > 0 ? x509_pem("PUBLIC KEY", der, (size_t)n) : NULL;

	OPENSSL_free(der);
	return pem ? x509_key_read(pem, ret, e)
		   : err_set(e, ERR_INVALID, "the key has no public part");
}

static int sign_by_file(struct signer *s, const void *message, size_t n, uint8_t ret[SIGNATURE_MAX],
	size_t *ret_n, struct err *e)
{
	const EVP_MD *md = s->key.alg == X509_ED25519 ? NULL
			   : s->key.alg == X509_P384  ? EVP_sha384()
						      : EVP_sha256();
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok;

	*ret_n = SIGNATURE_MAX;
	ok = c && EVP_DigestSignInit(c, NULL, md, NULL, s->file) == 1 &&
	     EVP_DigestSign(c, ret, ret_n, message, n) == 1;
	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return ok ? 0 : err_set(e, ERR_INTERNAL, "OpenSSL did not sign with the key in the file");
}

/* --- both --- */

int signer_sign(struct signer *s, const void *message, size_t n, uint8_t ret[SIGNATURE_MAX],
	size_t *ret_n, struct err *e)
{
	return s->file ? sign_by_file(s, message, n, ret, ret_n, e)
		       : token_sign(s->token, &s->key, message, n, ret, ret_n, e);
}

int signer_ready(struct signer *s, struct err *e)
{
	return s->token ? token_key_ready(s->token, e) : 0;
}

const struct x509_key *signer_key(const struct signer *s)
{
	return &s->key;
}

struct signer *signer_free(struct signer *s)
{
	if (!s)
		return NULL;
	EVP_PKEY_free(s->file);
	token_key_free(s->token);
	x509_key_done(&s->key);
	free(s);
	return NULL;
}

static int copy_key(const struct x509_key *from, struct x509_key *ret, struct err *e)
{
	_cleanup_(freep) char *pem = x509_pem("PUBLIC KEY", from->der, from->der_bytes);

	return x509_key_read(pem, ret, e);
}

/* Whether it is the private half of what is public. */
static int try_once(struct signer *s, const char *where, struct err *e)
{
	static const char text[] = "provd-keyd tries its key";
	uint8_t signature[SIGNATURE_MAX];
	size_t n;
	struct err ignored;
	int r = signer_sign(s, text, sizeof text, signature, &n, e);

	if (r < 0)
		return r;
	return x509_key_verify(&s->key, text, sizeof text, signature, n, &ignored) == 0
		       ? 0
		       : err_set(e, ERR_INVALID,
				 "the key %s does not belong to the public key that goes with it: where key or certificate was replaced, replace both, then restart provd-keyd",
				 where);
}

int signer_open(const struct key_place *place, const struct x509_key *expected, struct signer **ret,
	struct err *e)
{
	_cleanup_(signer_freep) struct signer *s = xcalloc(1, sizeof *s);
	int r = key_place_is_token(place) ? token_key_open(place, TOKEN_PRIVATE, &s->token, e)
					  : read_key_file(s, place, e);

	if (r == 0)
		r = expected ? copy_key(expected, &s->key, e) : public_of(s->file, &s->key, e);
	if (r == 0)
		r = try_once(s, key_place_is_token(place) ? "in the token" : place->key, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&s);
	return 0;
}

/* --- a key that is made here --- */

static EVP_PKEY *make_key(enum x509_alg alg)
{
	switch (alg) {
	case X509_P256:
		return EVP_EC_gen("P-256");
	case X509_P384:
		return EVP_EC_gen("P-384");
	case X509_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case X509_RSA2048:
		return EVP_RSA_gen(2048);
	case X509_RSA3072:
		return EVP_RSA_gen(3072);
	case X509_RSA4096:
		return EVP_RSA_gen(4096);
	case X509_ALG_NONE:
	case X509_ALG_COUNT:
		break;
	}
	return NULL;
}

int signer_make(enum x509_alg alg, struct signer **ret, struct err *e)
{
	_cleanup_(signer_freep) struct signer *s = xcalloc(1, sizeof *s);
	int r = 0;

	s->file = make_key(alg);
	if (!s->file)
		r = err_set(e, ERR_INTERNAL, "OpenSSL made no key of kind %s", x509_alg_name(alg));
	if (r == 0)
		r = public_of(s->file, &s->key, e);
	ERR_clear_error();
	if (r == 0)
		*ret = steal_ptr(&s);
	return r;
}

int signer_private(const struct signer *s, uint8_t **ret, size_t *ret_n, struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info = s->file ? EVP_PKEY2PKCS8(s->file) : NULL;
	unsigned char *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;

	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	if (n <= 0)
		return err_set(e, ERR_INTERNAL, "OpenSSL does not write the private key");
	*ret = xcalloc(1, (size_t)n);
	*ret_n = (size_t)n;
	memcpy(*ret, der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}
