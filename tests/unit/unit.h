/* SPDX-License-Identifier: Apache-2.0
 *
 * What every unit test shares: one Suite a file, UNIT_MAIN runs it. Tests run in forked children
 * (CK_FORK=no for a debugger).
 */
#pragma once

#include <check.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN
#endif
#endif

/* How many of what is done many times: AddressSanitizer takes ten times as long, and sees as much in a few. */
#ifdef UNDER_ASAN
#define AMOUNT(all, some) (some)
#else
#define AMOUNT(all, some) (all)
#endif

#define UNIT_MAIN(suite_fn)                                  \
	int main(void)                                       \
	{                                                    \
		SRunner *sr = srunner_create(suite_fn());    \
		srunner_run_all(sr, CK_ENV);                 \
		int failed = srunner_ntests_failed(sr);      \
		srunner_free(sr);                            \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS; \
	}
