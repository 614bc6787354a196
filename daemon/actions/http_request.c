/* SPDX-License-Identifier: Apache-2.0
 *
 * http.request: one question to a service, and what its answer must be.
 */
#include "daemon/actions/http_step.h"

#include <string.h>

#include "base/util.h"
#include "transports/links/http_auth.h"
#include "daemon/recipe/args.h"

#define VALUES_MAX	9
#define SECRETS_MAX	3
#define PENDING_WAIT_US (2 * US_PER_S) /* where the service does not say how long */

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

/* A query as it is sent, owned by the caller; NULL: none. */
static char *query_of(const json_t *map)
{
	struct strbuf b = {0};
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)map, key, v) {
		_cleanup_(freep) char *text = http_json_text(v);
		_cleanup_(freep) char *name = http_escape(key);
		_cleanup_(freep) char *value = http_escape(text ? text : "");

		sb_addf(&b, "%s%s=%s", b.len ? "&" : "", name, value);
	}
	return b.len ? sb_take(&b) : NULL;
}

/* NULL-terminated, each and the list owned by the caller. */
static int headers_of(const json_t *map, char ***ret, struct err *e)
{
	char **list = xcalloc(json_object_size(map) + 1, sizeof *list);
	const char *key;
	size_t n = 0;
	json_t *v;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)map, key, v) {
		_cleanup_(freep) char *text = http_json_text(v);

		r = http_header_check(key, text ? text : "", e);
		if (r < 0)
			break;
		list[n++] = xasprintf("%s: %s", key, text ? text : "");
	}
	*ret = list;
	return r;
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

static int check_pointers(const json_t *list, const char *what, size_t max, struct err *e)
{
	size_t i;
	json_t *v;

	if (json_array_size(list) > max)
		return err_set(e, ERR_RECIPE_INVALID, "'%s' has %zu items, at most %zu expected",
			what, json_array_size(list), max);
	json_array_foreach((json_t *)(uintptr_t)list, i, v)
		if (*json_string_value(v) != '/')
			return err_set(e, ERR_RECIPE_INVALID,
				"'%s': '%.80s' is not a JSON pointer, which begins with '/' (RFC 6901)",
				what, json_string_value(v));
	return 0;
}

static bool is_idempotent(const char *method)
{
	return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0; /* RFC 9110, 9.2.2 */
}

static int request_check(const struct args *a, struct err *e)
{
	const char *method = args_str(a, "method");
	const char *path = args_str(a, "path");
	int r = check_pointers(args_json(a, "values"), "values", VALUES_MAX, e);

	if (r == 0)
		r = check_pointers(args_json(a, "secrets"), "secrets", SECRETS_MAX, e);
	if (r == 0 && path && http_path_check(path, e) < 0) {
		if (e)
			e->code = ERR_RECIPE_INVALID;
		r = -ERR_RECIPE_INVALID;
	}
	if (r == 0 && (args_has(a, "pending") || args_has(a, "pending_status")) && method &&
		!is_idempotent(method))
		r = err_set(e, ERR_RECIPE_INVALID,
			"'pending' asks again, which a %s must not: ask for the state with a GET in a step of its own",
			method);
	if (r == 0 && (args_has(a, "body") || args_has(a, "secret_body")) && method &&
		!strcmp(method, "GET"))
		r = err_set(e, ERR_RECIPE_INVALID,
			"a GET has no 'body': 'query' expected, or another 'method'");
	return r;
}

/* What is sent, owned by the caller, to be wiped. A name that begins with '/' is a JSON pointer into it,
 * whose objects are made. */
static int put_members(json_t *to, const json_t *map, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)map, name, v)
		if (http_json_put(to, name, json_deep_copy(v)) < 0)
			return err_set(e, ERR_RECIPE_INVALID,
				"'%.80s' of the body has no place: it is no JSON pointer, or a value is there already",
				name);
	return 0;
}

