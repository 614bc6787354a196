/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/strbuf.h"
#include "base/util.h"

#define MAX_KEY_BYTES 256
/* Pointers repeat the keys above them: without a cap, long keys over many leaves would cost
 * gigabytes. */
#define MAX_POINTER_BYTES (16 * YAML_MAX_BYTES)

struct reader {
	const char *name;
	yaml_parser_t parser;
	struct yaml_doc *doc;
	struct strbuf pointer; /* of the value being read */
	size_t places_cap;
	size_t pointer_bytes;
	struct err *e;
};

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

struct yaml_doc *yaml_doc_free(struct yaml_doc *d)
{
	if (!d)
		return NULL;
	json_decref(d->root);
	for (size_t i = 0; i < d->places; i++)
		free(d->place[i].pointer);
	free(d->place);
	free(d);
	return NULL;
}

static int refuse(struct reader *r, const yaml_mark_t *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct reader *r, const yaml_mark_t *at, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(
		r->e, ERR_INVALID, "%s:%zu:%zu: %s", r->name, at->line + 1, at->column + 1, why);
}

static int syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t at = p->error == YAML_READER_ERROR ? p->mark : p->problem_mark;

	if (p->error == YAML_MEMORY_ERROR)
		return err_set(r->e, ERR_NO_MEMORY, "%s: out of memory", r->name);
	if (p->context)
		return refuse(r, &at, "%s %s", p->problem, p->context);
	return refuse(r, &at, "%s", p->problem ? p->problem : "not YAML");
}

static int next_event(struct reader *r, yaml_event_t *ev)
{
	if (!yaml_parser_parse(&r->parser, ev)) {
		memset(ev, 0, sizeof *ev);
		return syntax_error(r);
	}
	return 0;
}

static int remember(struct reader *r, const yaml_mark_t *at, const yaml_mark_t *key)
{
	struct yaml_doc *d = r->doc;

	r->pointer_bytes += r->pointer.len + 1;
	if (r->pointer_bytes > MAX_POINTER_BYTES)
		return refuse(r, at, "too many values under long keys");
	if (d->places == r->places_cap) {
		size_t cap = MAX(r->places_cap * 2, 64);
		struct yaml_place *grown = reallocarray(d->place, cap, sizeof *grown);

		if (!grown)
			return err_set(r->e, ERR_NO_MEMORY, "%s: out of memory", r->name);
		d->place = grown;
		r->places_cap = cap;
	}
	d->place[d->places++] = (struct yaml_place){
		.pointer = xstrdup(r->pointer.s),
		.line = (unsigned)at->line + 1,
		.column = (unsigned)at->column + 1,
		.key_line = (unsigned)key->line + 1,
		.key_column = (unsigned)key->column + 1,
	};
	return 0;
}

/* RFC 6901, 3: ~ and / are escaped as ~0 and ~1. */
static void pointer_push(struct strbuf *b, const char *key)
{
	sb_add(b, "/");
	for (; *key; key++) {
		if (*key == '~')
			sb_add(b, "~0");
		else if (*key == '/')
			sb_add(b, "~1");
		else
			sb_add_n(b, key, 1);
	}
}

static void pointer_cut(struct strbuf *b, size_t len)
{
	b->len = len;
	if (b->s)
		b->s[len] = 0;
}

static bool one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(s, *words))
			return true;
	return false;
}

/* A prefix, then one or more characters of the set and nothing else. */
static bool prefixed(const char *s, const char *prefix, const char *set)
{
	size_t n = strlen(prefix);

	return !strncmp(s, prefix, n) && strlen(s) > n && strspn(s + n, set) == strlen(s) - n;
}

/* [-+]?[0-9]+ as the core schema has it (YAML 1.2.2, 10.3.2). */
static bool looks_decimal(const char *s)
{
	s += *s == '-' || *s == '+';
	return *s && s[strspn(s, "0123456789")] == 0;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool looks_real(const char *s)
{
	static const char ten[] = "0123456789";

	s += *s == '-' || *s == '+';

	size_t whole = strspn(s, ten);
	size_t part = 0;

	s += whole;
	if (*s == '.') {
		part = strspn(s + 1, ten);
		s += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!strspn(s, ten))
			return false;
		s += strspn(s, ten);
	}
	return *s == 0;
}

static int read_int(struct reader *r, const yaml_event_t *ev, const char *s, int base, json_t **ret)
{
	char *end;

	errno = 0;
	long long v = strtoll(s, &end, base);

	if (errno == ERANGE)
		return refuse(r, &ev->start_mark, "%s does not fit 64 bits", s);
	*ret = json_integer(v);
	return 0;
}

/* A plain scalar by the core schema. What only looks like a number to people is refused where
 * guessing would lose something: leading zeros (a serial number?), infinities, overflow. */
