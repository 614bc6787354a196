/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/copy.h"

#include <inttypes.h>
#include <string.h>

/* Bytes that end a column or a row, and the one that escapes them. */
static const char special[] = "\\\t\n\r";

static void add_special(struct strbuf *b, char c)
{
	sb_add(b, c == '\\' ? "\\\\" : c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
}

void copy_text(struct strbuf *b, const char *text)
{
	if (!text)
		text = "", sb_add(b, "\\N");
	while (*text) {
		const size_t plain = strcspn(text, special);

		sb_add_n(b, text, plain);
		text += plain;
		if (*text)
			add_special(b, *text++);
	}
	sb_add(b, "\t");
}

void copy_int(struct strbuf *b, int64_t v)
{
	char text[24];

	sb_add_n(b, text, (size_t)snprintf(text, sizeof text, "%" PRId64 "\t", v));
}

void copy_json_text(struct strbuf *b, const json_t *v)
{
	copy_text(b, json_string_value(v));
}

/* 17 digits give each double back (IEEE 754-2008, 5.12.2). */
void copy_json_number(struct strbuf *b, const json_t *v)
{
	if (json_is_integer(v))
		copy_int(b, json_integer_value(v));
	else if (json_is_real(v))
		sb_addf(b, "%.17g\t", json_real_value(v));
	else
		copy_text(b, NULL);
}

void copy_end(struct strbuf *b)
{
	if (b->len > 0)
		b->s[b->len - 1] = '\n';
}
