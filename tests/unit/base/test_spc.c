/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spc.h"

#include <math.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static void near(double got, double want)
{
	ck_assert_double_eq_tol(got, want, 5e-5 * MAX(1, fabs(want)));
}

/* NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2: flow rates. */
static const double flow[] = {49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1};

START_TEST(an_individuals_chart_has_the_limits_of_the_handbook)
{
	struct spc s = spc_of(flow, ARRAY_LEN(flow), NAN, NAN);

	near(s.mean, 50.81);
	near(s.moving_range, 1.8778);
	near(s.upper, 55.8041);
	near(s.lower, 45.8159);
	near(s.range_upper, 3.267 * 1.87778);
	ck_assert_double_eq(s.min, 47.6);
	ck_assert_double_eq(s.max, 53.6);
}
END_TEST

/* 30 values about 16 with a moving range of 2.256, sigma within 2 by that. */
static void zigzag(double *x, size_t n, double low, double high)
{
	for (size_t i = 0; i < n; i++)
		x[i] = i % 2 ? low : high;
}

START_TEST(capability_is_of_the_moving_range_and_performance_of_all)
{
	double x[40];
	struct spc s;

	zigzag(x, 40, 16 - 1.128, 16 + 1.128);
	s = spc_of(x, 40, 8, 20);
	near(s.within, 2);
	near(s.cp, 1);
	near(s.cpk, 0.66667);
	near(s.cpl, 1.33333);
	near(s.overall, 1.128 * sqrt(40.0 / 39));
	near(s.pp, 12 / (6 * s.overall));
	near(s.ppk, 4 / (3 * s.overall));
	ck_assert_ptr_null(s.reason);
}
END_TEST

START_TEST(one_limit_gives_its_own_side_alone)
{
	double x[40];
	struct spc s;

	zigzag(x, 40, 16 - 1.128, 16 + 1.128);
	s = spc_of(x, 40, NAN, 20);
	ck_assert(isnan(s.cp) && isnan(s.cpl) && isnan(s.pp));
	near(s.cpk, 0.66667);
	s = spc_of(x, 40, 8, NAN);
	near(s.cpk, 1.33333);
}
END_TEST

START_TEST(where_there_is_no_figure_there_is_a_reason)
{
	double x[40];

	zigzag(x, 40, 1, 2);
	ck_assert_str_eq(spc_of(x, 40, NAN, NAN).reason, "it has no limits");
	ck_assert_str_eq(spc_of(x, 29, 0, 3).reason, "fewer than 30 values");
	ck_assert_ptr_null(spc_of(x, 30, 0, 3).reason);
	zigzag(x, 40, 5, 5);
	ck_assert_str_eq(spc_of(x, 40, 0, 9).reason, "all values are equal");
	ck_assert(isnan(spc_of(x, 40, 0, 9).cpk));
	ck_assert(isnan(spc_of(x, 0, 0, 9).mean));
	ck_assert(isnan(spc_of(x, 1, 0, 9).moving_range));
}
END_TEST

/* mean 0, sigma within 1, whatever the values: the rules alone are asked. */
static void rules_of(const double *x, size_t n, uint8_t *ret)
{
	const struct spc s = {.n = n, .mean = 0, .within = 1};

	spc_rules(x, n, &s, ret);
}

START_TEST(each_rule_marks_the_value_that_completes_it)
{
	static const struct {
		double x[9];
		uint8_t want[9];
	} cases[] = {
		{{0, 3.1, -3.1, 3.0}, {0, 1, 1, 2}},
		{{2.1, 0, 2.1, 0}, {0, 0, 2, 0}},
		{{2.1, -2.1, 2.0, 2.1}, {0, 0, 0, 0}},
		{{2.1, 2.1, 0}, {0, 0, 0}}, /* two of three need three */
		{{-1.1, -1.1, 0.5, -1.1, -1.1}, {0, 0, 0, 0, 4}},
		{{1.1, 1.1, 1.1, 1.1, 0.5}, {0, 0, 0, 0, 0}}, /* it is not beyond itself */
		{{.1, .1, .1, .1, .1, .1, .1, .1, -.1}, {0, 0, 0, 0, 0, 0, 0, 8, 0}},
		{{.1, .1, .1, .1, 0, .1, .1, .1, .1}, {0}},
	};
	uint8_t got[9];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rules_of(cases[i].x, 9, got);
		for (size_t k = 0; k < 9; k++)
			ck_assert_msg(got[k] == cases[i].want[k], "case %zu, value %zu: %u", i, k,
				got[k]);
	}
}
END_TEST

/* The study of ten parts, three appraisers and three trials that the MSA manual of the AIAG works
 * through, by part, appraiser and trial; its results by analysis of variance. */
