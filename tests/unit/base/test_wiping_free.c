/* SPDX-License-Identifier: Apache-2.0
 *
 * The program has base/wiping_free.c as a source: what it and its libraries free is gone.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/unit.h"

#define BLOCKS	    4
#define SECRET	    "Correct-Horse-77-"
#define AFTER_LINKS 16 /* the allocator's own are in the first bytes of a free block */

static const size_t sizes[] = {24, 100, 1000, 5000, 100000};

/* Each block has its number after the text, so that its bytes are nowhere else. */
static void mark(char *p, size_t n, unsigned k)
{
	memset(p, 'x', n);
	snprintf(p, n, "%s%02u", SECRET, k);
}

/* What was in the heap at the address, read as another process would. */
static bool holds(uintptr_t at, const char *text)
{
	_cleanup_(closep) int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char got[32];
	size_t n = strlen(text);

	ck_assert_int_ge(fd, 0);
	return pread(fd, got, n, (off_t)at) == (ssize_t)n && !memcmp(got, text, n);
}

START_TEST(a_block_that_is_freed_is_empty)
{
	size_t n = sizes[_i];
	char *block[BLOCKS];
	uintptr_t at[BLOCKS];

	for (unsigned k = 0; k < BLOCKS; k++) {
		block[k] = malloc(n);
		mark(block[k], n, k);
		at[k] = (uintptr_t)block[k];
		ck_assert(holds(at[k], block[k]));
	}
	for (unsigned k = 0; k < BLOCKS; k++)
		free(block[k]);
	for (unsigned k = 0; k < BLOCKS; k++) {
		ck_assert(!holds(at[k], "Correct"));
		ck_assert(!holds(at[k] + AFTER_LINKS, "-0"));
	}
}
END_TEST

START_TEST(a_block_that_moves_leaves_nothing_behind)
{
	size_t n = sizes[_i];
	char *p = malloc(n);
	char *wall = malloc(n); /* so that it cannot grow where it is */
	uintptr_t at = (uintptr_t)p;

	mark(p, n, 7);
	p = realloc(p, 4 * n);
	ck_assert_ptr_nonnull(p);
	ck_assert_str_eq(p, SECRET "07");
	ck_assert((uintptr_t)p != at);
	ck_assert(!holds(at + AFTER_LINKS, "-07"));
	p = realloc(p, 24);
	ck_assert_str_eq(p, SECRET "07");
	ck_assert_ptr_null(realloc(p, 0));
	free(wall);
	free(NULL);
	p = realloc(NULL, n);
	ck_assert_ptr_nonnull(p);
	free(p);
}
END_TEST

START_TEST(a_library_frees_through_it)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	uintptr_t at;

	fputs(SECRET "09", f);
	fflush(f);
	at = (uintptr_t)text;
	ck_assert(holds(at + AFTER_LINKS, "-09"));
	for (int i = 0; i < 100000; i++)
		fputc('x', f);
	fflush(f);
	ck_assert((uintptr_t)text != at);
	ck_assert(!holds(at + AFTER_LINKS, "-09"));
	fclose(f);
	free(text);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("wiping_free");
	TCase *t = tcase_create("wiping_free");

	tcase_add_loop_test(t, a_block_that_is_freed_is_empty, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(t, a_block_that_moves_leaves_nothing_behind, 0, ARRAY_LEN(sizes));
	tcase_add_test(t, a_library_frees_through_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
