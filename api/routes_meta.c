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
#include "db/backlog.h"
#include "db/outbox.h"
#include "transports/links/http_allow.h"

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

/* Of a webhook its host, since an id is no label: several of one host are one. */
static void backlog_target(const struct backlog_row *row, char ret[HTTP_HOST_BYTES])
{
	if (row->kind == BACKLOG_WEBHOOK)
		http_url_host(row->where, ret);
	else
		snprintf(ret, HTTP_HOST_BYTES, "%s", row->name);
}

struct backlog_sum {
	enum backlog_kind kind;
	char target[HTTP_HOST_BYTES];
	int64_t waiting, oldest_ms;
};

static size_t sum_backlog(const struct backlog_list *l, struct backlog_sum *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct backlog_row *row = &l->row[i];
		char target[HTTP_HOST_BYTES];
		size_t k = 0;

		backlog_target(row, target);
		while (k < n && (ret[k].kind != row->kind || strcmp(ret[k].target, target) != 0))
			k++;
		if (k == n) {
			ret[n++] = (struct backlog_sum){.kind = row->kind};
			memcpy(ret[k].target, target, sizeof target);
		}
		ret[k].waiting += row->waiting;
		if (row->oldest_ms && (!ret[k].oldest_ms || row->oldest_ms < ret[k].oldest_ms))
			ret[k].oldest_ms = row->oldest_ms;
	}
	return n;
}

static void backlog_metrics(struct strbuf *b, const struct backlog_list *l)
{
	struct backlog_sum *sum = xcalloc(l->n + 1, sizeof *sum);
	const size_t n = sum_backlog(l, sum);
	const int64_t now_ms = wall_ms();

	metric(b, "provd_backlog_messages", "gauge", "Messages that wait, by who is to take them.");
	for (size_t i = 0; i < n; i++)
		sb_addf(b, "provd_backlog_messages{kind=\"%s\",target=\"%s\"} %lld\n",
			backlog_kinds[sum[i].kind], sum[i].target, (long long)sum[i].waiting);
	metric(b, "provd_backlog_oldest_seconds", "gauge", "Age of the oldest of them.");
	for (size_t i = 0; i < n; i++)
		sb_addf(b, "provd_backlog_oldest_seconds{kind=\"%s\",target=\"%s\"} %lld\n",
			backlog_kinds[sum[i].kind], sum[i].target,
			(long long)(sum[i].oldest_ms ? MAX(now_ms - sum[i].oldest_ms, 0) / 1000
						     : 0));
	free(sum);
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
	struct backlog_list backlog = {0};
	struct db *d = readers_take(c->api->readers, e);

	if (d && db_size(d, &size, e) == 0)
		outbox_count(d, &waits, e);
	if (d)
		backlog_read(d, &backlog, e);
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
	backlog_metrics(&b, &backlog);
	backlog_list_done(&backlog);
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
