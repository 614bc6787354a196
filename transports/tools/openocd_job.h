/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of one job of OpenOCD: what openocd.c runs, and the tests look at.
 */
#pragma once

#include "transports/tools/openocd.h"

#define OPENOCD_ARGS_MAX 160
/* Where OpenOCD runs: a script that fails where an image is not wholly in flash (openocd_files.c).
 */
#define OPENOCD_BANKS_FILE "ibanks.tcl"

struct openocd_argv {
	char *arg[OPENOCD_ARGS_MAX + 1]; /* NULL-terminated */
	size_t n;
};

/* Checks all words and lists the arguments. -ERR_RECIPE_INVALID. */
int openocd_argv_make(const struct openocd_probe *p, const struct openocd_job *j,
	struct openocd_argv *ret, struct err *e);
/* The same for a server that stays, on a port of its own choice; and a job's commands for it, each
 * after a "-c". */
int openocd_argv_server(const struct openocd_probe *p, struct openocd_argv *ret, struct err *e);
int openocd_argv_commands(const struct openocd_job *j, struct openocd_argv *ret, struct err *e);
/* The program and its probe alone, and a command after that: for chains that have no target file. */
int openocd_argv_probe(const struct openocd_probe *p, struct openocd_argv *ret, struct err *e);
void openocd_argv_command(struct openocd_argv *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void openocd_argv_done(struct openocd_argv *v);
