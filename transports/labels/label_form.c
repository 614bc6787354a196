/* SPDX-License-Identifier: Apache-2.0
 *
 * The template of a label, as it is written.
 */
#include "transports/labels/label_impl.h"

#include <jansson.h>

#include "base/util.h"
#include "base/yaml.h"
#include "transports/labels/gs1.h"

#define MM 1000

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

static const char *const dpis[] = {"152", "203", "300", "600", NULL};
static const char *const directions[] = {[LABEL_ACROSS] = "across", [LABEL_DOWN] = "down", NULL};
static const char *const checks[] = {[LABEL_CHECK] = "check", [LABEL_COMPUTE] = "compute", NULL};
static const char *const kinds[] = {[LABEL_TEXT] = "text",
	[LABEL_BARCODE] = "barcode",
	[LABEL_LINE] = "line",
	[LABEL_BOX] = "box",
	NULL};

#define ROWS_PLACE                                                                                 \
	{"x", FORM_LENGTH, .required = true, .high = 500 * MM, .doc = "From the left edge.",       \
		FORM_AT(struct label_element, x_um)},                                              \
	{                                                                                          \
		"y", FORM_LENGTH, .required = true, .high = 500 * MM, .doc = "From the top edge.", \
				  FORM_AT(struct label_element, y_um)                              \
	}
#define ROW_THICKNESS                                                                 \
	{                                                                             \
		"thickness", FORM_LENGTH, .low = 50, .high = 20 * MM, .def = "0.3mm", \
					  .doc = "Of the stroke.",                    \
					  FORM_AT(struct label_element, thickness_um) \
	}
#define ROW_DATA                                                                                 \
	{                                                                                        \
		"data", FORM_TEXT,                                                               \
			.required = true, .low = 1, .high = LABEL_DATA_BYTES - 1,                \
			.doc = "Printable ASCII, with ${NAME} where a value goes; $${ is a ${.", \
			FORM_AT(struct label_element, data)                                      \
	}

const struct form_row label_text_rows[] = {
	ROWS_PLACE,
	{"size", FORM_LENGTH, .low = 500, .high = 100 * MM, .def = "2mm",
		.doc = "Height of a capital letter; rounded down to a multiple of 7 dots.",
		FORM_AT(struct label_element, size_um)},
	ROW_DATA,
	{0},
};

const struct form_row label_barcode_rows[] = {
	{"kind", FORM_CHOICE, .required = true, .choices = symbol_kinds, .doc = "The symbology.",
		FORM_AT(struct label_element, symbol)},
	ROWS_PLACE,
	{"module", FORM_LENGTH, .low = 50, .high = 10 * MM, .def = "0.5mm",
		.doc = "Width of the narrowest bar or of one square; rounded to whole dots.",
		FORM_AT(struct label_element, module_um)},
	{"height", FORM_LENGTH, .low = MM, .high = 200 * MM, .def = "10mm",
		.doc = "Of the bars of code128 and gs1-128.",
		FORM_AT(struct label_element, height_um)},
	ROW_DATA,
	{"check_digit", FORM_CHOICE, .choices = checks, .def = "check",
		.doc = "Of a GTIN (01, 02) and an SSCC (00) in GS1 data: check that the data bring the right one, or compute it and put it at their end.",
		FORM_AT(struct label_element, check)},
	{"readable", FORM_BOOL, .def = "false", .doc = "With its data as text below it.",
		FORM_AT(struct label_element, readable)},
	{"size", FORM_LENGTH, .low = 500, .high = 100 * MM, .def = "2mm",
		.doc = "Height of a capital letter of that text.",
		FORM_AT(struct label_element, size_um)},
	{0},
};

const struct form_row label_line_rows[] = {
	ROWS_PLACE,
	{"length", FORM_LENGTH, .required = true, .low = 100, .high = 500 * MM,
		.doc = "How long it is.", FORM_AT(struct label_element, length_um)},
	{"direction", FORM_CHOICE, .choices = directions, .def = "across",
		.doc = "From the left to the right, or from the top down.",
		FORM_AT(struct label_element, direction)},
	ROW_THICKNESS,
	{0},
};

const struct form_row label_box_rows[] = {
	ROWS_PLACE,
	{"width", FORM_LENGTH, .required = true, .low = 100, .high = 500 * MM, .doc = "Over all.",
		FORM_AT(struct label_element, width_um)},
	{"height", FORM_LENGTH, .required = true, .low = 100, .high = 500 * MM, .doc = "Over all.",
		FORM_AT(struct label_element, height_um)},
	ROW_THICKNESS,
	{0},
};

