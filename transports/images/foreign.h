/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file surely is where it is not firmware: a web page saved under a firmware's name, a
 * pointer of git-lfs, an archive, a program of a PC. Each kind is recognised by its own content,
 * never by its name, and has its own sentence of advice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the bytes would go. */
enum foreign_use {
	FOREIGN_ADDRESSES, /* the memory of a microcontroller */
	FOREIGN_PARTITION  /* a partition: file systems, logos and compressed kernels are usual */
};

struct foreign {
	const char *what; /* "a web page (HTML)" */
	const char *hint; /* what to do */
};

/* NULL where the content may be meant for that use, or where a few bytes are too few to say. Of
 * text the whole file is looked at. The result lives for ever. */
const struct foreign *foreign_of(const uint8_t *bytes, uint64_t n, enum foreign_use use);
/* Whether it is text with marks of a page: its records, if it shows any, are not its content. */
bool foreign_is_page(const struct foreign *f);
/* Whether every byte is that of plain text: ASCII or UTF-8 with usual blanks. */
bool foreign_is_text(const uint8_t *bytes, uint64_t n);
