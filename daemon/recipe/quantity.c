/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/quantity.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"

#define NUMBER_MAX 48	  /* characters; no instrument prints more */
#define NO_VALUE   9.9e37 /* SCPI-99: 9.9E37 infinity, 9.91E37 not a number */

enum prefixes { NONE, ALL };

/* Names of one unit follow each other; kind is what may be converted into each other. */
static const struct unit {
	const char *name;
	const char *kind;
	double factor; /* to the unit of the kind */
	enum prefixes prefixes;
} units[] = {
	{"V", "V", 1, ALL},
	{"v", "V", 1, ALL},
	{"Volt", "V", 1, NONE},
	{"Volts", "V", 1, NONE},
	{"A", "A", 1, ALL},
	{"Amp", "A", 1, NONE},
	{"Amps", "A", 1, NONE},
	{"W", "W", 1, ALL},
	{"VA", "VA", 1, ALL},
	{"var", "var", 1, ALL},
	{"Ohm", "Ohm", 1, ALL},
	{"ohm", "Ohm", 1, ALL},
	{"Ohms", "Ohm", 1, ALL},
	{"ohms", "Ohm", 1, ALL},
	{"\u03a9", "Ohm", 1, ALL}, /* Greek capital omega */
	{"\u2126", "Ohm", 1, ALL}, /* ohm sign */
	{"S", "S", 1, ALL},
	{"F", "F", 1, ALL},
	{"H", "H", 1, ALL},
	{"C", "degC", 1, NONE}, /* what thermometers say, not the coulomb */
	{"degC", "degC", 1, NONE},
	{"deg C", "degC", 1, NONE},
	{"degrees C", "degC", 1, NONE},
	{"\u00baC", "degC", 1, NONE}, /* the ordinal sign in the place of the degree */
	{"\u00b0C", "degC", 1, NONE},
	{"\u00b0 C", "degC", 1, NONE},
	{"\\xb0C", "degC", 1, NONE}, /* Latin-1: not UTF-8, so it comes escaped */
	{"\u2103", "degC", 1, NONE},
	{"Celsius", "degC", 1, NONE},
	{"degF", "degF", 1, NONE},
	{"deg F", "degF", 1, NONE},
	{"degrees F", "degF", 1, NONE},
	{"\u00b0 F", "degF", 1, NONE},
	{"\u00baF", "degF", 1, NONE},
	{"\u00b0F", "degF", 1, NONE},
	{"\\xb0F", "degF", 1, NONE},
	{"\u2109", "degF", 1, NONE},
	{"Fahrenheit", "degF", 1, NONE},
	{"K", "K", 1, NONE},
	{"mK", "K", 1e-3, NONE},
	{"Hz", "Hz", 1, ALL},
	{"hz", "Hz", 1, ALL},
	{"HZ", "Hz", 1, NONE},
	{"s", "s", 1, ALL},
	{"sec", "s", 1, NONE},
	{"min", "s", 60, NONE},
	{"h", "s", 3600, NONE},
	{"m", "m", 1, ALL},
	{"cm", "m", 1e-2, NONE},
	{"g", "g", 1, ALL},
	{"N", "N", 1, ALL},
	{"Nm", "Nm", 1, ALL},
	{"J", "J", 1, ALL},
	{"Wh", "J", 3600, ALL},
	{"Ah", "As", 3600, ALL},
	{"As", "As", 1, NONE},
	{"Pa", "Pa", 1, ALL},
	{"hPa", "Pa", 1e2, NONE},
	{"bar", "Pa", 1e5, NONE},
	{"mbar", "Pa", 1e2, NONE},
	{"psi", "psi", 1, NONE},
	{"T", "T", 1, ALL},
	{"lx", "lx", 1, ALL},
	{"lux", "lx", 1, NONE},
	{"lm", "lm", 1, ALL},
	{"cd", "cd", 1, ALL},
	{"l", "l", 1, ALL}, /* not L: multimeters show 0.L for overload */
	{"mL", "l", 1e-3, NONE},
	{"dB", "dB", 1, NONE},
	{"dBm", "dBm", 1, NONE},
	{"dBV", "dBV", 1, NONE},
	{"dBuV", "dBuV", 1, NONE},
	{"%", "%", 1, NONE},
	{"pct", "%", 1, NONE},
	{"percent", "%", 1, NONE},
	{"%RH", "%RH", 1, NONE},
	{"ppm", "ppm", 1, NONE},
	{"deg", "deg", 1, NONE},
	{"degrees", "deg", 1, NONE},
	{"\u00ba", "deg", 1, NONE},
	{"\u00b0", "deg", 1, NONE},
	{"rad", "rad", 1, ALL},
	{"rpm", "rpm", 1, NONE},
	{"RPM", "rpm", 1, NONE},
	{"bit/s", "bit/s", 1, ALL},
	{"B", "B", 1, NONE},
	{"counts", "counts", 1, NONE},
	{"LSB", "counts", 1, NONE},
};

