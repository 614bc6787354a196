/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx_messages.h"

#include <string.h>

#include "base/digest.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/util.h"

#define STATION "{station}"

/* ResourceState (SEMI E10): which group of times. */
enum resource_state { PRD = 1000, SBY = 2000, ENG = 3000, SDT = 4000, USD = 5000 };

/* What a body is made of. */
struct story {
	const json_t *event, *data;
	const json_t *report; /* of the run */
	const json_t *told;
};

/* --- small pieces --- */

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static bool is(const json_t *o, const char *name, const char *value)
{
	return !strcmp(text_of(o, name), value);
}

/* A new reference, null where there is none. */
static json_t *member(const json_t *o, const char *name)
{
	json_t *v = json_object_get(o, name);

	return v ? json_incref(v) : json_null();
}

static int64_t ms_of(const json_t *o, const char *name)
{
	int64_t ms = 0;

	return rfc3339_parse(text_of(o, name), &ms) == 0 ? ms : 0;
}

static json_t *transaction(const struct story *s)
{
	return member(s->event, "run");
}

/* One unit, in the one position of a station. */
static json_t *units(const struct story *s)
{
	return json_pack("[{s:o, s:i, s:s, s:f, s:f, s:f, s:b, s:b}]", "UnitIdentifier",
		member(s->event, "serial"), "PositionNumber", 1, "PositionName", "UNIT", "X", 0.0,
		"Y", 0.0, "Rotation", 0.0, "FlipX", 0, "FlipY", 0);
}

static json_t *arrival(const struct story *s)
{
	return json_pack("{s:o, s:n, s:i, s:o, s:n}", "PrimaryIdentifier",
		member(s->event, "serial"), "HermesIdentifier", "UnitCount", 1, "Units", units(s),
		"Lane");
}

/* An order names the work order of the MES where it has a reference of it. */
static json_t *work_order(const struct story *s)
{
	const char *reference = text_of(s->told, "reference");
	const char *job = text_of(s->event, "job");

	if (!*job)
		return json_null();
	return json_pack("{s:s, s:s}", "WorkOrderId", *reference ? reference : job, "Batch", job);
}

static bool has_begun(const struct story *s)
{
	return *text_of(s->report, "started_at");
}

/* --- results --- */

/* TestResult. */
static const char *test_result(const char *outcome)
{
	static const struct {
		const char *outcome, *result;
	} rows[] = {{"passed", "Passed"}, {"provisioned", "Passed"}, {"failed", "Failed"},
		{"aborted", "Aborted"}, {"skipped", "Skipped"}, {"deferred", "Skipped"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].outcome, outcome))
			return rows[i].result;
	return "Error";
}

/* WorkResult: what ended by a fault of the station or a person says nothing of the unit. */
static const char *work_result(const char *outcome)
{
	const char *result = test_result(outcome);

	if (!strcmp(result, "Passed"))
		return "Completed";
	return !strcmp(result, "Error") ? "Aborted" : result;
}

/* --- faults and states --- */

/* By what the code says of whose fault it is. */
static const char *cause_of(const char *code)
{
	static const struct {
		const char *code, *cause;
	} rows[] = {{"device-gone", "ElectricalFailure"}, {"io", "ElectricalFailure"},
		{"interrupted", "PowerFailure"}, {"service-unreachable", "ServicesFailure"},
		{"service-busy", "ServicesFailure"}, {"service-untrusted", "ServicesFailure"},
		{"service-answer", "ServicesFailure"}, {"service-refused", "ServicesFailure"},
		{"service-conflict", "ServicesFailure"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].code, code))
			return rows[i].cause;
	return "SoftwareFailure";
}

static bool is_fault(const json_t *run)
{
	return is(run, "outcome", "error");
}

