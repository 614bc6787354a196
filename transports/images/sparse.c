/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading: the list of chunks of a sparse or a raw file.
 */
#include "transports/images/sparse_impl.h"

#include <stdarg.h>
#include <string.h>

#include "base/bytes.h"

#define BLOCK_MAX_BYTES (64u << 20)
#define BLOCK_ODD_BYTES (1u << 20)
#define LOOK_EVERY	(16u << 20)

bool sparse_detect(const void *bytes, uint64_t n)
{
	struct rbytes b = rbytes_of(bytes, (size_t)MIN(n, 4u));

	return rb_le32(&b) == SPARSE_MAGIC && !b.bad;
}

int sparse_wrong(const struct sparse *s, uint64_t offset, struct err *e, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(e, ERR_IMAGE_INVALID, "sparse image %s, offset 0x%llx: %s", s->name,
		(unsigned long long)offset, why);
}

static int read_header(
	struct sparse *s, const uint8_t *bytes, uint64_t n, struct sparse_header *h, struct err *e)
{
	struct rbytes b = rbytes_of(bytes, (size_t)MIN(n, SPARSE_HEADER_BYTES));
	uint32_t magic = rb_le32(&b);
	uint16_t major = rb_le16(&b);

	rb_le16(&b); /* minor: a higher one is as readable */
	h->file_bytes = rb_le16(&b);
	h->chunk_bytes = rb_le16(&b);
	h->block_bytes = rb_le32(&b);
	h->blocks = rb_le32(&b);
	h->chunks = rb_le32(&b);
	h->checksum = rb_le32(&b);
	if (b.bad)
		return sparse_wrong(
			s, n, e, "ends within the file header of %d bytes", SPARSE_HEADER_BYTES);
	if (magic != SPARSE_MAGIC)
		return sparse_wrong(s, 0, e, "magic 0x%08x, 0x%08x expected", magic, SPARSE_MAGIC);
	if (major != 1)
		return sparse_wrong(s, 4, e, "version %u, 1 expected", major);
	if (h->file_bytes < SPARSE_HEADER_BYTES || h->file_bytes > n)
		return sparse_wrong(s, 8, e, "a file header of %u bytes", h->file_bytes);
	if (h->chunk_bytes < SPARSE_CHUNK_BYTES)
		return sparse_wrong(s, 10, e, "chunk headers of %u bytes", h->chunk_bytes);
	if (h->block_bytes == 0 || h->block_bytes % 4 || h->block_bytes > BLOCK_MAX_BYTES)
		return sparse_wrong(s, 12, e, "blocks of %u bytes", h->block_bytes);
	if (h->blocks == 0)
		return sparse_wrong(s, 16, e, "no output blocks");
	/* Each chunk has a header: a count that the file cannot hold is not allocated for. */
	if (h->chunks == 0 || h->chunks > n / h->chunk_bytes)
		return sparse_wrong(
			s, 20, e, "%u chunks in %llu bytes", h->chunks, (unsigned long long)n);
	return 0;
}

/* Bytes after the header that a chunk of that kind has. */
static int64_t payload_bytes(uint16_t type, uint32_t blocks, uint32_t block_bytes)
{
	switch (type) {
	case SPARSE_TYPE_RAW:
		return (int64_t)blocks * block_bytes;
	case SPARSE_TYPE_FILL:
	case SPARSE_TYPE_CRC:
		return 4;
	case SPARSE_TYPE_SKIP:
		return 0;
	default:
		return -1;
	}
}

static void put_chunk(
	struct sparse *s, uint16_t type, uint32_t blocks, const uint8_t *payload, uint64_t *block)
{
	struct sparse_chunk c = {.blocks = blocks, .block = *block};
	struct rbytes word = rbytes_of(payload, 4);

