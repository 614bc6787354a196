/* SPDX-License-Identifier: Apache-2.0
 *
 * cloud.*: the guide's commissioning (DeviceCommissioner): a device is registered, gets credentials,
 * is activated. Its configuration in between is console.config.
 *
 *	GET  DEVICES?serial_number=SERIAL		is it there already? (the journal's observation)
 *	POST DEVICES {serial_number, device_type, ...}	201 {device_id}, 409, or an answer that is lost
 *	GET  DEVICES?serial_number=SERIAL		what came of it
 *
 * A lost answer is the rule: what a POST did is never concluded from the lack of one, it is looked up
 * by serial number before anything else is sent.
 */
#include "daemon/actions/cloud_devices.h"
#include "daemon/actions/http_step.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"

struct cloud {
	struct http_step http; /* first: what is opened is ended by it */
	const char *devices;   /* path */
	const char *serial, *type;
	struct cloud_device found;
	bool before; /* it was there before this run's POST had an effect */
};

static int cloud_open(struct cloud *c, struct step *s, const struct args *a, struct err *e)
{
	*c = (struct cloud){.devices = args_str(a, "path")};
	return http_step_open(&c->http, s, a, e);
}

static void cloud_done(struct cloud *c)
{
	http_step_done(&c->http);
}

static int path_check(const struct args *a, struct err *e)
{
	const char *path = args_str(a, "path");

	if (!path || http_path_check(path, e) == 0)
		return 0;
	if (e)
		e->code = ERR_RECIPE_INVALID;
	return -ERR_RECIPE_INVALID;
}

/* --- cloud.register --- */

static int look_up(struct cloud *c, struct err *e)
{
	_cleanup_(freep) char *serial = http_escape(c->serial);
	_cleanup_(freep) char *query = xasprintf("serial_number=%s", serial);
	const struct http_ask q = {.method = "GET", .path = c->devices, .query = query};
	struct http_reply got = {0};
	int r = http_step_ask(&c->http, &q, &got, e);

	c->found = (struct cloud_device){0};
	if (r == 0 && got.status != 200 && got.status != 404)
		r = http_step_refused(&c->http, &q, &got, "200", true, e);
	else if (r == 0 && got.status == 200 &&
		 cloud_find(got.json, c->serial, c->type, &c->found, e) < 0)
		r = err_prefix(e, "service '%s'", c->http.name);
	http_reply_done(&got);
	return r;
}

static int register_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	struct cloud *c = session;
	int r = look_up(c, e);

	if (r < 0)
		return r;
	ret->state = c->found.id[0] ? OBSERVED_DONE : OBSERVED_BLANK;
	if (c->found.id[0])
		snprintf(ret->said, sizeof ret->said, "the service has it as device %.100s",
			c->found.id);
	else
		snprintf(ret->said, sizeof ret->said,
			"the service knows no device of serial number %.64s", c->serial);
	return 0;
}

/* What is meant to be there: of the same unit the same at each try. */
static void digest_of(const struct cloud *c, char ret[SHA256_HEX])
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "serial_number", c->serial, "device_type", c->type,
		"url", c->http.service.url);
	_cleanup_(freep) char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);

	sha256_hex_of(text, strlen(text), ret);
	json_decref(o);
}

/* The POST. 0 where its answer names the device. */
static int send_device(struct cloud *c, const struct args *a, const char *key,
	struct cloud_device *ret, struct step_result *out, struct err *e)
{
	char now[RFC3339_SIZE];
	json_t *body = json_pack("{s:s, s:s, s:s, s:s}", "serial_number", c->serial, "device_type",
		c->type, "firmware_version", args_str(a, "firmware_version"), "registered_at",
		rfc3339_now(now));
	const struct http_ask q = {
		.method = "POST", .path = c->devices, .idempotency_key = key, .body = body};
	struct http_reply got = {0};
	int r = http_step_ask(&c->http, &q, &got, e);

