/* SPDX-License-Identifier: Apache-2.0
 *
 * A label template of any bytes, drawn with one value: what is taken has a picture of its size.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "transports/labels/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct label_value v = {"serial", "SN-4711"};
	struct strbuf report = {0}, out = {0};
	struct label_print print = {0};
	struct label *l = NULL;
	struct err e = {0};

	if (label_read("fuzz", (const char *)data, n, &report, &l, &e) == 0) {
		if (label_draw(l, &v, 1, &print, &e) == 0) {
			label_zpl(&print, 1, &out);
			if (label_png(&print, &out, &e) < 0 || out.len < print.canvas->height)
				abort();
			label_print_done(&print);
		}
	} else if (!*e.msg) {
		abort();
	}
	label_free(l);
	sb_done(&report);
	sb_done(&out);
	return 0;
}
