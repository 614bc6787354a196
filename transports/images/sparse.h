/* SPDX-License-Identifier: Apache-2.0
 *
 * Android sparse images (AOSP system/core libsparse, sparse_format.h): a list of chunks, each so
 * many blocks of the output. A file becomes such a list, whether it is a sparse file or a raw one;
 * a list becomes pieces that a device takes one by one, each a complete sparse file of the whole
 * size in which the regions of other pieces are "do not care".
 *
 *	file header 28: magic, major 1, minor, header sizes, block size, blocks, chunks, checksum
 *	chunk header 12: type, reserved, output blocks, bytes in the file with this header
 *	    CAC1 raw: the bytes	      CAC2 fill: one word     CAC3 do not care: nothing
 *	    CAC4 CRC-32: one word, of the output up to here
 *
 * A list borrows the bytes of its file. Immutable once made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "transports/images/spans.h"

#define SPARSE_BLOCK_BYTES 4096u /* of a raw file's list */

enum sparse_kind { SPARSE_RAW, SPARSE_FILL, SPARSE_SKIP };

struct sparse_chunk {
	enum sparse_kind kind;
	uint32_t fill;	     /* the word, as its bytes lie in the file (little-endian) */
	uint32_t blocks;     /* of output */
	uint64_t block;	     /* the first of them */
	const uint8_t *data; /* of a raw one */
	uint64_t bytes;	     /* of data: of a raw file's last chunk it may end within a block */
};

struct sparse {
	char *name; /* of the file, for messages */
	uint32_t block_bytes;
	uint32_t blocks; /* of output */
	struct sparse_chunk *chunk;
	size_t count;
	bool has_skips; /* the device keeps there what it holds */
	bool is_sparse; /* the file itself is */
	bool is_part;	/* the file ends before the blocks of its header: one of several */
	char note[160]; /* odd, but allowed; "" */
};

bool sparse_detect(const void *bytes, uint64_t n);
/* Reads a sparse file's list and checks its structure strictly, and its sums where it has any:
 * -ERR_IMAGE_INVALID names the offset and the reason. A file whose chunks end before the blocks of
 * its header is a part of an image (a note); one whose chunks go further is refused. */
int sparse_read(
	const char *name, const uint8_t *bytes, uint64_t n, struct sparse **ret, struct err *e);
/* The list of a raw file: blocks whose words are all the same become fills, as libsparse does it.
 * It looks at every byte: `it` may be NULL. */
int sparse_of_raw(const char *name, const uint8_t *bytes, uint64_t n, const struct iotime *it,
	struct sparse **ret, struct err *e);
struct sparse *sparse_free(struct sparse *s);
DEFINE_CLEANUP(struct sparse, sparse_free)

/* What a device holds of it afterwards. */
uint64_t sparse_unsparsed_bytes(const struct sparse *s);

/* Where the next piece begins; all zero at first. */
struct sparse_place {
	size_t chunk;
	uint32_t block; /* of that chunk */
};

bool sparse_at_end(const struct sparse *s, const struct sparse_place *at);
/* The next piece of at most limit bytes: a complete sparse file, cut where libsparse's
 * sparse_file_resparse() cuts. -ERR_INVALID for a limit that does not hold one block. */
int sparse_piece(const struct sparse *s, uint64_t limit, struct sparse_place *at,
	struct spans *ret_piece, struct err *e);
/* How many pieces that makes. */
int sparse_count_pieces(const struct sparse *s, uint64_t limit, unsigned *ret, struct err *e);
