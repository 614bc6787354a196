/* SPDX-License-Identifier: Apache-2.0
 *
 * Between tool.c and tool_watch.c.
 */
#pragma once

#include "transports/tools/tool.h"

static inline const char *tool_name(const struct tool_spec *s)
{
	return s->name ? s->name : s->argv[0];
}

/* The bytes of one stream that are looked at. */
static inline uint64_t tool_output_max(const struct tool_spec *s)
{
	return s->output_max_bytes ? s->output_max_bytes : TOOL_OUTPUT_MAX;
}

/* The lines that were held back, into the log. */
void tool_watch_flush(struct tool_watch *w);
/* As tool_watch_judge(), on what was seen. */
int tool_judge(const struct tool_spec *s, const struct tool_outcome *o, int ran, struct err *e);
