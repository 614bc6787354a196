/* SPDX-License-Identifier: Apache-2.0
 *
 * Android Verified Boot: a vbmeta image, or a partition's image whose last 64 bytes (the footer) say where its vbmeta lies.
 * Facts: AOSP external/avb, libavb: avb_footer.h, avb_vbmeta_image.h, avb_hash_descriptor.h, avb_hashtree_descriptor.h.
 * All numbers are big-endian. What is compared: lengths with the file, the digest of the vbmeta, that of the partition's data
 * (SHA-256 alone). The signature is the bootloader's to judge. No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AVB_NAME_BYTES 64

struct avb {
	bool has_footer;
	uint64_t data_bytes; /* of the partition's own data, before hashes and vbmeta */
	uint64_t vbmeta_bytes;
	uint64_t partition_bytes; /* with a footer: the file is as long as its partition */
	const char *algorithm;	  /* "SHA256_RSA4096", "NONE" */
	bool is_signed;
	uint64_t rollback_index;
	uint32_t rollback_location, flags;
	char release[AVB_NAME_BYTES];	/* what made it */
	char partition[AVB_NAME_BYTES]; /* of the first hash or tree; "" none */
	bool has_tree;			/* dm-verity, in the place of one hash */
	unsigned descriptors;
	unsigned digests_compared;
};

/* Whether the file has a footer, or begins as a vbmeta image. */
bool avb_is(const uint8_t *bytes, uint64_t n);
/* -ERR_IMAGE_INVALID with what is wrong and where; -ERR_UNSUPPORTED of a newer version or algorithm. name is for the sentence. */
int avb_read(const char *name, const uint8_t *bytes, uint64_t n, struct avb *ret, struct err *e);