static const double aiag[10][3][3] = {
	{{.29, .41, .64}, {.08, .25, .07}, {.04, -.11, -.15}},
	{{-.56, -.68, -.58}, {-.47, -1.22, -.68}, {-1.38, -1.13, -.96}},
	{{1.34, 1.17, 1.27}, {1.19, .94, 1.34}, {.88, 1.09, .67}},
	{{.47, .50, .64}, {.01, 1.03, .20}, {.14, .20, .11}},
	{{-.80, -.92, -.84}, {-.56, -1.20, -1.28}, {-1.46, -1.07, -1.45}},
	{{.02, -.11, -.21}, {-.20, .22, .06}, {-.29, -.67, -.49}},
	{{.59, .75, .66}, {.47, .55, .83}, {.02, .01, .21}},
	{{-.31, -.20, -.17}, {-.63, .08, -.34}, {-.46, -.56, -.49}},
	{{2.26, 1.99, 2.01}, {1.80, 2.12, 2.19}, {1.77, 1.45, 1.87}},
	{{-1.36, -1.25, -1.31}, {-1.68, -1.62, -1.50}, {-1.49, -1.77, -2.16}},
};

START_TEST(a_gauge_study_says_what_the_manual_says)
{
	struct grr g;

	ck_assert(grr_of(&aiag[0][0][0], 10, 3, 3, -4, 4, &g));
	ck_assert(g.pooled);
	ck_assert_double_eq_tol(g.repeatability, 0.199933, 5e-6);
	ck_assert_double_eq_tol(g.reproducibility, 0.226838, 5e-6);
	ck_assert_double_eq_tol(g.gauge, 0.302373, 5e-6);
	ck_assert_double_eq_tol(g.parts, 1.042327, 5e-6);
	ck_assert_double_eq_tol(g.percent, 27.86, 0.005);
	ck_assert_double_eq(g.categories, 4);
	near(g.tolerance, 100 * 6 * 0.302373 / 8);
}
END_TEST

START_TEST(an_interaction_that_is_real_is_not_pooled)
{
	/* Each appraiser has a part of his own that he reads high. */
	double x[4][2][2] = {{{1, 1.01}, {2, 2.01}}, {{3, 3.01}, {2, 2.01}}, {{4, 4.01}, {4, 4.01}},
		{{5, 5.01}, {7, 7.01}}};
	struct grr g;

	ck_assert(grr_of(&x[0][0][0], 4, 2, 2, NAN, NAN, &g));
	ck_assert(!g.pooled);
	/* R 4.2.2: anova(lm(x ~ part * appraiser)). */
	ck_assert_double_eq_tol(g.repeatability, 0.007071068, 5e-9);
	ck_assert_double_eq_tol(g.reproducibility, 0.912857236, 5e-9);
	ck_assert_double_eq_tol(g.parts, 1.848422751, 5e-9);
	ck_assert(isnan(g.tolerance));
}
END_TEST

START_TEST(one_appraiser_has_repeatability_alone)
{
	struct grr g;

	ck_assert(grr_of(&aiag[0][0][0], 10, 1, 9, NAN, NAN, &g));
	ck_assert_double_eq(g.reproducibility, 0);
	ck_assert(!grr_of(&aiag[0][0][0], 1, 3, 3, NAN, NAN, &g));
	ck_assert(!grr_of(&aiag[0][0][0], 10, 3, 1, NAN, NAN, &g));
}
END_TEST

/* R 4.2.2: prop.test(k, n, correct = FALSE)$conf.int and fisher.test(matrix(...))$p.value. */
START_TEST(shares_have_the_intervals_and_tests_of_r)
{
	static const struct {
		int64_t k, n;
		double low, high;
	} shares[] = {{9, 10, 0.595849973205, 0.982123786905}, {0, 8, 0, 0.324407564884},
		{5, 5, 0.565517535217, 1}, {963, 1000, 0.949417602518, 0.973038819124}};
	static const struct {
		int64_t t[4];
		double p;
	} tables[] = {{{8, 2, 1, 5}, 0.034965034965}, {{90, 10, 880, 20}, 0.000351171840186},
		{{10, 0, 10, 0}, 1}, {{0, 3, 3, 0}, 0.1}, {{50, 50, 50, 50}, 1},
		{{15000, 600, 960000, 24400}, 5.77068959478e-24}};
	double low, high;

	for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
		spc_wilson(shares[i].k, shares[i].n, &low, &high);
		ck_assert_double_eq_tol(low, shares[i].low, 1e-9);
		ck_assert_double_eq_tol(high, shares[i].high, 1e-9);
	}
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		const int64_t *t = tables[i].t;

		ck_assert_double_eq_tol(spc_fisher(t[0], t[1], t[2], t[3]) / tables[i].p, 1, 1e-9);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("spc");
	TCase *t = tcase_create("spc");

	tcase_add_test(t, an_individuals_chart_has_the_limits_of_the_handbook);
	tcase_add_test(t, capability_is_of_the_moving_range_and_performance_of_all);
	tcase_add_test(t, one_limit_gives_its_own_side_alone);
	tcase_add_test(t, where_there_is_no_figure_there_is_a_reason);
	tcase_add_test(t, each_rule_marks_the_value_that_completes_it);
	tcase_add_test(t, a_gauge_study_says_what_the_manual_says);
	tcase_add_test(t, an_interaction_that_is_real_is_not_pooled);
	tcase_add_test(t, one_appraiser_has_repeatability_alone);
	tcase_add_test(t, shares_have_the_intervals_and_tests_of_r);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
