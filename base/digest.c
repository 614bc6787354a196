/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

DEFINE_CLEANUP(struct sha256, sha256_free)

/* Looked up once: OpenSSL 3 searches its providers at every use of EVP_sha256(). Never freed. */
static const EVP_MD *algorithm(void)
{
	static EVP_MD *found;
	EVP_MD *md = __atomic_load_n(&found, __ATOMIC_ACQUIRE);
	EVP_MD *fresh;

	if (md)
		return md;
	fresh = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (fresh && !__atomic_compare_exchange_n(
			     &found, &md, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		EVP_MD_free(fresh);
		return md;
	}
	return fresh;
}

struct sha256 *sha256_new(void)
{
	struct sha256 *d = xcalloc(1, sizeof *d);

	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx || EVP_DigestInit_ex(d->ctx, algorithm(), NULL) != 1)
		abort(); /* out of memory, or an OpenSSL without SHA-256 */
	return d;
}

struct sha256 *sha256_free(struct sha256 *d)
{
	if (d) {
		EVP_MD_CTX_free(d->ctx);
		free(d);
	}
	return NULL;
}

void sha256_add(struct sha256 *d, const void *p, size_t n)
{
	if (EVP_DigestUpdate(d->ctx, p, n) != 1)
		abort();
}

void sha256_end(struct sha256 *d, uint8_t out[SHA256_BYTES])
{
	if (EVP_DigestFinal_ex(d->ctx, out, NULL) != 1)
		abort();
}

static pthread_key_t kept_key;

static void free_kept(void *d)
{
	sha256_free(d);
}

static void make_kept_key(void)
{
	if (pthread_key_create(&kept_key, free_kept) != 0)
		abort();
}

/* One of each thread, freed with it: to make one costs more than a short digest does. */
static struct sha256 *kept(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sha256 *d;

	pthread_once(&once, make_kept_key);
	d = pthread_getspecific(kept_key);
	if (!d) {
		d = sha256_new();
		if (pthread_setspecific(kept_key, d) != 0)
			abort();
	} else if (EVP_DigestInit_ex(d->ctx, algorithm(), NULL) != 1) {
		abort();
	}
	return d;
}

void sha256_of(const void *p, size_t n, uint8_t out[SHA256_BYTES])
{
	struct sha256 *d = kept();

	sha256_add(d, p, n);
	sha256_end(d, out);
}

char *sha256_hex_of(const void *p, size_t n, char out[SHA256_HEX])
{
	uint8_t raw[SHA256_BYTES];

	sha256_of(p, n, raw);
	return hex_of(raw, sizeof raw, out);
}

bool md5_hex_of(const void *p, size_t n, char out[MD5_HEX])
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(p, n, sum, &len, EVP_md5(), NULL) != 1 || len != (MD5_HEX - 1) / 2)
		return false;
	hex_of(sum, len, out);
	return true;
}

int sha256_file(const char *path, char out[SHA256_HEX], struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(sha256_freep) struct sha256 *d = sha256_new();
	uint8_t buf[16384];
	uint8_t raw[SHA256_BYTES];
	ssize_t n;

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "open %s", path);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		sha256_add(d, buf, (size_t)n);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "read %s", path);
	sha256_end(d, raw);
	hex_of(raw, sizeof raw, out);
	return 0;
}

void hmac_sha256(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[SHA256_BYTES])
{
	if (!HMAC(algorithm(), key, (int)key_n, p, n, out, NULL))
		abort();
}

char *base64_of(const void *p, size_t n)
{
	char *text = xcalloc(n / 3 + 2, 4);

	EVP_EncodeBlock((uint8_t *)text, p, (int)n);
	return text;
}

uint8_t *base64_parse(const char *s, size_t *ret_n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strspn(s, digits);
	size_t pad = strlen(s) - n;
	uint8_t *out;

	if ((n + pad) % 4 || pad > 2 || strspn(s + n, "=") != pad)
		return NULL;
	out = xcalloc((n + pad) / 4 + 1, 3);
	if (EVP_DecodeBlock(out, (const uint8_t *)s, (int)(n + pad)) < 0) {
		free(out);
		return NULL;
	}
	*ret_n = (n + pad) / 4 * 3 - pad;
	out[*ret_n] = 0;
	return out;
}

char *hex_of(const void *p, size_t n, char *out)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digit[b[i] >> 4];
		out[2 * i + 1] = digit[b[i] & 15];
	}
	out[2 * n] = 0;
	return out;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_parse(const char *s, uint8_t *out, size_t n)
{
	if (strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(s[2 * i]);
		int lo = nibble(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

bool is_sha256_hex(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}
