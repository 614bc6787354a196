/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics, in the text format of Prometheus, and what the API counts of itself. A scrape takes
 * counters from memory and asks the database for what waits, by its indexes; the writer is never waited
 * for.
 */
#pragma once

#include "api/call.h"

struct metrics;

/* Of the requests; begins with the API. */
struct metrics *api_metrics_new(void);
/* A request is over, answered or not. HTTP thread. */
void api_count_request(struct api *a, const struct request *rq);

int get_metrics(struct call *c, struct err *e);