static int body_of(const struct args *a, json_t **ret, struct err *e)
{
	int r;

	*ret = NULL;
	if (!args_has(a, "body") && !args_has(a, "secret_body"))
		return 0;
	*ret = json_object();
	r = put_members(*ret, args_json(a, "body"), e);
	return r < 0 ? r : put_members(*ret, args_json(a, "secret_body"), e);
}

/* Whether the answer says that it is not the last one. */
static bool is_pending(const struct args *a, const struct http_reply *got)
{
	const json_t *while_it_has = args_json(a, "pending");
	const char *pointer;
	json_t *want;

	if (args_has(a, "pending_status") && got->status == args_int(a, "pending_status"))
		return true;
	if (!json_object_size(while_it_has) || got->status >= 300)
		return false;
	json_object_foreach((json_t *)(uintptr_t)while_it_has, pointer, want) {
		_cleanup_(freep) char *wanted = http_json_text(want);
		_cleanup_(freep) char *is = http_json_text(http_json_at(got->json, pointer));

		if (!is || !wanted || strcmp(is, wanted) != 0)
			return false;
	}
	return true;
}

/* Asks until the answer is the last one, as fast as the service allows (Retry-After), within the time of
 * the step. */
static int ask_until(struct http_step *x, const struct args *a, const struct http_ask *q,
	struct http_reply *got, struct step_result *out, struct err *e)
{
	int64_t times = 1;
	int r = http_step_ask(x, q, got, e);

	while (r == 0 && is_pending(a, got)) {
		uint64_t us = got->retry_after_us ? got->retry_after_us : PENDING_WAIT_US;

		if (us >= iotime_left_us(&x->s->it))
			return err_set(e, ERR_SERVICE_BUSY,
				"service '%s', %s %s: not done in the time of the step (asked %lld times, HTTP %ld)",
				x->name, q->method, q->path, (long long)times, got->status);
		r = iotime_sleep(us, &x->s->it, e);
		http_reply_done(got);
		if (r == 0)
			r = http_step_ask(x, q, got, e);
		times++;
	}
	if (times > 1)
		result_evidence(out, "asked", json_integer(times));
	return r;
}

/* One value of the answer. absent: whether it is about those that are not there. */
static int expect_value(const struct http_step *x, const json_t *j, const char *pointer,
	const json_t *want, bool absent, struct err *e)
{
	_cleanup_(freep) char *wanted = http_json_text(want);
	_cleanup_(freep) char *got = http_json_text(http_json_at(j, pointer));
	_cleanup_(freep) char *shown = http_shown(got);

	if (!got && absent)
		return err_set(e, ERR_SERVICE_ANSWER,
			"service '%s': its answer has no value at '%.80s', '%.80s' expected",
			x->name, pointer, wanted);
	if (got && strcmp(got, wanted) != 0)
		return err_set(e, ERR_SERVICE_REFUSED,
			"service '%s': its answer has '%s' at '%.80s', '%.80s' expected", x->name,
			shown, pointer, wanted);
	return 0;
}

/* A value that is another one says more than one that is not there. */
static int expect_values(const struct http_step *x, const json_t *expected, const json_t *j,
	struct step_result *out, struct err *e)
{
	const char *pointer;
	json_t *want;
	int r = 0;

	for (int absent = 0; absent < 2 && r == 0; absent++)
		json_object_foreach((json_t *)(uintptr_t)expected, pointer, want)
			if (r == 0)
				r = expect_value(x, j, pointer, want, absent, e);
	if (r == 0 && json_object_size(expected))
		result_evidence(out, "expected", json_deep_copy(expected));
	return r;
}

