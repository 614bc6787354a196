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

/* In place: without control sequences and blanks at the end; the new length. */
size_t tool_plain(char *s, size_t n);
/* The lines that were held back, into the log. */
void tool_watch_flush(struct tool_watch *w);
/* What was seen; the watch is empty afterwards. */
struct tool_outcome tool_watch_take(struct tool_watch *w);
/* Of the rule that matched; 0 where none did. */
int tool_rule_error(const struct tool_spec *s, const struct tool_outcome *o, struct err *e);