	*ret = (struct cloud_device){0};
	result_evidence(out, "registered_at", json_string(now));
	if (got.status)
		result_evidence(out, "status", json_integer(got.status));
	c->before = r == 0 && got.status == 409;
	if (r == 0 && got.status != 201)
		r = http_step_refused(&c->http, &q, &got, "201", true, e);
	else if (r == 0 && cloud_id(got.json, ret->id, e) < 0)
		r = err_prefix(e, "service '%s'", c->http.name);
	http_reply_done(&got);
	json_decref(body);
	return r;
}

/* The POST, and what came of it. */
static int register_device(struct cloud *c, const struct args *a, const char *key,
	struct step_result *out, struct err *e)
{
	struct cloud_device posted;
	struct err why = {0}, again = {0};
	int r = send_device(c, a, key, &posted, out, &why);
	if (look_up(c, &again) < 0) {
		if (r < 0 && again.code != ERR_SERVICE_CONFLICT)
			return err_set(e, why.code, "%s; then %.120s", why.msg, again.msg);
		return err_set(e, again.code, "%s", again.msg);
	}
	if (r < 0 && !c->found.id[0])
		return err_set(e, why.code,
			"%s; the service has no device of serial number %s so far: run the unit again",
			why.msg, c->serial);
	if (!c->found.id[0] || (r == 0 && strcmp(posted.id, c->found.id) != 0))
		return err_set(e, ERR_SERVICE_ANSWER,
			"service '%s' registered serial number %s as device %s, and has %s for it when it is asked",
			c->http.name, c->serial, posted.id, c->found.id[0] ? c->found.id : "none");
	if (r < 0)
		result_evidence(out, "answer", json_string(why.msg));
	return 0;
}

/* What is looked up by an empty serial number is everything. */
static int register_check(const struct args *a, struct err *e)
{
	const char *serial = args_str(a, "serial");

	if (serial && (!*serial || strlen(serial) >= UNIT_SERIAL_BYTES))
		return err_set(e, ERR_RECIPE_INVALID,
			"'serial' has %zu characters, 1 to %d expected: give '${unit.serial}'",
			strlen(serial), UNIT_SERIAL_BYTES - 1);
	return path_check(a, e);
}

static int register_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(cloud_done) struct cloud c = {0};
	struct intent i = {0};
	int r = register_check(a, e);

	if (r == 0)
		r = cloud_open(&c, s, a, e);
	if (r < 0)
		return r;
	c.serial = args_str(a, "serial");
	c.type = args_str(a, "device_type");
	snprintf(i.unit, sizeof i.unit, "%s", c.serial);
	snprintf(i.what, sizeof i.what, "registration at %.40s", c.http.name);
	digest_of(&c, i.digest);
	r = step_intend(s, a, &i, &c, &c.before, out, e);
	if (r == 0 && !c.before)
		r = register_device(&c, a, i.digest, out, e);
	if (r < 0)
		return r;
	result_evidence(out, "service", json_string(c.http.name));
	result_evidence(out, "serial_number", json_string(c.serial));
	result_evidence(out, "device_type", json_string(c.type));
	result_evidence(out, "device_id", json_string(c.found.id));
	result_evidence(out, "registered", json_string(c.before ? "before" : "now"));
	result_evidence(out, "proof", json_string("observed"));
	result_output(out, "device_id", json_string(c.found.id));
	result_output(out, "registered", json_string(c.before ? "before" : "now"));
	return 0;
}

#define ARG_ROW_DEVICES                                                      \
	{                                                                    \
		.name = "path", .type = ARG_STRING, .def = "/devices",       \
		.doc = "of the list of devices, below the service's address" \
	}

