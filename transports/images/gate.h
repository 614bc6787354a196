/* SPDX-License-Identifier: Apache-2.0
 *
 * The one gate between a file and a unit. What a file's name says and what its content is have to
 * agree, and what is surely not firmware is refused by name of what it is. All actions that write
 * an image go through it: those that take addresses by image_open(), those that take bytes by
 * gate_partition() and gate_package().
 *
 * A recipe that declares the format takes the decision itself: `format: bin` lets every file pass
 * whose content is not a firmware format with addresses of its own. What was declared is on record.
 */
#pragma once

#include "transports/images/foreign.h"
#include "transports/images/image.h"

#define GATE_WHY_BYTES 240

/* The format that the end of a name means (".hex": IMAGE_IHEX); IMAGE_ANY: names of that kind
 * say nothing (".bin", ".img", none) or something else than firmware (images/name_kinds.h). */
enum image_format gate_name_claim(const char *name);

/* What speaks against bytes that are of no firmware format: "looks like a PDF document", "its name
 * says a font". 1 with it in ret; 0; an error where libmagic cannot be asked. */
int gate_objection(const char *name, const uint8_t *bytes, uint64_t n, enum foreign_use use,
	char ret[GATE_WHY_BYTES], struct err *e);

/* After the content was looked at: i->inner is what it is. -ERR_IMAGE_INVALID with the sentence. */
int gate_image(
	struct image *i, const struct image_opts *o, const uint8_t *bytes, size_t n, struct err *e);

/* Of bytes for a partition (or for the memory of a bootloader). */
int gate_partition(const char *name, const uint8_t *bytes, uint64_t n, struct err *e);
/* Whether the name agrees with a content of that format: of packages, and of what is only looked
 * at.
 */
int gate_name(const char *name, enum image_format content, struct err *e);
