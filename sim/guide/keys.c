/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guide/keys.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/util.h"

static void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void md_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static void req_freep(X509_REQ **r)
{
	X509_REQ_free(*r);
}

static void name_freep(X509_NAME **n)
{
	X509_NAME_free(*n);
}

/* What an i2d function made, in memory that free() takes. */
static bool take_der(unsigned char *p, int n, struct der *ret)
{
	if (n <= 0)
		return false;
	ret->p = xcalloc(1, (size_t)n);
	ret->n = (size_t)n;
	memcpy(ret->p, p, ret->n);
	OPENSSL_free(p);
	return true;
}

static EVP_PKEY *load(const struct der *key)
{
	const unsigned char *p = key->p;

	return d2i_AutoPrivateKey(NULL, &p, (long)key->n);
}

bool key_generate(const char *alg, struct der *ret)
{
	_cleanup_(pkey_freep) EVP_PKEY *k = NULL;
	unsigned char *p = NULL;

	if (!strcmp(alg, "p256"))
		k = EVP_EC_gen("P-256");
	else if (!strcmp(alg, "p384"))
		k = EVP_EC_gen("P-384");
	else if (!strcmp(alg, "ed25519"))
		k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!k)
		return false;

	int n = i2d_PrivateKey(k, &p);

	return take_der(p, n, ret);
}

bool key_public(const struct der *key, struct der *ret)
{
	_cleanup_(pkey_freep) EVP_PKEY *k = load(key);
	unsigned char *p = NULL;

	if (!k)
		return false;

	int n = i2d_PUBKEY(k, &p);

	return take_der(p, n, ret);
}

/* Ends a word at the next comma that has no backslash before it; what follows, or NULL. */
static char *cut_word(char *s)
{
	char *to = s;

	for (; *s && *s != ','; s++) {
		if (*s == '\\' && s[1])
			s++;
		*to++ = *s;
	}

	char *rest = *s ? s + 1 : NULL;

	*to = '\0';
	return rest;
}

static X509_NAME *name_of(const char *subject)
{
	_cleanup_(name_freep) X509_NAME *name = X509_NAME_new();
	_cleanup_(freep) char *copy = xstrdup(subject);
	char *word = copy;

	while (name && word) {
		char *rest = cut_word(word);
		char *value = strchr(word, '=');

		if (!value)
			return NULL;
		*value++ = '\0';
		if (!X509_NAME_add_entry_by_txt(
			    name, word, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0))
			return NULL;
		word = rest;
	}
	return steal_ptr(&name);
}

/* Ed25519 has its digest within. */
static const EVP_MD *digest_for(const EVP_PKEY *k)
{
	return EVP_PKEY_is_a(k, "EC") ? EVP_sha256() : NULL;
}

bool key_request(const struct der *key, const char *subject, struct der *ret)
{
	_cleanup_(pkey_freep) EVP_PKEY *k = load(key);
	_cleanup_(req_freep) X509_REQ *req = X509_REQ_new();
	_cleanup_(name_freep) X509_NAME *name = name_of(subject);
	unsigned char *p = NULL;

	if (!k || !req || !name || !X509_REQ_set_version(req, 0) ||
		!X509_REQ_set_subject_name(req, name) || !X509_REQ_set_pubkey(req, k) ||
		X509_REQ_sign(req, k, digest_for(k)) <= 0)
		return false;

	int n = i2d_X509_REQ(req, &p);

	return take_der(p, n, ret);
}

bool key_sign(const struct der *key, const void *p, size_t n, struct der *ret)
{
	_cleanup_(pkey_freep) EVP_PKEY *k = load(key);
	_cleanup_(md_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t size = 0;

	if (!k || !md || EVP_DigestSignInit(md, NULL, digest_for(k), NULL, k) <= 0 ||
		EVP_DigestSign(md, NULL, &size, p, n) <= 0)
		return false;

	_cleanup_(freep) uint8_t *sig = xcalloc(1, size);

	if (EVP_DigestSign(md, sig, &size, p, n) <= 0)
		return false;
	ret->p = steal_ptr(&sig);
	ret->n = size;
	return true;
}

char *der_base64(const struct der *d)
{
	char *text = xcalloc(1, 4 * ((d->n + 2) / 3) + 1);

	EVP_EncodeBlock((unsigned char *)text, d->p, (int)d->n);
	return text;
}

/* EVP_DecodeBlock() counts the bytes of the padding as well. */
static size_t padding(const char *line, size_t n)
{
	return n && line[n - 1] == '=' ? 1u + (line[n - 2] == '=') : 0;
}

bool der_base64_line(const char *line, uint8_t *p, size_t size, size_t *ret_n)
{
	size_t len = strlen(line);

	if (!len || len % 4)
		return false;

	_cleanup_(freep) uint8_t *part = xcalloc(1, len / 4 * 3);
	int got = EVP_DecodeBlock(part, (const unsigned char *)line, (int)len);

	if (got < 0 || (size_t)got - padding(line, len) > size)
		return false;
	*ret_n = (size_t)got - padding(line, len);
	memcpy(p, part, *ret_n);
	return true;
}
