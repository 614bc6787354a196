/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds of files whose first bytes say too little: each is recognised by a structure that has to be
 * consistent (lengths that end where the file does, sums, records that follow each other), so that
 * no raw binary is taken for one. Of foreign.c and its parts alone.
 */
#pragma once

#include "transports/images/foreign.h"

enum {
	MAY_BE_A_PARTITION = 1, /* a partition may hold it */
	MAY_BE_A_DISK = 2	/* and a device that takes whole files */
};

struct foreign_kind {
	const char *what; /* "a web page (HTML)" */
	const char *hint; /* what to do */
	unsigned flags;
};

struct foreign_row {
	bool (*is)(const uint8_t *s, uint64_t n);
	struct foreign_kind kind;
};

#define ADVICE_PAGE	"download the file itself"
#define ADVICE_UNPACK	"unpack it first"
#define ADVICE_PROGRAM	"give the firmware that was built for the unit"
#define ADVICE_DOCUMENT "give the firmware file that belongs to it"
#define ADVICE_LINK	"link it first"
#define ADVICE_TEXT	"give the firmware file itself"

/* The kind of the first row that says yes; NULL: none does. */
const struct foreign_kind *foreign_first(
	const struct foreign_row *row, size_t rows, const uint8_t *bytes, uint64_t n);
/* Text in another encoding than UTF-8, and one of a few letters (foreign_text.c). NULL: none. */
const struct foreign_kind *foreign_by_text(const uint8_t *bytes, uint64_t n);
/* Pictures and films without a container (foreign_media.c). */
const struct foreign_kind *foreign_by_media(const uint8_t *bytes, uint64_t n);
/* What programs of a PC and vendors' tools keep for themselves (foreign_data.c). */
const struct foreign_kind *foreign_by_data(const uint8_t *bytes, uint64_t n);
/* All of these, and those of foreign_looks.c. NULL where it is none of them. */
const struct foreign_kind *foreign_by_structure(const uint8_t *bytes, uint64_t n);
/* Packages, block maps, partitions of Android: what the first bytes alone would call an archive, text or nothing
 * (foreign_package.c). NULL: none. */
const struct foreign_kind *foreign_by_package(const uint8_t *bytes, uint64_t n);
/* How many bytes the UTF-8 character at s has (RFC 3629); 0: it is not one, or a control character
 * that no text has. */
size_t foreign_text_char(const uint8_t *s, uint64_t n);