/* The run is the occurrence: one fault for each that a fault ended. */
static json_t *fault_of(const json_t *run, const char *id)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:s, s:s, s:o, s:{}, s:o}",
		"TransactionID", id, "Cause", cause_of(text_of(run, "code")), "Severity", "Error",
		"FaultCode", text_of(run, "code"), "FaultOccurrenceId", id, "Lane", "Stage",
		"SideLocation", "Unknown", "AccessType", "Unknown", "Description",
		member(run, "message"), "DescriptionTranslations", "OccurredAt",
		member(run, "ended_at"));
}

static json_t *state_change(
	enum resource_state old, int64_t old_ms, enum resource_state now, json_t *fault)
{
	char text[40];

	return json_pack("{s:i, s:s, s:i, s:o}", "OldState", (int)old, "OldStateDuration",
		cfx_duration(old_ms, text), "NewState", (int)now, "RelatedFault", fault);
}

/* Golden units and trials make nothing. */
static enum resource_state working_state(const struct story *s)
{
	return is(s->report, "kind", "production") ? PRD : ENG;
}

/* A station that was freed after its last run has no fault of that run any more. */
static bool fault_is_open(const struct story *s)
{
	const json_t *before = json_object_get(s->told, "before");
	const json_t *hold = json_object_get(s->told, "hold");

	return is_fault(before) &&
	       !(is(hold, "held", "") && ms_of(hold, "at") >= ms_of(before, "ended_at"));
}

static enum resource_state held_state(const char *held)
{
	return !strcmp(held, "disabled") ? SDT : USD;
}

/* Of a station at which no run is under way. */
static enum resource_state resting_state(const struct story *s)
{
	const char *held = text_of(json_object_get(s->told, "hold"), "held");

	if (*held)
		return held_state(held);
	return fault_is_open(s) ? USD : SBY;
}

/* How long it had rested at that time. */
static int64_t rested_ms(const struct story *s, int64_t at_ms)
{
	const int64_t since = MAX(ms_of(json_object_get(s->told, "before"), "ended_at"),
		ms_of(json_object_get(s->told, "hold"), "at"));

	return since ? MAX(at_ms - since, 0) : 0;
}

static json_t *state_at_start(const struct story *s)
{
	const int64_t begun = ms_of(s->report, "started_at");

	return state_change(resting_state(s), rested_ms(s, begun), working_state(s), json_null());
}

/* A quarantine in which a golden unit was run goes on, until it is freed. */
static json_t *state_at_end(const struct story *s)
{
	const int64_t took = ms_of(s->report, "ended_at") - ms_of(s->report, "started_at");
	const char *held = text_of(json_object_get(s->told, "hold"), "held");
	const bool fault = is_fault(s->report);

	if (!has_begun(s))
		return NULL;
	return state_change(working_state(s), MAX(took, 0), fault || *held ? USD : SBY,
		fault ? fault_of(s->report, text_of(s->event, "run")) : json_null());
}

static json_t *fault_occurred(const struct story *s)
{
	if (!has_begun(s) || !is_fault(s->report))
		return NULL;
	return json_pack("{s:o}", "Fault", fault_of(s->report, text_of(s->event, "run")));
}

static json_t *cleared(const char *id)
{
	return json_pack("{s:s, s:n}", "FaultOccurrenceId", id, "Operator");
}

/* The station works again. */
static json_t *fault_cleared(const struct story *s)
{
	return fault_is_open(s) ? cleared(text_of(json_object_get(s->told, "before"), "id")) : NULL;
}

/* --- a station that is held --- */

/* A quarantine is a fault of its own, which the event that began it names. */
static char *quarantine_id(const struct story *s, json_int_t seq, char buf[UUID_SIZE])
{
	_cleanup_(freep) char *text = xasprintf("quarantine of %s", text_of(s->event, "station"));

	return cfx_unique_id(text, seq, buf);
}

