/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/avb.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/util.h"
#include "transports/images/bootimg.h"

#define HEAD_BYTES 256u
#define TAG_TREE   1u
#define TAG_HASH   2u

static const char *const algorithms[] = {"NONE", "SHA256_RSA2048", "SHA256_RSA4096",
	"SHA256_RSA8192", "SHA512_RSA2048", "SHA512_RSA4096", "SHA512_RSA8192", "MLDSA65",
	"MLDSA87"};

/* What the header names; offsets within their block. */
struct head {
	uint64_t auth, aux; /* bytes of the two blocks after it */
	uint32_t algorithm;
	uint64_t hash_at, hash_bytes;
	uint64_t descriptors_at, descriptors_bytes;
};

static uint64_t rb_be64(struct rbytes *b)
{
	uint64_t high = rb_be32(b);

	return high << 32 | rb_be32(b);
}

bool avb_is(const uint8_t *bytes, uint64_t n)
{
	return avb_footer_present(bytes, n) || (n >= 4 && !memcmp(bytes, "AVB0", 4));
}

static int wrong(const char *name, struct err *e, const char *what)
{
	return err_set(
		e, ERR_IMAGE_INVALID, "%s: its AVB %s: is it cut off, or damaged?", name, what);
}

static int read_footer(const char *name, const uint8_t *p, uint64_t n, struct avb *a,
	uint64_t *ret_at, struct err *e)
{
	struct rbytes b = rbytes_of(p + n - AVB_FOOTER_BYTES, AVB_FOOTER_BYTES);
	uint32_t major;

	rb_take(&b, 4);
	major = rb_be32(&b);
	rb_be32(&b);
	a->has_footer = true;
	a->data_bytes = rb_be64(&b);
	*ret_at = rb_be64(&b);
	a->vbmeta_bytes = rb_be64(&b);
	a->partition_bytes = n;
	if (major != 1)
		return err_set(e, ERR_UNSUPPORTED, "%s: its AVB footer has version %u, 1 expected",
			name, major);
	if (a->vbmeta_bytes < HEAD_BYTES || *ret_at > n - AVB_FOOTER_BYTES ||
		a->vbmeta_bytes > n - AVB_FOOTER_BYTES - *ret_at || a->data_bytes > *ret_at)
		return wrong(name, e, "footer names bytes that the file does not have");
	return 0;
}

static void take_text(struct rbytes *b, size_t n, char ret[AVB_NAME_BYTES])
{
	const uint8_t *p = rb_take(b, n);
	size_t k = 0;

	for (; p && k < MIN(n, (size_t)AVB_NAME_BYTES - 1) && p[k]; k++)
		ret[k] = (char)(p[k] < 0x20 || p[k] > 0x7e ? '?' : p[k]);
	ret[k] = '\0';
}

static int read_head(
	const char *name, struct rbytes *b, struct head *h, struct avb *a, struct err *e)
{
	const uint8_t *magic = rb_take(b, 4);
	uint32_t major = rb_be32(b);
	uint64_t room;

	rb_be32(b);
	h->auth = rb_be64(b);
	h->aux = rb_be64(b);
	h->algorithm = rb_be32(b);
	h->hash_at = rb_be64(b);
	h->hash_bytes = rb_be64(b);
	rb_take(b, 48); /* signature, key, metadata of the key */
	h->descriptors_at = rb_be64(b);
	h->descriptors_bytes = rb_be64(b);
	a->rollback_index = rb_be64(b);
	a->flags = rb_be32(b);
	a->rollback_location = rb_be32(b);
	take_text(b, 48, a->release);
	if (b->bad || b->len < HEAD_BYTES || memcmp(magic, "AVB0", 4) != 0)
		return wrong(name, e, "vbmeta does not begin with AVB0 and a header of 256 bytes");
	if (major != 1)
		return err_set(e, ERR_UNSUPPORTED, "%s: its vbmeta has version %u, 1 expected",
			name, major);
	room = b->len - HEAD_BYTES;
	if (h->auth > room || h->aux > room - h->auth || h->hash_at > h->auth ||
		h->hash_bytes > h->auth - h->hash_at || h->descriptors_at > h->aux ||
		h->descriptors_bytes > h->aux - h->descriptors_at)
		return wrong(name, e, "vbmeta names bytes that it does not have");
	if (h->algorithm >= ARRAY_LEN(algorithms))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: its vbmeta has algorithm %u, which is not known: it is damaged, or newer than this provd",
			name, h->algorithm);
	a->algorithm = algorithms[h->algorithm];
	a->is_signed = h->algorithm != 0;
	return 0;
}

