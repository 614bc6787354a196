/* SPDX-License-Identifier: Apache-2.0
 *
 * What the line counts of itself for /metrics: runs, steps, what was plugged. In memory, from the start
 * of this process on. Labels are what an installation has few of (stations, recipes) or what provd's own
 * tables name (actions, outcomes, codes); a step's id and a serial number are none. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

struct meters;
struct metrics;

struct meters *meters_new(void);
struct meters *meters_free(struct meters *m);
struct metrics *meters_metrics(const struct meters *m);

/* All of these take NULL for m: nobody counts. */
void meters_run(struct meters *m, const char *station, const char *recipe, const char *outcome,
	enum err_code code, uint64_t took_us);
void meters_step(struct meters *m, const char *station, const char *action, const char *outcome,
	enum err_code code, uint64_t took_us);

enum plug_event { PLUG_IN, PLUG_OUT, PLUG_WRONG };
void meters_plug(struct meters *m, const char *station, enum plug_event what);
/* A request to a webhook has ended. result: "taken", "refused", "unreachable". */
void meters_webhook(struct meters *m, const char *result, uint64_t took_us);
/* A message of CFX has an end: one of amqp_ends, or "no-answer". */
void meters_cfx(struct meters *m, const char *end);
