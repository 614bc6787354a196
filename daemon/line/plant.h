/* SPDX-License-Identifier: Apache-2.0
 *
 * This host as one of a plant (`plant` of provd.yaml names the service): one thread that proves to the plant which host
 * this is, sends all events and runs in their order, and keeps numbers leased (db/plant.h).
 *
 *	opened ─> place compared ─┬─ as before: the plant is asked whether the session is ours; where nobody answers it is
 *	                          └─ another: a new session, and until then no number of the plant
 *	every second: what became of events ─> batch ─> taken ─> how far, on disk
 *	              pools that run low    ─> lease  ─> on disk, then given out
 *	              too little to do      ─> a part of an order ─> an order of this host, which ends with it
 *
 * The home is a digest of the machine and the file of the database, the place one of the home and the machine's start. A
 * copy has another home wherever it runs, and a machine that was rolled back as a whole has another place. A plant that
 * refuses this host holds the line (HOLD_PLANT) until it takes it again; one that is away holds nothing.
 */
#pragma once

#include "base/err.h"

struct line_services;
struct plant;

/* Before the first station works: whose the session is has to be proven again. main. */
int plant_prepare(const struct line_services *line, const char *db_path, struct err *e);
/* Starts the thread, which does nothing without `plant`. The services outlive it. */
int plant_start(
	const struct line_services *line, const char *db_path, struct plant **ret, struct err *e);
struct plant *plant_free(struct plant *p); /* NULL is fine */