/* What the pointers lead to, as outputs PREFIX1, PREFIX2, ... */
static int take_outputs(const struct http_step *x, const json_t *pointers, const char *prefix,
	const json_t *j, struct step_result *out, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)(uintptr_t)pointers, i, v) {
		_cleanup_(freep) char *name = xasprintf("%s%zu", prefix, i + 1);
		char *text = http_json_text(http_json_at(j, json_string_value(v)));

		if (!text)
			return err_set(e, ERR_SERVICE_ANSWER,
				"service '%s': its answer has no text, number or boolean at '%.80s'",
				x->name, json_string_value(v));
		result_output(out, name, json_string(text));
		secret_wipe(text, strlen(text));
		free(text);
	}
	return 0;
}

/* The unit's own key, where the service is known by that of its group. */
static int give_device_key(
	const struct http_step *x, const struct http_ask *q, struct step_result *out, struct err *e)
{
	char *key;
	int r = x->service.auth == HTTP_AUTH_AZURE_DPS
			? http_auth_device_key(&x->service, q->path, &key, e)
			: 1;

	if (r != 0)
		return MIN(r, 0);
	result_output(out, "device_key", json_string(key));
	secret_wipe(key, strlen(key));
	free(key);
	return 0;
}

static int judge(const struct http_step *x, const struct args *a, const struct http_ask *q,
	const struct http_reply *got, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *expected = xasprintf("%lld", (long long)args_int(a, "expect"));
	struct err why;
	int lacks, r;

	result_evidence(out, "service", json_string(x->name));
	result_evidence(out, "request", json_sprintf("%s %s", q->method, q->path));
	result_evidence(out, "status", json_integer(got->status));
	result_output(out, "status", json_integer(got->status));
	if (got->status != args_int(a, "expect"))
		return http_step_refused(x, q, got, expected, !args_has(a, "secrets"), e);
	/* Secrets first: what follows may say a part of the answer. That one is missing is said last:
	 * an answer that says no has none. */
	r = give_device_key(x, q, out, e);
	if (r < 0)
		return r;
	lacks = take_outputs(x, args_json(a, "secrets"), "secret", got->json, out, &why);
	r = expect_values(x, args_json(a, "expect_json"), got->json, out, e);
	if (r == 0 && lacks < 0)
		r = err_set(e, why.code, "%s", why.msg);
	return r < 0 ? r : take_outputs(x, args_json(a, "values"), "value", got->json, out, e);
}

static int request_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	struct http_step x = {0};
	struct http_reply got = {0};
	_cleanup_(freep) char *query = query_of(args_json(a, "query"));
	char **headers = NULL;
	struct http_ask q = {
		.method = args_str(a, "method"),
		.path = args_str(a, "path"),
		.query = query,
		.idempotency_key =
			args_has(a, "idempotency_key") ? args_str(a, "idempotency_key") : s->key,
	};
	json_t *body = NULL;
	int r = request_check(a, e);

	if (r == 0)
		r = headers_of(args_json(a, "headers"), &headers, e);
	if (r == 0 && q.idempotency_key)
		r = http_header_check("idempotency_key", q.idempotency_key, e);
	if (r == 0)
		r = body_of(a, &body, e);
	if (r == 0)
		r = http_step_open(&x, s, a, e);
	if (r == 0) {
		q.headers = (const char *const *)headers;
		q.body = body;
		r = ask_until(&x, a, &q, &got, out, e);
		out->once = got.sent && !is_idempotent(q.method) && !q.idempotency_key;
	}
	if (r == 0)
		r = judge(&x, a, &q, &got, out, e);
	http_reply_done(&got);
	json_wipe(body);
	json_decref(body);
	free_list(headers);
	http_step_done(&x);
	return r;
}

/* What is told later is told again where its answer was lost, and what the answer says is kept. */
/* A service that knows a key again answers as it did, and does nothing: it has to be another one for each unit. */
static bool is_of_one_unit(const char *key)
{
	return strstr(key, "${unit.") || strstr(key, "${run.") || strstr(key, "${steps.");
}

