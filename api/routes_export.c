/* SPDX-License-Identifier: Apache-2.0
 *
 * /records/checkpoints, /runs/{id}/record, /units/{id}/record and the page about a unit: records for those
 * who verify them elsewhere (docs/records.md).
 */
#include "api/conformance.h"
#include "api/route.h"
#include "base/jcs.h"
#include "base/util.h"
#include "db/archives.h"
#include "db/checkpoints.h"
#include "db/record_export.h"

/* --- checkpoints --- */

static int read_checkpoints(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return checkpoints_list(d, page, ret, e);
}

static int read_archives(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return archives_list(d, page, ret, e);
}

static int get_archives(struct call *c, struct err *e)
{
	return api_answer_page(c, read_archives, e);
}

static int get_checkpoints(struct call *c, struct err *e)
{
	return api_answer_page(c, read_checkpoints, e);
}

static int read_checkpoint(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return checkpoints_get(d, ret, e);
}

static int get_checkpoint(struct call *c, struct err *e)
{
	return api_answer_one(c, read_checkpoint, e);
}

static int post_checkpoint(struct call *c, struct err *e)
{
	int r = fleet_checkpoint(c->api->fleet, e);

	if (r == 0)
		r = api_audit(c, "records.checkpoint", "records", e);
	return r < 0 ? r : api_answer_one(c, read_checkpoint, e);
}

/* --- records --- */

static int read_run_record(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return record_of_run(d, request_param(c->rq, "id"), ret, e);
}

static int get_run_record(struct call *c, struct err *e)
{
	return api_answer_one(c, read_run_record, e);
}

/* Digits alone; `absent` where the query has none. */
static int number_query(
	const struct call *c, const char *name, int64_t absent, int64_t *ret, struct err *e)
{
	const char *s = request_query(c->rq, name);
	size_t n = s ? strspn(s, "0123456789") : 0;

	if (s && (n == 0 || n > 15 || s[n]))
		return err_set(e, ERR_INVALID, "'%s' must be the number of a record", name);
	*ret = s ? strtoll(s, NULL, 10) : absent;
	return 0;
}

static int read_range(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	int64_t from = 0, to = 0;
	int r = number_query(c, "from", 1, &from, e);

	if (r == 0)
		r = number_query(c, "to", 0, &to, e);
	return r < 0 ? r : record_range(d, from, to, ret, e);
}

static int get_range(struct call *c, struct err *e)
{
	return api_answer_one(c, read_range, e);
}

static int read_unit_record(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return record_of_unit(d, request_param(c->rq, "id"), ret, e);
}

/* The name of who signs; NULL where nobody was asked for and there is none: what is in it is under the
 * checkpoint. */
static const char *signer_of(struct call *c)
{
	const char *asked = request_query(c->rq, "signer");
	struct config *config = asked ? NULL : fleet_config(c->api->fleet);
	bool has = false;

	for (size_t i = 0; config && i < config->keys.signers; i++)
		has |= !strcmp(config->keys.signer[i].name, "records") &&
		       config->keys.signer[i].signs == SIGNS_DOCUMENTS;
	config_unref(config);
	return asked ? asked : has ? "records" : NULL;
}

static int get_unit_record(struct call *c, struct err *e)
{
	_cleanup_(freep) char *payload = NULL;
	json_t *statement = NULL;
	int r = api_read(c, read_unit_record, &statement, e);

	if (r == 0)
		r = jcs(statement, &payload, e);
	json_decref(statement);
	return r < 0 ? r : api_answer_envelope(c, signer_of(c), payload, "unit.record", e);
}

/* --- the page --- */

static int read_conformance(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return record_conformance(d, request_param(c->rq, "id"), ret, e);
}

static int get_conformance(struct call *c, struct err *e)
{
	_cleanup_(freep) char *policy = conformance_policy();
	json_t *facts = NULL;
	int r = api_read(c, read_conformance, &facts, e);
	char *page;

	if (r < 0)
		return r;
	page = conformance_page(facts);
	json_decref(facts);
	api_page_guards(c, policy);
	response_text(c->rs, 200, "text/html; charset=utf-8", page, strlen(page));
	return 0;
}

static const struct query_param query_page[] = {QUERY_PAGE, {0}};
static const struct query_param query_signer[] = {{"signer", NULL}, {0}};

static const struct query_param query_range[] = {{"from", NULL}, {"to", NULL}, {0}};

const struct route routes_export[] = {
	{HTTP_GET, "/api/v1/records/range", MAY_READ, ROUTE_NO_BODY, 0, get_range, query_range},
	{HTTP_GET, "/api/v1/records/archives", MAY_READ, ROUTE_NO_BODY, 0, get_archives,
		query_page},
	{HTTP_GET, "/api/v1/records/checkpoints", MAY_READ, ROUTE_NO_BODY, 0, get_checkpoints,
		query_page},
	{HTTP_POST, "/api/v1/records/checkpoints", MAY_ORDER, 0, 0, post_checkpoint, NULL,
		FORM_NONE},
	{HTTP_GET, "/api/v1/records/checkpoint", MAY_READ, ROUTE_NO_BODY, 0, get_checkpoint},
	{HTTP_GET, "/api/v1/runs/{id}/record", MAY_READ, ROUTE_NO_BODY, 0, get_run_record,
		.scope = SCOPE_RUN},
	{HTTP_GET, "/api/v1/units/{id}/record", MAY_ORDER, ROUTE_NO_BODY, 0, get_unit_record,
		query_signer},
	{HTTP_GET, "/api/v1/units/{id}/certificate-of-conformance", MAY_READ, ROUTE_NO_BODY, 0,
		get_conformance},
	{0},
};
