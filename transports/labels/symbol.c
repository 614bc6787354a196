/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/labels/symbol.h"

#include <zint.h>

#define QR_LEVEL_M 2

const char *const symbol_kinds[] = {[SYMBOL_DATAMATRIX] = "datamatrix",
	[SYMBOL_QR] = "qr",
	[SYMBOL_CODE128] = "code128",
	[SYMBOL_GS1_128] = "gs1-128",
	[SYMBOL_GS1_DATAMATRIX] = "gs1-datamatrix",
	NULL};

static const struct symbol_row {
	int zint;
	bool gs1, linear;
	unsigned sides, ends; /* quiet zone, modules */
} rows[] = {
	[SYMBOL_DATAMATRIX] = {BARCODE_DATAMATRIX, false, false, 1, 1},
	[SYMBOL_QR] = {BARCODE_QRCODE, false, false, 4, 4},
	[SYMBOL_CODE128] = {BARCODE_CODE128, false, true, 10, 0},
	[SYMBOL_GS1_128] = {BARCODE_GS1_128, true, true, 10, 0},
	[SYMBOL_GS1_DATAMATRIX] = {BARCODE_DATAMATRIX, true, false, 1, 1},
};

bool symbol_is_gs1(enum symbol_kind k)
{
	return rows[k].gs1;
}

bool symbol_is_linear(enum symbol_kind k)
{
	return rows[k].linear;
}

unsigned symbol_quiet_sides(enum symbol_kind k)
{
	return rows[k].sides;
}

unsigned symbol_quiet_ends(enum symbol_kind k)
{
	return rows[k].ends;
}

static void zint_done(struct zint_symbol **z)
{
	ZBarcode_Delete(*z);
}

static struct zint_symbol *zint_new(enum symbol_kind k)
{
	struct zint_symbol *z = ZBarcode_Create();

	if (!z)
		return NULL;
	z->symbology = rows[k].zint;
	z->input_mode = rows[k].gs1 ? GS1_MODE : DATA_MODE;
	/* Without it a Data Matrix of 16 characters is 8 x 32, and one of 19 square. */
	if (z->symbology == BARCODE_DATAMATRIX)
		z->option_3 = DM_SQUARE;
	if (z->symbology == BARCODE_QRCODE)
		z->option_1 = QR_LEVEL_M;
	return z;
}

static int modules_of(const struct zint_symbol *z, struct canvas **ret, struct err *e)
{
	int r = canvas_new((unsigned)z->width, (unsigned)z->rows, ret, e);

	for (int y = 0; r == 0 && y < z->rows; y++)
		for (int x = 0; x < z->width; x++)
			if (z->encoded_data[y][x / 8] >> (x % 8) & 1)
				canvas_fill(*ret, (struct place){(unsigned)x, (unsigned)y, 1, 1});
	return r;
}

int symbol_encode(enum symbol_kind k, const char *data, struct canvas **ret, struct err *e)
{
	_cleanup_(zint_done) struct zint_symbol *z = zint_new(k);
	int r = z ? ZBarcode_Encode(z, (const unsigned char *)data, (int)strlen(data))
		  : ZINT_ERROR_MEMORY;

	/* A warning too: a symbol that its standard does not know is read by some scanners alone. */
	if (r == ZINT_ERROR_MEMORY)
		return err_set(e, ERR_NO_MEMORY, "no memory for a %s symbol", symbol_kinds[k]);
	if (r != 0)
		return err_set(e, ERR_INVALID, "%s cannot hold '%.80s': zint says '%s'",
			symbol_kinds[k], data, z->errtxt);
	return modules_of(z, ret, e);
}
