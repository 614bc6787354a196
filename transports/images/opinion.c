/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/opinion.h"

#include <magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define LOOK_BYTES   (64u * 1024)
#define SHORT_BYTES  16u  /* fewer are too few to say */
#define TRIED_BYTES  128u /* all but a handful of its rules look there */
#define ENOUGH	     4u
#define ENOUGH_EXACT 3u
#define KIND_CHARS   12u /* of the text: what follows may be a detail that the byte says */

#define RULES_ALONE                                                                    \
	(MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR | MAGIC_NO_CHECK_APPTYPE |       \
		MAGIC_NO_CHECK_ELF | MAGIC_NO_CHECK_TEXT | MAGIC_NO_CHECK_CSV |        \
		MAGIC_NO_CHECK_CDF | MAGIC_NO_CHECK_TOKENS | MAGIC_NO_CHECK_ENCODING | \
		MAGIC_NO_CHECK_JSON | MAGIC_ERROR)

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int key_error;

static void close_magic(void *m)
{
	magic_close(m);
}

static void make_key(void)
{
	key_error = pthread_key_create(&key, close_magic);
}

/* The calling thread's own: to map the database again takes six times as long as to ask. */
static int open_magic(magic_t *ret, struct err *e)
{
	magic_t m;

	pthread_once(&once, make_key);
	*ret = key_error ? NULL : pthread_getspecific(key);
	if (*ret)
		return 0;
	m = key_error ? NULL : magic_open(RULES_ALONE);
	if (!m)
		return err_set(e, ERR_NO_MEMORY, "libmagic cannot be opened");
	if (magic_load(m, NULL) < 0 || pthread_setspecific(key, m) != 0) {
		err_set(e, ERR_TOOL_MISSING,
			"libmagic: %s (its data come with the package libmagic-mgc)",
			magic_error(m) ? magic_error(m) : "no memory");
		magic_close(m);
		return -ERR_TOOL_MISSING;
	}
	*ret = m;
	return 0;
}

static const char *ask(magic_t m, int flags, const uint8_t *bytes, size_t n)
{
	const char *s;

	magic_setflags(m, RULES_ALONE | flags);
	s = magic_buffer(m, bytes, n);
	return s ? s : "data";
}

/* Up to the first comma; what is not printable is escaped by libmagic. */
static void cut(char *to, size_t size, const char *from)
{
	size_t n = strcspn(from, ",;\n");

	snprintf(to, size, "%.*s", (int)MIN(n, size - 1), from);
	while (*to && to[strlen(to) - 1] == ' ')
		to[strlen(to) - 1] = 0;
}

/* Whether both are of one kind: what the file says of itself may be at either end of the text. */
static bool is_same_kind(const char *a, const char *b)
{
	size_t na = strlen(a);
	size_t nb = strlen(b);
	size_t n = MIN(MIN(na, nb), (size_t)KIND_CHARS);

	return !strncmp(a, b, MIN(strcspn(a, ","), (size_t)KIND_CHARS)) ||
	       !strcmp(a + na - n, b + nb - n);
}

/* How many of the bytes decide on it, up to `most`. With `change` of one bit a byte that has to lie
 * in a range, such as a letter, stays there and does not count. */
static unsigned rests_on(
	magic_t m, const char *text, uint8_t *copy, size_t n, uint8_t change, unsigned most)
{
	unsigned found = 0;

	for (size_t i = 0; i < MIN(n, (size_t)TRIED_BYTES) && found < most; i++) {
		if (copy[i] == 0 || copy[i] == 0xff)
			continue;
		copy[i] ^= change;
		found += !is_same_kind(text, ask(m, 0, copy, n));
		copy[i] ^= change;
	}
	return found;
}

int opinion_of(const uint8_t *bytes, uint64_t n, struct opinion *ret, struct err *e)
{
	size_t len = (size_t)MIN(n, (uint64_t)LOOK_BYTES);
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) uint8_t *copy = NULL;
	magic_t m;
	int r;

	if (n < SHORT_BYTES)
		return 0;
	r = open_magic(&m, e);
	if (r < 0)
		return r;
	text = xstrdup(ask(m, 0, bytes, len));
	if (!strcmp(text, "data"))
		return 0;
	copy = malloc(len);
	if (!copy)
		return err_set(e, ERR_NO_MEMORY, "libmagic: out of memory");
	memcpy(copy, bytes, len);
	if (rests_on(m, text, copy, len, 0xff, ENOUGH) < ENOUGH ||
		rests_on(m, text, copy, len, 1, ENOUGH_EXACT) < ENOUGH_EXACT)
		return 0;
	cut(ret->text, sizeof ret->text, text);
	cut(ret->mime, sizeof ret->mime, ask(m, MAGIC_MIME_TYPE, bytes, len));
	return 1;
}
