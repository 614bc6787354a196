/* SPDX-License-Identifier: Apache-2.0
 *
 * What a foreign program may touch, by Landlock (landlock(7), Linux 5.13 and later): it needs no
 * privileges, is inherited by all that the program starts, and cannot be taken off again.
 *
 *   read and run   the whole system, except what is hidden: the state directory with the records
 *                  and keys, secrets, credentials
 *   write          a directory of its own, and devices (the service manager and the file modes say
 *                  which; nodes come and go while a unit restarts)
 *   signals, abstract sockets   no process outside (Linux 6.12)
 *   tracing        nothing attaches to a process outside, nor reads its memory
 *
 * Not covered: sockets that have a path, and what /proc says of processes of the same user (provd's
 * environment holds no secret). A bind mount shows what is hidden under another path.
 *
 * Any thread; the child's part is async-signal-safe.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct sandbox_policy {
	const char *const *hidden;   /* NULL-terminated absolute paths; absent ones hide nothing */
	const char *const *visible;  /* may be read though they are in a hidden one; NULL: none */
	const char *const *writable; /* trees that may be written too; NULL: none */
};

/* Whether this kernel can. */
bool sandbox_supported(void);
/* A descriptor of the rules (close-on-exec), for one program: made before its fork. dir: its own
 * directory, NULL: none. -ERR_UNSUPPORTED where the kernel cannot. */
int sandbox_new(const struct sandbox_policy *p, const char *dir, int *ret_fd, struct err *e);
/* In the child, for good: 0 or an errno. */
int sandbox_enter(int fd);
