/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets never rest in the clear. A secret_set holds the values that a run may not show; text is
 * masked through it before it reaches a log, the database, an event or a report.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SECRET_MASK "[secret]"

struct secret_set;

struct secret_set *secret_set_new(void);
/* Zeroises every value. */
struct secret_set *secret_set_free(struct secret_set *s);
/* The value, and the forms in which it leaves: each line of it, control bytes escaped as in a log,
 * quoted as in a pattern, in JSON or for a shell. Values shorter than 4 characters are refused:
 * masking them would mask everything. */
int secret_set_add(struct secret_set *s, const char *value, struct err *e);
/* A copy of text with every secret replaced by SECRET_MASK, owned by the caller. s may be NULL. */
char *secret_mask(const struct secret_set *s, const char *text);
/* As secret_mask(), for a sentence that holds text which was cut short: it also masks the beginning
 * of a secret, of 4 characters or more, before a quote, a line end, dots or the end of the text. */
char *secret_mask_cut(const struct secret_set *s, const char *text);
/* Whether any secret is in the text. s may be NULL. */
bool secret_found(const struct secret_set *s, const char *text);
/* The same of bytes, NULs among them. */
bool secret_found_in(const struct secret_set *s, const void *p, size_t n);
/* Bytes of the longest form; 0 of an empty set. */
size_t secret_longest(const struct secret_set *s);
bool secret_set_empty(const struct secret_set *s);

/* Overwrites in a way that the compiler keeps. */
void secret_wipe(void *p, size_t n);
/* malloc(), calloc(), realloc(), strdup() and free() for libraries that have secrets in buffers and do not
 * wipe them: nothing is left where a block was. NULL where memory ends. */
void *secret_alloc(size_t n);
void *secret_calloc(size_t count, size_t n);
void *secret_realloc(void *p, size_t n);
char *secret_strdup(const char *s);
void secret_free(void *p);
/* OpenSSL (records of TLS, numbers of keys) and jansson (bodies, outputs) take them from here on. Before the
 * first use of either, in main(). */
void secret_libraries_wipe(void);
/* Equality in time that does not depend on the content. */
bool secret_equal(const void *a, const void *b, size_t n);
/* n random bytes of the kernel. */
void random_bytes(void *p, size_t n);
