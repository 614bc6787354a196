/* SPDX-License-Identifier: Apache-2.0
 *
 * Which trace an order belongs to, and so all that is done for it (base/trace_context.h).
 */
#pragma once

#include "base/trace_context.h"
#include "db/db.h"

/* In the transaction that makes the job; once. */
int traces_put(struct db *tx, const char *job, const struct trace_context *t, struct err *e);
/* 1 with *ret, 0 where there is no trace (or no such job, run, event). */
int traces_of_job(struct db *d, const char *job, struct trace_context *ret, struct err *e);
int traces_of_run(struct db *d, const char *run, struct trace_context *ret, struct err *e);
int traces_of_event(struct db *d, int64_t seq, struct trace_context *ret, struct err *e);

/* Columns of a statement on `jobs` and on `runs`: the traceparent that came, and that of the run's own span
 * (trace_run_span()); NULL where there is none. */
#define TRACE_OF_JOBS                                                                                   \
	"(SELECT printf('00-%s-%s-%02x', trace_id, parent_id, flags) FROM traces WHERE traces.job_id =" \
	" jobs.id) AS traceparent"
#define TRACE_OF_RUNS                                                                              \
	"(SELECT printf('00-%s-%s%s-%02x', trace_id, substr(runs.id, 20, 4), substr(runs.id, 25)," \
	" flags) FROM traces WHERE traces.job_id = runs.job_id) AS traceparent"
