/* SPDX-License-Identifier: Apache-2.0
 *
 * Stations, ports, jobs and prompts: the line as it works.
 */
#include <sys/ioctl.h>
#include <time.h>

#include "base/util.h"
#include "cli/printable.h"
#include "cli/provctl.h"

/* GET path and show the named members of its items. */
static int show_list(struct ctl *c, const char *path, const char *const *members)
{
	json_t *o = NULL;
	struct err e;

	if (api_get(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

static int station_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"station:id", "state", "unit:run.serial",
		"recipe:run.recipe.name", "step:run.step.id", "last:last.outcome",
		"last unit:last.serial", "today.passed", "today.failed", "message", NULL};

	if (ctl_options(argc, argv, NULL, NULL, 0) < 0)
		return EXIT_USAGE;
	return show_list(c, "/api/v1/stations", members);
}

static int station_show(struct ctl *c, int argc, char **argv)
{
	_cleanup_(freep) char *id = argc == 2 ? url_segment(argv[1]) : NULL;
	_cleanup_(freep) char *path = NULL;
	json_t *o = NULL;
	struct err e;

	if (!id)
		return ctl_usage("station show ID");
	path = xasprintf("/api/v1/stations/%s", id);
	if (api_get(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	print_json(o);
	json_decref(o);
	return 0;
}

/* POST /stations/ID/actions/VERB, the verb being the command's last word. The answer is the state
 * before, the command is taken up after it. */
static int post_verb(struct ctl *c, int argc, char **argv)
{
	_cleanup_(freep) char *id = argc == 2 ? url_segment(argv[1]) : NULL;
	_cleanup_(freep) char *path = NULL;
	json_t *o = NULL;
	struct err e;

	if (!id)
		return ctl_usage("%s ID", argv[0]);
	path = xasprintf("/api/v1/stations/%s/actions/%s", id, verb_of(argv[0]));
	if (api_post(c, path, NULL, &o, &e) < 0)
		return ctl_fail(&e);
	if (c->json) {
		print_json(o);
	} else {
		_cleanup_(freep) char *state = json_text(o, "state");

		printf("%s: %s is ordered (it was %s)\n", argv[1], verb_of(argv[0]), state);
	}
	json_decref(o);
	return 0;
}

static int station_verb(struct ctl *c, int argc, char **argv)
{
	return post_verb(c, argc, argv);
}

/* The order is taken up by the station's own thread: whether a run began is seen on its view. */
#define START_TRIES    30
#define START_EVERY_NS 100000000L

static json_t *station_view(struct ctl *c, const char *id)
{
	_cleanup_(freep) char *segment = url_segment(id);
	_cleanup_(freep) char *path = xasprintf("/api/v1/stations/%s", segment);
	json_t *o = NULL;
	struct err e;

	return api_get(c, path, &o, &e) < 0 ? NULL : o;
}

/* The current run, else the last one; "" for none. */
static char *run_of(const json_t *view)
{
	return json_text(
		view, json_is_object(json_object_get(view, "run")) ? "run.id" : "last.run_id");
}

static const char *why_not_started(const char *state)
{
	return !strcmp(state, "empty")	    ? "no unit is plugged there"
	       : !strcmp(state, "ready")    ? "no job waits for its unit (provctl job list)"
	       : !strcmp(state, "done")	    ? "no job waits for its unit (provctl job list)"
	       : !strcmp(state, "disabled") ? "it is disabled"
					    : "see provctl station show";
}

static int station_start(struct ctl *c, int argc, char **argv)
{
	json_t *view = argc == 2 ? station_view(c, argv[1]) : NULL;
	_cleanup_(freep) char *before = run_of(view);
	_cleanup_(freep) char *state = NULL;
	bool began = false;
	int r;

	json_decref(view);
	r = post_verb(c, argc, argv);
	for (int i = 0; r == 0 && !began && i < START_TRIES; i++) {
		const struct timespec pause = {.tv_nsec = START_EVERY_NS};

		if (i)
			nanosleep(&pause, NULL);
		view = station_view(c, argv[1]);

		_cleanup_(freep) char *now = run_of(view);

		began = strcmp(now, before) != 0;
		free(state);
		state = json_text(view, "state");
		json_decref(view);
	}
	if (r != 0 || began)
		return r;
	ctl_usage("%s: nothing was started: %s", argv[1], why_not_started(state));
	return EXIT_FAILED;
}

/* POST /jobs/ID/actions/VERB, whatever the order's revision is, or that of --if-match alone. */
static int job_verb(struct ctl *c, int argc, char **argv)
{
	const char *reason = NULL, *revision = NULL;
	const struct option_row rows[] = {
		{"reason", &reason, NULL}, {"if-match", &revision, NULL}, {0}};
	char *word;
	const int words = ctl_options(argc, argv, rows, &word, 1);
	_cleanup_(freep) char *id = words == 1 ? url_segment(word) : NULL;
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *match = NULL;
	_cleanup_(freep) char *state = NULL;
	json_t *body, *o = NULL;
	struct err e;
	int r;

	if (!id)
		return ctl_usage("%s ID [--reason TEXT] [--if-match REVISION]", argv[0]);
	path = xasprintf("/api/v1/jobs/%s/actions/%s", id, verb_of(argv[0]));
	match = revision ? xasprintf("\"%s\"", revision) : xstrdup("*");
	body = json_pack("{s:s*}", "reason", reason);
	r = api_post_match(c, path, body, match, &o, &e);
	json_decref(body);
	if (r < 0)
		return ctl_fail(&e);
	state = json_text(o, "state");
	if (c->json)
		print_json(o);
	else
		printf("%s: %s%s\n", word, state,
			json_is_object(json_object_get(o, "hold")) ? ", held" : "");
	json_decref(o);
	return 0;
}

static int port_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"node", "path", "vid", "pid", "serial", "station", "port", NULL};
	json_t *o = NULL;
	json_t *one;
	size_t i;
	struct err e;

	if (ctl_options(argc, argv, NULL, NULL, 0) < 0)
		return EXIT_USAGE;
	if (api_get(c, "/api/v1/ports", &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_array_foreach(json_object_get(o, "items"), i, one) {
		const char *yaml = json_string_value(json_object_get(one, "yaml"));

		if (yaml && !c->json)
			printf("\n# %s is unbound; these lines in stations.d bind it:\n%s",
				json_string_value(json_object_get(one, "node")), yaml);
	}
	json_decref(o);
	return 0;
}

static int job_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"id", "recipe", "version", "state", "quantity",
		"passed", "failed", "errors", "number", "external_ref", "created_at", NULL};

	if (ctl_options(argc, argv, NULL, NULL, 0) < 0)
		return EXIT_USAGE;
	return show_list(c, "/api/v1/jobs", members);
}

static int job_get(struct ctl *c, const char *id, json_t **ret, struct err *e)
{
	_cleanup_(freep) char *segment = url_segment(id);
	_cleanup_(freep) char *path = xasprintf("/api/v1/jobs/%s", segment);

	return api_get(c, path, ret, e);
}

static int job_show(struct ctl *c, int argc, char **argv)
{
	json_t *o = NULL;
	struct err e;

	if (argc != 2)
		return ctl_usage("job show ID");
	if (job_get(c, argv[1], &o, &e) < 0)
		return ctl_fail(&e);
	print_json(o);
	json_decref(o);
	return 0;
}

/* --- submit --- */

static json_t *split(const char *list)
{
	_cleanup_(freep) char *copy = xstrdup(list);
	json_t *out = json_array();
	char *save;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		json_array_append_new(out, json_string(p));
	return out;
}

/* A name that comes again makes a list. */
static void add_param(json_t *params, const char *name, json_t *value)
{
	json_t *before = json_object_get(params, name);

	if (before && !json_is_array(before))
		json_object_set_new(params, name, json_pack("[O]", before));
	if (before)
		json_array_append_new(json_object_get(params, name), value);
	else
		json_object_set_new(params, name, value);
}

static int add_params(json_t *body, const char *list)
{
	_cleanup_(freep) char *copy = xstrdup(list);
	json_t *params = json_object();
	char *save;

	json_object_set_new(body, "params", params);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');

		if (!eq)
			return -1;
		*eq = 0;
		/* As text: the recipe's types decide, which provd knows. With quotes it is text, too, and ["x"] is a list of one. */
		json_t *v = json_loads(eq + 1, JSON_DECODE_ANY, NULL);

		if (!json_is_string(v) && !json_is_array(v)) {
			json_decref(v);
			v = NULL;
		}
		add_param(params, p, v ? v : json_string(eq + 1));
	}
	return 0;
}

