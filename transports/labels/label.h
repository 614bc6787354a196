/* SPDX-License-Identifier: Apache-2.0
 *
 * A label: a template (a YAML document of rows, base/form.h), the values that it has places for, and
 * the picture that they make together. The picture is all that is written or printed, so that a file,
 * the screen and every printer have the same label (docs/decisions/0010).
 *
 * Immutable once read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/form.h"
#include "base/strbuf.h"
#include "transports/labels/canvas.h"

#define LABEL_DATA_BYTES     1024
#define LABEL_ELEMENTS_MAX   64
#define LABEL_TEMPLATE_BYTES (64u * 1024)

/* The rows of a template and of its elements, for the manual. */
extern const struct form_row label_rows[], label_text_rows[], label_barcode_rows[],
	label_line_rows[], label_box_rows[];

struct label;

/* name is for messages. Every mistake goes to `report`, one a line, as NAME:LINE:COLUMN: text; the
 * error has the first of them. -ERR_INVALID. */
int label_read(const char *name, const char *text, size_t n, struct strbuf *report,
	struct label **ret, struct err *e);
struct label *label_free(struct label *l);
DEFINE_CLEANUP(struct label, label_free)

/* What goes into the place ${name}. */
struct label_value {
	const char *name;
	const char *text;
};

/* Whether the template has a place for each of these names, and each of its places has one: the texts
 * are not looked at. -ERR_INVALID with the nearest name. */
int label_check_names(const struct label *l, const struct label_value *v, size_t n, struct err *e);

struct label_print {
	struct canvas *canvas; /* owned */
	unsigned dpi;
	uint32_t width_um, height_um; /* of the label, which the picture is of to the nearest dot */
	char *barcode; /* the data of the first barcode, a GS1 one with its AIs in parentheses;
			  "" there is none; owned */
};
void label_print_done(struct label_print *p);

/* -ERR_INVALID: a name without a place or the other way round, a text that is not printable ASCII, a
 * symbol that cannot hold its data, a wrong check digit, an element that leaves the label or lies in
 * the white that a barcode needs. */
int label_draw(const struct label *l, const struct label_value *v, size_t n,
	struct label_print *ret, struct err *e);

/* A ZPL II format that prints the picture, as one graphic: no data are in it as text, so that none can
 * be a command. copies from 1. Appends to out. */
void label_zpl(const struct label_print *p, unsigned copies, struct strbuf *out);
/* A PNG (ISO/IEC 15948) of one bit a dot, with its dots per metre. Appends to out. -ERR_NO_MEMORY. */
int label_png(const struct label_print *p, struct strbuf *out, struct err *e);
/* A PDF (ISO 32000-1) of so many equal pages, from 1: each has the size of the label to a ten-thousandth of a point,
 * and the picture's dots in their size. The same label gives the same bytes. Appends to out.
 * -ERR_NO_MEMORY. */
int label_pdf(const struct label_print *p, unsigned copies, struct strbuf *out, struct err *e);