static const struct {
	const char *text;
	double factor;
} prefixes[] = {
	{"p", 1e-12},
	{"n", 1e-9},
	{"u", 1e-6},
	{"\u00b5", 1e-6}, /* micro sign */
	{"\u03bc", 1e-6}, /* Greek mu */
	{"\\xb5", 1e-6},
	{"m", 1e-3},
	{"k", 1e3},
	{"K", 1e3},
	{"M", 1e6},
	{"G", 1e9},
	{"T", 1e12},
};

static bool find_name(const char *name, bool prefixed, const struct unit **ret)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!strcmp(units[i].name, name) && (!prefixed || units[i].prefixes == ALL)) {
			*ret = &units[i];
			return true;
		}
	return false;
}

/* Whether the table knows it; *ret_factor to the unit of its kind. */
static bool find_unit(const char *name, const char **ret_kind, double *ret_factor)
{
	const struct unit *u;
	double prefix = 1;
	bool found = find_name(name, false, &u);

	for (size_t i = 0; !found && i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i].text);

		if (strncmp(name, prefixes[i].text, n) != 0)
			continue;
		found = find_name(name + n, true, &u);
		prefix = prefixes[i].factor;
	}
	if (found) {
		*ret_kind = u->kind;
		*ret_factor = u->factor * prefix;
	}
	return found;
}

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* A sign, which may be U+2212 and may be set apart. */
static const char *read_sign(const char *p, bool *ret_minus)
{
	static const char minus[] = "\u2212";

	*ret_minus = *p == '-' || !strncmp(p, minus, strlen(minus));
	if (*p == '-' || *p == '+')
		return skip_blanks(p + 1);
	return *ret_minus ? skip_blanks(p + strlen(minus)) : p;
}

static size_t digits(const char *p)
{
	return strspn(p, "0123456789");
}

/* The end of digits [. digits] [e digits], or NULL. */
static const char *number_end(const char *p)
{
	size_t whole = digits(p), part = 0;

	p += whole;
	if (*p == '.') {
		part = digits(p + 1);
		p += 1 + part;
	}
	if (whole + part == 0)
		return NULL;
	if (*p == 'e' || *p == 'E') {
		const char *q = p + 1 + (p[1] == '+' || p[1] == '-');

		if (digits(q))
			p = q + digits(q);
	}
	return p;
}

/* Whether a recipe may name it as a unit: "m/s2", "\u00b5g/m\u00b3", "kg*m^2". A figure comes after
 * a letter. */
static bool is_unit_like(const char *name)
{
	bool letters = false;

	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		letters |= isalpha(*c) || *c >= 0x80;
		if (!isalpha(*c) && *c < 0x80 && !strchr("/%_", *c) &&
			!(letters && (isdigit(*c) || strchr("^*", *c))))
			return false;
	}
	return true;
}

/* What comes after the number up to the end: a word, or two as "deg C". NULL or what is wrong. */
static const char *read_unit(const char *p, struct quantity *q)
{
	const char *kind;
	double factor;
	size_t n;

	p = skip_blanks(p);
	n = strlen(p);
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	if (n >= sizeof q->unit)
		return "has more than a number and its unit";
	memcpy(q->unit, p, n);
	q->unit[n] = '\0';
	if (n == 0 || find_unit(q->unit, &kind, &factor))
		return NULL;
	return is_unit_like(q->unit) ? NULL : "is not one number with its unit";
}

/* NULL or what is wrong. */
static const char *parse(const char *text, struct quantity *ret)
{
	struct quantity q = {0};
	char number[NUMBER_MAX + 2] = "-";
	bool minus;
	const char *start = read_sign(skip_blanks(text), &minus);
	const char *end = number_end(start);
	const char *why;

	if (!end)
		return "is not a number";
	if (end - start > NUMBER_MAX)
		return "has more digits than a number";
	memcpy(number + 1, start, (size_t)(end - start));
	if (!parse_number(number + !minus, &q.value))
		return "is too large for a number";
	if (fabs(q.value) >= NO_VALUE)
		return "is what instruments say when they have no value";
	/* Hexadecimal and binary, no unit. */
	if (end == start + 1 && *start == '0' && *end && strchr("xXbB", *end))
		return "is not one number with its unit";
	why = read_unit(end, &q);
	if (!why)
		*ret = q;
	return why;
}

