/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/route_check.h"

#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/route_cfx.h"
#include "daemon/line/services.h"
#include "transports/links/http.h"

static json_t *order_of(const struct job_claim *c)
{
	return json_pack("{s:s, s:s*, s:s*}", "id", c->job_id, "number",
		c->number[0] ? c->number : NULL, "external_ref",
		c->external_ref[0] ? c->external_ref : NULL);
}

static char *question(const struct route_ask *a, const char *id)
{
	const struct recipe *r = a->claim->recipe;
	json_t *units = a->serial[0] ? json_pack("[{s:s, s:i}]", "unit_identifier", a->serial,
					       "unit_position_number", 1)
				     : json_array();
	json_t *o = json_pack("{s:s, s:[s, s], s:s, s:o, s:s*, s:o, s:{s:s, s:i}, s:s, s:s, s:O}",
		"id", id, "validations", "UnitRouteValidation", "UnitStatusValidation",
		"primary_identifier", a->serial, "units", units, "chip_id",
		a->chip_id[0] ? a->chip_id : NULL, "order", order_of(a->claim), "recipe", "name",
		r->name, "version", (int)r->version, "station", a->station, "run", a->run, "params",
		a->claim->params);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

static void no_answer(struct route_answer *ret, enum route_code code, const char *why)
{
	ret->answered = false;
	ret->code = code;
	snprintf(ret->reason, sizeof ret->reason, "%s", why);
}

void route_read(const char *body, long status, const char *id, struct route_answer *ret)
{
	json_t *o = json_loads(body ? body : "", JSON_REJECT_DUPLICATES, NULL);
	const char *of = json_string_value(json_object_get(o, "id"));
	const char *result = json_string_value(json_object_get(o, "result"));
	const char *reason = json_string_value(json_object_get(o, "reason"));
	const int verdict = result ? route_verdict_from(result) : -1;
	char text[ERR_TEXT_BYTES];

	*ret = (struct route_answer){.answered = true};
	snprintf(text, sizeof text, "it answers HTTP %ld, 200 expected", status);
	if (status != 200)
		no_answer(ret, ROUTE_REFUSED, text);
	else if (!of || strcmp(of, id) != 0)
		no_answer(ret, ROUTE_FOREIGN, "its answer does not carry the 'id' of the question");
	else if (verdict < 0)
		no_answer(ret, ROUTE_MALFORMED,
			"its answer has no 'result' that is allow, hold or reject");
	else
		ret->verdict = (enum route_verdict)verdict;
	if (ret->answered)
		snprintf(ret->reason, sizeof ret->reason, "%s", reason ? reason : "");
	json_decref(o);
}

static int exchange_http(const struct config *c, const struct route_policy *p, const char *text,
	const char *id, const struct iotime *it, struct route_answer *ret, struct err *e)
{
	const struct http_request q = {.method = "POST", .body = text};
	struct http_service service = {0};
	struct http_answer answer = {0};
	int r = config_service(c, p->service, &service, e);

	if (r == 0)
		r = http_exchange(&service, &q, it, &answer, e);
	if (r == 0)
		route_read(answer.body.s, answer.status, id, ret);
	http_answer_done(&answer);
	http_service_done(&service);
	return r;
}

static int exchange(const struct line_services *line, const struct route_ask *ask, const char *text,
	const char *id, const struct iotime *it, struct route_answer *ret, struct err *e)
{
	struct config *now = line->config(line->line);
	int r = config_asks_cfx(now, ask->claim->route.service)
			? route_cfx_ask(now, ask, id, it, ret, e)
			: exchange_http(now, &ask->claim->route, text, id, it, ret, e);

	config_unref(now);
	return r;
}

int route_check(const struct line_services *line, const struct route_ask *ask,
	const struct cancel *cancel, struct route_answer *ret, struct err *e)
{
	const struct route_policy *p = &ask->claim->route;
	const struct iotime it = {now_us() + p->timeout_us, cancel};
	char id[UUID_SIZE], silence[ERR_TEXT_BYTES];
	_cleanup_(freep) char *text = question(ask, uuid7(id));
	struct route_answer a = {0};
	int r = exchange(line, ask, text, id, &it, &a, e);

	if (r < 0 && cancel_reason(cancel) != ERR_NONE)
		return r;
	if (r < 0)
		no_answer(&a, ROUTE_UNREACHABLE, e->msg);
	if (!a.answered) {
		a.verdict = p->on_no_answer;
		snprintf(silence, sizeof silence, "%.200s; the order says %s then", a.reason,
			route_verdict_str(p->on_no_answer));
		memcpy(a.reason, silence, sizeof a.reason);
	}
	*ret = a;
	return 0;
}