static json_t *quarantine(const struct story *s)
{
	const json_int_t seq = json_integer_value(json_object_get(s->event, "seq"));
	char id[UUID_SIZE];

	quarantine_id(s, seq, id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:s, s:s, s:o, s:{}, s:o}",
		"TransactionID", id, "Cause", cause_of(text_of(s->data, "code")), "Severity",
		"Error", "FaultCode", "quarantined", "FaultOccurrenceId", id, "Lane", "Stage",
		"SideLocation", "Unknown", "AccessType", "Unknown", "Description",
		member(s->data, "message"), "DescriptionTranslations", "OccurredAt",
		member(s->event, "timestamp"));
}

static bool is_quarantine(const struct story *s)
{
	return is(s->data, "held", "quarantined");
}

static json_t *quarantine_occurred(const struct story *s)
{
	return is_quarantine(s) ? json_pack("{s:o}", "Fault", quarantine(s)) : NULL;
}

static json_t *quarantine_cleared(const struct story *s)
{
	const json_t *hold = json_object_get(s->told, "hold");
	char id[UUID_SIZE];

	if (!is(s->data, "was", "quarantined") || !is(hold, "held", "quarantined"))
		return NULL;
	return cleared(quarantine_id(s, json_integer_value(json_object_get(hold, "seq")), id));
}

static json_t *state_of_hold(const struct story *s)
{
	const enum resource_state old = resting_state(s);
	const enum resource_state now = held_state(text_of(s->data, "held"));

	if (old == now)
		return NULL;
	return state_change(old, rested_ms(s, ms_of(s->event, "timestamp")), now,
		is_quarantine(s) ? quarantine(s) : json_null());
}

static json_t *state_when_freed(const struct story *s)
{
	const enum resource_state old = resting_state(s);

	if (old == SBY)
		return NULL;
	return state_change(old, rested_ms(s, ms_of(s->event, "timestamp")), SBY, json_null());
}

/* --- work --- */

static json_t *work_started(const struct story *s)
{
	const json_t *recipe = json_object_get(s->report, "recipe");
	json_t *o = arrival(s);
	char revision[24];

	snprintf(revision, sizeof revision, "%lld",
		(long long)json_integer_value(json_object_get(recipe, "version")));
	json_object_set_new(o, "TransactionID", transaction(s));
	json_object_set_new(o, "RecipeName", member(recipe, "name"));
	json_object_set_new(o, "Revision", json_string(revision));
	json_object_set_new(o, "WorkOrderIdentifier", work_order(s));
	return o;
}

static json_t *stage_of(const struct story *s)
{
	return json_pack("{s:o, s:o, s:s}", "StageSequence", member(s->data, "n"), "StageName",
		member(s->data, "step"), "StageType", "Work");
}

static json_t *stage_started(const struct story *s)
{
	return json_pack("{s:o, s:o}", "TransactionID", transaction(s), "Stage", stage_of(s));
}

static json_t *stage_completed(const struct story *s)
{
	json_t *o = stage_started(s);

	json_object_set_new(o, "Result", json_string(work_result(text_of(s->data, "outcome"))));
	json_object_set_new(o, "PerformanceImpacts", json_array());
	return o;
}

static json_t *work_completed(const struct story *s)
{
	json_t *o;

	if (!has_begun(s))
		return NULL;
	o = json_pack("{s:o, s:s}", "TransactionID", transaction(s), "Result",
		work_result(text_of(s->report, "outcome")));
	json_object_update_missing_new(o, arrival(s));
	json_object_del(o, "Lane");
	json_object_set_new(o, "PerformanceImpacts", json_array());
	return o;
}

/* --- the unit --- */

static json_t *characteristics(const json_t *values)
{
	json_t *list = json_array();
	const json_t *v;
	size_t i;

	json_array_foreach(values, i, v) {
		const char *slot = text_of(v, "slot");

		json_array_append_new(
			list, json_pack("{s:s, s:o}", "Name", *slot ? slot : text_of(v, "kind"),
				      "Value", member(v, "value")));
	}
	return list;
}

