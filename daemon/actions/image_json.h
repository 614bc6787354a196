/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said of a firmware image: by the API of an artifact, by `provctl image info`, and in the
 * evidence of the steps that flash it.
 */
#pragma once

#include <jansson.h>

#include "base/iotime.h"
#include "transports/images/blob.h"
#include "transports/images/image.h"

#define IMAGE_JSON_SEGMENTS \
	64 /* at most so many are listed; segment_count says how many there are */

/* {format, inner, bytes, payload_sha256, placed, segment_count, segments: [{address, length[,
 * target]}], entry, declared, dfu, notes}; declared: where a recipe said what the file is.
 * Addresses are text in hexadecimal: they may need 64 bits. */
json_t *image_json(const struct image *i);

/* Whether the file has more to say than bytes, though it may be a raw one: vbmeta, a hash tree of dm-verity, a block map. */
bool blob_has_kind(const struct blob *b);

/* Of what has no addresses: a sparse image, a boot image, a zip archive, a raw file for a
 * partition. {format, content, size_bytes[, partition_bytes, chunks, version, members, package, avb, verity, bmap], notes} (the
 * last ones: image_kinds.h). Its
 * structure and all its checksums are looked at first: -ERR_IMAGE_INVALID with what is wrong. */
int blob_json(struct blob *b, const struct iotime *it, json_t **ret, struct err *e);
