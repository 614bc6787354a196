/* SPDX-License-Identifier: Apache-2.0
 *
 * What proc.c and the keeper (proc_keeper.c) say to each other over a SOCK_SEQPACKET pair: one
 * record a message, both ends the same program. The end of the stream is a message as well: the
 * keeper has finished, or provd is dead.
 */
#pragma once

#include <sys/types.h>

enum keeper_order {
	KEEPER_TERM = 'T', /* TERM to the program's group */
	KEEPER_KILL = 'K'  /* KILL to all that it started, reap them, end */
};

/* keeper -> provd: the program has ended; wait(2)'s status. */
struct keeper_note {
	int status;
};

/* All made before the fork: the keeper allocates nothing. */
struct keeper_task {
	const char *path;
	char *const *argv;
	char *const *env;
	const char *cwd; /* or NULL */
	int control;	 /* the keeper's end of the pair */
	int out, err;	 /* write ends */
	int exec;	 /* write end: errno of a failed exec; closed by a successful one */
	int sandbox;	 /* rules that the program enters, -1: none */
	int cgroup;	 /* cgroup.procs of the program's own, -1: none */
};

/* The rest of a forked child's life. */
_Noreturn void keeper_main(const struct keeper_task *t);
