/* SPDX-License-Identifier: Apache-2.0
 *
 * The board's analogue input, and its calibration. Each unit reads a little wrong in its own way: gain, offset, and a
 * curve. What lies at the input is a number in a file, which a virtual source writes (`--adc-from`).
 *
 *	ADC_RAW                  RAW 1.517000
 *	read adc                 ADC 1.500000 V         by the calibration
 *	SET_ADC_CAL 0.1 0.99     OK                     c0 + c1 raw + c2 raw^2 ...; takes the points away
 *	GET_ADC_CAL              CAL 0.1 0.99
 *	SET_ADC_POINT 0 1.5 1.4  OK                     between points a straight line
 *	GET_ADC_POINT 0          POINT 1.5 1.4
 */
#include <string.h>

#include "base/strbuf.h"
#include "sim/guide/board_impl.h"

#define TERMS_MAX  6
#define POINTS_MAX 64

static double input(const struct board *b)
{
	char text[64] = "";
	double v = 0;
	FILE *f = b->set->adc_from[0] ? fopen(b->set->adc_from, "re") : NULL;

	if (f) {
		if (fgets(text, sizeof text, f))
			text[strcspn(text, "\n")] = '\0';
		fclose(f);
	}
	parse_number(text, &v);
	return v;
}

static double raw(const struct board *b)
{
	double v = input(b);

	return v * (1 + 0.02 * unit_character(b->unit, "adc-gain")) +
	       0.05 * unit_character(b->unit, "adc-offset") +
	       0.002 * v * v * unit_character(b->unit, "adc-curve");
}

/* Numbers between blanks; -1: something else. */
static int numbers(const char *text, double *v, int max)
{
	_cleanup_(freep) char *copy = xstrdup(text);
	char *rest = copy, *word;
	int n = 0;

	while ((word = strsep(&rest, " "))) {
		if (n == max || !parse_number(word, &v[n]))
			return -1;
		n++;
	}
	return n;
}

static const char *kept(const struct board *b, const char *key)
{
	return json_string_value(json_object_get(json_object_get(b->unit->values, "adc"), key));
}

static void keep(struct board *b, const char *key, const char *text)
{
	json_t *adc = json_object_get(b->unit->values, "adc");

	if (!adc)
		json_object_set_new(b->unit->values, "adc", adc = json_object());
	json_object_set_new(adc, key, json_string(text));
	board_keep(b);
}

/* The text with its last digit another one: a fault. */
static void keep_wrong(struct board *b, const char *key, const char *text)
{
	_cleanup_(freep) char *wrong = xstrdup(text);
	char *last = wrong + strlen(wrong) - 1;

	*last = *last == '9' ? '1' : '9';
	keep(b, key, wrong);
}

static double by_points(const struct board *b, double v)
{
	double low[2] = {0}, high[2] = {0}, at[2];

	for (int i = 0; i < POINTS_MAX; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		if (!kept(b, key) || numbers(kept(b, key), at, 2) != 2)
			break;
		memcpy(low, i < 2 ? (i ? high : at) : high, sizeof low);
		memcpy(high, at, sizeof high);
		if (i > 0 && v <= at[0])
			break;
	}
	return low[1] + (v - low[0]) * (high[1] - low[1]) /
				(high[0] > low[0] || high[0] < low[0] ? high[0] - low[0] : 1);
}

static double calibrated(const struct board *b)
{
	const char *text = kept(b, "terms");
	double c[TERMS_MAX], v = raw(b), sum = 0;
	int n = text ? numbers(text, c, TERMS_MAX) : 0;

	if (kept(b, "0"))
		return by_points(b, v);
	for (int i = n - 1; i >= 0; i--)
		sum = sum * v + c[i];
	return n > 0 ? sum : v;
}

static void say(struct board *b, uint64_t t_us, const char *what, double v, const char *unit)
{
	_cleanup_(freep) char *s = xasprintf("%s %.6f%s", what, v, unit);

	board_answer(b, t_us, s);
}

void cmd_adc_raw(struct board *b, const char *args, uint64_t t_us)
{
	say(b, t_us, "RAW", raw(b), "");
}

void cmd_read_adc(struct board *b, const char *args, uint64_t t_us)
{
	say(b, t_us, "ADC", calibrated(b), " V");
}

static void set(struct board *b, const char *key, const char *text, uint64_t t_us)
{
	if (fault_hit(b->faults, FAULT_VALUE_WRONG, FAULT_PHASE_CONSOLE, NULL))
		keep_wrong(b, key, text);
	else
		keep(b, key, text);
	board_answer(b, t_us, "OK");
}

void cmd_set_adc_cal(struct board *b, const char *args, uint64_t t_us)
{
	double c[TERMS_MAX];

	if (numbers(args, c, TERMS_MAX) < 1) {
		board_answer(b, t_us, "ERROR: one to six numbers expected");
		return;
	}
	json_object_del(b->unit->values, "adc");
	set(b, "terms", args, t_us);
}

void cmd_get_adc_cal(struct board *b, const char *args, uint64_t t_us)
{
	const char *text = kept(b, "terms");
	_cleanup_(freep) char *s = xasprintf("CAL %s", text ? text : "0 1");

	board_answer(b, t_us, s);
}

void cmd_set_adc_point(struct board *b, const char *args, uint64_t t_us)
{
	double v[3];
	char key[16];

	if (numbers(args, v, 3) != 3 || v[0] < 0 || v[0] >= POINTS_MAX) {
		board_answer(b, t_us, "ERROR: index, raw and value expected");
		return;
	}
	if ((int)v[0] == 0)
		json_object_del(b->unit->values, "adc");
	snprintf(key, sizeof key, "%d", (int)v[0]);
	set(b, key, strchr(args, ' ') + 1, t_us);
}

void cmd_get_adc_point(struct board *b, const char *args, uint64_t t_us)
{
	_cleanup_(freep) char *s =
		kept(b, args) ? xasprintf("POINT %s", kept(b, args)) : xstrdup("ERROR: no point");

	board_answer(b, t_us, s);
}
