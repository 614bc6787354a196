/* SPDX-License-Identifier: Apache-2.0
 *
 * `provd --check` and `--check-upgrade`: the configuration, and what a start would do to older records, looked at without
 * starting anything.
 */
#pragma once

/* Prints every mistake on stderr, a summary on stdout. 0 or 2: the exit status. */
int check_configuration(const char *path);
/* Prints what the next start of this provd does to the records in that directory, how long and with how much disk. The exit
 * status: 0 nothing, or it goes through; 1 it would fail, or the disk has no room for it, and why is on stderr; 3 it could only be
 * estimated. */
int check_upgrade(const char *state_dir);
