/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/meters.h"

#include "base/metrics.h"
#include "base/util.h"

enum { RUNS, RUN_SECONDS, STEPS, STEP_SECONDS, DEVICE_ERRORS, PLUGS, WEBHOOK_SECONDS, CFX };

static const uint64_t run_bounds_us[] = {1000000, 2500000, 5000000, 10000000, 20000000, 30000000,
	60000000, 120000000, 300000000, 600000000, 1800000000, 0};
static const uint64_t step_bounds_us[] = {1000, 5000, 25000, 100000, 250000, 1000000, 2500000,
	10000000, 30000000, 60000000, 300000000, 0};
static const uint64_t webhook_bounds_us[] = {
	5000, 25000, 100000, 250000, 1000000, 2500000, 10000000, 30000000, 0};

static const struct metric_row rows[] = {
	[RUNS] = {"provd_runs_total", METRIC_COUNTER,
		"Runs that have ended; code: why one did not pass, none where it passed.",
		{"station", "recipe", "outcome", "code"}, .most = 2000},
	[RUN_SECONDS] = {"provd_run_duration_seconds", METRIC_HISTOGRAM,
		"How long runs took, from the attach to the verdict.", {"recipe", "outcome"},
		run_bounds_us, .most = 200},
	[STEPS] = {"provd_steps_total", METRIC_COUNTER, "Attempts of steps that have ended.",
		{"action", "outcome", "code"}, .most = 1000},
	[STEP_SECONDS] = {"provd_step_duration_seconds", METRIC_HISTOGRAM,
		"How long attempts of steps took, by what they do.", {"action"}, step_bounds_us,
		.most = 200},
	[DEVICE_ERRORS] = {"provd_device_errors_total", METRIC_COUNTER,
		"Steps that ended by a fault of the device or its link (USB, serial, network).",
		{"station", "code"}, .most = 1000},
	[PLUGS] = {"provd_usb_events_total", METRIC_COUNTER,
		"Devices that came to a port of the station, left it, or are not the one that it expects.",
		{"station", "event"}, .most = 1000},
	[WEBHOOK_SECONDS] = {"provd_webhook_request_duration_seconds", METRIC_HISTOGRAM,
		"How long requests to webhooks took.", {"result"}, webhook_bounds_us, .most = 8},
	[CFX] = {"provd_cfx_messages_total", METRIC_COUNTER,
		"Messages of IPC-CFX that have an end; only those accepted have left the records.",
		{"end"}, .most = 16},
	{0},
};

#define VALUES(...) ((const char *const[]){__VA_ARGS__})

struct meters {
	struct metrics *metrics;
};

struct meters *meters_new(void)
{
	struct meters *m = xcalloc(1, sizeof *m);

	m->metrics = metrics_new(rows);
	return m;
}

struct meters *meters_free(struct meters *m)
{
	if (m)
		metrics_free(m->metrics);
	free(m);
	return NULL;
}

struct metrics *meters_metrics(const struct meters *m)
{
	return m->metrics;
}

void meters_run(struct meters *m, const char *station, const char *recipe, const char *outcome,
	enum err_code code, uint64_t took_us)
{
	if (!m)
		return;
	metrics_count(m->metrics, RUNS, VALUES(station, recipe, outcome, err_code_str(code)), 1);
	metrics_observe(m->metrics, RUN_SECONDS, VALUES(recipe, outcome), took_us);
}

static bool is_of_the_device(enum err_code code)
{
	return code == ERR_DEVICE_GONE || code == ERR_WRONG_DEVICE || code == ERR_IO ||
	       code == ERR_ACCESS || code == ERR_BUSY || code == ERR_PORT_UNBOUND;
}

void meters_step(struct meters *m, const char *station, const char *action, const char *outcome,
	enum err_code code, uint64_t took_us)
{
	if (!m)
		return;
	metrics_count(m->metrics, STEPS, VALUES(action, outcome, err_code_str(code)), 1);
	metrics_observe(m->metrics, STEP_SECONDS, VALUES(action), took_us);
	if (is_of_the_device(code))
		metrics_count(m->metrics, DEVICE_ERRORS, VALUES(station, err_code_str(code)), 1);
}

void meters_plug(struct meters *m, const char *station, enum plug_event what)
{
	static const char *const names[] = {
		[PLUG_IN] = "connect", [PLUG_OUT] = "disconnect", [PLUG_WRONG] = "wrong-device"};

	if (m)
		metrics_count(m->metrics, PLUGS, VALUES(station, names[what]), 1);
}

void meters_webhook(struct meters *m, const char *result, uint64_t took_us)
{
	if (m)
		metrics_observe(m->metrics, WEBHOOK_SECONDS, VALUES(result), took_us);
}

void meters_cfx(struct meters *m, const char *end)
{
	if (m)
		metrics_count(m->metrics, CFX, VALUES(end), 1);
}
