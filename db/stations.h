/* SPDX-License-Identifier: Apache-2.0
 *
 * What a station knows again after a restart of provd: whether a person or its failures hold it,
 * its last run, and whether the unit that is plugged there has had it.
 */
#pragma once

#include "db/db.h"
#include "db/pattern.h"

struct station_row {
	char plugged[1024]; /* "" nothing that has had its run */
	char held[16];	    /* "", "disabled", "quarantined" */
	char code[32];	    /* of `held` */
	char message[ERR_TEXT_BYTES];
	char fail_step[65]; /* at which the last units failed, in a row */
	int64_t fail_count;
};

/* Nothing holds it any more. */
static inline void station_row_let_go(struct station_row *row)
{
	row->held[0] = row->code[0] = row->message[0] = row->fail_step[0] = 0;
	row->fail_count = 0;
}
/* In the transaction of what it belongs to: the end of a run, a command. Where `held` is another than before it is an event:
 * station-held or station-freed. by: who did it, NULL for the line itself; run: at whose end, or NULL. */
int stations_put(struct db *tx, const char *station, const struct station_row *row, const char *by,
	const char *run, struct err *e);
/* A station that never was: a zeroed row. */
int stations_get(struct db *d, const char *station, struct station_row *ret, struct err *e);

/* The last run that ended. */
struct station_last {
	char run[DB_ID_SIZE]; /* "" none */
	char serial[LEDGER_VALUE_SIZE];
	char outcome[16];
	char code[32];
	char step[65];
	char message[ERR_TEXT_BYTES];
	int64_t ended_ms;
};

int stations_last(struct db *d, const char *station, struct station_last *ret, struct err *e);

struct station_counts {
	unsigned passed, failed, error, aborted;
};

/* Of the runs that ended since then. */
int stations_count(struct db *d, const char *station, int64_t since_ms, struct station_counts *ret,
	struct err *e);