static int request_may_wait(const json_t *with, struct err *e)
{
	const char *method = json_string_value(json_object_get(with, "method"));
	const char *key = json_string_value(json_object_get(with, "idempotency_key"));

	if (json_object_get(with, "secrets") || json_object_get(with, "secret_body"))
		return err_set(e, ERR_INVALID,
			"a request with 'secrets' or 'secret_body' cannot be 'offline: later': what is kept of it may be no secret");
	if (method && (strstr(method, "${") || !is_idempotent(method)) &&
		!json_object_get(with, "idempotency_key"))
		return err_set(e, ERR_INVALID,
			"a %s with 'offline: later' needs an 'idempotency_key', such as '${unit.serial}': it is sent again where its answer was lost",
			method);
	if (key && !is_of_one_unit(key))
		return err_set(e, ERR_INVALID,
			"'idempotency_key' is '%.80s' for every unit, so that a service would take the second one for a repetition: '${unit.serial}' or '${run.id}' in it expected",
			key);
	return 0;
}

static const struct action_arg request_args[] = {
	ARG_ROW_SERVICE,
	{.name = "method",
		.type = ARG_CHOICE,
		.def = "GET",
		.choices = methods,
		.doc = "a POST or PATCH that was sent is not tried again without 'idempotency_key'"},
	{.name = "path",
		.type = ARG_STRING,
		.required = true,
		.doc = "below the address of the service, such as /units/4711"},
	{.name = "query", .type = ARG_MAP, .doc = "names and values after the '?'"},
	{.name = "headers", .type = ARG_MAP, .doc = "further headers"},
	{.name = "body",
		.type = ARG_MAP,
		.doc = "members of the JSON object that is sent; a name such as /parameters/sn is a JSON pointer to a member within"},
	{.name = "secret_body", .type = ARG_MAP, .secret = true, .doc = "the same, of secrets"},
	{.name = "idempotency_key",
		.type = ARG_STRING,
		.doc = "sent as Idempotency-Key: the service does the same request once"},
	{.name = "expect",
		.type = ARG_INT,
		.def = "200",
		.low = 200,
		.high = 499,
		.doc = "the status of the answer"},
	{.name = "pending_status",
		.type = ARG_INT,
		.low = 200,
		.high = 299,
		.doc = "this status says not yet (202): asked again, as Retry-After says, until the time of the step is over"},
	{.name = "pending",
		.type = ARG_MAP,
		.doc = "the same of an answer that has all of these: JSON pointers and values, such as {/status: assigning}"},
	{.name = "expect_json",
		.type = ARG_MAP,
		.doc = "JSON pointers (RFC 6901) and the value that the answer must have there"},
	{.name = "values",
		.type = ARG_LIST,
		.doc = "JSON pointers: what the answer has there are the outputs value1, value2, ..."},
	{.name = "secrets",
		.type = ARG_LIST,
		.doc = "the same as secrets of the run: the outputs secret1, secret2, secret3"},
	{0},
};

static const struct action_output request_outputs[] = {{"status", "the HTTP status", false},
	{"value1", "what the first pointer of 'values' leads to", false},
	{"value2", "the second", false}, {"value3", "the third", false},
	{"value4", "the fourth", false}, {"value5", "the fifth", false},
	{"value6", "the sixth", false}, {"value7", "the seventh", false},
	{"value8", "the eighth", false}, {"value9", "the ninth", false},
	{"secret1", "what the first pointer of 'secrets' leads to", true},
	{"secret2", "the second", true}, {"secret3", "the third", true},
	{"device_key",
		"of a service with the auth kind azure-dps: the key of the registration that the path names",
		true},
	{0}};

const struct action action_http_request = {
	.name = "http.request",
	.doc = "Asks a service of provd.yaml over HTTP and judges its answer.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_MAY_WAIT,
	.args = request_args,
	.outputs = request_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = request_check,
	.may_wait = request_may_wait,
	.run = request_run,
};
