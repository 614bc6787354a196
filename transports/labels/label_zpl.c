/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture as a ZPL II format (Zebra, ZPL II Programming Guide): ^GF with its ASCII hexadecimal data,
 * where a comma fills the row with white and a colon repeats the row above.
 */
#include "transports/labels/label.h"

static void add_row(struct strbuf *out, const uint8_t *row, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t used = n;

	while (used > 0 && row[used - 1] == 0)
		used--;
	for (size_t i = 0; i < used; i++) {
		char two[] = {hex[row[i] >> 4], hex[row[i] & 0xf]};

		sb_add_n(out, two, sizeof two);
	}
	if (used < n)
		sb_add(out, ",");
}

void label_zpl(const struct label_print *p, unsigned copies, struct strbuf *out)
{
	const struct canvas *c = p->canvas;
	size_t total = c->row_bytes * c->height;

	/* What an earlier format or the panel may have set: home, turned, mirrored, reversed. */
	sb_addf(out, "^XA^PW%u^LL%u^LH0,0^PON^PMN^LRN^FO0,0^GFA,%zu,%zu,%zu,", c->width, c->height,
		total, total, c->row_bytes);
	for (unsigned y = 0; y < c->height; y++) {
		const uint8_t *row = c->bits + y * c->row_bytes;

		if (y > 0 && !memcmp(row, row - c->row_bytes, c->row_bytes))
			sb_add(out, ":");
		else
			add_row(out, row, c->row_bytes);
	}
	sb_addf(out, "^FS^PQ%u,0,1,Y^XZ\n", copies);
}
