/* SPDX-License-Identifier: Apache-2.0
 *
 * /records: which database this is, whether it can be relied on, and a person's word where provd
 * must not decide (daemon/line/records.h).
 */
#include "api/route.h"
#include "base/util.h"

static int read_epochs(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	struct marks_head head;
	json_t *epochs = NULL;
	int r = lineage_head(d, &head, e);

	if (r == 0)
		r = lineage_list(d, &epochs, e);
	if (r == 0)
		*ret = json_pack("{s:I, s:o}", "last_seq", (json_int_t)head.seq, "epochs", epochs);
	return r;
}

static int get_records(struct call *c, struct err *e)
{
	json_t *epochs = NULL;
	json_t *o;
	int r = api_read(c, read_epochs, &epochs, e);

	if (r < 0)
		return r;
	o = records_json(fleet_records(c->api->fleet));
	json_object_update_new(o, epochs);
	response_json(c->rs, 200, o);
	return 0;
}

struct word {
	struct records *records;
	const char *by, *reason;
	const json_t *pools;
	bool done; /* now, not by a request that this one repeats */
};

struct accept_form {
	char *reason;
	const json_t *pools;
};

#define REASON_ROW                                                            \
	{                                                                     \
		"reason", FORM_TEXT, .required = true, .low = 1, .high = 300, \
				     .doc = "Why: it stays on record.",       \
				     FORM_AT(struct accept_form, reason)      \
	}

static const struct form_row accept_rows[] = {
	REASON_ROW,
	{"pools", FORM_MAPPING, .schema = "{\"type\":\"integer\"}",
		.doc = "The next number of pools, where the line does not know what was given out.",
		FORM_AT(struct accept_form, pools)},
	{0},
};
/* The same struct, without pools. */
static const struct form_row clock_rows[] = {REASON_ROW, {0}};

static int read_word(struct call *c, struct word *ret, struct err *e)
{
	const struct accept_form *f = api_form(c, e);

	if (!f)
		return -(int)e->code;
	*ret = (struct word){.records = fleet_records(c->api->fleet),
		.by = c->who->name,
		.reason = f->reason,
		.pools = f->pools};
	return 0;
}

static int apply_accept(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct word *w = data;

	return records_accept_apply(w->records, tx, w->pools, w->by, w->reason, ret, e);
}

static void accept_done(void *data)
{
	((struct word *)data)->done = true;
}

static int post_accept(struct call *c, struct err *e)
{
	struct word w;
	struct change ch = {.apply = apply_accept,
		.committed = accept_done,
		.data = &w,
		.status = 200,
		.audit = "records.accept",
		.target = "records"};
	int r = read_word(c, &w, e);

	if (r == 0)
		r = api_change(c, &ch, e);
	if (r == 0 && w.done)
		r = records_accepted(w.records, e);
	return r;
}

static int apply_clock(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct word *w = data;

	return records_accept_clock_apply(w->records, tx, w->by, w->reason, ret, e);
}

static void clock_accepted(void *data)
{
	records_clock_accepted(((struct word *)data)->records);
}

static int post_accept_clock(struct call *c, struct err *e)
{
	struct word w;
	struct change ch = {.apply = apply_clock,
		.committed = clock_accepted,
		.data = &w,
		.status = 200,
		.audit = "records.accept-clock",
		.target = "records"};
	int r = read_word(c, &w, e);

	return r < 0 ? r : api_change(c, &ch, e);
}

const struct route routes_records[] = {
	{HTTP_GET, "/api/v1/records", MAY_READ, ROUTE_NO_BODY, 0, get_records},
	{HTTP_POST, "/api/v1/records/actions/accept", MAY_ADMIN | ROLE_BIT(SUPERVISOR),
		ROUTE_WHEN_HELD, 0, post_accept, NULL, FORM(accept_rows, struct accept_form)},
	{HTTP_POST, "/api/v1/records/actions/accept-clock", MAY_ADMIN | ROLE_BIT(SUPERVISOR),
		ROUTE_WHEN_HELD, 0, post_accept_clock, NULL, FORM(clock_rows, struct accept_form)},
	{0},
};
