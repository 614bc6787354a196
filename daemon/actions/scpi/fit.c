/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/scpi/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SINGULAR 1e-12

/* Readings are brought to -1 to 1, where powers of them are far apart. */
struct scale {
	double middle, half;
};

static struct scale scale_of(const struct fit_point *p, unsigned n)
{
	double low = p[0].raw, high = p[0].raw;

	for (unsigned i = 1; i < n; i++) {
		low = fmin(low, p[i].raw);
		high = fmax(high, p[i].raw);
	}
	return (struct scale){(low + high) / 2, (high - low) / 2};
}

typedef double matrix[FIT_TERMS_MAX][FIT_TERMS_MAX + 1];

/* The normal equations: a[i][j] is the sum of x^(i+j), the last column that of y x^i. */
static void equations(
	const struct fit_point *p, unsigned n, unsigned terms, struct scale s, matrix a)
{
	memset(a, 0, sizeof(matrix));
	for (unsigned k = 0; k < n; k++) {
		double x = (p[k].raw - s.middle) / s.half;

		for (unsigned i = 0; i < terms; i++) {
			for (unsigned j = 0; j < terms; j++)
				a[i][j] += pow(x, i + j);
			a[i][FIT_TERMS_MAX] += p[k].reference * pow(x, i);
		}
	}
}

static void swap_rows(matrix a, unsigned i, unsigned j)
{
	double row[FIT_TERMS_MAX + 1];

	memcpy(row, a[i], sizeof row);
	memcpy(a[i], a[j], sizeof row);
	memcpy(a[j], row, sizeof row);
}

/* Gauss with pivots; false: singular. */
static bool solve(matrix a, unsigned terms, double *ret)
{
	for (unsigned i = 0; i < terms; i++) {
		unsigned best = i;

		for (unsigned k = i + 1; k < terms; k++)
			if (fabs(a[k][i]) > fabs(a[best][i]))
				best = k;
		if (fabs(a[best][i]) < SINGULAR)
			return false;
		swap_rows(a, i, best);
		for (unsigned k = i + 1; k < terms; k++) {
			double f = a[k][i] / a[i][i];

			for (unsigned j = i; j <= FIT_TERMS_MAX; j++)
				a[k][j] -= f * a[i][j];
		}
	}
	for (unsigned i = terms; i-- > 0;) {
		double sum = a[i][FIT_TERMS_MAX];

		for (unsigned j = i + 1; j < terms; j++)
			sum -= a[i][j] * ret[j];
		ret[i] = sum / a[i][i];
	}
	return true;
}

/* c((x - middle) / half) as a polynomial of x, by Horner's rule on polynomials. */
static void unscale(const double *c, unsigned terms, struct scale s, double *ret)
{
	memset(ret, 0, FIT_TERMS_MAX * sizeof *ret);
	for (unsigned i = terms; i-- > 0;) {
		for (unsigned j = terms; j-- > 0;)
			ret[j] = (ret[j] * -s.middle + (j ? ret[j - 1] : 0)) / s.half;
		ret[0] += c[i];
	}
}

int fit_polynomial(
	const struct fit_point *p, unsigned n, unsigned terms, struct fit *ret, struct err *e)
{
	struct fit f = {.terms = terms};
	double c[FIT_TERMS_MAX] = {0};
	struct scale s;
	matrix a;

	if (n < terms)
		return err_set(e, ERR_CALIBRATION, "%u points for %u terms: %u or more expected", n,
			terms, terms);
	s = scale_of(p, n);
	if (s.half > 0)
		equations(p, n, terms, s, a);
	if (s.half <= 0 || !solve(a, terms, c))
		return err_set(e, ERR_CALIBRATION,
			"the unit read so little that is different at the %u points that %u terms cannot be told apart (does the input reach it?)",
			n, terms);
	unscale(c, terms, s, f.c);
	*ret = f;
	return 0;
}

static int by_raw(const void *a, const void *b)
{
	const struct fit_point *x = a, *y = b;

	return (x->raw > y->raw) - (x->raw < y->raw);
}

int fit_table(const struct fit_point *p, unsigned n, struct fit *ret, struct err *e)
{
	struct fit f = {.points = n};
	int way = 0;

	memcpy(f.point, p, n * sizeof *p);
	qsort(f.point, n, sizeof *f.point, by_raw);
	for (unsigned i = 1; i < n; i++) {
		const struct fit_point *x = &f.point[i - 1], *y = &f.point[i];
		int step = (y->reference > x->reference) - (y->reference < x->reference);

		if (x->raw >= y->raw)
			return err_set(e, ERR_CALIBRATION,
				"the unit read %.6g at %.6g and at %.6g: two readings of a table have to be different",
				x->raw, x->reference, y->reference);
		if (step == 0 || (way && step != way))
			return err_set(e, ERR_CALIBRATION,
				"the unit read %.6g at %.6g, and %.6g at %.6g: the readings of a table have to go one way",
				x->raw, x->reference, y->raw, y->reference);
		way = step;
	}
	*ret = f;
	return 0;
}

static double between(const struct fit *f, double raw)
{
	unsigned i = 1;
	const struct fit_point *a, *b;

	while (i + 1 < f->points && raw > f->point[i].raw)
		i++;
	a = &f->point[i - 1];
	b = &f->point[i];
	return a->reference + (raw - a->raw) * (b->reference - a->reference) / (b->raw - a->raw);
}

double fit_apply(const struct fit *f, double raw)
{
	double sum = 0;

	if (!f->terms)
		return between(f, raw);
	for (unsigned i = f->terms; i-- > 0;)
		sum = sum * raw + f->c[i];
	return sum;
}

/* fmax() passes over what is not a number. */
static double farther(double most, double off)
{
	return isnan(off) ? INFINITY : fmax(most, fabs(off));
}

double fit_residual(const struct fit *f, const struct fit_point *p, unsigned n)
{
	double most = 0;

	for (unsigned i = 0; i < n; i++)
		most = farther(most, fit_apply(f, p[i].raw) - p[i].reference);
	return most;
}

double fit_correction(const struct fit *f, const struct fit_point *p, unsigned n)
{
	double most = 0;

	for (unsigned i = 0; i < n; i++)
		most = farther(most, fit_apply(f, p[i].raw) - p[i].raw);
	return most;
}
