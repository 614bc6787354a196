/* SPDX-License-Identifier: Apache-2.0
 *
 * The sums of a sparse file: CRC chunks hold the CRC-32 of the output so far, the header that of
 * the whole. Regions that the file does not care for count as zeros (libsparse, sparse_read.cpp).
 *
 * libsparse's own writer (output_file.cpp) leaves those out, and counts one block of each fill
 * however many there are. A file of that writer is whole as well: either sum is right, and which
 * one it was is a note.
 */
#include "transports/images/sparse_impl.h"

#include <zlib.h>

#include "base/bytes.h"

#define STEP_BYTES (1u << 30)

struct sums {
	uint32_t output; /* of the output so far */
	uint32_t writer; /* as libsparse's writer counts */
};

static uint32_t crc_of(const uint8_t *p, uint64_t n)
{
	uint32_t crc = 0;

	for (uint64_t at = 0, k; at < n; at += k) {
		k = MIN(n - at, (uint64_t)STEP_BYTES);
		crc = (uint32_t)crc32(crc, p + at, (uInt)k);
	}
	return crc;
}

static uint32_t join(uint32_t first, uint32_t second, uint64_t second_bytes)
{
	return (uint32_t)crc32_combine64(first, second, (z_off64_t)second_bytes);
}

/* Of `times` blocks that are all alike, by doubling. */
static uint32_t repeated(uint32_t block, uint32_t block_bytes, uint32_t times)
{
	uint32_t crc = 0;
	uint64_t bytes = block_bytes;

	for (; times; times >>= 1) {
		if (times & 1)
			crc = join(crc, block, bytes);
		block = join(block, block, bytes);
		bytes *= 2;
	}
	return crc;
}

static uint32_t block_of(const uint8_t word[4], uint32_t block_bytes)
{
	return repeated(crc_of(word, 4), 4, block_bytes / 4);
}

static void add(struct sums *x, const struct sparse_raw_chunk *c, uint32_t block_bytes)
{
	static const uint8_t zeros[4];
	uint64_t bytes = (uint64_t)c->blocks * block_bytes;
	uint32_t crc;

	if (c->type == SPARSE_TYPE_RAW) {
		crc = crc_of(c->payload, bytes);
		x->writer = join(x->writer, crc, bytes);
	} else {
		bool fill = c->type == SPARSE_TYPE_FILL;
		uint32_t block = block_of(fill ? c->payload : zeros, block_bytes);

		crc = repeated(block, block_bytes, c->blocks);
		if (fill && c->blocks)
			x->writer = join(x->writer, block, block_bytes);
	}
	x->output = join(x->output, crc, bytes);
}

static int compare(struct sparse *s, const struct sums *x, uint32_t says, const char *what,
	uint64_t at, struct err *e)
{
	if (says == x->output)
		return 0;
	if (says == x->writer) {
		snprintf(s->note, sizeof s->note,
			"%s counts one block of each fill and none of what is skipped, as libsparse writes it",
			what);
		return 0;
	}
	return sparse_wrong(s, at, e,
		"%s is 0x%08x, the bytes before it make 0x%08x: the file is damaged", what, says,
		x->output);
}

int sparse_check_sums(
	struct sparse *s, const uint8_t *bytes, const struct sparse_header *h, struct err *e)
{
	struct sums x = {0};
	uint64_t at = h->file_bytes;
	uint64_t blocks = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < h->chunks; i++) {
		struct sparse_raw_chunk c = sparse_chunk_at(bytes + at, h->chunk_bytes);

		if (c.type == SPARSE_TYPE_CRC) {
			struct rbytes word = rbytes_of(c.payload, 4);

			r = compare(s, &x, rb_le32(&word), "the checksum of a CRC chunk", at, e);
		} else {
			add(&x, &c, h->block_bytes);
		}
		blocks += c.blocks;
		at += c.bytes;
	}
	if (r < 0 || !h->checksum)
		return r;
	if (blocks < h->blocks) {
		snprintf(s->note, sizeof s->note,
			"a part of an image: the checksum in its header is of the whole, and was not compared");
		return 0;
	}
	return compare(s, &x, h->checksum, "the checksum in the header", 24, e);
}
