/* SPDX-License-Identifier: Apache-2.0
 *
 * What cannot be undone happens at most once: the device is looked at, the intent is on disk, then
 * the action acts.
 */
#include "daemon/recipe/action.h"

static int refuse(const struct step *s, const struct intent *i, const struct observation *seen,
	const struct earlier_intent *before, struct err *e)
{
	return err_set(e, ERR_UNIT_SUSPECT,
		"run %s began the %s and did not record its end, and the device cannot tell whether it happened (%s): a supervisor looks at unit %s, then releases or scraps it",
		before->run, i->what, seen->said, before->unit[0] ? before->unit : "of that run");
}

static bool cannot_tell(enum observed o)
{
	return o == OBSERVED_UNKNOWN || o == OBSERVED_CLOSED;
}

static int refuse_other(const struct intent *i, const struct earlier_intent *before, struct err *e)
{
	return err_set(e, ERR_OTP_CONFLICT,
		"the unit cannot show it, and run %s has done the %s with another value, for good: set the unit aside",
		before->run, i->what);
}

/* What the journal says where the device says nothing. */
static int ask_journal(const struct step *s, const struct intent *i, const struct observation *seen,
	const struct earlier_intent *before, bool *ret_done, struct err *e)
{
	*ret_done = before->committed;
	if (before->committed)
		return before->other ? refuse_other(i, before, e) : 0;
	if (before->run[0])
		return refuse(s, i, seen, before, e);
	return seen->state == OBSERVED_CLOSED ? err_set(e, seen->code, "%s", seen->said) : 0;
}

/* The device is looked at once more: a person takes a while. */
static int approve(struct step *s, const struct args *a, const struct intent *i, void *session,
	struct observation *seen, struct step_result *out, struct err *e)
{
	char who[UNIT_NAME_BYTES] = "";
	int r;

	if (!s->ops->approve)
		return err_set(e, ERR_UNSUPPORTED,
			"the %s is for ever and needs a second person, who is asked by provd: a bench has none",
			i->what);
	r = s->ops->approve(s->env, i->approval, &s->it, who, e);
	if (r < 0)
		return r;
	result_evidence(out, "approved_by", json_string(who));
	*seen = (struct observation){0};
	return s->action->observe(s, a, session, seen, e);
}

int step_intend(struct step *s, const struct args *a, const struct intent *i, void *session,
	bool *ret_done, struct step_result *out, struct err *e)
{
	struct observation seen = {0};
	struct earlier_intent before = {0};
	int r = s->action->observe(s, a, session, &seen, e);

	if (r == 0 && secret_found(s->secrets, i->unit))
		r = err_set(e, ERR_RECIPE_INVALID,
			"what the unit says of itself would hold a secret of the recipe, and records show it: check what the unit is asked");
	if (r == 0 && i->approval && seen.state != OBSERVED_DONE && seen.state != OBSERVED_HALF)
		r = approve(s, a, i, session, &seen, out, e);
	if (r == 0 && s->ops->intend)
		r = s->ops->intend(s->env, i, &seen, &before, e);
	if (r < 0)
		return r;
	*ret_done = seen.state == OBSERVED_DONE;
	if (seen.state == OBSERVED_HALF)
		return err_set(e, seen.code, "%s", seen.said);
	if (cannot_tell(seen.state))
		r = ask_journal(s, i, &seen, &before, ret_done, e);
	if (r < 0)
		return r;
	s->intended = !*ret_done;
	if (before.run[0])
		result_evidence(out, "earlier_intent",
			json_pack("{s:s, s:s, s:s}", "run", before.run, "decided",
				*ret_done ? "done before" : "not done", "observed", seen.said));
	return 0;
}
