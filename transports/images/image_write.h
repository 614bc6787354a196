/* SPDX-License-Identifier: Apache-2.0
 *
 * An image as a file for a foreign program: what was read, checked and digested here, in a form of
 * one kind, whatever the format was that it came in. The file is new and readable by its owner
 * alone; the caller names and removes it. -ERR_CONFLICT where one of that name is there already;
 * -ERR_UNSUPPORTED for an image with a secret in it, which would lie on the disk in the clear.
 */
#pragma once

#include "transports/images/image.h"

/* Intel HEX of 16 bytes a record (Intel Hexadecimal Object File Format Specification, revision A):
 * types 00, 01, 04 and 05. Addresses above 32 bits and DfuSe targets other than 0 cannot be
 * written: -ERR_IMAGE_RANGE. */
int image_write_ihex(const struct image *i, const char *path, struct err *e);
/* The same text in memory; owned by the caller. */
int image_text_ihex(const struct image *i, char **ret, size_t *ret_n, struct err *e);
/* The bytes of one segment, raw. */
int image_write_bin(
	const struct image *i, const struct image_segment *s, const char *path, struct err *e);
