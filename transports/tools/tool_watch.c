/* SPDX-License-Identifier: Apache-2.0
 *
 * Each line: colours out -> markers, rules, phases, progress, version, evidence -> escaped, masked,
 * into the log.
 */
#include "base/regex.h"
#include "base/strbuf.h"
#include "base/terminal.h"
#include "base/util.h"
#include "base/words.h"
#include "transports/tools/tool_impl.h"

#define LOG_HEAD   1500 /* lines that are logged as they come */
#define LOG_TAIL   100	/* and the last ones, at the end */
#define SEEN_MAX   1024 /* bytes of a line that is kept as evidence */
#define PHASES_MAX 32

struct tool_watch {
	const struct tool_spec *spec;
	struct regex *marker[TOOL_MARKERS_MAX];
	struct regex *rule[TOOL_RULES_MAX];
	struct regex *phase[PHASES_MAX];
	struct regex *progress, *evidence, *version, *complaint;
	struct words *words; /* NULL: the spec's patterns are whole */
	size_t markers, rules, phases;
	struct tool_outcome seen;
	uint64_t bytes[2]; /* of each stream */
	char *tail[LOG_TAIL];
};

static int compile(const char *pattern, struct regex **ret, struct err *e)
{
	int r = pattern ? regex_new(pattern, ret, e) : 0;

	return r < 0 ? err_prefix(e, "pattern '%.80s'", pattern) : 0;
}

static int compile_tables(struct tool_watch *w, struct err *e)
{
	const struct tool_spec *s = w->spec;
	int r = 0;

	for (; r == 0 && s->success && s->success[w->markers].pattern; w->markers++) {
		if (w->markers == TOOL_MARKERS_MAX)
			return err_set(e, ERR_INVALID, "more than %d markers", TOOL_MARKERS_MAX);
		r = compile(s->success[w->markers].pattern, &w->marker[w->markers], e);
	}
	for (; r == 0 && s->rules && s->rules[w->rules].pattern; w->rules++) {
		if (w->rules == TOOL_RULES_MAX)
			return err_set(
				e, ERR_INVALID, "more than %d failure patterns", TOOL_RULES_MAX);
		r = compile(s->rules[w->rules].pattern, &w->rule[w->rules], e);
	}
	for (; r == 0 && s->phases && s->phases[w->phases].pattern; w->phases++) {
		if (w->phases == PHASES_MAX)
			return err_set(e, ERR_INVALID, "more than %d phases", PHASES_MAX);
		r = compile(s->phases[w->phases].pattern, &w->phase[w->phases], e);
	}
	return r;
}

