/* SPDX-License-Identifier: Apache-2.0
 *
 * What devices print where a number is expected: read whole, converted, or refused.
 */
#include "daemon/recipe/quantity.h"

#include <math.h>
#include <string.h>

#include "base/regex.h"
#include "base/util.h"
#include "tests/unit/unit.h"

#define NO NAN /* refused */

/* A whole reply, the unit of the recipe, the value in it. */
static const struct {
	const char *text, *unit;
	double want;
} lines[] = {
	/* plain */
	{"0", NULL, 0},
	{"5", NULL, 5},
	{"+5", NULL, 5},
	{"-5", NULL, -5},
	{"5.25", NULL, 5.25},
	{".5", NULL, 0.5},
	{"5.", NULL, 5},
	{"-.5", NULL, -0.5},
	{"007", NULL, 7},
	{" 21.5 ", NULL, 21.5},
	{"\t21.5\t", NULL, 21.5},
	{"1e3", NULL, 1000},
	{"+1.234E+00", NULL, 1.234},
	{"-1.5e-3", NULL, -0.0015},
	{"1E5V", "V", 100000},
	/* a sign apart, and other minus signs */
	{"- 5.0 V", "V", -5},
	{"-  0.0409kg", "kg", -0.0409},
	{"-  0.0409kg", NULL, -0.0409},
	{"+ 5", NULL, 5},
	{"\u22125.0 dBm", "dBm", -5},
	{"\u2212 5.0 dBm", "dBm", -5},
	{"\u20135.0", NULL, NO},
	{"--5", NULL, NO},
	{"- -5", NULL, NO},
	{"+-5", NULL, NO},
	{"\u00b15", NULL, NO},
	{"5-", NULL, NO},
	{"-", NULL, NO},
	/* groups, commas */
	{"1,234", NULL, NO},
	{"1,234.5", NULL, NO},
	{"1.234,5", NULL, NO},
	{"1 234,5", NULL, NO},
	{"1 234", NULL, NO},
	{"1'234", NULL, NO},
	{"1_234", NULL, NO},
	{"25,5", NULL, NO},
	{",5", NULL, NO},
	{"5,", NULL, NO},
	/* no value at all */
	{"1.#INF", NULL, NO},
	{"-1.#IND", NULL, NO},
	{"1.#QNAN", NULL, NO},
	{"1.#QNAN0 V", "V", NO},
	{"1.#SNAN", NULL, NO},
	{"nan", NULL, NO},
	{"NaN", NULL, NO},
	{"-nan(ind)", NULL, NO},
	{"inf", NULL, NO},
	{"-Infinity", NULL, NO},
	{"OL", NULL, NO},
	{"-OL V", "V", NO},
	{"O.L", NULL, NO},
	{"0.L", NULL, NO},
	{"0L", NULL, NO},
	{"OVLD", NULL, NO},
	{"OVERLOAD", NULL, NO},
	{"9.9E37", NULL, NO},
	{"+9.90000000E+37", NULL, NO},
	{"-9.9e37", NULL, NO},
	{"9.91E37", NULL, NO},
	{"1e38", NULL, NO},
	{"9.8e37", NULL, 9.8e37},
	{"1e999", NULL, NO},
	{"1e", NULL, NO},
	{"1e+", NULL, NO},
	{"----", NULL, NO},
	{"", NULL, NO},
	{"V", "V", NO},
	{"sensor?", NULL, NO},
	/* bounds and estimates */
	{">50", NULL, NO},
	{"<0.1", NULL, NO},
	{">= 5", NULL, NO},
	{"~5", NULL, NO},
	{"\u22485", NULL, NO},
	{"5?", NULL, NO},
	{"5 \u00b1 0.1", NULL, NO},
	{"5+-0.1", NULL, NO},
	/* other things with digits */
	{"0x19", NULL, NO},
	{"0xFF", NULL, NO},
	{"19h", NULL, NO},
	{"0b101", NULL, NO},
	{"3.3.1", NULL, NO},
	{"v25.1.2", NULL, NO},
	{"2026-11-29", NULL, NO},
	{"29.11.2026", NULL, NO},
	{"12:30", NULL, NO},
	{"12:30:01.5", NULL, NO},
	{"5/8", NULL, NO},
	{"1 2", NULL, NO},
	{"21.5 22.5", NULL, NO},
	{"21.5 C 22.5 C", "degC", NO},
	{"21.5;22.5", NULL, NO},
	{"21.5 FAIL", NULL, NO},
	{"21.5 C FAIL", "degC", NO},
	{"21.5 (low)", NULL, NO},
	{"#5", NULL, NO},
	{"$5", NULL, NO},
	{"5\\x00", NULL, NO},
	{"5\\x1b[0m", NULL, NO},
	{"temp25", NULL, NO},
	{"123456789012345678901234567890123456789012345678", NULL, NO},
	{"1.00000000000000000000000000000000000000000000000001", NULL, NO},
	/* labels */
	{"temp=19.99", NULL, 19.99},
	{"Temperature: 21.5 \u00b0C", "degC", 21.5},
	{"T1 = -5 mV", "mV", -5},
	{"adc_ch0: 512", NULL, 512},
	{"V(out): 3.31 V", "V", 3.31},
	{"offset= - 5", NULL, -5},
	{"OK 21.5", NULL, NO},
	{"12: 5", NULL, NO},
	{"at 12:30", NULL, NO},
	{"time: 12:30", NULL, NO},
	{"min=1 max=9", NULL, NO},
	{"a=b=5", NULL, NO},
	{"V=>50", NULL, NO},
	{"V==5", NULL, NO},
	{"V=1.#QNAN0 V", "V", NO},
	{"error: 5", NULL, NO},
	{"limit: 5", NULL, NO},
	{"above: 5", NULL, NO},
	{"sensor error code = 5", NULL, NO},
	{"temp=", NULL, NO},
	{"OVERLOAD=1.5", NULL, NO},
	{"overrange: 3.1 V", "V", NO},
	{"OL: 5", NULL, NO},
	{"saturated: 5", NULL, NO},
	{"V clipped: 5 V", "V", NO},
	{"overall: 5", NULL, 5},
	{"76.1 \u00b0 F", "degC", NO},
	{"24.5 \u00ba"
	 "C",
		"degC", 24.5},
	/* units: the same, its multiples, another */
	{"3.31 V", "V", 3.31},
	{"3.31V", "V", 3.31},
	{"3.31", "V", 3.31},
	{"3.31 mV", "V", 0.00331},
	{"3310 mV", "V", 3.31},
	{"3300 mV", "V", 3.3},
	{"3.31 kV", "V", 3310},
	{"3.31 V", "mV", 3310},
	{"250 \u00b5A", "mA", 0.25},
	{"250 \u03bcA", "mA", 0.25},
	{"250 uA", "mA", 0.25},
	{"250 \\xb5"
	 "A",
		"mA", 0.25},
	{"3.31 MOhm", "kOhm", 3310},
	{"4.7 k\u03a9", "Ohm", 4700},
	{"4.7 k\u2126", "Ohm", 4700},
	{"4.7 Kohm", "Ohm", 4700},
	{"4.7 mOhm", "Ohm", 0.0047},
	{"8 MHz", "kHz", 8000},
	{"1 min", "s", 60},
	{"1013 hPa", "bar", 1.013},
	{"500 g", "kg", 0.5},
	{"50 %", "%", 50},
	{"50%", "%", 50},
	{"24.5 C", "degC", 24.5},
	{"24.5 \u00b0C", "degC", 24.5},
	{"24.5 \\xb0"
	 "C",
		"degC", 24.5},
	{"24.5 deg C", "degC", 24.5},
	{"24.5 degC", "C", 24.5},
	{"76.1 degF", "degC", NO},
	{"76.1 F", "degC", NO},
	{"297.6 K", "degC", NO},
	{"5 A", "V", NO},
	{"5 W", "VA", NO},
	{"5 dBm", "dB", NO},
	{"5 dBm", "W", NO},
	{"3.31 VAC", "V", NO},
	{"3.31 mVrms", "V", NO},
	{"4.7 MOHM", "Ohm", NO},
	{"5 dm", "m", NO},
	{"5 apples", "apples", 5},
	{"5 apples", "pears", NO},
	{"5 apples", NULL, NO},
	{"5 mV", NULL, NO},
	{"5 kOhm", NULL, NO},
	{"5 V", NULL, 5},
	{"5 V", "", 5},
	{"5 C", "F", NO},
	{"5 S", "s", NO},
	/* a unit that may be a multiple */
	{"12 m", NULL, NO},
	{"12 T", NULL, NO},
	{"12 K", NULL, NO},
	{"12 m", "m", 12},
	{"297.6 K", "K", 297.6},
	/* units with figures, where the recipe names them */
	{"9.81 m/s2", "m/s2", 9.81},
	{"9.81 m/s^2", "m/s^2", 9.81},
	{"3.3 \u00b5g/m\u00b3", "\u00b5g/m\u00b3", 3.3},
	{"12 mmH2O", "mmH2O", 12},
	{"9.81 m/s2", "m/s", NO},
	{"9.81 m/s2", NULL, NO},
	{"3.3 V2", "V", NO},
	/* the unit in the label */
	{"I (mA) = 3.3", "A", 0.0033},
	{"I [mA]: 3.3", "A", 0.0033},
	{"I_mA: 3.3", "A", 0.0033},
	{"mA=3.3", "A", 0.0033},
	{"I_mA: 3.3", "mA", 3.3},
	{"I_mA: 3.3", NULL, 3.3},
	{"t_degF: 77", "degC", NO},
	{"I (mA): 3.3 A", "A", 3.3},
	{"temp min: 21.5", "degC", 21.5},
	{"pH: 7.1", "pH", 7.1},
	{"phase A: 3.3", "V", 3.3},
	{"U (A): 3.3", "V", 3.3},
};

