/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/reports.h"

#define OUTCOMES                                                                               \
	"jsonb_build_object('passed', count(*) FILTER (WHERE outcome = 'passed'), 'failed',"   \
	" count(*) FILTER (WHERE outcome = 'failed'), 'error', count(*) FILTER (WHERE outcome" \
	" = 'error'), 'aborted', count(*) FILTER (WHERE outcome = 'aborted'), 'interrupted',"  \
	" count(*) FILTER (WHERE outcome = 'interrupted'))"
#define COUNTS                                                                                 \
	"'runs', " OUTCOMES ", 'units', count(*) FILTER (WHERE nth = 1), 'first_passed',"      \
	" count(*) FILTER (WHERE nth = 1 AND outcome = 'passed'), 'first_pass_yield',"         \
	" round((count(*) FILTER (WHERE nth = 1 AND outcome = 'passed'))::numeric / nullif("   \
	"count(*) FILTER (WHERE nth = 1), 0), 6), 'run_yield', round((count(*) FILTER (WHERE"  \
	" outcome = 'passed'))::numeric / nullif(count(*) FILTER (WHERE outcome IN ('passed'," \
	" 'failed')), 0), 6)"

int report_yield(struct pool *p, int64_t from_ms, int64_t to_ms, json_t **ret,
	const struct iotime *it, struct err *e)
{
	/* Only passed and failed runs make a unit seen; one that never said which it is, is one by itself. */
	static const char sql[] =
		"WITH seen AS (SELECT id, row_number() OVER (PARTITION BY coalesce(serial, unit, id)"
		" ORDER BY ended_at, id) AS nth FROM runs WHERE kind = 'production' AND outcome IN"
		" ('passed', 'failed')), r AS (SELECT runs.host, runs.model, runs.recipe, runs.outcome,"
		" seen.nth FROM runs LEFT JOIN seen ON seen.id = runs.id WHERE kind = 'production' AND"
		" ended_at >= $1 AND ($2::bigint = 0 OR ended_at < $2::bigint)), g AS (SELECT host,"
		" jsonb_build_object('host', host, 'model', model, 'recipe', recipe, " COUNTS
		") AS o"
		" FROM r GROUP BY host, model, recipe) SELECT jsonb_build_object('groups', coalesce("
		"(SELECT jsonb_agg(o ORDER BY host, o) FROM g), '[]'), 'all', (SELECT"
		" jsonb_build_object(" COUNTS ") FROM r))";

	return read_json(p, &PG(sql, PG_INT(from_ms), PG_INT(to_ms)), ret, it, e);
}

int report_runs(struct pool *p, const char *serial, const char *host, json_t **ret,
	const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'host', host, 'station',"
		" station, 'kind', kind, 'recipe', recipe, 'version', version, 'model', model, 'unit',"
		" unit, 'serial', serial, 'outcome', outcome, 'code', code, 'step', step, 'reference',"
		" reference, 'ended_at', ended_at) ORDER BY ended_at DESC, id DESC), '[]') FROM (SELECT *"
		" FROM runs WHERE ($1::text IS NULL OR serial = $1) AND ($2::text IS NULL OR host = $2)"
		" ORDER BY ended_at DESC, id DESC LIMIT 500) AS newest";

	return read_json(p, &PG(sql, serial, host), ret, it, e);
}

int report_conflicts(struct pool *p, json_t **ret, const struct iotime *it, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY n DESC), '[]') FROM (SELECT * FROM"
		" conflicts ORDER BY n DESC LIMIT 1000) AS c";

	return read_json(p, &PG(sql), ret, it, e);
}
