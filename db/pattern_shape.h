/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether two patterns, over their ranges, could give the same value. What a date, a station or a
 * model will be is not known: any text of its kind is possible. So a "no" is certain, and a "yes" is
 * where nobody could be sure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pattern_range {
	const char *pattern; /* that passed pattern_check(); an address in it is any text */
	const char *check;   /* none luhn mod36 */
	int64_t first, last;
};

bool pattern_overlap(const struct pattern_range *a, const struct pattern_range *b);
/* Whether the pattern could give that value. */
bool pattern_could_give(const struct pattern_range *a, const char *value);
