/* SPDX-License-Identifier: Apache-2.0
 *
 * What an endpoint of CFX answers: a line with the correlation-id, then the text. A unit is allowed by nothing that has not the RequestID of
 * the question in it.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/line/cfx_validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const char *text = (const char *)bytes;
	const char *end = n ? memchr(text, '\n', n) : NULL;
	const size_t line = end ? (size_t)(end - text) : 0;
	_cleanup_(freep) char *correlation = strndup(end ? text : "", line);
	const size_t rest = end ? n - line - 1 : n;
	struct route_answer a = {0};
	enum cfx_validated got =
		cfx_validate_read(end ? end + 1 : text, rest, correlation, "REQUEST-1", "S1", &a);

	if ((got == CFX_ANSWER) != a.answered || (a.answered && a.verdict == ROUTE_HOLD) ||
		strlen(a.reason) >= sizeof a.reason)
		abort();
	if (got == CFX_ANSWER &&
		(!memmem(bytes, n, "REQUEST-1", 9) || !memmem(bytes, n, "ed\"", 3)) &&
		!memchr(bytes, '\\', n))
		abort();
	return 0;
}
