/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters of a statement, typed by what they are in C: a value of another type does not compile.
 *
 *	db_do(d, e, "UPDATE t SET a = ?, b = ? WHERE id = ?", name, (int64_t)5, id);
 *
 * Text and JSON may be NULL, which is a SQL NULL; BIND_NULL is one by itself. Text is borrowed
 * until the query ends. At most 20.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum bind_type { BIND_END, BIND_NOTHING, BIND_INT, BIND_REAL, BIND_TEXT, BIND_JSON };

struct bind {
	enum bind_type type;
	union {
		int64_t i;
		double d;
		const char *s;
		const json_t *j; /* as canonical text */
	};
};

#define BIND_NULL ((struct bind){.type = BIND_NOTHING})

static inline struct bind bind_int(int64_t v)
{
	return (struct bind){.type = BIND_INT, .i = v};
}

static inline struct bind bind_real(double v)
{
	return (struct bind){.type = BIND_REAL, .d = v};
}

static inline struct bind bind_text(const char *v)
{
	return (struct bind){.type = BIND_TEXT, .s = v};
}

static inline struct bind bind_json(const json_t *v)
{
	return (struct bind){.type = BIND_JSON, .j = v};
}

static inline struct bind bind_as_is(struct bind v)
{
	return v;
}

/* clang-format off */
#define BIND(x) _Generic((x), \
	bool: bind_int, int: bind_int, unsigned: bind_int, long: bind_int, long long: bind_int, \
	double: bind_real, \
	char *: bind_text, const char *: bind_text, \
	json_t *: bind_json, const json_t *: bind_json, \
	struct bind: bind_as_is)(x),

#define BIND_0()
#define BIND_1(a) BIND(a)
#define BIND_2(a, ...) BIND(a) BIND_1(__VA_ARGS__)
#define BIND_3(a, ...) BIND(a) BIND_2(__VA_ARGS__)
#define BIND_4(a, ...) BIND(a) BIND_3(__VA_ARGS__)
#define BIND_5(a, ...) BIND(a) BIND_4(__VA_ARGS__)
#define BIND_6(a, ...) BIND(a) BIND_5(__VA_ARGS__)
#define BIND_7(a, ...) BIND(a) BIND_6(__VA_ARGS__)
#define BIND_8(a, ...) BIND(a) BIND_7(__VA_ARGS__)
#define BIND_9(a, ...) BIND(a) BIND_8(__VA_ARGS__)
#define BIND_10(a, ...) BIND(a) BIND_9(__VA_ARGS__)
#define BIND_11(a, ...) BIND(a) BIND_10(__VA_ARGS__)
#define BIND_12(a, ...) BIND(a) BIND_11(__VA_ARGS__)
#define BIND_13(a, ...) BIND(a) BIND_12(__VA_ARGS__)
#define BIND_14(a, ...) BIND(a) BIND_13(__VA_ARGS__)
#define BIND_15(a, ...) BIND(a) BIND_14(__VA_ARGS__)
#define BIND_16(a, ...) BIND(a) BIND_15(__VA_ARGS__)
#define BIND_17(a, ...) BIND(a) BIND_16(__VA_ARGS__)
#define BIND_18(a, ...) BIND(a) BIND_17(__VA_ARGS__)
#define BIND_19(a, ...) BIND(a) BIND_18(__VA_ARGS__)
#define BIND_20(a, ...) BIND(a) BIND_19(__VA_ARGS__)
#define BIND_PICK(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, _17, \
	_18, _19, _20, name, ...) name
#define BIND_EACH(...) BIND_PICK(_0, ##__VA_ARGS__, BIND_20, BIND_19, BIND_18, BIND_17, BIND_16, \
	BIND_15, BIND_14, BIND_13, BIND_12, BIND_11, BIND_10, BIND_9, BIND_8, BIND_7, BIND_6, BIND_5, \
	BIND_4, BIND_3, BIND_2, BIND_1, BIND_0)(__VA_ARGS__)
/* clang-format on */

/* The parameters as an array with an end. */
#define BINDS(...) ((const struct bind[]){BIND_EACH(__VA_ARGS__){.type = BIND_END}})
