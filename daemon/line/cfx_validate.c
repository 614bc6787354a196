/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx_validate.h"

#include <stdarg.h>
#include <string.h>

#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/cfx_messages.h"

#define SHOWN 80 /* characters of a foreign text in a sentence */

json_t *cfx_validate_request(
	const char *request_id, const char *source, const char *target, const char *serial)
{
	char at[RFC3339_SIZE], id[UUID_SIZE];
	json_t *units =
		*serial ? json_pack("[{s:s, s:i, s:s, s:f, s:f, s:f, s:b, s:b}]", "UnitIdentifier",
				  serial, "PositionNumber", 1, "PositionName", "UNIT", "X", 0.0,
				  "Y", 0.0, "Rotation", 0.0, "FlipX", 0, "FlipY", 0)
			: json_array();
	json_t *body = json_pack("{s:[s, s], s:s?, s:o}", "Validations", "UnitRouteValidation",
		"UnitStatusValidation", "PrimaryIdentifier", *serial ? serial : NULL, "Units",
		units);
	json_t *o = cfx_envelope(CFX_VALIDATE_REQUEST, rfc3339_now(at), uuid7(id), source, body);

	json_object_set_new(o, "Target", json_string(target));
	json_object_set_new(o, "RequestID", json_string(request_id));
	return o;
}

static const char *text_at(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

__attribute__((format(printf, 2, 3))) static enum cfx_validated malformed(
	struct route_answer *ret, const char *fmt, ...)
{
	va_list ap;

	*ret = (struct route_answer){.code = ROUTE_MALFORMED};
	va_start(ap, fmt);
	vsnprintf(ret->reason, sizeof ret->reason, fmt, ap);
	va_end(ap);
	return CFX_MALFORMED;
}

static void answer(struct route_answer *ret, enum route_verdict verdict, const json_t *result)
{
	*ret = (struct route_answer){.answered = true, .verdict = verdict};
	snprintf(ret->reason, sizeof ret->reason, "%s", text_at(result, "Message"));
}

/* Passed or Failed (ValidationStatus); -1: something else. */
static int passed(const json_t *result)
{
	const char *text = text_at(result, "Result");

	return !strcmp(text, "Passed") ? 1 : !strcmp(text, "Failed") ? 0 : -1;
}

/* An identifier that is there is the one that was asked about: an answer to another unit allows nothing. */
static bool is_of(const json_t *result, const char *serial)
{
	const char *id = text_at(result, "UniqueIdentifier");

	return !*id || !*serial || !strcmp(id, serial);
}

static enum cfx_validated read_results(
	const json_t *body, const char *serial, struct route_answer *ret)
{
	const json_t *primary = json_object_get(body, "PrimaryResult");
	json_t *list = json_object_get(body, "ValidationResults");
	const json_t *bad = passed(primary) == 0 ? primary : NULL;
	json_t *one;
	size_t i;

	if (!list)
		list = json_object_get(body, "Results");
	if (passed(primary) < 0)
		return malformed(ret, "its PrimaryResult has no Result that is Passed or Failed");
	if (!is_of(primary, serial))
		return malformed(ret, "its PrimaryResult is of the unit '%.*s', not of '%.*s'",
			SHOWN, text_at(primary, "UniqueIdentifier"), SHOWN, serial);
	json_array_foreach(list, i, one) {
		if (passed(one) < 0)
			return malformed(ret,
				"its ValidationResults have a Result that is neither Passed nor Failed");
		if (!is_of(one, serial))
			return malformed(ret,
				"its ValidationResults are of the unit '%.*s', not of '%.*s'",
				SHOWN, text_at(one, "UniqueIdentifier"), SHOWN, serial);
		if (!bad && !passed(one))
			bad = one;
	}
	answer(ret, bad ? ROUTE_REJECT : ROUTE_ALLOW, bad ? bad : primary);
	return CFX_ANSWER;
}

static enum cfx_validated read_response(
	const json_t *envelope, const char *serial, struct route_answer *ret)
{
	const json_t *body = json_object_get(envelope, "MessageBody");
	const json_t *result = json_object_get(body, "Result");
	const char *name = text_at(envelope, "MessageName");

	if (strcmp(name, CFX_VALIDATE_RESPONSE) != 0)
		return malformed(
			ret, "it answers with '%.*s', ValidateUnitsResponse expected", SHOWN, name);
	/* Endpoints of version 1.0 say nothing of the request itself. */
	if (result && strcmp(text_at(result, "Result"), "Success") != 0)
		return malformed(ret, "it could not look: Result is '%.*s': %.*s", SHOWN,
			text_at(result, "Result"), SHOWN, text_at(result, "Message"));
	return read_results(body, serial, ret);
}

enum cfx_validated cfx_validate_read(const char *text, size_t n, const char *correlation_id,
	const char *request_id, const char *serial, struct route_answer *ret)
{
	json_t *o = json_loadb(text ? text : "", n, JSON_REJECT_DUPLICATES, NULL);
	const char *of = text_at(o, "RequestID");
	enum cfx_validated r;

	if (!json_is_object(o) && !strcmp(correlation_id, request_id))
		r = malformed(ret, "its answer is no JSON object");
	else if (strcmp(of, request_id) != 0)
		r = CFX_OTHERS;
	else if (*correlation_id && strcmp(correlation_id, request_id) != 0)
		r = malformed(ret, "its correlation-id is that of another question");
	else
		r = read_response(o, serial, ret);
	json_decref(o);
	return r;
}
