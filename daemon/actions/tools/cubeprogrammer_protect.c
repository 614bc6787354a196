/* SPDX-License-Identifier: Apache-2.0
 *
 * cubeprogrammer.protect: read-out protection of level 2 by STM32_Programmer_CLI, which nothing takes back.
 * The program knows where the part keeps it; provd believes what the program shows before and after.
 *
 *	RDP is aa ──> a second person says yes ──> still aa ──> cc, "programmed" ──> no debugger connects
 */
#include "daemon/actions/tools/cubeprogrammer.h"

#define LEVEL_0 0xaa

struct session {
	struct tool_step t;
	struct cube_target target;
	struct cube_part part;
	char node[LINK_ADDRESS_BYTES];
};

static void session_done(struct session *x)
{
	tool_step_done(&x->t);
}

static int protect_preflight(struct step *s, const struct args *a, struct err *e)
{
	if (s->ops->approve)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"level 2 is for ever and needs a second person, who is asked by provd: a bench has none");
}

static int look(struct session *x, struct err *e)
{
	const struct teller tell = step_teller(x->t.s);

	return cube_look(&x->target, &x->t.dir, &tell, &x->part, &x->t.s->it, e);
}

static int protect_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	struct session *x = session;
	char unit[sizeof x->part.uid];
	int r;

	memcpy(unit, x->part.uid, sizeof unit);
	r = look(x, e);
	if (r < 0)
		return r;
	/* A person takes a while to say yes. */
	if (strcmp(unit, x->part.uid) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"the part is %s now, and was %s before: plug the right unit", x->part.uid,
			unit);
	ret->state = x->part.rdp == LEVEL_0 ? OBSERVED_BLANK : OBSERVED_HALF;
	ret->code = ERR_CONFLICT;
	snprintf(ret->said, sizeof ret->said, "the RDP option byte is %02x%s", x->part.rdp,
		x->part.rdp == LEVEL_0 ? "" : ", aa (level 0) expected");
	return 0;
}

/* The program reached it before, and nothing was unplugged: of level 2 no debugger gets in. */
static int is_closed(struct session *x, struct step_result *out, struct err *e)
{
	struct err why = {0};
	int r = look(x, &why);

	if (r == -ERR_TIMEOUT && strstr(why.msg, CUBE_NO_POWER))
		return err_set(e, ERR_NO_EVIDENCE,
			"level 2 was programmed, and %s now: that it lets nobody in is not proved (power it, and see that no debugger connects)",
			CUBE_NO_POWER);
	if (r == -ERR_TIMEOUT && iotime_check(&x->t.s->it, e) == 0) {
		result_evidence(out, "proof",
			json_string(
				"programmed, and the part does not let the program in any more"));
		return 0;
	}
	if (r < 0)
		return err_set(e, err_from_ret(r), "%s", why.msg);
	return err_set(e, ERR_READ_BACK_MISMATCH,
		"level 2 was programmed, and the part still lets the program in: it is not protected");
}

static int protect(struct session *x, struct step_result *out, struct err *e)
{
	const struct teller tell = step_teller(x->t.s);
	int r = cube_level2(&x->target, &x->t.dir, &tell, &x->t.seen, &x->t.s->it, e);

	tool_step_evidence(&x->t.seen, out);
	return r < 0 ? r : is_closed(x, out, e);
}

static int intend(struct session *x, const struct args *a, struct step_result *out, struct err *e)
{
	/* As stm32.protect: the journal knows the act of either. */
	static const char what[] = "readout protection of level 2";
	struct intent i = {.for_good = true};
	bool done = false;
	char text[160];
	int r;

	if (!x->part.uid[0])
		return err_set(e, ERR_UNSUPPORTED,
			"where the part with the device ID 0x%03x keeps its unique id is not known here: nothing that is for ever is done where nobody knows the unit",
			x->part.device_id);
	snprintf(i.unit, sizeof i.unit, "%s", x->part.uid);
	snprintf(i.what, sizeof i.what, "%s", what);
	sha256_hex_of(what, sizeof what - 1, i.digest);
	snprintf(text, sizeof text,
		"Read-out protection of level 2 for unit %s: nothing ever takes it back. Is it meant?",
		i.unit);
	i.approval = text;
	r = step_intend(x->t.s, a, &i, x, &done, out, e);
	return r < 0 ? r : protect(x, out, e);
}

static int protect_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(session_done) struct session x = {0};
	int r = cube_target_of(s, a, x.node, &x.target, e);

	if (r == 0)
		r = tool_step_open(&x.t, s, e);
	if (r == 0)
		r = look(&x, e);
	if (r < 0)
		return r;
	result_evidence(out, "device_id", json_sprintf("%03x", x.part.device_id));
	result_evidence(out, "uid", json_string(x.part.uid));
	return intend(&x, a, out, e);
}

static const char *const meant[] = {"yes-i-mean-it", NULL};

static const struct action_arg protect_args[] = {
	CUBE_ROWS_TARGET,
	{.name = "irreversible",
		.type = ARG_CHOICE,
		.required = true,
		.choices = meant,
		.doc = "level 2 cannot be undone: no debugger, no boot ROM, no option byte again. A supervisor who neither made the order nor wrote or approved the recipe is asked first"},
	ARG_ROW_PROGRAM("STM32_Programmer_CLI"),
	{0},
};

const struct action action_cubeprogrammer_protect = {
	.name = "cubeprogrammer.protect",
	.doc = "Closes an STM32 for ever: read-out protection of level 2, by ST's STM32_Programmer_CLI.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = protect_args,
	.default_timeout_us = 15 * 60 * US_PER_S,
	.preflight = protect_preflight,
	.run = protect_run,
	.observe = protect_observe,
};
