/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file surely is where it is not firmware: a web page saved under a firmware's name, a
 * pointer of git-lfs, a font, a database, a program of a PC. By its content, never by its name:
 *
 *	the beginning of a text        "<!DOCTYPE html", "#!/bin/sh"
 *	bytes that no other file has   "SQLite format 3"
 *	text in any encoding           the whole file (foreign_text.c)
 *	a structure that is consistent lengths that end where the file does, sums
 *	                               (foreign_data.c, foreign_media.c, foreign_looks.c)
 *	a second opinion               libmagic, where it rests on 32 bits (images/opinion.h)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Where the bytes would go. */
enum foreign_use {
	FOREIGN_ADDRESSES, /* the memory of a microcontroller */
	FOREIGN_DEVICE,	   /* a device that takes whole files: an image of a disk is one */
	FOREIGN_PARTITION  /* a partition: file systems, logos and compressed kernels are usual */
};

struct foreign {
	char what[160];	  /* "a web page (HTML)" */
	const char *hint; /* what to do; lives for ever */
	bool page; /* text with marks of a page: its records, if it shows any, are not its content
		    */
};

/* 1 with *ret; 0 where the content may be meant for that use, or where a few bytes are too few to
 * say; an error where libmagic cannot be asked. Of text the whole file is looked at. */
int foreign_look(
	const uint8_t *bytes, uint64_t n, enum foreign_use use, struct foreign *ret, struct err *e);
/* Whether every byte is that of plain text: ASCII or UTF-8 with usual blanks. */
bool foreign_is_text(const uint8_t *bytes, uint64_t n);
