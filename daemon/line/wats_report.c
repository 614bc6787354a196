/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/wats_report.h"

#include <string.h>

#include "base/util.h"
#include "daemon/line/config.h"
#include "db/told.h"

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static json_t *member(const json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	return v ? json_incref(v) : json_null();
}

static const char *status_of(const char *outcome)
{
	static const struct {
		const char *outcome, *status;
	} rows[] = {{"passed", "P"}, {"provisioned", "P"}, {"failed", "F"}, {"aborted", "T"},
		{"interrupted", "T"}, {"skipped", "S"}, {"deferred", "S"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].outcome, outcome))
			return rows[i].status;
	return "E";
}

static const char *status_of_measured(const json_t *m)
{
	return !strcmp(text_of(m, "verdict"), "fail") ? "F" : "P";
}

static json_t *seconds(const json_t *o, const char *name)
{
	return json_real((double)json_integer_value(json_object_get(o, name)) / 1000);
}

/* --- what was measured --- */

static bool is_number(const json_t *m)
{
	return json_is_number(json_object_get(m, "value"));
}

static json_t *numeric(const json_t *m)
{
	const bool low = json_is_number(json_object_get(m, "low"));
	const bool high = json_is_number(json_object_get(m, "high"));
	json_t *o = json_pack("{s:s, s:o, s:s, s:s, s:o}", "compOp",
		low && high ? "GELE"
		: low	    ? "GE"
		: high	    ? "LE"
			    : "LOG",
		"name", member(m, "name"), "status", status_of_measured(m), "unit",
		text_of(m, "unit"), "value", member(m, "value"));

	/* The only limit is in lowLimit, whichever it is. */
	json_object_set_new(o, "lowLimit", member(m, low ? "low" : "high"));
	json_object_set_new(o, "highLimit", low && high ? member(m, "high") : json_null());
	return o;
}

static json_t *string_value(const json_t *m)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:n}", "compOp", "LOG", "name", member(m, "name"),
		"status", status_of_measured(m), "value", text_of(m, "text"), "limit");
}

/* Those that are numbers, or those that are not. */
static json_t *measured(const json_t *list, bool numbers)
{
	json_t *ret = json_array();
	const json_t *m;
	size_t i;

	json_array_foreach(list, i, m)
		if (is_number(m) == numbers)
			json_array_append_new(ret, numbers ? numeric(m) : string_value(m));
	return ret;
}

static void set_measured(
	json_t *step, const char *member_name, const char *one, const char *many, json_t *list)
{
	json_object_set_new(step, "stepType", json_string(json_array_size(list) > 1 ? many : one));
	json_object_set_new(step, member_name, list);
}

/* --- steps --- */

static const char *group_of(const json_t *step)
{
	const char *phase = text_of(step, "phase");

	return !strcmp(phase, "setup") ? "S" : !strcmp(phase, "teardown") ? "C" : "M";
}

/* The number of the attempt that ended the run, 0 none. */
static int64_t cause_of(const json_t *report)
{
	const json_t *step;
	int64_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(report, "steps"), i, step)
		if (strcmp(status_of(text_of(report, "outcome")), "P") != 0 &&
			!strcmp(text_of(report, "step"), text_of(step, "id")))
			n = json_integer_value(json_object_get(step, "n"));
	return n;
}

static json_t *leaf(const json_t *step, int64_t cause, int64_t *id)
{
	const json_t *list = json_object_get(step, "measurements");
	json_t *numbers = measured(list, true), *texts = measured(list, false);
	json_t *o = json_pack("{s:I, s:s, s:n, s:o, s:o, s:s, s:o, s:b}", "id", (json_int_t)(*id)++,
		"group", group_of(step), "stepType", "name", member(step, "id"), "start",
		member(step, "started_at"), "status", status_of(text_of(step, "outcome")),
		"totTime", seconds(step, "duration_ms"), "causedUUTFailure",
		json_integer_value(json_object_get(step, "n")) == cause);

	if (*text_of(step, "message"))
		json_object_set_new(o, "reportText", member(step, "message"));
	if (json_array_size(numbers) > 0)
		set_measured(o, "numericMeas", "ET_NLT", "ET_MNLT", json_incref(numbers));
	else if (json_array_size(texts) > 0)
		set_measured(o, "stringMeas", "ET_SVT", "ET_MSVT", json_incref(texts));
	else
		set_measured(o, "booleanMeas", "ET_PFT", "ET_PFT",
			json_pack("[{s:n, s:s}]", "name", "status",
				status_of(text_of(step, "outcome"))));
	json_decref(numbers);
	json_decref(texts);
	return o;
}