static int watch_job(struct ctl *c, const char *id);

/* The options that are members of an order as they are. */
static const struct {
	const char *option, *member;
	enum { TO_TEXT, TO_LIST, TO_NUMBER } how;
} submit_members[] = {
	{"quantity", "quantity", TO_NUMBER},
	{"priority", "priority", TO_NUMBER},
	{"serials", "serials", TO_LIST},
	{"stations", "stations", TO_LIST},
	{"requires", "requires", TO_LIST},
	{"ref", "external_ref", TO_TEXT},
	{"number", "number", TO_TEXT},
	{"deadline", "deadline", TO_TEXT},
	{"expires", "expires", TO_TEXT},
	{"assign", "assign", TO_TEXT},
};

static int add_member(json_t *body, size_t k, const char *value)
{
	const char *member = submit_members[k].member;
	json_int_t n;

	switch (submit_members[k].how) {
	case TO_TEXT:
		json_object_set_new(body, member, json_string(value));
		return 0;
	case TO_LIST:
		json_object_set_new(body, member, split(value));
		return 0;
	case TO_NUMBER:
		break;
	}
	if (!whole_number(value, &n))
		return ctl_usage("--%s '%s' is not a number", submit_members[k].option, value);
	json_object_set_new(body, member, json_integer(n));
	return 0;
}