static const struct action_arg register_args[] = {
	ARG_ROW_SERVICE,
	{.name = "serial",
		.type = ARG_STRING,
		.required = true,
		.doc = "the serial number, '${unit.serial}': by it the device is found again"},
	{.name = "device_type",
		.type = ARG_STRING,
		.required = true,
		.doc = "such as '${unit.model}'"},
	{.name = "firmware_version",
		.type = ARG_STRING,
		.required = true,
		.doc = "what the unit says of itself, '${steps.version.match1}'"},
	ARG_ROW_DEVICES,
	{0},
};

static const struct action_output register_outputs[] = {
	{"device_id", "what the cloud calls it", false},
	{"registered", "now, or before: by an earlier run", false}, {0}};

const struct action action_cloud_register = {
	.name = "cloud.register",
	.doc = "Registers the unit at a cloud (the guide's POST /devices), once: it is looked up by its serial number before, and after an answer that was lost.",
	.flags = ACTION_IRREVERSIBLE | ACTION_NEEDS_EVIDENCE | ACTION_MAY_WAIT,
	.args = register_args,
	.outputs = register_outputs,
	.default_timeout_us = 120 * US_PER_S,
	.check = register_check,
	.run = register_run,
	.observe = register_observe,
};

/* --- one device --- */

#define ARG_ROW_DEVICE_ID                                                  \
	{                                                                  \
		.name = "device_id", .type = ARG_STRING, .required = true, \
		.doc = "'${steps.register.device_id}'"                     \
	}

/* DEVICES/ID and what follows it, owned by the caller; NULL with an error. */
static char *device_path(
	const struct cloud *c, const struct args *a, const char *rest, struct err *e)
{
	json_t *o = json_pack("{s:s}", "device_id", args_str(a, "device_id"));
	char id[CLOUD_ID_BYTES];
	char *path = NULL;

	if (cloud_id(o, id, e) == 0) {
		/* A '%' is in no path of a recipe: what has to be escaped is refused as it is. */
		path = xasprintf("%s/%s%s", c->devices, id, rest);
		if (http_path_check(path, e) < 0) {
			free(path);
			path = NULL;
		}
	}
	json_decref(o);
	return path;
}

static int take_credentials(
	const struct http_step *x, const json_t *j, struct step_result *out, struct err *e)
{
	const char *id = json_string_value(json_object_get(j, "client_id"));
	const char *secret = json_string_value(json_object_get(j, "client_secret"));

	if (!id || !*id || !secret || !*secret)
		return err_set(e, ERR_SERVICE_ANSWER,
			"service '%s': its answer has no 'client_id' and 'client_secret', both texts expected",
			x->name);
	result_output(out, "client_secret", json_string(secret));
	result_output(out, "client_id", json_string(id));
	result_evidence(out, "client_id", json_string(id));
	result_evidence(out, "proof", json_string("fetched"));
	return 0;
}

static int credentials_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(cloud_done) struct cloud c = {0};
	_cleanup_(freep) char *path = NULL;
	struct http_ask q = {.method = "GET"};
	struct http_reply got = {0};
	int r = cloud_open(&c, s, a, e);

	if (r < 0)
		return r;
	q.path = path = device_path(&c, a, "/credentials", e);
	if (!path)
		return -ERR_SERVICE_ANSWER;
	r = http_step_ask(&c.http, &q, &got, e);
	/* An answer of this path may hold what nobody may see, whatever its status. */
	if (r == 0 && got.status != 200)
		r = http_step_refused(&c.http, &q, &got, "200", false, e);
	else if (r == 0)
		r = take_credentials(&c.http, got.json, out, e);
	http_reply_done(&got);
	return r;
}

static const struct action_arg credentials_args[] = {
	ARG_ROW_SERVICE, ARG_ROW_DEVICE_ID, ARG_ROW_DEVICES, {0}};

static const struct action_output credentials_outputs[] = {
	{"client_id", "by which the device logs in", false},
	{"client_secret", "with which it does: for console.config and the like", true}, {0}};

