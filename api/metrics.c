/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "api/access_log.h"
#include "api/route.h"
#include "api/tls.h"
#include "base/iotime.h"
#include "base/metrics.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/meters.h"
#include "db/attachments.h"
#include "db/backlog.h"
#include "db/outbox.h"
#include "provd_config.h"
#include "transports/links/http_allow.h"

/* --- requests --- */

enum { REQUESTS, REQUEST_SECONDS };

static const uint64_t request_bounds_us[] = {
	1000, 5000, 25000, 100000, 250000, 1000000, 2500000, 10000000, 0};
static const struct metric_row rows[] = {
	[REQUESTS] = {"provd_http_requests_total", METRIC_COUNTER,
		"Requests that are over; status: none where the client left before an answer.",
		{"method", "route", "status"}, .most = 2000},
	[REQUEST_SECONDS] = {"provd_http_request_duration_seconds", METRIC_HISTOGRAM,
		"How long requests took, from their first line to the end of the answer, without streams.",
		{"route"}, request_bounds_us, .most = 200},
	{0},
};

struct metrics *api_metrics_new(void)
{
	return metrics_new(rows);
}

void api_count_request(struct api *a, const struct request *rq)
{
	const struct route *r = rq->route;
	const char *route = r ? r->pattern : "none";
	const char *method = rq->method < HTTP_METHODS ? http_method_str(rq->method) : "other";
	char status[12] = "none";

	if (rq->status)
		snprintf(status, sizeof status, "%d", rq->status);
	metrics_count(a->metrics, REQUESTS,
		(const char *const[]){rq->head ? "HEAD" : method, route, status}, 1);
	if (rq->answer_bytes >= 0)
		metrics_observe(a->metrics, REQUEST_SECONDS, &route, now_us() - rq->begun_us);
}

/* --- what is printed --- */

static void print_gauge(struct strbuf *b, const char *name, const char *help, double value)
{
	metric_head(b, name, "gauge", help);
	metric_value(b, name, value, NULL);
}

static void print_counter(struct strbuf *b, const char *name, const char *help, double value)
{
	metric_head(b, name, "counter", help);
	metric_value(b, name, value, NULL);
}

static void print_stations(struct strbuf *b, struct fleet *f)
{
	struct fleet_summary summary;

	metric_head(b, "provd_stations", "gauge", "Stations by state.");
	fleet_summary(f, &summary);
	for (int i = 0; i < STATION_STATE_COUNT; i++)
		metric_value(b, "provd_stations", summary.in[i], "state",
			station_state_str((enum station_state)i), NULL);
}

/* Each cause that holds is 1; one that is over is left out. Two causes may have one code. */
static void print_holds(struct strbuf *b, struct fleet *f)
{
	json_t *list = holds_json(fleet_holds(f)), *codes = json_object(), *hold;
	const char *code;
	json_t *v;
	size_t i;

	metric_head(b, "provd_hold", "gauge",
		"1 for each cause that keeps the line from its work; a cause that is over is absent.");
	json_array_foreach(list, i, hold)
		json_object_set_new(
			codes, json_string_value(json_object_get(hold, "code")), json_true());
	json_object_foreach(codes, code, v)
		metric_value(b, "provd_hold", 1, "code", code, NULL);
	json_decref(codes);
	json_decref(list);
}

static void print_writer(struct strbuf *b, struct writer *w)
{
	uint64_t commits, records;

	writer_stats(w, &commits, &records);
	print_counter(b, "provd_writer_commits_total", "Transactions that were made durable.",
		(double)commits);
	print_counter(
		b, "provd_writer_records_total", "Records in those transactions.", (double)records);
	print_gauge(b, "provd_writer_queue_records",
		"Records that wait for the writer, without those of the transaction under way.",
		(double)writer_waiting(w));
	metrics_print(writer_metrics(w), b);
}

static int64_t file_bytes(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 ? st.st_size : 0;
}

