/* SPDX-License-Identifier: Apache-2.0
 *
 * http.request: one question to a service, and what its answer must be.
 */
#include "daemon/actions/http_step.h"

#include <string.h>

#include "base/util.h"
#include "daemon/recipe/args.h"

#define VALUES_MAX  9
#define SECRETS_MAX 3

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
	if (r == 0 && args_has(a, "body") && method && !strcmp(method, "GET"))
		r = err_set(e, ERR_RECIPE_INVALID,
			"a GET has no 'body': 'query' expected, or another 'method'");
	return r;
}

static int expect_values(const struct http_step *x, const json_t *expected, const json_t *j,
	struct step_result *out, struct err *e)
{
	const char *pointer;
	json_t *want;

	json_object_foreach((json_t *)(uintptr_t)expected, pointer, want) {
		_cleanup_(freep) char *wanted = http_json_text(want);
		_cleanup_(freep) char *got = http_json_text(http_json_at(j, pointer));

		if (!got)
			return err_set(e, ERR_SERVICE_ANSWER,
				"service '%s': its answer has no value at '%.80s', '%.80s' expected",
				x->name, pointer, wanted);
		if (strcmp(got, wanted) != 0) {
			_cleanup_(freep) char *shown = http_shown(got);

			return err_set(e, ERR_SERVICE_REFUSED,
				"service '%s': its answer has '%s' at '%.80s', '%.80s' expected",
				x->name, shown, pointer, wanted);
		}
	}
	if (json_object_size(expected))
		result_evidence(out, "expected", json_deep_copy(expected));
	return 0;
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

static int judge(const struct http_step *x, const struct args *a, const struct http_ask *q,
	const struct http_reply *got, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *expected = xasprintf("%lld", (long long)args_int(a, "expect"));
	int r = 0;

	result_evidence(out, "service", json_string(x->name));
	result_evidence(out, "request", json_sprintf("%s %s", q->method, q->path));
	result_evidence(out, "status", json_integer(got->status));
	result_output(out, "status", json_integer(got->status));
	if (got->status != args_int(a, "expect"))
		return http_step_refused(x, q, got, expected, !args_has(a, "secrets"), e);
	/* Secrets first: what follows may say a part of the answer. */
	r = take_outputs(x, args_json(a, "secrets"), "secret", got->json, out, e);
	if (r == 0)
		r = expect_values(x, args_json(a, "expect_json"), got->json, out, e);
	return r < 0 ? r : take_outputs(x, args_json(a, "values"), "value", got->json, out, e);
}

static bool is_idempotent(const char *method)
{
	return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0; /* RFC 9110, 9.2.2 */
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
		.body = args_json(a, "body"),
	};
	int r = request_check(a, e);

	if (r == 0)
		r = headers_of(args_json(a, "headers"), &headers, e);
	if (r == 0 && q.idempotency_key)
		r = http_header_check("idempotency_key", q.idempotency_key, e);
	if (r == 0)
		r = http_step_open(&x, s, a, e);
	if (r == 0) {
		q.headers = (const char *const *)headers;
		r = http_step_ask(&x, &q, &got, e);
		out->once = got.sent && !is_idempotent(q.method) && !q.idempotency_key;
	}
	if (r == 0)
		r = judge(&x, a, &q, &got, out, e);
	http_reply_done(&got);
	free_list(headers);
	http_step_done(&x);
	return r;
}

/* What is told later is told again where its answer was lost, and what the answer says is kept. */
static int request_may_wait(const json_t *with, struct err *e)
{
	const char *method = json_string_value(json_object_get(with, "method"));

	if (json_object_get(with, "secrets"))
		return err_set(e, ERR_INVALID,
			"a request with 'secrets' cannot be 'offline: later': what is kept of it may be no secret");
	if (method && (strstr(method, "${") || !is_idempotent(method)) &&
		!json_object_get(with, "idempotency_key"))
		return err_set(e, ERR_INVALID,
			"a %s with 'offline: later' needs an 'idempotency_key', such as '${unit.serial}': it is sent again where its answer was lost",
			method);
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
	{.name = "body", .type = ARG_MAP, .doc = "members of the JSON object that is sent"},
	{.name = "idempotency_key",
		.type = ARG_STRING,
		.doc = "sent as Idempotency-Key: the service does the same request once"},
	{.name = "expect",
		.type = ARG_INT,
		.def = "200",
		.low = 200,
		.high = 499,
		.doc = "the status of the answer"},
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
	{"secret2", "the second", true}, {"secret3", "the third", true}, {0}};

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
