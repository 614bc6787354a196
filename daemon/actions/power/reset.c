/* SPDX-License-Identifier: Apache-2.0
 *
 * device.reset: by the power, by the modem lines of a port, or by a GPIO line. A reset that nobody sees is none: a
 * device that leaves and comes back shows it, or what the unit says on its console afterwards.
 */
#include "base/strbuf.h"
#include "daemon/actions/boot_pins.h"
#include "daemon/actions/power/power.h"
#include "transports/links/gpio.h"

enum by { BY_POWER, BY_LINES, BY_GPIO };
static const char *const by_names[] = {"power", "lines", "gpio", NULL};

struct reset {
	struct step *s;
	const struct args *a;
	struct power_session p; /* BY_POWER */
	struct power_roles roles;
	struct link *console; /* borrowed; NULL: nothing is expected there */
	struct regex *expect;
};

static void reset_done(struct reset *x)
{
	power_roles_done(&x->roles);
	regex_free(x->expect);
}

static enum by by_of(const struct args *a)
{
	enum by by = BY_POWER;

	while (strcmp(by_names[by], args_str(a, "by")) != 0)
		by++;
	return by;
}

/* What the unit said before it was reset is dropped. A console whose device leaves is closed, and has nothing of before. */
static int forget(struct reset *x, struct err *e)
{
	bool quiet;

	for (size_t i = 0; i < x->roles.n; i++)
		if (!strcmp(x->roles.role[i], args_str(x->a, "console")))
			return 0;
	return link_drain(x->console, 0, 0, &quiet, &x->s->it, e);
}

static int by_power(struct reset *x, struct step_result *out, struct err *e)
{
	int r;

	x->p.ends_on = true;
	r = power_session_set(&x->p, false, e);
	if (r == 0)
		r = power_roles_left(&x->roles, args_duration_us(x->a, "within"), e);
	if (r == 0)
		r = iotime_sleep(args_duration_us(x->a, "off_for"), &x->s->it, e);
	if (r == 0)
		r = x->expect ? forget(x, e) : 0;
	if (r == 0)
		r = power_session_set(&x->p, true, e);
	r = power_session_restore(&x->p, r);
	power_session_say(&x->p, out);
	return r;
}

static int by_lines(struct reset *x, struct step_result *out, struct err *e)
{
	struct line_steps steps;
	struct link *l = NULL;
	int r = line_steps_parse(args_str(x->a, "lines"), &steps, e);

	if (r == 0)
		r = step_link(x->s, args_str(x->a, "lines_port"), &l, e);
	if (r == 0)
		r = line_steps_run(l, &steps, &x->s->it, e);
	result_evidence(out, "lines", json_string(args_str(x->a, "lines")));
	return r;
}

/* The line is let go whatever came in between: a unit is not left in reset. */
static int pulse(struct reset *x, const struct reset_line *w, struct err *e)
{
	const struct iotime *it = &x->s->it;
	struct gpio *g = NULL;
	bool active = false, driven = false;
	int r = gpio_open(w->chip, w->line, w->active_low, &g, e);
	int released;

	if (r < 0)
		return r;
	r = gpio_write(g, true, e);
	if (r == 0)
		r = gpio_read(g, &active, &driven, e);
	if (r == 0 && !active)
		r = err_set(e, ERR_POWER_STATE,
			"line %u of %s was set active, and reads as inactive", w->line, w->chip);
	if (r == 0)
		r = iotime_sleep(args_duration_us(x->a, "pulse"), it, e);
	if (r == 0 && x->expect)
		r = forget(x, e);
	released = gpio_write(g, false, r < 0 ? NULL : e);
	gpio_close(g);
	return r < 0 ? r : released;
}

static int by_gpio(struct reset *x, struct step_result *out, struct err *e)
{
	struct reset_line w = {.line = 0};
	int r = x->s->ops->reset_line ? x->s->ops->reset_line(x->s->env, &w, e)
				      : err_set(e, ERR_UNSUPPORTED, "there is no reset line here");

	if (r == 0)
		r = pulse(x, &w, e);
	if (r < 0)
		return r;
	result_evidence(out, "line", json_pack("{s:s, s:i}", "chip", w.chip, "line", (int)w.line));
	return 0;
}

/* --- the proof --- */

/* What the unit says after the reset: nothing that came before it. */
static int open_console(struct reset *x, struct err *e)
{
	bool quiet;
	int r = arg_regex(x->a, "expect", NULL, &x->expect, e);

	if (r < 0 || !x->expect)
		return r;
	r = step_link(x->s, args_str(x->a, "console"), &x->console, e);
	return r < 0 ? r : link_drain(x->console, 0, 0, &quiet, &x->s->it, e);
}

