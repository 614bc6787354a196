/* SPDX-License-Identifier: Apache-2.0
 *
 * What a station knows again after a restart of provd: its last run, and whether the unit that is
 * plugged there has had it.
 */
#pragma once

#include "db/db.h"

#define STATION_PLUGGED_SIZE 1024

struct station_memory {
	char plugged[STATION_PLUGGED_SIZE]; /* as stations_served was told; "" nothing is known */
	char run[DB_ID_SIZE]; /* the last that ended; "" none, and all below with it */
	char serial[64];
	char outcome[16];
	char code[32];
	char step[65];
	char message[320];
	int64_t ended_ms;
};

/* In the transaction that ends the run of what is plugged; NULL or "" in the one that opens a run:
 * from here on nothing has had its run. */
int stations_served(struct db *tx, const char *station, const char *plugged, struct err *e);
int stations_recall(struct db *d, const char *station, struct station_memory *ret, struct err *e);