int tool_watch_new(const struct tool_spec *spec, struct tool_watch **ret, struct err *e)
{
	struct tool_watch *w = xcalloc(1, sizeof *w);
	int r;

	w->spec = spec;
	w->words = spec->partial ? words_new() : NULL;
	r = compile_tables(w, e);
	if (r == 0)
		r = compile(spec->progress, &w->progress, e);
	if (r == 0)
		r = compile(spec->evidence, &w->evidence, e);
	if (r == 0)
		r = compile(spec->version, &w->version, e);
	if (r == 0)
		r = compile(spec->complaint, &w->complaint, e);
	if (r < 0) {
		tool_watch_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

struct tool_watch *tool_watch_free(struct tool_watch *w)
{
	if (!w)
		return NULL;
	/* A pattern that failed to compile was counted as none. */
	for (size_t i = 0; i < TOOL_MARKERS_MAX; i++)
		regex_free(w->marker[i]);
	for (size_t i = 0; i < TOOL_RULES_MAX; i++)
		regex_free(w->rule[i]);
	for (size_t i = 0; i < PHASES_MAX; i++)
		regex_free(w->phase[i]);
	regex_free(w->progress);
	regex_free(w->evidence);
	regex_free(w->version);
	regex_free(w->complaint);
	words_free(w->words);
	for (size_t i = 0; i < LOG_TAIL; i++)
		free(w->tail[i]);
	tool_outcome_done(&w->seen);
	free(w);
	return NULL;
}

/* --- a line as it is matched, and as it is shown --- */

static char *shown(const struct tool_watch *w, const char *bytes, size_t n)
{
	struct strbuf b = {0};
	char *masked;

	sb_add_escaped(&b, bytes, MIN(n, (size_t)SEEN_MAX));
	masked = secret_mask(w->spec->secrets, b.s ? b.s : "");
	if (b.s)
		secret_wipe(b.s, b.len);
	sb_done(&b);
	return masked;
}

static char *first_group(
	const struct tool_watch *w, const struct regex *r, const char *bytes, size_t n)
{
	struct regex_match m;
	int g;

	if (!regex_match(r, bytes, n, &m))
		return NULL;
	g = m.groups > 1 && m.group[1].start != (size_t)-1;
	return shown(w, bytes + m.group[g].start, m.group[g].end - m.group[g].start);
}

/* --- what it means --- */

static uint64_t whole_number(const char *bytes, const struct regex_match *m)
{
	char text[20];
	size_t len;

	if (m->groups < 2 || m->group[1].start == (size_t)-1)
		return 0;
	len = m->group[1].end - m->group[1].start;
	if (len >= sizeof text)
		return 0;
	snprintf(text, sizeof text, "%.*s", (int)len, bytes + m->group[1].start);
	return strspn(text, "0123456789") == len ? strtoull(text, NULL, 10) : 0;
}

static void see_markers(struct tool_watch *w, const char *bytes, size_t n, const char *text)
{
	const struct tool_spec *s = w->spec;
	struct regex_match m;

	for (size_t i = 0; i < w->markers; i++) {
		if (!regex_match(w->marker[i], bytes, n, &m) ||
			(w->words &&
				!words_agree(w->words, bytes, n, m.group[0].start, m.group[0].end)))
			continue;
		if (!w->seen.marker[i])
			w->seen.marker[i] = xstrdup(text);
		w->seen.count[i]++;
		w->seen.sum[i] += whole_number(bytes, &m);
		if (s->marked)
			s->marked(s->owner, i, text, &w->seen);
	}
}

static bool see_rules(struct tool_watch *w, const char *bytes, size_t n, const char *text)
{
	size_t known = w->seen.rule ? (size_t)(w->seen.rule - w->spec->rules) : w->rules;

	for (size_t i = 0; i < w->rules; i++) {
		if (!regex_may_match(w->rule[i], bytes, n))
			continue;
		if (i < known) {
			str_replace(&w->seen.rule_line, text);
			w->seen.rule = &w->spec->rules[i];
		}
		return true;
	}
	return false;
}

static void see_phase(struct tool_watch *w, const char *bytes, size_t n)
{
	for (size_t i = 0; i < w->phases; i++)
		if (regex_match(w->phase[i], bytes, n, NULL))
			teller_progress(&w->spec->tell, w->spec->phases[i].phase, i, w->phases);
}

static bool number_of(const char *bytes, const struct regex_match *m, int g, double *ret)
{
	char text[32];

	if (m->groups <= g || m->group[g].start == (size_t)-1 ||
		m->group[g].end - m->group[g].start >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(m->group[g].end - m->group[g].start),
		bytes + m->group[g].start);
	return parse_number(text, ret) && *ret >= 0 && *ret < 1e15;
}

static bool see_progress(struct tool_watch *w, const char *bytes, size_t n)
{
	const char *phase = w->spec->progress_phase ? w->spec->progress_phase : "work";
	struct regex_match m;
	double done, of = 100;

	if (!w->progress || !regex_match(w->progress, bytes, n, &m) ||
		!number_of(bytes, &m, 1, &done))
		return false;
	number_of(bytes, &m, 2, &of);
	teller_progress(&w->spec->tell, phase, (uint64_t)MIN(done, of), (uint64_t)of);
	return true;
}

/* Takes the text. */
static void log_line(struct tool_watch *w, char *text)
{
	if (w->seen.lines <= LOG_HEAD) {
		teller_line(&w->spec->tell, '<', text);
	} else {
		char **slot = &w->tail[w->seen.lines % LOG_TAIL];

		free(*slot);
		*slot = xstrdup(text);
	}
	free(w->seen.last);
	w->seen.last = text;
}

static bool within_limit(struct tool_watch *w, enum proc_stream stream, size_t n)
{
	bool within;

	w->bytes[stream] += n + 1;
	within = w->bytes[stream] <= tool_output_max(w->spec);
	w->seen.cut |= !within;
	return within;
}

void tool_watch_line(void *watch, enum proc_stream stream, const char *bytes, size_t n)
{
	struct tool_watch *w = watch;
	_cleanup_(freep) char *plain = NULL;
	char *text;
	bool failure;

	if (!within_limit(w, stream, n))
		return;
	plain = xcalloc(1, n + 1);
	memcpy(plain, bytes, n);
	n = terminal_plain(plain, n);
	if (n == 0)
		return;
	text = shown(w, plain, n);
	see_markers(w, plain, n, text);
	failure = see_rules(w, plain, n, text);
	see_phase(w, plain, n);
	if (w->version && !w->seen.version)
		w->seen.version = first_group(w, w->version, plain, n);
	if (w->evidence && !w->seen.value)
		w->seen.value = first_group(w, w->evidence, plain, n);
	if (w->complaint && regex_may_match(w->complaint, plain, n))
		str_replace(&w->seen.complaint, text);
	if (see_progress(w, plain, n) && !failure) {
		free(text);
		return;
	}
	w->seen.lines++;
	log_line(w, text);
}

void tool_watch_slow(void *watch, uint64_t elapsed_us, uint64_t budget_us)
{
	struct tool_watch *w = watch;

	teller_log(&w->spec->tell, '#', "%s still runs after %llu s; it is stopped after %llu s",
		tool_name(w->spec), (unsigned long long)(elapsed_us / US_PER_S),
		(unsigned long long)(budget_us / US_PER_S));
}

void tool_watch_flush(struct tool_watch *w)
{
	uint64_t held = w->seen.lines > LOG_HEAD ? w->seen.lines - LOG_HEAD : 0;

	if (held > LOG_TAIL)
		teller_log(&w->spec->tell, '#', "%llu lines are left out",
			(unsigned long long)(held - LOG_TAIL));
	for (uint64_t i = 0; i < MIN(held, (uint64_t)LOG_TAIL); i++) {
		uint64_t line = w->seen.lines - MIN(held, (uint64_t)LOG_TAIL) + 1 + i;
		char **slot = &w->tail[line % LOG_TAIL];

		if (*slot)
			teller_line(&w->spec->tell, '<', *slot);
		free(*slot);
		*slot = NULL;
	}
}

const struct tool_outcome *tool_watch_seen(const struct tool_watch *w)
{
	return &w->seen;
}

struct tool_outcome tool_watch_take(struct tool_watch *w)
{
	struct tool_outcome o = w->seen;

	w->seen = (struct tool_outcome){0};
	return o;
}

int tool_watch_judge(struct tool_watch *w, int ran, struct err *e)
{
	tool_watch_flush(w);
	return tool_judge(w->spec, &w->seen, ran, e);
}
