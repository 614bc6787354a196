/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/batch.h"

#include <string.h>

#include "base/timefmt.h"
#include "base/util.h"
#include "plant/copy.h"

struct reading {
	const char *host;
	int64_t now_ms;
	struct batch *b;
	size_t i; /* of the record */
	struct err *e;
};

static int wrong(struct reading *x, const char *what)
{
	return err_set(x->e, ERR_UNPROCESSABLE, "record %zu of the batch: %s", x->i + 1, what);
}

/* A text, or null where the column may be. */
static bool is_text(const json_t *o, const char *key, bool or_null)
{
	const json_t *v = json_object_get(o, key);

	return (json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) < 1024) ||
	       (or_null && (!v || json_is_null(v)));
}

/* Or nothing at all. */
static bool is_list(const json_t *v)
{
	return !v || json_is_null(v) || json_is_array(v);
}

static json_t *member(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return v ? json_incref(v) : json_null();
}

/* The same value is the same text, so that a record that comes twice can be compared. */
static char *text_of(const json_t *v)
{
	return json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

/* --- a record --- */

static int check_record(struct reading *x, const json_t *o, int64_t *ret_at)
{
	static const char *const texts[] = {"station", "job", "run", "serial", NULL};
	const json_t *seq = json_object_get(o, "seq");

	if (!json_is_integer(seq))
		return wrong(x, "'record' is an object with a number 'seq'");
	if (json_integer_value(seq) <= x->b->last)
		return wrong(x, "its 'seq' is not larger than that of the record before it");
	if (!is_text(o, "type", false))
		return wrong(x, "'type' is a text");
	for (const char *const *t = texts; *t; t++)
		if (!is_text(o, *t, true))
			return wrong(x, "station, job, run and serial are texts or null");
	if (!is_text(o, "timestamp", false) ||
		rfc3339_parse(json_string_value(json_object_get(o, "timestamp")), ret_at) < 0)
		return wrong(x, "'timestamp' is a time such as 2026-11-29T14:03:11.123Z");
	return 0;
}

static void copy_members(struct strbuf *b, const json_t *from, const char *const *keys)
{
	for (; *keys; keys++)
		copy_json_text(b, json_object_get(from, *keys));
}

static int add_record(struct reading *x, const json_t *o, int64_t at)
{
	static const char *const keys[] = {"type", "station", "job", "run", "serial", NULL};
	struct strbuf *b = &x->b->text[BATCH_RECORDS];
	struct batch_record *record = &x->b->record[x->i];
	_cleanup_(freep) char *text = text_of(o);

	if (!text)
		return err_set(x->e, ERR_NO_MEMORY, "a record of a host");
	record->seq = json_integer_value(json_object_get(o, "seq"));
	sha256_hex_of(text, strlen(text), record->digest);
	copy_text(b, x->host);
	copy_int(b, record->seq);
	copy_int(b, at);
	copy_members(b, o, keys);
	copy_text(b, text);
	copy_text(b, record->digest);
	copy_int(b, x->now_ms);
	copy_end(b);
	return 0;
}

/* --- a run --- */

static int check_report(struct reading *x, const json_t *o, const json_t *report, int64_t *ret_end)
{
	static const char *const texts[] = {"station", "kind", "outcome", "id", "ended_at", NULL};
	static const char *const perhaps[] = {
		"job", "model", "unit", "serial_number", "code", "step", NULL};
	const char *run = json_string_value(json_object_get(o, "run"));
	const char *id = json_string_value(json_object_get(report, "id"));

	for (const char *const *t = texts; *t; t++)
		if (!is_text(report, *t, false))
			return wrong(x,
				"the report of its run has no text for each of id, station, kind, outcome, ended_at");
	for (const char *const *t = perhaps; *t; t++)
		if (!is_text(report, *t, true))
			return wrong(x,
				"the report of its run has something else than texts for job, model, unit, serial_number, code, step");
	if (!run || strcmp(run, id) != 0)
		return wrong(x, "the report is not that of its run");
	if (rfc3339_parse(json_string_value(json_object_get(report, "ended_at")), ret_end) < 0)
		return wrong(x, "the report of its run has no time of its end");
	return 0;
}

static int check_measurement(struct reading *x, const json_t *step, const json_t *m)
{
	static const char *const numbers[] = {"value", "low", "high", NULL};
	const json_t *text = json_object_get(m, "text");

	if (!json_is_integer(json_object_get(step, "n")) || !is_text(m, "name", false) ||
		!is_text(m, "verdict", false) || !is_text(m, "unit", true) ||
		(text && !json_is_null(text) && !json_is_string(text)))
		return wrong(x, "a measurement of its run has no name or no verdict");
	for (const char *const *k = numbers; *k; k++) {
		const json_t *v = json_object_get(m, *k);

		if (v && !json_is_null(v) && !json_is_number(v))
			return wrong(x, "value, low and high of a measurement are numbers or null");
	}
	return 0;
}

static int add_measurements(struct reading *x, const char *run, const json_t *step, int64_t *n)
{
	struct strbuf *b = &x->b->text[BATCH_MEASUREMENTS];
	const json_t *list = json_object_get(step, "measurements");
	size_t i;
	json_t *m;

	if (!json_is_object(step) || !is_list(list))
		return wrong(x, "a step of its run is an object, and its measurements are a list");
	json_array_foreach(list, i, m) {
		int r = check_measurement(x, step, m);

		if (r < 0)
			return r;
		copy_text(b, run);
		copy_int(b, (*n)++);
		copy_json_number(b, json_object_get(step, "n"));
		copy_json_text(b, json_object_get(m, "name"));
		copy_json_number(b, json_object_get(m, "value"));
		copy_json_text(b, json_object_get(m, "text"));
		copy_json_text(b, json_object_get(m, "unit"));
		copy_json_number(b, json_object_get(m, "low"));
		copy_json_number(b, json_object_get(m, "high"));
		copy_json_text(b, json_object_get(m, "verdict"));
		copy_end(b);
	}
	return 0;
}

static int add_values(struct reading *x, const json_t *report, const json_t *values, int64_t at)
{
	size_t i;
	json_t *v;

	if (!is_list(values))
		return wrong(x, "the values of its run are a list");
	json_array_foreach(values, i, v) {
		const json_t *slot = json_object_get(v, "slot");
		json_t *row;

		if (!is_text(v, "kind", false) || !is_text(v, "value", false) ||
			!json_is_string(slot))
			return wrong(
				x, "a value of its run has not the texts kind, slot and value");
		row = json_pack("{s:o, s:o, s:I, s:O, s:O, s:O}", "run", member(report, "id"),
			"unit", member(report, "unit"), "at", (json_int_t)at, "kind",
			json_object_get(v, "kind"), "slot", slot, "value",
			json_object_get(v, "value"));
		json_array_append_new(x->b->values, row);
	}
	return 0;
}

static void copy_run(
	struct reading *x, const json_t *o, const json_t *told, const char *text, int64_t ended)
{
	static const char *const who[] = {"station", "kind", "job", NULL};
	static const char *const what[] = {
		"model", "unit", "serial_number", "outcome", "code", "step", NULL};
	const json_t *report = json_object_get(told, "report");
	const json_t *recipe = json_object_get(report, "recipe");
	struct strbuf *b = &x->b->text[BATCH_RUNS];

	copy_json_text(b, json_object_get(report, "id"));
	copy_text(b, x->host);
	copy_json_number(b, json_object_get(o, "seq"));
	copy_members(b, report, who);
	copy_json_text(b, json_object_get(told, "reference"));
	copy_json_text(b, json_object_get(recipe, "name"));
	copy_json_number(b, json_object_get(recipe, "version"));
	copy_members(b, report, what);
	copy_int(b, ended);
	copy_text(b, text);
	copy_end(b);
}

static int add_steps(struct reading *x, const json_t *report)
{
	const char *run = json_string_value(json_object_get(report, "id"));
	const json_t *steps = json_object_get(report, "steps");
	int64_t n = 1;
	size_t i;
	json_t *step;

	if (!is_list(steps))
		return wrong(x, "the steps of its run are a list");
	json_array_foreach(steps, i, step) {
		int r = add_measurements(x, run, step, &n);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_run(struct reading *x, const json_t *o, const json_t *told, int64_t at)
{
	const json_t *report = json_object_get(told, "report");
	const json_t *recipe = json_object_get(report, "recipe");
	const json_t *version = json_object_get(recipe, "version");
	_cleanup_(freep) char *text = text_of(report);
	int64_t ended;
	int r = check_report(x, o, report, &ended);

	if (r == 0 && (!is_text(recipe, "name", true) ||
			      !(json_is_integer(version) || json_is_null(version)) ||
			      !is_text(told, "reference", true)))
		r = wrong(x, "the recipe or the reference of its run is malformed");
	if (r < 0)
		return r;
	if (!text)
		return err_set(x->e, ERR_NO_MEMORY, "the report of a run");
	copy_run(x, o, told, text, ended);
	r = add_steps(x, report);
	return r < 0 ? r : add_values(x, report, json_object_get(told, "values"), at);
}

/* --- the batch --- */

static int read_item(struct reading *x, const json_t *item)
{
	const json_t *o = json_object_get(item, "record");
	const json_t *told = json_object_get(item, "told");
	const bool is_told = told && !json_is_null(told);
	struct batch *b = x->b;
	int64_t at;
	int r = check_record(x, o, &at);

	if (r == 0)
		r = add_record(x, o, at);
	if (r < 0)
		return r;
	if (!strcmp(json_string_value(json_object_get(o, "type")), "run-finished") && !is_told)
		return wrong(x, "a run-finished comes with its run, in 'told'");
	if (is_told)
		r = add_run(x, o, told, at);
	for (int t = 0; t < BATCH_TABLES; t++)
		b->record[x->i].end[t] = b->text[t].len;
	b->record[x->i].values = json_array_size(b->values);
	b->last = b->record[x->i].seq;
	return r;
}

static int read_items(struct reading *x, const json_t *list)
{
	json_t *item;

	json_array_foreach(list, x->i, item) {
		int r = read_item(x, item);

		if (r < 0)
			return r;
	}
	return 0;
}

static int check_batch(const json_t *o, const char *why, struct err *e)
{
	const json_t *after = json_object_get(o, "after");
	const json_t *list = json_object_get(o, "records");

	if (!json_is_integer(json_object_get(o, "fence")) || !json_is_integer(after) ||
		json_integer_value(after) < 0 || !json_is_array(list))
		return err_set(e, ERR_INVALID,
			"a batch is an object of fence, after and records: %s",
			o ? "one of them is not there, or is something else" : why);
	if (json_array_size(list) > BATCH_RECORDS_MAX)
		return err_set(e, ERR_TOO_LARGE, "a batch has %zu records: at most %d expected",
			json_array_size(list), BATCH_RECORDS_MAX);
	return 0;
}

int batch_read(const char *host, int64_t now_ms, const void *body, size_t bytes, struct batch *ret,
	struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, &why);
	const json_t *list = json_object_get(o, "records");
	struct batch b = {.n = json_array_size(list)};
	struct reading x = {.host = host, .now_ms = now_ms, .b = &b, .e = e};
	int r = check_batch(o, why.text, e);

	if (r == 0) {
		b.fence = json_integer_value(json_object_get(o, "fence"));
		b.after = b.last = json_integer_value(json_object_get(o, "after"));
		b.record = xcalloc(b.n + 1, sizeof *b.record);
		b.values = json_array();
		r = read_items(&x, list);
	}
	json_decref(o);
	if (r < 0)
		batch_done(&b);
	else
		*ret = b;
	return r;
}

void batch_done(struct batch *b)
{
	for (int t = 0; t < BATCH_TABLES; t++)
		sb_done(&b->text[t]);
	free(b->record);
	json_decref(b->values);
	*b = (struct batch){0};
}

size_t batch_known(const struct batch *b, int64_t seen)
{
	size_t n = 0;

	while (n < b->n && b->record[n].seq <= seen)
		n++;
	return n;
}

const char *batch_rows(const struct batch *b, enum batch_table t, size_t skip, size_t *ret_bytes)
{
	const size_t from = skip > 0 ? b->record[skip - 1].end[t] : 0;

	*ret_bytes = b->text[t].len - from;
	return b->text[t].s ? b->text[t].s + from : "";
}

json_t *batch_values(const struct batch *b, size_t skip)
{
	json_t *ret = json_array();

	for (size_t i = skip > 0 ? b->record[skip - 1].values : 0; i < json_array_size(b->values);
		i++)
		json_array_append(ret, json_array_get(b->values, i));
	return ret;
}
