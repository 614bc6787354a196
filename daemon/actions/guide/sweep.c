/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/guide/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/recipe/quantity.h"

static int check_points(size_t points, struct err *e)
{
	if (points < 1 || points > SWEEP_POINTS_MAX)
		return err_set(e, ERR_RECIPE_INVALID,
			"'axis' has %zu points: from 1 to %d expected", points, SWEEP_POINTS_MAX);
	return 0;
}

int sweep_axis(struct sweep *s, double start, double step, size_t points, struct err *e)
{
	int r = check_points(points, e);

	if (r < 0)
		return r;
	if (!(step > 0))
		return err_set(e, ERR_RECIPE_INVALID,
			"'axis' has a 'step' of %g: more than 0 expected", step);
	s->x = xcalloc(points, sizeof *s->x);
	s->n = points;
	for (size_t i = 0; i < points; i++)
		s->x[i] = start + (double)i * step;
	return 0;
}

int sweep_axis_list(struct sweep *s, const char *values, struct err *e)
{
	int r = sweep_read(values, NULL, &s->x, &s->n, e);

	if (r < 0)
		return err_set(e, ERR_RECIPE_INVALID,
			"'axis' has 'values' that are no list of numbers: '%.80s'", values);
	for (size_t i = 1; i < s->n; i++)
		if (s->x[i] <= s->x[i - 1])
			return err_set(e, ERR_RECIPE_INVALID,
				"value %zu of 'axis' is %g, after %g: values that rise expected",
				i + 1, s->x[i], s->x[i - 1]);
	return check_points(s->n, e);
}

void sweep_done(struct sweep *s)
{
	free(s->x);
	free(s->band);
	*s = (struct sweep){0};
}

/* --- limits --- */

/* The next word of a row: a number, or "-" for none. false for anything else, and for the end. */
static bool next_number(const char **at, bool *ret_has, double *ret)
{
	const size_t before = strspn(*at, " \t"), n = strcspn(*at + before, " \t");
	_cleanup_(freep) char *word = xasprintf("%.*s", (int)n, *at + before);
	struct quantity q = {0};

	*at += before + n;
	*ret_has = strcmp(word, "-") != 0;
	if (!*ret_has)
		return true;
	if (n == 0 || quantity_parse(word, &q, NULL) < 0 || q.unit[0])
		return false;
	*ret = q.value;
	return true;
}

static int read_band(const char *row, size_t i, struct sweep_band *b, struct err *e)
{
	const char *at = row ? row : "";
	bool has_from = false, has_to = false;

	if (!next_number(&at, &has_from, &b->from) || !next_number(&at, &has_to, &b->to) ||
		!next_number(&at, &b->has_low, &b->low) ||
		!next_number(&at, &b->has_high, &b->high) || at[strspn(at, " \t")])
		return err_set(e, ERR_RECIPE_INVALID,
			"row %zu of 'limits' is '%.60s': four numbers FROM TO LOW HIGH expected, '-' where there is no limit",
			i + 1, row ? row : "");
	if (!has_from || !has_to || b->from > b->to)
		return err_set(e, ERR_RECIPE_INVALID,
			"row %zu of 'limits' is '%.60s': FROM and TO expected, the first no larger than the second",
			i + 1, row);
	if (!b->has_low && !b->has_high)
		return err_set(e, ERR_RECIPE_INVALID,
			"row %zu of 'limits', from %g to %g, has neither a low nor a high limit",
			i + 1, b->from, b->to);
	if (b->has_low && b->has_high && b->low > b->high)
		return err_set(e, ERR_RECIPE_INVALID,
			"row %zu of 'limits', from %g to %g: the low limit is %g, above the high one, which is %g: no value can pass",
			i + 1, b->from, b->to, b->low, b->high);
	return 0;
}

static int check_border(
	const struct sweep_band *before, const struct sweep_band *b, size_t i, struct err *e)
{
	if (b->from > before->to)
		return err_set(e, ERR_RECIPE_INVALID,
			"'limits' has a gap from %g to %g, between row %zu and row %zu: rows that follow one another expected",
			before->to, b->from, i, i + 1);
	if (b->from < before->to)
		return err_set(e, ERR_RECIPE_INVALID,
			"row %zu of 'limits' begins at %g, before row %zu ends, at %g: rows that follow one another expected",
			i + 1, b->from, i, before->to);
	return 0;
}

