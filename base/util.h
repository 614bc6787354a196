/* SPDX-License-Identifier: Apache-2.0
 *
 * The few macros that every room uses: scope-bound cleanup, ownership hand-over, allocation that
 * aborts (small, fixed-size things only; what a peer or a file sizes uses malloc and
 * ERR_NO_MEMORY).
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path of this machine that provd makes or is told, with its end. */
#define FILE_PATH_BYTES 512

#define _cleanup_(f) __attribute__((cleanup(f)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
/* Arguments are evaluated twice: variables and constants only, never a call that does something. */
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Declares foo_freep() for _cleanup_ out of foo_free(), which takes NULL and returns NULL. */
#define DEFINE_CLEANUP(type, free_fn)           \
	static inline void free_fn##p(type **p) \
	{                                       \
		free_fn(*p);                    \
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Takes the pointer out of its variable: `return steal_ptr(&p)`. */
#define steal_ptr(pp)                              \
	({                                         \
		__typeof__(*(pp)) stolen_ = *(pp); \
		*(pp) = NULL;                      \
		stolen_;                           \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* Small allocations: abort on exhaustion. Never for sizes that come from outside. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull)); /* NULL gives "" */
char *xasprintf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, returns_nonnull));
/* Replaces *p by a copy of s (NULL stays NULL). */
void str_replace(char **p, const char *s);
