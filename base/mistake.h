/* SPDX-License-Identifier: Apache-2.0
 *
 * Mistakes in what a person wrote (a recipe, a station file, a request): all of them at once, each
 * at the JSON pointer of the value it is about. With the YAML it came from, a pointer becomes a
 * line and a column.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "base/yaml.h"

struct mistake {
	char *pointer; /* RFC 6901 */
	char *text;
	bool at_key; /* about the key, not its value */
	char *uses; /* of a text that is used several times: where this is one, "'a', 'b'"; or NULL */
	char *last_use;
	unsigned used;
};

struct mistakes {
	struct mistake *item;
	size_t count;
};

/* Cut to 511 bytes; what is not text is escaped. */
void mistakes_add(struct mistakes *m, const char *pointer, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* An unknown key: says so, with the nearest valid name (names is NULL-terminated). */
void mistakes_add_unknown(struct mistakes *m, const char *pointer, const char *what,
	const char *word, const char *const *names);
/* Of those from `before` on: what an earlier one says as well, at the same place, is one mistake. use (may be NULL): where the texts that
 * are below the pointer `within` are used, which is kept with their mistakes and said after their text. */
void mistakes_merge(struct mistakes *m, size_t before, const char *within, const char *use);
void mistakes_done(struct mistakes *m);
/* "file:line:column: text" a line each, in the order of the file. */
void mistakes_print(
	const struct mistakes *m, const char *name, const struct yaml_doc *doc, struct strbuf *out);
/* [{"pointer":..., "detail":..., "line":..., "column":...}]; doc may be NULL (no line then). */
json_t *mistakes_json(const struct mistakes *m, const struct yaml_doc *doc);

/* pointer + "/" + key, escaped (RFC 6901); owned by the caller. */
char *pointer_key(const char *pointer, const char *key);
char *pointer_index(const char *pointer, size_t i);
