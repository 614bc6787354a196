/* SPDX-License-Identifier: Apache-2.0
 *
 * A control group (cgroups(7), version 2) of its own for a program and its keeper, below provd's:
 * what is in it is ended by one write of the kernel's, also where the keeper was killed. Made only
 * where systemd has delegated provd's own cgroup to it (Delegate=yes), which it says in the
 * attribute user.delegate: elsewhere the tree belongs to someone else. Private to base/proc.
 */
#pragma once

#include <stdbool.h>

#include "base/util.h"

struct proc_cgroup {
	char path[FILE_PATH_BYTES]; /* "": none */
	int procs_fd;		    /* its cgroup.procs, where the keeper writes itself in; -1 */
};

/* *ret has none where provd may not make one. */
void proc_cgroup_new(struct proc_cgroup *ret);
/* In a forked child: async-signal-safe. */
void proc_cgroup_enter(int procs_fd);
/* Kills all that is in it, and removes it. A group that was not made is fine. */
void proc_cgroup_done(struct proc_cgroup *g);
/* Those that a provd before this one left below the same cgroup. */
void proc_cgroup_sweep(void);