static int check_cover(const struct sweep *s, struct err *e)
{
	const double from = s->band[0].from, to = s->band[s->bands - 1].to;
	const double first = s->x[0], last = s->x[s->n - 1];

	if (first < from)
		return err_set(e, ERR_RECIPE_INVALID,
			"'limits' has a gap before row 1: it begins at %g, and the axis at %g",
			from, first);
	if (last > to)
		return err_set(e, ERR_RECIPE_INVALID,
			"'limits' has a gap after row %zu: it ends at %g, and the axis at %g",
			s->bands, to, last);
	return 0;
}

int sweep_limits(struct sweep *s, const json_t *limits, struct err *e)
{
	const size_t n = json_array_size(limits);
	int r = 0;

	if (n == 0)
		return err_set(
			e, ERR_RECIPE_INVALID, "'limits' is empty: rows FROM TO LOW HIGH expected");
	s->band = xcalloc(n, sizeof *s->band);
	s->bands = n;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = read_band(json_string_value(json_array_get(limits, i)), i, &s->band[i], e);
		if (r == 0 && i)
			r = check_border(&s->band[i - 1], &s->band[i], i, e);
	}
	return r < 0 ? r : check_cover(s, e);
}

const struct sweep_band *sweep_band_at(const struct sweep *s, size_t i)
{
	for (size_t k = s->bands; k > 0; k--)
		if (s->x[i] >= s->band[k - 1].from)
			return &s->band[k - 1];
	return NULL;
}

enum sweep_point sweep_judge(const struct sweep *s, size_t i, double y, double margin)
{
	const struct sweep_band *b = sweep_band_at(s, i);

	if (b && b->has_low && y < b->low)
		return SWEEP_LOW;
	if (b && b->has_high && y > b->high)
		return SWEEP_HIGH;
	return b && ((b->has_low && y - b->low < margin) || (b->has_high && b->high - y < margin))
		       ? SWEEP_MARGINAL
		       : SWEEP_GOOD;
}

int sweep_margin(const struct sweep *s, double margin, struct err *e)
{
	if (!(margin >= 0))
		return err_set(e, ERR_RECIPE_INVALID,
			"'marginal' is %g: a distance from the limits, 0 or more, expected",
			margin);
	for (size_t i = 0; i < s->bands; i++) {
		const struct sweep_band *b = &s->band[i];

		if (b->has_low && b->has_high && 2 * margin > b->high - b->low)
			return err_set(e, ERR_RECIPE_INVALID,
				"'marginal' is %g, more than half of the range from %g to %g in row %zu of 'limits': every good value there would be marginal",
				margin, b->low, b->high, i + 1);
	}
	return 0;
}

/* --- values --- */

/* "1,2,3 mV" may be three of mV, or one. */
struct units {
	size_t named;
	bool last; /* the last one has another unit than the recipe's */
};

static int read_value(const char *text, size_t n, size_t place, const char *unit,
	struct units *seen, double *ret, struct err *e)
{
	_cleanup_(freep) char *one = xasprintf("%.*s", (int)n, text);
	struct quantity q;
	int r = quantity_parse(one, &q, e);

	if (r == 0)
		r = quantity_in(&q, unit, ret, e);
	if (r < 0)
		return err_prefix(e, "value %zu", place);
	seen->named += q.unit[0] != '\0';
	seen->last = q.unit[0] && *ret != q.value;
	return 0;
}

int sweep_read(const char *text, const char *unit, double **ret, size_t *ret_n, struct err *e)
{
	const char *between = strchr(text, ';') ? ";" : strchr(text, ',') ? "," : " \t";
	double *x = xcalloc(SWEEP_POINTS_MAX, sizeof *x);
	struct units seen = {0};
	size_t n = 0;
	int r = 0;

	while (r == 0) {
		size_t len;

		if (*between == ' ')
			text += strspn(text, between);
		len = strcspn(text, between);
		if (*between == ' ' && len == 0)
			break;
		r = n == SWEEP_POINTS_MAX
			    ? err_set(e, ERR_NOT_A_NUMBER, "more than %d values", SWEEP_POINTS_MAX)
			    : read_value(text, len, n + 1, unit, &seen, &x[n], e);
		n += r == 0;
		if (!text[len])
			break;
		text += len + 1;
	}
	if (r == 0 && n > 1 && seen.named == 1 && seen.last)
		r = err_set(e, ERR_NOT_A_NUMBER,
			"the last value alone has a unit, which is not the recipe's: it may be that of all");
	if (r < 0) {
		free(x);
		return r;
	}
	*ret = x;
	*ret_n = n;
	return 0;
}
