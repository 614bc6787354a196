/* SPDX-License-Identifier: Apache-2.0
 *
 * A foreign program, supervised: an argv list (never a shell), its own process group, stdin closed,
 * a controlled environment, stdout and stderr captured line by line with a cap, TERM and then KILL
 * at the deadline or on cancel. Nothing that it started runs on after it.
 *
 * Between provd and the program there is a keeper, a fork of provd that is the program's subreaper
 * (prctl(2), PR_SET_CHILD_SUBREAPER): a child that forks twice and takes a session of its own
 * becomes the keeper's child and ends with the program. A subreaper is a property of a whole
 * process: if provd were the subreaper, it would not know which station an orphan belongs to. The
 * keeper ends everything as soon as its socket to provd closes, so that a provd which is killed
 * leaves nothing running either. Where the keeper itself was killed, the rest ends with the
 * program's cgroup (base/proc_cgroup.h) if there is one, else proc_sweep() finds it by its mark.
 * Any thread that has an iotime.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"

/* What every program started by this provd has in its environment, once proc_mark() was called. */
#define PROC_MARK "PROVD_RUN"
/* `slow` is called when this part of the time has passed: 3 is a third. */
#define PROC_SLOW_PART 3

enum proc_stream { PROC_STDOUT, PROC_STDERR };

struct proc_opts {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *cwd;	 /* NULL: the caller's */
	const char *const
		*env;	     /* NULL-terminated NAME=VALUE, added to PATH, LANG=C.UTF-8 and HOME */
	const char *own_dir; /* that it may write, where programs are confined; NULL: cwd */
	size_t max_output_bytes; /* per stream, what goes to line(); 0: 1 MiB. The rest is read
				    and counted */
	size_t max_line_bytes;	 /* 0: 4096; a longer line comes in pieces */
	bool cr_ends_line;	 /* CR ends a line as well: progress that overwrites itself */
	bool terminal;		/* stdout is a terminal (raw, 200 columns, not the controlling one):
				   for programs that keep what they say until a pipe is full */
	uint64_t kill_grace_us; /* between TERM and KILL; 0: 2 s */
	/* Each line without its end, as it comes; may be NULL. Bytes are the program's: escape
	 * them. */
	void (*line)(void *data, enum proc_stream stream, const char *bytes, size_t n);
	/* Once, when a third of the time until the deadline has gone by; may be NULL. */
	void (*slow)(void *data, uint64_t elapsed_us, uint64_t budget_us);
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

/* --- a program that lives next to what its starter does: a server ---
 *
 * One thread uses it at a time. It ends by itself, by proc_end(), or with provd. */
struct proc;

/* `o` is copied but not what it points at: argv, env, cwd are read only now, `data` lives until
 * proc_end(). The deadline of `it` bounds the start. -ERR_TOOL_MISSING if it cannot be started. */
int proc_start(
	const struct proc_opts *o, const struct iotime *it, struct proc **ret, struct err *e);
/* Takes its output (or the server would stop once a pipe is full) while it waits until fd is
 * ready for `events`: the revents (> 0), 0 when the program has ended, -ERR_TIMEOUT or the cancel's
 * reason. fd -1 waits for its end alone; a deadline in the past takes what is there. */
int proc_wait_fd(struct proc *p, int fd, short events, const struct iotime *it, struct err *e);
bool proc_ended(const struct proc *p);
/* TERM, grace, KILL where it still runs; ends all that it started. ret_result may be NULL. p may be
 * NULL. Returns NULL. */
struct proc *proc_end(struct proc *p, struct proc_result *ret_result);

/* The file that is run for argv[0] `name`, NULL where there is none that may be run; owned by the
 * caller. */
char *proc_find(const char *name);

/* --- orphans of a provd that has ended --- */

/* The name of an installation: of its state directory, which exists. */
int proc_mark_of(const char *state_dir, char ret[64], struct err *e);
/* From now on programs are started with this mark. Before the first thread. */
void proc_mark(const char *mark);
/* From now on every program is confined by this (base/sandbox.h); NULL: none is. The policy is not
 * copied, and outlives every start of a program. Any thread. */
struct sandbox_policy;
void proc_confine(const struct sandbox_policy *policy);
/* Kills every process of this user that carries the mark, but not the caller. Only for the
 * process that holds the installation's lock: whatever carries the mark then is an orphan. Returns
 * how many. */
unsigned proc_sweep(const char *mark);
