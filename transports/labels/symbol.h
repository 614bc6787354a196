/* SPDX-License-Identifier: Apache-2.0
 *
 * Barcodes as modules. The one door to libzint.
 */
#pragma once

#include "transports/labels/canvas.h"

enum symbol_kind {
	SYMBOL_DATAMATRIX, /* ISO/IEC 16022, ECC 200, square */
	SYMBOL_QR,	   /* ISO/IEC 18004, level M or more */
	SYMBOL_CODE128,	   /* ISO/IEC 15417 */
	SYMBOL_GS1_128,	   /* GS1 General Specifications, 5.4 */
	SYMBOL_GS1_DATAMATRIX
};
/* As a template writes them, NULL-terminated. */
extern const char *const symbol_kinds[];

bool symbol_is_gs1(enum symbol_kind k);
/* One row of bars, drawn as high as one likes. */
bool symbol_is_linear(enum symbol_kind k);
/* The white that it needs on each side and above and below, in modules (of the standards above). */
unsigned symbol_quiet_sides(enum symbol_kind k);
unsigned symbol_quiet_ends(enum symbol_kind k);

/* data: printable ASCII; of a GS1 symbol its elements as [AI]value. *ret: one dot a module.
 * -ERR_INVALID for what the symbol cannot hold, and for GS1 data that breaks its AI's rules. */
int symbol_encode(enum symbol_kind k, const char *data, struct canvas **ret, struct err *e);