	*block += blocks;
	if (type == SPARSE_TYPE_CRC || blocks == 0)
		return;
	if (type == SPARSE_TYPE_RAW) {
		c.kind = SPARSE_RAW;
		c.data = payload;
		c.bytes = (uint64_t)blocks * s->block_bytes;
	} else if (type == SPARSE_TYPE_FILL) {
		struct sparse_chunk *last = s->count ? &s->chunk[s->count - 1] : NULL;

		c.kind = SPARSE_FILL;
		c.fill = rb_le32(&word);
		if (last && last->kind == SPARSE_FILL && last->fill == c.fill) {
			last->blocks += blocks;
			return;
		}
	} else {
		c.kind = SPARSE_SKIP;
		s->has_skips = true;
	}
	s->chunk[s->count++] = c;
}

struct sparse_raw_chunk sparse_chunk_at(const uint8_t *p, uint16_t header_bytes)
{
	struct rbytes b = rbytes_of(p, SPARSE_CHUNK_BYTES);
	struct sparse_raw_chunk c = {.type = rb_le16(&b), .payload = p + header_bytes};

	rb_le16(&b);
	c.blocks = rb_le32(&b);
	c.bytes = rb_le32(&b);
	return c;
}

/* What Motorola calls a sparsechunk: one of several files, each with the size of all in its header,
 * that make a partition together. What it does not reach is kept, as if it were skipped. */
static void end_early(struct sparse *s, uint64_t block)
{
	s->has_skips = true;
	s->is_part = true;
	snprintf(s->note, sizeof s->note,
		"a part of an image: its chunks make %llu of %u blocks, the rest is left as it is",
		(unsigned long long)block, s->blocks);
}

static int read_chunks(struct sparse *s, const uint8_t *bytes, uint64_t n,
	const struct sparse_header *h, bool *ret_has_sums, struct err *e)
{
	uint64_t at = h->file_bytes;
	uint64_t block = 0;

	for (uint32_t i = 0; i < h->chunks; i++) {
		if (n - at < h->chunk_bytes)
			return sparse_wrong(
				s, at, e, "ends before chunk %u of %u", i + 1, h->chunks);

		struct sparse_raw_chunk c = sparse_chunk_at(bytes + at, h->chunk_bytes);
		uint16_t type = c.type;
		uint32_t blocks = c.blocks;
		uint32_t total = c.bytes;
		int64_t payload = payload_bytes(type, blocks, h->block_bytes);

		if (payload < 0)
			return sparse_wrong(
				s, at, e, "chunk %u of an unknown type 0x%04x", i + 1, type);
		if (total != h->chunk_bytes + (uint64_t)payload)
			return sparse_wrong(s, at + 8, e,
				"chunk %u (0x%04x) says %u bytes for %u blocks, %lld expected",
				i + 1, type, total, blocks, (long long)(h->chunk_bytes + payload));
		if (total > n - at)
			return sparse_wrong(s, at, e, "chunk %u needs %u bytes, %llu are left",
				i + 1, total, (unsigned long long)(n - at));
		if (type == SPARSE_TYPE_CRC && blocks)
			return sparse_wrong(s, at + 4, e, "a checksum chunk of %u blocks", blocks);
		if (blocks > h->blocks - block)
			return sparse_wrong(s, at + 4, e, "chunk %u ends at block %llu of %u",
				i + 1, (unsigned long long)(block + blocks), h->blocks);
		*ret_has_sums |= type == SPARSE_TYPE_CRC;
		put_chunk(s, type, blocks, c.payload, &block);
		at += total;
	}
	if (block < h->blocks)
		end_early(s, block);
	if (at < n)
		snprintf(s->note, sizeof s->note, "%llu bytes follow the last chunk",
			(unsigned long long)(n - at));
	return 0;
}

static struct sparse *sparse_new(const char *name)
{
	struct sparse *s = xcalloc(1, sizeof *s);

	s->name = xstrdup(name);
	return s;
}

