/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include "base/regex.h"

/* "0 errors", "errors: 0", "without failures" and "timeout 5 s" refuse nothing, and are passed over
 * first. */
#define GOOD_NEWS                                                                                \
	"\\b(?:no|0|zero|without)\\s+(?:errors?|fail(?:s|ed|ures?)?|mismatch(?:es)?)\\b(*SKIP)(" \
	"*F)"                                                                                    \
	"|\\b(?:errs?|errors?|fail\\w*|mismatch(?:es)?)\\s*[:=]\\s*0+(?![.,]?\\d|x)(*SKIP)(*F)"  \
	"|\\btime-?out\\s*[:=]?\\s*\\d(*SKIP)(*F)"

static const char anywhere[] =
	"(?i)" GOOD_NEWS
	"|(?<![a-z0-9])(?:not|(?:err|error|fail|failed)\\d*|errors|fail(?:s|ure|ures|ing)|nak|nack"
	"|abort(?:ed|ing)?|cannot|[a-z]+n(?:'|\xe2\x80\x99)t|never|unable|denied|refused|rejected"
	"|n\\.?ok|invalid|mismatch(?:es|ed)?|incorrect|wrong|unsuccessful|timed[ -]?out"
	"|time-?out|cancell?ed|interrupted|fehler|nicht)(?![a-z0-9])";

/* "NOK", "n.i.O.", "un-READY". */
static const char directly_before[] = "(?i)(?<![a-z0-9])(?:n\\.?|(?:no|not|non|un)[\\s_-]*)$";

/* "PASSED: 0/5", "OK=0", "OK: false", "READY? no". */
static const char directly_after[] = "(?i)^\\s*(?:[:=?]\\s*(?:false|no)\\b|=\\s*0+(?![.,]?\\d|x)|[:"
				     "=]?\\s*0+\\s*(?:/|of\\b|out of\\b))";

/* "0 passed" is none; "0 OK" may be a code and its name. */
static const char none_before[] = "(?i)(?<![\\w.,:=])0+\\s*(?:(?:/|of|out of)\\s*\\d+\\s+)?"
				  "(?:tests?\\s+|checks?\\s+)?$";
static const char passed[] = "(?i)^(?:pass|success)";

/* What a line of its own says at its begin. */
static const char fails_first[] =
	"(?i)" GOOD_NEWS
	"|^\\W*(?:err|error|fail|failed|failure|nak|nack|not|unknown|denied|refused"
	"|rejected|aborted|cannot|unable)\\b|\\bunknown command\\b";

/* And anywhere: without what a log says of a unit that is well ("not connected"). */
static const char fails[] =
	"(?i)" GOOD_NEWS "|(?<![a-z0-9])(?:(?:err|error|fail|failed)\\d*|errors|fail(?:s|ure|ures)"
	"|nak|nack|abort(?:ed|ing)|denied|refused|rejected|n\\.?ok|mismatch(?:es|ed)?|unsuccessful"
	"|timed[ -]?out|time-?out|fehler)(?![a-z0-9])";

struct words {
	struct regex *anywhere, *before, *after, *none, *passed, *fails, *fails_first;
};

struct words *words_new(void)
{
	struct words *w = xcalloc(1, sizeof *w);

	/* Constants: a pattern that does not compile is a mistake in this file. */
	if (regex_new(anywhere, &w->anywhere, NULL) < 0 ||
		regex_new(directly_before, &w->before, NULL) < 0 ||
		regex_new(directly_after, &w->after, NULL) < 0 ||
		regex_new(none_before, &w->none, NULL) < 0 ||
		regex_new(passed, &w->passed, NULL) < 0 || regex_new(fails, &w->fails, NULL) < 0 ||
		regex_new(fails_first, &w->fails_first, NULL) < 0)
		abort();
	return w;
}

struct words *words_free(struct words *w)
{
	if (w) {
		regex_free(w->anywhere);
		regex_free(w->before);
		regex_free(w->after);
		regex_free(w->none);
		regex_free(w->passed);
		regex_free(w->fails);
		regex_free(w->fails_first);
		free(w);
	}
	return NULL;
}

bool words_against(const struct words *w, const char *line, size_t n, size_t start, size_t end)
{
	if (start > end || end > n)
		return false;
	return regex_match(w->anywhere, line, start, NULL) ||
	       regex_match(w->before, line, start, NULL) ||
	       regex_match(w->anywhere, line + end, n - end, NULL) ||
	       regex_match(w->after, line + end, n - end, NULL) ||
	       (regex_match(w->passed, line + start, end - start, NULL) &&
		       regex_match(w->none, line, start, NULL));
}

bool words_fail(const struct words *w, const char *line, size_t n)
{
	return regex_match(w->fails, line, n, NULL) || words_fail_first(w, line, n);
}

bool words_fail_first(const struct words *w, const char *line, size_t n)
{
	return regex_match(w->fails_first, line, n, NULL);
}
