/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl export: a list of the records as lines, as long as it is.
 */
#include "base/util.h"
#include "cli/provctl.h"

static const char usage[] =
	"export runs|units|events|serials|measurements [--format csv|ndjson] [--out FILE] [--cursor C] [--station S] [--job J] [--recipe R] [--state S] [--outcome O] [--type T] [--kind K] [--pool P] [--model M] [--name N] [--step S] [--from TIME] [--to TIME]";

static bool is_list(const char *word)
{
	static const char *const lists[] = {
		"runs", "units", "events", "serials", "measurements", NULL};

	for (const char *const *l = lists; *l; l++)
		if (!strcmp(*l, word))
			return true;
	return false;
}

/* A filter that the list does not have is refused by provd, which names those that it has. */
static int export(struct ctl *c, int argc, char **argv)
{
	static const char *const no_query[] = {"out", "format", NULL};
	const char *format = "csv", *out = NULL, *cursor = NULL, *station = NULL, *job = NULL,
		   *recipe = NULL, *state = NULL, *outcome = NULL, *type = NULL, *kind = NULL,
		   *pool = NULL, *model = NULL, *name = NULL, *step = NULL, *from = NULL,
		   *to = NULL;
	const struct option_row rows[] = {{"format", &format, NULL}, {"out", &out, NULL},
		{"cursor", &cursor, NULL}, {"station", &station, NULL}, {"job", &job, NULL},
		{"recipe", &recipe, NULL}, {"state", &state, NULL}, {"outcome", &outcome, NULL},
		{"type", &type, NULL}, {"kind", &kind, NULL}, {"pool", &pool, NULL},
		{"model", &model, NULL}, {"name", &name, NULL}, {"step", &step, NULL},
		{"from", &from, NULL}, {"to", &to, NULL}, {0}};
	char *word;
	struct err e;

	if (ctl_options(argc, argv, rows, &word, 1) != 1 || !is_list(word) ||
		(strcmp(format, "csv") != 0 && strcmp(format, "ndjson") != 0))
		return ctl_usage("%s", usage);

	_cleanup_(freep) char *query = ctl_query(rows, no_query);
	_cleanup_(freep) char *path = xasprintf("/api/v1/%s?format=%s%s", word, format, query);
	int r = out ? api_download(c, path, out, "", &e) : api_stream(c, path, stdout, &e);

	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

const struct command commands_export[] = {
	{"export",
		"runs|units|events|serials|measurements [--format csv|ndjson] [--out FILE] [--cursor C] ...",
		"The records as lines; each line has the cursor of what comes after it", export},
	{0},
};
