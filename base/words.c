/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include "base/regex.h"

/* "0 errors", "errors: 0", "error_count=0", "errors: none", "without failures" and "timeout 5 s"
 * refuse nothing, and are passed over first. */
#define BAD_THINGS                                                                  \
	"(?:errs?|errors?|fail(?:s|ed|ures?)?|mismatch(?:es)?|faults?|bad|missing|" \
	"skipped|exceptions?|defects?)"
#define NAUGHT "0+(?![.,]?\\d|[a-z_])"
/* What JSON has in the place of an error that did not happen; "error: null pointer" is one. */
#define NOTHING	    "(?:null|false|\"\"|\\[\\s*\\]|\\{\\s*\\})(?=\\s*(?:$|[,;}\\]]))"
#define COUNTED_BAD "bad(?:\\s+(?:blocks?|sectors?|pages?|bits?|pixels?|packets?|frames?))?"
#define GOOD_NEWS                                                                               \
	"\\b(?:no|0|zero|without)\\s+" BAD_THINGS "\\b(*SKIP)(*F)"                              \
	"|\\b(?:errs?|errors?|fail\\w*|mismatch(?:es)?|faults?|" COUNTED_BAD "|missing|"        \
	"skipped|exceptions?|defects?)[ _-]?(?:code|count|cnt|no|num)?\"?\\s*[:=]\\s*"          \
	"(?:\"?(?:" NAUGHT "|none\\b)|" NOTHING ")(*SKIP)(*F)"                                  \
	"|\\b(?:errs?|errors?)[ _-]?(?:code|count|cnt)?\\s+0+(?=\\s*(?:$|[,;)\\]]))(*SKIP)(*F)" \
	"|\\btime-?out\\s*[:=]?\\s*\\d(*SKIP)(*F)"
/* "errcode=17", "\"errorCode\": 17": another code than 0; "selftestFailed: true". */
#define A_CODE                                                                         \
	"|(?<![a-z0-9])(?:err|error)[ _-]?(?:code|count|cnt|no|num)\"?\\s*[:=]\\s*\"?" \
	"(?!" NAUGHT "|none\\b|ok\\b|no\\b)"                                           \
	"|(?:fail(?:ed|ures?)?|errors?|faults?)\"?\\s*[:=]\\s*\"?(?:true|yes|[1-9])"   \
	"|(?<![a-z0-9])(?:rc|exit[ _-]?(?:code|status)|return[ _-]?code)\\s*[:= ]\\s*-?0*[1-9]"
/* The words of factories in Asia and in the south of Europe: not in small letters, which are nanograms
 * and the ends of names. */
#define NO_GOOD "|(?<![a-z0-9])(?-i:NG|KO)(?![a-z0-9])"

static const char anywhere[] =
	"(?i)" GOOD_NEWS A_CODE NO_GOOD
	"|(?<![a-z0-9])(?:not|(?:err|error|fail|failed)\\d*|errors|fail(?:s|ure|ures|ing)|nak|nack"
	"|abort(?:ed|ing)?|cannot|[a-z]+n(?:'|\xe2\x80\x99)t|never|unable|denied|refused|rejected"
	"|n\\.?ok|invalid|mismatch(?:es|ed)?|incorrect|wrong|unsuccessful|timed[ -]?out"
	"|time-?out|cancell?ed|interrupted|fehler|nicht|bad|fault(?:s|y)?|panic|corrupt(?:ed)?|missing"
	"|dry[ -]?run|simulated|bypassed|broken|defect(?:s|ive)?|exceptions?|skipped|illegal|un(?:recogni[sz]ed|supported|available))"
	"(?![a-z0-9])";

/* "NOK", "n.i.O.", "un-READY"; "expected OK" and "waiting for READY" say that it did not come. */
static const char directly_before[] =
	"(?i)(?<![a-z0-9])(?:n\\.?|(?:no|not|non|un)[\\s_-]*"
	"|(?:(?<!as )expect(?:ed|ing|s)?|awaiting|wait(?:ing)?\\s+for|almost|nearly"
	"|(?:would|should|must)\\s+be)[\\s'\"]+)$";

/* "PASSED: 0/5", "OK=0", "OK: false", "READY? no", "\"ok\": false", "<ok>false</ok>". */
static const char directly_after[] =
	"(?i)^[\"']?\\s*(?:[:=?]\\s*[\"']?(?:false|no|off|n|f)\\b|=\\s*" NAUGHT
	"|[:=]?\\s*0+\\s*(?:/|of\\b|out of\\b))|^>\\s*(?:false|no|off|0)\\s*<";

/* A word by which a unit agrees, and asks with: "OK to erase? [y/N]". */
static const char agrees[] = "(?i)^(?:ok|okay|pass|passed|success|ready|done)$";
static const char asks[] = "(?i)(?:\\?|[\\[(]y(?:es)?/no?[\\])]\\s*[?:]?)\\s*$";

