/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instrument may say: the first byte is the number of the question, the rest a line. What is taken for its
 * answer begins with that number, and every refusal has a sentence.
 */
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/fuzz/fuzz.h"
#include "transports/protocols/scpi/scpi.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *line = strndup(n ? (const char *)bytes + 1 : "", n ? n - 1 : 0);
	uint8_t number = n ? bytes[0] : 0;
	char text[SCPI_FIELD_BYTES];
	struct scpi_identity id;
	struct err e = {0};
	size_t at = 0;
	long code;
	enum scpi_line what = scpi_line_read(line, strlen(line), number, &at);

	if (what == SCPI_LINE_ANSWER &&
		(at < 2 || line[at - 1] != ';' || strtoul(line, NULL, 10) != number))
		abort();
	if (what == SCPI_LINE_REFUSED && strtoul(line, NULL, 10) != number)
		abort();
	if (scpi_error_read(line, &code, text, &e) < 0 && (!e.msg[0] || e.code != ERR_INSTRUMENT))
		abort();
	e = (struct err){0};
	if (scpi_identity_read(line, &id, &e) < 0 ? !e.msg[0] : !id.maker[0])
		abort();
	return 0;
}