/* What was given to a unit that passed. */
static json_t *units_personalized(const struct story *s)
{
	const json_t *values = json_object_get(s->told, "values");

	if (json_array_size(values) == 0 ||
		strcmp(test_result(text_of(s->report, "outcome")), "Passed") != 0)
		return NULL;
	return json_pack("{s:o, s:[{s:o, s:i, s:o}]}", "TransactionId", transaction(s),
		"PersonalizedUnits", "UnitIdentifier", member(s->event, "serial"),
		"UnitPositionNumber", 1, "Characteristics", characteristics(values));
}

static const char *measured_result(const json_t *m)
{
	return is(m, "verdict", "fail") ? "Failed" : "Passed";
}

/* The type is said, first, where it is not the one that the place of the value has (Newtonsoft's $type). */
static json_t *measurement(const char *test, const json_t *m, size_t i)
{
	const bool number = json_is_number(json_object_get(m, "value"));
	json_t *value =
		number ? json_pack("{s:o, s:o, s:n, s:n, s:o, s:o}", "Value", member(m, "value"),
				 "ValueUnits", member(m, "unit"), "ExpectedValue",
				 "ExpectedValueUnits", "MinimumAcceptableValue", member(m, "low"),
				 "MaximumAcceptableValue", member(m, "high"))
		       : member(m, "text");
	json_t *o = json_pack("{s:s}", "$type",
		number ? "CFX.Structures.NumericMeasurement, CFX"
		       : "CFX.Structures.TextMeasurement, CFX");

	json_object_set_new(o, "MeasuredValue", value);
	json_object_set_new(o, "UniqueIdentifier", json_sprintf("%s/%zu", test, i + 1));
	json_object_set_new(o, "MeasurementName", member(m, "name"));
	json_object_set_new(o, "TimeRecorded", json_null());
	json_object_set_new(o, "Sequence", json_integer((json_int_t)i + 1));
	json_object_set_new(o, "Result", json_string(measured_result(m)));
	json_object_set_new(o, "CRDs", json_null());
	return o;
}

static json_t *measurements(const char *test, const json_t *list)
{
	json_t *ret = json_array();
	const json_t *m;
	size_t i;

	json_array_foreach(list, i, m)
		json_array_append_new(ret, measurement(test, m, i));
	return ret;
}

static json_t *end_of_step(const json_t *step)
{
	const json_t *took = json_object_get(step, "duration_ms");
	char text[RFC3339_SIZE];

	if (!json_is_integer(took))
		return json_null();
	return json_string(rfc3339(ms_of(step, "started_at") + json_integer_value(took), text));
}

/* A step is a test: it has a verdict, and evidence of it. */
static json_t *test_of(const struct story *s, const json_t *step)
{
	const char *result = test_result(text_of(step, "outcome"));
	_cleanup_(freep) char *id = xasprintf("%s/%lld", text_of(s->event, "run"),
		(long long)json_integer_value(json_object_get(step, "n")));
	json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:[], s:o, s:o}", "UniqueIdentifier", id,
		"TestName", member(step, "id"), "TestStartTime", member(step, "started_at"),
		"TestEndTime", end_of_step(step), "TestConditions", "TestProcedure",
		member(step, "action"), "Comments",
		!strcmp(result, "Failed") ? member(step, "message") : json_null());

	json_object_set_new(o, "Result", json_string(result));
	json_object_set_new(
		o, "Error", !strcmp(result, "Error") ? member(step, "message") : json_null());
	json_object_set_new(o, "SymptomsFound", json_array());
	json_object_set_new(o, "DefectsFound", json_array());
	json_object_set_new(
		o, "Measurements", measurements(id, json_object_get(step, "measurements")));
	return o;
}

static json_t *tests(const struct story *s)
{
	const json_t *step;
	json_t *list = json_array();
	size_t i;

	json_array_foreach(json_object_get(s->report, "steps"), i, step)
		json_array_append_new(list, test_of(s, step));
	return list;
}

