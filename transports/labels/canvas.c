/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/labels/canvas.h"

int canvas_new(unsigned width, unsigned height, struct canvas **ret, struct err *e)
{
	struct canvas *c = xcalloc(1, sizeof *c);

	c->width = width;
	c->height = height;
	c->row_bytes = ((size_t)width + 7) / 8;
	c->bits = calloc(height ? height : 1, c->row_bytes ? c->row_bytes : 1);
	if (!c->bits) {
		canvas_free(c);
		return err_set(e, ERR_NO_MEMORY, "a picture of %u x %u dots", width, height);
	}
	*ret = c;
	return 0;
}

struct canvas *canvas_free(struct canvas *c)
{
	if (c)
		free(c->bits);
	free(c);
	return NULL;
}

bool canvas_holds(const struct canvas *c, struct place p)
{
	return p.x <= c->width && p.width <= c->width - p.x && p.y <= c->height &&
	       p.height <= c->height - p.y;
}

void canvas_fill(struct canvas *c, struct place p)
{
	for (unsigned y = p.y; y < c->height && y - p.y < p.height; y++)
		for (unsigned x = p.x; x < c->width && x - p.x < p.width; x++)
			c->bits[y * c->row_bytes + x / 8] |= (uint8_t)(0x80 >> (x % 8));
}

bool canvas_black(const struct canvas *c, unsigned x, unsigned y)
{
	return x < c->width && y < c->height &&
	       c->bits[y * c->row_bytes + x / 8] & (0x80 >> (x % 8));
}

bool canvas_white(const struct canvas *c, struct place p)
{
	for (unsigned y = p.y; y < c->height && y - p.y < p.height; y++)
		for (unsigned x = p.x; x < c->width && x - p.x < p.width; x++)
			if (canvas_black(c, x, y))
				return false;
	return true;
}
