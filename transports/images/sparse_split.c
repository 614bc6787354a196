/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing: pieces under a limit. Where they are cut is libsparse's rule (sparse.cpp,
 * move_chunks_up_to_len), so that a device sees the pieces that it was tested with:
 *
 *	limit - 56 bytes (file header, a skip before and after, a checksum) may be filled;
 *	chunks go in until the next does not fit; that one is cut at a block where more than an
 *	eighth of the room is left, or where it is the piece's first, else it waits for the next.
 */
#include "transports/images/sparse_impl.h"

#include "base/bytes.h"

#define OVERHEAD_BYTES (SPARSE_HEADER_BYTES + 2 * SPARSE_CHUNK_BYTES + 4)

/* What a piece holds: whole chunks [first, last) next to the cut ends. */
struct plan {
	struct sparse_place from, to;
	uint32_t chunks; /* of the piece, skips included */
};

/* A chunk without the blocks that went into earlier pieces. */
static struct sparse_chunk rest_of(const struct sparse *s, size_t i, uint32_t from)
{
	struct sparse_chunk c = s->chunk[i];

	c.block += from;
	c.blocks -= from;
	if (c.kind == SPARSE_RAW) {
		c.data += (uint64_t)from * s->block_bytes;
		c.bytes -= (uint64_t)from * s->block_bytes;
	}
	return c;
}

static int64_t written_bytes(const struct sparse *s, const struct sparse_chunk *c)
{
	return SPARSE_CHUNK_BYTES +
	       (c->kind == SPARSE_RAW ? (int64_t)c->blocks * s->block_bytes : 4);
}

/* How many whole blocks of the chunk go into room bytes. */
static uint32_t cut(const struct sparse *s, const struct sparse_chunk *c, int64_t room)
{
	uint64_t blocks = room > 0 ? (uint64_t)room / s->block_bytes : 0;

	return (uint32_t)MIN(blocks, (uint64_t)c->blocks);
}

static struct plan plan_piece(const struct sparse *s, uint64_t limit, struct sparse_place at)
{
	int64_t len = (int64_t)limit - OVERHEAD_BYTES;
	struct plan p = {at, at, 0};
	int64_t filled = 0;
	uint64_t next = 0; /* block that follows the last chunk */
	bool first = true;

	for (size_t i = at.chunk; i < s->count; i++) {
		struct sparse_chunk c = rest_of(s, i, i == at.chunk ? at.block : 0);
		bool gap = c.block > next;

		if (c.kind == SPARSE_SKIP)
			continue;

		int64_t more = written_bytes(s, &c) + (gap ? SPARSE_CHUNK_BYTES : 0);

		if (filled + more > len) {
			int64_t room = len - filled - SPARSE_CHUNK_BYTES;
			uint32_t blocks = first || room > len / 8 ? cut(s, &c, room) : 0;

			if (blocks > 0) {
				p.to.block = (i == at.chunk ? at.block : 0) + blocks;
				p.to.chunk = i;
				p.chunks += gap ? 2 : 1;
				next = c.block + blocks;
				if (blocks == c.blocks)
					p.to = (struct sparse_place){i + 1, 0};
			} else {
				p.to = (struct sparse_place){i, i == at.chunk ? at.block : 0};
			}
			p.chunks += next < s->blocks;
			return p;
		}
		filled += more;
		next = c.block + c.blocks;
		p.chunks += gap ? 2 : 1;
		first = false;
	}
	p.to = (struct sparse_place){s->count, 0};
	p.chunks += next < s->blocks;
	return p;
}

static bool same_place(const struct sparse_place *a, const struct sparse_place *b)
{
	return a->chunk == b->chunk && a->block == b->block;
}

bool sparse_at_end(const struct sparse *s, const struct sparse_place *at)
{
	return at->chunk >= s->count;
}

