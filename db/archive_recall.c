/* SPDX-License-Identifier: Apache-2.0 */
#include "db/archive_recall.h"

#include <dirent.h>
#include <errno.h>

#include "base/gzip.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/archive_write.h"

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

/* --- what a record says --- */

static bool has_artifact(const json_t *record, const char *sha256)
{
	const json_t *report = json_object_get(record, "report");
	json_t *all = json_object_get(json_object_get(report, "firmware"), "artifacts");
	const char *name;
	json_t *v;

	json_object_foreach(all, name, v)
		if (json_is_string(v) && !strcmp(json_string_value(v), sha256))
			return true;
	return false;
}

static bool has_tool(const json_t *record, const char *tool)
{
	json_t *steps = json_object_get(json_object_get(record, "report"), "steps");
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step) {
		const json_t *evidence = json_object_get(step, "evidence");
		const char *version = text_of(evidence, "version");
		_cleanup_(freep) char *name = xasprintf(
			"%s%s%s", text_of(evidence, "program"), *version ? " " : "", version);

		if (!strcmp(name, tool))
			return true;
	}
	return false;
}

/* A member of an entry of a list has that text, where the state of the entry is one of two. */
static bool has_entry(const json_t *list, const char *name, const char *text, const char *state,
	const char *other)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
		if (!strcmp(text_of(v, name), text) && (!strcmp(text_of(v, "state"), state) ||
							       !strcmp(text_of(v, "state"), other)))
			return true;
	return false;
}

static bool is_or_any(const char *wanted, const char *text)
{
	return !wanted || !strcmp(wanted, text);
}

static bool is_within(const struct archive_recall *f, const json_t *report)
{
	int64_t at = 0;

	if (!f->from_ms && !f->to_ms)
		return true;
	return rfc3339_parse(text_of(report, "ended_at"), &at) == 0 && at >= f->from_ms &&
	       (!f->to_ms || at < f->to_ms);
}

static bool fits(const struct archive_recall *f, const json_t *record)
{
	const json_t *report = json_object_get(record, "report");
	const json_t *recipe = json_object_get(report, "recipe");

	if (json_object_get(report, "completes"))
		return false;
	return is_or_any(f->station, text_of(report, "station")) &&
	       is_or_any(f->job, text_of(report, "job")) &&
	       is_or_any(f->recipe, text_of(recipe, "name")) &&
	       is_or_any(f->outcome, text_of(report, "outcome")) &&
	       (!f->version ||
		       json_integer_value(json_object_get(recipe, "version")) == f->version) &&
	       is_within(f, report) && (!f->artifact || has_artifact(record, f->artifact)) &&
	       (!f->tool || has_tool(record, f->tool)) &&
	       (!f->answered_by || has_entry(json_object_get(record, "answers"), "by",
					   f->answered_by, "answered", "answered")) &&
	       (!f->issuer || has_entry(json_object_get(record, "certificates"), "issuer",
				      f->issuer, "issued", "delivered"));
}

static json_t *row_of(const json_t *record)
{
	const json_t *report = json_object_get(record, "report");
	const json_t *recipe = json_object_get(report, "recipe");
	const json_t *job = json_array_get(json_object_get(record, "job"), 0);

	return json_pack("{s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*}",
		"run", json_object_get(report, "id"), "ended_at",
		json_object_get(report, "ended_at"), "outcome", json_object_get(report, "outcome"),
		"station", json_object_get(report, "station"), "recipe",
		json_object_get(recipe, "name"), "version", json_object_get(recipe, "version"),
		"job", json_object_get(report, "job"), "external_ref",
		json_object_get(job, "reference"), "unit", json_object_get(report, "unit"),
		"serial", json_object_get(report, "serial_number"), "model",
		json_object_get(report, "model"));
}

/* --- files --- */

struct reading {
	const struct archive_recall *f;
	void (*each)(void *data, const json_t *run);
	void *data;
};

static int read_line(const struct reading *x, const char *text, int64_t line, struct err *e)
{
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	json_t *record = json_loads(text_of(o, "record"), JSON_REJECT_DUPLICATES, NULL);
	int r = json_is_object(record)
			? 0
			: err_set(e, ERR_INVALID, "line %lld: it has no record: verify the archive",
				  (long long)line);

	if (r == 0 && fits(x->f, record)) {
		json_t *row = row_of(record);

		x->each(x->data, row);
		json_decref(row);
	}
	json_decref(record);
	json_decref(o);
	return r;
}

static int read_archive(const struct reading *x, const char *path, struct err *e)
{
	_cleanup_(gzip_closep) struct gzip_reader *g = NULL;
	const char *text;
	int64_t line = 0;
	size_t n;
	int r = gzip_open(path, &g, e);

	while (r >= 0 && (r = gzip_line(g, &text, &n, e)) > 0) {
		r = read_line(x, text, ++line, e);
		if (r < 0)
			break;
	}
	return r < 0 ? err_prefix(e, "archive %s", path) : 0;
}

static int is_archive(const struct dirent *de)
{
	const size_t n = strlen(de->d_name), suffix = strlen(ARCHIVE_SUFFIX);

	return n > suffix && !strcmp(de->d_name + n - suffix, ARCHIVE_SUFFIX);
}

int archive_recall(const char *dir, const struct archive_recall *f,
	void (*each)(void *data, const json_t *run), void *data, struct err *e)
{
	const struct reading x = {f, each, data};
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_archive, versionsort);
	int r = n < 0 ? err_errno(e, ERR_IO, errno, "%s", dir) : 0;

	if (n == 0)
		r = err_set(
			e, ERR_NOT_FOUND, "there is no archive (*" ARCHIVE_SUFFIX ") in %s", dir);
	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, list[i]->d_name);

		if (r == 0)
			r = read_archive(&x, path, e);
		free(list[i]);
	}
	free(list);
	return r;
}
