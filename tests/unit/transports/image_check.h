/* SPDX-License-Identifier: Apache-2.0
 *
 * How the tests of the readers look at one file in memory.
 */
#pragma once

#include "tests/unit/transports/image_files.h"
#include "tests/unit/unit.h"
#include "transports/images/image.h"

static struct err e;

static inline int parse_with(
	const void *bytes, size_t n, const struct image_opts *o, struct image **ret)
{
	*ret = NULL;
	e = (struct err){0};
	return image_parse("fw", bytes, n, o, ret, &e);
}

static inline int parse(const void *bytes, size_t n, struct image **ret)
{
	return parse_with(bytes, n, &IMAGE_OPTS(IMAGE_NO_ADDRESS), ret);
}

/* Refused with that code, and these words in the sentence. */
static inline void refused(const void *bytes, size_t n, enum err_code code, const char *says)
{
	struct image *i = NULL;
	int r = parse(bytes, n, &i);

	ck_assert_msg(r == -(int)code, "%s expected, got %s: %s", err_code_str(code),
		err_code_str(err_from_ret(r)), e.msg);
	ck_assert_msg(strstr(e.msg, says), "'%s' expected in: %s", says, e.msg);
	ck_assert_ptr_null(i);
}

struct bad_text {
	const char *text;
	const char *says;
};

static inline void refused_texts(const struct bad_text *bad, size_t n)
{
	for (size_t k = 0; k < n; k++)
		refused(bad[k].text, strlen(bad[k].text), ERR_IMAGE_INVALID, bad[k].says);
}

static inline struct image *accepted(const void *bytes, size_t n)
{
	struct image *i = NULL;
	int r = parse(bytes, n, &i);

	ck_assert_msg(r == 0, "%s", e.msg);
	return i;
}