static int judged(const char *text, const char *why, struct err *e)
{
	return why ? err_set(e, ERR_NOT_A_NUMBER, "'%.100s' %s", text, why) : 0;
}

int quantity_parse(const char *text, struct quantity *ret, struct err *e)
{
	return judged(text, parse(text, ret), e);
}

/* --- within a line --- */

static bool is_word(const char *label, size_t n, const char *word)
{
	return strlen(word) == n && !strncasecmp(label, word, n);
}

/* "overrange=0" and "\"stale\": false" say that it is not so. */
static bool is_denied(const char *text, size_t n)
{
	static const char *const words[] = {"0", "no", "none", "false", "off"};
	size_t i = 0, k = 0;

	while (i < n && strchr("\" =:", text[i]))
		i++;
	while (i + k < n && (isalnum((unsigned char)text[i + k]) || text[i + k] == '.'))
		k++;
	if (i == 0 || !memchr(text, '=', i) == !memchr(text, ':', i))
		return false;
	for (size_t w = 0; w < ARRAY_LEN(words); w++)
		if (is_word(text + i, k, words[w]))
			return true;
	return false;
}

static bool has_word(const char *text, size_t n, const char *const *words, size_t count)
{
	for (size_t i = 0; i < n;) {
		size_t k = 0;

		while (i + k < n && isalpha((unsigned char)text[i + k]))
			k++;
		for (size_t w = 0; w < count; w++)
			if (is_word(text + i, k, words[w]) && !is_denied(text + i + k, n - i - k))
				return true;
		i += k + 1;
	}
	return false;
}

bool quantity_is_none(const char *text, size_t n)
{
	static const char *const words[] = {"nan", "overload", "overrange", "overflow",
		"underrange", "underflow", "ovld", "ovl", "ol", "saturated", "clipped", "uncal",
		"uncalibrated", "stale", "invalid"};

	return has_word(text, n, words, ARRAY_LEN(words));
}

/* Words by which the number is not the value. */
static bool speaks_of_else(const char *label, size_t n)
{
	static const char *const words[] = {"err", "error", "errors", "fail", "failed", "failure",
		"not", "no", "code", "errno", "limit", "above", "below", "over", "under", "approx",
		"timeout", "noerror"};

	return has_word(label, n, words, ARRAY_LEN(words)) || quantity_is_none(label, n);
}

/* The length of a label up to its separator, 0 for none. A digit is part of a name ("ch1"), never
 * a word of its own: "Time 12:30" has none. */
static size_t label_len(const char *text)
{
	size_t n = strcspn(text, "=:");

	if (!text[n] || n == 0 || !isalpha((unsigned char)text[0]))
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (isdigit(c) && strchr(" \t", text[i - 1]))
			return 0;
		if (!isalnum(c) && !strchr(" \t_-./()[]#", c))
			return 0;
	}
	return speaks_of_else(text, n) ? 0 : n;
}

/* Names of units that are words of a label too. One letter is a name as well: "phase A". */
static bool is_unit_of_label(const char *name)
{
	static const char *const words[] = {"min", "var", "pH", "As", "cd"};
	const char *kind;
	double factor;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(name, words[i]))
			return false;
	return strlen(name) >= 2 && find_unit(name, &kind, &factor);
}

/* The unit at the end of a label, for a value that has none: "I (mA)", "t_ms", "\"i_mA\"". */
static void take_unit_of_label(const char *label, size_t n, struct quantity *q)
{
	char name[QUANTITY_UNIT_MAX];
	bool bracket;
	size_t k = 0;

	while (n > 0 && strchr(" \t", label[n - 1]))
		n--;
	n -= n > 0 && label[n - 1] == '"';
	bracket = n > 0 && strchr(")]", label[n - 1]);
	n -= bracket;
	while (k < n && !strchr(bracket ? "([" : " \t_-.\"", label[n - 1 - k]))
		k++;
	if (q->unit[0] || k >= sizeof name)
		return;
	memcpy(name, label + n - k, k);
	name[k] = '\0';
	if (!is_unit_of_label(name))
		return;
	memcpy(q->unit, name, k + 1);
	q->from_label = true;
}

