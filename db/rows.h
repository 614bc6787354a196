/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: rows by the names of their columns. A statement is kept with what its columns are:
 * fields of a struct, or members of a JSON object. Their places are looked up once for each prepared
 * statement, where a name that it lacks, or has twice, is an error; a test prepares all of them.
 *
 *	struct owner { char state[16]; int64_t seq; };
 *	static const struct column columns[] = {COL(struct owner, state), COL(struct owner, seq), {0}};
 *	SELECT(find, "SELECT seq, state FROM serials WHERE value = ?", columns);
 *
 *	r = select_one(d, e, &find, &owner, value);
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLUMNS_MAX 40

enum column_type {
	/* Of a struct; COL() picks it by the type of the field. */
	COLUMN_INT,	 /* int64_t, 0 for NULL */
	COLUMN_REAL,	 /* double, NAN for NULL */
	COLUMN_BOOL,	 /* bool: not 0 */
	COLUMN_COPY,	 /* char[], cut to whole characters of it; "" for NULL */
	COLUMN_BORROWED, /* const char *, valid until the next step; NULL for NULL */
	COLUMN_JSON,	 /* json_t *, owned; NULL where it is none */
	/* Of an object; NULL is a null. */
	AS_TEXT,
	AS_INT,
	AS_REAL,
	AS_BOOL,
	AS_TIME, /* RFC 3339 */
	AS_JSON
};

struct column {
	const char *name; /* NULL ends them */
	enum column_type type;
	size_t at, size; /* of the field */
};

/* clang-format off */
#define COLUMN_TYPE(x) _Generic((x), int64_t: COLUMN_INT, double: COLUMN_REAL, bool: COLUMN_BOOL, \
	char *: COLUMN_COPY, const char *: COLUMN_BORROWED, json_t *: COLUMN_JSON)
/* clang-format on */

/* A field that has the name of its column, or another one. */
#define COL(type, field) COL_AS(type, field, #field)
#define COL_AS(type_, field, name_)                                               \
	{                                                                         \
		.name = (name_), .type = COLUMN_TYPE(((type_ *)0)->field),        \
		.at = offsetof(type_, field), .size = sizeof(((type_ *)0)->field) \
	}

struct select {
	const char *sql;
	const struct column *columns;
};

/* A static one, which the test finds among all of them. */
#define SELECT(name, text, cols)                                              \
	static const struct select name = {.sql = (text), .columns = (cols)}; \
	static const struct select *const name##_kept                         \
		__attribute__((section("db_selects"), used)) = &name