static double value_of(const char *text, const char *unit, struct err *e)
{
	struct quantity q;
	double v;

	if (quantity_parse_labelled(text, &q, e) < 0 || quantity_in(&q, unit, &v, e) < 0)
		return NO;
	return v;
}

static void assert_value(size_t row, const char *text, double got, double want)
{
	if (isnan(want))
		ck_assert_msg(isnan(got), "row %zu: '%s' was read as %.17g", row, text, got);
	else
		ck_assert_msg(fabs(got - want) <= 1e-12 * fabs(want),
			"row %zu: '%s' gave %.17g, not %.17g", row, text, got, want);
}

START_TEST(a_reply_is_one_number_with_its_unit_or_refused)
{
	ck_assert_uint_ge(ARRAY_LEN(lines), 120);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct err e = {0};
		double got = value_of(lines[i].text, lines[i].unit, &e);

		assert_value(i, lines[i].text, got, lines[i].want);
		if (isnan(got)) {
			ck_assert_int_eq(e.code, ERR_NOT_A_NUMBER);
			ck_assert_int_ne(e.msg[0], 0);
		}
	}
}
END_TEST

START_TEST(a_converted_value_is_not_above_the_limit_that_it_equals)
{
	struct err e;

	for (int mv = 1; mv < 20000; mv++) {
		_cleanup_(freep) char *reply = xasprintf("%d mV", mv);
		_cleanup_(freep) char *limit = xasprintf("%d.%03d", mv / 1000, mv % 1000);

		ck_assert(value_of(reply, "V", &e) == strtod(limit, NULL));
	}
}
END_TEST

