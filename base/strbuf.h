/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing string, always NUL-terminated once something was added. Growth aborts on exhaustion:
 * cap what comes from outside before adding it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *s; /* NULL while empty */
	size_t len;
	size_t cap;
};

void sb_add(struct strbuf *b, const char *s);
void sb_add_n(struct strbuf *b, const void *s, size_t n);
void sb_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether all of it is UTF-8 (RFC 3629). */
bool is_utf8(const void *bytes, size_t n);
/* Bytes of a peer made readable: UTF-8 stays, control bytes and invalid sequences become \xNN
 * (tab, CR and LF become \t \r \n). */
void sb_add_escaped(struct strbuf *b, const void *bytes, size_t n);
/* As the text of XML or HTML, and of their attributes. */
void sb_add_xml(struct strbuf *b, const char *s, size_t n);
void sb_clear(struct strbuf *b);
/* The string ("" if empty), owned by the caller; the buffer is empty afterwards. */
char *sb_take(struct strbuf *b);
void sb_done(struct strbuf *b);

/* A duration as written in recipes and configuration: "500ms", "60s", "5m", "1h", "250us". The
 * whole text must match; overflow fails. */
bool parse_duration_us(const char *s, unsigned long long *ret_us);
/* A size or address: decimal, 0x hex, suffix K or M or G (1024). */
bool parse_size(const char *s, unsigned long long *ret);
/* A decimal number, independent of the locale; the whole text; no NaN, no infinity. */
bool parse_number(const char *s, double *ret);
/* The candidate nearest to `word` when it is near enough to be a slip, else NULL. names is
 * NULL-terminated. */
const char *nearest_name(const char *word, const char *const *names);