static int hear(struct reset *x, struct step_result *out, struct err *e)
{
	_cleanup_(sb_done) struct strbuf said = {0};
	char buf[256];
	size_t n;
	int r = step_link(x->s, args_str(x->a, "console"), &x->console, e);

	while (r == 0) {
		struct regex_match m;

		if (said.len && regex_match(x->expect, said.s, said.len, &m)) {
			_cleanup_(freep) char *line = strndup(
				said.s + m.group[0].start, m.group[0].end - m.group[0].start);

			result_evidence(out, "said", json_string(line));
			result_evidence(
				out, "proof", json_string("what the unit says after the reset"));
			return 0;
		}
		if (said.len > 64 * 1024)
			sb_clear(&said);
		r = link_read(x->console, buf, sizeof buf, &n, &x->s->it, e);
		if (r == 0)
			sb_add_n(&said, buf, n);
	}
	return r == -ERR_TIMEOUT
		       ? err_set(e, ERR_TIMEOUT,
				 "port %s: after the reset nothing came that fits '%s' (last: '%.80s')",
				 args_str(x->a, "console"), args_str(x->a, "expect"),
				 said.len > 80 ? said.s + said.len - 80
				 : said.len    ? said.s
					       : "")
		       : r;
}

static int act(struct reset *x, enum by by, struct step_result *out, struct err *e)
{
	switch (by) {
	case BY_POWER:
		return by_power(x, out, e);
	case BY_LINES:
		return by_lines(x, out, e);
	case BY_GPIO:
		return by_gpio(x, out, e);
	}
	return 0;
}

static int reset_with(struct reset *x, enum by by, struct step_result *out, struct err *e)
{
	int r = open_console(x, e);

	if (r == 0)
		r = power_roles_expect(&x->roles, e);
	if (r == 0)
		r = act(x, by, out, e);
	if (r == 0)
		r = power_roles_back(&x->roles, e);
	power_roles_say(&x->roles, out);
	if (r == 0 && x->expect)
		r = hear(x, out, e);
	else if (r == 0 && x->roles.n)
		result_evidence(out, "proof", json_string("the device left and came back"));
	return r < 0 ? r : iotime_sleep(args_duration_us(x->a, "settle"), &x->s->it, e);
}

static int reset_check(const struct args *a, struct err *e)
{
	struct line_steps steps;
	enum by by;

	/* A reference, before the run. */
	if (!args_has(a, "by"))
		return 0;
	by = by_of(a);
	if (by == BY_LINES && (!args_given(a, "lines") || !args_given(a, "lines_port")))
		return err_set(e, ERR_RECIPE_INVALID, "'by: lines' needs 'lines' and 'lines_port'");
	if (by != BY_LINES && (args_given(a, "lines") || args_given(a, "lines_port")))
		return err_set(
			e, ERR_RECIPE_INVALID, "'lines' and 'lines_port' are of 'by: lines'");
	if (args_has(a, "lines") && line_steps_parse(args_str(a, "lines"), &steps, e) < 0)
		return -ERR_RECIPE_INVALID;
	if (args_given(a, "expect") != args_given(a, "console"))
		return err_set(e, ERR_RECIPE_INVALID, "'expect' and 'console' belong together");
	if (!args_given(a, "expect") && !args_given(a, "port") && by != BY_POWER)
		return err_set(e, ERR_RECIPE_INVALID,
			"nothing shows the reset: name a 'port' whose device leaves and comes back, or what to 'expect' on a 'console'");
	return 0;
}

static int reset_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(reset_done) struct reset x = {.s = s, .a = a};
	enum by by = by_of(a);
	int r = reset_check(a, e);

	if (r == 0 && by == BY_POWER)
		r = power_session_open(&x.p, s, e);
	if (r == 0)
		r = power_roles_of(&x.roles, s, &x.p.way, args_str(a, "port"), e);
	if (r == 0 && !x.roles.n && !args_has(a, "expect"))
		r = err_set(e, ERR_NO_EVIDENCE,
			"nothing shows the reset: name a 'port', 'roles' of the station's power, or what to 'expect' on a 'console'");
	return r < 0 ? r : reset_with(&x, by, out, e);
}

static int reset_look(struct step *s, const struct args *a, struct err *e)
{
	return args_has(a, "by") && by_of(a) == BY_POWER ? power_preflight(s, e) : 0;
}

static const struct action_arg reset_args[] = {
	{.name = "by",
		.type = ARG_CHOICE,
		.def = "power",
		.choices = by_names,
		.doc = "power (off and on again), lines (DTR and RTS of a port), gpio (the reset line of the station)"},
	ARG_ROWS_POWER,
	{.name = "lines_port",
		.type = ARG_PORT,
		.ports = PORT_KIND_TTY,
		.doc = "of lines: the role whose modem lines are set"},
	{.name = "lines",
		.type = ARG_STRING,
		.doc = "of lines: what is set: 'rts=1, 100ms, rts=0'"},
	{.name = "pulse",
		.type = ARG_DURATION,
		.def = "100ms",
		.doc = "of gpio: how long the line is active"},
	{.name = "console",
		.type = ARG_PORT,
		.ports = PORT_KIND_TTY | PORT_KIND_TCP,
		.doc = "role on which the unit says that it starts"},
	{.name = "expect", .type = ARG_REGEX, .doc = "what it says there"},
	{0},
};

const struct action action_device_reset = {
	.name = "device.reset",
	.doc = "Resets the unit by its power, by modem lines or by a GPIO line, and proves it by what is seen of the unit afterwards.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_REENUMERATES,
	.args = reset_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = reset_check,
	.preflight = reset_look,
	.run = reset_run,
};
