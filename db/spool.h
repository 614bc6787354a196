/* SPDX-License-Identifier: Apache-2.0
 *
 * How far events were written to the spool folder (daemon/line/spool.h writes them).
 */
#pragma once

#include "db/db.h"

#define SPOOL_SCAN 1000 /* events that one call looks at */

/* The folder of now, with its end "" none: another one begins with the next event, and that of before is forgotten. */
int spool_begin(struct db *tx, const char *dir, struct err *e);
/* 1 with how far it is, 0 where spool_begin() is needed, or an error. dir "": 0 where a row is left. */
int spool_place(struct db *d, const char *dir, int64_t *ret_seen, struct err *e);
/* The next events of these types, at most max; ret_upto: how far there is nothing else. */
int spool_next(struct db *d, int64_t seen, const json_t *types, size_t max, int64_t *ret_seq,
	size_t *ret_n, int64_t *ret_upto, struct err *e);
/* Files are there up to that event; message: why the next one is not, NULL. */
int spool_seen(struct db *tx, int64_t seen, const char *message, struct err *e);

struct spool_state {
	char dir[FILE_PATH_BYTES], message[ERR_TEXT_BYTES]; /* "" none */
	int64_t waiting, oldest_ms, failing_since_ms;	    /* 0: nothing, not */
};
/* 1 with it, 0 where there is no folder, or an error. waiting: an upper bound. */
int spool_state(struct db *d, struct spool_state *ret, struct err *e);
/* Of the events, those from here on are still to be written; INT64_MAX: none. */
int spool_need(struct db *d, int64_t *ret, struct err *e);
