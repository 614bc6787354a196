/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/lines.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"

#define WAIT_MAX_US  (5 * US_PER_S)
#define BREAK_MAX_MS 5000

static bool parse_step(const char *text, struct line_steps *s)
{
	unsigned long long v;
	bool dtr = !strncmp(text, "dtr=", 4);

	if (dtr || !strncmp(text, "rts=", 4)) {
		if (strcmp(text + 4, "0") && strcmp(text + 4, "1"))
			return false;
		s->step[s->n].control = dtr ? LINK_CONTROL_DTR : LINK_CONTROL_RTS;
		s->step[s->n].arg = text[4] == '1';
		return true;
	}
	if (!strncmp(text, "brk=", 4)) {
		if (!parse_duration_us(text + 4, &v) || v > BREAK_MAX_MS * US_PER_MS)
			return false;
		s->step[s->n].control = LINK_CONTROL_BREAK;
		s->step[s->n].arg = (uint32_t)(v / US_PER_MS);
		return true;
	}
	if (!parse_duration_us(text, &v) || v > WAIT_MAX_US)
		return false;
	s->step[s->n].wait = true;
	s->step[s->n].wait_us = v;
	return true;
}

int line_steps_parse(const char *text, struct line_steps *ret, struct err *e)
{
	struct line_steps s = {0};
	_cleanup_(freep) char *copy = xstrdup(text);
	char *next = NULL;

	for (char *t = strtok_r(copy, ", ", &next); t; t = strtok_r(NULL, ", ", &next)) {
		if (s.n == LINE_STEPS_MAX)
			return err_set(
				e, ERR_INVALID, "more than %d steps of lines", LINE_STEPS_MAX);
		if (!parse_step(t, &s))
			return err_set(e, ERR_INVALID,
				"'%s' is not a step of lines (dtr=0, rts=1, brk=250ms, 10ms)", t);
		s.n++;
	}
	*ret = s;
	return 0;
}

struct line_steps line_steps_pulse(enum link_control line, uint64_t hold_us, uint64_t wait_us)
{
	return (struct line_steps){.n = 4,
		.step = {
			{.control = line, .arg = 1},
			{.wait = true, .wait_us = hold_us},
			{.control = line, .arg = 0},
			{.wait = true, .wait_us = wait_us},
		}};
}

int line_steps_run(
	struct link *l, const struct line_steps *s, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		if (s->step[i].wait)
			r = iotime_sleep(s->step[i].wait_us, it, e);
		else
			r = link_control(l, s->step[i].control, s->step[i].arg, e);
	}
	return r;
}
