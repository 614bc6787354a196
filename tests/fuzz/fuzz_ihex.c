/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of Intel HEX files: the bytes as they are, and with right checksums, past which no
 * mutation would get.
 */
#include "tests/fuzz/fuzz_image.h"

#include "tests/fuzz/fuzz_records.h"

static uint8_t checksum(uint8_t sum)
{
	return (uint8_t)-sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct strbuf b = {0};

	fuzz_image(bytes, n);
	with_right_checksums(&b, bytes, n, 1, checksum);
	fuzz_image((const uint8_t *)b.s, b.len);
	sb_done(&b);
	return 0;
}
