/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include "base/regex.h"

static const char anywhere[] =
	"(?i)\\b(?:no|0|zero|without)\\s+(?:errors?|fail(?:s|ed|ures?)?)\\b(*SKIP)(*F)"
	"|\\b(?:errs?|errors?|fail\\w*)\\s*[:=]\\s*0+(?![.\\d])(*SKIP)(*F)"
	"|(?<![a-z0-9])(?:not|err|errors?|fail(?:s|ed|ure|ures|ing)?|nak|nack|abort(?:ed|ing)?"
	"|cannot|can't|unable|denied|refused|rejected)(?![a-z0-9])";

static const char directly_before[] = "(?i)(?<![a-z0-9])(?:no|not|non|un)[\\s_-]*$";

struct words {
	struct regex *anywhere, *before;
};

struct words *words_new(void)
{
	struct words *w = xcalloc(1, sizeof *w);

	/* Constants: a pattern that does not compile is a mistake in this file. */
	if (regex_new(anywhere, &w->anywhere, NULL) < 0 ||
		regex_new(directly_before, &w->before, NULL) < 0)
		abort();
	return w;
}

struct words *words_free(struct words *w)
{
	if (w) {
		regex_free(w->anywhere);
		regex_free(w->before);
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
	       regex_match(w->anywhere, line + end, n - end, NULL);
}
