/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader and the splitter of sparse images: the input is a file. What is read has chunks that
 * lie within it and fill the output without a gap; its pieces keep to their limit and cover every
 * block once.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "transports/images/sparse.h"

static void check_list(const struct sparse *s, const uint8_t *bytes, size_t n)
{
	uint64_t next = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct sparse_chunk *c = &s->chunk[i];

		if (c->block < next || c->blocks == 0 || c->block + c->blocks > s->blocks)
			abort();
		if (c->kind == SPARSE_RAW && (c->data < bytes || c->data + c->bytes > bytes + n))
			abort();
		next = c->block + c->blocks;
	}
}

static void check_pieces(const struct sparse *s, uint64_t limit)
{
	struct sparse_place at = {0};
	unsigned pieces = 0, counted = 0;
	struct err e = {0};

	if (sparse_count_pieces(s, limit, &counted, &e) < 0)
		return;
	while (!sparse_at_end(s, &at) && pieces < 64) {
		struct spans piece = {0};
		uint8_t first[28];

		if (sparse_piece(s, limit, &at, &piece, &e) < 0 || piece.bytes > limit)
			abort();
		spans_read(&piece, 0, first, sizeof first);
		if (!sparse_detect(first, sizeof first))
			abort();
		spans_done(&piece);
		pieces++;
	}
	if (sparse_at_end(s, &at) && pieces != counted)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct sparse *s = NULL;
	struct err e = {0};

	if (sparse_read("fuzz", bytes, n, &s, &e) == 0) {
		check_list(s, bytes, n);
		check_pieces(s, 4096 + 80);
		check_pieces(s, 100000);
		sparse_free(s);
	} else if (!e.msg[0]) {
		abort();
	}
	s = NULL;
	if (n > 0 && sparse_of_raw("fuzz", bytes, n, NULL, &s, &e) == 0) {
		check_list(s, bytes, n);
		check_pieces(s, 4096 + 80);
		sparse_free(s);
	}
	return 0;
}
