/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs and units: the records.
 */
#include "base/util.h"
#include "cli/provctl.h"

static int show_query(struct ctl *c, const char *base, int argc, char **argv,
	const char *const *members, const struct option_row *rows)
{
	struct strbuf path = {0};
	char *word;
	json_t *o = NULL;
	struct err e;
	int r;

	if (ctl_options(argc, argv, rows, &word, 0) < 0)
		return EXIT_USAGE;
	sb_add(&path, base);
	for (const struct option_row *row = rows; row->name; row++) {
		if (*row->value) {
			_cleanup_(freep) char *v = url_segment(*row->value);

			sb_addf(&path, "%s%s=%s", strchr(path.s, '?') ? "&" : "?",
				!strcmp(row->name, "job") ? "job_id" : row->name, v);
		}
	}
	r = api_get(c, path.s, &o, &e);
	sb_done(&path);
	if (r < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

static int run_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"id", "station", "serial", "recipe", "version",
		"outcome", "code", "step", "attached_at", NULL};
	const char *v[6] = {0};
	const struct option_row rows[] = {{"station", &v[0], NULL}, {"job", &v[1], NULL},
		{"serial", &v[2], NULL}, {"outcome", &v[3], NULL}, {"state", &v[4], NULL},
		{"limit", &v[5], NULL}, {0}};

	return show_query(c, "/api/v1/runs", argc, argv, members, rows);
}

static int unit_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"serial", "state", "model", "chip_id", "created_at", NULL};
	const char *v[3] = {0};
	const struct option_row rows[] = {
		{"state", &v[0], NULL}, {"model", &v[1], NULL}, {"limit", &v[2], NULL}, {0}};

	return show_query(c, "/api/v1/units", argc, argv, members, rows);
}

static int get_of(struct ctl *c, const char *fmt, const char *id, json_t **ret)
{
	_cleanup_(freep) char *segment = url_segment(id);
	char path[512];
	struct err e;

	snprintf(path, sizeof path, fmt, segment);
	return api_get(c, path, ret, &e) < 0 ? ctl_fail(&e) : 0;
}

static void print_steps(struct ctl *c, const json_t *report)
{
	static const char *const heads[] = {"STEP", "ACTION", "OUTCOME", "MS", "RESULT"};
	struct table t;
	json_t *step;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(json_object_get(report, "steps"), i, step) {
		_cleanup_(freep) char *id = json_text(step, "id");
		_cleanup_(freep) char *action = json_text(step, "action");
		_cleanup_(freep) char *outcome = json_text(step, "outcome");
		_cleanup_(freep) char *ms = json_text(step, "duration_ms");
		_cleanup_(freep) char *message = json_text(step, "message");
		struct strbuf result = {0};
		json_t *m;
		size_t k;

		sb_add(&result, message);
		json_array_foreach(json_object_get(step, "measurements"), k, m) {
			_cleanup_(freep) char *name = json_text(m, "name");
			_cleanup_(freep) char *value = json_text(m, "value");
			_cleanup_(freep) char *unit = json_text(m, "unit");
			_cleanup_(freep) char *verdict = json_text(m, "verdict");

			sb_addf(&result, "%s%s = %s %s (%s)", result.len ? "; " : "", name, value,
				unit, verdict);
		}
		table_add(&t, id);
		table_add(&t, action);
		table_add(&t, outcome);
		table_add(&t, ms);
		table_add(&t, result.s);
		sb_done(&result);
	}
	table_print(&t, c->color);
	table_done(&t);
}

static int run_show(struct ctl *c, int argc, char **argv)
{
	json_t *o = NULL;
	int r;

	if (argc != 2)
		return ctl_usage("run show ID");
	r = get_of(c, "/api/v1/runs/%s/report", argv[1], &o);
	if (r != 0)
		return r;
	if (c->json) {
		print_json(o);
	} else {
		_cleanup_(freep) char *serial = json_text(o, "serial_number");
		_cleanup_(freep) char *outcome = json_text(o, "outcome");
		_cleanup_(freep) char *code = json_text(o, "code");
		_cleanup_(freep) char *message = json_text(o, "message");
		_cleanup_(freep) char *station = json_text(o, "station");
		_cleanup_(freep) char *hint = json_text(o, "hint");

		printf("%s on %s: %s%s%s%s%s\n", *serial ? serial : "(no serial)", station, outcome,
			*code ? " " : "", code, *message ? ": " : "", message);
		if (*hint)
			printf("%s\n", hint);
		print_steps(c, o);
	}
	json_decref(o);
	return 0;
}

static int unit_show(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"id", "station", "recipe", "version", "outcome",
		"code", "step", "attached_at", NULL};
	json_t *unit = NULL;
	json_t *runs = NULL;
	int r;

	if (argc != 2)
		return ctl_usage("unit show SERIAL");
	r = get_of(c, "/api/v1/units/%s", argv[1], &unit);
	if (r == 0)
		r = get_of(c, "/api/v1/units/%s/history", argv[1], &runs);
	if (r == 0) {
		json_object_set(unit, "history", json_object_get(runs, "items"));
		if (c->json) {
			print_json(unit);
		} else {
			_cleanup_(freep) char *state = json_text(unit, "state");
			_cleanup_(freep) char *model = json_text(unit, "model");

			printf("%s: %s, model %s\n", argv[1], state, *model ? model : "-");
			print_items(c, runs, members);
		}
	}
	json_decref(unit);
	json_decref(runs);
	return r;
}

const struct command commands_records[] = {
	{"run list", "[--station --job --serial --outcome --limit]", "Runs, the newest first",
		run_list},
	{"run show", "ID", "The report of one run", run_show},
	{"unit list", "[--state --model --limit]", "Units that were made", unit_list},
	{"unit show", "SERIAL", "A unit and its history", unit_show},
	{0},
};
