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

static size_t bytes_of(const json_t *o)
{
	return o ? json_dumpb(o, NULL, 0, JSON_COMPACT) : 0;
}

/* A report that no plant takes would keep back all that comes after it: it goes without what makes it large, and says so.
 * This host's records have the whole. */
static void lighten(const char *run, json_t *told, size_t limit)
{
	static const char *const heavy[] = {"measurements", "evidence", "outputs"};
	json_t *report = json_object_get(told, "report"), *left_out = json_array(), *step;
	size_t i;

	json_object_set_new(report, "left_out", left_out);
	for (size_t k = 0; k < ARRAY_LEN(heavy) && bytes_of(told) > limit; k++) {
		json_array_foreach(json_object_get(report, "steps"), i, step)
			json_object_set_new(step, heavy[k], k == 0 ? json_array() : json_null());
		json_array_append_new(left_out, json_string(heavy[k]));
		log_warning(
			"plant: the report of run %s is larger than %zu MiB: it goes without its %s, which stay in this host's records",
			run, limit >> 20, heavy[k]);
	}
}

/* What goes to the plant of an event: *ret NULL where it was pruned in between, which a later start of the batch finds. */
static int make_item(struct db *d, int64_t seq, size_t limit, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	json_t *record_json, *told = NULL;
	const char *run, *type;
	int r = events_message(d, seq, &text, e);

	*ret = NULL;
	if (r < 0 || !text)
		return r;
	record_json = json_loads(text, 0, NULL);
	if (!record_json)
		return err_set(e, ERR_INTERNAL, "event %lld is not JSON", (long long)seq);
	run = json_string_value(json_object_get(record_json, "run"));
	type = json_string_value(json_object_get(record_json, "type"));
	if (run && type && !strcmp(type, "run-finished"))
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
