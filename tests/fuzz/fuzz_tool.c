/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of what foreign programs say: the input is one program's output, cut where proc.c
 * cuts it; the first byte chooses whose rules judge it. Whatever comes, what is kept and logged is
 * readable, and a failure that was seen has its code.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "transports/tools/cubeprogrammer.h"
#include "transports/tools/jlink.h"
#include "transports/tools/openocd.h"

static void check_text(const char *s)
{
	for (; s && *s; s++)
		if ((uint8_t)*s < 0x20 || *s == 0x7f)
			abort();
}

static void log_text(void *data, char dir, const char *text)
{
	check_text(text);
}

static void tell_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	if (!phase || done > total)
		abort();
}

static void feed(struct tool_watch *w, const uint8_t *bytes, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i <= n; i++)
		if (i == n || bytes[i] == '\n' || bytes[i] == '\r' || i - from == 4096) {
			tool_watch_line(w, i & 1 ? PROC_STDOUT : PROC_STDERR,
				(const char *)bytes + from, i - from);
			from = i + (i < n && i - from < 4096);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct tool_marker success[] = {{"^Verify successful\\.", 2},
		{"Download verified successfully", 1}, {"^wrote (\\d+) bytes", TOOL_MAY},
		{NULL, 0}};
	static const struct tool_rule *const rules[] = {cube_rules, jlink_rules, openocd_rules};
	static const char *const argv[] = {"program", NULL};
	struct tool_spec spec = {.argv = argv,
		.success = success,
		.rules = rules[n ? bytes[0] % ARRAY_LEN(rules) : 0],
		.progress = "(\\d{1,3})%\\s*$",
		.version = "V(\\d\\S*)",
		.evidence = "crc=(\\S+)",
		.tell = {NULL, tell_progress, log_text}};
	struct err e = {0};
	struct tool_watch *w;

	if (tool_watch_new(&spec, &w, &e) < 0)
		abort();
	feed(w, n ? bytes + 1 : bytes, n ? n - 1 : 0);

	const struct tool_outcome *seen = tool_watch_seen(w);
	int r = tool_watch_judge(w, 0, &e);

	if ((r < 0 && !e.msg[0]) ||
		(seen->rule && (r != -(int)seen->rule->code || !seen->rule_line)))
		abort();
	if (r == 0 && (seen->cut || seen->count[0] < 2 || !seen->count[1] || !seen->value))
		abort();
	check_text(e.msg);
	check_text(seen->last);
	check_text(seen->version);
	check_text(seen->value);
	check_text(seen->rule_line);
	for (size_t i = 0; i < TOOL_MARKERS_MAX; i++)
		if (!seen->marker[i] != !seen->count[i])
			abort();
	tool_watch_free(w);
	return 0;
}
