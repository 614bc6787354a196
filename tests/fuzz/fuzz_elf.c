/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of ELF files.
 */
#include "tests/fuzz/fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	fuzz_image(bytes, n);
	return 0;
}
