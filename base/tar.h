/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes an archive of regular files that every tar reads: ustar (POSIX.1-1988, pax(1), "ustar Interchange Format"). Any
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The longest name of a file, without the NUL. */
#define TAR_NAME_MAX 99

/* Where the bytes go: a call of gzip_add() for one. */
struct tar_sink {
	int (*add)(void *data, const void *p, size_t n, struct err *e);
	void *data;
};

/* A file of mode 0600. -ERR_INVALID for a name that is empty or too long; else what the sink says. time: seconds since 1970, UTC. */
int tar_add(const struct tar_sink *to, const char *name, int64_t time, const void *p, size_t n,
	struct err *e);
/* What every archive ends with. */
int tar_end(const struct tar_sink *to, struct err *e);
