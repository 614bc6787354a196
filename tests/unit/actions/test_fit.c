/* SPDX-License-Identifier: Apache-2.0
 *
 * What corrects readings: by numbers whose solution is known, and what cannot be solved is refused.
 */
#include "daemon/actions/scpi/fit.h"

#include <math.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static struct fit fit;
static struct err e;

static void near(double got, double want)
{
	ck_assert_msg(
		fabs(got - want) <= 1e-9 * fmax(1, fabs(want)), "%.15g, %.15g expected", got, want);
}

START_TEST(a_line_is_found_and_its_residual_is_the_largest_distance)
{
	const struct fit_point exact[] = {{1, 3}, {2, 5}, {4, 9}};
	const struct fit_point off[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3.4}};

	ck_assert_int_eq(fit_polynomial(exact, 3, 2, &fit, &e), 0);
	near(fit.c[0], 1);
	near(fit.c[1], 2);
	near(fit_apply(&fit, 10), 21);
	near(fit_residual(&fit, exact, 3), 0);
	/* By hand: slope 1.12, offset -0.08; the residuals are 0.08, 0.04, 0.16, 0.12. */
	ck_assert_int_eq(fit_polynomial(off, 4, 2, &fit, &e), 0);
	near(fit.c[1], 1.12);
	near(fit.c[0], -0.08);
	near(fit_residual(&fit, off, 4), 0.16);
}
END_TEST

START_TEST(a_polynomial_is_found_far_from_zero_too)
{
	struct fit_point p[7];

	for (int i = 0; i < 7; i++) {
		double x = 1000 + i * 0.5;

		p[i] = (struct fit_point){x, 3 - 2 * (x - 1000) + 0.25 * pow(x - 1000, 3)};
	}
	ck_assert_int_eq(fit_polynomial(p, 7, 4, &fit, &e), 0);
	ck_assert(fit_residual(&fit, p, 7) < 1e-4);
}
END_TEST

START_TEST(readings_that_do_not_tell_the_terms_apart_are_refused)
{
	const struct fit_point same[] = {{1, 1}, {1, 2}, {1, 3}}, two[] = {{1, 1}, {2, 2}, {1, 1}};

	ck_assert_int_eq(fit_polynomial(same, 3, 2, &fit, &e), -ERR_CALIBRATION);
	ck_assert_msg(strstr(e.msg, "does the input reach it?"), "%s", e.msg);
	ck_assert_int_eq(fit_polynomial(two, 3, 3, &fit, &e), -ERR_CALIBRATION);
	ck_assert_int_eq(fit_polynomial(two, 1, 2, &fit, &e), -ERR_CALIBRATION);
}
END_TEST

START_TEST(a_table_goes_through_its_points_and_on)
{
	const struct fit_point p[] = {{3, 30}, {1, 10}, {2, 15}};

	ck_assert_int_eq(fit_table(p, 3, &fit, &e), 0);
	near(fit_apply(&fit, 1), 10);
	near(fit_apply(&fit, 1.5), 12.5);
	near(fit_apply(&fit, 2.5), 22.5);
	near(fit_apply(&fit, 4), 45);
	near(fit_apply(&fit, 0), 5);
}
END_TEST

START_TEST(a_table_that_turns_back_is_refused)
{
	const struct fit_point equal[] = {{1, 1}, {1, 2}}, back[] = {{1, 1}, {2, 3}, {3, 2}},
			       flat[] = {{1, 1}, {2, 1}}, falling[] = {{1, 3}, {2, 2}, {3, 1}};

	ck_assert_int_eq(fit_table(equal, 2, &fit, &e), -ERR_CALIBRATION);
	ck_assert_int_eq(fit_table(back, 3, &fit, &e), -ERR_CALIBRATION);
	ck_assert_int_eq(fit_table(flat, 2, &fit, &e), -ERR_CALIBRATION);
	ck_assert_int_eq(fit_table(falling, 3, &fit, &e), 0);
}
END_TEST

/* As decimals that are too few make of three points. */
START_TEST(points_that_fell_together_are_no_good_fit)
{
	const struct fit_point p[] = {{0, 0}, {0.2, 0.2}, {0.4, 0.4}};
	const struct fit flat = {.points = 3};
	const struct fit_point zero[] = {{0, 0}, {0, 0}, {0, 0}};

	ck_assert(!(fit_residual(&flat, p, 3) < 1e300));
	ck_assert(!(fit_correction(&flat, p, 3) < 1e300));
	ck_assert(!(fit_residual(&flat, zero, 3) < 1e300));
}
END_TEST

START_TEST(the_correction_is_the_largest_change_of_a_reading)
{
	const struct fit_point p[] = {{1, 1.5}, {2, 2.25}, {3, 3}};

	ck_assert_int_eq(fit_polynomial(p, 3, 2, &fit, &e), 0);
	near(fit_correction(&fit, p, 3), 0.5);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fit");
	TCase *t = tcase_create("fit");

	tcase_add_test(t, a_line_is_found_and_its_residual_is_the_largest_distance);
	tcase_add_test(t, a_polynomial_is_found_far_from_zero_too);
	tcase_add_test(t, readings_that_do_not_tell_the_terms_apart_are_refused);
	tcase_add_test(t, a_table_goes_through_its_points_and_on);
	tcase_add_test(t, a_table_that_turns_back_is_refused);
	tcase_add_test(t, points_that_fell_together_are_no_good_fit);
	tcase_add_test(t, the_correction_is_the_largest_change_of_a_reading);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
