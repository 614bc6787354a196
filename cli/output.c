/* SPDX-License-Identifier: Apache-2.0
 *
 * What people see: tables, texts, usage.
 */
#include <stdarg.h>
#include <wchar.h>

#include "base/util.h"
#include "cli/provctl.h"

int ctl_fail(const struct err *e)
{
	bool usage = e->code == ERR_INVALID || e->code == ERR_NOT_FOUND ||
		     e->code == ERR_RECIPE_INVALID || e->code == ERR_UNPROCESSABLE;

	fprintf(stderr, "provctl: %s\n", e->msg);
	return usage ? EXIT_USAGE : EXIT_ERROR;
}

int ctl_usage(const char *fmt, ...)
{
	va_list ap;

	fputs("provctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
	return EXIT_USAGE;
}

static const struct option_row *find_option(
	const struct option_row *rows, const char *name, size_t n)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == n && !strncmp(rows->name, name, n))
			return rows;
	return NULL;
}

int ctl_options(int argc, char **argv, const struct option_row *rows, char **words, int max)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *eq = strchr(argv[i], '=');
		const struct option_row *o;

		if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2]) {
			if (n == max)
				return ctl_usage("too many words: '%s'", argv[i]), -1;
			words[n++] = argv[i];
			continue;
		}
		o = find_option(
			rows, argv[i] + 2, eq ? (size_t)(eq - argv[i] - 2) : strlen(argv[i] + 2));
		if (!o)
			return ctl_usage("%s has no option '%s'", argv[0], argv[i]), -1;
		if (o->flag) {
			*o->flag = true;
			continue;
		}
		if (!eq && i + 1 == argc)
			return ctl_usage("'%s' needs a value", argv[i]), -1;
		*o->value = eq ? eq + 1 : argv[++i];
	}
	return n;
}

void table_init(struct table *t, size_t columns)
{
	*t = (struct table){.columns = columns};
}

void table_add(struct table *t, const char *cell)
{
	char **grown = reallocarray(t->cell, t->rows + 1, sizeof *grown);

	if (!grown)
		abort();
	t->cell = grown;
	t->cell[t->rows++] = xstrdup(cell && *cell ? cell : "-");
}

/* Columns on a terminal, not bytes: UTF-8 continuation bytes take no room. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static const char *color_of(const char *cell)
{
	static const struct {
		const char *word, *seq;
	} colors[] = {{"passed", "\033[32m"}, {"done", "\033[32m"}, {"failed", "\033[31m"},
		{"error", "\033[35m"}, {"fault", "\033[31m"}, {"quarantined", "\033[31m"},
		{"running", "\033[36m"}, {"aborted", "\033[33m"}, {"interrupted", "\033[33m"}};

	for (size_t i = 0; i < ARRAY_LEN(colors); i++)
		if (!strcmp(cell, colors[i].word))
			return colors[i].seq;
	return NULL;
}

void table_print(const struct table *t, bool color)
{
	_cleanup_(freep) size_t *width = xcalloc(t->columns, sizeof *width);

	for (size_t i = 0; i < t->rows; i++)
		width[i % t->columns] = MAX(width[i % t->columns], width_of(t->cell[i]));
	for (size_t i = 0; i < t->rows; i++) {
		bool last = i % t->columns == t->columns - 1;
		const char *seq = color && i >= t->columns ? color_of(t->cell[i]) : NULL;
		int pad = last ? 0 : (int)(width[i % t->columns] - width_of(t->cell[i]) + 2);

		printf("%s%s%s%*s%s", seq ? seq : "", t->cell[i], seq ? "\033[0m" : "", pad, "",
			last ? "\n" : "");
	}
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->rows; i++)
		free(t->cell[i]);
	free(t->cell);
}

void print_json(const json_t *o)
{
	char *s = json_dumps(o, JSON_INDENT(2) | JSON_ENCODE_ANY);

	puts(s ? s : "null");
	free(s);
}

char *json_text(const json_t *o, const char *path)
{
	_cleanup_(freep) char *copy = xstrdup(path);
	char *save;

	for (char *p = strtok_r(copy, ".", &save); p && o; p = strtok_r(NULL, ".", &save))
		o = json_object_get(o, p);
	if (!o || json_is_null(o))
		return xstrdup("");
	if (json_is_string(o))
		return xstrdup(json_string_value(o));
	if (json_is_real(o))
		return xasprintf("%.10g", json_real_value(o));

	char *s = json_dumps(o, JSON_ENCODE_ANY | JSON_COMPACT);
	char *ret = xstrdup(s);

	free(s);
	return ret;
}

void print_items(struct ctl *c, const json_t *answer, const char *const *members)
{
	const json_t *items = json_object_get(answer, "items");
	struct table t;
	size_t n = 0;

	if (c->json) {
		print_json(answer);
		return;
	}
	while (members[n])
		n++;
	table_init(&t, n);
	for (size_t i = 0; i < n; i++) {
		const char *dot = strrchr(members[i], '.');
		char head[40];

		snprintf(head, sizeof head, "%s", dot ? dot + 1 : members[i]);
		for (char *p = head; *p; p++)
			*p = (char)(*p == '_' ? ' ' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		table_add(&t, head);
	}
	for (size_t k = 0; k < json_array_size(items); k++) {
		for (size_t i = 0; i < n; i++) {
			_cleanup_(freep) char *s = json_text(json_array_get(items, k), members[i]);

			table_add(&t, s);
		}
	}
	table_print(&t, c->color);
	table_done(&t);
}