static int add_members(json_t *body, const struct option_row *rows)
{
	int r = 0;

	for (; rows->name && r == 0; rows++)
		for (size_t k = 0; k < ARRAY_LEN(submit_members) && r == 0; k++)
			if (rows->value && *rows->value &&
				!strcmp(rows->name, submit_members[k].option))
				r = add_member(body, k, *rows->value);
	return r;
}

static int add_units(json_t *body, const char *file)
{
	json_t *list = NULL;
	struct err e;

	if (job_units_file(file, &list, &e) < 0)
		return ctl_fail(&e);
	json_object_set_new(body, "units", list);
	return 0;
}

/* Takes the body's reference. */
static int submit(struct ctl *c, json_t *body, bool watch)
{
	_cleanup_(freep) char *id = NULL;
	json_t *o = NULL;
	struct err e;
	int r = 0;

	if (api_post(c, "/api/v1/jobs", body, &o, &e) < 0) {
		r = ctl_fail(&e);
		fputs("provctl: no job was ordered, nothing was started\n", stderr);
		json_decref(body);
		return r;
	}
	json_decref(body);
	id = json_text(o, "id");
	if (c->json && !watch)
		print_json(o);
	else if (!c->json)
		printf("job %s\n", id);
	fflush(stdout);
	json_decref(o);
	return watch ? watch_job(c, id) : 0;
}

static int job_submit(struct ctl *c, int argc, char **argv)
{
	const char *text[ARRAY_LEN(submit_members)] = {0};
	const char *params = NULL, *units = NULL;
	bool golden = false, rework = false, watch = false;
	struct option_row rows[ARRAY_LEN(submit_members) + 6] = {{"params", &params, NULL},
		{"units", &units, NULL}, {"golden", NULL, &golden}, {"rework", NULL, &rework},
		{"watch", NULL, &watch}};
	char *word;
	json_t *body;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(submit_members); i++)
		rows[5 + i] = (struct option_row){submit_members[i].option, &text[i], NULL};
	if (ctl_options(argc, argv, rows, &word, 1) != 1)
		return ctl_usage(
			"job submit RECIPE[@VERSION] --quantity N | --serials A,B,... | --units FILE.csv");
	body = json_pack("{s:s}", "recipe", word);
	if (golden || rework)
		json_object_set_new(body, "kind", json_string(rework ? "rework" : "golden"));
	r = add_members(body, rows);
	if (r == 0 && params && add_params(body, params) < 0)
		r = ctl_usage("--params NAME=VALUE,...");
	if (r == 0 && units)
		r = add_units(body, units);
	if (r != 0) {
		json_decref(body);
		return r;
	}
	return submit(c, body, watch);
}

/* --- watch: a bar per station --- */

struct watch {
	struct ctl *c;
	const char *job;
	bool tty;
	size_t drawn;	  /* lines on the screen */
	json_t *stations; /* id -> view */
	char last[512];
};

