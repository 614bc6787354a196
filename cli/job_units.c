/* SPDX-License-Identifier: Apache-2.0
 *
 * The lists of units that orders have.
 */
#include "base/csv.h"
#include "base/util.h"
#include "cli/provctl.h"
#include "cli/public_keys.h"

static const char units_usage[] = "job units ID [SERIAL] [--state S] [--format csv|ndjson]";

/* A column that is not a member of a unit is a parameter, as text: the recipe's types decide. */
static json_t *unit_of(const json_t *row)
{
	json_t *unit = json_object(), *params = json_object(), *v;
	const char *name;

	json_object_foreach((json_t *)row, name, v) {
		const bool own = !strcmp(name, "serial") || !strcmp(name, "chip_id");

		json_object_set(own ? unit : params, name, v);
	}
	json_object_set_new(unit, "params", params);
	return unit;
}

int job_units_file(const char *path, json_t **ret, struct err *e)
{
	size_t n;
	_cleanup_(freep) char *text = ctl_read_file(path, &n, e);
	json_t *rows = NULL, *row;
	size_t i;

	if (!text)
		return -(int)e->code;
	if (csv_read_table(text, n, &rows, e) < 0)
		return err_prefix(e, "%s", path);
	*ret = json_array();
	json_array_foreach(rows, i, row)
		json_array_append_new(*ret, unit_of(row));
	json_decref(rows);
	return 0;
}

static int one_unit(struct ctl *c, const char *id, const char *serial)
{
	_cleanup_(freep) char *segment = url_segment(serial);
	_cleanup_(freep) char *path = xasprintf("/api/v1/jobs/%s/units/%s", id, segment);
	json_t *o = NULL;
	struct err e;

	if (api_get(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	print_json(o);
	json_decref(o);
	return 0;
}

static void print_page(void *data, const json_t *items)
{
	static const char *const members[] = {
		"n", "serial", "state", "attempts", "run", "reason", NULL};
	struct ctl *c = data;
	json_t *page = json_pack("{s:O}", "items", items);

	print_items(c, page, members);
	json_decref(page);
}

static int job_units(struct ctl *c, int argc, char **argv)
{
	const char *state = NULL, *format = NULL;
	const struct option_row rows[] = {{"state", &state, NULL}, {"format", &format, NULL}, {0}};
	const char *const not_asked[] = {NULL};
	char *word[2];
	const int words = ctl_options(argc, argv, rows, word, 2);
	_cleanup_(freep) char *query = words > 0 ? ctl_query(rows, not_asked) : NULL;
	_cleanup_(freep) char *id = words > 0 ? url_segment(word[0]) : NULL;
	_cleanup_(freep) char *path = NULL;
	struct err e;

	if (words < 1)
		return ctl_usage("%s", units_usage);
	if (words == 2)
		return one_unit(c, id, word[1]);
	path = xasprintf("/api/v1/jobs/%s/units", id);
	if (format) {
		_cleanup_(freep) char *all = xasprintf("%s?%s", path, query + 1);

		return api_stream(c, all, stdout, &e) < 0 ? ctl_fail(&e) : 0;
	}
	return ctl_each_page(c, path, query, print_page, c);
}

const struct command commands_job_units[] = {
	{"job units", "ID [SERIAL] [--state S] [--format csv|ndjson]",
		"The units of its list, or one with its runs", job_units},
	{0},
};
