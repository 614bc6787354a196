/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes to the plant at a time (daemon/line/plant.h): the next events of the outbox, a run's with its report.
 */
#pragma once

#include <jansson.h>

#include "db/db.h"

#define PLANT_BATCH_EVENTS 500

struct plant_batch_limits {
	size_t batch_bytes; /* what makes it larger comes next, alone where it has to */
	size_t report_bytes; /* a larger one goes without measurements, evidence and outputs, as far as it has to, and says so
				(`left_out` of the report) */
};
extern const struct plant_batch_limits plant_batch_limits;

/* ret: {record, told} of each event after `seen`, also where it fails; the caller's. ret_last: the last event that it has,
 * `seen` where there is none. */
int plant_batch(struct db *d, int64_t seen, const struct plant_batch_limits *l, json_t **ret,
	int64_t *ret_last, struct err *e);
