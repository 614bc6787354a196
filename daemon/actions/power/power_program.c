/* SPDX-License-Identifier: Apache-2.0
 *
 * Any program that switches: one for on, one for off, and one whose first line says "on" or "off". An exit status
 * other than 0 is a failure; what it said last is the sentence.
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

/* Its words are evidence of nothing: how it is says the program for that. Any line will do as success. */
static const struct tool_marker any[] = {{.pattern = "^", .count = TOOL_MAY}, {0}};
static const struct tool_marker words[] = {{.pattern = "(?i)^(on|off)$"}, {0}};

static int run(
	struct program_switch *x, const char *const *argv, bool asks, char ret[8], struct err *e)
{
	_cleanup_(tool_step_done) struct tool_step t = {0};
	int r = tool_step_open(&t, x->s, e);
	const struct tool_spec spec = {.argv = argv,
		.dir = t.dir.path,
		.success = asks ? words : any,
		.secrets = x->s->secrets,
		.tell = step_teller(x->s)};

	if (r == 0)
		r = tool_run(&spec, &t.seen, &x->s->it, e);
	if (r < 0)
		return r == -ERR_TOOL_FAILED || r == -ERR_NO_EVIDENCE
			       ? err_set(e, ERR_POWER_SWITCH, "%s: %s", argv[0],
					 t.seen.last ? t.seen.last : "it failed")
			       : r;
	if (asks)
		snprintf(ret, 8, "%.7s", t.seen.marker[0]);
	return 0;
}

static int state(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	char word[8] = "";
	int r;

	*ret = POWER_UNKNOWN;
	if (!p->way->run_status)
		return 0;
	r = run(of(p), p->way->run_status, true, word, e);
	if (r == 0)
		*ret = strcasecmp(word, "on") ? POWER_OFF : POWER_ON;
	return r;
}

static int set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	return run(of(p), on ? p->way->run_on : p->way->run_off, false, NULL, e);
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
