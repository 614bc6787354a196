/* SPDX-License-Identifier: Apache-2.0
 *
 * device.power:
 *
 *	off     claim the roles -> switch -> read back -> their devices leave
 *	on      switch, in turn -> read back -> their devices come (back), as the same unit
 *	cycle   both, with a pause between
 *	leave   as `power_after` of the recipe says: the last step of a teardown, which is added by itself
 */
#include "daemon/actions/power/power.h"

#define LOOK_US (20 * US_PER_MS)

/* --- the roles --- */

static void add_role(struct power_roles *r, const char *role)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->role[i], role))
			return;
	if (r->n < ARRAY_LEN(r->role))
		r->role[r->n++] = role;
}

static bool is_present(struct power_roles *r, size_t i)
{
	struct device_facts f;

	return r->s->ops->facts(r->s->env, r->role[i], &f, NULL) == 0;
}

int power_roles_of(struct power_roles *r, struct step *s, const struct power_way *w,
	const char *named, struct err *e)
{
	struct device_facts f = {0};

	*r = (struct power_roles){.s = s, .left = json_array(), .back = json_array()};
	if (named && s->ops->facts(s->env, named, &f, NULL) == 0 && !f.port[0] && !f.path[0])
		return err_set(e, ERR_UNSUPPORTED,
			"port %s is at the fixed address %s: nobody sees its device leave; name a role that is bound by its USB port",
			named, f.node);
	if (named)
		add_role(r, named);
	for (const char *const *role = w->role; *role; role++)
		add_role(r, *role);
	return 0;
}

void power_roles_done(struct power_roles *r)
{
	json_decref(r->left);
	json_decref(r->back);
	*r = (struct power_roles){0};
}

int power_roles_expect(struct power_roles *r, struct err *e)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < r->n; i++) {
		r->was[i] = is_present(r, i);
		r->s->ops->link_close(r->s->env, r->role[i]);
		ret = r->s->ops->expect_replug(r->s->env, r->role[i], e);
	}
	return ret;
}

int power_roles_left(struct power_roles *r, uint64_t within_us, struct err *e)
{
	const uint64_t until = now_us() + within_us;

	for (size_t i = 0; i < r->n; i++) {
		while (is_present(r, i)) {
			int ret = iotime_sleep(LOOK_US, &r->s->it, e);

			if (ret < 0)
				return ret;
			if (now_us() > until)
				return err_set(e, ERR_POWER_NO_EFFECT,
					"port %s: the power is off, and its device is still there after %.1f s (has it power from elsewhere?)",
					r->role[i], (double)within_us / 1e6);
		}
		if (r->was[i])
			json_array_append_new(r->left, json_string(r->role[i]));
	}
	return 0;
}

int power_roles_back(struct power_roles *r, struct err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		struct device_facts f = {0};
		int ret = r->s->ops->wait_device(r->s->env, r->role[i], &r->s->it, &f, e);
		json_t *o;

		if (ret < 0)
			return err_prefix(e, "after the power came on"), ret;
		o = facts_json(&f);
		json_object_set_new(o, "role", json_string(r->role[i]));
		json_array_append_new(r->back, o);
	}
	return 0;
}

void power_roles_say(const struct power_roles *r, struct step_result *out)
{
	if (json_array_size(r->left))
		result_evidence(out, "left", json_incref(r->left));
	if (json_array_size(r->back))
		result_evidence(out, "back", json_incref(r->back));
}

/* --- device.power --- */

enum wanted { WANT_ON, WANT_OFF, WANT_CYCLE, WANT_LEAVE };
static const char *const wanted_names[] = {"on", "off", "cycle", "leave", NULL};

struct work {
	struct power_session p;
	struct power_roles roles;
	const struct args *a;
};

static void work_done(struct work *w)
{
	power_roles_done(&w->roles);
}

static int go_off(struct work *w, struct err *e)
{
	int r = power_roles_expect(&w->roles, e);

	if (r == 0)
		r = power_session_set(&w->p, false, e);
	return r < 0 ? r : power_roles_left(&w->roles, args_duration_us(w->a, "within"), e);
}

static int go_on(struct work *w, struct err *e)
{
	int r = power_session_set(&w->p, true, e);

	return r < 0 ? r : power_roles_back(&w->roles, e);
}

