/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "base/strbuf.h"
#include "transports/tools/openocd_impl.h"

#define LOG_MAX_LINES 2000

static const char *const seen_pattern[SEEN_COUNT] = {
	[SEEN_STARTED] = "^\\*\\* Programming Started \\*\\*$",
	[SEEN_PROGRAMMED] = "^\\*\\* Programming Finished \\*\\*$",
	[SEEN_VERIFIED] = "^\\*\\* Verified OK \\*\\*$",
	[SEEN_WROTE] = "^wrote (\\d+) bytes from file i\\d+\\.hex in ",
	[SEEN_VERIFIED_BYTES] = "^verified (\\d+) bytes in ",
	[SEEN_DUMPED] = "^dumped (\\d+) bytes in ",
	[SEEN_ERASED] = "^erased address 0x[0-9a-f]+ \\(length (\\d+)\\) in ",
	[SEEN_RESETTING] = "^\\*\\* Resetting Target \\*\\*$",
	[SEEN_VERSION] = "^Open On-Chip Debugger (.+)$",
	[SEEN_WARNING] = "^Warn : (Padding|Adding extra)|^Info : Padding",
	[SEEN_ERROR] = "^Error: (.+)$",
};

/* --- what it says --- */

static char *escaped(const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);
	return sb_take(&b);
}

static void keep_line(char **list, size_t *count, const char *text)
{
	if (*count < OPENOCD_LINES_MAX)
		list[(*count)++] = xstrdup(text);
}

void openocd_run_phase(struct openocd_run *x, const char *phase, uint64_t done)
{
	if (x->hooks->progress)
		x->hooks->progress(x->hooks->data, phase, done, x->result->image_bytes);
}

static void tell_phase_of(struct openocd_run *x, enum openocd_seen s)
{
	uint64_t all = x->result->image_bytes;

	if (s == SEEN_STARTED)
		openocd_run_phase(x, "program", 0);
	else if (s == SEEN_PROGRAMMED || s == SEEN_WROTE)
		openocd_run_phase(x, "verify", MIN(all, s == SEEN_WROTE ? x->bytes[s] : all));
	else if (s == SEEN_VERIFIED_BYTES)
		openocd_run_phase(x, x->job->read_back ? "read" : "reset", MIN(all, x->bytes[s]));
	else if (s == SEEN_RESETTING)
		openocd_run_phase(x, "reset", all);
}

static bool is_proof(enum openocd_seen s)
{
	return s >= SEEN_PROGRAMMED && s <= SEEN_ERASED;
}

static void see(struct openocd_run *x, enum openocd_seen s, const struct regex_match *m,
	const char *line, const char *text)
{
	x->count[s]++;
	if (m->groups > 1 && s >= SEEN_WROTE && s <= SEEN_ERASED)
		x->bytes[s] += strtoull(line + m->group[1].start, NULL, 10);
	if (s == SEEN_VERSION && !x->result->version[0])
		snprintf(x->result->version, sizeof x->result->version, "%s", text);
	if (is_proof(s))
		keep_line(x->result->line, &x->result->lines, text);
	if (s == SEEN_WARNING)
		keep_line(x->result->warning, &x->result->warnings, text);
	if (s == SEEN_ERROR && x->cause < 0)
		str_replace(&x->error_line, text);
	tell_phase_of(x, s);
}

static void judge_line(struct openocd_run *x, const char *line, size_t n, const char *text)
{
	int rule = openocd_rulebook_match(x->rules, line, n, x->cause);
	struct regex_match m;

	if (rule >= 0) {
		x->cause = rule;
		str_replace(&x->cause_line, text);
	}
	for (int s = 0; s < SEEN_COUNT; s++)
		if (regex_match(x->seen[s], line, n, &m))
			see(x, (enum openocd_seen)s, &m, line, text);
	for (size_t i = 0; i < x->expects; i++)
		if (!x->met[i] && regex_match(x->expect[i], line, n, NULL)) {
			x->met[i] = true;
			keep_line(x->result->line, &x->result->lines, text);
		}
}

