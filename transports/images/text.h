/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of hexadecimal records, as Intel HEX and S-records share them.
 */
#pragma once

#include "transports/images/image_impl.h"

#define TEXT_RECORD_MAX                                                           \
	260 /* bytes: the longest of either format has 256 and what stands around \
	     */

struct text {
	const uint8_t *p;
	size_t n, at;
	uint64_t line; /* the number of the one given last */
};

/* Takes off a byte order mark (a note; UTF-16 is refused), and makes room for what is decoded. */
int text_begin(struct image_source *s, struct text *ret, struct err *e);
/* The next line that is not blank, without what stands blank at its end. false at the end of the
 * file, or at a Ctrl-Z with nothing but blanks behind it. */
bool text_line(struct text *t, const uint8_t **ret, size_t *ret_n);
/* The record of n digits at p as bytes; `at` is its column for messages. */
int text_record(const struct image_source *s, const struct text *t, const uint8_t *p, size_t n,
	size_t at, uint8_t out[TEXT_RECORD_MAX], size_t *ret_n, struct err *e);
/* Keeps n bytes and adds them as a piece. */
int text_data(struct image_source *s, const struct text *t, uint64_t address, const uint8_t *bytes,
	size_t n, struct err *e);