const struct action action_cloud_credentials = {
	.name = "cloud.credentials",
	.doc = "Fetches the credentials of a registered device (the guide's GET /devices/ID/credentials).",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = credentials_args,
	.outputs = credentials_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = path_check,
	.run = credentials_run,
};

/* --- cloud.activate --- */

/* *ret: whether the cloud shows the device as active. */
static int ask_state(
	struct cloud *c, const struct args *a, const char *path, bool *ret, struct err *e)
{
	const struct http_ask q = {.method = "GET", .path = path};
	struct http_reply got = {0};
	_cleanup_(freep) char *state = NULL;
	int r = http_step_ask(&c->http, &q, &got, e);

	if (r == 0 && got.status != 200)
		r = http_step_refused(&c->http, &q, &got, "200", true, e);
	if (r == 0)
		state = http_json_text(json_object_get(got.json, "state"));
	*ret = state && !strcmp(state, args_str(a, "active"));
	http_reply_done(&got);
	return r;
}

/* After an answer that does not settle it. why: of the POST. */
static int activated_after_all(struct cloud *c, const struct args *a, const char *device,
	const struct err *why, struct step_result *out, struct err *e)
{
	struct err again = {0};
	bool active = false;
	int r = ask_state(c, a, device, &active, &again);

	if (r < 0)
		return err_set(e, why->code, "%s; then %.120s", why->msg, again.msg);
	if (!active)
		return err_set(e, why->code, "%s; the device is not active", why->msg);
	result_evidence(out, "answer", json_string(why->msg));
	result_evidence(out, "proof", json_string("observed"));
	return 0;
}

/* By an attempt whose answer nobody took. */
static int activated_before(struct cloud *c, const struct args *a, const char *device, bool *ret,
	struct step_result *out, struct err *e)
{
	int r = ask_state(c, a, device, ret, e);

	if (r == 0 && *ret)
		result_evidence(out, "proof", json_string("observed"));
	return r;
}

static int activate(struct cloud *c, const struct args *a, const char *device,
	struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/activate", device);
	const struct http_ask q = {
		.method = "POST", .path = path, .idempotency_key = c->http.s->key};
	struct http_reply got = {0};
	struct err why = {0};
	int r = http_step_ask(&c->http, &q, &got, &why);

	if (got.status)
		result_evidence(out, "status", json_integer(got.status));
	if (r == 0 && got.status == 200)
		result_evidence(out, "proof", json_string("acknowledged"));
	else if (r == 0)
		r = http_step_refused(&c->http, &q, &got, "200", true, &why);
	http_reply_done(&got);
	return r < 0 ? activated_after_all(c, a, device, &why, out, e) : 0;
}

static int activate_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(cloud_done) struct cloud c = {0};
	_cleanup_(freep) char *device = NULL;
	bool before = false;
	int r = cloud_open(&c, s, a, e);

	if (r < 0)
		return r;
	device = device_path(&c, a, "", e);
	if (!device)
		return -ERR_SERVICE_ANSWER;
	r = s->again ? activated_before(&c, a, device, &before, out, e) : 0;
	if (r == 0 && !before)
		r = activate(&c, a, device, out, e);
	if (r == 0)
		result_evidence(out, "device_id", json_string(args_str(a, "device_id")));
	return r;
}

static const struct action_arg activate_args[] = {
	ARG_ROW_SERVICE,
	ARG_ROW_DEVICE_ID,
	ARG_ROW_DEVICES,
	{.name = "active",
		.type = ARG_STRING,
		.def = "active",
		.doc = "what 'state' of GET /devices/ID is then: asked where the answer was lost"},
	{0},
};

const struct action action_cloud_activate = {
	.name = "cloud.activate",
	.doc = "Activates a registered device (the guide's POST /devices/ID/activate); after a lost answer its state is asked.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_MAY_WAIT,
	.args = activate_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = path_check,
	.run = activate_run,
};
