/* SPDX-License-Identifier: Apache-2.0
 *
 * What a station knew before a restart of provd: what holds it, its last run, the counts of the
 * day. Worker threads.
 */
#pragma once

#include "base/err.h"
#include "db/power.h"
#include "db/stations.h"

struct writer;

struct station_memory {
	struct station_row row;
	struct station_last last;
	struct station_counts today;
	struct power_owed power;
};

/* today began at since_ms. */
int station_memory_recall(struct writer *w, const char *station, int64_t since_ms,
	struct station_memory *ret, struct err *e);
/* What the power is owed, durably; NULL: nothing any more. */
int station_memory_owe(
	struct writer *w, const char *station, const struct power_owed *p, struct err *e);
/* Something of it changed outside a run (durable). by: as stations_put(). */
int station_memory_note(struct writer *w, const char *station, const struct station_row *row,
	const char *by, struct err *e);
