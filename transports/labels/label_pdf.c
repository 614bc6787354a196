/* SPDX-License-Identifier: Apache-2.0
 *
 * A picture as a PDF (ISO 32000-1): a page of the label's size with one image of one bit a dot (8.9.5), which
 * is not smoothed. Nothing in it is a date or by chance. Objects: 1 catalogue, 2 pages, 3 image, 4 what
 * a page draws, 5 and on the pages.
 */
#include <zlib.h>

#include "base/util.h"
#include "transports/labels/label.h"

#define FIRST_PAGE 5u
#define POINTS_IN  72.0
#define UM_IN	   25400.0

/* Where each object begins, for the table at the end (7.5.4). */
struct pdf {
	struct strbuf *out;
	size_t start; /* of the file in out */
	size_t *at;
	unsigned objects;
};

static void begin(struct pdf *f)
{
	f->at[f->objects++] = f->out->len - f->start;
	sb_addf(f->out, "%u 0 obj\n", f->objects);
}

static void end(struct pdf *f)
{
	sb_add(f->out, "endobj\n");
}

/* Rows from the top, 1 is white. NULL: no memory. */
static uint8_t *packed(const struct canvas *c, uLongf *ret_n)
{
	size_t n = c->row_bytes * c->height;
	_cleanup_(freep) uint8_t *rows = malloc(n);
	_cleanup_(freep) uint8_t *out = NULL;

	*ret_n = compressBound(n);
	out = malloc(*ret_n);
	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (uint8_t)~c->bits[i];
	if (!rows || !out || compress(out, ret_n, rows, n) != Z_OK)
		return NULL;
	return steal_ptr(&out);
}

static void add_head(struct pdf *f, unsigned copies)
{
	sb_add(f->out, "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n");
	begin(f);
	/* Nothing that prints it makes it fit another size by itself (12.2). */
	sb_add(f->out,
		"<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>\n");
	end(f);
	begin(f);
	sb_addf(f->out, "<< /Type /Pages /Count %u /Kids [", copies);
	for (unsigned i = 0; i < copies; i++)
		sb_addf(f->out, " %u 0 R", FIRST_PAGE + i);
	sb_add(f->out, " ] >>\n");
	end(f);
}

static int add_image(struct pdf *f, const struct label_print *p, struct err *e)
{
	uLongf n;
	_cleanup_(freep) uint8_t *data = packed(p->canvas, &n);

	if (!data)
		return err_set(e, ERR_NO_MEMORY, "a PDF of %u x %u dots", p->canvas->width,
			p->canvas->height);
	begin(f);
	sb_addf(f->out,
		"<< /Type /XObject /Subtype /Image /Width %u /Height %u /ColorSpace /DeviceGray /BitsPerComponent 1 /Interpolate false /Filter /FlateDecode /Length %lu >>\nstream\n",
		p->canvas->width, p->canvas->height, n);
	sb_add_n(f->out, data, n);
	sb_add(f->out, "\nendstream\n");
	end(f);
	return 0;
}

/* The picture from the top left corner, a dot as large as the printer's. */
static void add_content(struct pdf *f, const struct label_print *p)
{
	double dot = POINTS_IN / p->dpi, height = p->height_um / UM_IN * POINTS_IN;
	_cleanup_(freep) char *text = xasprintf("q %.4f 0 0 %.4f 0 %.4f cm /L Do Q",
		p->canvas->width * dot, p->canvas->height * dot, height - p->canvas->height * dot);

	begin(f);
	sb_addf(f->out, "<< /Length %zu >>\nstream\n%s\nendstream\n", strlen(text), text);
	end(f);
}

static void add_page(struct pdf *f, const struct label_print *p)
{
	begin(f);
	sb_addf(f->out,
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.4f %.4f] /Contents 4 0 R /Resources << /XObject << /L 3 0 R >> >> >>\n",
		p->width_um / UM_IN * POINTS_IN, p->height_um / UM_IN * POINTS_IN);
	end(f);
}

static void add_table(struct pdf *f)
{
	size_t at = f->out->len - f->start;

	sb_addf(f->out, "xref\n0 %u\n0000000000 65535 f \n", f->objects + 1);
	for (unsigned i = 0; i < f->objects; i++)
		sb_addf(f->out, "%010zu 00000 n \n", f->at[i]);
	sb_addf(f->out, "trailer\n<< /Size %u /Root 1 0 R >>\nstartxref\n%zu\n%%%%EOF\n",
		f->objects + 1, at);
}

int label_pdf(const struct label_print *p, unsigned copies, struct strbuf *out, struct err *e)
{
	_cleanup_(freep) size_t *at = xcalloc(FIRST_PAGE + copies, sizeof *at);
	struct pdf f = {.out = out, .start = out->len, .at = at};
	int r;

	add_head(&f, copies);
	r = add_image(&f, p, e);
	if (r < 0)
		return r;
	add_content(&f, p);
	for (unsigned i = 0; i < copies; i++)
		add_page(&f, p);
	add_table(&f);
	return 0;
}
