/* SPDX-License-Identifier: Apache-2.0
 *
 * A foreign program, supervised: an argv list (never a shell), its own process group, stdin closed,
 * a controlled environment, stdout and stderr captured line by line with a cap, TERM and then KILL
 * at the deadline or on cancel, PR_SET_PDEATHSIG so that it dies with provd, and nothing of its
 * group left behind when proc_run() returns. Any thread that has an iotime.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"

enum proc_stream { PROC_STDOUT, PROC_STDERR };

struct proc_opts {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *cwd;	 /* NULL: the caller's */
	const char *const
		*env; /* NULL-terminated NAME=VALUE, added to PATH, LANG=C.UTF-8 and HOME */
	size_t max_output_bytes; /* per stream, what is kept and told; 0: 1 MiB. The rest is read
				    and counted */
	size_t max_line_bytes;	 /* 0: 4096; a longer line is told in pieces */
	uint64_t kill_grace_us;	 /* between TERM and KILL; 0: 2 s */
	/* Each line without its end, as it comes; may be NULL. Bytes are the program's: escape
	 * them. */
	void (*line)(void *data, enum proc_stream stream, const char *bytes, size_t n);
	void *data;
};

struct proc_result {
	int exit_status;   /* -1 if it did not exit by itself */
	int term_signal;   /* 0, or the signal that ended it */
	uint64_t bytes[2]; /* of each stream, all that came */
	bool truncated[2];
};

/* 0 when the program ended by itself, whatever its status; -ERR_TOOL_MISSING if it cannot be
 * started, -ERR_TIMEOUT or the cancel's reason when it had to be stopped. *ret_result is set
 * whenever it was started. */
int proc_run(const struct proc_opts *o, const struct iotime *it, struct proc_result *ret_result,
	struct err *e);
