/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of a run: as it is on disk, or as it comes.
 */
#include "base/util.h"
#include "cli/provctl.h"

struct log_reader {
	struct ctl *c;
	const char *run; /* a segment of a URL */
	char next[32];	 /* the line after which to go on; "" from the beginning */
};

static void print_line(const struct log_reader *l, const json_t *line)
{
	_cleanup_(freep) char *at = json_text(line, "at");
	_cleanup_(freep) char *dir = json_text(line, "dir");
	_cleanup_(freep) char *text = json_text(line, "text");

	if (l->c->json)
		print_json_line(line);
	else
		printf("%s %s %s\n", at, dir, text);
}

/* Prints what has come since: page by page, to the end. */
static int read_on(struct log_reader *l, struct err *e)
{
	bool more = true;

	while (more) {
		_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s/log?limit=1000%s%s",
			l->run, l->next[0] ? "&cursor=" : "", l->next);
		json_t *o = NULL;
		json_t *line;
		size_t i;
		int r = api_get(l->c, path, &o, e);

		if (r < 0)
			return r;
		json_array_foreach(json_object_get(o, "items"), i, line) {
			print_line(l, line);
			snprintf(l->next, sizeof l->next, "%lld",
				(long long)json_integer_value(json_object_get(line, "k")));
		}
		more = json_is_string(json_object_get(o, "next_cursor"));
		json_decref(o);
	}
	fflush(stdout);
	return 0;
}

/* 1: the run has ended and all of it was printed. */
static int on_event(void *data, const char *event, const json_t *o)
{
	struct log_reader *l = data;
	const char *run = json_string_value(json_object_get(o, "run"));
	bool ended = !strcmp(event, "run-finished");
	struct err e;

	if (!run || strcmp(run, l->run) != 0 || (!ended && strcmp(event, "run-log") != 0))
		return 0;
	if (read_on(l, &e) < 0)
		return ctl_fail(&e) + 1;
	return ended;
}

/* The newest event of the run: what comes after it is followed, so that its end is not missed.
 */
static int position(struct log_reader *l, long long *ret, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("/api/v1/events?run_id=%s&limit=1000", l->run);
	json_t *o = NULL;
	json_t *ev;
	size_t i;
	int r = api_get(l->c, path, &o, e);

	*ret = 0;
	json_array_foreach(json_object_get(o, "items"), i, ev)
		*ret = json_integer_value(json_object_get(ev, "seq"));
	json_decref(o);
	return r;
}

static int is_open(struct log_reader *l, bool *ret, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s", l->run);
	json_t *o = NULL;
	int r = api_get(l->c, path, &o, e);
	const char *state = json_string_value(json_object_get(o, "state"));

	*ret = state && !strcmp(state, "open");
	json_decref(o);
	return r;
}

static int follow(struct log_reader *l, struct err *e)
{
	struct ctl stream = {.daemon = l->c->daemon};
	bool open = true;
	long long after;
	int s = 0;
	int r = 0;

	/* A stream that is lost is opened again, for as long as the run goes on. */
	while (s == 0) {
		r = position(l, &after, e);
		if (r == 0)
			r = is_open(l, &open, e);
		if (r == 0)
			r = read_on(l, e);
		if (r < 0 || !open)
			break;

		_cleanup_(freep) char *path =
			xasprintf("/api/v1/events?log=true&after=%lld", after);

		s = MAX(api_follow(&stream, path, on_event, l, e), 0);
	}
	api_close(&stream);
	return r < 0 ? ctl_fail(e) : MAX(s - 1, 0);
}

static int run_log(struct ctl *c, int argc, char **argv)
{
	bool live = false;
	char *id;
	const struct option_row rows[] = {{"follow", NULL, &live}, {0}};
	struct log_reader l = {.c = c};
	struct err e;
	int n = ctl_options(argc, argv, rows, &id, 1);

	if (n < 0)
		return EXIT_USAGE;
	if (n != 1)
		return ctl_usage("run log [--follow] ID");

	_cleanup_(freep) char *segment = url_segment(id);

	l.run = segment;
	if (live)
		return follow(&l, &e);
	return read_on(&l, &e) < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

const struct command commands_run_log[] = {
	{"run log", "[--follow] ID", "What was said to and by the unit; to the end of the run",
		run_log},
	{0},
};
