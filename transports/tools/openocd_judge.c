/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "transports/tools/openocd_impl.h"

static const char *const pattern[MARK_COUNT] = {
	[MARK_STARTED] = "^\\*\\* Programming Started \\*\\*$",
	[MARK_PROGRAMMED] = "^\\*\\* Programming Finished \\*\\*$",
	[MARK_VERIFIED] = "^\\*\\* Verified OK \\*\\*$",
	[MARK_WROTE] = "^wrote (\\d+) bytes from file i\\d+\\.hex in ",
	[MARK_VERIFIED_BYTES] = "^verified (\\d+) bytes in ",
	[MARK_DUMPED] = "^dumped (\\d+) bytes in ",
	[MARK_ERASED] = "^erased address 0x[0-9a-f]+ \\(length (\\d+)\\) in ",
	[MARK_RESETTING] = "^\\*\\* Resetting Target \\*\\*$",
	[MARK_WARNING] = "^Warn : (Padding|Adding extra)|^Info : Padding",
};

static void keep_line(char **list, size_t *count, const char *text)
{
	if (*count < OPENOCD_LINES_MAX)
		list[(*count)++] = xstrdup(text);
}

void openocd_run_phase(struct openocd_run *x, const char *phase, uint64_t done)
{
	uint64_t all = x->result->image_bytes;

	teller_progress(&x->spec.tell, phase, MIN(done, all), all);
}

static void on_mark(void *owner, size_t marker, const char *line, const struct tool_outcome *o)
{
	struct openocd_run *x = owner;
	struct openocd_result *res = x->result;

	/* An expected line is reported once. */
	if (marker >= MARK_COUNT) {
		if (o->count[marker] == 1)
			keep_line(res->line, &res->lines, line);
		return;
	}
	if (marker >= MARK_PROGRAMMED && marker <= MARK_ERASED)
		keep_line(res->line, &res->lines, line);
	switch ((enum openocd_mark)marker) {
	case MARK_STARTED:
		openocd_run_phase(x, "program", 0);
		break;
	case MARK_PROGRAMMED:
		openocd_run_phase(x, "verify", UINT64_MAX);
		break;
	case MARK_WROTE:
		openocd_run_phase(x, "verify", o->sum[marker]);
		break;
	case MARK_VERIFIED_BYTES:
		openocd_run_phase(x, x->job->read_back ? "read" : "reset", o->sum[marker]);
		break;
	case MARK_RESETTING:
		openocd_run_phase(x, "reset", UINT64_MAX);
		break;
	case MARK_WARNING:
		keep_line(res->warning, &res->warnings, line);
		break;
	case MARK_VERIFIED:
	case MARK_DUMPED:
	case MARK_ERASED:
	case MARK_COUNT:
		break;
	}
}

static int short_of(
	const char *what, uint64_t got, uint64_t want, enum err_code code, struct err *e)
{
	return err_set(e, code, "OpenOCD %s %llu bytes, %llu expected", what,
		(unsigned long long)got, (unsigned long long)want);
}

int openocd_run_sums(struct openocd_run *x, struct err *e)
{
	const struct openocd_job *j = x->job;
	const uint64_t *sum = x->result->tool.sum;
	uint64_t all = x->result->image_bytes;
	bool reads = j->kind == OPENOCD_DUMP || j->kind == OPENOCD_ERASE;

	x->result->written = sum[MARK_WROTE];
	x->result->verified = sum[MARK_VERIFIED_BYTES];
	/* It counts its padding. */
	if (j->kind == OPENOCD_FLASH && sum[MARK_WROTE] < all)
		return short_of("wrote", sum[MARK_WROTE], all, ERR_NO_EVIDENCE, e);
	if ((j->kind == OPENOCD_FLASH || j->kind == OPENOCD_VERIFY) &&
		sum[MARK_VERIFIED_BYTES] != all)
		return short_of("verified", sum[MARK_VERIFIED_BYTES], all, ERR_NO_EVIDENCE, e);
	if (j->kind == OPENOCD_ERASE && sum[MARK_ERASED] != j->size)
		return short_of("erased", sum[MARK_ERASED], j->size, ERR_NO_EVIDENCE, e);
	if (reads && sum[MARK_DUMPED] != j->size)
		return short_of("read", sum[MARK_DUMPED], j->size, ERR_NO_EVIDENCE, e);
	return 0;
}

int openocd_run_error(int r, struct err *e)
{
	return r == -ERR_INVALID && e ? err_set(e, ERR_RECIPE_INVALID, "expect: %s", e->msg) : r;
}

int openocd_run_init(struct openocd_run *x, const struct openocd_job *j, const struct teller *tell,
	struct openocd_result *result, struct err *e)
{
	size_t n = 0;

	*x = (struct openocd_run){
		.job = j,
		.result = result,
		.spec = {.name = "OpenOCD",
			.rules = openocd_rules,
			.version = "^Open On-Chip Debugger (\\S+)",
			.complaint = "^Error: ",
			.kill_grace_us = OPENOCD_KILL_GRACE_US,
			.secrets = j->secrets,
			.tell = *tell,
			.marked = on_mark},
	};
	x->spec.success = x->marker;
	x->spec.owner = x;
	for (; n < MARK_COUNT; n++)
		x->marker[n] = (struct tool_marker){pattern[n], TOOL_MAY};
	if (j->kind == OPENOCD_PROGRAM)
		x->marker[MARK_PROGRAMMED].count = x->marker[MARK_VERIFIED].count = 1;
	for (const char *const *p = j->expect; p && *p; p++) {
		if (n == MARK_COUNT + OPENOCD_LINES_MAX)
			return err_set(e, ERR_RECIPE_INVALID, "expect: more than %d patterns",
				OPENOCD_LINES_MAX);
		x->marker[n++].pattern = *p;
	}
	return 0;
}
