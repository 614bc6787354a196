/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spc.h"

#include <math.h>
#include <stdlib.h>

#include "base/util.h"

/* Of moving ranges of two: d2, and the factors of the charts that come of it. */
#define D2	     1.128
#define INDIVIDUALS  (3 / D2) /* tables have 2.66 */
#define MOVING_RANGE 3.267

/* --- capability --- */

static double sum_of(const double *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return sum;
}

/* About the mean, so that a large offset costs no digits. */
static double squares_about(const double *x, size_t n, double mean)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (x[i] - mean) * (x[i] - mean);
	return sum;
}

static double mean_moving_range(const double *x, size_t n)
{
	double sum = 0;

	for (size_t i = 1; i < n; i++)
		sum += fabs(x[i] - x[i - 1]);
	return n > 1 ? sum / (double)(n - 1) : NAN;
}

/* The smaller one of those that there are. */
static double worse(double a, double b)
{
	return isnan(a) ? b : isnan(b) ? a : MIN(a, b);
}

static const char *no_capability(const struct spc *s, double low, double high)
{
	if (isnan(low) && isnan(high))
		return "it has no limits";
	if (s->n < SPC_MIN)
		return "fewer than 30 values";
	if (!(s->overall > 0) || !(s->within > 0))
		return "all values are equal";
	return NULL;
}

static void set_capability(struct spc *s, double low, double high)
{
	s->cp = (high - low) / (6 * s->within);
	s->cpl = (s->mean - low) / (3 * s->within);
	s->cpu = (high - s->mean) / (3 * s->within);
	s->cpk = worse(s->cpl, s->cpu);
	s->pp = (high - low) / (6 * s->overall);
	s->ppl = (s->mean - low) / (3 * s->overall);
	s->ppu = (high - s->mean) / (3 * s->overall);
	s->ppk = worse(s->ppl, s->ppu);
}

struct spc spc_of(const double *x, size_t n, double low, double high)
{
	struct spc s = {.n = n, .mean = NAN, .min = NAN, .max = NAN, .overall = NAN};

	s.cp = s.cpl = s.cpu = s.cpk = s.pp = s.ppl = s.ppu = s.ppk = NAN;
	for (size_t i = 0; i < n; i++) {
		s.min = i == 0 || x[i] < s.min ? x[i] : s.min;
		s.max = i == 0 || x[i] > s.max ? x[i] : s.max;
	}
	if (n > 0)
		s.mean = sum_of(x, n) / (double)n;
	if (n > 1)
		s.overall = sqrt(squares_about(x, n, s.mean) / (double)(n - 1));
	s.moving_range = mean_moving_range(x, n);
	s.within = s.moving_range / D2;
	s.lower = s.mean - INDIVIDUALS * s.moving_range;
	s.upper = s.mean + INDIVIDUALS * s.moving_range;
	s.range_upper = MOVING_RANGE * s.moving_range;
	s.reason = no_capability(&s, low, high);
	if (!s.reason)
		set_capability(&s, low, high);
	return s;
}

/* --- rules --- */

/* Rule k + 1: `need` of the last `of` values are beyond `sigmas` on one side. */
static const struct {
	size_t need, of;
	double sigmas;
} rules[] = {{1, 1, 3}, {2, 3, 2}, {4, 5, 1}, {8, 8, 0}};

/* side: 1 above, -1 below. The value that completes the rule is one of them. */
static bool completes(const double *x, size_t i, const struct spc *s, size_t rule, int side)
{
	double beyond = rules[rule].sigmas * s->within;
	size_t found = 0;

	if (!(side * (x[i] - s->mean) > beyond) || i + 1 < rules[rule].of)
		return false;
	for (size_t k = i + 1 - rules[rule].of; k <= i; k++)
		found += side * (x[k] - s->mean) > beyond;
	return found >= rules[rule].need;
}

void spc_rules(const double *x, size_t n, const struct spc *s, uint8_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		ret[i] = 0;
		for (size_t k = 0; k < ARRAY_LEN(rules); k++)
			if (completes(x, i, s, k, 1) || completes(x, i, s, k, -1))
				ret[i] |= (uint8_t)(1u << k);
	}
}

/* --- shares --- */

#define Z95 1.959963984540054

void spc_wilson(int64_t k, int64_t n, double *ret_low, double *ret_high)
{
	double m = (double)n, p = (double)k / m, z2 = Z95 * Z95;
	double middle = (p + z2 / (2 * m)) / (1 + z2 / m);
	double half = Z95 / (1 + z2 / m) * sqrt(p * (1 - p) / m + z2 / (4 * m * m));

	*ret_low = k == 0 ? 0 : middle - half;
	*ret_high = k == n ? 1 : middle + half;
}

/* Two rows of a table with its sums; k: how many good ones are in the first. */
struct table {
	double here, there, good;
};

