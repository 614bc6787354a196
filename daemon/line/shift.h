/* SPDX-License-Identifier: Apache-2.0
 *
 * Shifts: by which times of the day the line is looked at, in the time zone of the host. Pure but for
 * that; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shift_config {
	char *name;
	char *from, *to; /* "06:00"; a shift that ends no later than it begins goes past midnight */
	int64_t units;	 /* how many it is to make; 0: what the orders need */
	int from_min, to_min; /* of from and to: minutes since midnight */
};

struct shift_span {
	const char *
		name; /* borrowed of the configuration; NULL: between shifts, or a day where there are none */
	int64_t units;		/* 0: not said */
	int64_t from_ms, to_ms; /* to_ms excluded */
};

/* Minutes since midnight of "06:00"; -1 for anything else. */
int shift_minutes(const char *text);
/* The shift that a moment is in; of several the one that began last. Without a shift then: from the end of one to
 * the beginning of the next. Without shifts: the day. A day on which the clock is set is as long as it is. */
void shift_at(const struct shift_config *shifts, size_t n, int64_t at_ms, struct shift_span *ret);
/* The first moment after at_ms at which a shift begins or ends; without shifts the next midnight. */
int64_t shift_next_ms(const struct shift_config *shifts, size_t n, int64_t at_ms);

struct shift_plan {
	int64_t planned_ms; /* in which there is a shift */
	double demand; /* units that these shifts are to make; of a part of one a part of them */
	int64_t demand_ms; /* of the shifts that say so */
};
/* What is planned for [from_ms, to_ms); without shifts all of it. */
void shift_plan(const struct shift_config *shifts, size_t n, int64_t from_ms, int64_t to_ms,
	struct shift_plan *ret);
