/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of the sparse format (libsparse, sparse_format.h), shared by sparse.c (reading) and
 * sparse_split.c (writing).
 */
#pragma once

#include "transports/images/sparse.h"

struct sparse_header {
	uint16_t file_bytes, chunk_bytes;
	uint32_t block_bytes, blocks, chunks;
	uint32_t checksum; /* of the whole output; 0: none */
};

/* A chunk as the file declares it, before its type and sizes are checked. */
struct sparse_raw_chunk {
	uint16_t type;
	uint32_t blocks, bytes; /* bytes: with its header */
	const uint8_t *payload;
};

/* p: SPARSE_CHUNK_BYTES that are there. */
struct sparse_raw_chunk sparse_chunk_at(const uint8_t *p, uint16_t header_bytes);
/* "sparse image NAME, offset 0x1c: ..." as -ERR_IMAGE_INVALID. */
int sparse_wrong(const struct sparse *s, uint64_t offset, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Of a file whose structure was checked: -ERR_IMAGE_INVALID where a sum is not that of the bytes.
 */
int sparse_check_sums(
	struct sparse *s, const uint8_t *bytes, const struct sparse_header *h, struct err *e);

#define SPARSE_MAGIC	    0xed26ff3au
#define SPARSE_HEADER_BYTES 28
#define SPARSE_CHUNK_BYTES  12
#define SPARSE_TYPE_RAW	    0xcac1
#define SPARSE_TYPE_FILL    0xcac2
#define SPARSE_TYPE_SKIP    0xcac3
#define SPARSE_TYPE_CRC	    0xcac4
/* Of one raw chunk: its 32-bit size counts the header too. */
#define SPARSE_RAW_MAX_BYTES (UINT32_MAX - 65535u)