static double log_choose(double n, double k)
{
	return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

static double log_chance(const struct table *t, double k)
{
	return log_choose(t->here, k) + log_choose(t->there, t->good - k);
}

/* From the likeliest table in one direction, until nothing is added: the chances relative to it. */
static void sum_chances(
	const struct table *t, double k, int step, double seen, double *all, double *ret)
{
	double first = MAX(0, t->good - t->there), last = MIN(t->here, t->good);
	double chance = 1;

	for (k += step; k >= first && k <= last && chance > 1e-300; k += step) {
		double up = step > 0 ? k : k + 1;
		double ratio =
			(t->here - up + 1) * (t->good - up + 1) / (up * (t->there - t->good + up));

		chance *= step > 0 ? ratio : 1 / ratio;
		*all += chance;
		*ret += chance <= seen ? chance : 0;
	}
}

double spc_fisher(int64_t good, int64_t bad, int64_t other_good, int64_t other_bad)
{
	const struct table t = {(double)(good + bad), (double)(other_good + other_bad),
		(double)(good + other_good)};
	double mode = floor((t.here + 1) * (t.good + 1) / (t.here + t.there + 2));
	/* Tables that are no more likely than the one that was seen; equal ones differ by rounding. */
	double seen = exp(log_chance(&t, (double)good) - log_chance(&t, mode)) * (1 + 1e-7);
	double all = 1, p = seen >= 1 ? 1 : 0;

	sum_chances(&t, mode, 1, seen, &all, &p);
	sum_chances(&t, mode, -1, seen, &all, &p);
	return p / all;
}

/* --- gauge R&R --- */

#define POOL_ALPHA 0.25

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1), h;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	h = d;
	for (int m = 1; m < 500; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double before = h;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		h *= d * (fabs(c) < tiny ? tiny : c);
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		h *= d * (fabs(c) < tiny ? tiny : c);
		if (fabs(h - before) < 1e-15 * fabs(h))
			break;
	}
	return h;
}

/* The regularized incomplete beta function. */
static double beta_part(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x >= 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
					 : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* How likely an F as large is by chance. */
static double f_tail(double f, double df1, double df2)
{
	return f > 0 ? beta_part(df2 / 2, df1 / 2, df2 / (df2 + df1 * f)) : 1;
}

struct study {
	const double *x;
	size_t parts, appraisers, trials;
	double mean;
	double ms_part, ms_appraiser, ms_both, ms_error; /* mean squares */
	double df_both, df_error;
};

static double cell_sum(const struct study *s, size_t part, size_t appraiser)
{
	return sum_of(s->x + (part * s->appraisers + appraiser) * s->trials, s->trials);
}

/* Sum of squares of means over `each` values about the whole mean. */
static double square_of(const struct study *s, double sum, double each)
{
	double d = sum / each - s->mean;

	return each * d * d;
}

static void analyse(struct study *s)
{
	double p = (double)s->parts, a = (double)s->appraisers, t = (double)s->trials;
	double ss_part = 0, ss_appraiser = 0, ss_cells = 0, ss_all;

	s->mean = sum_of(s->x, s->parts * s->appraisers * s->trials) / (p * a * t);
	ss_all = squares_about(s->x, s->parts * s->appraisers * s->trials, s->mean);
	for (size_t i = 0; i < s->parts; i++)
		ss_part += square_of(s,
			sum_of(s->x + i * s->appraisers * s->trials, s->appraisers * s->trials),
			a * t);
	for (size_t k = 0; k < s->appraisers; k++) {
		double sum = 0;

		for (size_t i = 0; i < s->parts; i++) {
			sum += cell_sum(s, i, k);
			ss_cells += square_of(s, cell_sum(s, i, k), t);
		}
		ss_appraiser += square_of(s, sum, p * t);
	}
	s->df_both = (p - 1) * (a - 1);
	s->df_error = p * a * (t - 1);
	s->ms_part = ss_part / (p - 1);
	s->ms_appraiser = a > 1 ? ss_appraiser / (a - 1) : 0;
	s->ms_both = a > 1 ? MAX(0, ss_cells - ss_part - ss_appraiser) / s->df_both : 0;
	s->ms_error = MAX(0, ss_all - ss_cells) / s->df_error;
}

static bool is_pooled(const struct study *s)
{
	return s->appraisers < 2 ||
	       f_tail(s->ms_both / s->ms_error, s->df_both, s->df_error) > POOL_ALPHA;
}

static double positive(double x)
{
	return x > 0 ? x : 0;
}

bool grr_of(const double *x, size_t parts, size_t appraisers, size_t trials, double low,
	double high, struct grr *ret)
{
	struct study s = {.x = x, .parts = parts, .appraisers = appraisers, .trials = trials};
	double a = (double)appraisers, p = (double)parts, t = (double)trials;
	double error, both, appraiser, part;

	if (parts < 2 || trials < 2 || appraisers < 1)
		return false;
	analyse(&s);
	ret->pooled = is_pooled(&s);
	error = ret->pooled && a > 1 ? (s.ms_both * s.df_both + s.ms_error * s.df_error) /
					       (s.df_both + s.df_error)
				     : s.ms_error;
	both = ret->pooled ? 0 : positive((s.ms_both - error) / t);
	appraiser = a > 1 ? positive((s.ms_appraiser - (ret->pooled ? error : s.ms_both)) / (p * t))
			  : 0;
	part = positive((s.ms_part - (ret->pooled ? error : s.ms_both)) / (a * t));
	ret->repeatability = sqrt(error);
	ret->reproducibility = sqrt(appraiser + both);
	ret->parts = sqrt(part);
	ret->gauge = sqrt(error + appraiser + both);
	ret->total = sqrt(error + appraiser + both + part);
	ret->percent = 100 * ret->gauge / ret->total;
	ret->tolerance = 100 * 6 * ret->gauge / (high - low);
	ret->categories = floor(1.41 * ret->parts / ret->gauge);
	return ret->total > 0;
}
