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
/* Each argument is evaluated once: MIN(db_int(...), 0) asks the database once, also where it fails. What is never run
 * has the compiler compare their signs. */
#define PICK_(a, b, op, x, y)                      \
	({                                         \
		__typeof__(1 ? (a) : (b)) x = (a); \
		__typeof__(x) y = (b);             \
		if (0)                             \
			(void)((a)op(b));          \
		x op y ? x : y;                    \
	})
#define PICK_NAMED_(a, b, op, n)	PICK_(a, b, op, JOIN_(pick_a_, n), JOIN_(pick_b_, n))
#define JOIN_(a, b)			JOIN_AGAIN_(a, b)
#define JOIN_AGAIN_(a, b)		a##b
#define MIN(a, b)			PICK_NAMED_(a, b, <, __COUNTER__)
#define MAX(a, b)			PICK_NAMED_(a, b, >, __COUNTER__)
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
