/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/verity.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define MAGIC	   "verity\0\0"
#define HEAD_BYTES 512u
#define SALT_MAX   256u

/* Where a file system at the beginning ends by its own superblock; 0: none that is known. */
static uint64_t filesystem_end(const uint8_t *p, uint64_t n)
{
	struct rbytes b = rbytes_of(p, n);
	uint64_t blocks;
	uint32_t shift;

	if (n >= 96 && !memcmp(p, "hsqs", 4)) {
		b.pos = 40;
		return (rb_le64(&b) + 4095) & ~4095ull;
	}
	if (n < 2048 || p[1024 + 56] != 0x53 || p[1024 + 57] != 0xef)
		return 0;
	b.pos = 1024 + 4;
	blocks = rb_le32(&b);
	b.pos = 1024 + 24;
	shift = rb_le32(&b);
	return shift <= 6 ? blocks << (10 + shift) : 0;
}

static bool is_at(const uint8_t *p, uint64_t n, uint64_t at)
{
	return at <= n && n - at >= HEAD_BYTES && !memcmp(p + at, MAGIC, sizeof MAGIC - 1);
}

bool verity_find(const uint8_t *bytes, uint64_t n, uint64_t *ret_at)
{
	uint64_t end = filesystem_end(bytes, n);

	*ret_at = is_at(bytes, n, 0) ? 0 : end;
	return is_at(bytes, n, 0) || (end && is_at(bytes, n, end));
}

static bool is_block_size(uint32_t v)
{
	return v >= 512 && v <= 65536 && !(v & (v - 1));
}

static unsigned digest_bytes(const char *algorithm)
{
	static const struct {
		const char *name;
		unsigned bytes;
	} known[] = {{"sha1", 20}, {"sha256", 32}, {"sha512", 64}, {"blake2b-256", 32},
		{"sha3-256", 32}, {"sm3", 32}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].name, algorithm))
			return known[i].bytes;
	return 0;
}

/* All levels: each block of one holds the digests of so many blocks of the one below. A digest has a place of a power of two. */
static uint64_t tree_bytes(const struct verity *v)
{
	unsigned digest = digest_bytes(v->algorithm);
	uint64_t place = 1;
	uint64_t each;
	uint64_t all = 0;

	if (!digest || v->hash_type != 1)
		return 0;
	while (place < digest)
		place *= 2;
	each = v->hash_block_bytes / place;
	for (uint64_t k = v->data_blocks; k > 1;) {
		k = (k + each - 1) / each;
		all += k;
	}
	return all * v->hash_block_bytes;
}

static void take_uuid(const uint8_t *p, char ret[VERITY_UUID_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < 16; i++)
		n += (size_t)snprintf(ret + n, VERITY_UUID_BYTES - n, "%s%02x",
			i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", p[i]);
}

static int check(const char *name, const struct verity *v, uint64_t n, struct err *e)
{
	if (v->hash_type > 1 || !is_block_size(v->data_block_bytes) ||
		!is_block_size(v->hash_block_bytes) || v->data_blocks == 0 ||
		v->data_blocks > UINT64_MAX / 65536 / 4 || v->salt_bytes > SALT_MAX ||
		!v->algorithm[0])
		return err_set(e, ERR_IMAGE_INVALID,
			"%s: its dm-verity superblock at 0x%llx makes no sense (blocks of %u and %u bytes, a salt of %u): is it damaged?",
			name, (unsigned long long)v->at, v->data_block_bytes, v->hash_block_bytes,
			v->salt_bytes);
	/* The superblock has the first hash block. */
	if (v->tree_bytes && v->tree_bytes + v->hash_block_bytes > n - v->at)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s: its dm-verity tree has %llu bytes after the first %u, and the file ends %llu after its beginning: is it cut off?",
			name, (unsigned long long)v->tree_bytes, v->hash_block_bytes,
			(unsigned long long)(n - v->at));
	return 0;
}

int verity_read(const char *name, const uint8_t *bytes, uint64_t n, uint64_t at, struct verity *ret,
	struct err *e)
{
	struct verity v = {.at = at};
	struct rbytes b;
	const uint8_t *p;
	uint32_t version;
	int r;

	if (!is_at(bytes, n, at))
		return err_set(e, ERR_IMAGE_INVALID, "%s has no dm-verity superblock at 0x%llx",
			name, (unsigned long long)at);
	b = rbytes_of(bytes + at, HEAD_BYTES);
	b.pos = 8;
	version = rb_le32(&b);
	v.hash_type = rb_le32(&b);
	take_uuid(rb_take(&b, 16), v.uuid);
	p = rb_take(&b, 32);
	for (size_t i = 0; i < 32 && p[i] > 0x20 && p[i] < 0x7f; i++)
		v.algorithm[i] = (char)p[i];
	v.data_block_bytes = rb_le32(&b);
	v.hash_block_bytes = rb_le32(&b);
	v.data_blocks = rb_le64(&b);
	v.salt_bytes = rb_le16(&b);
	if (version != 1)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: its dm-verity superblock has version %u, 1 expected", name, version);
	if (is_block_size(v.hash_block_bytes) && v.data_blocks <= UINT64_MAX / 65536 / 4)
		v.tree_bytes = tree_bytes(&v);
	r = check(name, &v, n, e);
	if (r == 0)
		*ret = v;
	return r;
}
