/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools: where serial numbers, addresses and license keys come from.
 */
#include "base/csv.h"
#include "base/util.h"
#include "cli/provctl.h"

static const char create_usage[] =
	"pool create ID [--kind serial|mac|license] [--pattern P --first N --last N --check none|luhn|mod36] [--block AC:DE:48 --local --span N] [--low-water N]";

static int pool_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"id", "kind", "pattern", "block", "next", "last", "remaining", "check", NULL};
	json_t *o = NULL;
	struct err e;

	if (ctl_options(argc, argv, NULL, NULL, 0) < 0)
		return EXIT_USAGE;
	if (api_get(c, "/api/v1/pools", &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

/* A whole number of the command line into the body; false after a message. */
static bool put_number(json_t *body, const char *member, const char *option, const char *text)
{
	json_int_t n;

	if (!text)
		return true;
	if (!whole_number(text, &n)) {
		ctl_usage("--%s '%s' is not a whole number", option, text);
		return false;
	}
	json_object_set_new(body, member, json_integer(n));
	return true;
}

static int create(struct ctl *c, json_t *body, const char *id)
{
	json_t *o = NULL;
	struct err e;

	if (api_post(c, "/api/v1/pools", body, &o, &e) < 0)
		return ctl_fail(&e);
	if (c->json)
		print_json(o);
	else
		printf("pool %s\n", id);
	json_decref(o);
	return 0;
}

static int pool_create(struct ctl *c, int argc, char **argv)
{
	const char *pattern = NULL, *first = NULL, *last = NULL, *check = NULL, *kind = NULL,
		   *block = NULL, *span = NULL, *low = NULL;
	bool local = false;
	const struct option_row rows[] = {{"pattern", &pattern, NULL}, {"first", &first, NULL},
		{"last", &last, NULL}, {"check", &check, NULL}, {"kind", &kind, NULL},
		{"block", &block, NULL}, {"span", &span, NULL}, {"low-water", &low, NULL},
		{"local", NULL, &local}, {0}};
	char *id;
	json_t *body;
	int r = EXIT_USAGE;

	if (ctl_options(argc, argv, rows, &id, 1) != 1)
		return ctl_usage("%s", create_usage);
	body = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "id", id, "pattern", pattern, "check",
		check, "kind", kind, "block", block);
	if (!body)
		return ctl_usage("%s", create_usage);
	/* Without a pattern it is a list, which `pool import` fills. */
	if (!pattern)
		json_object_set_new(body, "values", json_array());
	if (local)
		json_object_set_new(body, "local", json_true());
	if (put_number(body, "first", "first", first) && put_number(body, "last", "last", last) &&
		put_number(body, "span", "span", span) &&
		put_number(body, "low_water", "low-water", low))
		r = create(c, body, id);
	json_decref(body);
	return r;
}

static int pool_import(struct ctl *c, int argc, char **argv)
{
	char *words[2];
	json_t *o = NULL;
	struct err e;

	if (ctl_options(argc, argv, NULL, words, 2) != 2)
		return ctl_usage("pool import ID FILE.csv");

	_cleanup_(freep) char *id = url_segment(words[0]);
	_cleanup_(freep) char *path = xasprintf("/api/v1/pools/%s/values", id);
	_cleanup_(freep) char *left = NULL;

	if (api_send_file(c, "POST", path, "text/csv", words[1], &o, &e) < 0)
		return ctl_fail(&e);
	left = json_text(o, "remaining");
	if (c->json)
		print_json(o);
	else
		printf("pool %s: %s left\n", words[0], left);
	json_decref(o);
	return 0;
}

static const char *const csv_members[] = {"value", "kind", "slot", "state", "run", "unit",
	"exposed", "reason", "reserved_at", "settled_at", NULL};

static void print_csv(void *data, const json_t *items)
{
	struct strbuf b = {0};
	size_t i;
	json_t *row;

	json_array_foreach((json_t *)items, i, row)
		csv_write_row(&b, row, csv_members);
	fwrite(b.s ? b.s : "", 1, b.len, stdout);
	sb_done(&b);
}

static int pool_export(struct ctl *c, int argc, char **argv)
{
	const char *state = NULL;
	const struct option_row rows[] = {{"state", &state, NULL}, {0}};
	struct strbuf names = {0};
	char *word;

	if (ctl_options(argc, argv, rows, &word, 1) != 1)
		return ctl_usage("pool export ID [--state free|reserved|committed|void]");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/pools/%s/serials", id);
	_cleanup_(freep) char *value = state ? url_segment(state) : NULL;
	_cleanup_(freep) char *query = value ? xasprintf("&state=%s", value) : xstrdup("");

	csv_write_names(&names, csv_members);
	fputs(names.s, stdout);
	sb_done(&names);
	return ctl_each_page(c, path, query, print_csv, NULL);
}

static void add_items(void *data, const json_t *items)
{
	json_array_extend(data, (json_t *)(uintptr_t)items);
}

static int pool_gaps(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"first", "last", "value", "state", "at", "station",
		"run", "outcome", "code", "why", NULL};
	char *word;
	json_t *all;
	int r;

	if (ctl_options(argc, argv, NULL, &word, 1) != 1)
		return ctl_usage("pool gaps ID");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/pools/%s/gaps", id);

	/* One table, however many pages. */
	all = json_pack("{s:[]}", "items");
	r = ctl_each_page(c, path, "", add_items, json_object_get(all, "items"));
	if (r == 0)
		print_items(c, all, members);
	json_decref(all);
	return r;
}

const struct command commands_pools[] = {
	{"pool create", "ID [--kind K] [--pattern P --first N --last N ...]",
		"Make a pool of serial numbers, addresses or keys; without a pattern a list",
		pool_create},
	{"pool list", "", "Pools and what is left in them", pool_list},
	{"pool import", "ID FILE.csv", "Add the values of a file to a list, all or none",
		pool_import},
	{"pool export", "ID [--state S]", "Its ledger as comma-separated values", pool_export},
	{"pool gaps", "ID", "What it has spent and no passed unit carries, and why", pool_gaps},
	{0},
};
