/* SPDX-License-Identifier: Apache-2.0
 *
 * What every unit test shares: one Suite a file, UNIT_MAIN runs it. Tests run in forked children
 * (CK_FORK=no for a debugger).
 */
#pragma once

#include <check.h>
#include <stdlib.h>

#define UNIT_MAIN(suite_fn)                                  \
	int main(void)                                       \
	{                                                    \
		SRunner *sr = srunner_create(suite_fn());    \
		srunner_run_all(sr, CK_ENV);                 \
		int failed = srunner_ntests_failed(sr);      \
		srunner_free(sr);                            \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS; \
	}
