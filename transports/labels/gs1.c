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

/* --- what was scanned --- */

/* Bytes of the AIM identifier at s: ], a letter, a modifier; 0 where there is none. */
static size_t aim_at(const char *s)
{
	bool letter = s[0] == ']' && ((s[1] >= 'A' && s[1] <= 'Z') || (s[1] >= 'a' && s[1] <= 'z'));

	return letter && s[2] ? AIM_BYTES - 1 : 0;
}

static bool aim_is_gs1(const char *aim)
{
	static const char *const known[] = {"]C1", "]d2", "]Q3", "]e0", "]J1"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i], aim))
			return true;
	return false;
}

/* With GS for each separator, and without one at the beginning or the end, which some scanners send. */
static char *plain_gs1(const char *code, const char *separator)
{
	size_t n = separator ? strlen(separator) : 0;
	struct strbuf b = {0};

	for (const char *s = code; *s;) {
		bool gs = n && !strncmp(s, separator, n);

		if (gs || *s == GS1_GS) {
			if (b.len > 0)
				sb_addf(&b, "%c", GS1_GS);
		} else {
			sb_add_n(&b, s, 1);
		}
		s += gs ? n : 1;
	}
	while (b.len > 0 && b.s[b.len - 1] == GS1_GS)
		b.s[--b.len] = '\0';
	return sb_take(&b);
}

static char *without_gs(const char *s)
{
	struct strbuf b = {0};

	for (; *s; s++)
		if (*s != GS1_GS)
			sb_add_n(&b, s, 1);
	return sb_take(&b);
}

static int differs(const char *code, const char *expected, struct err *e)
{
	_cleanup_(sb_done) struct strbuf shown = {0};

	sb_add_escaped(&shown, code, strlen(code));
	return err_set(e, ERR_READ_BACK_MISMATCH, "'%.100s' was scanned, '%.100s' expected",
		shown.s ? shown.s : "", expected);
}

static int gs1_equals(const char *code, const char *expected, const char *separator,
	const char *aim, struct err *e)
{
	_cleanup_(freep) char *want = NULL;
	_cleanup_(freep) char *got = plain_gs1(code, separator);
	_cleanup_(freep) char *joined = NULL;
	int r = gs1_scanned(expected, &want, e);

	if (r < 0)
		return r;
	if (*aim && !aim_is_gs1(aim))
		return err_set(e, ERR_READ_BACK_MISMATCH,
			"a code of AIM identifier %s was scanned, one of GS1 expected such as ]C1 or ]d2",
			aim);
	if (!strcmp(got, want))
		return 0;
	joined = without_gs(want);
	if (!strcmp(got, joined))
		return err_set(e, ERR_READ_BACK_MISMATCH,
			"'%.100s' was scanned: the GS between its fields is missing, set the scanner to send it or a character in its place (see 'separator')",
			got);
	return differs(got, expected, e);
}

int code_equals(const char *scanned, const char *expected, const char *separator,
	char ret_aim[AIM_BYTES], struct err *e)
{
	size_t n = *expected == ']' ? 0 : aim_at(scanned);
	const char *code = scanned + n;

	memcpy(ret_aim, scanned, n);
	ret_aim[n] = '\0';
	if (ai_at(expected))
		return gs1_equals(code, expected, separator, ret_aim, e);
	return strcmp(code, expected) != 0 ? differs(code, expected, e) : 0;
}
