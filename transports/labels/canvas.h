/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture of black and white dots: what a label is before it is written as a file or for a
 * printer. Of one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

struct canvas {
	unsigned width, height; /* dots */
	size_t row_bytes;
	uint8_t *bits; /* rows from the top, the leftmost dot in bit 7; 1 is black */
};

/* Where something lies, in dots from the top left. */
struct place {
	unsigned x, y, width, height;
};

/* White. -ERR_NO_MEMORY. */
int canvas_new(unsigned width, unsigned height, struct canvas **ret, struct err *e);
struct canvas *canvas_free(struct canvas *c); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct canvas, canvas_free)

/* Whether all of it is on the picture. */
bool canvas_holds(const struct canvas *c, struct place p);
/* Below: of what is not on the picture nothing is drawn, and it is white. */
void canvas_fill(struct canvas *c, struct place p);
bool canvas_black(const struct canvas *c, unsigned x, unsigned y);
bool canvas_white(const struct canvas *c, struct place p);

/* Text in the one built-in font: printable ASCII (RFC 20), 5 x 7 dots in a cell of 6 x 8, each dot
 * drawn as scale x scale. */
#define FONT_CELL_WIDTH	 6
#define FONT_CELL_HEIGHT 8
#define FONT_CAPITAL	 7
void canvas_text(struct canvas *c, unsigned x, unsigned y, unsigned scale, const char *text);
/* Without the gap after the last character. */
unsigned canvas_text_width(unsigned scale, const char *text);
