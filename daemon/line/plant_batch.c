/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/plant_batch.h"

#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "db/events.h"
#include "db/plant.h"
#include "db/told.h"

/* A plant takes 32 MiB at a time. */
const struct plant_batch_limits plant_batch_limits = {2 << 20, 24 << 20};

static const char *text_in(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static size_t bytes_of(const json_t *o)
{
	return o ? json_dumpb(o, NULL, 0, JSON_COMPACT) : 0;
}

/* A report that no plant takes would keep back all that comes after it: it goes without its measurements, and says so. They
 * are in this host's records. */
static void lighten(const char *run, json_t *told, size_t limit)
{
	json_t *report = json_object_get(told, "report"), *step;
	size_t i, left_out = 0;

	json_array_foreach(json_object_get(report, "steps"), i, step) {
		const size_t n = json_array_size(json_object_get(step, "measurements"));

		if (n == 0)
			continue;
		left_out += n;
		json_object_set_new(step, "measurements", json_array());
		json_object_set_new(step, "measurements_left_out", json_integer((json_int_t)n));
	}
	log_warning(
		"plant: the report of run %s is larger than %zu MiB: %zu measurements of it stay in this host's records alone",
		run, limit >> 20, left_out);
}

/* What goes to the plant of an event: *ret NULL where it was pruned in between, which a later start of the batch finds. */
static int make_item(struct db *d, int64_t seq, size_t limit, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	json_t *record_json, *told = NULL;
	const char *run;
	int r = events_message(d, seq, &text, e);

	*ret = NULL;
	if (r < 0 || !text)
		return r;
	record_json = json_loads(text, 0, NULL);
	if (!record_json)
		return err_set(e, ERR_INTERNAL, "event %lld is not JSON", (long long)seq);
	run = text_in(record_json, "run");
	if (run && !strcmp(text_in(record_json, "type"), "run-finished"))
		r = told_run(d, run, &told, e);
	if (r == 0 && bytes_of(told) > limit)
		lighten(run, told, limit);
	if (r == 0)
		*ret = told ? json_pack("{s:O, s:O}", "record", record_json, "told", told)
			    : json_pack("{s:O}", "record", record_json);
	json_decref(record_json);
	json_decref(told);
	return r;
}

int plant_batch(struct db *d, int64_t seen, const struct plant_batch_limits *l, json_t **ret,
	int64_t *ret_last, struct err *e)
{
	int64_t seq[PLANT_BATCH_EVENTS];
	size_t n, bytes = 0;
	int r = plant_next(d, seen, PLANT_BATCH_EVENTS, seq, &n, e);

	*ret = json_array();
	*ret_last = seen;
	for (size_t i = 0; r == 0 && i < n && bytes < l->batch_bytes; i++) {
		json_t *item;
		size_t more;

		r = make_item(d, seq[i], l->report_bytes, &item, e);
		more = bytes_of(item);
		if (r < 0 || (bytes > 0 && bytes + more > l->batch_bytes)) {
			json_decref(item);
			break;
		}
		if (item)
			json_array_append_new(*ret, item);
		bytes += more;
		*ret_last = seq[i];
	}
	return r;
}
