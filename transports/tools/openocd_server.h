/* SPDX-License-Identifier: Apache-2.0
 *
 * An OpenOCD that stays, so that a row of units pays its start-up once. It listens on a port of
 * 127.0.0.1 that the kernel chose, and takes its orders over its Tcl server
 * (transports/tools/openocd_rpc.h). What it prints is taken while it is waited for, and judged
 * by the same rules as that of one that ends (tool_watch_* of transports/tools/tool.h).
 *
 *	worker                                     openocd
 *	start ------------------------------------> ...
 *	      <------------------------------------ "Listening on port N for tcl connections"
 *	run: files, a command --------------------> at work
 *	      <------------------------------------ lines, by a pipe
 *	      <------------------------------------ result, by TCP
 *	     echo MARK ---------------------------->
 *	      <------------------------------------ MARK: all lines before it have come
 *
 * Between two jobs no one listens to it: one that prints without end stops at a full pipe,
 * and costs nothing. It belongs to one worker, holds its probe as long as it lives, and ends with
 * provd (base/proc.h). A job that failed leaves it in doubt: openocd_server_fit() is false then,
 * and the next job starts another.
 */
#pragma once

#include "transports/tools/openocd.h"

struct openocd_server;
struct link;

/* Starts it and waits until it answers. Errors as openocd_run(); -ERR_TOOL_FAILED also where it
 * listens on no port in time, or its answer cannot be read. */
int openocd_server_start(const struct openocd_probe *p, const struct teller *tell,
	const struct iotime *it, struct openocd_server **ret, struct err *e);
/* The port on which it serves GDB's protocol for its target, the first where there are several, as a link: it is the server's, and
 * lives as long. What OpenOCD prints is read while the link waits, goes into the log, and is judged by openocd_server_gdb_end().
 * Of a probe with `gdb`, once. -ERR_TOOL_FAILED where it serves none. */
int openocd_server_gdb(struct openocd_server *s, const struct teller *tell, const struct iotime *it,
	struct link **ret, struct err *e);
/* After the last byte over that link. ran: what came of it, with its err in e; the result, with what OpenOCD printed as the reason
 * where that says more. */
int openocd_server_gdb_end(struct openocd_server *s, int ran, struct err *e);
/* Ends it: nothing of it is left. Takes NULL, returns NULL. */
struct openocd_server *openocd_server_free(struct openocd_server *s);
DEFINE_CLEANUP(struct openocd_server, openocd_server_free)

/* Whether it was started for just that probe and target, no job failed, and it answers now. What
 * it printed since the last job goes into the log, and is judged with no job. */
bool openocd_server_fit(struct openocd_server *s, const struct openocd_probe *p,
	const struct teller *tell, const struct iotime *it);
/* How many jobs it has done. */
unsigned openocd_server_jobs(const struct openocd_server *s);
/* A script of provd's own, once: *ret is its result, which is in no log and is not judged as a line (what it
 * prints is). Nothing of it is in a command line or in a file, so that it may hold a secret. Errors as
 * openocd_run(); their text may quote the script. */
int openocd_server_ask(struct openocd_server *s, const char *script, const struct teller *tell,
	const struct iotime *it, char **ret, struct err *e);
/* As openocd_run(). */
int openocd_server_run(struct openocd_server *s, const struct openocd_job *j,
	const struct teller *tell, const struct iotime *it, struct openocd_result *ret,
	struct err *e);
