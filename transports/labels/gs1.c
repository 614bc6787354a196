/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/labels/gs1.h"

#include <stdint.h>
#include <string.h>

#include "base/util.h"

static const char digits_of[] = "0123456789";

/* The length of "(AI)" at s, 0 where there is none. */
static size_t ai_at(const char *s)
{
	size_t n = *s == '(' ? strspn(s + 1, digits_of) : 0;

	return n >= 2 && n <= 4 && s[1 + n] == ')' ? n + 2 : 0;
}

bool gs1_next(
	const char **text, char ret_ai[GS1_AI_BYTES], size_t *ret_n, bool *ret_bad, struct err *e)
{
	const char *s = *text;
	size_t n = ai_at(s);

	*ret_bad = *s && !n;
	if (*ret_bad)
		err_set(e, ERR_INVALID,
			"'%.40s' does not begin with an Application Identifier of 2 to 4 digits in parentheses such as (01)",
			s);
	if (!n)
		return false;
	memcpy(ret_ai, s + 1, n - 2);
	ret_ai[n - 2] = '\0';
	s += n;
	*text = s;
	while (*s && !ai_at(s))
		s++;
	*ret_n = (size_t)(s - *text);
	return true;
}

char gs1_check_digit(const char *digits)
{
	unsigned sum = 0, weight = 3;

	for (size_t i = strlen(digits); i > 0; i--, weight = 4 - weight)
		sum += (unsigned)(digits[i - 1] - '0') * weight;
	return (char)('0' + (10 - sum % 10) % 10);
}

size_t gs1_key_digits(const char *ai)
{
	if (!strcmp(ai, "00"))
		return 18;
	return !strcmp(ai, "01") || !strcmp(ai, "02") ? 14 : 0;
}

int gs1_value(const char *ai, const char *value, bool compute, char **ret, struct err *e)
{
	size_t key = gs1_key_digits(ai);
	size_t want = compute ? key - 1 : key;
	_cleanup_(freep) char *body = NULL;
	char digit;

	if (!key) {
		*ret = xstrdup(value);
		return 0;
	}
	if (strlen(value) != want || strspn(value, digits_of) != want)
		return err_set(e, ERR_INVALID, "(%s) has '%.40s': %zu digits expected%s", ai, value,
			want, compute ? ", without the check digit, which is computed" : "");
	body = strndup(value, key - 1);
	digit = gs1_check_digit(body);
	if (!compute && value[key - 1] != digit)
		return err_set(e, ERR_INVALID,
			"(%s) has '%s', whose check digit is %c and should be %c: one of its digits is wrong",
			ai, value, value[key - 1], digit);
	*ret = xasprintf("%s%c", body, digit);
	return 0;
}

bool gs1_predefined(const char *ai)
{
	static const char *const first[] = {"00", "01", "02", "03", "04", "11", "12", "13", "14",
		"15", "16", "17", "18", "19", "20", "31", "32", "33", "34", "35", "36", "41"};

	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		if (!strncmp(ai, first[i], 2))
			return true;
	return false;
}

int gs1_scanned(const char *text, char **ret, struct err *e)
{
	struct strbuf b = {0};
	char ai[GS1_AI_BYTES];
	bool bad, gs = false;
	size_t n;

	while (gs1_next(&text, ai, &n, &bad, e)) {
		if (gs)
			sb_addf(&b, "%c", GS1_GS);
		sb_add(&b, ai);
		sb_add_n(&b, text, n);
		gs = !gs1_predefined(ai);
		text += n;
	}
	if (bad) {
		sb_done(&b);
		return -ERR_INVALID;
	}
	*ret = sb_take(&b);
	return 0;
}
