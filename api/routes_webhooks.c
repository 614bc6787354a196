/* SPDX-License-Identifier: Apache-2.0
 *
 * /webhooks: who is sent events, and what became of each.
 */
#include "api/route.h"
#include "base/loopback.h"
#include "base/secret.h"
#include "base/util.h"
#include "db/events.h"
#include "db/webhooks.h"
#include "transports/links/http_text.h"
#include "transports/links/webhook_sign.h"

#define TYPES_MAX 64

/* --- what is read --- */

static int read_webhooks(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return webhooks_list(d, ret, e);
}

static int get_webhooks(struct call *c, struct err *e)
{
	return api_answer_all(c, read_webhooks, e);
}

static int read_webhook(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return webhooks_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_webhook(struct call *c, struct err *e)
{
	return api_answer_one(c, read_webhook, e);
}

static int read_deliveries(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return webhooks_deliveries(
		d, request_param(c->rq, "id"), request_query(c->rq, "state"), page, ret, e);
}

static int get_deliveries(struct call *c, struct err *e)
{
	return api_answer_page(c, read_deliveries, e);
}

/* --- what may be said of one --- */

struct webhook_form {
	char *url, *secret, *auth, *station, *job;
	const json_t *types;
	int format;
	bool enabled;
};

/* Those that may be asked for; cfx is provd.yaml's. */
static const char *const formats[] = {[WEBHOOK_EVENT] = "event", [WEBHOOK_WSJF] = "wsjf", NULL};

/* clang-format off */
#define TYPES_DOC "Types of events, such as run-finished, or their beginnings with a '*', such as unit-*. None: all."
#define SECRET_DOC "The name of a secret of provd.yaml, which is whsec_ and 24 to 64 bytes in base64."
/* clang-format on */

static const struct form_row webhook_rows[] = {
	{"url", FORM_TEXT, .required = true, .low = 1, .high = WEBHOOK_URL_BYTES - 1,
		.doc = "https://HOST[:PORT][/PATH], which 'webhooks' of provd.yaml allows.",
		FORM_AT(struct webhook_form, url)},
	{"secret", FORM_TEXT, .required = true, .low = 1, .high = DB_ID_SIZE - 1, .doc = SECRET_DOC,
		FORM_AT(struct webhook_form, secret)},
	{"format", FORM_CHOICE, .choices = formats, .def = "event",
		.doc = "event: each body is an event. wsjf: the report of a run that ended, as WATS takes it (POST /api/Report/WSJF); then types is [run-finished].",
		FORM_AT(struct webhook_form, format)},
	{"auth", FORM_TEXT, .low = 1, .high = DB_ID_SIZE - 1,
		.doc = "The name of a secret of provd.yaml, whose text is the header Authorization of each request, such as Basic TOKEN.",
		FORM_AT(struct webhook_form, auth)},
	{"types", FORM_TEXTS, .high = TYPES_MAX, .doc = TYPES_DOC,
		FORM_AT(struct webhook_form, types)},
	{"station", FORM_TEXT, .low = 1, .high = DB_ID_SIZE - 1,
		.doc = "Only events of that station.", FORM_AT(struct webhook_form, station)},
	{"job", FORM_TEXT, .low = 1, .high = DB_ID_SIZE - 1, .doc = "Only events of that job.",
		FORM_AT(struct webhook_form, job)},
	{"enabled", FORM_BOOL, .def = "true", .doc = "Whether anything is sent.",
		FORM_AT(struct webhook_form, enabled)},
	{0},
};

static const struct form_row patch_rows[] = {
	{"url", FORM_TEXT, .low = 1, .high = WEBHOOK_URL_BYTES - 1,
		.doc = "https://HOST[:PORT][/PATH], which 'webhooks' of provd.yaml allows.",
		FORM_AT(struct webhook_form, url)},
	{"types", FORM_TEXTS, .high = TYPES_MAX, .doc = TYPES_DOC,
		FORM_AT(struct webhook_form, types)},
	{"station", FORM_TEXT, .null = true, .low = 1, .high = DB_ID_SIZE - 1,
		.doc = "Only events of that station; null: of all.",
		FORM_AT(struct webhook_form, station)},
	{"job", FORM_TEXT, .null = true, .low = 1, .high = DB_ID_SIZE - 1,
		.doc = "Only events of that job; null: of all.", FORM_AT(struct webhook_form, job)},
	{"enabled", FORM_BOOL,
		.doc = "false: nothing is sent. true: it goes on where it was, as far as events are kept.",
		FORM_AT(struct webhook_form, enabled)},
	{0},
};

static int check_url(const struct config *config, const char *url, struct err *e)
{
	const struct webhooks_config *c = &config->webhooks;
	const size_t n = strlen(url);
	_cleanup_(freep) char *path = strndup(url, n > 0 && url[n - 1] == '/' ? n - 1 : n);
	char host[HTTP_HOST_BYTES];
	int r = http_url_check(path, e);

	if (r < 0)
		return r;
	http_url_host(url, host);
	if (!http_allow_host(&c->allow, host))
		return err_set(e, ERR_INVALID,
			"'webhooks' of provd.yaml does not allow the receiver %s: add it, or its network, to 'allow'",
			host);
	if (http_url_clear(url) && !http_allow_host(&c->clear, host) &&
		strcmp(host, "localhost") != 0 && !is_loopback(host))
		return err_set(e, ERR_INVALID,
			"http:// to %s could be read on the way: use https://, or add it to 'clear' of 'webhooks' in provd.yaml",
			host);
	return 0;
}

static int check_secret(const struct config *config, const char *name, struct err *e)
{
	char *text = NULL;
	int r = config_secret(config, name, &text, e);

	if (r == 0)
		r = webhook_secret_check(text, e);
	secret_free(text);
	return r;
}

/* Any text in one line, which is not seen by others on the way. */
static int check_auth(const struct config *config, const char *name, const char *url, struct err *e)
{
	char host[HTTP_HOST_BYTES];
	char *text = NULL;
	int r = config_secret(config, name, &text, e);

	http_url_host(url, host);
	if (r == 0 && (!*text || strpbrk(text, "\r\n")))
		r = err_set(e, ERR_INVALID,
			"the secret '%s' is not one line: a header such as Basic TOKEN expected",
			name);
	if (r == 0 && http_url_clear(url) && !config_is_this_machine(host))
		r = err_set(e, ERR_INVALID,
			"http:// to %s would send the header Authorization in the clear: https:// expected",
			host);
	secret_free(text);
	return r;
}

/* A report is that of a run. */
static int check_format(const struct webhook_form *f, struct err *e)
{
	const char *only = json_string_value(json_array_get(f->types, 0));

	if (f->format != WEBHOOK_WSJF || !f->types ||
		(json_array_size(f->types) == 1 && only && !strcmp(only, "run-finished")))
		return 0;
	return err_set(e, ERR_INVALID,
		"the format wsjf is the report of a run, which only run-finished has: leave 'types' out, or send [run-finished]");
}

static int check_types(struct call *c, const json_t *types, struct err *e)
{
	struct mistakes m = {0};
	const json_t *v;
	size_t i;

	json_array_foreach(types, i, v) {
		_cleanup_(freep) char *p = pointer_index("/types", i);
		struct err why;

		if (events_check_type(json_string_value(v), &why) < 0)
			mistakes_add(&m, p, "%s", why.msg);
	}
	return api_mistakes(c, &m, NULL, e);
}

static int unprocessable(int r, struct err *e)
{
	return r == -ERR_INVALID || r == -ERR_NOT_FOUND ? -(int)(e->code = ERR_UNPROCESSABLE) : r;
}

/* What is not said is not looked at. */
static int check_said(struct call *c, const struct webhook_said *w, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	int r = w->url ? unprocessable(check_url(config, w->url, e), e) : 0;

	r = api_judged(c, "/url", r, e);
	if (r == 0 && w->secret) {
		r = unprocessable(check_secret(config, w->secret, e), e);
		r = api_judged(c, "/secret", r, e);
	}
	if (r == 0 && w->auth) {
		r = unprocessable(check_auth(config, w->auth, w->url, e), e);
		r = api_judged(c, "/auth", r, e);
	}
	config_unref(config);
	return r < 0 || !w->types ? r : check_types(c, w->types, e);
}

/* --- what is changed --- */

struct act {
	struct fleet *fleet;
	const char *id, *by;
	struct webhook_said said;
	int64_t revision, old_until_ms, n;
};

static void act_committed(void *data)
{
	fleet_poke_webhooks(((const struct act *)data)->fleet);
}

static struct act act_of(const struct call *c)
{
	return (struct act){
		.fleet = c->api->fleet, .id = request_param(c->rq, "id"), .by = c->who->name};
}

static int act(struct call *c, struct act *a, const char *audit,
	int (*apply)(struct db *tx, void *data, json_t **ret, struct err *e), int status,
	struct err *e)
{
	const struct change ch = {.apply = apply,
		.committed = act_committed,
		.data = a,
		.status = status,
		.location = status == 201 ? "/api/v1/webhooks/%s" : NULL,
		.audit = audit,
		.target = a->id};

	return api_change(c, &ch, e);
}

static int apply_add(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = webhooks_add(tx, a->id, &a->said, e);

	return r < 0 ? r : webhooks_get(tx, a->id, ret, e);
}

static int post_webhook(struct call *c, struct err *e)
{
	const struct webhook_form *f = api_form(c, e);
	struct act a = act_of(c);
	json_t *ends = json_pack("[s]", "run-finished");
	char id[UUID_SIZE];
	int r;

	if (!f) {
		json_decref(ends);
		return -(int)e->code;
	}
	a.id = uuid7(id);
	a.said = (struct webhook_said){.url = f->url,
		.secret = f->secret,
		.format = webhook_formats[f->format],
		.auth = f->auth,
		.types = f->format == WEBHOOK_WSJF ? ends : f->types,
		.station = f->station,
		.job = f->job,
		.enabled = &f->enabled};
	r = api_judged(c, "/types", unprocessable(check_format(f, e), e), e);
	if (r == 0)
		r = check_said(c, &a.said, e);
	if (r == 0)
		r = act(c, &a, "webhook.create", apply_add, 201, e);
	json_decref(ends);
	return r;
}

static int apply_change(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = webhooks_change(tx, a->id, &a->said, a->revision, e);

	return r < 0 ? r : webhooks_get(tx, a->id, ret, e);
}

/* RFC 7396 on what may change. */
static int patch_webhook(struct call *c, struct err *e)
{
	const struct webhook_form *f = api_form(c, e);
	struct act a = act_of(c);
	int r = f ? api_match(c, &a.revision, e) : -(int)e->code;

	if (r < 0)
		return r;
	a.said = (struct webhook_said){.url = f->url,
		.types = f->types,
		.station = f->station,
		.job = f->job,
		.enabled = api_given(c, "enabled") ? &f->enabled : NULL,
		.no_station = api_given(c, "station"),
		.no_job = api_given(c, "job")};
	r = check_said(c, &a.said, e);
	return r < 0 ? r : act(c, &a, "webhook.change", apply_change, 200, e);
}

static int apply_remove(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = webhooks_remove(tx, a->id, e);

	if (r == 0)
		*ret = json_pack("{s:s, s:b}", "id", a->id, "deleted", 1);
	return r;
}

static int delete_webhook(struct call *c, struct err *e)
{
	struct act a = act_of(c);

	return act(c, &a, "webhook.delete", apply_remove, 200, e);
}

struct rotate_form {
	char *secret;
	uint64_t overlap_us;
};

static const struct form_row rotate_rows[] = {
	{"secret", FORM_TEXT, .required = true, .low = 1, .high = DB_ID_SIZE - 1, .doc = SECRET_DOC,
		FORM_AT(struct rotate_form, secret)},
	{"overlap", FORM_DURATION, .def = "24h",
		.doc = "How long each message is signed by the secret of before as well.",
		FORM_AT(struct rotate_form, overlap_us)},
	{0},
};

static int apply_rotate(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = webhooks_rotate(tx, a->id, a->said.secret, a->old_until_ms, e);

	return r < 0 ? r : webhooks_get(tx, a->id, ret, e);
}

static int post_rotate(struct call *c, struct err *e)
{
	const struct rotate_form *f = api_form(c, e);
	struct act a = act_of(c);
	int r;

	if (!f)
		return -(int)e->code;
	a.said.secret = f->secret;
	a.old_until_ms = wall_ms() + (int64_t)(f->overlap_us / 1000);
	r = check_said(c, &a.said, e);
	return r < 0 ? r : act(c, &a, "webhook.rotate", apply_rotate, 200, e);
}

static int apply_test(struct db *tx, void *data, json_t **ret, struct err *e)
{
	struct act *a = data;
	int r = webhooks_test(tx, a->id, a->by, &a->n, e);

	return r < 0 ? r : webhooks_delivery(tx, a->id, a->n, ret, e);
}

static int post_test(struct call *c, struct err *e)
{
	struct act a = act_of(c);

	return act(c, &a, "webhook.test", apply_test, 202, e);
}

static int apply_redeliver(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct act *a = data;
	int r = webhooks_redeliver(tx, a->id, a->n, e);

	return r < 0 ? r : webhooks_delivery(tx, a->id, a->n, ret, e);
}

static int post_redeliver(struct call *c, struct err *e)
{
	const char *n = request_param(c->rq, "n");
	struct act a = act_of(c);

	if (strspn(n, "0123456789") != strlen(n) || strlen(n) > 18)
		return err_set(e, ERR_NOT_FOUND, "webhook %s has no delivery '%.40s'", a.id, n);
	a.n = strtoll(n, NULL, 10);
	return act(c, &a, "webhook.redeliver", apply_redeliver, 202, e);
}

static const char *const states[] = {"waiting", "done", "dead", NULL};
static const struct query_param query_deliveries[] = {{"state", states}, QUERY_PAGE, {0}};

const struct route routes_webhooks[] = {
	{HTTP_GET, "/api/v1/webhooks", MAY_ORDER, ROUTE_NO_BODY, 0, get_webhooks},
	{HTTP_POST, "/api/v1/webhooks", MAY_ADMIN, 0, 0, post_webhook, NULL,
		FORM(webhook_rows, struct webhook_form)},
	{HTTP_GET, "/api/v1/webhooks/{id}", MAY_ORDER, ROUTE_NO_BODY, 0, get_webhook},
	{HTTP_PATCH, "/api/v1/webhooks/{id}", MAY_ADMIN, 0, 0, patch_webhook, NULL,
		FORM(patch_rows, struct webhook_form)},
	{HTTP_DELETE, "/api/v1/webhooks/{id}", MAY_ADMIN, 0, 0, delete_webhook, NULL, FORM_NONE},
	{HTTP_POST, "/api/v1/webhooks/{id}/actions/rotate", MAY_ADMIN, 0, 0, post_rotate, NULL,
		FORM(rotate_rows, struct rotate_form)},
	{HTTP_POST, "/api/v1/webhooks/{id}/actions/test", MAY_ADMIN, 0, 0, post_test, NULL,
		FORM_NONE},
	{HTTP_GET, "/api/v1/webhooks/{id}/deliveries", MAY_ORDER, ROUTE_NO_BODY, 0, get_deliveries,
		query_deliveries},
	{HTTP_POST, "/api/v1/webhooks/{id}/deliveries/{n}/actions/redeliver", MAY_RELEASE, 0, 0,
		post_redeliver, NULL, FORM_NONE},
	{0},
};
