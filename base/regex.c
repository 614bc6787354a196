/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.h"

#include <pcre2.h>

#include "base/secret.h"
#include "base/util.h"

#define MATCH_LIMIT 200000

struct regex {
	pcre2_code *code;
	pcre2_match_context *limits; /* read-only after regex_new */
	char *pattern;
	/* Atomic: what the last match worked in. To make it again for each line costs more than the
	 * match does. NULL while one uses it; a second one at the same time makes its own. */
	pcre2_match_data *spare;
};

int regex_new(const char *pattern, struct regex **ret, struct err *e)
{
	int code;
	PCRE2_SIZE at;
	struct regex *r = xcalloc(1, sizeof *r);

	r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
		PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
	if (!r->code) {
		PCRE2_UCHAR why[128];

		pcre2_get_error_message(code, why, sizeof why);
		regex_free(r);
		return err_set(e, ERR_INVALID, "pattern '%s': at character %zu: %s", pattern,
			at + 1, (char *)why);
	}
	r->limits = pcre2_match_context_create(NULL);
	if (!r->limits)
		abort();
	pcre2_set_match_limit(r->limits, MATCH_LIMIT);
	r->pattern = xstrdup(pattern);
	*ret = r;
	return 0;
}

struct regex *regex_free(struct regex *r)
{
	if (r) {
		pcre2_match_data_free(r->spare);
		pcre2_match_context_free(r->limits);
		pcre2_code_free(r->code);
		/* A pattern may hold a value that the recipe got from a secret. */
		if (r->pattern)
			secret_wipe(r->pattern, strlen(r->pattern));
		free(r->pattern);
		free(r);
	}
	return NULL;
}

const char *regex_pattern(const struct regex *r)
{
	return r->pattern;
}

static pcre2_match_data *take_data(struct regex *r)
{
	pcre2_match_data *d = __atomic_exchange_n(&r->spare, NULL, __ATOMIC_ACQ_REL);

	if (!d)
		d = pcre2_match_data_create_from_pattern(r->code, NULL);
	if (!d)
		abort();
	return d;
}

static void give_data(struct regex *r, pcre2_match_data *d)
{
	pcre2_match_data_free(__atomic_exchange_n(&r->spare, d, __ATOMIC_ACQ_REL));
}

/* The number of groups, 0 for no match, below 0 where PCRE2 gave up. */
static int match(const struct regex *re, const char *text, size_t len, struct regex_match *m)
{
	struct regex *r = (struct regex *)re; /* nothing changes except the spare */
	pcre2_match_data *d = take_data(r);

	int n = pcre2_match(r->code, (PCRE2_SPTR)text, len, 0, 0, d, r->limits);

	if (n > 0 && m) {
		PCRE2_SIZE *v = pcre2_get_ovector_pointer(d);

		m->groups = MIN(n, REGEX_GROUPS);
		for (int i = 0; i < REGEX_GROUPS; i++) {
			m->group[i].start = i < n ? v[2 * i] : (size_t)-1;
			m->group[i].end = i < n ? v[2 * i + 1] : (size_t)-1;
		}
	}
	give_data(r, d);
	return n == PCRE2_ERROR_NOMATCH ? 0 : n;
}

bool regex_match(const struct regex *r, const char *text, size_t len, struct regex_match *m)
{
	return match(r, text, len, m) > 0;
}

bool regex_may_match(const struct regex *r, const char *text, size_t len)
{
	return match(r, text, len, NULL) != 0;
}
