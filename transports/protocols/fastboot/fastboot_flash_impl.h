/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by fastboot_flash.c (writing) and fastboot_fetch.c (reading back), and by no one else.
 */
#pragma once

#include "transports/images/bootimg.h"
#include "transports/images/sparse.h"
#include "transports/protocols/fastboot/fastboot_flash.h"
#include "transports/protocols/fastboot/fastboot_impl.h"

/* A file on its way into a partition. */
struct fastboot_source {
	const struct blob *blob;
	enum content content;
	struct sparse *list; /* of a sparse file, or of a raw one that is split */
	struct spans whole;  /* what goes where one download takes it */
	bool moved;	     /* its AVB footer */
};

int fastboot_source_new(struct fastboot *f, const struct blob *b,
	const struct fastboot_flash_opts *o, struct fastboot_flashed *t,
	struct fastboot_source *ret, struct err *e);
void fastboot_source_done(struct fastboot_source *s);

/* Sets t->skipped where the partition holds it already. */
int fastboot_is_there(struct fastboot *f, struct fastboot_source *src, struct fastboot_flashed *t,
	const struct iotime *it, struct err *e);
/* Reads back and compares, as far as the device lets and o->verify wants. */
int fastboot_read_back(struct fastboot *f, struct fastboot_source *src,
	const struct fastboot_flash_opts *o, struct fastboot_flashed *t, const struct iotime *it,
	struct err *e);
