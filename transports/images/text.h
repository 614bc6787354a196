/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of hexadecimal records, as Intel HEX and S-records share them.
 */
#pragma once

#include "transports/images/image_impl.h"

/* Bytes: the longest of either format has 256, and what is around it. */
#define TEXT_RECORD_MAX 260

struct text {
	const uint8_t *p;
	size_t n, at;
	uint64_t line; /* the number of the one given last */
	uint64_t comments;
};

/* Takes off a byte order mark (a note; UTF-16 is refused), and makes room for what is decoded. */
int text_begin(struct image_source *s, struct text *ret, struct err *e);
/* The next line that is not blank, without the blanks at its end. false at the end of the
 * file, or at a Ctrl-Z with nothing but blanks after it. */
bool text_line(struct text *t, const uint8_t **ret, size_t *ret_n);
/* The value of a hexadecimal digit, -1 for another character. */
int text_digit(uint8_t c);
/* Whether the line is a comment, as vendors put them into HEX files and S-records (';' or '#').
 * Each is counted; text_end() notes how many there were. */
bool text_comment(struct text *t, const uint8_t *line);
void text_end(struct image_source *s, const struct text *t);
/* The record of n digits at p as bytes; `at` is its column for messages. */
int text_record(const struct image_source *s, const struct text *t, const uint8_t *p, size_t n,
	size_t at, uint8_t out[TEXT_RECORD_MAX], size_t *ret_n, struct err *e);
/* Keeps n bytes and adds them as a piece (of target 0, or of another). */
int text_data(struct image_source *s, const struct text *t, uint64_t address, const uint8_t *bytes,
	size_t n, struct err *e);
int text_data_of(struct image_source *s, const struct text *t, uint8_t target, uint64_t address,
	const uint8_t *bytes, size_t n, struct err *e);