static int plain_value(struct reader *r, const yaml_event_t *ev, const char *s, json_t **ret)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	static const char *const endless[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};
	const char *digits = s + (*s == '-' || *s == '+');

	if (one_of(s, nulls))
		*ret = json_null();
	else if (one_of(s, trues))
		*ret = json_true();
	else if (one_of(s, falses))
		*ret = json_false();
	else if (one_of(digits, endless))
		return refuse(
			r, &ev->start_mark, "%s is not a value here; quote it if it is text", s);
	else if (looks_decimal(s) && digits[0] == '0' && digits[1])
		return refuse(r, &ev->start_mark,
			"%.64s would lose its leading zeros; quote it if it is text", s);
	else if (looks_decimal(s))
		return read_int(r, ev, s, 10, ret);
	else if (prefixed(s, "0x", "0123456789abcdefABCDEF"))
		return read_int(r, ev, s + 2, 16, ret);
	else if (prefixed(s, "0o", "01234567"))
		return read_int(r, ev, s + 2, 8, ret);
	else if (looks_real(s)) {
		double v;

		if (!parse_number(s, &v))
			return refuse(r, &ev->start_mark, "%.64s is out of range", s);
		*ret = json_real(v);
	} else {
		*ret = json_string(s);
	}
	return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *ev, json_t **ret)
{
	const char *s = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	json_t *v = NULL;

	if (strlen(s) != len)
		return refuse(r, &ev->start_mark, "a NUL character is not allowed");
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		int k = plain_value(r, ev, s, &v);

		if (k < 0)
			return k;
	} else {
		v = json_stringn(s, len);
	}
	if (!v)
		return refuse(r, &ev->start_mark, "not valid UTF-8, or out of memory");
	*ret = v;
	return 0;
}

static int check_node(struct reader *r, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;

	if (ev->type == YAML_ALIAS_EVENT)
		return refuse(r, &ev->start_mark,
			"aliases (*%.64s) are not allowed; write the value out",
			(const char *)ev->data.alias.anchor);
	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
	} else if (ev->type == YAML_MAPPING_START_EVENT) {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
	}
	if (anchor)
		return refuse(r, &ev->start_mark, "anchors (&%.64s) are not allowed",
			(const char *)anchor);
	if (tag)
		return refuse(r, &ev->start_mark,
			"tags (%.64s) are not allowed; quote text instead", (const char *)tag);
	return 0;
}

static int read_node(
	struct reader *r, yaml_event_t *ev, const yaml_mark_t *key, unsigned depth, json_t **ret);

/* The key of a member into the pointer; *ret_key stays valid until the event is deleted. */
static int read_key(struct reader *r, const yaml_event_t *ev, const json_t *map, const char **ret)
{
	int k = check_node(r, ev);

	if (k < 0)
		return k;
	if (ev->type != YAML_SCALAR_EVENT)
		return refuse(r, &ev->start_mark, "a key must be text, not a list or mapping");

	const char *s = (const char *)ev->data.scalar.value;

	if (strlen(s) != ev->data.scalar.length)
		return refuse(r, &ev->start_mark, "a NUL character is not allowed");
	if (ev->data.scalar.length > MAX_KEY_BYTES)
		return refuse(r, &ev->start_mark, "a key longer than %d bytes", MAX_KEY_BYTES);
	if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		json_t *v = NULL;

		if (!strcmp(s, "<<"))
			return refuse(r, &ev->start_mark, "merge keys (<<) are not allowed");
		k = plain_value(r, ev, s, &v);
		if (k < 0)
			return k;

		bool text = json_is_string(v);

		json_decref(v);
		if (!text)
			return refuse(r, &ev->start_mark, "the key '%s' is not text; quote it", s);
	}
	if (json_object_get(map, s))
		return refuse(r, &ev->start_mark, "the key '%s' is here twice", s);
	*ret = s;
	return 0;
}

static int read_member(struct reader *r, yaml_event_t *key, unsigned depth, json_t *map)
{
	const char *name = "";
	size_t mark = r->pointer.len;
	json_t *v = NULL;
	yaml_event_t ev;
	int k = read_key(r, key, map, &name);

	if (k < 0)
		return k;
	k = next_event(r, &ev);
	if (k < 0)
		return k;
	pointer_push(&r->pointer, name);
	k = read_node(r, &ev, &key->start_mark, depth, &v);
	yaml_event_delete(&ev);
	pointer_cut(&r->pointer, mark);
	if (k < 0)
		return k;
	if (json_object_set_new(map, name, v) < 0)
		return err_set(r->e, ERR_NO_MEMORY, "%s: out of memory", r->name);
	return 0;
}