static int cycle(struct work *w, struct err *e)
{
	int r;

	w->p.ends_on = true;
	r = go_off(w, e);
	if (r == 0)
		r = iotime_sleep(args_duration_us(w->a, "off_for"), &w->p.s->it, e);
	if (r == 0)
		r = go_on(w, e);
	return power_session_restore(&w->p, r);
}

/* A unit that gets its power back is not a new one to the station: its devices are waited for. */
static int leave(struct work *w, struct err *e)
{
	const struct step *s = w->p.s;
	enum power_state want = s->ops->power_after(s->env);
	int r = 0;

	if (want == POWER_OFF)
		r = power_roles_expect(&w->roles, e);
	if (r == 0 && want != POWER_UNKNOWN)
		r = power_session_set(&w->p, want == POWER_ON, e);
	if (r == 0)
		r = s->ops->power_settled(s->env, e);
	return r == 0 && want == POWER_ON && w->p.found == POWER_OFF
		       ? power_roles_back(&w->roles, e)
		       : r;
}

/* What nothing proves does not pass; a teardown makes safe what it can. */
static int check_proof(
	const struct work *w, enum wanted want, struct step_result *out, struct err *e)
{
	bool seen = json_array_size(w->roles.left) || json_array_size(w->roles.back);

	result_evidence(out, "proof",
		json_string(seen       ? "the device left or came"
			    : w->p.now ? "what the switch says"
				       : "none"));
	if (seen || w->p.now != POWER_UNKNOWN || w->p.s->teardown || want == WANT_LEAVE)
		return 0;
	return err_set(e, ERR_NO_EVIDENCE,
		"power at %s: the switch cannot say how it is, and no device shows it: name a 'port' that leaves and comes back, or a way to ask the switch",
		w->p.way.place);
}

static int act(struct work *w, enum wanted want, struct err *e)
{
	switch (want) {
	case WANT_ON:
		return go_on(w, e);
	case WANT_OFF:
		return go_off(w, e);
	case WANT_CYCLE:
		return cycle(w, e);
	case WANT_LEAVE:
		return leave(w, e);
	}
	return 0;
}

/* A teardown makes safe what it can: a switch that does not say how it is may switch all the same. The step fails. */
static void switch_unread(struct work *w, enum wanted want)
{
	const struct step *s = w->p.s;
	enum power_state to = want == WANT_LEAVE ? s->ops->power_after(s->env)
			      : want == WANT_OFF ? POWER_OFF
						 : POWER_ON;
	struct err e;

	if (s->teardown && w->p.way.place[0] && to != POWER_UNKNOWN &&
		power_session_set(&w->p, to == POWER_ON, &e) < 0)
		step_log(w->p.s, '#', "%s", e.msg);
}

static int power_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(work_done) struct work w = {.a = a};
	enum wanted want = WANT_ON;
	int r = power_session_open(&w.p, s, e);

	while (strcmp(wanted_names[want], args_str(a, "state")) != 0)
		want++;
	if (r == -ERR_POWER_SWITCH)
		switch_unread(&w, want);
	if (r == 0)
		r = power_roles_of(&w.roles, s, &w.p.way, args_str(a, "port"), e);
	if (r == 0)
		r = act(&w, want, e);
	if (w.p.known)
		power_session_say(&w.p, out);
	power_roles_say(&w.roles, out);
	if (r == 0)
		r = check_proof(&w, want, out, e);
	if (r == 0)
		r = iotime_sleep(args_duration_us(a, "settle"), &s->it, e);
	if (r == 0)
		result_output(out, "state", json_string(power_state_str(w.p.now)));
	return r;
}

static int power_look(struct step *s, const struct args *a, struct err *e)
{
	return power_preflight(s, e);
}

static const struct action_arg power_args[] = {
	{.name = "state",
		.type = ARG_CHOICE,
		.required = true,
		.choices = wanted_names,
		.doc = "on, off, cycle (off and on again), or leave: as 'power_after' of the recipe says"},
	ARG_ROWS_POWER,
	{0},
};

static const struct action_output power_outputs[] = {
	{"state", "on, off, or unknown where the switch cannot say"},
	{0},
};

const struct action action_device_power = {
	.name = "device.power",
	.doc = "Switches the power of the unit, reads the switch back, and proves it by the device that leaves and comes back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | ACTION_REENUMERATES,
	.args = power_args,
	.outputs = power_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.preflight = power_look,
	.run = power_run,
};