static void print_disk(struct strbuf *b, struct fleet *f, int64_t database_bytes)
{
	_cleanup_(freep) char *log = db_log_path(fleet_db_path(f));
	uint64_t free_bytes, size_bytes;

	disk_room(records_disk(fleet_records(f)), &free_bytes, &size_bytes);
	print_gauge(b, "provd_disk_free_bytes",
		"What the file system of the records has free for provd.", (double)free_bytes);
	print_gauge(b, "provd_disk_size_bytes", "Size of that file system.", (double)size_bytes);
	print_gauge(b, "provd_database_size_bytes", "Size of the database without its log.",
		(double)database_bytes);
	print_gauge(b, "provd_database_wal_bytes", "Size of the write-ahead log of the database.",
		(double)file_bytes(log));
}

static void print_clock(struct strbuf *b)
{
	int64_t error_us;
	bool good = wall_is_synchronised(&error_us);

	print_gauge(b, "provd_clock_synchronised",
		"1 where the kernel says that a time service keeps the clock.", good);
	print_gauge(b, "provd_clock_max_error_seconds",
		"By how much the clock may be wrong, as the kernel says.",
		(double)error_us / US_PER_S);
}

static double age_s(int64_t oldest_ms, int64_t now_ms)
{
	return oldest_ms ? (double)(MAX(now_ms - oldest_ms, 0) / 1000) : 0;
}

static void print_outbox(struct strbuf *b, const struct outbox_counts *n)
{
	metric_head(
		b, "provd_outbox_rows", "gauge", "Rows of the outbox that are not done, by state.");
	metric_value(b, "provd_outbox_rows", (double)n->waiting, "state", "waiting", NULL);
	metric_value(b, "provd_outbox_rows", (double)n->refused, "state", "refused", NULL);
	print_gauge(b, "provd_outbox_oldest_seconds", "Age of the oldest of them.",
		age_s(n->oldest_ms, wall_ms()));
}

/* Who is near the quota sees it before a step fails of it. */
static void print_attachments(struct strbuf *b, struct fleet *f, int64_t files, int64_t bytes)
{
	struct config *c = fleet_config(f);

	print_gauge(b, "provd_attachments_files",
		"Files that runs have attached, each content once.", (double)files);
	print_gauge(b, "provd_attachments_bytes", "Bytes of these files.", (double)bytes);
	print_gauge(b, "provd_attachments_quota_bytes", "How many there may be.",
		(double)c->attachments.quota);
	config_unref(c);
}

/* Of a webhook or an address of cfx its host, since an id is no label: several of one host are one. */
static void backlog_target(const struct backlog_row *row, char ret[HTTP_HOST_BYTES])
{
	if (row->kind == BACKLOG_WEBHOOK || row->kind == BACKLOG_CFX)
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

static void print_backlog(struct strbuf *b, const struct backlog_list *l)
{
	struct backlog_sum *sum = xcalloc(l->n + 1, sizeof *sum);
	const size_t n = sum_backlog(l, sum);
	const int64_t now_ms = wall_ms();

	metric_head(b, "provd_backlog_messages", "gauge",
		"Messages that wait, by who is to take them.");
	for (size_t i = 0; i < n; i++)
		metric_value(b, "provd_backlog_messages", (double)sum[i].waiting, "kind",
			backlog_kinds[sum[i].kind], "target", sum[i].target, NULL);
	metric_head(b, "provd_backlog_oldest_seconds", "gauge", "Age of the oldest of them.");
	for (size_t i = 0; i < n; i++)
		metric_value(b, "provd_backlog_oldest_seconds", age_s(sum[i].oldest_ms, now_ms),
			"kind", backlog_kinds[sum[i].kind], "target", sum[i].target, NULL);
	free(sum);
}

static void print_tls(struct strbuf *b, struct api *a)
{
	struct tls_state state;

	if (!a->tls)
		return;
	tls_state(a->tls, &state);
	print_gauge(b, "provd_tls_certificate_end_seconds",
		"When the certificate of the API ends, since 1970.", (double)state.ends_s);
	print_gauge(b, "provd_tls_files_refused",
		"Whether there are newer files of TLS that could not be taken.",
		state.problem[0] != 0);
}

static void print_http(struct strbuf *b, struct api *a)
{
	struct conn_counts conns;
	uint64_t written, dropped;

	metrics_print(a->metrics, b);
	httpd_conns(a->httpd, &conns);
	metric_head(b, "provd_http_connections", "gauge", "Open connections of the API.");
	metric_value(b, "provd_http_connections", conns.open - conns.anonymous, "who", "principal",
		NULL);
	metric_value(b, "provd_http_connections", conns.anonymous, "who", "anonymous", NULL);
	metric_head(b, "provd_http_connections_cut_total", "counter",
		"Connections that were cut: to make room for others, or after their time.");
	metric_value(b, "provd_http_connections_cut_total", (double)conns.cut_for_room, "cause",
		"room", NULL);
	metric_value(b, "provd_http_connections_cut_total", (double)conns.cut_late, "cause", "late",
		NULL);
	access_log_counts(a->access_log, &written, &dropped);
	print_counter(b, "provd_access_log_lines_total",
		"Lines that were written to the access log.", (double)written);
	print_counter(b, "provd_access_log_dropped_total",
		"Lines that were not, since too many waited or its disk took none.",
		(double)dropped);
}

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and its own */
}

