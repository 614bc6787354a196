/* SPDX-License-Identifier: Apache-2.0
 *
 * The access log: a line for each request that is over, to a file of its own or to the log of the
 * service. Who asks never waits for it: lines go through a box of a bounded size to a thread of its own,
 * and what finds the box full is counted, not written.
 *
 * A line holds who, from where, which route and what came of it: never a path, a query, a header or a
 * body as the client sent it, so that no token or secret can be in it.
 */
#pragma once

#include "api/auth.h"
#include "base/trace_context.h"
#include "daemon/line/config.h"

#define ACCESS_LOG_WAITING 4096 /* lines */

struct access_entry {
	int64_t at_ms; /* when its header was there */
	char request_id[UUID_SIZE];
	char principal[TOKEN_NAME_SIZE]; /* "" nobody */
	char address[ADDRESS_SIZE];
	const char *method,
		*route; /* route: of the table, "" there is none; live as long as the program */
	int status;	/* 0: the client left before an answer */
	int64_t bytes;	/* of the answer's body; -1: a stream */
	uint64_t took_us;
	char trace_id[TRACE_ID_BYTES]; /* "" there is none */
};

struct access_log;

/* path: of ACCESS_LOG_FILE, made (0640) where it is absent. ACCESS_LOG_OFF gives an object that takes no line. */
int access_log_new(enum access_log_to to, const char *path, struct access_log **ret, struct err *e);
/* What waits is written first. */
struct access_log *access_log_free(struct access_log *l);
/* Other lines go there from now on; the same file is opened again, since it may have been moved away. On an
 * error all stays as it was. */
int access_log_reopen(struct access_log *l, enum access_log_to to, const char *path, struct err *e);
/* Whether lines are wanted. Any thread. */
bool access_log_on(struct access_log *l);
/* Any thread, never waits. */
void access_log_add(struct access_log *l, const struct access_entry *entry);
/* Lines that were written, and those that were not: the box was full, or the disk took none. */
void access_log_counts(struct access_log *l, uint64_t *ret_written, uint64_t *ret_dropped);
/* {"time": ..., "principal": ..., ...} and the end of the line; owned by the caller. */
char *access_log_line(const struct access_entry *entry);