/* Over the header and the second block. */
static int compare_own_hash(
	const char *name, const uint8_t *p, const struct head *h, struct avb *a, struct err *e)
{
	struct sha256 *d;
	uint8_t sum[SHA256_BYTES];

	if (strncmp(a->algorithm, "SHA256_", 7) != 0)
		return 0;
	if (h->hash_bytes != sizeof sum)
		return wrong(name, e, "vbmeta has a hash of another length than SHA-256");
	d = sha256_new();
	sha256_add(d, p, HEAD_BYTES);
	sha256_add(d, p + HEAD_BYTES + h->auth, h->aux);
	sha256_end(d, sum);
	sha256_free(d);
	a->digests_compared++;
	return memcmp(sum, p + HEAD_BYTES + h->hash_at, sizeof sum) == 0
		       ? 0
		       : wrong(name, e, "vbmeta has another SHA-256 than it says");
}

/* --- descriptors --- */

/* Of the partition's data: the salt comes before it. */
static int compare_data(const char *name, const uint8_t *data, uint64_t n, const uint8_t *salt,
	size_t salt_n, const uint8_t *want, struct avb *a, struct err *e)
{
	struct sha256 *d = sha256_new();
	uint8_t sum[SHA256_BYTES];

	sha256_add(d, salt, salt_n);
	sha256_add(d, data, n);
	sha256_end(d, sum);
	sha256_free(d);
	a->digests_compared++;
	return memcmp(sum, want, sizeof sum) == 0
		       ? 0
		       : wrong(name, e, "hash is not that of the partition's data");
}

/* data NULL: the vbmeta is by itself, and the partition elsewhere. */
static int read_hash(const char *name, struct rbytes b, const uint8_t *data, uint64_t data_n,
	struct avb *a, struct err *e)
{
	uint64_t bytes = rb_be64(&b);
	char algorithm[AVB_NAME_BYTES];
	uint32_t name_n;
	uint32_t salt_n;
	uint32_t digest_n;
	const uint8_t *salt;
	const uint8_t *digest;

	take_text(&b, 32, algorithm);
	name_n = rb_be32(&b);
	salt_n = rb_be32(&b);
	digest_n = rb_be32(&b);
	rb_take(&b, 64);
	if (!a->partition[0])
		take_text(&b, name_n, a->partition);
	else
		rb_take(&b, name_n);
	salt = rb_take(&b, salt_n);
	digest = rb_take(&b, digest_n);
	if (b.bad)
		return wrong(name, e, "hash descriptor is longer than its place");
	if (!data || strcmp(algorithm, "sha256") != 0)
		return 0;
	if (bytes > data_n || digest_n != SHA256_BYTES)
		return wrong(name, e, "hash descriptor names bytes that the file does not have");
	return compare_data(name, data, bytes, salt, salt_n, digest, a, e);
}

static int read_tree(const char *name, struct rbytes b, struct avb *a, struct err *e)
{
	uint32_t name_n;

	rb_take(&b, 4 + 8 + 8 + 8 + 4 + 4 + 4 + 8 + 8 + 32);
	name_n = rb_be32(&b);
	rb_take(&b, 4 + 4 + 4 + 60);
	a->has_tree = true;
	if (!a->partition[0])
		take_text(&b, name_n, a->partition);
	return b.bad ? wrong(name, e, "tree descriptor is longer than its place") : 0;
}

static int read_descriptors(const char *name, struct rbytes b, const uint8_t *data, uint64_t n,
	struct avb *a, struct err *e)
{
	while (b.pos < b.len) {
		uint64_t tag = rb_be64(&b);
		uint64_t bytes = rb_be64(&b);
		const uint8_t *p = b.bad || bytes > b.len - b.pos ? NULL : rb_take(&b, bytes);
		int r = 0;

		if (!p)
			return wrong(name, e, "descriptor is longer than its block");
		if (tag == TAG_HASH)
			r = read_hash(name, rbytes_of(p, bytes), data, n, a, e);
		else if (tag == TAG_TREE)
			r = read_tree(name, rbytes_of(p, bytes), a, e);
		if (r < 0)
			return r;
		a->descriptors++;
	}
	return 0;
}

int avb_read(const char *name, const uint8_t *bytes, uint64_t n, struct avb *ret, struct err *e)
{
	struct avb a = {.algorithm = "", .vbmeta_bytes = n};
	struct head h = {0};
	struct rbytes b;
	uint64_t at = 0;
	int r = 0;

	if (avb_footer_present(bytes, n))
		r = read_footer(name, bytes, n, &a, &at, e);
	if (r < 0)
		return r;
	b = rbytes_of(bytes + at, a.vbmeta_bytes);
	r = read_head(name, &b, &h, &a, e);
	if (r == 0)
		r = compare_own_hash(name, bytes + at, &h, &a, e);
	if (r < 0)
		return r;
	b = rbytes_of(bytes + at + HEAD_BYTES + h.auth + h.descriptors_at, h.descriptors_bytes);
	r = read_descriptors(name, b, a.has_footer ? bytes : NULL, a.data_bytes, &a, e);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}