int quantity_parse_labelled(const char *text, struct quantity *ret, struct err *e)
{
	const char *line = skip_blanks(text);
	size_t label = label_len(line);
	const char *why = parse(label ? line + label + 1 : line, ret);

	if (!why && label)
		take_unit_of_label(line, label, ret);
	return judged(text, why, e);
}

/* "E-3" and "x 10^3" after a number, with or without a blank before it: its exponent. */
static bool scales(const char *p)
{
	static const char *const times[] = {"x", "X", "*", "\u00d7", "\u00b7"};

	if (*p == 'e' || *p == 'E')
		return digits(p + 1 + (p[1] == '+' || p[1] == '-')) > 0;
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		size_t n = strlen(times[i]);

		if (!strncmp(p, times[i], n) && !strncmp(skip_blanks(p + n), "10", 2))
			return true;
	}
	return false;
}

/* Whether what touches a number at p makes it a part of something else. A comma or point at the end
 * of a phrase does not. */
static bool joins_after(const char *p)
{
	unsigned char c = (unsigned char)*p;

	/* A range: "3.3..3.5". */
	if (c == '.')
		return isdigit((unsigned char)p[strspn(p, ".")]);
	if (c && strchr(",'", c))
		return isdigit((unsigned char)p[1]);
	/* A group of thousands that is set apart. */
	if (c == ' ' && digits(p + 1) == 3)
		return true;
	if (scales(skip_blanks(p)))
		return true;
	/* A part or a multiple of it, or a date: "3.3/2", "3.3 * 2". */
	if (*skip_blanks(p) && strchr("/*", *skip_blanks(p)))
		return true;
	/* A backslash: a byte that is not text was escaped. It may have been the point. */
	return isalnum(c) || (c && strchr("+-_#%^\\", c)) || c >= 0x80;
}

/* Whether text[0..end) ends in a word, which nothing else of a word comes before. */
static bool ends_in(const char *text, size_t end, const char *word)
{
	size_t n = strlen(word);

	if (n > end || strncasecmp(text + end - n, word, n) != 0)
		return false;
	return !isalpha((unsigned char)*word) || n == end ||
	       !isalnum((unsigned char)text[end - n - 1]);
}

/* "12 345.6": digits before text[start], the point of three more, and a blank between. */
static bool in_groups(const char *text, size_t start)
{
	size_t k = 0;

	if (start < 2 || text[start - 1] != ' ' || digits(text + start) != 3)
		return false;
	while (k < start - 1 && isdigit((unsigned char)text[start - 2 - k]))
		k++;
	/* "CH1 234" has a name before it. */
	return k > 0 && k <= 3 && (k == start - 1 || !strchr("_.,:-+/", text[start - 2 - k])) &&
	       (k == start - 1 || !isalnum((unsigned char)text[start - 2 - k]));
}

/* "<v>3.3": the sign is not a bound. */
static bool is_after_tag(const char *text, size_t start)
{
	size_t k = start - 1;

	if (start < 3 || text[k] != '>')
		return false;
	while (k > 0 && (isalnum((unsigned char)text[k - 1]) || strchr("_-:.", text[k - 1])))
		k--;
	return k > 0 && text[k - 1] == '<' && isalpha((unsigned char)text[k]);
}

static bool joins_before(const char *text, size_t start)
{
	/* Signs, bounds and estimates. */
	static const char *const lost[] = {"-", "+", "<", ">", "~", "<=", ">=", "=<", "=>",
		"~=", "\u2212", "\u2013", "\u2014", "\u00b1", "\u2264", "\u2265", "\u2248",
		"\u2243", "\u226a", "\u226b", "minus", "negative", "plus/minus", "about", "around",
		"approx", "approx.", "roughly", "ca.", "circa"};
	unsigned char c = start ? (unsigned char)text[start - 1] : 0;

	if (c && (isalnum(c) || strchr(".,'_#", c) || c >= 0x80))
		return true;
	if (in_groups(text, start))
		return true;
	if (is_after_tag(text, start))
		return false;
	while (start > 0 && (text[start - 1] == ' ' || text[start - 1] == '\t'))
		start--;
	/* One that is set apart: the pattern lost it. */
	for (size_t i = 0; i < ARRAY_LEN(lost); i++)
		if (ends_in(text, start, lost[i]))
			return true;
	return false;
}

static bool is_unit(const char *name)
{
	const char *kind;
	double factor;

	return find_unit(name, &kind, &factor);
}

