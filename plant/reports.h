/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of the records of all hosts.
 */
#pragma once

#include "plant/audit.h"

/* {groups: [{host, model, recipe, runs: {passed, failed, error, aborted, interrupted}, units, first_passed,
 * first_pass_yield, run_yield}], all: {...}} of production runs that ended from from_ms on and before to_ms (0: open).
 * The first run of a unit is its first one at any host. A yield of nothing is null. */
int report_yield(struct pool *p, int64_t from_ms, int64_t to_ms, json_t **ret,
	const struct iotime *it, struct err *e);
/* The runs that ended last, newest first, at most 500; serial and host may be NULL. Each with its host. */
int report_runs(struct pool *p, const char *serial, const char *host, json_t **ret,
	const struct iotime *it, struct err *e);
/* Values that two units claim: the newest first, at most 1000. */
int report_conflicts(struct pool *p, json_t **ret, const struct iotime *it, struct err *e);
