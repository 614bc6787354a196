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

struct header {
	uint16_t file_bytes, chunk_bytes;
	uint32_t block_bytes, blocks, chunks;
};

bool sparse_detect(const void *bytes, uint64_t n)
{
	struct rbytes b = rbytes_of(bytes, (size_t)MIN(n, 4u));

	return rb_le32(&b) == SPARSE_MAGIC && !b.bad;
}

static int wrong(const struct sparse *s, uint64_t offset, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int wrong(const struct sparse *s, uint64_t offset, struct err *e, const char *fmt, ...)
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
	struct sparse *s, const uint8_t *bytes, uint64_t n, struct header *h, struct err *e)
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
	rb_le32(&b); /* checksum: 0 in all that is written today */
	if (b.bad)
		return wrong(
			s, n, e, "ends within the file header of %d bytes", SPARSE_HEADER_BYTES);
	if (magic != SPARSE_MAGIC)
		return wrong(s, 0, e, "magic 0x%08x, 0x%08x expected", magic, SPARSE_MAGIC);
	if (major != 1)
		return wrong(s, 4, e, "version %u, 1 expected", major);
	if (h->file_bytes < SPARSE_HEADER_BYTES || h->file_bytes > n)
		return wrong(s, 8, e, "a file header of %u bytes", h->file_bytes);
	if (h->chunk_bytes < SPARSE_CHUNK_BYTES)
		return wrong(s, 10, e, "chunk headers of %u bytes", h->chunk_bytes);
	if (h->block_bytes == 0 || h->block_bytes % 4 || h->block_bytes > BLOCK_MAX_BYTES)
		return wrong(s, 12, e, "blocks of %u bytes", h->block_bytes);
	if (h->blocks == 0)
		return wrong(s, 16, e, "no output blocks");
	/* Each chunk has a header: a count that the file cannot hold is not allocated for. */
	if (h->chunks == 0 || h->chunks > n / h->chunk_bytes)
		return wrong(s, 20, e, "%u chunks in %llu bytes", h->chunks, (unsigned long long)n);
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

static int read_chunks(
	struct sparse *s, const uint8_t *bytes, uint64_t n, const struct header *h, struct err *e)
{
	uint64_t at = h->file_bytes;
	uint64_t block = 0;

	for (uint32_t i = 0; i < h->chunks; i++) {
		if (n - at < h->chunk_bytes)
			return wrong(s, at, e, "ends before chunk %u of %u", i + 1, h->chunks);

		struct rbytes b = rbytes_of(bytes + at, SPARSE_CHUNK_BYTES);
		uint16_t type = rb_le16(&b);

		rb_le16(&b);

		uint32_t blocks = rb_le32(&b);
		uint32_t total = rb_le32(&b);
		int64_t payload = payload_bytes(type, blocks, h->block_bytes);

		if (payload < 0)
			return wrong(s, at, e, "chunk %u of an unknown type 0x%04x", i + 1, type);
		if (total != h->chunk_bytes + (uint64_t)payload)
			return wrong(s, at + 8, e,
				"chunk %u (0x%04x) says %u bytes for %u blocks, %lld expected",
				i + 1, type, total, blocks, (long long)(h->chunk_bytes + payload));
		if (total > n - at)
			return wrong(s, at, e, "chunk %u needs %u bytes, %llu are left", i + 1,
				total, (unsigned long long)(n - at));
		if (type == SPARSE_TYPE_CRC && blocks)
			return wrong(s, at + 4, e, "a checksum chunk of %u blocks", blocks);
		if (blocks > h->blocks - block)
			return wrong(s, at + 4, e, "chunk %u ends at block %llu of %u", i + 1,
				(unsigned long long)(block + blocks), h->blocks);
		put_chunk(s, type, blocks, bytes + at + h->chunk_bytes, &block);
		at += total;
	}
	if (block != h->blocks)
		return wrong(s, at, e, "the chunks make %llu blocks, the header says %u",
			(unsigned long long)block, h->blocks);
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
	struct header h;
	int r = read_header(s, bytes, n, &h, e);

	if (r < 0)
		return r;
	s->block_bytes = h.block_bytes;
	s->blocks = h.blocks;
	s->is_sparse = true;
	s->chunk = calloc(h.chunks, sizeof *s->chunk);
	if (!s->chunk)
		return err_set(e, ERR_NO_MEMORY, "sparse image %s: %u chunks", name, h.chunks);
	r = read_chunks(s, bytes, n, &h, e);
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
