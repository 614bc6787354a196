/* SPDX-License-Identifier: Apache-2.0
 *
 * What a printer may answer over IPP: an answer that is read to its end, or a refusal with a sentence.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "transports/protocols/ipp/ipp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct ipp_answer a = {.job = 4711};
	struct err e = {0};

	if (ipp_answer_read(bytes, n, n % 2 ? "label" : NULL, &a, &e) < 0) {
		if (a.job != 4711 || !e.msg[0] || e.code != ERR_PROTOCOL)
			abort();
		return 0;
	}
	if (strlen(a.printer_reasons) >= IPP_REASONS_BYTES ||
		strlen(a.job_reasons) >= IPP_REASONS_BYTES || (a.found && n % 2 == 0))
		abort();
	ipp_trouble(&a);
	return 0;
}