static int put_header(const struct sparse *s, uint32_t chunks, struct spans *to, struct err *e)
{
	uint8_t raw[SPARSE_HEADER_BYTES];
	struct wbytes b = wbytes_of(raw, sizeof raw);

	wb_le32(&b, SPARSE_MAGIC);
	wb_le16(&b, 1);
	wb_le16(&b, 0);
	wb_le16(&b, SPARSE_HEADER_BYTES);
	wb_le16(&b, SPARSE_CHUNK_BYTES);
	wb_le32(&b, s->block_bytes);
	wb_le32(&b, s->blocks);
	wb_le32(&b, chunks);
	wb_le32(&b, 0);
	return spans_add_copy(to, raw, sizeof raw, e);
}

static int put_chunk_header(
	uint16_t type, uint64_t blocks, uint64_t payload, struct spans *to, struct err *e)
{
	uint8_t raw[SPARSE_CHUNK_BYTES];
	struct wbytes b = wbytes_of(raw, sizeof raw);

	wb_le16(&b, type);
	wb_le16(&b, 0);
	wb_le32(&b, (uint32_t)blocks);
	wb_le32(&b, (uint32_t)(SPARSE_CHUNK_BYTES + payload));
	return spans_add_copy(to, raw, sizeof raw, e);
}

static int put_data(
	const struct sparse *s, const struct sparse_chunk *c, struct spans *to, struct err *e)
{
	uint64_t bytes = (uint64_t)c->blocks * s->block_bytes;
	uint64_t there = MIN(c->bytes, bytes);
	uint8_t word[4];
	struct wbytes b = wbytes_of(word, sizeof word);
	int r;

	if (c->kind == SPARSE_FILL) {
		wb_le32(&b, c->fill);
		r = put_chunk_header(SPARSE_TYPE_FILL, c->blocks, 4, to, e);
		return r < 0 ? r : spans_add_copy(to, word, sizeof word, e);
	}
	r = put_chunk_header(SPARSE_TYPE_RAW, c->blocks, bytes, to, e);
	if (r == 0)
		r = spans_add(to, c->data, there, e);
	if (r == 0)
		r = spans_add(to, NULL, bytes - there, e);
	return r;
}

static int put_piece(const struct sparse *s, const struct plan *p, struct spans *to, struct err *e)
{
	uint64_t next = 0;
	int r = put_header(s, p->chunks, to, e);

	for (size_t i = p->from.chunk; r == 0 && i < s->count; i++) {
		uint32_t from = i == p->from.chunk ? p->from.block : 0;
		struct sparse_chunk c = rest_of(s, i, from);

		if (i > p->to.chunk || (i == p->to.chunk && p->to.block == from))
			break;
		if (i == p->to.chunk)
			c.blocks = p->to.block - from;
		if (c.kind == SPARSE_SKIP)
			continue;
		if (c.block > next)
			r = put_chunk_header(SPARSE_TYPE_SKIP, c.block - next, 0, to, e);
		if (r == 0)
			r = put_data(s, &c, to, e);
		next = c.block + c.blocks;
	}
	if (r == 0 && next < s->blocks)
		r = put_chunk_header(SPARSE_TYPE_SKIP, s->blocks - next, 0, to, e);
	return r;
}

static int too_small(const struct sparse *s, uint64_t limit, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"image %s: no block of %u bytes fits a download of %llu bytes", s->name,
		s->block_bytes, (unsigned long long)limit);
}

int sparse_piece(const struct sparse *s, uint64_t limit, struct sparse_place *at,
	struct spans *ret_piece, struct err *e)
{
	struct plan p = plan_piece(s, MIN(limit, (uint64_t)UINT32_MAX), *at);

	if (same_place(&p.from, &p.to))
		return too_small(s, limit, e);

	int r = put_piece(s, &p, ret_piece, e);

	if (r == 0)
		*at = p.to;
	return r;
}

int sparse_count_pieces(const struct sparse *s, uint64_t limit, unsigned *ret, struct err *e)
{
	struct sparse_place at = {0};
	unsigned n = 0;

	while (!sparse_at_end(s, &at)) {
		struct plan p = plan_piece(s, MIN(limit, (uint64_t)UINT32_MAX), at);

		if (same_place(&p.from, &p.to))
			return too_small(s, limit, e);
		at = p.to;
		n++;
	}
	*ret = n;
	return 0;
}
