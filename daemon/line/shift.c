/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/shift.h"

#include <ctype.h>
#include <string.h>

#include "base/timefmt.h"

int shift_minutes(const char *s)
{
	int h, m;

	if (strlen(s) != 5 || s[2] != ':' || !isdigit((unsigned char)s[0]) ||
		!isdigit((unsigned char)s[1]) || !isdigit((unsigned char)s[3]) ||
		!isdigit((unsigned char)s[4]))
		return -1;
	h = (s[0] - '0') * 10 + s[1] - '0';
	m = (s[3] - '0') * 10 + s[4] - '0';
	return h < 24 && m < 60 ? h * 60 + m : -1;
}

/* One occurrence of a shift: it is the moment's, or bounds the time without a shift. */
static void look_at(const struct shift_config *s, int64_t from, int64_t to, int64_t at_ms,
	struct shift_span *now, struct shift_span *gap)
{
	if (at_ms >= from && at_ms < to && from >= now->from_ms)
		*now = (struct shift_span){
			.name = s->name, .units = s->units, .from_ms = from, .to_ms = to};
	if (to <= at_ms && to > gap->from_ms)
		gap->from_ms = to;
	if (from > at_ms && from < gap->to_ms)
		gap->to_ms = from;
}

void shift_at(const struct shift_config *shifts, size_t n, int64_t at_ms, struct shift_span *ret)
{
	struct shift_span now = {.from_ms = INT64_MIN},
			  gap = {.from_ms = INT64_MIN, .to_ms = INT64_MAX};

	for (size_t i = 0; i < n; i++) {
		const struct shift_config *s = &shifts[i];
		const int next = s->to_min <= s->from_min ? 1 : 0;

		for (int day = -2; day <= 1; day++)
			look_at(s, local_day_ms(at_ms, day, s->from_min),
				local_day_ms(at_ms, day + next, s->to_min), at_ms, &now, &gap);
	}
	if (!n)
		gap = (struct shift_span){
			.from_ms = local_day_ms(at_ms, 0, 0), .to_ms = local_day_ms(at_ms, 1, 0)};
	*ret = now.name ? now : gap;
}

static void sooner(int64_t *next, int64_t border, int64_t at_ms)
{
	if (border > at_ms && border < *next)
		*next = border;
}

int64_t shift_next_ms(const struct shift_config *shifts, size_t n, int64_t at_ms)
{
	int64_t next = n ? INT64_MAX : local_day_ms(at_ms, 1, 0);

	for (size_t i = 0; i < n; i++)
		for (int day = 0; day <= 1; day++) {
			sooner(&next, local_day_ms(at_ms, day, shifts[i].from_min), at_ms);
			sooner(&next, local_day_ms(at_ms, day, shifts[i].to_min), at_ms);
		}
	return next;
}

void shift_plan(const struct shift_config *shifts, size_t n, int64_t from_ms, int64_t to_ms,
	struct shift_plan *ret)
{
	*ret = (struct shift_plan){.planned_ms = n || to_ms < from_ms ? 0 : to_ms - from_ms};
	for (int64_t at = from_ms, next; n && at < to_ms; at = next) {
		struct shift_span s;

		next = shift_next_ms(shifts, n, at);
		if (next > to_ms)
			next = to_ms;
		shift_at(shifts, n, at, &s);
		if (!s.name)
			continue;
		ret->planned_ms += next - at;
		if (!s.units)
			continue;
		ret->demand +=
			(double)s.units * (double)(next - at) / (double)(s.to_ms - s.from_ms);
		ret->demand_ms += next - at;
	}
}
