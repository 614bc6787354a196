/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said of files that are more than bytes: each function adds its member, and a note for people, to what
 * image_json.h makes. -ERR_IMAGE_INVALID with what is wrong, as their readers say it.
 */
#pragma once

#include <jansson.h>

#include "base/iotime.h"
#include "transports/images/archive.h"
#include "transports/images/blob.h"

/* "avb": {footer, partition, partition_bytes, data_bytes, vbmeta_bytes, algorithm, signed, rollback_index,
 * rollback_location, flags, hash_tree, digests_compared, release}. */
int image_kinds_avb(const struct blob *b, json_t *to, struct err *e);
/* "verity": {at, uuid, algorithm, data_bytes, data_block_bytes, hash_block_bytes, tree_bytes, salt_bytes}. */
int image_kinds_verity(const struct blob *b, uint64_t at, json_t *to, struct err *e);
/* "bmap": {version, image_bytes, block_bytes, mapped_bytes, ranges, checksum, checksum_compared}; "content" says so too. */
int image_kinds_bmap(const struct blob *b, json_t *to, struct err *e);
/* "package": {kind, images: [{type, file, bytes[, init, packet: {type, version, hardware, sd_req, signed, sha256, debug}]}]}
 * of a DFU package (Nordic's nrfutil, or the nRF Connect SDK: manifest.json); nothing of another archive. Each image is compared
 * with the length and the SHA-256 that its init packet says. */
int image_kinds_package(struct archive *a, const struct iotime *it, json_t *to, struct err *e);