/* What a recipe's pattern picks out of a line. */
static const struct {
	const char *line, *pattern, *unit;
	double want;
} parts[] = {
	{"offset=-1.5 n=42", "offset=(\\S+)", NULL, -1.5},
	{"offset=nan", "offset=(\\S+)", NULL, NO},
	{"V: 3.31 V ok", "V: ([\\d.]+)", "V", 3.31},
	{"V: 3.31 mV ok", "V: ([\\d.]+)", "V", 0.00331},
	{"V: 3.31 mVrms ok", "V: ([\\d.]+)", "V", NO},
	{"V: 3.31 A ok", "V: ([\\d.]+)", "V", NO},
	{"V: 3.31mV, ok", "V: ([\\d.]+)", "V", 0.00331},
	{"V: 3.31 mV", "V: (.*)", "V", 0.00331},
	{"V: - 5.0", "([\\d.]+)", NULL, NO},
	{"V: \u22125.0", "([\\d.]+)", NULL, NO},
	{"V: -5.0", "([\\d.]+)", NULL, NO},
	{"V: -5.0", "([-\\d.]+)", NULL, -5},
	{"V: >50", "([\\d.]+)", NULL, NO},
	{"V: 1,234", "(\\d+)", NULL, NO},
	{"V: 1,234", "(\\d+)$", NULL, NO},
	{"V: 1 234", "(\\d+)", NULL, NO},
	{"V: 1.#INF", "([\\d.]+)", NULL, NO},
	{"fw 3.3.1", "fw ([\\d.]+?)\\.1", NULL, NO},
	{"0x19", "(\\d+)", NULL, NO},
	{"ch12", "(\\d+)", NULL, NO},
	{"x=5e3", "x=(\\d)", NULL, NO},
	{"x=5, y=6", "x=(\\d+)", NULL, 5},
	{"x=5. Done", "x=(\\d+)", NULL, 5},
	{"x=5%", "x=(\\d+)", "%", 5},
	{"[25.0] t=22.5", "t=(\\S+)", NULL, 22.5},
	{"(22.5)", "\\((\\S+)\\)", NULL, 22.5},
	{"gain 5 counts", "gain (\\d+)", "counts", 5},
	{"22.5", "\\S+", NULL, 22.5},
	/* an exponent that is set apart */
	{"V: 1.5 E-3", "([\\d.]+)", "V", NO},
	{"V: 1.5 e3 ok", "([\\d.]+)", "V", NO},
	{"V: 5 x10^3", "([\\d.]+)", "V", NO},
	{"V: 5 x 10^-3", "([\\d.]+)", "V", NO},
	{"V: 5*10^3", "([\\d.]+)", "V", NO},
	{"V: 5 \u00d7 10\u00b3", "([\\d.]+)", "V", NO},
	{"V: 5 end", "([\\d.]+)", "V", 5},
	{"n: 5 x 3", "([\\d.]+)", NULL, 5},
	/* groups, also where the pattern takes the last of them */
	{"12 345.6 V", "([\\d.]+) V", "V", NO},
	{"R: 1 234", "(\\d+)$", NULL, NO},
	{"CH1 234.5 mV", " ([\\d.]+)", "mV", 234.5},
	{"2026 123", "(\\d+)$", NULL, 123},
	/* bounds and signs that the pattern leaves out */
	{"V >= 50", "([\\d.]+)", NULL, NO},
	{"V: <=50", "([\\d.]+)", NULL, NO},
	{"V: \u2265 50", "([\\d.]+)", NULL, NO},
	{"V: \u2248 5", "([\\d.]+)", NULL, NO},
	{"V: \u00b1 5", "([\\d.]+)", NULL, NO},
	{"V: \u2013 5.0", "([\\d.]+)", NULL, NO},
	{"V: minus 5", "([\\d.]+)", NULL, NO},
	{"Negative 5", "([\\d.]+)", NULL, NO},
	{"V = 50", "([\\d.]+)", NULL, 50},
	{"terminus 5", "([\\d.]+)", NULL, 5},
	/* a part or a multiple of it */
	{"V: 3.3/2", "([\\d.]+)", "V", NO},
	{"V: 3.3 * 2", "([\\d.]+)", "V", NO},
	{"V: 3.3 thousand", "([\\d.]+)", "V", NO},
	{"on 29/11", "on (\\d+)", NULL, NO},
	/* a field for the unit */
	{"{\"value\":3.3,\"unit\":\"mA\"}", "\"value\":([\\d.]+)", "A", 0.0033},
	{"{\"unit\": \"mV\", \"value\": 3.3}", "\"value\": ([\\d.]+)", "A", NO},
	{"value=3.3 units=mA", "value=([\\d.]+)", "mA", 3.3},
	{"unit 7: 3.3", "([\\d.]+)$", "V", 3.3},
	{"community=5 x=3.3", "x=([\\d.]+)", "V", 3.3},
	/* the unit in words, in brackets, of two words, a multiple alone */
	{"t: 24.5 deg C ok", "([\\d.]+)", "degC", 24.5},
	{"t: 76.1 deg F ok", "([\\d.]+)", "degC", NO},
	{"t: 76.1 degrees F", "([\\d.]+)", "degC", NO},
	{"t: 24.5 degrees C", "([\\d.]+)", "degC", 24.5},
	{"t: 76.1 \u00b0 F", "([\\d.]+)", "degC", NO},
	{"V: 3310 millivolts", "([\\d.]+)", "V", NO},
	{"V: 3310 MilliVolt", "([\\d.]+)", "V", NO},
	{"V: 3310 mVolts", "([\\d.]+)", "V", NO},
	{"V: 3310 [mV]", "([\\d.]+)", "V", 3.31},
	{"V: 3310 (mV)", "([\\d.]+)", "V", 3.31},
	{"V: 3.31 (ok)", "([\\d.]+)", "V", 3.31},
	{"R: 4.7 k", "([\\d.]+)", "Ohm", NO},
	{"R: 4.7 k Ohm", "([\\d.]+)", "Ohm", NO},
	{"I: 10 \u00b5 A", "([\\d.]+)", "A", NO},
	{"V: 3.31 passed", "([\\d.]+)", "V", 3.31},
	{"V: 3.31 max", "([\\d.]+)", "V", 3.31},
	{"V: 3.31 good", "([\\d.]+)", "V", 3.31},
	/* a byte that was the point, and is not text now */
	{"V: 3\\xae3 V", "V: ([\\d.]+)", "V", NO},
	{"V: 1\\xa0234", "(\\d+)", NULL, NO},
	/* a range */
	{"V: 3.3..9.5", "(\\d\\.\\d)", "V", NO},
	{"V: 3.3... ok", "(\\d\\.\\d)", "V", 3.3},
	/* the unit after a separator, in capitals, in the label */
	{"I=3.3,mA", "I=([\\d.]+)", "A", 0.0033},
	{"I=3.3;mA", "I=([\\d.]+)", "A", 0.0033},
	{"I=3.3|mA|ok", "I=([\\d.]+)", "A", 0.0033},
	{"U=3.3,A", "U=([\\d.]+)", "V", 3.3},
	{"U=3.3, ok", "U=([\\d.]+)", "V", 3.3},
	{"R: 4.7 KOHM", "([\\d.]+)", "Ohm", NO},
	{"R: 4.7 MEGOHM", "([\\d.]+)", "Ohm", NO},
	{"I: 4.7 UA", "([\\d.]+)", "A", NO},
	{"I (mA) = 3.3", "= ([\\d.]+)", "A", 0.0033},
	{"12.5 mA: 3.3", ": ([\\d.]+)", "mA", 3.3},
	/* labels of JSON */
	{"{\"i_mA\": 3.3}", "([\\d.]+)}", "A", 0.0033},
	{"{\"v\":1,\"i_mA\":\"3.3\"}", "\"([\\d.]+)\"", "A", 0.0033},
	{"{\"mA\":3.3}", ":([\\d.]+)", "V", NO},
	{"{\"I (mA)\" : 3.3}", ": ([\\d.]+)", "A", 0.0033},
	{"{\"min\": 3.3}", "([\\d.]+)", "V", 3.3},
	{"{\"i\": 3.3}", "([\\d.]+)", "A", 3.3},
	/* another quantity than the unit that it begins with */
	{"G: 5 V/A", "([\\d.]+)", "V", NO},
	{"P: 5 V^2", "([\\d.]+)", "V", NO},
	{"G: 5 V/A", "([\\d.]+)", "V/A", 5},
	{"U: 5 V (5 V/A)", "([\\d.]+)", "V", 5},
	/* an estimate, and a tag that is none */
	{"about 5 V", "([\\d.]+)", "V", NO},
	{"ca. 5 V", "([\\d.]+)", "V", NO},
	{"<v>3.3</v>", "([\\d.]+)", "V", 3.3},
	{"V<ch1>3.3", "([\\d.]+)$", "V", 3.3},
	{"V <1>3.3", "([\\d.]+)$", "V", NO},
	{"V>3.3", "([\\d.]+)", "V", NO},
};

