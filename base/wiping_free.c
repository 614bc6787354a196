/* SPDX-License-Identifier: Apache-2.0
 *
 * free() and realloc() of a program that has secrets in memory: no block is given back with what was in it,
 * whoever had it (our own texts, sqlite's pages, curl's and microhttpd's buffers, lines of stdio). Part of the
 * program itself, so that the libraries find these before those of the C library ("Replacing malloc", glibc
 * manual, 3.2.5), which do the work. Not with a sanitizer, which has an allocator of its own.
 *
 * Any thread. What a stack held is not wiped by it.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/util.h"

extern void __libc_free(void *p);
extern void *__libc_malloc(size_t n);

void free(void *p)
{
	if (!p)
		return;
	secret_wipe(p, malloc_usable_size(p));
	__libc_free(p);
}

/* A block stays where it is while it is neither too small nor more than half empty. */
void *realloc(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *moved;

	if (p && n == 0) {
		free(p);
		return NULL;
	}
	if (p && n <= had && n >= had / 2)
		return p;
	moved = __libc_malloc(n);
	if (!moved)
		return NULL;
	if (p)
		memcpy(moved, p, MIN(n, had));
	free(p);
	return moved;
}
