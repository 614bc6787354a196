/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/check.h"

#include <stdio.h>

#include "daemon/line/config.h"
#include "daemon/line/controllers.h"
#include "daemon/recipe/programs.h"
#include "db/db.h"
#include "db/recipes.h"
#include "db/upgrade.h"

struct missing {
	const struct recipe *recipe;
	unsigned count;
};

static void tell_program(
	void *data, const struct recipe_step *step, const char *program, bool installed)
{
	struct missing *m = data;

	if (installed)
		return;
	m->count++;
	fprintf(stderr,
		"recipe %s version %u: step %s needs the program %s, which is not installed\n",
		m->recipe->name, m->recipe->version, step->id, program);
}

static int check_recipe(
	struct db *db, const char *name, int64_t version, struct missing *m, struct err *e)
{
	struct mistakes mistakes = {0};
	struct recipe *recipe = NULL;
	json_t *row = NULL;
	int r = recipes_get(db, name, version, &row, e);

	if (r == 0)
		r = recipe_check(json_object_get(row, "recipe"), &mistakes, &recipe, e);
	if (r == 0) {
		m->recipe = recipe;
		recipe_programs(recipe, tell_program, m);
	} else if (r == -ERR_RECIPE_INVALID) {
		fprintf(stderr, "recipe %s version %lld: this provd does not accept it any more\n",
			name, (long long)version);
		r = 0;
	}
	mistakes_done(&mistakes);
	recipe_unref(recipe);
	json_decref(row);
	return r;
}

/* Those that a job may name. Before the first start there are none. */
static int check_recipes(const struct config *c, unsigned *ret_missing, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.db", c->state_dir);
	_cleanup_(db_freep) struct db *db = NULL;
	struct missing m = {0};
	json_t *rows = NULL;
	json_t *row;
	size_t i;
	int r = 0;

	if (access(path, F_OK) < 0)
		return 0;
	r = db_open_reader(path, &db, e);
	if (r == 0)
		r = recipes_list(db, NULL, "approved", &rows, e);
	json_array_foreach(rows, i, row) {
		if (r < 0)
			break;
		r = check_recipe(db, json_string_value(json_object_get(row, "name")),
			json_integer_value(json_object_get(row, "version")), &m, e);
	}
	json_decref(rows);
	*ret_missing = m.count;
	return r;
}

/* Whether the controllers of this machine carry the stations. */
static bool check_controllers(const struct config *c)
{
	struct strbuf mistakes = {0}, notes = {0};
	unsigned n = controllers_check("/sys", c, &mistakes, &notes);

	if (mistakes.s)
		fputs(mistakes.s, stderr);
	if (notes.s)
		fputs(notes.s, stdout);
	sb_done(&mistakes);
	sb_done(&notes);
	return n == 0;
}

int check_configuration(const char *path)
{
	struct strbuf report = {0};
	struct config *c = NULL;
	unsigned missing = 0;
	struct err e;
	int r = config_load(path, &report, &c, &e);

	if (report.s)
		fputs(report.s, stderr);
	sb_done(&report);
	if (r < 0)
		return 2;
	if (check_recipes(c, &missing, &e) < 0)
		fprintf(stderr, "the approved recipes could not be looked at: %s\n", e.msg);
	config_listens(c, &report);
	printf("%s: %zu station%s, listens on %s, keeps its records in %s\n", path, c->stations,
		c->stations == 1 ? "" : "s", report.s, c->state_dir);
	sb_done(&report);
	if (missing)
		printf("%u step%s of approved recipes cannot run here: programs are missing\n",
			missing, missing == 1 ? "" : "s");

	bool carried = check_controllers(c);

	config_unref(c);
	return carried ? 0 : 2;
}

#define BYTES_PER_MB	 1e6
#define US_PER_SECOND	 1e6
#define STATUS_FAILS	 1
#define STATUS_ESTIMATED 3

static void print_steps(const struct upgrade *u)
{
	for (int schema = u->from + 1; schema <= u->to; schema++)
		printf("  %s\n", upgrade_step(schema));
}

static int print_cost(const struct upgrade *u)
{
	printf("%s: %.1f s, at most %.1f MB of disk more meanwhile and %.1f MB afterwards; %.1f MB are free\n",
		u->measured ? "measured on a copy"
			    : "estimated, since the disk has no room for a copy to measure on",
		(double)u->took_us / US_PER_SECOND, (double)u->peak_bytes / BYTES_PER_MB,
		(double)u->grown_bytes / BYTES_PER_MB, (double)u->free_bytes / BYTES_PER_MB);
	if (u->free_bytes < u->peak_bytes) {
		fprintf(stderr, "the disk has no room for the upgrade: free %.1f MB of it first\n",
			(double)(u->peak_bytes - u->free_bytes) / BYTES_PER_MB);
		return STATUS_FAILS;
	}
	return u->measured ? 0 : STATUS_ESTIMATED;
}

int check_upgrade(const char *state_dir)
{
	struct upgrade u;
	struct err e;

	if (upgrade_rehearse(state_dir, &u, &e) < 0) {
		fprintf(stderr, "provd: %s\n", e.msg);
		return STATUS_FAILS;
	}
	if (u.from == 0)
		printf("%s has no records yet: a start makes them, with schema %d\n", state_dir,
			u.to);
	else if (u.from == u.to)
		printf("the records in %s have schema %d, as this provd writes it: nothing to do\n",
			state_dir, u.to);
	if (u.from == 0 || u.from == u.to)
		return 0;
	printf("the records in %s have schema %d (%.1f MB), this provd writes schema %d: %d migrations\n",
		state_dir, u.from, (double)u.size_bytes / BYTES_PER_MB, u.to, u.to - u.from);
	print_steps(&u);
	return print_cost(&u);
}