/* A step has one type: one that measured both has its texts in a second leaf. */
static void add_leaves(json_t *steps, const json_t *step, int64_t cause, int64_t *id)
{
	const json_t *list = json_object_get(step, "measurements");
	json_t *o = leaf(step, cause, id), *texts = measured(list, false);

	json_array_append_new(steps, o);
	if (json_object_get(o, "numericMeas") && json_array_size(texts) > 0) {
		json_t *second = json_copy(o);

		json_object_del(second, "numericMeas");
		json_object_set_new(second, "id", json_integer((json_int_t)(*id)++));
		json_object_set_new(second, "totTime", json_real(0));
		json_object_set_new(second, "causedUUTFailure", json_false());
		set_measured(second, "stringMeas", "ET_SVT", "ET_MSVT", json_incref(texts));
		json_array_append_new(steps, second);
	}
	json_decref(texts);
}

static json_t *root_of(const json_t *report)
{
	const char *status = status_of(text_of(report, "outcome"));
	const json_t *recipe = json_object_get(report, "recipe"), *step;
	const int64_t cause = cause_of(report);
	json_t *steps = json_array();
	int64_t id = 1;
	size_t i;

	json_array_foreach(json_object_get(report, "steps"), i, step)
		add_leaves(steps, step, cause, &id);
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:b, s:{s:s, s:s, s:o}, s:o}", "id", 0,
		"group", "M", "stepType", "SequenceCall", "name", "MainSequence Callback", "status",
		status, "totTime", seconds(report, "duration_ms"), "causedUUTFailure",
		strcmp(status, "P") != 0, "seqCall", "path", text_of(recipe, "name"), "name",
		text_of(recipe, "name"), "version",
		json_sprintf(
			"%lld", (long long)json_integer_value(json_object_get(recipe, "version"))),
		"steps", steps);
}

/* --- the report --- */

static void add_info(json_t *list, const char *what, const char *text)
{
	if (*text)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:n}", "description", what, "text", text, "numeric"));
}

static json_t *infos(const json_t *told, const json_t *report)
{
	json_t *list = json_array();

	add_info(list, "order", text_of(report, "job"));
	add_info(list, "work order", text_of(told, "reference"));
	add_info(list, "outcome", text_of(report, "outcome"));
	add_info(list, "code", text_of(report, "code"));
	add_info(list, "firmware version", text_of(report, "firmware_version"));
	add_info(list, "recipe sha256", text_of(json_object_get(report, "recipe"), "sha256"));
	add_info(list, "record hash", text_of(report, "hash"));
	return list;
}

/* The values that are the unit's, but for its serial number, which is sn. */
static json_t *sub_units(const json_t *told)
{
	json_t *list = json_array();
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(told, "values"), i, v) {
		const char *slot = text_of(v, "slot"), *kind = text_of(v, "kind");

		if (strcmp(kind, "serial") != 0)
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:s, s:s}", "partType", *slot ? slot : kind,
					"pn", kind, "rev", "", "sn", text_of(v, "value")));
	}
	return list;
}

json_t *wats_report(const json_t *told, const struct wats_config *c, const char *machine)
{
	const json_t *report = json_object_get(told, "report");
	const char *model = text_of(report, "model"), *started = text_of(report, "started_at");
	const char *start = *started ? started : text_of(report, "attached_at");
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "type", "T", "id",
		text_of(report, "id"), "pn",
		*model ? model : text_of(json_object_get(report, "recipe"), "name"), "sn",
		text_of(report, "serial_number"), "rev",
		text_of(json_object_get(report, "params"), "revision"), "processCode",
		c->process_code, "processName", c->process_name, "result",
		status_of(text_of(report, "outcome")));

	json_object_set_new(
		o, "machineName", json_sprintf("%s/%s", machine, text_of(report, "station")));
	json_object_set_new(o, "location", json_string(c->location ? c->location : ""));
	json_object_set_new(o, "start", json_string(start));
	json_object_set_new(o, "startUTC", json_string(start));
	json_object_set_new(o, "root", root_of(report));
	json_object_set_new(o, "uut",
		json_pack("{s:s, s:o, s:o}", "user", "provd", "execTime",
			seconds(report, "duration_ms"), "comment", member(report, "message")));
	json_object_set_new(o, "miscInfos", infos(told, report));
	json_object_set_new(o, "subUnits", sub_units(told));
	return o;
}

int wats_report_of(struct db *d, const struct wats_config *c, char **text, struct err *e)
{
	json_t *event = json_loads(*text, 0, NULL), *told = NULL, *report;
	const char *run = text_of(event, "run");
	char machine[256] = "";
	int r = 0;

	if (*run && !strcmp(text_of(event, "type"), "run-finished"))
		r = told_run(d, run, &told, e);
	if (r == 0 && told) {
		gethostname(machine, sizeof machine - 1);
		report = wats_report(told, c, machine);
		free(*text);
		*text = json_dumps(report, JSON_COMPACT);
		json_decref(report);
		r = *text ? 0 : err_set(e, ERR_NO_MEMORY, "the report of a run");
	}
	json_decref(told);
	json_decref(event);
	/* Moved to an archive meanwhile: the event is what is left of it. */
	return r == -ERR_NOT_FOUND ? 0 : r;
}