/* As Prometheus' own libraries name them. */
static void print_process(struct strbuf *b, const struct api *a)
{
	struct rusage u = {0};
	unsigned long long all = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%llu %llu", &all, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	getrusage(RUSAGE_SELF, &u);
	print_counter(b, "process_cpu_seconds_total", "Time of the processors that provd used.",
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / US_PER_S);
	print_gauge(b, "process_resident_memory_bytes", "Memory that provd has.",
		(double)resident * (double)sysconf(_SC_PAGESIZE));
	print_gauge(b, "process_open_fds", "Open files of provd.", count_fds());
	print_gauge(b, "process_start_time_seconds", "When provd started, since 1970.",
		(double)a->started_ms / 1000);
}

static void print_build(struct strbuf *b)
{
	metric_head(b, "provd_build_info", "gauge", "1; the label is the version of provd.");
	metric_value(b, "provd_build_info", 1, "version", PROVD_VERSION, NULL);
}

static void print_waiting(struct strbuf *b, struct api *a, int64_t *ret_database_bytes)
{
	struct outbox_counts waits = {0};
	struct backlog_list backlog = {0};
	int64_t files = 0, bytes = 0;
	struct err e;
	struct db *d = readers_take(a->readers, &e);
	bool good = d && db_size(d, ret_database_bytes, &e) == 0 &&
		    outbox_count(d, &waits, &e) == 0 && backlog_read(d, &backlog, &e) == 0 &&
		    attachments_room(d, &files, &bytes, &e) == 0;

	readers_give(a->readers, d);
	/* What is not known is absent, not 0. */
	if (good) {
		print_outbox(b, &waits);
		print_backlog(b, &backlog);
		print_attachments(b, a->fleet, files, bytes);
	}
	backlog_list_done(&backlog);
}

int get_metrics(struct call *c, struct err *e)
{
	struct api *a = c->api;
	struct strbuf b = {0};
	int64_t database_bytes = 0;
	size_t n;

	print_build(&b);
	print_stations(&b, a->fleet);
	metrics_print(meters_metrics(fleet_meters(a->fleet)), &b);
	print_holds(&b, a->fleet);
	print_writer(&b, fleet_writer(a->fleet));
	print_waiting(&b, a, &database_bytes);
	print_disk(&b, a->fleet, database_bytes);
	print_clock(&b);
	print_tls(&b, a);
	print_http(&b, a);
	print_gauge(&b, "provd_event_seq", "Sequence number of the newest event seen.",
		(double)feed_last_seq(fleet_feed(a->fleet)));
	print_process(&b, a);
	n = b.len;
	response_text(c->rs, 200, "text/plain; version=0.0.4; charset=utf-8", sb_take(&b), n);
	return 0;
}