static json_t *units_tested(const struct story *s)
{
	const json_t *recipe = json_object_get(s->report, "recipe");
	json_t *o;

	if (!has_begun(s))
		return NULL;
	o = json_pack("{s:o, s:s, s:n, s:{s:s, s:n, s:n}, s:o, s:o}", "TransactionId",
		transaction(s), "TestMethod", "Automated", "Tester", "SamplingInformation",
		"SamplingMethod", "NoSampling", "LotSize", "SampleSize", "RecipeName",
		member(recipe, "name"), "RecipeRevision", member(recipe, "version"));
	if (json_is_integer(json_object_get(o, "RecipeRevision")))
		json_object_set_new(o, "RecipeRevision",
			json_sprintf("%lld", (long long)json_integer_value(
						     json_object_get(o, "RecipeRevision"))));
	json_object_set_new(o, "TestedUnits",
		json_pack("[{s:o, s:i, s:s, s:o}]", "UnitIdentifier", member(s->event, "serial"),
			"UnitPositionNumber", 1, "OverallResult",
			test_result(text_of(s->report, "outcome")), "Tests", tests(s)));
	return o;
}

/* --- the table --- */

static const struct {
	const char *event, *name;
	json_t *(*body)(const struct story *s); /* NULL: this run has no such message */
} rows[] = {
	{"run-attached", "CFX.Production.UnitsArrived", arrival},
	{"run-started", "CFX.ResourcePerformance.FaultCleared", fault_cleared},
	{"run-started", "CFX.ResourcePerformance.StationStateChanged", state_at_start},
	{"run-started", "CFX.Production.WorkStarted", work_started},
	{"step-started", "CFX.Production.WorkStageStarted", stage_started},
	{"step-finished", "CFX.Production.WorkStageCompleted", stage_completed},
	{"run-finished", "CFX.Production.Assembly.UnitsPersonalized", units_personalized},
	{"run-finished", "CFX.Production.TestAndInspection.UnitsTested", units_tested},
	{"run-finished", "CFX.Production.WorkCompleted", work_completed},
	{"run-finished", "CFX.ResourcePerformance.FaultOccurred", fault_occurred},
	{"run-finished", "CFX.ResourcePerformance.StationStateChanged", state_at_end},
	{"run-finished", "CFX.Production.UnitsDeparted", arrival},
	{"station-held", "CFX.ResourcePerformance.FaultCleared", quarantine_cleared},
	{"station-held", "CFX.ResourcePerformance.FaultOccurred", quarantine_occurred},
	{"station-held", "CFX.ResourcePerformance.StationStateChanged", state_of_hold},
	{"station-freed", "CFX.ResourcePerformance.FaultCleared", quarantine_cleared},
	{"station-freed", "CFX.ResourcePerformance.FaultCleared", fault_cleared},
	{"station-freed", "CFX.ResourcePerformance.StationStateChanged", state_when_freed},
};

/* Not on record. */
static const char *const others[] = {
	"CFX.EndpointConnected", "CFX.Heartbeat", "CFX.EndpointShuttingDown"};

static bool matches(const char *pattern, const char *name)
{
	const size_t n = strlen(pattern);

	return n > 0 && pattern[n - 1] == '*' ? !strncmp(pattern, name, n - 1)
					      : !strcmp(pattern, name);
}

bool cfx_is_type(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (matches(text, rows[i].name))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (matches(text, others[i]))
			return true;
	return false;
}

bool cfx_wanted(const json_t *only, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach(only, i, v)
		if (matches(json_string_value(v), name))
			return true;
	return json_array_size(only) == 0;
}

