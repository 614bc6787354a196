/* SPDX-License-Identifier: Apache-2.0
 *
 * The records of the daemon as a whole: whether they can be relied on, and a person's word where
 * provd must not decide by itself.
 */
#include "base/util.h"
#include "cli/provctl.h"
#include "db/compact.h"

static void show_line(const json_t *o, const char *name, const char *path)
{
	_cleanup_(freep) char *text = json_text(o, path);

	if (*text)
		printf("%-12s %s\n", name, text);
}

static int records_show(struct ctl *c, int argc, char **argv)
{
	json_t *o = NULL;
	json_t *hold;
	size_t i;
	struct err e;

	if (argc != 1)
		return ctl_usage("records show");
	if (api_get(c, "/api/v1/records", &o, &e) < 0)
		return ctl_fail(&e);
	if (c->json) {
		print_json(o);
		json_decref(o);
		return 0;
	}
	show_line(o, "database", "lineage.message");
	show_line(o, "epoch", "epoch");
	show_line(o, "last event", "last_seq");
	show_line(o, "check", "check.state");
	show_line(o, "found", "check.message");
	json_array_foreach(json_object_get(o, "holds"), i, hold) {
		show_line(hold, "held", "code");
		show_line(hold, "", "message");
		show_line(hold, "", "hint");
	}
	if (json_array_size(json_object_get(o, "holds")) == 0)
		printf("%-12s nothing\n", "held");
	json_decref(o);
	return 0;
}

/* "ID=NEXT,ID=NEXT" */
static int read_pools(const char *s, json_t **ret)
{
	_cleanup_(freep) char *copy = xstrdup(s);
	json_t *o = json_object();
	char *save = NULL;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');
		unsigned long long next;

		if (!eq || eq == p || !parse_size(eq + 1, &next)) {
			json_decref(o);
			return -1;
		}
		*eq = 0;
		json_object_set_new(o, p, json_integer((json_int_t)next));
	}
	*ret = o;
	return 0;
}

static int records_accept(struct ctl *c, int argc, char **argv)
{
	const char *reason = NULL;
	const char *pools = NULL;
	const struct option_row rows[] = {{"reason", &reason, NULL}, {"pools", &pools, NULL}, {0}};
	json_t *named = NULL;
	char *word;

	if (ctl_options(argc, argv, rows, &word, 0) != 0 || !reason)
		return ctl_usage("records accept --reason TEXT [--pools POOL=NEXT,...]");
	if (pools && read_pools(pools, &named) < 0)
		return ctl_usage("--pools is POOL=NEXT,POOL=NEXT, not '%s'", pools);
	return api_say(c, "/api/v1/records/actions/accept",
		json_pack("{s:s, s:o*}", "reason", reason, "pools", named),
		"accepted: the line goes on with these records");
}

static int records_accept_clock(struct ctl *c, int argc, char **argv)
{
	const char *reason = NULL;
	const struct option_row rows[] = {{"reason", &reason, NULL}, {0}};
	char *word;

	if (ctl_options(argc, argv, rows, &word, 0) != 0 || !reason)
		return ctl_usage("records accept-clock --reason TEXT");
	return api_say(c, "/api/v1/records/actions/accept-clock",
		json_pack("{s:s}", "reason", reason), "accepted: the clock of the daemon is right");
}

