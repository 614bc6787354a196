/* SPDX-License-Identifier: Apache-2.0
 *
 * The one gate between a file and a unit. What a file's name says and what its content is have to
 * agree, and what is surely not firmware is refused by name of what it is. All actions that write
 * an image go through it: those that take addresses by image_open(), those that take bytes by
 * gate_partition() and gate_package().
 *
 * A recipe that declares the format takes the decision itself: `format: bin` lets every file pass
 * whose content is no firmware format with addresses of its own. What was declared is on record.
 */
#pragma once

#include "transports/images/image.h"

/* The format that the end of a name stands for (".hex": IMAGE_IHEX); IMAGE_ANY: names of that kind
 * say nothing (".bin", ".img", none). */
enum image_format gate_name_claim(const char *name);

/* After the content was looked at: i->inner is what it is. -ERR_IMAGE_INVALID with the sentence. */
int gate_image(
	struct image *i, const struct image_opts *o, const uint8_t *bytes, size_t n, struct err *e);

/* Of bytes for a partition (or for the memory of a bootloader). declared: the recipe says that they
 * are meant as they are. */
int gate_partition(
	const char *name, const uint8_t *bytes, uint64_t n, bool declared, struct err *e);
