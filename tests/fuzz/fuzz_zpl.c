/* SPDX-License-Identifier: Apache-2.0
 *
 * What a label printer may answer to ~HS: a status, or a refusal with a sentence.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "transports/protocols/zpl/zpl.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct zpl_status s = {.formats = 12345};
	struct err e = {0};

	if (zpl_status_read((const char *)bytes, n, &s, &e) < 0 &&
		(s.formats != 12345 || !e.msg[0] || e.code != ERR_PROTOCOL))
		abort();
	zpl_status_trouble(&s);
	return 0;
}