static const struct form_row *const kind_rows[] = {[LABEL_TEXT] = label_text_rows,
	[LABEL_BARCODE] = label_barcode_rows,
	[LABEL_LINE] = label_line_rows,
	[LABEL_BOX] = label_box_rows};

static void read_element(struct label *l, const json_t *o, const char *pointer, struct mistakes *m)
{
	struct label_element *el = &l->element[l->elements++];
	const char *word = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)o));
	const json_t *body = json_object_get(o, word);
	size_t k = 0;

	if (json_object_size(o) != 1) {
		mistakes_add(m, pointer,
			"an element is a mapping of one word such as {text: {x: 2mm, y: 2mm, data: ...}}");
		el->pointer = xstrdup(pointer);
		return;
	}
	el->pointer = pointer_key(pointer, word);
	while (kinds[k] && strcmp(kinds[k], word) != 0)
		k++;
	if (!kinds[k]) {
		mistakes_add_unknown(m, el->pointer, "element", word, kinds);
		return;
	}
	el->kind = (enum label_kind)k;
	if (json_is_object(body))
		form_read(kind_rows[k], body, el->pointer, "key", el, m);
	else
		mistakes_add(m, el->pointer, "'%s' must be a mapping", word);
}

static void read_elements(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct label *l = to;
	size_t n = json_array_size(v);

	if (n < 1 || n > LABEL_ELEMENTS_MAX)
		mistakes_add(m, pointer, "'elements' must be a list of 1 to %d elements",
			LABEL_ELEMENTS_MAX);
	n = MIN(n, (size_t)LABEL_ELEMENTS_MAX);
	l->element = xcalloc(n + 1, sizeof *l->element);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		read_element(l, json_array_get(v, i), p, m);
	}
}

const struct form_row label_rows[] = {
	{"label", FORM_TEXT, .required = true, .low = 1, .high = 64, .doc = "Its name.",
		FORM_AT(struct label, name)},
	{"width", FORM_LENGTH, .required = true, .low = 5 * MM, .high = 250 * MM,
		.doc = "Of the label.", FORM_AT(struct label, width_um)},
	{"height", FORM_LENGTH, .required = true, .low = 5 * MM, .high = 500 * MM,
		.doc = "Of the label.", FORM_AT(struct label, height_um)},
	{"dpi", FORM_CHOICE, .choices = dpis, .def = "203",
		.doc = "Dots per inch of the printer, in quotes: a label is made for one resolution.",
		FORM_AT(struct label, dpi)},
	{"elements", FORM_OWN, .required = true, .read = read_elements,
		.doc = "A list of text, barcode, line and box: see below."},
	{0},
};

unsigned label_dpi(const struct label *l)
{
	static const unsigned values[] = {152, 203, 300, 600};

	return values[l->dpi];
}

unsigned label_dots(const struct label *l, uint32_t um)
{
	return (unsigned)(((uint64_t)um * label_dpi(l) + 12700) / 25400);
}

/* --- what can be seen without the values --- */

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

bool label_place_next(const char *text, struct label_place *ret)
{
	for (const char *p = text; (p = strstr(p, "${")); p += 2) {
		const char *end = p + 2;

		if (p > text && p[-1] == '$')
			continue;
		while (is_name_char(*end))
			end++;
		*ret = (struct label_place){
			p, p + 2, *end == '}' ? end + 1 : NULL, (size_t)(end - p - 2)};
		return true;
	}
	return false;
}

static void check_places(const struct label_element *el, const char *p, struct mistakes *m)
{
	struct label_place place;

	for (const char *s = el->data; label_place_next(s, &place); s = place.end) {
		if (place.end && place.name_len > 0)
			continue;
		mistakes_add(m, p,
			"'%.40s' is no place for a value: ${NAME} expected, of letters, digits, - and _",
			place.begin);
		return;
	}
}

/* The AIs stand in the template: a value cannot bring one. */
static void check_gs1(const struct label_element *el, const char *p, struct mistakes *m)
{
	const char *s = el->data;
	char ai[GS1_AI_BYTES];
	struct err e;
	bool bad;
	size_t n;

	if (!symbol_is_gs1(el->symbol))
		return;
	while (gs1_next(&s, ai, &n, &bad, &e)) {
		if (n == 0)
			mistakes_add(m, p, "(%s) has no value", ai);
		s += n;
	}
	if (bad)
		mistakes_add(m, p, "%s", e.msg);
}

