/* SPDX-License-Identifier: Apache-2.0 */
#include "db/traces.h"

#include "db/stmt.h"

int traces_put(struct db *tx, const char *job, const struct trace_context *t, struct err *e)
{
	static const char sql[] =
		"INSERT INTO traces (job_id, trace_id, parent_id, flags, tracestate)"
		" VALUES (?, ?, ?, ?, ?)";

	return MIN(db_run(tx, e, sql, job, t->id, t->parent, (int64_t)t->flags, t->state), 0);
}

struct trace_row {
	char trace_id[TRACE_ID_BYTES], parent_id[TRACE_SPAN_BYTES], tracestate[TRACE_STATE_BYTES];
	int64_t flags;
};

#define COLUMNS "trace_id, parent_id, flags, tracestate"
static const struct column columns[] = {COL(struct trace_row, trace_id),
	COL(struct trace_row, parent_id), COL(struct trace_row, flags),
	COL(struct trace_row, tracestate), {0}};

static int take(const struct trace_row *row, int r, struct trace_context *ret)
{
	*ret = (struct trace_context){0};
	if (r <= 0)
		return r;
	memcpy(ret->id, row->trace_id, sizeof ret->id);
	memcpy(ret->parent, row->parent_id, sizeof ret->parent);
	memcpy(ret->state, row->tracestate, sizeof ret->state);
	ret->flags = (uint8_t)row->flags;
	return 1;
}

int traces_of_job(struct db *d, const char *job, struct trace_context *ret, struct err *e)
{
	SELECT(find, "SELECT " COLUMNS " FROM traces WHERE job_id = ?", columns);
	struct trace_row row = {0};
	int r = select_one(d, e, &find, &row, job);

	return take(&row, r, ret);
}

int traces_of_run(struct db *d, const char *run, struct trace_context *ret, struct err *e)
{
	SELECT(find,
		"SELECT " COLUMNS
		" FROM traces WHERE job_id = (SELECT job_id FROM runs WHERE id = ?)",
		columns);
	struct trace_row row = {0};
	int r = select_one(d, e, &find, &row, run);

	return take(&row, r, ret);
}

int traces_of_event(struct db *d, int64_t seq, struct trace_context *ret, struct err *e)
{
	SELECT(find,
		"SELECT " COLUMNS
		" FROM traces WHERE job_id = (SELECT job_id FROM events WHERE seq = ?)",
		columns);
	struct trace_row row = {0};
	int r = select_one(d, e, &find, &row, seq);

	return take(&row, r, ret);
}