json_t *cfx_events(const json_t *only)
{
	json_t *list = json_array();
	const char *last = "";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!cfx_wanted(only, rows[i].name) || !strcmp(rows[i].event, last))
			continue;
		last = rows[i].event;
		json_array_append_new(list, json_string(last));
	}
	/* An empty list would be all of them. */
	if (json_array_size(list) == 0)
		json_array_append_new(list, json_string("none"));
	return list;
}

bool cfx_needs_station(const char *type)
{
	return !strcmp(type, "station-held") || !strcmp(type, "station-freed");
}

bool cfx_needs_run(const char *type)
{
	return !strcmp(type, "run-started") || !strcmp(type, "run-finished");
}

json_t *cfx_messages(const json_t *event, const json_t *told, const json_t *only)
{
	const struct story s = {.event = event,
		.data = json_object_get(event, "data"),
		.report = json_object_get(told, "report"),
		.told = told};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *body;

		if (!is(event, "type", rows[i].event) || !cfx_wanted(only, rows[i].name))
			continue;
		body = rows[i].body(&s);
		if (body)
			json_array_append_new(
				list, json_pack("{s:s, s:I, s:o}", "name", rows[i].name, "k",
					      (json_int_t)i, "body", body));
	}
	return list;
}

/* --- envelopes --- */

bool cfx_is_handle(const char *text)
{
	const char *hole = strstr(text, STATION);
	unsigned parts = 1;

	for (const char *c = text; *c; c++) {
		if (c == hole) {
			c += strlen(STATION) - 1;
			continue;
		}
		if (*c == '.' && (c == text || c[1] == '.' || !c[1]))
			return false;
		parts += *c == '.';
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.",
			    *c))
			return false;
	}
	return parts >= 3;
}

char *cfx_handle(const char *handle, const char *station)
{
	const char *hole = strstr(handle, STATION);

	if (!hole)
		return xstrdup(handle);
	return xasprintf("%.*s%s%s", (int)(hole - handle), handle, station, hole + strlen(STATION));
}

char *cfx_unique_id(const char *delivery, int64_t k, char buf[UUID_SIZE])
{
	_cleanup_(freep) char *text = xasprintf("%s %lld", delivery, (long long)k);
	uint8_t raw[SHA256_BYTES];
	char hex[2 * 16 + 1];

	sha256_of(text, strlen(text), raw);
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x80);
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	hex_of(raw, 16, hex);
	snprintf(buf, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		hex + 20);
	return buf;
}

json_t *cfx_envelope(
	const char *name, const char *at, const char *id, const char *source, json_t *body)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:o}", "MessageName", name, "Version",
		CFX_VERSION, "TimeStamp", at, "UniqueID", id, "Source", source, "Target",
		"RequestID", "MessageBody", body);
}

char *cfx_duration(int64_t ms, char buf[40])
{
	const int64_t s = ms / 1000, days = s / 86400;
	int n = days ? snprintf(buf, 40, "%lld.", (long long)days) : 0;

	n += snprintf(buf + n, 40 - (size_t)n, "%02d:%02d:%02d", (int)(s / 3600 % 24),
		(int)(s / 60 % 60), (int)(s % 60));
	if (ms % 1000)
		snprintf(buf + n, 40 - (size_t)n, ".%03d", (int)(ms % 1000));
	return buf;
}

/* Nothing is asked of provd over CFX so far. */
json_t *cfx_endpoint_connected(const char *handle)
{
	return json_pack("{s:s, s:n, s:n}", "CFXHandle", handle, "RequestNetworkUri",
		"RequestTargetAddress");
}

json_t *cfx_heartbeat(const char *handle, uint64_t every_us)
{
	char text[40];

	return json_pack("{s:s, s:s, s:n, s:n}", "CFXHandle", handle, "HeartbeatFrequency",
		cfx_duration((int64_t)(every_us / US_PER_MS), text), "ActiveFaults",
		"ActiveRecipes");
}

json_t *cfx_endpoint_shutting_down(const char *handle)
{
	return json_pack("{s:s}", "CFXHandle", handle);
}