static void check_data(const struct label_element *el, struct mistakes *m)
{
	_cleanup_(freep) char *p = pointer_key(el->pointer, "data");

	for (const char *s = el->data; *s; s++)
		if (*s < ' ' || *s > '~') {
			mistakes_add(m, p,
				"'data' has a character that is not printable ASCII at position %zu",
				(size_t)(s - el->data) + 1);
			return;
		}
	check_places(el, p, m);
	if (el->kind == LABEL_BARCODE)
		check_gs1(el, p, m);
}

/* What it needs at least, in micrometres. */
static void least_of(const struct label_element *el, uint32_t *ret_width, uint32_t *ret_height)
{
	bool across = el->direction == LABEL_ACROSS;

	*ret_width = *ret_height = 1;
	if (el->kind == LABEL_LINE) {
		*ret_width = across ? el->length_um : el->thickness_um;
		*ret_height = across ? el->thickness_um : el->length_um;
	} else if (el->kind == LABEL_BOX) {
		*ret_width = el->width_um;
		*ret_height = el->height_um;
	} else if (el->kind == LABEL_TEXT) {
		*ret_height = el->size_um;
	}
}

static void check_place(const struct label *l, const struct label_element *el, struct mistakes *m)
{
	uint32_t width, height;

	least_of(el, &width, &height);
	if ((uint64_t)el->x_um + width > l->width_um || (uint64_t)el->y_um + height > l->height_um)
		mistakes_add(m, el->pointer,
			"it reaches %.10g mm x %.10g mm, the label is %.10g mm x %.10g mm: move it or make it smaller",
			(double)((uint64_t)el->x_um + width) / MM,
			(double)((uint64_t)el->y_um + height) / MM, (double)l->width_um / MM,
			(double)l->height_um / MM);
}

static void check_dots(const struct label *l, const struct label_element *el, struct mistakes *m)
{
	bool text = el->kind == LABEL_TEXT || (el->kind == LABEL_BARCODE && el->readable);

	if (el->kind == LABEL_BARCODE && label_dots(l, el->module_um) < 1)
		mistakes_add(m, el->pointer,
			"'module' is %.10gmm, less than one dot of %u dpi (%.3g mm)",
			(double)el->module_um / MM, label_dpi(l), 25.4 / label_dpi(l));
	if (text && label_dots(l, el->size_um) < FONT_CAPITAL)
		mistakes_add(m, el->pointer,
			"'size' is %.10gmm, %u dots of %u dpi: 7 dots (%.3g mm) or more expected",
			(double)el->size_um / MM, label_dots(l, el->size_um), label_dpi(l),
			FONT_CAPITAL * 25.4 / label_dpi(l));
}

static void check_elements(const struct label *l, struct mistakes *m)
{
	for (size_t i = 0; i < l->elements; i++) {
		const struct label_element *el = &l->element[i];

		if (el->data)
			check_data(el, m);
		check_place(l, el, m);
		check_dots(l, el, m);
	}
}

static int say(const char *name, const struct mistakes *m, const struct yaml_doc *doc,
	struct strbuf *report, struct err *e)
{
	struct strbuf all = {0};
	size_t first;

	mistakes_print(m, name, doc, &all);
	if (report && all.s)
		sb_add(report, all.s);
	first = strcspn(all.s, "\n");
	err_set(e, ERR_INVALID, "%.*s%s", (int)first, all.s,
		m->count > 1 ? " (and further mistakes: see the log)" : "");
	sb_done(&all);
	return -ERR_INVALID;
}

int label_read(const char *name, const char *text, size_t n, struct strbuf *report,
	struct label **ret, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	_cleanup_(label_freep) struct label *l = NULL;
	struct mistakes m = {0};
	int r = n <= LABEL_TEMPLATE_BYTES
			? yaml_parse(name, text, n, &doc, e)
			: err_set(e, ERR_INVALID, "%s: a label template has at most %u bytes", name,
				  LABEL_TEMPLATE_BYTES);

	if (r < 0)
		return r;
	l = xcalloc(1, sizeof *l);
	l->document = xstrdup(name);
	if (json_is_object(doc->root))
		form_read(label_rows, doc->root, "", "key", l, &m);
	else
		mistakes_add(&m, "", "a label template is a mapping with 'label' and 'elements'");
	if (m.count == 0)
		check_elements(l, &m);
	if (m.count > 0)
		r = say(name, &m, doc, report, e);
	mistakes_done(&m);
	if (r == 0)
		*ret = steal_ptr(&l);
	return r;
}

struct label *label_free(struct label *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->elements; i++) {
		free(l->element[i].pointer);
		free(l->element[i].data);
	}
	free(l->element);
	free(l->document);
	form_done(label_rows, l);
	free(l);
	return NULL;
}
