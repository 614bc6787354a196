/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person or a program may write, as rows: a key, its type, its bounds, its default, what it
 * means, and where its value goes. One reader takes a mapping by its rows, and finds every mistake
 * with the nearest name; the manual and the JSON Schema are printed from the same rows.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mistake.h"

enum form_type {
	FORM_TEXT,     /* char *, owned; of low to high bytes; high 0: of low or more */
	FORM_PATH,     /* char *, owned; absolute */
	FORM_PATHS,    /* char **, NULL-terminated, owned; each absolute */
	FORM_BOOL,     /* bool */
	FORM_INT,      /* an integer of `width` bytes, from low to high */
	FORM_SIZE,     /* uint64_t: 64M, 4096 */
	FORM_DURATION, /* uint64_t, microseconds: 500ms, 30d; at least low */
	FORM_LENGTH,   /* uint32_t, micrometres: 50mm, 0.25mm; from low to high */
	FORM_TIME,     /* int64_t, milliseconds since 1970: 2026-12-31T18:00:00Z */
	FORM_CHOICE,   /* int or enum: the index in choices */
	/* const json_t *, borrowed from what was read: */
	FORM_LIST,    /* of low to high items; high 0: of low or more */
	FORM_TEXTS,   /* the same, of texts */
	FORM_MAPPING, /* of any names */
	FORM_ANY,     /* the caller looks at it, also whether it is there */
	FORM_OWN      /* read() takes it */
};

struct form_row {
	const char *key; /* NULL ends the rows */
	enum form_type type;
	bool required;
	bool null;	 /* null is taken as well: the field stays as it is */
	const char *def; /* as it would be written; NULL: what the field holds before stays */
	const char *doc; /* sentences, for the manual and the schema */
	long long low, high;
	const char *const *choices; /* NULL-terminated */
	size_t at, width;	    /* of the field: FORM_AT() */
	/* FORM_OWN. v is never NULL; to: the whole struct. */
	void (*read)(void *to, const json_t *v, const char *pointer, struct mistakes *m);
	/* FORM_OWN, FORM_LIST (of an item), FORM_MAPPING (of a member), FORM_ANY: a JSON Schema of
	 * it, as JSON. FORM_OWN and FORM_ANY: or the rows of an object, or those of each member of
	 * one; with both a schema and rows, either is taken. */
	const char *schema;
	const struct form_row *rows, *each;
};

#define FORM_AT(type, field) .at = offsetof(type, field), .width = sizeof(((type *)0)->field)

/* Reads o into `to` by the rows: unknown keys, wrong types, missing keys and values out of bounds
 * go to m, at their pointers below `pointer`. Defaults come first. what: of an unknown key ("key",
 * "field"). */
void form_read(const struct form_row *rows, const json_t *o, const char *pointer, const char *what,
	void *to, struct mistakes *m);
/* Frees what form_read() made for texts, paths and lists; the struct may be half read. */
void form_done(const struct form_row *rows, void *to);

/* A man page's entries: .TP, the key, what may be written, the sentences. */
void form_man(const struct form_row *rows, FILE *out);
/* An object of JSON Schema (draft 2020-12) that takes these keys and no other; a new reference. */
json_t *form_schema(const struct form_row *rows);
