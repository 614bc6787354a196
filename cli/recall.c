/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl recall: which units had a part in something, and where they are.
 */
#include "base/csv.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "cli/provctl.h"
#include "db/archive_recall.h"

static const char usage[] =
	"recall [--archive DIR] [--artifact SHA256] [--tool T] [--operator O] [--issuer I] [--station S] [--job J] [--recipe R [--version N]] [--outcome O] [--from TIME] [--to TIME] [--csv], or recall --list";

static const char *const members[] = {"serial", "unit_state", "outcome", "ended_at", "station",
	"recipe", "version", "external_ref", "unit", "run", NULL};

struct recall {
	bool csv, json;
	struct table table;
	json_t *units; /* a set of them */
	size_t runs;
};

static void add_items(void *data, const json_t *items)
{
	struct recall *r = data;
	struct strbuf line = {0};
	const json_t *row;
	size_t i;

	json_array_foreach((json_t *)items, i, row) {
		const char *unit = json_string_value(json_object_get(row, "unit"));

		r->runs++;
		json_object_set_new(r->units,
			unit ? unit : json_string_value(json_object_get(row, "run")), json_true());
		if (r->json)
			print_json_line(row);
		else if (r->csv)
			csv_write_row(&line, row, members);
		for (const char *const *m = members; *m && !r->json && !r->csv; m++) {
			_cleanup_(freep) char *text = json_text(row, *m);

			table_add(&r->table, *text ? text : NULL);
		}
	}
	fwrite(line.s ? line.s : "", 1, line.len, stdout);
	sb_done(&line);
}

static int list_traits(struct ctl *c)
{
	static const char *const of_trait[] = {"kind", "value", "runs", NULL};
	json_t *all = NULL;
	struct err e;

	if (api_get(c, "/api/v1/recall/traits", &all, &e) < 0)
		return ctl_fail(&e);
	print_items(c, all, of_trait);
	json_decref(all);
	return EXIT_PASSED;
}

static void begin(struct recall *r)
{
	static const char *const heads[] = {"SERIAL", "UNIT NOW", "OUTCOME", "ENDED", "STATION",
		"RECIPE", "VERSION", "ORDER", "UNIT", "RUN"};
	struct strbuf line = {0};

	r->units = json_object();
	table_begin(&r->table, heads, ARRAY_LEN(heads));
	if (!r->csv)
		return;
	csv_write_names(&line, members);
	fputs(line.s, stdout);
	sb_done(&line);
}

static void add_archived(void *data, const json_t *run)
{
	json_t *items = json_pack("[O]", run);

	add_items(data, items);
	json_decref(items);
}

/* "": not asked for. */
static int read_time(const char *s, int64_t *ret)
{
	return s && rfc3339_parse(s, ret) < 0
		       ? ctl_usage(
				 "--from and --to are times such as 2026-11-30T08:00:00Z, not '%s'",
				 s)
		       : 0;
}

/* Without a daemon: what the records of the archives say. */
static int recall_archives(const char *dir, struct archive_recall *f, const char *from,
	const char *to, struct recall *r)
{
	struct err e;
	int status = read_time(from, &f->from_ms);

	if (status == 0)
		status = read_time(to, &f->to_ms);
	if (status == 0 && archive_recall(dir, f, add_archived, r, &e) < 0)
		status = ctl_fail(&e);
	return status;
}

static int recall(struct ctl *c, int argc, char **argv)
{
	const char *artifact = NULL, *tool = NULL, *person = NULL, *issuer = NULL, *station = NULL,
		   *job = NULL, *recipe = NULL, *version = NULL, *outcome = NULL, *from = NULL,
		   *to = NULL;
	const char *archive = NULL;
	json_int_t number = 0;
	bool list = false;
	struct recall r = {.json = c->json};
	const struct option_row rows[] = {{"artifact", &artifact, NULL}, {"tool", &tool, NULL},
		{"operator", &person, NULL}, {"issuer", &issuer, NULL}, {"station", &station, NULL},
		{"job", &job, NULL}, {"recipe", &recipe, NULL}, {"version", &version, NULL},
		{"outcome", &outcome, NULL}, {"from", &from, NULL}, {"to", &to, NULL},
		{"csv", NULL, &r.csv}, {"list", NULL, &list}, {"archive", &archive, NULL}, {0}};
	int status;

	if (ctl_options(argc, argv, rows, NULL, 0) != 0)
		return ctl_usage("%s", usage);
	if (list)
		return list_traits(c);

	if (version && (!whole_number(version, &number) || number < 1))
		return ctl_usage("--version is the number of a version, not '%s'", version);

	struct archive_recall f = {
		artifact, tool, person, issuer, station, job, recipe, outcome, number, 0, 0};
	static const char *const no_query[] = {"archive", NULL};
	_cleanup_(freep) char *query = ctl_query(rows, no_query);

	begin(&r);
	status = archive ? recall_archives(archive, &f, from, to, &r)
			 : ctl_each_page(c, "/api/v1/recall", query, add_items, &r);
	if (status == EXIT_PASSED && !r.json && !r.csv) {
		table_print(&r.table, c->color);
		printf("%zu run%s of %zu unit%s\n", r.runs, r.runs == 1 ? "" : "s",
			json_object_size(r.units), json_object_size(r.units) == 1 ? "" : "s");
	}
	table_done(&r.table);
	json_decref(r.units);
	return status;
}

const struct command commands_recall[] = {
	{"recall",
		"[--artifact SHA256] [--tool T] [--station S] [--operator O] [--issuer I] ... [--csv] [--archive DIR] | --list",
		"Which units had a part in something, and where they are", recall},
	{0},
};