/* "0 passed" and "ready: 0" mean none; a password passes nothing; "0 OK" may be a code and its
 * name. 3 of 5, or 40 %, is not all. */
static const char none_before[] =
	"(?i)(?:(?<![\\w.,:=])0+\\s*(?:(?:/|of|out of)\\s*\\d+\\s+)?"
	"|(?<![\\w.,:=/])(\\d+)\\s*(?:/|of|out of)\\s*(?!\\1\\b)\\d+\\s+"
	"|(?<![\\w.,])\\d{1,2}(?:\\.\\d+)?\\s*%\\s*)(?:tests?\\s+|checks?\\s+)?$";
static const char none_after[] =
	"(?i)^\\s*[:=]?\\s*(?:(\\d+)\\s*(?:/|of|out of)\\s*(?!\\1\\b)\\d|\\d{1,2}(?:\\.\\d+)?\\s*%)"
	"|^\\s*:\\s*" NAUGHT "(?!\\s+" BAD_THINGS
	"\\b(?!\\s*[:=\\d]))|^(?:word|wd|phrase|code|key|port)";
static const char passed[] = "(?i)^(?:pass|success|ready$)";

/* What a line of its own says at its beginning. */
static const char fails_first[] =
	"(?i)" GOOD_NEWS
	"|^\\W*(?:err|error|fail|failed|failure|nak|nack|not|unknown|denied|refused"
	"|rejected|aborted|cannot|unable)\\b|\\bunknown command\\b";

/* And anywhere: without what a log says of a unit that is well ("not connected", "fault log"). */
static const char fails[] =
	"(?i)" GOOD_NEWS A_CODE NO_GOOD
	"|(?<![a-z0-9])(?:(?:err|error|fail|failed)\\d*|errors|fail(?:s|ure|ures)"
	"|nak|nack|abort(?:ed|ing)|denied|refused|rejected|n\\.?ok|mismatch(?:es|ed)?|unsuccessful"
	"|timed[ -]?out|time-?out|fehler|panic|(?:hard|bus|usage|mem|segmentation) ?fault)(?![a-z0-9])";

struct words {
	struct regex *anywhere, *before, *after, *agrees, *asks, *none_before, *none_after, *passed,
		*fails, *fails_first;
};

struct words *words_new(void)
{
	struct words *w = xcalloc(1, sizeof *w);

	/* Constants: a pattern that does not compile is a mistake in this file. */
	if (regex_new(anywhere, &w->anywhere, NULL) < 0 ||
		regex_new(directly_before, &w->before, NULL) < 0 ||
		regex_new(directly_after, &w->after, NULL) < 0 ||
		regex_new(agrees, &w->agrees, NULL) < 0 || regex_new(asks, &w->asks, NULL) < 0 ||
		regex_new(none_before, &w->none_before, NULL) < 0 ||
		regex_new(none_after, &w->none_after, NULL) < 0 ||
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
		regex_free(w->agrees);
		regex_free(w->asks);
		regex_free(w->none_before);
		regex_free(w->none_after);
		regex_free(w->passed);
		regex_free(w->fails);
		regex_free(w->fails_first);
		free(w);
	}
	return NULL;
}

bool words_against(const struct words *w, const char *line, size_t n, size_t start, size_t end)
{
	const char *found, *rest;

	if (start > end || end > n)
		return false;
	found = line + start;
	rest = line + end;
	if (regex_may_match(w->anywhere, line, start) || regex_may_match(w->before, line, start) ||
		regex_may_match(w->anywhere, rest, n - end) ||
		regex_may_match(w->after, rest, n - end))
		return true;
	if (regex_match(w->agrees, found, end - start, NULL) &&
		regex_may_match(w->asks, rest, n - end))
		return true;
	return regex_match(w->passed, found, end - start, NULL) &&
	       (regex_may_match(w->none_before, line, start) ||
		       regex_may_match(w->none_after, rest, n - end));
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether one word goes on from a to b; a capital after a small letter begins another one. */
static bool goes_on(char a, char b)
{
	return is_letter(a) && is_letter(b) && !(a >= 'a' && b <= 'Z');
}

bool words_is_part(const char *line, size_t n, size_t start, size_t end)
{
	if (start == 0 || start >= end || end >= n)
		return false;
	for (size_t i = start; i < end; i++)
		if (!is_letter(line[i]))
			return false;
	return goes_on(line[start - 1], line[start]) && goes_on(line[end - 1], line[end]);
}

bool words_agree(const struct words *w, const char *line, size_t n, size_t start, size_t end)
{
	return !words_is_part(line, n, start, end) && !words_against(w, line, n, start, end);
}

bool words_fail(const struct words *w, const char *line, size_t n)
{
	return regex_may_match(w->fails, line, n) || words_fail_first(w, line, n);
}

bool words_fail_first(const struct words *w, const char *line, size_t n)
{
	return regex_may_match(w->fails_first, line, n);
}