START_TEST(what_a_pattern_picks_out_is_a_number_by_itself)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *line = parts[i].line;
		struct err e = {0};
		struct regex *x;
		struct regex_match m;
		struct quantity q;
		double v = NO;

		ck_assert_int_eq(regex_new(parts[i].pattern, &x, &e), 0);
		ck_assert_msg(regex_match(x, line, strlen(line), &m), "row %zu", i);

		int g = m.groups > 1;

		if (quantity_parse_part(line, m.group[g].start, m.group[g].end, &q, &e) == 0 &&
			quantity_in(&q, parts[i].unit, &v, &e) < 0)
			v = NO;
		assert_value(i, line, v, parts[i].want);
		regex_free(x);
	}
}
END_TEST

START_TEST(a_line_that_claims_to_be_a_value_is_told_from_chatter)
{
	static const char *const claims[] = {"21.5", "temp=x1", "OL", "nan", "-inf", "OVERLOAD",
		"----", "1,234", "v25.1.2", "over range", "-1.#IND"};
	static const char *const chatter[] = {"[25.0] wifi up", "(12) boot", "<6>usb 1-1: new",
		"I (1234) wifi: up", "E (99) i2c: lost", "sensor?", "wifi up", "ready", "info"};
	struct regex *x;
	struct err e;

	ck_assert_msg(regex_new(QUANTITY_CLAIM, &x, &e) == 0, "%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(claims); i++)
		ck_assert_msg(regex_match(x, claims[i], strlen(claims[i]), NULL), "%s", claims[i]);
	for (size_t i = 0; i < ARRAY_LEN(chatter); i++)
		ck_assert_msg(
			!regex_match(x, chatter[i], strlen(chatter[i]), NULL), "%s", chatter[i]);
	regex_free(x);
}
END_TEST

START_TEST(words_that_there_is_no_value)
{
	ck_assert(quantity_is_none(" V OVERLOAD", 11));
	ck_assert(quantity_is_none("OL", 2));
	ck_assert(quantity_is_none(" (stale)", 8));
	ck_assert(!quantity_is_none(" V overall ok", 13));
	ck_assert(!quantity_is_none(",\"saturated\": false}", 20));
	ck_assert(!quantity_is_none(" overrange=0", 12));
	ck_assert(quantity_is_none(" overrange=1", 12));
	ck_assert(quantity_is_none(" overrange=0.5", 14));
	ck_assert(quantity_is_none(" stale", 6));
	ck_assert(quantity_is_none("invalid: 3", 10));
	ck_assert(quantity_is_none("invalid 0", 9));
	ck_assert(!quantity_is_none("", 0));
}
END_TEST

/* What an instrument answers, the unit that it answers in, the unit of the recipe. */
static const struct {
	const char *text, *in, *unit;
	double want;
} answers[] = {
	{"3.31", NULL, "V", 3.31},
	{"3.31E-03", NULL, "mV", 3.31},
	{"3.31 mV", NULL, "V", 0.00331},
	{"3.31 mV", "V", "V", 0.00331}, /* what it says wins */
	{"3310", "mV", "V", 3.31},
	{"0.5", NULL, "kOhm", 0.0005},
	{"21.5", NULL, "degC", 21.5},
	{"12", NULL, "furlong", 12}, /* that of the recipe alone */
	{"12", NULL, NULL, 12},
	{"900", NULL, "hPa", 9},
	{"900 mbar", NULL, "bar", 0.9},
	/* Some answer bar, some Pa. */
	{"0.9", NULL, "bar", NO},
	{"0.9", NULL, "mAh", NO},
	{"0.9", NULL, "min", NO},
	{"0.9", "bar", "bar", 0.9},
	{"90000", "Pa", "bar", 0.9},
	{"1.5 A", NULL, "V", NO},
	{"1.5", "A", "V", NO},
	{"9.9E37", NULL, "V", NO},
};

START_TEST(an_answer_without_a_unit_is_in_the_coherent_one)
{
	struct quantity q;
	double v = NO;
	struct err e;

	if (quantity_parse(answers[_i].text, &q, &e) < 0 ||
		quantity_in_coherent(&q, answers[_i].in, answers[_i].unit, &v, &e) < 0)
		v = NO;
	if (isnan(answers[_i].want))
		ck_assert_msg(isnan(v), "%s is %g", answers[_i].text, v);
	else
		ck_assert_msg(fabs(v - answers[_i].want) < 1e-12, "%s is %g, %g expected",
			answers[_i].text, v, answers[_i].want);
}
END_TEST

static Suite *quantity_suite(void)
{
	Suite *s = suite_create("quantity");
	TCase *t = tcase_create("quantity");

	tcase_add_test(t, a_reply_is_one_number_with_its_unit_or_refused);
	tcase_add_loop_test(
		t, an_answer_without_a_unit_is_in_the_coherent_one, 0, ARRAY_LEN(answers));
	tcase_add_test(t, a_converted_value_is_not_above_the_limit_that_it_equals);
	tcase_add_test(t, what_a_pattern_picks_out_is_a_number_by_itself);
	tcase_add_test(t, words_that_there_is_no_value);
	tcase_add_test(t, a_line_that_claims_to_be_a_value_is_told_from_chatter);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(quantity_suite)
