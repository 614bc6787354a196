/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bodies of requests are wrapped in: Content-Encoding, and the byte order mark that some
 * clients put before JSON. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 where a body of that Content-Encoding (NULL: none) can be read, else 415. *ret_gzip, which may
 * be NULL: whether it is to be inflated. */
int httpd_body_coding(const char *coding, bool *ret_gzip);

/* Replaces *body (from malloc, NUL-terminated after its *len bytes; NULL: empty) by what it
 * encodes, and takes a UTF-8 byte order mark off. 0, else the status and the sentence of a
 * refusal, with the body as it was: 413 for what would inflate over max bytes, which is found out
 * without inflating it; 400 for what is not gzip, is cut off, or has bytes after its end. */
int httpd_body_decode(
	const char *coding, uint8_t **body, size_t *len, uint64_t max, const char **ret_detail);
