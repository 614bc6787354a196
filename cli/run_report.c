/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl run report: the reports of runs as files, named as the guide's save_report() names them.
 * What is in one is the answer of GET /runs/{id}/report; a run that has ended does not change.
 */
#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/util.h"
#include "cli/provctl.h"

/* "2026-11-22T15:58:41.123Z" as "20261122_155841". */
static void compact_time(const char *at, char ret[16])
{
	size_t n = 0;

	for (; *at && n < 15; at++) {
		if (isdigit((unsigned char)*at))
			ret[n++] = *at;
		if (n == 8)
			ret[n++] = '_';
	}
	ret[n] = '\0';
}

/* A serial number may have any character; a name has no folder and no option in it. */
char *report_path(const char *dir, const json_t *report, const char *more)
{
	const char *serial = json_string_value(json_object_get(report, "serial_number"));
	const char *at = json_string_value(json_object_get(report, "timestamp"));
	_cleanup_(freep) char *word = xstrdup(serial && *serial ? serial : "no-serial");
	char time[16];

	for (char *p = word; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			*p = '_';
	compact_time(at ? at : "", time);
	return xasprintf("%s/provision_%s_%s%s%s.json", dir, word, time, *more ? "_" : "", more);
}

/* Two runs of one unit may end in the same second. */
static bool is_of_another(const char *path, const char *run)
{
	_cleanup_(freep) char *id = NULL;
	json_t *there;

	if (access(path, F_OK) < 0)
		return false;
	there = json_load_file(path, 0, NULL);
	id = json_text(there, "id");
	json_decref(there);
	return strcmp(id, run) != 0;
}

static int save(struct ctl *c, const char *dir, const json_t *report, struct err *e)
{
	const char *run = json_string_value(json_object_get(report, "id"));
	_cleanup_(freep) char *json = json_dumps(report, JSON_INDENT(2));
	_cleanup_(freep) char *text = xasprintf("%s\n", json);
	_cleanup_(freep) char *path = report_path(dir, report, "");
	int r;

	if (is_of_another(path, run)) {
		free(path);
		path = report_path(dir, report, run);
	}
	r = ctl_write_text(path, text, e);
	if (r == 0 && c->json)
		print_json_line(report);
	else if (r == 0)
		puts(path);
	return r;
}

static int save_run(struct ctl *c, const char *dir, const char *run, struct err *e)
{
	_cleanup_(freep) char *segment = url_segment(run);
	_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s/report", segment);
	json_t *report = NULL;
	int r = api_get(c, path, &report, e);

	if (r == 0 && !json_is_string(json_object_get(report, "ended_at")))
		r = err_set(
			e, ERR_CONFLICT, "run %s has not ended yet: its report is not whole", run);
	if (r == 0)
		r = save(c, dir, report, e);
	json_decref(report);
	return r;
}

/* One page of the job's runs; *cursor is the next one, "" at the end. */
static int save_page(struct ctl *c, const char *dir, const char *job, char **cursor, struct err *e)
{
	_cleanup_(freep) char *segment = url_segment(job);
	_cleanup_(freep) char *at = url_segment(*cursor);
	_cleanup_(freep) char *path =
		xasprintf("/api/v1/runs?job_id=%s&state=finished&limit=1000%s%s", segment,
			*at ? "&cursor=" : "", at);
	json_t *page = NULL;
	json_t *run;
	size_t i;
	int r = api_get(c, path, &page, e);

	json_array_foreach(json_object_get(page, "items"), i, run) {
		if (r == 0)
			r = save_run(c, dir, json_string_value(json_object_get(run, "id")), e);
	}
	free(*cursor);
	*cursor = json_text(page, "next_cursor");
	json_decref(page);
	return r;
}

static int save_job(struct ctl *c, const char *dir, const char *job, struct err *e)
{
	_cleanup_(freep) char *segment = url_segment(job);
	_cleanup_(freep) char *path = xasprintf("/api/v1/jobs/%s", segment);
	_cleanup_(freep) char *cursor = xstrdup("");
	json_t *o = NULL;
	int r = api_get(c, path, &o, e);

	json_decref(o);
	while (r == 0) {
		r = save_page(c, dir, job, &cursor, e);
		if (!*cursor)
			break;
	}
	return r;
}

static int run_report(struct ctl *c, int argc, char **argv)
{
	const char *job = NULL;
	const char *dir = ".";
	const struct option_row rows[] = {{"job", &job, NULL}, {"dir", &dir, NULL}, {0}};
	char *run = NULL;
	struct err e;
	int n = ctl_options(argc, argv, rows, &run, 1);

	if (n < 0 || (n == 1) == (job != NULL))
		return ctl_usage("run report RUN [--dir DIR], or run report --job JOB [--dir DIR]");
	if (mkdir(dir, 0777) < 0 && errno != EEXIST) {
		err_errno(&e, ERR_IO, errno, "%s", dir);
		return ctl_fail(&e);
	}
	return (job ? save_job(c, dir, job, &e) : save_run(c, dir, run, &e)) < 0 ? ctl_fail(&e)
										 : EXIT_PASSED;
}

const struct command commands_run_report[] = {
	{"run report", "RUN | --job JOB [--dir DIR]",
		"Save it as provision_SERIAL_TIME.json, or those of a job", run_report},
	{0},
};
