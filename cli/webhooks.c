/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl webhook: who is sent events, and what became of each.
 */
#include "base/util.h"
#include "cli/provctl.h"

static char *path_of(const char *id, const char *rest)
{
	_cleanup_(freep) char *segment = url_segment(id);

	return xasprintf("/api/v1/webhooks/%s%s", segment, rest);
}

/* Posts, and prints these members of the answer. Takes the reference. */
static int post(struct ctl *c, const char *path, json_t *body, const char *const *members)
{
	json_t *answer = NULL, *list;
	struct err e;
	int r = api_post(c, path, body, &answer, &e);

	json_decref(body);
	if (r < 0)
		return ctl_fail(&e);
	list = json_pack("{s:[O]}", "items", answer);
	print_items(c, list, members);
	json_decref(list);
	json_decref(answer);
	return EXIT_PASSED;
}

static int show(struct ctl *c, const char *path, const char *const *members)
{
	json_t *list = NULL;
	struct err e;

	if (api_get(c, path, &list, &e) < 0)
		return ctl_fail(&e);
	print_items(c, list, members);
	json_decref(list);
	return EXIT_PASSED;
}

static const char *const hook_members[] = {
	"id", "format", "url", "enabled", "waiting", "dead", "done", "secret", "reason", NULL};
static const char *const delivery_members[] = {
	"n", "event", "type", "state", "attempts", "status", "code", "tried_at", "message", NULL};

static int webhook_list(struct ctl *c, int argc, char **argv)
{
	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("webhook list");
	return show(c, "/api/v1/webhooks", hook_members);
}

/* "a,b" as an array; NULL: none. */
static json_t *types_of(const char *text)
{
	_cleanup_(freep) char *copy = text ? xstrdup(text) : NULL;
	json_t *list = text ? json_array() : NULL;
	char *save = NULL;

	for (char *t = text ? strtok_r(copy, ",", &save) : NULL; t; t = strtok_r(NULL, ",", &save))
		json_array_append_new(list, json_string(t));
	return list;
}

static int webhook_add(struct ctl *c, int argc, char **argv)
{
	const char *secret = NULL, *types = NULL, *station = NULL, *job = NULL, *format = NULL,
		   *auth = NULL;
	const struct option_row rows[] = {{"secret", &secret, NULL}, {"types", &types, NULL},
		{"station", &station, NULL}, {"job", &job, NULL}, {"format", &format, NULL},
		{"auth", &auth, NULL}, {0}};
	char *url;

	if (ctl_options(argc, argv, rows, &url, 1) != 1 || !secret)
		return ctl_usage(
			"webhook add URL --secret NAME [--types TYPE,...] [--station S] [--job J] [--format event|wsjf] [--auth NAME]");
	return post(c, "/api/v1/webhooks",
		json_pack("{s:s, s:s, s:o*, s:s*, s:s*, s:s*, s:s*}", "url", url, "secret", secret,
			"types", types_of(types), "station", station, "job", job, "format", format,
			"auth", auth),
		hook_members);
}

static int webhook_delete(struct ctl *c, int argc, char **argv)
{
	json_t *answer = NULL;
	struct err e;
	char *id;

	if (ctl_options(argc, argv, NULL, &id, 1) != 1)
		return ctl_usage("webhook delete ID");

	_cleanup_(freep) char *path = path_of(id, "");
	int r = api_delete(c, path, &answer, &e);

	json_decref(answer);
	if (r < 0)
		return ctl_fail(&e);
	puts("it gets nothing more");
	return EXIT_PASSED;
}

static int webhook_rotate(struct ctl *c, int argc, char **argv)
{
	const char *secret = NULL, *overlap = NULL;
	const struct option_row rows[] = {
		{"secret", &secret, NULL}, {"overlap", &overlap, NULL}, {0}};
	char *id;

	if (ctl_options(argc, argv, rows, &id, 1) != 1 || !secret)
		return ctl_usage("webhook rotate ID --secret NAME [--overlap 24h]");

	_cleanup_(freep) char *path = path_of(id, "/actions/rotate");

	return post(c, path, json_pack("{s:s, s:s*}", "secret", secret, "overlap", overlap),
		hook_members);
}

static int webhook_test(struct ctl *c, int argc, char **argv)
{
	char *id;

	if (ctl_options(argc, argv, NULL, &id, 1) != 1)
		return ctl_usage("webhook test ID");

	_cleanup_(freep) char *path = path_of(id, "/actions/test");

	return post(c, path, NULL, delivery_members);
}

static int webhook_deliveries(struct ctl *c, int argc, char **argv)
{
	const char *state = NULL;
	const struct option_row rows[] = {{"state", &state, NULL}, {0}};
	char *id;

	if (ctl_options(argc, argv, rows, &id, 1) != 1)
		return ctl_usage("webhook deliveries ID [--state waiting|done|dead]");

	_cleanup_(freep) char *value = state ? url_segment(state) : NULL;
	_cleanup_(freep) char *rest =
		xasprintf("/deliveries%s%s", value ? "?state=" : "", value ? value : "");
	_cleanup_(freep) char *path = path_of(id, rest);

	return show(c, path, delivery_members);
}

static int webhook_redeliver(struct ctl *c, int argc, char **argv)
{
	char *words[2];

	if (ctl_options(argc, argv, NULL, words, 2) != 2)
		return ctl_usage("webhook redeliver ID N");

	_cleanup_(freep) char *n = url_segment(words[1]);
	_cleanup_(freep) char *rest = xasprintf("/deliveries/%s/actions/redeliver", n);
	_cleanup_(freep) char *path = path_of(words[0], rest);

	return post(c, path, NULL, delivery_members);
}

const struct command commands_webhooks[] = {
	{"webhook list", "", "Who is sent events", webhook_list},
	{"webhook add",
		"URL --secret NAME [--types TYPE,...] [--station S] [--job J] [--format event|wsjf] [--auth NAME]",
		"Somebody is sent events from now on", webhook_add},
	{"webhook delete", "ID", "Nothing more is sent there", webhook_delete},
	{"webhook rotate", "ID --secret NAME [--overlap 24h]",
		"Another secret; both sign for a while", webhook_rotate},
	{"webhook test", "ID", "Sends an event of its own", webhook_test},
	{"webhook deliveries", "ID [--state STATE]", "What became of its events",
		webhook_deliveries},
	{"webhook redeliver", "ID N", "Sends one once more", webhook_redeliver},
	{0},
};