int sparse_read(
	const char *name, const uint8_t *bytes, uint64_t n, struct sparse **ret, struct err *e)
{
	_cleanup_(sparse_freep) struct sparse *s = sparse_new(name);
	struct sparse_header h;
	bool has_sums;
	int r = read_header(s, bytes, n, &h, e);

	if (r < 0)
		return r;
	s->block_bytes = h.block_bytes;
	s->blocks = h.blocks;
	s->is_sparse = true;
	s->chunk = calloc(h.chunks, sizeof *s->chunk);
	if (!s->chunk)
		return err_set(e, ERR_NO_MEMORY, "sparse image %s: %u chunks", name, h.chunks);
	has_sums = h.checksum != 0;
	r = read_chunks(s, bytes, n, &h, &has_sums, e);
	if (r == 0 && has_sums)
		r = sparse_check_sums(s, bytes, &h, e);
	if (r < 0)
		return r;
	if (!s->note[0] && (h.block_bytes < SPARSE_BLOCK_BYTES || h.block_bytes > BLOCK_ODD_BYTES))
		snprintf(s->note, sizeof s->note, "blocks of %u bytes", h.block_bytes);
	*ret = steal_ptr(&s);
	return 0;
}

/* Whether all words of a block are the same. Comparing the block with itself, one word on, says so
 * at the speed of memcmp. */
static bool is_fill(const uint8_t *p)
{
	return !memcmp(p, p + 4, SPARSE_BLOCK_BYTES - 4);
}

static int add_blocks(struct sparse *s, size_t *cap, const struct sparse_chunk *c, struct err *e)
{
	struct sparse_chunk *last = s->count ? &s->chunk[s->count - 1] : NULL;

	/* A chunk's size is a 32-bit number of bytes. */
	if (last && last->kind == c->kind &&
		(c->kind == SPARSE_FILL ? last->fill == c->fill
					: last->bytes + c->bytes <= SPARSE_RAW_MAX_BYTES)) {
		last->blocks += c->blocks;
		last->bytes += c->bytes;
		return 0;
	}
	if (s->count == *cap) {
		size_t want = *cap ? *cap * 2 : 64;
		struct sparse_chunk *more = reallocarray(s->chunk, want, sizeof *more);

		if (!more)
			return err_set(e, ERR_NO_MEMORY, "image %s: %zu chunks", s->name, want);
		s->chunk = more;
		*cap = want;
	}
	s->chunk[s->count++] = *c;
	return 0;
}

int sparse_of_raw(const char *name, const uint8_t *bytes, uint64_t n, const struct iotime *it,
	struct sparse **ret, struct err *e)
{
	_cleanup_(sparse_freep) struct sparse *s = sparse_new(name);
	uint64_t blocks = (n + SPARSE_BLOCK_BYTES - 1) / SPARSE_BLOCK_BYTES;
	size_t cap = 0;
	int r = 0;

	if (n == 0 || blocks > UINT32_MAX)
		return err_set(e, ERR_IMAGE_INVALID, "image %s: %llu bytes cannot be split", name,
			(unsigned long long)n);
	s->block_bytes = SPARSE_BLOCK_BYTES;
	s->blocks = (uint32_t)blocks;
	for (uint64_t i = 0; r == 0 && i < blocks; i++) {
		uint64_t at = i * SPARSE_BLOCK_BYTES;
		struct sparse_chunk c = {
			.kind = SPARSE_RAW,
			.blocks = 1,
			.block = i,
			.data = bytes + at,
			.bytes = MIN(n - at, SPARSE_BLOCK_BYTES),
		};

		if (it && at % LOOK_EVERY == 0)
			r = iotime_check(it, e);
		if (r == 0 && c.bytes == SPARSE_BLOCK_BYTES && is_fill(c.data)) {
			struct rbytes word = rbytes_of(c.data, 4);

			c = (struct sparse_chunk){.kind = SPARSE_FILL, .blocks = 1, .block = i};
			c.fill = rb_le32(&word);
		}
		if (r == 0)
			r = add_blocks(s, &cap, &c, e);
	}
	if (r == 0)
		*ret = steal_ptr(&s);
	return r;
}

struct sparse *sparse_free(struct sparse *s)
{
	if (s) {
		free(s->name);
		free(s->chunk);
		free(s);
	}
	return NULL;
}

uint64_t sparse_unsparsed_bytes(const struct sparse *s)
{
	return (uint64_t)s->blocks * s->block_bytes;
}
