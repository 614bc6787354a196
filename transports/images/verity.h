/* SPDX-License-Identifier: Apache-2.0
 *
 * The superblock of dm-verity (cryptsetup, "On-disk format", version 1): what a hash tree is of. It begins the file of a tree
 * by itself, or lies after a file system in the same image. Its numbers are little-endian. The root hash is not in it, and
 * comes with whoever starts the system: the tree is not compared. No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define VERITY_ALGORITHM_BYTES 33
#define VERITY_UUID_BYTES      37

struct verity {
	uint64_t at;				/* of the superblock in the file */
	unsigned hash_type;			/* 1; 0: of Chrome OS */
	char algorithm[VERITY_ALGORITHM_BYTES]; /* "sha256" */
	char uuid[VERITY_UUID_BYTES];
	uint32_t data_block_bytes, hash_block_bytes;
	uint64_t data_blocks;
	unsigned salt_bytes;
	uint64_t
		tree_bytes; /* of the hash blocks after it; 0: of an algorithm whose digests have an unknown size */
};

/* Where such a superblock lies: at the beginning, or where an ext4 or squashfs file system ends. false: nowhere there. */
bool verity_find(const uint8_t *bytes, uint64_t n, uint64_t *ret_at);
/* The one at `at`. -ERR_IMAGE_INVALID where it contradicts itself, or the file ends within its tree. name is for the sentence. */
int verity_read(const char *name, const uint8_t *bytes, uint64_t n, uint64_t at, struct verity *ret,
	struct err *e);
