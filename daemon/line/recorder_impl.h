/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a recorder, shared by recorder.c (a run from its opening to its end) and recorder_unit.c (what a step asks for).
 */
#pragma once

#include "base/trace_context.h"
#include "daemon/line/recorder.h"
#include "daemon/line/services.h"
#include "db/writer.h"

struct taken {
	int64_t step_n, k; /* k: within its step, from 1 */
	char *name;
	bool is_number, has_low, has_high;
	double value, low, high;
	char *text, *unit;
	json_t *detail;
	char verdict[12];
};

struct recorder {
	const struct line_services *line;
	const struct station_config *station; /* lives as long as the station */
	char run_id[UUID_SIZE];
	uint64_t begun_us;
	struct job_claim claim;
	struct trace_context trace; /* id "": none */
	json_t *firmware;
	json_t *names;			/* of its artifacts, by their digests */
	char serial[UNIT_SERIAL_BYTES]; /* that the run has; "" none yet */
	struct run_log *log;
	/* What the next step_end brings to disk with it: */
	struct taken *taken;
	size_t takens;
	/* Of the step that was begun last: */
	int64_t step_n;
	const struct action *action;
	char *intended;	    /* an act happened: goes with the step's end; NULL */
	int64_t intended_n; /* of that step, which may not be the last one any more */
	bool proven;	    /* a golden unit passed, and ended the quarantine */
};

/* Durable when it returns. */
static inline int recorder_write(struct recorder *r,
	int (*apply)(struct db *, void *, struct err *), void *data, struct err *e)
{
	return writer_do(r->line->writer, apply, data, e);
}
