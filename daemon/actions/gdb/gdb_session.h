/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions gdb.* share: the session of a step, and commands of the server's own.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/protocols/gdb/gdb.h"

#define ARG_ROW_GDB_SERVER \
	ARG_ROW_PORT_OF(PORT_KIND_TTY | PORT_KIND_TCP, "role of the GDB server: tcp:HOST:PORT")

struct gdb_session {
	struct step *s;
	const struct args *a;
	struct gdb *gdb;
};

/* s and a are set. */
int gdb_session_open(struct gdb_session *x, struct err *e);
/* A server serves one client: the next step, or another tool, connects again. */
void gdb_session_done(struct gdb_session *x);
/* The monitor commands of the argument of that name, a list; where it is absent, none. */
int gdb_session_monitor(struct gdb_session *x, const char *name, struct err *e);
/* -ERR_DEVICE_REFUSED where the text says that the server does not know the command. */
int gdb_known_command(const char *command, const char *text, struct err *e);
