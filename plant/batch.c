/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/batch.h"

#include <string.h>

#include "base/digest.h"
#include "base/timefmt.h"
#include "base/util.h"

struct reading {
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

static json_t *member(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return v ? json_incref(v) : json_null();
}

static void copy_members(json_t *to, const json_t *from, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_set_new(to, *keys, member(from, *keys));
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

static int add_record(struct reading *x, const json_t *o, int64_t at)
{
	static const char *const keys[] = {"seq", "type", "station", "job", "run", "serial", NULL};
	_cleanup_(freep) char *text = text_of(o);
	char digest[SHA256_HEX];
	json_t *row;

	if (!text)
		return err_set(x->e, ERR_NO_MEMORY, "a record of a host");
	row = json_pack("{s:I, s:s, s:s}", "at", (json_int_t)at, "text", text, "digest",
		sha256_hex_of(text, strlen(text), digest));
	copy_members(row, o, keys);
	json_array_append_new(x->b->records, row);
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

static int add_measurements(struct reading *x, const char *run, const json_t *step, int64_t *n)
{
	static const char *const keys[] = {"name", "text", "unit", "verdict", NULL};
	static const char *const numbers[] = {"value", "low", "high", NULL};
	const json_t *number = json_object_get(step, "n");
	size_t i;
	json_t *m;

	json_array_foreach(json_object_get(step, "measurements"), i, m) {
		json_t *row;

		if (!json_is_integer(number) || !is_text(m, "name", false) ||
			!is_text(m, "verdict", false) || !is_text(m, "unit", true) ||
			(json_object_get(m, "text") && !json_is_null(json_object_get(m, "text")) &&
				!json_is_string(json_object_get(m, "text"))))
			return wrong(x, "a measurement of its run has no name or no verdict");
		for (const char *const *k = numbers; *k; k++)
			if (json_object_get(m, *k) && !json_is_null(json_object_get(m, *k)) &&
				!json_is_number(json_object_get(m, *k)))
				return wrong(x,
					"value, low and high of a measurement are numbers or null");
		row = json_pack(
			"{s:s, s:I, s:O}", "run", run, "n", (json_int_t)(*n)++, "step", number);
		copy_members(row, m, keys);
		copy_members(row, m, numbers);
		json_array_append_new(x->b->measurements, row);
	}
	return 0;
}

static int add_values(struct reading *x, const json_t *report, const json_t *values, int64_t at)
{
	static const char *const keys[] = {"kind", "slot", "value", NULL};
	size_t i;
	json_t *v;

	json_array_foreach(values, i, v) {
		const json_t *slot = json_object_get(v, "slot");
		json_t *row;

		if (!is_text(v, "kind", false) || !is_text(v, "value", false) ||
			!json_is_string(slot))
			return wrong(
				x, "a value of its run has not the texts kind, slot and value");
		row = json_pack("{s:o, s:o, s:I}", "run", member(report, "id"), "unit",
			member(report, "unit"), "at", (json_int_t)at);
		copy_members(row, v, keys);
		json_array_append_new(x->b->values, row);
	}
	return 0;
}

static int add_run(struct reading *x, const json_t *o, const json_t *told, int64_t at)
{
	static const char *const keys[] = {
		"id", "station", "kind", "job", "model", "unit", "outcome", "code", "step", NULL};
	const json_t *report = json_object_get(told, "report");
	const json_t *recipe = json_object_get(report, "recipe");
	const json_t *reference = json_object_get(told, "reference");
	_cleanup_(freep) char *text = text_of(report);
	int64_t n = 1, ended;
	size_t i;
	json_t *step, *row;
	int r = check_report(x, o, report, &ended);

	if (r == 0 && (!is_text(recipe, "name", true) ||
			      !(json_is_integer(json_object_get(recipe, "version")) ||
				      json_is_null(json_object_get(recipe, "version"))) ||
			      !is_text(told, "reference", true)))
		r = wrong(x, "the recipe or the reference of its run is malformed");
	if (r < 0)
		return r;
	if (!text)
		return err_set(x->e, ERR_NO_MEMORY, "the report of a run");
	row = json_pack("{s:O, s:I, s:o, s:o, s:o, s:s}", "seq", json_object_get(o, "seq"),
		"ended_at", (json_int_t)ended, "recipe", member(recipe, "name"), "version",
		member(recipe, "version"), "serial", member(report, "serial_number"), "report",
		text);
	copy_members(row, report, keys);
	json_object_set_new(
		row, "reference", reference ? json_incref((json_t *)reference) : json_null());
	json_array_append_new(x->b->runs, row);
	json_array_foreach(json_object_get(report, "steps"), i, step) {
		r = add_measurements(x, json_string_value(json_object_get(report, "id")), step, &n);
		if (r < 0)
			return r;
	}
	return add_values(x, report, json_object_get(told, "values"), at);
}

/* --- the batch --- */

static int read_item(struct reading *x, const json_t *item)
{
	const json_t *o = json_object_get(item, "record");
	const json_t *told = json_object_get(item, "told");
	int64_t at;
	int r = check_record(x, o, &at);

	if (r == 0)
		r = add_record(x, o, at);
	if (r < 0)
		return r;
	x->b->last = json_integer_value(json_object_get(o, "seq"));
	if (!strcmp(json_string_value(json_object_get(o, "type")), "run-finished") && !told)
		return wrong(x, "a run-finished comes with its run, in 'told'");
	return told && !json_is_null(told) ? add_run(x, o, told, at) : 0;
}

static int read_items(struct batch *b, const json_t *list, struct err *e)
{
	struct reading x = {.b = b, .e = e};
	json_t *item;

	json_array_foreach(list, x.i, item) {
		int r = read_item(&x, item);

		if (r < 0)
			return r;
	}
	return 0;
}

int batch_read(const void *body, size_t bytes, struct batch *ret, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, &why);
	const json_t *fence = json_object_get(o, "fence");
	const json_t *after = json_object_get(o, "after");
	const json_t *list = json_object_get(o, "records");
	struct batch b = {.n = json_array_size(list)};
	int r = 0;

	if (!json_is_integer(fence) || !json_is_integer(after) || json_integer_value(after) < 0 ||
		!json_is_array(list))
		r = err_set(e, ERR_INVALID, "a batch is an object of fence, after and records: %s",
			o ? "one of them is not there, or is something else" : why.text);
	else if (b.n > BATCH_RECORDS_MAX)
		r = err_set(e, ERR_TOO_LARGE, "a batch has %zu records: at most %d expected", b.n,
			BATCH_RECORDS_MAX);
	if (r == 0) {
		b.fence = json_integer_value(fence);
		b.after = b.last = json_integer_value(after);
		b.records = json_array();
		b.runs = json_array();
		b.measurements = json_array();
		b.values = json_array();
		r = read_items(&b, list, e);
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
	json_decref(b->records);
	json_decref(b->runs);
	json_decref(b->measurements);
	json_decref(b->values);
	*b = (struct batch){0};
}

static bool is_up_to(const json_t *row, int64_t seen)
{
	return json_integer_value(json_object_get(row, "seq")) <= seen;
}

/* Those rows whose run is of a record that was taken out. */
static void drop_of_runs(json_t *rows, const json_t *gone)
{
	for (size_t i = json_array_size(rows); i-- > 0;) {
		const json_t *run = json_object_get(json_array_get(rows, i), "run");

		if (json_object_get(gone, json_string_value(run)))
			json_array_remove(rows, i);
	}
}

void batch_skip(struct batch *b, int64_t seen, json_t *had)
{
	json_t *gone = json_object();

	while (json_array_size(b->records) > 0 && is_up_to(json_array_get(b->records, 0), seen)) {
		const json_t *row = json_array_get(b->records, 0);

		json_array_append_new(
			had, json_pack("{s:O, s:O}", "seq", json_object_get(row, "seq"), "digest",
				     json_object_get(row, "digest")));
		json_array_remove(b->records, 0);
	}
	while (json_array_size(b->runs) > 0 && is_up_to(json_array_get(b->runs, 0), seen)) {
		json_object_set_new(gone,
			json_string_value(json_object_get(json_array_get(b->runs, 0), "id")),
			json_true());
		json_array_remove(b->runs, 0);
	}
	drop_of_runs(b->measurements, gone);
	drop_of_runs(b->values, gone);
	json_decref(gone);
}
