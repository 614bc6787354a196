/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions gdb.* share: the session of a step, and commands of the server's own.
 */
#pragma once

#include "daemon/actions/common.h"
#include "daemon/actions/tools/openocd.h"
#include "transports/protocols/gdb/gdb.h"

#define ARG_ROW_GDB_SERVER \
	ARG_ROW_PORT_OF(PORT_KIND_TTY | PORT_KIND_TCP, "role of the GDB server: tcp:HOST:PORT")

/* Of actions that may start the server themselves: the port is that of the probe then. */
#define ARG_ROWS_GDB_SERVER                                                                            \
	ARG_ROW_PORT_OF(PORT_KIND_TTY | PORT_KIND_TCP | PORT_KIND_PROBE | PORT_KIND_USB,               \
		"role of the GDB server: tcp:HOST:PORT; with 'serve' that of the probe, as openocd.* " \
		"take it"),                                                                            \
		{.name = "serve",                                                                      \
			.type = ARG_CHOICE,                                                            \
			.def = "none",                                                                 \
			.choices = gdb_serves,                                                         \
			.doc = "openocd: starts OpenOCD as the server, for this step alone"},          \
		OPENOCD_ROWS_ADAPTER(false)

extern const char *const gdb_serves[];

struct gdb_session {
	struct step *s;
	const struct args *a;
	struct step_result *out; /* of an action that has `serve` */
	struct gdb *gdb;
	struct openocd_step probe;
	struct openocd_server *server;
};

/* Of ARG_ROWS_GDB_SERVER: what belongs to `serve` is there with it, and only with it. */
int gdb_session_check(const struct args *a, struct err *e);

/* s and a are set. */
int gdb_session_open(struct gdb_session *x, struct err *e);
/* A server that was started for the step: what it printed is judged, and it ends. r: what came of the session, with its err in e;
 * the result. Without one r. */
int gdb_session_end(struct gdb_session *x, int r, struct err *e);
/* A server serves one client: the next step, or another tool, connects again. */
void gdb_session_done(struct gdb_session *x);
/* The monitor commands of the argument of that name, a list; where it is absent, none. */
int gdb_session_monitor(struct gdb_session *x, const char *name, struct err *e);
/* -ERR_DEVICE_REFUSED where the text says that the server does not know the command. */
int gdb_known_command(const char *command, const char *text, struct err *e);
