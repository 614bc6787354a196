/* SPDX-License-Identifier: Apache-2.0
 *
 * Two headers of a client: what is taken of them is written again as the standard has it, and is read again as the same.
 * The first line is a traceparent, the rest a tracestate.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/trace_context.h"
#include "base/util.h"

static void look(const char *parent, const char *state)
{
	struct trace_context t, again;
	char text[TRACE_TEXT_BYTES];

	if (!trace_parse(parent, state, &t)) {
		if (t.id[0] || t.parent[0] || t.state[0])
			abort();
		return;
	}
	if (strlen(t.id) != 32 || strlen(t.parent) != 16 || t.flags > 1)
		abort();
	trace_text(&t, t.parent, text);
	if (!trace_parse(text, t.state, &again) || memcmp(&t, &again, sizeof t) != 0)
		abort();
	/* Nothing in it ends a header. */
	if (strpbrk(t.state, "\r\n"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);
	char *state = strchr(text, '\n');

	if (state)
		*state++ = 0;
	look(text, state);
	return 0;
}