/* "mVrms", "VDC": the unit of another quantity than V. */
static bool is_variant(const char *name)
{
	static const char *const ends[] = {"rms", "RMS", "dc", "DC", "ac", "AC", "pp", "p"};
	char base[QUANTITY_UNIT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(name), k = strlen(ends[i]);

		if (n <= k || strcmp(name + n - k, ends[i]) != 0)
			continue;
		memcpy(base, name, n - k);
		base[n - k] = '\0';
		if (is_unit(base))
			return true;
	}
	return false;
}

/* "k" alone, "mVolts", "millivolts": a multiple that the table does not have, which is refused
 * rather than passed over. */
static bool is_scaled(const char *name)
{
	static const char *const long_prefixes[] = {
		"pico", "nano", "micro", "milli", "kilo", "meg", "giga", "thousand", "million"};

	for (size_t i = 0; i < ARRAY_LEN(long_prefixes); i++)
		if (!strncasecmp(name, long_prefixes[i], strlen(long_prefixes[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i].text);
		const struct unit *u;

		if (!strncmp(name, prefixes[i].text, n) &&
			(!name[n] || (strlen(name + n) > 2 && find_name(name + n, false, &u))))
			return true;
	}
	/* "UA", "KOHM": in capitals nobody knows what M is. */
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (units[i].prefixes == ALL && name[0] && strchr("pnumkgtPNUMKGT", name[0]) &&
			!strcasecmp(name + 1, units[i].name))
			return true;
	return false;
}

/* "V/A", "V^2", "mA*h": another quantity than that of the unit that it begins with. */
static bool is_compound(const char *name)
{
	size_t n = strcspn(name, "/^*");
	char head[QUANTITY_UNIT_MAX];

	memcpy(head, name, n);
	head[n] = '\0';
	return name[n] && is_unit(head) && is_unit_like(name);
}

/* The unit that comes right after a bare number, in brackets, after a separator or not, or "". */
static void unit_after(const char *text, char ret[QUANTITY_UNIT_MAX])
{
	static const char stop[] = " \t,;|)]";
	const char *p = skip_blanks(text);
	bool apart = *p && strchr(",;:|", *p);

	ret[0] = '\0';
	p = apart ? skip_blanks(p + 1) : p;
	p += *p == '(' || *p == '[';

	size_t one = strcspn(p, stop);
	size_t two = p[one] == ' ' ? one + 1 + strcspn(p + one + 1, stop) : 0;

	/* "deg C" is more than "deg". */
	if (two > one + 1 && two < QUANTITY_UNIT_MAX) {
		memcpy(ret, p, two);
		ret[two] = '\0';
		if (is_unit(ret))
			return;
	}
	ret[0] = '\0';
	if (one == 0 || one >= QUANTITY_UNIT_MAX)
		return;
	memcpy(ret, p, one);
	ret[one] = '\0';
	/* The next field of a list may be a name: "3.3,A". */
	if (apart ? !is_unit_of_label(ret) && !(one > 2 && is_scaled(ret))
		  : !is_unit(ret) && !is_variant(ret) && !is_scaled(ret) && !is_compound(ret))
		ret[0] = '\0';
}

/* The unit that a field of its own names: "\"unit\": \"mA\"", "units=mA". Or "". */
static void unit_field(const char *text, char ret[QUANTITY_UNIT_MAX])
{
	const char *p = strcasestr(text, "unit");
	size_t n;

	ret[0] = '\0';
	if (!p || (p > text && isalpha((unsigned char)p[-1])))
		return;
	p += strlen("unit");
	p += *p == 's';
	p = skip_blanks(p + (*p == '"'));
	if (*p != ':' && *p != '=')
		return;
	p = skip_blanks(p + 1);
	p += *p == '"';
	n = strcspn(p, "\" \t,;}");
	if (n > 0 && n < QUANTITY_UNIT_MAX) {
		memcpy(ret, p, n);
		ret[n] = '\0';
	}
}

/* The length of the label whose separator comes right before text[start], which may be quoted. */
static size_t label_before(const char *text, size_t start)
{
	start -= start > 0 && text[start - 1] == '"';
	while (start > 0 && strchr(" \t", text[start - 1]))
		start--;
	return start > 0 && strchr("=:", text[start - 1]) ? start - 1 : 0;
}

int quantity_parse_part(
	const char *text, size_t start, size_t end, struct quantity *ret, struct err *e)
{
	_cleanup_(freep) char *part = strndup(text + start, end - start);
	char field[QUANTITY_UNIT_MAX] = "";
	struct quantity q = {0};
	const char *why = parse(part, &q);
	bool bare = !why && !q.unit[0];

	if (!why && joins_before(text, start))
		why = "holds more of the number than the pattern took";
	if (bare)
		unit_after(text + end, q.unit);
	if (bare && !q.unit[0])
		unit_field(text, field);
	if (!why && !(bare && q.unit[0]) && joins_after(text + end))
		why = "holds more of the number or its unit than the pattern took";
	if (!why && field[0])
		memcpy(q.unit, field, sizeof field);
	if (!why) {
		take_unit_of_label(text, label_before(text, start), &q);
		*ret = q;
	}
	return judged(text, why, e);
}

bool quantity_is_cut(const char *text, size_t start, size_t end, char ret_unit[QUANTITY_UNIT_MAX])
{
	unit_after(text + end, ret_unit);
	return joins_before(text, start) || (!ret_unit[0] && joins_after(text + end));
}

/* --- units --- */

static int other_unit(const struct quantity *q, const char *unit, struct err *e)
{
	return err_set(e, ERR_NOT_A_NUMBER, "%.10g %s is not in %s, as the recipe says", q->value,
		q->unit, unit);
}

/* "12 m" may be metres, and milli of what the instrument does not print. */
static bool is_prefix(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (!strcmp(prefixes[i].text, name))
			return true;
	return false;
}

/* kg is the SI's own, and g is not. */
static bool is_multiple(const char *kind, double factor)
{
	return fabs(factor / (!strcmp(kind, "g") ? 1e3 : 1) - 1) > 1e-9;
}

/* By a whole number, so that 3300 mV is 3.3 V to the last bit and not above a limit of 3.3. */
static double scaled(double v, double from, double to)
{
	return from >= to ? v * rint(from / to) : v / rint(to / from);
}

int quantity_in(const struct quantity *q, const char *unit, double *ret, struct err *e)
{
	const char *from, *to;
	double from_factor, to_factor;
	bool known = find_unit(q->unit, &from, &from_factor);

	if (!q->unit[0] || (unit && !strcmp(q->unit, unit))) {
		*ret = q->value;
		return 0;
	}
	if (!unit || !*unit) {
		if (q->from_label) {
			*ret = q->value;
			return 0;
		}
		if (is_prefix(q->unit))
			return err_set(e, ERR_NOT_A_NUMBER,
				"%.10g %s: a unit or a multiple, and the recipe names no unit for its limits (add unit: %s)",
				q->value, q->unit, q->unit);
		if (!known)
			return err_set(e, ERR_NOT_A_NUMBER,
				"%.10g %s: that unit is not known (where it is right: unit: %s)",
				q->value, q->unit, q->unit);
		if (is_multiple(from, from_factor))
			return err_set(e, ERR_NOT_A_NUMBER,
				"%.10g %s: a multiple, and the recipe names no unit for its limits (add unit: %s)",
				q->value, q->unit, q->unit);
		*ret = q->value;
		return 0;
	}
	if (!known || !find_unit(unit, &to, &to_factor) || strcmp(from, to) != 0)
		return other_unit(q, unit, e);
	*ret = scaled(q->value, from_factor, to_factor);
	return 0;
}

bool quantity_is_coherent(const char *unit)
{
	static const char *const multiples[] = {"mK", "cm", "hPa", "mL"};
	const struct unit *u;

	for (size_t i = 0; i < ARRAY_LEN(multiples); i++)
		if (!strcmp(unit, multiples[i]))
			return true;
	if (find_name(unit, false, &u))
		return u->factor == 1;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i].text);

		if (!strncmp(unit, prefixes[i].text, n) && find_name(unit + n, true, &u))
			return u->factor == 1;
	}
	return true;
}

int quantity_in_coherent(
	const struct quantity *q, const char *in, const char *unit, double *ret, struct err *e)
{
	struct quantity whole = *q;
	const char *kind;
	double factor;

	if (q->unit[0] || !unit || !*unit)
		return quantity_in(q, unit, ret, e);
	if (!in && !quantity_is_coherent(unit))
		return err_set(e, ERR_NOT_A_NUMBER,
			"%.10g has no unit, and the recipe does not say what it is in (answers_in)",
			q->value);
	if (!in && find_unit(unit, &kind, &factor))
		in = kind;
	snprintf(whole.unit, sizeof whole.unit, "%s", in ? in : unit);
	return quantity_in(&whole, unit, ret, e);
}