static int records_archives(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"month", "from", "to", "bytes", "file", "at", "cleared", NULL};
	json_t *o = NULL;
	struct err e;

	if (argc != 1)
		return ctl_usage("records archives");
	if (api_get(c, "/api/v1/records/archives", &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

static int records_compact(struct ctl *c, int argc, char **argv)
{
	const char *dir = NULL;
	const struct option_row rows[] = {{"state-dir", &dir, NULL}, {0}};
	int64_t before = 0, after = 0;
	struct err e;

	if (ctl_options(argc, argv, rows, NULL, 0) != 0 || !dir)
		return ctl_usage("records compact --state-dir DIR");
	if (compact_database(dir, &before, &after, &e) < 0)
		return ctl_fail(&e);
	printf("the database had %lld bytes, and has %lld\n", (long long)before, (long long)after);
	return 0;
}

static int pool_advance(struct ctl *c, int argc, char **argv)
{
	const char *reason = NULL;
	const struct option_row rows[] = {{"reason", &reason, NULL}, {0}};
	char *words[2];
	unsigned long long next;

	if (ctl_options(argc, argv, rows, words, 2) != 2 || !reason || !parse_size(words[1], &next))
		return ctl_usage("pool advance ID NEXT --reason TEXT");

	_cleanup_(freep) char *id = url_segment(words[0]);
	_cleanup_(freep) char *path = xasprintf("/api/v1/pools/%s/actions/advance", id);

	return api_say(c, path, json_pack("{s:I, s:s}", "next", (json_int_t)next, "reason", reason),
		"advanced: the numbers before it are not given out");
}

static int unit_verdict(struct ctl *c, int argc, char **argv, const char *verb, const char *done)
{
	const char *reason = NULL;
	const struct option_row rows[] = {{"reason", &reason, NULL}, {0}};
	char *word;

	if (ctl_options(argc, argv, rows, &word, 1) != 1 || !reason)
		return ctl_usage("unit %s SERIAL --reason TEXT", verb);

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/units/%s/actions/%s", id, verb);

	return api_say(c, path, json_pack("{s:s}", "reason", reason), done);
}

static int unit_release(struct ctl *c, int argc, char **argv)
{
	return unit_verdict(
		c, argc, argv, "release", "released: it is failed until it passes a run");
}

static int unit_scrap(struct ctl *c, int argc, char **argv)
{
	return unit_verdict(c, argc, argv, "scrap", "scrapped: its numbers stay used");
}

static int outbox_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"id", "serial", "step", "target", "state", "attempts",
		"next_at", "code", "message", NULL};
	const char *state = NULL;
	const struct option_row rows[] = {{"state", &state, NULL}, {0}};

	if (ctl_options(argc, argv, rows, NULL, 0) != 0)
		return ctl_usage("outbox list [--state waiting|refused|done|void|held]");

	_cleanup_(freep) char *value = state ? url_segment(state) : NULL;
	_cleanup_(freep) char *path =
		xasprintf("/api/v1/outbox%s%s", value ? "?state=" : "", value ? value : "");
	json_t *o = NULL;
	struct err e;

	if (api_get(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

static int outbox_retry(struct ctl *c, int argc, char **argv)
{
	char *word;

	if (ctl_options(argc, argv, NULL, &word, 1) != 1)
		return ctl_usage("outbox retry ID");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/outbox/%s/retry", id);

	return api_say(c, path, NULL, "it goes out again now");
}

static int backlog(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"kind", "name", "waiting", "oldest_at", "level", "where", NULL};
	json_t *o = NULL;
	struct err e;

	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("backlog");
	if (api_get(c, "/api/v1/backlog", &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

const struct command commands_recovery[] = {
	{"records show", "", "Whether the records can be relied on, and what holds the line",
		records_show},
	{"records accept", "--reason TEXT [--pools POOL=NEXT,...]",
		"Take a restored database as the line's own", records_accept},
	{"records accept-clock", "--reason TEXT", "The clock is right, though records are of later",
		records_accept_clock},
	{"records archives", "", "Months of runs that are in files", records_archives},
	{"records compact", "--state-dir DIR",
		"Writes the database of a provd that is stopped again, without what is free in it",
		records_compact},
	{"pool advance", "ID NEXT --reason TEXT", "Pass over numbers that are used elsewhere",
		pool_advance},
	{"unit release", "SERIAL --reason TEXT", "A person has looked at a suspect unit",
		unit_release},
	{"outbox list", "[--state STATE]", "What services are told later, and why not yet",
		outbox_list},
	{"outbox retry", "ID", "A row that was refused, or waits, goes out again now",
		outbox_retry},
	{"backlog", "",
		"How much waits for each of those who are told, and whether it stops the line",
		backlog},
	{"unit scrap", "SERIAL --reason TEXT", "It is not made; its numbers stay used", unit_scrap},
	{0},
};