void openocd_run_line(struct openocd_run *x, const char *bytes, size_t n)
{
	/* Terminated, for the numbers in it. */
	_cleanup_(freep) char *line = strndup(bytes, n);
	_cleanup_(freep) char *text = NULL;

	if (n > 0 && bytes[n - 1] == '\r')
		n--;
	text = escaped(bytes, n);
	if (x->hooks->log && n > 0 && x->logged++ < LOG_MAX_LINES)
		x->hooks->log(x->hooks->data, '<', text);
	if (line)
		judge_line(x, line, strnlen(line, n), text);
}

/* --- whether it did it --- */

static int no_evidence(const char *what, struct err *e)
{
	return err_set(e, ERR_NO_EVIDENCE, "OpenOCD ended well and did not say '%s'", what);
}

static int short_of(
	const char *what, uint64_t got, uint64_t want, enum err_code code, struct err *e)
{
	return err_set(e, code, "OpenOCD %s %llu bytes, %llu expected", what,
		(unsigned long long)got, (unsigned long long)want);
}

int openocd_run_markers(const struct openocd_run *x, struct err *e)
{
	const struct openocd_job *j = x->job;
	uint64_t all = x->result->image_bytes;
	bool reads = j->kind == OPENOCD_DUMP || j->kind == OPENOCD_ERASE;

	if (j->kind == OPENOCD_PROGRAM && !x->count[SEEN_PROGRAMMED])
		return no_evidence("** Programming Finished **", e);
	if (j->kind == OPENOCD_PROGRAM && !x->count[SEEN_VERIFIED])
		return no_evidence("** Verified OK **", e);
	if (j->kind == OPENOCD_FLASH && x->bytes[SEEN_WROTE] < all)
		return short_of("wrote", x->bytes[SEEN_WROTE], all, ERR_NO_EVIDENCE, e);
	if ((j->kind == OPENOCD_FLASH || j->kind == OPENOCD_VERIFY) &&
		x->bytes[SEEN_VERIFIED_BYTES] != all)
		return short_of("verified", x->bytes[SEEN_VERIFIED_BYTES], all, ERR_NO_EVIDENCE, e);
	if (j->kind == OPENOCD_ERASE && x->bytes[SEEN_ERASED] != j->size)
		return short_of("erased", x->bytes[SEEN_ERASED], j->size, ERR_NO_EVIDENCE, e);
	if (reads && x->bytes[SEEN_DUMPED] != j->size)
		return short_of("read", x->bytes[SEEN_DUMPED], j->size, ERR_NO_EVIDENCE, e);
	for (size_t i = 0; i < x->expects; i++)
		if (!x->met[i])
			return no_evidence(j->expect[i], e);
	return 0;
}

int openocd_run_cause(const struct openocd_run *x, struct err *e)
{
	if (x->cause < 0)
		return 0;
	return err_set(e, openocd_rules[x->cause].code, "%s (OpenOCD: '%.160s')",
		openocd_rules[x->cause].sentence, x->cause_line);
}

/* --- its patterns --- */

static int compile_patterns(struct openocd_run *x, struct err *e)
{
	int r = openocd_rulebook_new(&x->rules, e);

	for (int s = 0; r == 0 && s < SEEN_COUNT; s++)
		r = regex_new(seen_pattern[s], &x->seen[s], e);
	for (size_t i = 0; r == 0 && x->job->expect && x->job->expect[i]; i++) {
		if (i == OPENOCD_LINES_MAX)
			return err_set(e, ERR_RECIPE_INVALID, "expect: more than %d patterns",
				OPENOCD_LINES_MAX);
		r = regex_new(x->job->expect[i], &x->expect[i], e);
		if (r < 0)
			return err_set(e, ERR_RECIPE_INVALID, "expect: pattern %zu", i + 1);
		x->expects = i + 1;
	}
	return r;
}

int openocd_run_init(struct openocd_run *x, const struct openocd_job *j,
	const struct openocd_hooks *h, struct openocd_result *result, struct err *e)
{
	*x = (struct openocd_run){.job = j, .hooks = h, .result = result, .cause = -1};
	return compile_patterns(x, e);
}

void openocd_run_done(struct openocd_run *x)
{
	openocd_rulebook_free(x->rules);
	for (int s = 0; s < SEEN_COUNT; s++)
		regex_free(x->seen[s]);
	for (size_t i = 0; i < x->expects; i++)
		regex_free(x->expect[i]);
	free(x->cause_line);
	free(x->error_line);
}
