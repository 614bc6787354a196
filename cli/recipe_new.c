/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl recipe new: a first recipe for what is plugged, by options or by questions.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/provctl.h"
#include "cli/recipe_draft.h"
#include "cli/scan.h"
#include "daemon/recipe/parts.h"

#define USAGE \
	"recipe new NAME [--kind KIND | --port PORT] [--image FILE] [--pool POOL] [--model M] [--title T] [--out FILE]"

/* --- questions, on a terminal --- */

/* A line of the person, `otherwise` where it is empty; NULL at the end of the input. Owned by the caller. */
static char *ask(const char *question, const char *otherwise)
{
	char line[1024];

	fprintf(stderr, otherwise && *otherwise ? "%s [%s]: " : "%s: ", question, otherwise);
	fflush(stderr);
	if (!fgets(line, sizeof line, stdin))
		return NULL;
	line[strcspn(line, "\r\n")] = 0;
	return xstrdup(*line ? line : otherwise ? otherwise : "");
}

static void list_kinds(FILE *to)
{
	for (const struct device_kind *k = device_kinds; k->name; k++)
		fprintf(to, "  %-11s %s\n", k->name, k->what);
}

static const char *text_in(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const struct device_kind *ask_kind(const json_t *plugged)
{
	const json_t *o;
	size_t i;

	fputs("What is the recipe for?\n", stderr);
	list_kinds(stderr);
	json_array_foreach(plugged, i, o)
		fprintf(stderr, "%s %s at %s %s\n", i == 0 ? "Plugged here:" : "             ",
			text_in(o, "kind"), text_in(o, "port"), text_in(o, "product"));
	for (;;) {
		_cleanup_(freep) char *said =
			ask("Kind", text_in(json_array_get(plugged, 0), "kind"));
		const struct device_kind *k = said ? device_kind(said) : NULL;

		if (!said || k)
			return k;
		fprintf(stderr, "'%s' is none of these kinds\n", said);
	}
}

/* --- without questions --- */

static const struct device_kind *only_one(const json_t *plugged, struct err *e)
{
	const char *kind = text_in(json_array_get(plugged, 0), "kind");
	const json_t *o;
	size_t i;

	json_array_foreach(plugged, i, o)
		if (strcmp(kind, text_in(o, "kind")) != 0)
			kind = "";
	if (*kind)
		return device_kind(kind);
	err_set(e, ERR_INVALID,
		json_array_size(plugged)
			? "things of several kinds are plugged: say with --port which of them, or with --kind what the recipe is for"
			: "nothing that an action reaches is plugged: say with --kind what the recipe is for");
	return NULL;
}

static const struct device_kind *at_port(const json_t *plugged, const char *port, struct err *e)
{
	const json_t *o;
	size_t i;

	json_array_foreach(plugged, i, o)
		if (!strcmp(text_in(o, "port"), port))
			return device_kind(text_in(o, "kind"));
	err_set(e, ERR_NOT_FOUND,
		"nothing that an action reaches is at '%s': provctl scan says what is plugged, and --kind needs nothing plugged",
		port);
	return NULL;
}

static const struct device_kind *named(const char *kind, struct err *e)
{
	const struct device_kind *k = device_kind(kind);
	struct strbuf names = {0};

	if (k)
		return k;
	for (k = device_kinds; k->name; k++)
		sb_addf(&names, "%s%s", names.len ? ", " : "", k->name);
	err_set(e, ERR_INVALID, "--kind %s: one of %s expected", kind, names.s);
	sb_done(&names);
	return NULL;
}

/* --- the file --- */

/* What a person typed may be no name of a recipe or a pool: the check of the recipe says so. */
static int check(const struct strbuf *text, const char *name, struct err *e)
{
	struct recipe *recipe = NULL;
	struct strbuf report = {0};
	int r = recipe_load(name, text->s, text->len, &report, &recipe, e);

	if (r < 0 && report.s)
		fputs(report.s, stderr);
	sb_done(&report);
	recipe_unref(recipe);
	return r;
}

/* What is there already is somebody's. */
static int write_new(const char *path, const struct strbuf *text, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	ssize_t n = fd < 0 ? -1 : write(fd, text->s, text->len);

	if (fd < 0 && errno == EEXIST)
		return err_set(
			e, ERR_CONFLICT, "%s is there already: name another file with --out", path);
	if (n != (ssize_t)text->len) {
		if (n >= 0)
			errno = ENOSPC;
		err_errno(e, ERR_IO, errno, "%s", path);
		if (fd >= 0)
			unlink(path);
		return -ERR_IO;
	}
	return 0;
}

static int put(const struct ctl *c, const struct recipe_draft *d, const char *out)
{
	struct strbuf text = {0};
	struct err e = {0};
	int r;

	recipe_draft(d, &text);
	r = check(&text, out ? out : d->name, &e);
	if (r == 0 && out)
		r = write_new(out, &text, &e);
	if (r == 0 && c->json) {
		json_t *o = json_pack(
			"{s:s, s:s?, s:s}", "kind", d->kind->name, "file", out, "recipe", text.s);

		print_json(o);
		json_decref(o);
	} else if (r == 0 && !out) {
		fputs(text.s, stdout);
	} else if (r == 0) {
		printf("%s: change what its comments point at, then: provctl recipe check %s\n",
			out, out);
	}
	sb_done(&text);
	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

struct answers {
	char *image, *pool;
};

/* What a person is asked for who gave no kind. */
static void ask_rest(struct recipe_draft *d, struct answers *a)
{
	if (d->kind->image && !d->image)
		d->image = a->image = ask("File that is written to the unit", "firmware.bin");
	if (!d->pool)
		d->pool = a->pool = ask("Pool of serial numbers, empty for none", "");
	if (d->pool && !*d->pool)
		d->pool = NULL;
}

static const struct device_kind *find_kind(
	const char *kind, const char *port, bool person, struct err *e)
{
	const struct device_kind *k;
	json_t *plugged;

	if (kind)
		return named(kind, e);
	plugged = scan_items();
	k = port ? at_port(plugged, port, e) : person ? ask_kind(plugged) : only_one(plugged, e);
	if (!k && !e->code)
		err_set(e, ERR_ABORTED, "no kind was chosen");
	json_decref(plugged);
	return k;
}

static int cmd_new(struct ctl *c, int argc, char **argv)
{
	struct recipe_draft d = {0};
	const char *kind = NULL, *port = NULL, *out = NULL;
	const struct option_row rows[] = {{"kind", &kind, NULL}, {"port", &port, NULL},
		{"image", &d.image, NULL}, {"pool", &d.pool, NULL}, {"model", &d.model, NULL},
		{"title", &d.title, NULL}, {"out", &out, NULL}, {0}};
	struct answers a = {0};
	struct err e = {0};
	bool person;
	char *name;
	int status;

	if (ctl_options(argc, argv, rows, &name, 1) != 1 || (kind && port))
		return ctl_usage(USAGE);
	person = !kind && !port && !c->json && isatty(STDIN_FILENO);
	d.kind = find_kind(kind, port, person, &e);
	if (!d.kind)
		return ctl_fail(&e);
	if (person)
		ask_rest(&d, &a);
	d.name = name;
	d.model = d.model ? d.model : name;
	d.title = d.title ? d.title : d.kind->what;
	d.image = d.image ? d.image : "firmware.bin";
	status = put(c, &d, out);
	free(a.image);
	free(a.pool);
	return status;
}

const struct command commands_recipe_new[] = {
	{"recipe new", "NAME [--kind KIND | --port PORT]",
		"A first recipe for what is plugged (--image FILE --pool POOL --model M --title T --out FILE)",
		cmd_new},
	{0},
};
