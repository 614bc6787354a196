/* SPDX-License-Identifier: Apache-2.0
 *
 * Any program that switches: one for on, one for off, and one that says "on" or "off" in a line of its own, and not both.
 * An exit status other than 0 is a failure.
 */
#include "daemon/actions/power/power_session.h"
#include "daemon/actions/tool_step.h"

struct program_switch {
	struct power_switch base;
	struct step *s;
};

static struct program_switch *of(struct power_switch *p)
{
	return container_of(p, struct program_switch, base);
}

/* Of a program that switches the words are evidence of nothing: how it is says the program for that. */
enum word { WORD_ON, WORD_OFF };
static const struct tool_marker words[] = {
	[WORD_ON] = {.pattern = "(?i)^on$", .count = TOOL_MAY},
	[WORD_OFF] = {.pattern = "(?i)^off$", .count = TOOL_MAY},
	{0},
};

/* Of several outlets nobody knows which one is meant. */
static int state_said(
	const char *program, const struct tool_outcome *seen, enum power_state *ret, struct err *e)
{
	bool on = seen->count[WORD_ON], off = seen->count[WORD_OFF];

	if (on && off)
		return err_set(e, ERR_POWER_SWITCH, "%s says 'on' and 'off': one of them expected",
			program);
	if (!on && !off)
		return err_set(e, ERR_POWER_SWITCH,
			"%s says neither 'on' nor 'off' in a line; its last line: '%.120s'",
			program, seen->last ? seen->last : "");
	*ret = on ? POWER_ON : POWER_OFF;
	return 0;
}

/* ret: NULL, or what it says of the state. */
static int run(
	struct program_switch *x, const char *const *argv, enum power_state *ret, struct err *e)
{
	_cleanup_(tool_step_done) struct tool_step t = {0};
	int r = tool_step_open(&t, x->s, e);
	const struct tool_spec spec = {.argv = argv,
		.dir = t.dir.path,
		.success = words,
		.secrets = x->s->secrets,
		.tell = step_teller(x->s)};

	if (r == 0)
		r = tool_run(&spec, &t.seen, &x->s->it, e);
	if (r == -ERR_TOOL_FAILED) {
		if (e)
			e->code = ERR_POWER_SWITCH;
		return -ERR_POWER_SWITCH;
	}
	return r < 0 || !ret ? r : state_said(argv[0], &t.seen, ret, e);
}

static int state(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	*ret = POWER_UNKNOWN;
	return p->way->run_status ? run(of(p), p->way->run_status, ret, e) : 0;
}

static int set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	return run(of(p), on ? p->way->run_on : p->way->run_off, NULL, e);
}

static void program_close(struct power_switch *p)
{
	free(of(p));
}

static const struct power_switch_ops ops = {state, set, program_close};

int power_open_program(
	const struct power_way *w, struct step *s, struct power_switch **ret, struct err *e)
{
	struct program_switch *x = xcalloc(1, sizeof *x);

	x->base = (struct power_switch){&ops, w};
	x->s = s;
	*ret = &x->base;
	return 0;
}
