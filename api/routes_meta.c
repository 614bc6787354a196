/* SPDX-License-Identifier: Apache-2.0
 *
 * What is true of provd itself: health, version, actions, metrics, the OpenAPI document.
 */
#include <time.h>

#include "api/api_tls.h"
#include "api/route.h"
#include "api/tls.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/recipe/action_doc.h"
#include "provd_config.h"
#include "base/timefmt.h"
#include "db/outbox.h"

#define DEAD_AFTER_US (30 * US_PER_S)

static int get_livez(struct call *c, struct err *e)
{
	response_json(c->rs, 200, json_pack("{s:s}", "status", "ok"));
	return 0;
}

/* Ready: the writer comes round, the database answers, and nothing keeps the line from taking
 * units. Every hold is listed, also one that stops dates alone. */
static int get_readyz(struct call *c, struct err *e)
{
	struct db *d = readers_take(c->api->readers, e);
	int64_t size = 0;
	bool writer = now_us() < writer_tick_us(fleet_writer(c->api->fleet)) + DEAD_AFTER_US;
	bool database = d && db_size(d, &size, e) == 0;
	struct holds *holds = fleet_holds(c->api->fleet);
	bool ready = writer && database && holds_check(holds, HOLD_STOPS_RUNS, NULL) == 0;

	readers_give(c->api->readers, d);
	response_json(c->rs, ready ? 200 : 503,
		json_pack("{s:s, s:b, s:b, s:o, s:o}", "status", ready ? "ok" : "unavailable",
			"writer", writer, "database", database, "holds", holds_json(holds),
			"warnings", api_tls_warnings(c->api)));
	return 0;
}

static int get_version(struct call *c, struct err *e)
{
	response_json(c->rs, 200,
		json_pack("{s:s, s:s, s:s, s:b}", "name", "provd", "version", PROVD_VERSION, "api",
			"v1", "insecure", c->api->insecure));
	return 0;
}

static int get_summary(struct call *c, struct err *e)
{
	json_t *o = json_object();
	struct fleet_summary summary;

	fleet_summary(c->api->fleet, &summary);
	json_object_set_new(o, "stations", json_integer((json_int_t)summary.stations));
	for (int i = 0; i < STATION_STATE_COUNT; i++)
		json_object_set_new(
			o, station_state_str((enum station_state)i), json_integer(summary.in[i]));
	json_object_set_new(o, "holds", holds_json(fleet_holds(c->api->fleet)));
	response_json(c->rs, 200, o);
	return 0;
}

static int get_actions(struct call *c, struct err *e)
{
	api_items(c, actions_json());
	return 0;
}

static int get_openapi(struct call *c, struct err *e)
{
	response_text(c->rs, 200, "application/json", xstrdup(c->api->openapi_text),
		strlen(c->api->openapi_text));
	return 0;
}

static void metric(struct strbuf *b, const char *name, const char *type, const char *help)
{
	sb_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void outbox_metrics(struct strbuf *b, const struct outbox_counts *n)
{
	int64_t age_ms = n->oldest_ms ? MAX(wall_ms() - n->oldest_ms, 0) : 0;

	metric(b, "provd_outbox_rows", "gauge", "Rows of the outbox that are not done, by state.");
	sb_addf(b, "provd_outbox_rows{state=\"waiting\"} %lld\n", (long long)n->waiting);
	sb_addf(b, "provd_outbox_rows{state=\"refused\"} %lld\n", (long long)n->refused);
	metric(b, "provd_outbox_oldest_seconds", "gauge", "Age of the oldest of them.");
	sb_addf(b, "provd_outbox_oldest_seconds %lld\n", (long long)(age_ms / 1000));
}

static void tls_metrics(struct strbuf *b, struct api *a)
{
	struct tls_state state;

	if (!a->tls)
		return;
	tls_state(a->tls, &state);
	metric(b, "provd_tls_certificate_end_seconds", "gauge",
		"When the certificate of the API ends, since 1970.");
	sb_addf(b, "provd_tls_certificate_end_seconds %lld\n", (long long)state.ends_s);
	metric(b, "provd_tls_files_refused", "gauge",
		"Whether there are newer files of TLS that could not be taken.");
	sb_addf(b, "provd_tls_files_refused %d\n", state.problem[0] != 0);
}

static int get_metrics(struct call *c, struct err *e)
{
	struct strbuf b = {0};
	struct fleet_summary summary;
	uint64_t commits;
	uint64_t records;
	int64_t size = 0;
	struct outbox_counts waits = {0};
	struct db *d = readers_take(c->api->readers, e);

	if (d && db_size(d, &size, e) == 0)
		outbox_count(d, &waits, e);
	readers_give(c->api->readers, d);
	writer_stats(fleet_writer(c->api->fleet), &commits, &records);
	metric(&b, "provd_stations", "gauge", "Stations by state.");
	fleet_summary(c->api->fleet, &summary);
	for (int i = 0; i < STATION_STATE_COUNT; i++)
		sb_addf(&b, "provd_stations{state=\"%s\"} %u\n",
			station_state_str((enum station_state)i), summary.in[i]);
	metric(&b, "provd_writer_commits_total", "counter", "Transactions that were made durable.");
	sb_addf(&b, "provd_writer_commits_total %llu\n", (unsigned long long)commits);
	metric(&b, "provd_writer_records_total", "counter", "Records in those transactions.");
	sb_addf(&b, "provd_writer_records_total %llu\n", (unsigned long long)records);
	metric(&b, "provd_database_size_bytes", "gauge", "Size of the database without its log.");
	sb_addf(&b, "provd_database_size_bytes %lld\n", (long long)size);
	outbox_metrics(&b, &waits);
	tls_metrics(&b, c->api);
	metric(&b, "provd_event_seq", "gauge", "Sequence number of the newest event seen.");
	sb_addf(&b, "provd_event_seq %lld\n", (long long)feed_last_seq(fleet_feed(c->api->fleet)));

	size_t n = b.len;

	response_text(c->rs, 200, "text/plain; version=0.0.4; charset=utf-8", sb_take(&b), n);
	return 0;
}

const struct route routes_meta[] = {
	{HTTP_GET, "/livez", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_livez},
	{HTTP_GET, "/readyz", 0, ROUTE_PUBLIC | ROUTE_NO_BODY, 0, get_readyz},
	{HTTP_GET, "/version", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_version},
	{HTTP_GET, "/openapi.json", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_openapi},
	{HTTP_GET, "/metrics", MAY_READ, ROUTE_NO_BODY, 0, get_metrics, .scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/livez", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_livez},
	{HTTP_GET, "/api/v1/readyz", 0, ROUTE_PUBLIC | ROUTE_NO_BODY, 0, get_readyz},
	{HTTP_GET, "/api/v1/version", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0,
		get_version},
	{HTTP_GET, "/api/v1/openapi.json", 0, ROUTE_PUBLIC | ROUTE_NO_BODY | ROUTE_DIRECT, 0,
		get_openapi},
	{HTTP_GET, "/api/v1/metrics", MAY_READ, ROUTE_NO_BODY, 0, get_metrics, .scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/summary", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_summary,
		.scope = SCOPE_OPEN},
	{HTTP_GET, "/api/v1/actions", MAY_READ, ROUTE_NO_BODY | ROUTE_DIRECT, 0, get_actions,
		.scope = SCOPE_OPEN},
	{0},
};
