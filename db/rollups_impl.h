/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to the rollups: what their statements have in common.
 */
#pragma once

#include "db/bind.h"
#include "db/rollups.h"

/* A run that is known to have taken no time, or not known, adds none. */
#define BUSY_MS \
	"max(0, coalesce(duration_ms, ended_at - coalesce(started_at, attached_at))) AS busy_ms"
/* The same for each span. */
#define SPANS "(VALUES (3600), (86400), (2764800)) s"

/* Runs that count, among those of the unit of r. */
#define OF_ITS_UNIT                                                            \
	"FROM runs p WHERE p.unit_id = r.unit_id AND p.state = 'finished' AND" \
	" p.kind = 'production' AND p.outcome IN ('passed', 'failed')"
/* Where r is the first of them, in all recipes or in its own. */
#define IS_FIRST(scope)                                     \
	"r.outcome IN ('passed', 'failed') AND NOT EXISTS " \
	"(SELECT 1 " OF_ITS_UNIT scope " AND p.chain < r.chain)"
#define IN_ALL	       ""
#define IN_ITS_PROCESS " AND p.recipe IS r.recipe"
/* Parameters of a reader: ?1 from, ?2 to, ?3 job or span, ?4 station, ?5 recipe, ?6 version, ?7 of the
 * reader, ?8 fixture. */
#define OF_FILTER                                                                \
	" AND (?4 IS NULL OR station = ?4) AND (?5 IS NULL OR recipe = ?5) AND " \
	"(?6 = 0 OR version = ?6) AND (?8 IS NULL OR fixture = ?8)"

/* Of a job, of the rollups, of the runs: which statement, and its third parameter. */
enum source { OF_JOB, OF_ROLLUPS, OF_RUNS };

static inline enum source source_of(
	const struct rollup_range *range, const struct rollup_filter *f, struct bind *ret_third)
{
	*ret_third = f->job	     ? bind_text(f->job)
		     : range->span_s ? bind_int(range->span_s)
				     : BIND_NULL;
	return f->job ? OF_JOB : range->span_s ? OF_ROLLUPS : OF_RUNS;
}
