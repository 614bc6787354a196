/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mistake.h"

#include <stdarg.h>

#include "base/util.h"

static struct mistake *append(struct mistakes *m, const char *pointer)
{
	struct mistake *grown = reallocarray(m->item, m->count + 1, sizeof *grown);

	if (!grown)
		abort();
	m->item = grown;
	grown[m->count] = (struct mistake){.pointer = xstrdup(pointer)};
	return &grown[m->count++];
}

/* One line of text that JSON takes, also where it was cut within a character. */
static char *readable(const char *text)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, text, strlen(text));
	return sb_take(&b);
}

void mistakes_add(struct mistakes *m, const char *pointer, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	append(m, pointer)->text = readable(text);
}

void mistakes_add_unknown(struct mistakes *m, const char *pointer, const char *what,
	const char *word, const char *const *names)
{
	const char *near = nearest_name(word, names);
	struct mistake *one = append(m, pointer);

	one->at_key = true;
	one->text = near ? xasprintf("unknown %s '%s', did you mean '%s'?", what, word, near)
			 : xasprintf("unknown %s '%s'", what, word);
}

/* --- the same mistake at several uses --- */

/* Some of them say where to look; a hundred turns would hide the sentence. */
#define USES_NAMED 4

static void add_use(struct mistake *m, const char *use)
{
	_cleanup_(freep) char *before = NULL;

	if (m->last_use && !strcmp(m->last_use, use))
		return;
	free(m->last_use);
	m->last_use = xstrdup(use);
	before = m->uses;
	m->used++;
	if (m->used > USES_NAMED)
		m->uses = steal_ptr(&before);
	else
		m->uses = before ? xasprintf("%s, '%s'", before, use) : xasprintf("'%s'", use);
}

static struct mistake *same_as(struct mistakes *m, size_t before, const struct mistake *one)
{
	for (size_t i = 0; i < before; i++)
		if (!strcmp(m->item[i].pointer, one->pointer) &&
			!strcmp(m->item[i].text, one->text))
			return &m->item[i];
	return NULL;
}

static void mistake_done(struct mistake *m)
{
	free(m->pointer);
	free(m->text);
	free(m->uses);
	free(m->last_use);
}

void mistakes_merge(struct mistakes *m, size_t before, const char *within, const char *use)
{
	size_t kept = before;

	for (size_t i = before; i < m->count; i++) {
		struct mistake *one = &m->item[i];
		struct mistake *same = same_as(m, kept, one);

		if (use && !one->uses && !strncmp(one->pointer, within, strlen(within)))
			add_use(same ? same : one, use);
		if (same)
			mistake_done(one);
		else
			m->item[kept++] = *one;
	}
	m->count = kept;
}

/* With where it is one; owned by the caller. */
static char *whole_text(const struct mistake *m)
{
	if (!m->uses)
		return xstrdup(m->text);
	return m->used > USES_NAMED ? xasprintf("%s (used as %s and %u more)", m->text, m->uses,
					      m->used - USES_NAMED)
				    : xasprintf("%s (used as %s)", m->text, m->uses);
}

void mistakes_done(struct mistakes *m)
{
	for (size_t i = 0; i < m->count; i++)
		mistake_done(&m->item[i]);
	free(m->item);
	*m = (struct mistakes){0};
}

struct placed {
	unsigned line, column;
	const struct mistake *mistake;
};

static struct placed place_of(const struct mistake *m, const struct yaml_doc *doc)
{
	const struct yaml_place *w = yaml_where(doc, m->pointer);

	return m->at_key ? (struct placed){w->key_line, w->key_column, m}
			 : (struct placed){w->line, w->column, m};
}

static int by_place(const void *a, const void *b)
{
	const struct placed *x = a;
	const struct placed *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

void mistakes_print(
	const struct mistakes *m, const char *name, const struct yaml_doc *doc, struct strbuf *out)
{
	_cleanup_(freep) struct placed *p = xcalloc(m->count, sizeof *p);

	for (size_t i = 0; i < m->count; i++)
		p[i] = place_of(&m->item[i], doc);
	qsort(p, m->count, sizeof *p, by_place);
	for (size_t i = 0; i < m->count; i++) {
		_cleanup_(freep) char *text = whole_text(p[i].mistake);

		sb_addf(out, "%s:%u:%u: %s\n", name, p[i].line, p[i].column, text);
	}
}

json_t *mistakes_json(const struct mistakes *m, const struct yaml_doc *doc)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->count; i++) {
		_cleanup_(freep) char *text = whole_text(&m->item[i]);
		json_t *o = json_pack("{s:s, s:s}", "pointer", m->item[i].pointer, "detail", text);

		if (o && doc) {
			struct placed p = place_of(&m->item[i], doc);

			json_object_set_new(o, "line", json_integer(p.line));
			json_object_set_new(o, "column", json_integer(p.column));
		}
		json_array_append_new(list, o);
	}
	return list;
}

char *pointer_key(const char *pointer, const char *key)
{
	struct strbuf b = {0};

	sb_add(&b, pointer);
	sb_add(&b, "/");
	for (; *key; key++) {
		if (*key == '~')
			sb_add(&b, "~0");
		else if (*key == '/')
			sb_add(&b, "~1");
		else
			sb_add_n(&b, key, 1);
	}
	return sb_take(&b);
}

char *pointer_index(const char *pointer, size_t i)
{
	return xasprintf("%s/%zu", pointer, i);
}
