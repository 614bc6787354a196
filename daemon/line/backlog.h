/* SPDX-License-Identifier: Apache-2.0
 *
 * The line waits for those who are told: where more waits for one of them than `outbox` of provd.yaml allows, no
 * new unit begins (HOLD_BACKLOG) until it has taken enough. What runs goes on, and so does the sending. A
 * thread looks once a second, where there is a limit.
 */
#pragma once

#include "daemon/line/config.h"
#include "db/backlog.h"

struct backlog;
struct line_services;

enum backlog_level { BACKLOG_FINE, BACKLOG_WARNS, BACKLOG_STOPS };
extern const char *const backlog_levels[]; /* NULL-terminated */

/* now_ms: of the wall clock, 0 where it cannot be believed: then nothing is too old. held: the line is held, and
 * goes on at three quarters of what stops it. */
enum backlog_level backlog_judge(
	const struct outbox_config *c, const struct backlog_row *row, int64_t now_ms, bool held);

/* Starts the thread. The services outlive it. */
int backlog_start(
	const struct line_services *line, const char *db_path, struct backlog **ret, struct err *e);
struct backlog *backlog_free(struct backlog *b); /* NULL is fine */
