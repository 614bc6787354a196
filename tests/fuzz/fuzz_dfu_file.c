/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of DFU suffixes and DfuSe containers: the bytes as they are, and with a right suffix
 * after them, past which no mutation would get.
 */
#include "tests/fuzz/fuzz_image.h"

#include "tests/unit/transports/image_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct strbuf b = {0};

	fuzz_image(bytes, n);
	sb_add_n(&b, bytes, n > 16 ? n - 16 : n);
	add_dfu_suffix(&b, 0x0483, 0xdf11, 0x0200, 0x011a);
	fuzz_image((const uint8_t *)b.s, b.len);
	sb_done(&b);
	return 0;
}
