/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of TI-TXT: the bytes as they are, and with an end mark, past which a cut file would
 * not get.
 */
#include "base/strbuf.h"
#include "tests/fuzz/fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct strbuf b = {0};

	fuzz_image(bytes, n);
	sb_add_n(&b, bytes, n);
	sb_add(&b, "\nq\n");
	fuzz_image((const uint8_t *)b.s, b.len);
	sb_done(&b);
	return 0;
}