static int terminal_width(void)
{
	struct winsize w;

	return ioctl(1, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void bar(struct strbuf *b, const json_t *view)
{
	const json_t *run = json_object_get(view, "run");
	const json_t *step = json_object_get(run, "step");
	const json_t *p = json_object_get(run, "progress");
	json_int_t n = json_integer_value(json_object_get(step, "n"));
	json_int_t total = json_integer_value(json_object_get(step, "total"));
	json_int_t done = json_integer_value(json_object_get(p, "done"));
	json_int_t of = json_integer_value(json_object_get(p, "total"));
	double part = of > 0 ? (double)done / (double)of : 0;
	double all = total > 0 ? ((double)(n > 0 ? n - 1 : 0) + part) / (double)total : 0;
	const int width = 20;

	sb_add(b, "[");
	for (int i = 0; i < width; i++)
		sb_add(b, i < (int)(all * width) ? "#" : "-");
	sb_addf(b, "] %3d%%", (int)(all * 100));
}

static void station_line(struct strbuf *b, const json_t *view)
{
	_cleanup_(freep) char *id = json_text(view, "id");
	_cleanup_(freep) char *state = json_text(view, "state");
	_cleanup_(freep) char *serial = json_text(view, "run.serial");
	_cleanup_(freep) char *step = json_text(view, "run.step.id");
	_cleanup_(freep) char *phase = json_text(view, "run.progress.phase");
	_cleanup_(freep) char *outcome = json_text(view, "last.outcome");
	_cleanup_(freep) char *last = json_text(view, "last.serial");
	_cleanup_(freep) char *what = json_text(view, "last.message");

	sb_addf(b, "%-8s %-11s ", id, state);
	if (!strcmp(state, "running")) {
		bar(b, view);
		sb_addf(b, " %s %s %s", serial, step, phase);
	} else if (*outcome) {
		sb_addf(b, "last: %s %s %s", outcome, last, what);
	}
}

static void draw_line(struct watch *w, const char *text)
{
	_cleanup_(freep) char *cut = printable_cut(text, (size_t)terminal_width() - 1);

	printable_sequence(stdout, "\r\033[K");
	puts(cut);
	w->drawn++;
}

static void draw(struct watch *w, const char *summary)
{
	const char *id;
	json_t *view;

	if (w->drawn) {
		char up[32];

		snprintf(up, sizeof up, "\033[%zuA", w->drawn);
		printable_sequence(stdout, up);
	}
	w->drawn = 0;
	json_object_foreach(w->stations, id, view) {
		struct strbuf b = {0};

		station_line(&b, view);
		draw_line(w, b.s);
		sb_done(&b);
	}
	draw_line(w, summary);
	fflush(stdout);
}

/* 0: it goes on, else the exit status + 1. */
static int job_state(struct watch *w, bool final)
{
	json_t *o = NULL;
	struct err e;
	char text[sizeof w->last];
	int r = 0;

	if (job_get(w->c, w->job, &o, &e) < 0)
		return ctl_fail(&e) + 1;

	_cleanup_(freep) char *state = json_text(o, "state");
	_cleanup_(freep) char *passed = json_text(o, "passed");
	_cleanup_(freep) char *quantity = json_text(o, "quantity");
	_cleanup_(freep) char *failed = json_text(o, "failed");
	_cleanup_(freep) char *errors = json_text(o, "errors");

	snprintf(text, sizeof text, "job %s: %s of %s passed, %s failed, %s errors", state, passed,
		quantity, failed, errors);
	if (w->tty)
		draw(w, text);
	else if (!w->c->json && strcmp(text, w->last) != 0)
		puts(text);
	snprintf(w->last, sizeof w->last, "%s", text);
	if (!strcmp(state, "done"))
		r = (!strcmp(passed, quantity) ? EXIT_PASSED : EXIT_FAILED) + 1;
	else if (!strcmp(state, "aborted") || !strcmp(state, "cancelled"))
		r = EXIT_ABORTED + 1;
	if (r && w->c->json)
		print_json(o);
	json_decref(o);
	fflush(stdout);
	return r;
}

static int on_event(void *data, const char *event, const json_t *o)
{
	struct watch *w = data;
	const char *job = json_string_value(json_object_get(o, "job"));

	if (!strcmp(event, "station")) {
		const char *id = json_string_value(json_object_get(o, "id"));

		if (id)
			json_object_set(w->stations, id, (json_t *)o);
		if (w->tty && w->last[0])
			draw(w, w->last);
		return 0;
	}
	return job && !strcmp(job, w->job) ? job_state(w, false) : 0;
}

static int watch_job(struct ctl *c, const char *id)
{
	struct watch w = {
		.c = c, .job = id, .tty = isatty(1) && !c->json, .stations = json_object()};
	struct ctl stream = {.daemon = c->daemon};
	json_t *list = NULL;
	json_t *o;
	size_t i;
	struct err e = {0};
	int r = job_state(&w, false);

	if (w.tty && api_get(c, "/api/v1/stations", &list, &e) == 0)
		json_array_foreach(json_object_get(list, "items"), i, o)
			json_object_set(w.stations, json_string_value(json_object_get(o, "id")), o);
	json_decref(list);
	/* What happened before the stream began is in the job's state; a lost stream is opened
	 * again. */
	for (int tries = 0; r == 0 && tries < 30; tries++) {
		int s = api_follow(&stream, "/api/v1/events", on_event, &w, &e);

		r = s > 0 ? s : job_state(&w, false);
		if (s > 0)
			break;
		if (e.code == ERR_UNAUTHORIZED)
			r = ctl_fail(&e) + 1;
	}
	if (r == 0)
		r = ctl_fail(&e) + 1;
	api_close(&stream);
	json_decref(w.stations);
	return r - 1;
}

static int job_watch(struct ctl *c, int argc, char **argv)
{
	return argc == 2 ? watch_job(c, argv[1]) : ctl_usage("job watch ID");
}

/* --- prompts --- */

static int prompt_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"id", "station", "kind", "text", "state", "answer", NULL};

	if (ctl_options(argc, argv, NULL, NULL, 0) < 0)
		return EXIT_USAGE;
	return show_list(c, "/api/v1/prompts?state=open", members);
}

