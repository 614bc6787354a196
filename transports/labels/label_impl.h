/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a label, for label*.c alone.
 */
#pragma once

#include "transports/labels/label.h"
#include "transports/labels/symbol.h"

enum label_kind { LABEL_TEXT, LABEL_BARCODE, LABEL_LINE, LABEL_BOX };
enum label_direction { LABEL_ACROSS, LABEL_DOWN };
enum label_check { LABEL_CHECK, LABEL_COMPUTE };

/* Lengths are micrometres. What a kind does not have is 0. */
struct label_element {
	enum label_kind kind;
	char *pointer; /* into the document */
	uint32_t x_um, y_um;
	uint32_t width_um, height_um, thickness_um; /* box; height of a linear symbol's bars */
	uint32_t length_um;			    /* line */
	enum label_direction direction;
	uint32_t size_um; /* of a capital letter */
	char *data;
	enum symbol_kind symbol;
	uint32_t module_um;
	bool readable; /* with its data as text below it */
	enum label_check check;
};

struct label {
	char *document; /* for messages */
	char *name;
	uint32_t width_um, height_um;
	int dpi; /* index of label_dpis */
	struct label_element *element;
	size_t elements;
};

unsigned label_dpi(const struct label *l);
/* To the nearest dot. */
unsigned label_dots(const struct label *l, uint32_t um);
/* The next place ${name} of a text: where it begins, its name and where it ends. false: there is none.
 * `$${` is no place but the text `${`. */
struct label_place {
	const char *begin, *name, *end;
	size_t name_len;
};
bool label_place_next(const char *text, struct label_place *ret);
