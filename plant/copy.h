/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows as COPY takes them (PostgreSQL 15, COPY, "Text Format"): columns with a tab between them, a row ends with a line feed,
 * and NULL is \N. Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Each adds one column and the tab after it; copy_end() makes the last tab the end of the row. text NULL is NULL. */
void copy_text(struct strbuf *b, const char *text);
void copy_int(struct strbuf *b, int64_t v);
/* A text or NULL, a number or NULL: what else it may be was refused before. */
void copy_json_text(struct strbuf *b, const json_t *v);
void copy_json_number(struct strbuf *b, const json_t *v);
void copy_end(struct strbuf *b);
