/* SPDX-License-Identifier: Apache-2.0
 *
 * What people see: tables, texts, usage.
 */
#include <errno.h>
#include <stdarg.h>
#include <wchar.h>

#include "base/outfile.h"
#include "base/util.h"
#include "cli/printable.h"
#include "cli/provctl.h"

int ctl_fail(const struct err *e)
{
	bool usage = e->code == ERR_INVALID || e->code == ERR_NOT_FOUND ||
		     e->code == ERR_RECIPE_INVALID || e->code == ERR_UNPROCESSABLE;

	_cleanup_(freep) char *message = printable(e->msg);

	fprintf(stderr, "provctl: %s\n", message);
	return usage ? EXIT_USAGE : EXIT_ERROR;
}

int ctl_usage(const char *fmt, ...)
{
	_cleanup_(freep) char *message = NULL;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	message = printable(text);
	free(text);
	fprintf(stderr, "provctl: %s\n", message);
	return EXIT_USAGE;
}

bool whole_number(const char *s, json_int_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(s, &end, 10);
	return *s && !*end && errno == 0;
}

const char *verb_of(const char *name)
{
	const char *space = strrchr(name, ' ');

	return space ? space + 1 : name;
}

static const struct option_row *find_option(
	const struct option_row *rows, const char *name, size_t n)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == n && !strncmp(rows->name, name, n))
			return rows;
	return NULL;
}

/* The slip that it may be, or all that there are. */
static int unknown_option(const char *command, const char *given, const struct option_row *rows)
{
	_cleanup_(freep) char *word = xstrdup(given + 2);
	struct strbuf all = {0};
	const char *names[32] = {0};
	const char *near;

	word[strcspn(word, "=")] = 0;
	for (size_t i = 0; rows && rows[i].name && i < ARRAY_LEN(names) - 1; i++) {
		names[i] = rows[i].name;
		sb_addf(&all, "%s--%s", i ? ", " : "", rows[i].name);
	}
	near = nearest_name(word, names);
	if (near)
		ctl_usage("%s has no option '--%s', did you mean '--%s'?", command, word, near);
	else if (all.len)
		ctl_usage("%s has no option '--%s': it has %s", command, word, all.s);
	else
		ctl_usage("%s has no option '--%s' and takes none", command, word);
	sb_done(&all);
	return -1;
}

int ctl_options(int argc, char **argv, const struct option_row *rows, char **words, int max)
{
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *eq = strchr(argv[i], '=');
		const struct option_row *o;

		if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2]) {
			if (n == max)
				return ctl_usage("'%s' is one word too many: see provctl %s --help",
					       argv[i], argv[0]),
				       -1;
			words[n++] = argv[i];
			continue;
		}
		o = find_option(
			rows, argv[i] + 2, eq ? (size_t)(eq - argv[i] - 2) : strlen(argv[i] + 2));
		if (!o)
			return unknown_option(argv[0], argv[i], rows);
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

void table_begin(struct table *t, const char *const *heads, size_t columns)
{
	table_init(t, columns);
	for (size_t i = 0; i < columns; i++)
		table_add(t, heads[i]);
}

void table_add(struct table *t, const char *cell)
{
	char **grown = reallocarray(t->cell, t->rows + 1, sizeof *grown);

	if (!grown)
		abort();
	t->cell = grown;
	t->cell[t->rows++] = printable(cell && *cell ? cell : "-");
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
		{"provisioned", "\033[36m"}, {"refused", "\033[31m"}, {"running", "\033[36m"},
		{"aborted", "\033[33m"}, {"interrupted", "\033[33m"}};

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

		if (seq)
			printable_sequence(stdout, seq);
		printf("%s", t->cell[i]);
		if (seq)
			printable_sequence(stdout, "\033[0m");
		printf("%*s%s", pad, "", last ? "\n" : "");
	}
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->rows; i++)
		free(t->cell[i]);
	free(t->cell);
}

static void put_json(const json_t *o, size_t flags)
{
	char *s = json_dumps(o, flags | JSON_ENCODE_ANY);
	_cleanup_(freep) char *out = printable_json(s ? s : "null");

	puts(out);
	free(s);
}

void print_json(const json_t *o)
{
	put_json(o, JSON_INDENT(2));
}

void print_json_line(const json_t *o)
{
	put_json(o, JSON_COMPACT);
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
		return printable(json_string_value(o));
	if (json_is_real(o))
		return xasprintf("%.10g", json_real_value(o));

	char *s = json_dumps(o, JSON_ENCODE_ANY | JSON_COMPACT);
	char *ret = printable_json(s);

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
		const char *named = strchr(members[i], ':');
		const char *dot = strrchr(members[i], '.');
		char head[40];

		if (named)
			snprintf(head, sizeof head, "%.*s", (int)(named - members[i]), members[i]);
		else
			snprintf(head, sizeof head, "%s", dot ? dot + 1 : members[i]);
		for (char *p = head; *p; p++)
			*p = (char)(*p == '_' ? ' ' : *p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		table_add(&t, head);
	}
	for (size_t k = 0; k < json_array_size(items); k++) {
		for (size_t i = 0; i < n; i++) {
			const char *named = strchr(members[i], ':');
			_cleanup_(freep) char *s =
				json_text(json_array_get(items, k), named ? named + 1 : members[i]);

			table_add(&t, s);
		}
	}
	table_print(&t, c->color);
	table_done(&t);
}

int ctl_each_page(struct ctl *c, const char *path, const char *query,
	void (*fn)(void *data, const json_t *items), void *data)
{
	_cleanup_(freep) char *cursor = xstrdup("");

	for (bool more = true; more;) {
		_cleanup_(freep) char *escaped = url_segment(cursor);
		_cleanup_(freep) char *page = xasprintf(
			"%s?limit=1000%s%s%s", path, query, *cursor ? "&cursor=" : "", escaped);
		json_t *o = NULL;
		const char *next;
		struct err e;

		if (api_get(c, page, &o, &e) < 0)
			return ctl_fail(&e);
		fn(data, json_object_get(o, "items"));
		next = json_string_value(json_object_get(o, "next_cursor"));
		more = next != NULL;
		str_replace(&cursor, next);
		json_decref(o);
	}
	return 0;
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names;
}

char *ctl_query(const struct option_row *rows, const char *const *except)
{
	struct strbuf b = {0};

	for (; rows->name; rows++) {
		const char *value = rows->value ? *rows->value : NULL;
		_cleanup_(freep) char *escaped = value ? url_segment(value) : NULL;

		if (escaped && !is_one_of(rows->name, except))
			sb_addf(&b, "&%s=%s", !strcmp(rows->name, "job") ? "job_id" : rows->name,
				escaped);
	}
	return b.s ? sb_take(&b) : xstrdup("");
}

int ctl_write_text(const char *path, const char *text, struct err *e)
{
	_cleanup_(outfile_done) struct outfile out = {.fd = -1};
	char sha256[SHA256_HEX];
	int r;

	if (!path)
		return fputs(text, stdout) < 0 || fflush(stdout) != 0
			       ? err_errno(e, ERR_IO, errno, "the output")
			       : 0;
	r = outfile_open(&out, path, e);
	if (r == 0)
		r = outfile_add(&out, text, strlen(text), e);
	if (r == 0)
		r = outfile_end(&out, sha256, e);
	return r < 0 ? r : outfile_commit(&out, e);
}