static int read_item(struct reader *r, yaml_event_t *ev, unsigned depth, json_t *list)
{
	size_t mark = r->pointer.len;
	json_t *v = NULL;

	sb_addf(&r->pointer, "/%zu", json_array_size(list));

	int k = read_node(r, ev, &ev->start_mark, depth, &v);

	pointer_cut(&r->pointer, mark);
	if (k < 0)
		return k;
	if (json_array_append_new(list, v) < 0)
		return err_set(r->e, ERR_NO_MEMORY, "%s: out of memory", r->name);
	return 0;
}

static int read_children(struct reader *r, unsigned depth, json_t *into)
{
	for (;;) {
		yaml_event_t ev;
		int k = next_event(r, &ev);

		if (k < 0)
			return k;

		bool end = ev.type == YAML_SEQUENCE_END_EVENT || ev.type == YAML_MAPPING_END_EVENT;

		if (!end)
			k = json_is_array(into) ? read_item(r, &ev, depth, into)
						: read_member(r, &ev, depth, into);
		yaml_event_delete(&ev);
		if (end || k < 0)
			return k;
	}
}

static int read_node(
	struct reader *r, yaml_event_t *ev, const yaml_mark_t *key, unsigned depth, json_t **ret)
{
	int k = check_node(r, ev);

	if (k < 0)
		return k;
	if (depth > YAML_MAX_DEPTH)
		return refuse(r, &ev->start_mark, "more than %d levels", YAML_MAX_DEPTH);
	k = remember(r, &ev->start_mark, key);
	if (k < 0)
		return k;
	if (ev->type == YAML_SCALAR_EVENT)
		return read_scalar(r, ev, ret);

	json_t *v = ev->type == YAML_SEQUENCE_START_EVENT ? json_array() : json_object();

	k = read_children(r, depth + 1, v);
	if (k < 0) {
		json_decref(v);
		return k;
	}
	*ret = v;
	return 0;
}

/* Takes one event of the frame around the document, which must be of the type wanted. */
static int expect(struct reader *r, yaml_event_type_t want, const char *otherwise)
{
	yaml_event_t ev;
	int k = next_event(r, &ev);

	if (k < 0)
		return k;
	if (ev.type != want)
		k = refuse(r, &ev.start_mark, "%s", otherwise);
	yaml_event_delete(&ev);
	return k;
}

static int read_document(struct reader *r)
{
	yaml_event_t ev;
	int k = expect(r, YAML_STREAM_START_EVENT, "not YAML");

	if (k < 0)
		return k;
	k = expect(r, YAML_DOCUMENT_START_EVENT, "the file is empty");
	if (k < 0)
		return k;
	k = next_event(r, &ev);
	if (k < 0)
		return k;
	k = read_node(r, &ev, &ev.start_mark, 1, &r->doc->root);
	yaml_event_delete(&ev);
	if (k < 0)
		return k;
	k = expect(r, YAML_DOCUMENT_END_EVENT, "not YAML");
	if (k < 0)
		return k;
	return expect(r, YAML_STREAM_END_EVENT, "only one document is allowed in a file");
}

static int by_pointer(const void *a, const void *b)
{
	const struct yaml_place *x = a;
	const struct yaml_place *y = b;

	return strcmp(x->pointer, y->pointer);
}

int yaml_parse(const char *name, const char *text, size_t len, struct yaml_doc **ret, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = xcalloc(1, sizeof *doc);
	struct reader r = {.name = name, .doc = doc, .e = e};

	if (len > YAML_MAX_BYTES)
		return err_set(e, ERR_INVALID, "%s: larger than %d bytes", name, YAML_MAX_BYTES);
	if (!yaml_parser_initialize(&r.parser))
		return err_set(e, ERR_NO_MEMORY, "%s: out of memory", name);
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);

	int k = read_document(&r);

	yaml_parser_delete(&r.parser);
	sb_done(&r.pointer);
	if (k < 0)
		return k;
	qsort(doc->place, doc->places, sizeof *doc->place, by_pointer);
	*ret = steal_ptr(&doc);
	return 0;
}

int yaml_load(const char *path, struct yaml_doc **ret, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_(freep) char *text = malloc(YAML_MAX_BYTES + 1);

	if (!f)
		return err_errno(
			e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "open %s", path);
	if (!text)
		return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);

	size_t len = fread(text, 1, YAML_MAX_BYTES + 1, f);

	if (ferror(f))
		return err_errno(e, ERR_IO, errno, "read %s", path);
	return yaml_parse(path, text, len, ret, e);
}

const struct yaml_place *yaml_where(const struct yaml_doc *d, const char *pointer)
{
	_cleanup_(freep) char *p = xstrdup(pointer);

	for (;;) {
		struct yaml_place key = {.pointer = p};
		const struct yaml_place *hit =
			bsearch(&key, d->place, d->places, sizeof *d->place, by_pointer);
		char *slash = strrchr(p, '/');

		if (hit)
			return hit;
		if (!slash)
			return &d->place[0]; /* the root sorts first */
		*slash = 0;
	}
}
