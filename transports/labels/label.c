/* SPDX-License-Identifier: Apache-2.0
 *
 * A template and its values become a picture. Barcodes come last: each needs white around it, so that
 * what is there by then is in its way.
 */
#include "transports/labels/label_impl.h"

#include "base/util.h"
#include "transports/labels/gs1.h"

/* --- values --- */

static const struct label_value *find(
	const struct label_value *v, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(v[i].name) == len && !strncmp(v[i].name, name, len))
			return &v[i];
	return NULL;
}

static int no_value(
	const struct label_value *v, size_t n, const struct label_place *p, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(n + 1, sizeof *names);
	_cleanup_(freep) char *name = strndup(p->name, p->name_len);
	const char *near;

	for (size_t i = 0; i < n; i++)
		names[i] = v[i].name;
	near = nearest_name(name, names);
	return err_set(e, ERR_INVALID, "there is no value for ${%s}%s%s%s", name,
		near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The names that a template has places for, each once, NULL-terminated; the list and the texts are the
 * caller's. */
static char **place_names(const struct label *l)
{
	char **names = xcalloc(1, sizeof *names);
	struct label_place p;
	size_t n = 0;

	for (size_t i = 0; i < l->elements; i++)
		for (const char *s = l->element[i].data; s && label_place_next(s, &p); s = p.end) {
			char **grown = realloc(names, (n + 2) * sizeof *names);

			if (!grown)
				abort();
			names = grown;
			names[n++] = strndup(p.name, p.name_len);
			names[n] = NULL;
		}
	return names;
}

static void free_names(char ***names)
{
	for (size_t i = 0; (*names)[i]; i++)
		free((*names)[i]);
	free(*names);
}

/* A value that the template has no place for: it would count as printed, and is not. */
static int check_used(const struct label *l, const struct label_value *v, size_t n, struct err *e)
{
	_cleanup_(free_names) char **names = place_names(l);

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		const char *near;

		while (names[k] && strcmp(names[k], v[i].name) != 0)
			k++;
		if (names[k])
			continue;
		near = nearest_name(v[i].name, (const char *const *)names);
		return err_set(e, ERR_INVALID,
			"label '%s' has no place for the value '%.64s'%s%s%s", l->name, v[i].name,
			near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	return 0;
}

static int prefix(const struct label *l, const struct label_element *el, struct err *e)
{
	return err_prefix(e, "label '%s', %s", l->name, el->pointer);
}

int label_check_names(const struct label *l, const struct label_value *v, size_t n, struct err *e)
{
	struct label_place p;

	for (size_t i = 0; i < l->elements; i++)
		for (const char *s = l->element[i].data; s && label_place_next(s, &p); s = p.end)
			if (!find(v, n, p.name, p.name_len)) {
				no_value(v, n, &p, e);
				return prefix(l, &l->element[i], e);
			}
	return check_used(l, v, n, e);
}

static int check_value(const struct label_value *v, struct err *e)
{
	if (!*v->text)
		return err_set(e, ERR_INVALID, "the value '%s' is empty", v->name);
	for (size_t i = 0; v->text[i]; i++)
		if (v->text[i] < ' ' || v->text[i] > '~')
			return err_set(e, ERR_INVALID,
				"the value '%s' has a character that is not printable ASCII at position %zu: labels take no other",
				v->name, i + 1);
	return 0;
}

/* Text as it is in the template, n bytes, with `${` for `$${`. */
static void add_literal(struct strbuf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(s[i] == '$' && i + 2 < n && s[i + 1] == '$' && s[i + 2] == '{'))
			sb_add_n(b, s + i, 1);
}

/* text, of n bytes, with its places filled. What is filled in is not looked at again. */
static char *filled(const char *text, size_t n, const struct label_value *v, size_t count)
{
	_cleanup_(freep) char *copy = strndup(text, n);
	struct strbuf b = {0};
	const struct label_value *value;
	struct label_place p;
	const char *s = copy;

	for (; label_place_next(s, &p); s = p.end) {
		add_literal(&b, s, (size_t)(p.begin - s));
		/* label_check_names() has found them all. */
		value = find(v, count, p.name, p.name_len);
		sb_add(&b, value ? value->text : "");
	}
	add_literal(&b, s, strlen(s));
	return sb_take(&b);
}

/* --- GS1 --- */

static int add_gs1(struct strbuf *symbol, struct strbuf *shown, const struct label_element *el,
	const char *ai, const char *value, struct err *e)
{
	_cleanup_(freep) char *whole = NULL;
	size_t plain = strcspn(value, "()[]");
	int r;

	/* Legal in some values, and taken for the beginning of an AI by people and programs. */
	if (value[plain])
		return err_set(e, ERR_INVALID,
			"(%s) has '%.40s': a value of GS1 data has no brackets or parentheses here",
			ai, value);
	r = gs1_value(ai, value, el->check == LABEL_COMPUTE, &whole, e);
	if (r < 0)
		return r;
	sb_addf(symbol, "[%s]%s", ai, whole);
	sb_addf(shown, "(%s)%s", ai, whole);
	return 0;
}

/* symbol: as symbol_encode() takes it; shown: as people read it. */
static int gs1_data(const struct label_element *el, const struct label_value *v, size_t n,
	struct strbuf *symbol, struct strbuf *shown, struct err *e)
{
	const char *s = el->data;
	char ai[GS1_AI_BYTES];
	size_t len;
	bool bad;
	int r = 0;

	for (; r == 0 && gs1_next(&s, ai, &len, &bad, e); s += len) {
		_cleanup_(freep) char *value = filled(s, len, v, n);

		r = add_gs1(symbol, shown, el, ai, value, e);
	}
	return r;
}

/* --- drawing --- */

struct drawing {
	const struct label *l;
	const struct label_value *v;
	size_t values;
	struct canvas *c;
	struct canvas *kept; /* black where a barcode needs its white */
	struct label_print *print;
};

static int outside(const struct drawing *d, struct place p, const char *what, struct err *e)
{
	double mm = 25.4 / label_dpi(d->l);

	return err_set(e, ERR_INVALID,
		"%s reaches %.4g mm x %.4g mm, the label is %.4g mm x %.4g mm: make it smaller or move it",
		what, (p.x + p.width) * mm, (p.y + p.height) * mm, d->c->width * mm,
		d->c->height * mm);
}

static struct place place_of(const struct label *l, const struct label_element *el)
{
	return (struct place){.x = label_dots(l, el->x_um), .y = label_dots(l, el->y_um)};
}

static int draw_text(struct drawing *d, const struct label_element *el, const char *text,
	struct place at, struct err *e)
{
	unsigned scale = label_dots(d->l, el->size_um) / FONT_CAPITAL;

	at.width = canvas_text_width(scale, text);
	at.height = FONT_CAPITAL * scale;
	if (!canvas_holds(d->c, at))
		return outside(d, at, "its text", e);
	if (!canvas_white(d->kept, at))
		return err_set(e, ERR_INVALID,
			"its text lies in the white that a barcode needs around it: move one of them");
	canvas_text(d->c, at.x, at.y, scale, text);
	return 0;
}

static void draw_box(struct drawing *d, const struct label_element *el)
{
	struct place p = place_of(d->l, el);
	unsigned t = MAX(label_dots(d->l, el->thickness_um), 1u);

	p.width = label_dots(d->l, el->width_um);
	p.height = label_dots(d->l, el->height_um);
	t = MIN(t, MIN(p.width, p.height));
	canvas_fill(d->c, (struct place){p.x, p.y, p.width, t});
	canvas_fill(d->c, (struct place){p.x, p.y + p.height - t, p.width, t});
	canvas_fill(d->c, (struct place){p.x, p.y, t, p.height});
	canvas_fill(d->c, (struct place){p.x + p.width - t, p.y, t, p.height});
}

static void draw_line(struct drawing *d, const struct label_element *el)
{
	struct place p = place_of(d->l, el);
	unsigned t = MAX(label_dots(d->l, el->thickness_um), 1u);
	unsigned n = label_dots(d->l, el->length_um);

	p.width = el->direction == LABEL_ACROSS ? n : t;
	p.height = el->direction == LABEL_ACROSS ? t : n;
	canvas_fill(d->c, p);
}

static void draw_modules(struct canvas *c, const struct canvas *symbol, struct place p)
{
	unsigned dx = p.width / symbol->width, dy = p.height / symbol->height;

	for (unsigned y = 0; y < symbol->height; y++)
		for (unsigned x = 0; x < symbol->width; x++)
			if (canvas_black(symbol, x, y))
				canvas_fill(c, (struct place){p.x + x * dx, p.y + y * dy, dx, dy});
}

/* The symbol at its place, with white around it. */
static int place_symbol(struct drawing *d, const struct label_element *el,
	const struct canvas *symbol, struct place *p, struct err *e)
{
	unsigned dot = label_dots(d->l, el->module_um);
	unsigned sides = symbol_quiet_sides(el->symbol) * dot;
	unsigned ends = symbol_quiet_ends(el->symbol) * dot;
	struct place all;

	p->width = symbol->width * dot;
	p->height = symbol_is_linear(el->symbol) ? label_dots(d->l, el->height_um)
						 : symbol->height * dot;
	if (p->x < sides || p->y < ends)
		return err_set(e, ERR_INVALID,
			"it needs %.3g mm of white at its left and %.3g mm above it: move it",
			sides * 25.4 / label_dpi(d->l), ends * 25.4 / label_dpi(d->l));
	all = (struct place){p->x - sides, p->y - ends, p->width + 2 * sides, p->height + 2 * ends};
	if (!canvas_holds(d->c, all))
		return outside(d, all, "with the white that it needs it", e);
	if (!canvas_white(d->c, all) || !canvas_white(d->kept, all))
		return err_set(e, ERR_INVALID,
			"another element lies on it or in the white that it needs around it: move one of them");
	canvas_fill(d->kept, all);
	draw_modules(d->c, symbol, *p);
	p->y += ends;
	return 0;
}

static int draw_barcode(struct drawing *d, const struct label_element *el, struct err *e)
{
	_cleanup_(canvas_freep) struct canvas *symbol = NULL;
	_cleanup_(sb_done) struct strbuf data = {0}, shown = {0};
	struct place p = place_of(d->l, el);
	int r = 0;

	if (symbol_is_gs1(el->symbol)) {
		r = gs1_data(el, d->v, d->values, &data, &shown, e);
	} else {
		_cleanup_(freep) char *text = filled(el->data, strlen(el->data), d->v, d->values);

		sb_add(&data, text);
		sb_add(&shown, text);
	}
	if (r == 0)
		r = symbol_encode(el->symbol, data.s, &symbol, e);
	if (r == 0)
		r = place_symbol(d, el, symbol, &p, e);
	if (r == 0 && el->readable) {
		p.y += p.height + label_dots(d->l, el->size_um) / FONT_CAPITAL;
		r = draw_text(d, el, shown.s, p, e);
	}
	if (r == 0 && !d->print->barcode)
		d->print->barcode = xstrdup(shown.s);
	return r;
}

static int draw_element(struct drawing *d, const struct label_element *el, struct err *e)
{
	switch (el->kind) {
	case LABEL_TEXT: {
		_cleanup_(freep) char *text = filled(el->data, strlen(el->data), d->v, d->values);

		return draw_text(d, el, text, place_of(d->l, el), e);
	}
	case LABEL_BARCODE:
		return draw_barcode(d, el, e);
	case LABEL_LINE:
		draw_line(d, el);
		return 0;
	case LABEL_BOX:
		draw_box(d, el);
		return 0;
	}
	return 0;
}

/* With its places: it is mostly a value that does not fit. */
static int cannot_draw(const struct label *l, const struct label_element *el, struct err *e)
{
	_cleanup_(sb_done) struct strbuf places = {0};
	struct label_place p;

	for (const char *s = el->data; s && label_place_next(s, &p); s = p.end)
		sb_addf(&places, "%s${%.*s}", places.len ? ", " : " (", (int)p.name_len, p.name);
	return err_prefix(e, "label '%s', %s%s%s", l->name, el->pointer, places.s ? places.s : "",
		places.s ? ")" : "");
}

static int draw_elements(struct drawing *d, struct err *e)
{
	const struct label *l = d->l;

	for (int barcodes = 0; barcodes < 2; barcodes++)
		for (size_t i = 0; i < l->elements; i++) {
			const struct label_element *el = &l->element[i];

			if ((el->kind == LABEL_BARCODE) == barcodes && draw_element(d, el, e) < 0)
				return cannot_draw(l, el, e);
		}
	return 0;
}

int label_draw(const struct label *l, const struct label_value *v, size_t n,
	struct label_print *ret, struct err *e)
{
	_cleanup_(canvas_freep) struct canvas *kept = NULL;
	_cleanup_(label_print_done) struct label_print print = {
		.dpi = label_dpi(l), .width_um = l->width_um, .height_um = l->height_um};
	unsigned width = label_dots(l, l->width_um), height = label_dots(l, l->height_um);
	struct drawing d = {.l = l, .v = v, .values = n, .print = &print};
	int r = label_check_names(l, v, n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_value(&v[i], e);
	if (r == 0)
		r = canvas_new(width, height, &print.canvas, e);
	if (r == 0)
		r = canvas_new(width, height, &kept, e);
	d.c = print.canvas;
	d.kept = kept;
	if (r == 0)
		r = draw_elements(&d, e);
	if (r < 0)
		return r;
	if (!print.barcode)
		print.barcode = xstrdup("");
	*ret = print;
	print = (struct label_print){0};
	return 0;
}

void label_print_done(struct label_print *p)
{
	p->canvas = canvas_free(p->canvas);
	free(p->barcode);
	p->barcode = NULL;
}
