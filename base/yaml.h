/* SPDX-License-Identifier: Apache-2.0
 *
 * A safe subset of YAML read into JSON, with the place of every value. libyaml reads; this refuses
 * what people do not mean: anchors, aliases, tags, merge keys, duplicate keys, several documents,
 * non-string keys, and more than YAML_MAX_DEPTH levels or YAML_MAX_BYTES.
 *
 * Plain scalars follow the YAML 1.2 core schema: null ~ true false, integers (decimal, 0x, 0o),
 * reals; everything else, and all that is quoted, is a string. So `no`, `on`, `12:30` and
 * `1_000` are strings, and a version such as 1.10 must be quoted.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define YAML_MAX_DEPTH 32
#define YAML_MAX_BYTES (1024 * 1024)

struct yaml_doc {
	json_t *root;		  /* owned */
	struct yaml_place *place; /* sorted by pointer */
	size_t places;
};

struct yaml_place {
	char *pointer; /* JSON pointer (RFC 6901), "" for the root */
	unsigned line; /* from 1 */
	unsigned column;
	/* Of the key, for members of a mapping; else as above. */
	unsigned key_line;
	unsigned key_column;
};

/* name is for messages. A syntax error, or the first refused construct, gives -ERR_INVALID with
 * "name:line:column: what is wrong". */
int yaml_parse(
	const char *name, const char *text, size_t len, struct yaml_doc **ret, struct err *e);
int yaml_load(const char *path, struct yaml_doc **ret, struct err *e);
struct yaml_doc *yaml_doc_free(struct yaml_doc *d);
/* The place of a pointer, or of its nearest known parent; never NULL for a parsed document. */
const struct yaml_place *yaml_where(const struct yaml_doc *d, const char *pointer);