static int prompt_answer(struct ctl *c, int argc, char **argv)
{
	_cleanup_(freep) char *id = argc == 3 ? url_segment(argv[1]) : NULL;
	_cleanup_(freep) char *path = NULL;
	json_t *body;
	json_t *o = NULL;
	struct err e;
	int r = 0;

	if (!id)
		return ctl_usage("prompt answer ID ANSWER");
	path = xasprintf("/api/v1/prompts/%s/answer", id);
	body = json_pack("{s:s}", "answer", argv[2]);
	if (api_post(c, path, body, &o, &e) < 0)
		r = ctl_fail(&e);
	else if (c->json)
		print_json(o);
	json_decref(body);
	json_decref(o);
	return r;
}

const struct command commands_line[] = {
	{"station list", "", "Stations and what they do", station_list},
	{"station show", "ID", "One station, whole, as JSON", station_show},
	{"station start", "ID", "Run the unit that is there (again)", station_start},
	{"station abort", "ID", "Stop its run; the teardown still runs", station_verb},
	{"station enable", "ID", "Let it take units again", station_verb},
	{"station disable", "ID", "Take no unit after the one in hand", station_verb},
	{"station clear", "ID", "Leave fault or quarantine", station_verb},
	{"port list", "", "What is plugged; for unbound ports the YAML that binds them", port_list},
	{"job submit", "RECIPE[@V] --quantity N | --serials A,B | --units FILE.csv [...]",
		"Order units (--stations --params K=V,.. --priority --ref --number --deadline --expires --requires --assign --rework --golden --watch)",
		job_submit},
	{"job list", "", "Jobs, the newest first", job_list},
	{"job show", "ID", "One job as JSON", job_show},
	{"job watch", "ID", "Follow it live until it ends", job_watch},
	{"job pause", "ID", "Begin no new runs", job_verb},
	{"job resume", "ID", "Go on", job_verb},
	{"job hold", "ID --reason TEXT", "Take no unit for it until it is released", job_verb},
	{"job release", "ID", "End the hold", job_verb},
	{"job stop", "ID", "End it after the runs under way", job_verb},
	{"job complete", "ID --reason TEXT", "The same: fewer units are enough", job_verb},
	{"job abort", "ID", "End it and its runs now, but for a step that cannot be undone",
		job_verb},
	{"job cancel", "ID", "Withdraw it before it began", job_verb},
	{"prompt list", "", "Questions that wait for somebody", prompt_list},
	{"prompt answer", "ID ANSWER", "Answer one", prompt_answer},
	{0},
};
