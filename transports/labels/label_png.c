/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture as a PNG (ISO/IEC 15948): grey of one bit, where 0 is black.
 */
#include <zlib.h>

#include "base/bytes.h"
#include "transports/labels/label.h"

#define FILTER_NONE 0

static void add_be32(struct strbuf *out, uint32_t v)
{
	uint8_t raw[4];
	struct wbytes w = wbytes_of(raw, sizeof raw);

	wb_be32(&w, v);
	sb_add_n(out, raw, sizeof raw);
}

static void add_chunk(struct strbuf *out, const char *type, const void *p, size_t n)
{
	uLong crc = crc32(0, (const Bytef *)type, 4);

	if (n > 0)
		crc = crc32(crc, p, (uInt)n);
	add_be32(out, (uint32_t)n);
	sb_add_n(out, type, 4);
	sb_add_n(out, p, n);
	add_be32(out, (uint32_t)crc);
}

static void add_head(const struct label_print *p, struct strbuf *out)
{
	uint8_t raw[13];
	struct wbytes w = wbytes_of(raw, sizeof raw);

	wb_be32(&w, p->canvas->width);
	wb_be32(&w, p->canvas->height);
	wb_u8(&w, 1);	   /* bits of a dot */
	wb_fill(&w, 0, 4); /* grey, deflate, its filters, not interlaced */
	add_chunk(out, "IHDR", raw, w.len);
}

static void add_resolution(const struct label_print *p, struct strbuf *out)
{
	uint8_t raw[9];
	struct wbytes w = wbytes_of(raw, sizeof raw);
	uint32_t per_m = (uint32_t)(p->dpi / 0.0254 + 0.5);

	wb_be32(&w, per_m);
	wb_be32(&w, per_m);
	wb_u8(&w, 1); /* the unit is the metre */
	add_chunk(out, "pHYs", raw, w.len);
}

/* Each row with its filter before it. */
static uint8_t *rows_of(const struct canvas *c, size_t *ret_n)
{
	uint8_t *rows = malloc((c->row_bytes + 1) * c->height);
	uint8_t *p = rows;

	*ret_n = (c->row_bytes + 1) * c->height;
	for (size_t y = 0; rows && y < c->height; y++) {
		*p++ = FILTER_NONE;
		for (size_t i = 0; i < c->row_bytes; i++)
			*p++ = (uint8_t)~c->bits[y * c->row_bytes + i];
	}
	return rows;
}

int label_png(const struct label_print *p, struct strbuf *out, struct err *e)
{
	size_t n;
	_cleanup_(freep) uint8_t *rows = rows_of(p->canvas, &n);
	uLongf packed_n = compressBound(n);
	_cleanup_(freep) uint8_t *packed = malloc(packed_n);

	if (!rows || !packed || compress(packed, &packed_n, rows, n) != Z_OK)
		return err_set(e, ERR_NO_MEMORY, "a PNG of %u x %u dots", p->canvas->width,
			p->canvas->height);
	sb_add_n(out, "\x89PNG\r\n\x1a\n", 8);
	add_head(p, out);
	add_resolution(p, out);
	add_chunk(out, "IDAT", packed, packed_n);
	add_chunk(out, "IEND", "", 0);
	return 0;
}
