/* SPDX-License-Identifier: Apache-2.0
 *
 * stm32.info, stm32.go, stm32.protect, stm32.unprotect.
 */
#include "base/strbuf.h"
#include "daemon/actions/stm32/stm32.h"

/* --- info --- */

static int info_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	char uid[2 * STM32_UID_BYTES + 1];
	const struct stm32_info *i;
	int r = stm32_session_open(&x, s, a, e);

	if (r < 0)
		return r;
	i = stm32_info(x.rom);
	stm32_session_tell(&x, out);
	result_evidence(out, "read_protected", json_boolean(i->read_protected));
	result_output(out, "pid", json_sprintf("0x%03x", i->pid));
	result_output(out, "device", json_string(i->device.name));
	result_output(out, "flash_size", json_integer(i->flash_bytes));
	result_output(out, "read_protected", json_boolean(i->read_protected));
	if (i->has_uid)
		result_output(out, "uid", json_string(hex_of(i->uid, sizeof i->uid, uid)));
	if (args_has(a, "expect_pid") && args_int(a, "expect_pid") != i->pid)
		return result_fail(out, ERR_WRONG_DEVICE, "this is PID 0x%03x (%s), not 0x%03x",
			i->pid, i->device.name, (unsigned)args_int(a, "expect_pid"));
	return 0;
}

static const struct action_arg info_args[] = {
	ARG_ROW_PORT,
	{.name = "expect_pid",
		.type = ARG_INT,
		.low = 0,
		.high = 0xfff,
		.doc = "the product id that the part has to have"},
	STM32_ROWS_SESSION,
	{0},
};

static const struct action_output info_outputs[] = {
	{"pid", "product id"},
	{"device", "family"},
	{"flash_size", "bytes of this part's flash"},
	{"read_protected", "whether the ROM refuses to read"},
	{"uid", "the part's unique id, where its place is known"},
	{0},
};

const struct action action_stm32_info = {
	.name = "stm32.info",
	.doc = "Asks the UART boot ROM of an STM32 what it is.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = info_args,
	.outputs = info_outputs,
	.default_timeout_us = 30 * US_PER_S,
	.run = info_run,
};

/* --- go --- */

static int go_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	uint64_t address = args_size(a, "address");
	int r = 0;

	if (address > UINT32_MAX)
		return err_set(e, ERR_INVALID, "'address' is above 0xffffffff");
	r = stm32_session_open(&x, s, a, e);
	if (r < 0)
		return r;
	stm32_session_tell(&x, out);
	return stm32_session_start(&x, (uint32_t)address, out, e);
}

static const struct action_arg go_args[] = {
	ARG_ROW_PORT,
	{.name = "address",
		.type = ARG_SIZE,
		.def = "0x08000000",
		.doc = "of the vector table, not of the entry point"},
	STM32_ROWS_READY,
	STM32_ROWS_SESSION,
	{0},
};

static const struct action_output go_outputs[] = {OUTPUT_ROWS_REPLY, {0}};

const struct action action_stm32_go = {
	.name = "stm32.go",
	.doc = "Starts the application from the UART boot ROM of an STM32. The ROM acknowledges and jumps; only the line of 'ready' proves that it runs.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = go_args,
	.outputs = go_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = go_run,
};

/* --- protection --- */

static const char *const protections[] = {"readout", "write", NULL};

#define ROW_WHAT(text)                                                                        \
	{                                                                                     \
		.name = "what", .type = ARG_CHOICE, .required = true, .choices = protections, \
		.doc = (text)                                                                 \
	}

static bool is_readout(const struct args *a)
{
	return !strcmp(args_str(a, "what"), "readout");
}

static int sectors_of(const struct args *a, uint8_t sector[256], size_t *ret_n, struct err *e)
{
	const json_t *list = args_json(a, "sectors");
	const json_t *v;
	size_t i;

	*ret_n = 0;
	if (json_array_size(list) > 256)
		return err_set(e, ERR_INVALID, "more than 256 sectors");
	json_array_foreach((json_t *)(uintptr_t)list, i, v) {
		unsigned long long n;

		if (!parse_size(json_string_value(v), &n) || n > 255)
			return err_set(e, ERR_INVALID, "'%s' is not a sector from 0 to 255",
				json_string_value(v));
		sector[i] = (uint8_t)n;
		*ret_n = i + 1;
	}
	return 0;
}

static const char *const levels[] = {"1", "2", NULL};

static bool is_level2(const struct args *a)
{
	return args_has(a, "level") && !strcmp(args_str(a, "level"), levels[1]);
}

static int protect_check(const struct args *a, struct err *e)
{
	if (!is_level2(a))
		return 0;
	if (args_has(a, "what") && !is_readout(a))
		return err_set(e, ERR_RECIPE_INVALID, "'level' belongs to 'what: readout'");
	if (!args_given(a, "irreversible"))
		return err_set(e, ERR_RECIPE_INVALID,
			"level 2 can never be taken back: 'irreversible: yes-i-mean-it' expected");
	return 0;
}

static int protect_preflight(struct step *s, const struct args *a, struct err *e)
{
	int r = protect_check(a, e);

	if (r < 0 || !is_level2(a) || s->ops->approve)
		return r;
	return err_set(e, ERR_UNSUPPORTED,
		"level 2 is for ever and needs a second person, who is asked by provd: a bench has none");
}

static int protect_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	if (is_level2(a))
		return stm32_level2_observe(session, ret, e);

	bool refused = stm32_info(((struct stm32_session *)session)->rom)->read_protected;

	if (is_readout(a))
		ret->state = refused ? OBSERVED_DONE : OBSERVED_BLANK;
	snprintf(ret->said, sizeof ret->said, "%s",
		!is_readout(a) ? "the boot ROM does not say which sectors are protected"
		: refused      ? "the boot ROM refuses to read"
			       : "the boot ROM reads");
	return 0;
}

/* A part that is read-protected does not give its unique id either. */
static int intend(struct stm32_session *x, const uint8_t *sector, size_t sectors, bool *ret_done,
	struct step_result *out, struct err *e)
{
	const struct stm32_info *info = stm32_info(x->rom);
	struct intent i = {0};

	if (info->has_uid)
		hex_of(info->uid, sizeof info->uid, i.unit);
	snprintf(i.what, sizeof i.what, "%s protection", args_str(x->a, "what"));
	sha256_hex_of(sector, sectors, i.digest);
	return step_intend(x->s, x->a, &i, x, ret_done, out, e);
}

static int protect_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	uint8_t sector[256];
	size_t sectors = 0;
	bool done = false;
	int r = protect_check(a, e);

	if (r == 0)
		r = sectors_of(a, sector, &sectors, e);
	if (r == 0 && is_readout(a) == (sectors > 0))
		r = err_set(e, ERR_RECIPE_INVALID, "'sectors' belong to 'what: write'");
	if (r == 0)
		r = stm32_session_open(&x, s, a, e);
	if (r == 0)
		stm32_session_tell(&x, out);
	if (r == 0 && is_level2(a))
		return stm32_level2(&x, out, e);
	if (r == 0)
		r = intend(&x, sector, sectors, &done, out, e);
	if (r == 0 && is_readout(a) && !done)
		r = stm32_readout_protect(x.rom, &s->it, e);
	else if (r == 0 && !is_readout(a))
		r = stm32_write_protect(x.rom, sector, sectors, &s->it, e);
	if (r < 0)
		return r;
	if (is_readout(a))
		result_evidence(out, "reads_refused", json_true());
	else
		result_evidence(out, "acknowledged_sectors", json_integer((json_int_t)sectors));
	return 0;
}

static const char *const meant[] = {"yes-i-mean-it", NULL};

static const struct action_arg protect_args[] = {
	ARG_ROW_PORT,
	ROW_WHAT(
		"readout: nothing can be read any more, proved by a refused read; write: sectors, for which the ROM's ACK and reset are all the proof there is"),
	{.name = "sectors",
		.type = ARG_LIST,
		.doc = "to be write-protected, as the family numbers them"},
	{.name = "level",
		.type = ARG_CHOICE,
		.def = "1",
		.choices = levels,
		.doc = "of readout. 2 is for ever: no boot ROM, no debugger, no option byte again. A supervisor who neither made the order nor wrote or approved the recipe is asked first; provd knows the option bytes of the F405 to F439 alone"},
	{.name = "irreversible",
		.type = ARG_CHOICE,
		.choices = meant,
		.doc = "level 2 cannot be undone: the words say that it is meant"},
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_protect = {
	.name = "stm32.protect",
	.doc = "Protects the flash of an STM32 through its UART boot ROM, which resets.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE,
	.args = protect_args,
	.default_timeout_us = 60 * US_PER_S,
	.check = protect_check,
	.preflight = protect_preflight,
	.run = protect_run,
	.observe = protect_observe,
};

static int unprotect(struct stm32_session *x, struct step_result *out, struct err *e)
{
	const struct stm32_info *i = stm32_info(x->rom);
	int r;

	if (!is_readout(x->a)) {
		r = stm32_write_unprotect(x->rom, &x->s->it, e);
		if (r == 0)
			result_evidence(out, "acknowledged", json_true());
		return r;
	}
	r = stm32_readout_unprotect(x->rom, &x->s->it, e);
	if (r == 0)
		r = stm32_check_blank(x->rom, i->device.flash_base, i->flash_bytes, &x->s->it, e);
	if (r < 0)
		return r;
	result_evidence(out, "reads_allowed", json_true());
	result_evidence(out, "blank_bytes", json_integer(i->flash_bytes));
	return 0;
}

static int unprotect_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(stm32_session_done) struct stm32_session x = {0};
	int r = 0;

	if (is_readout(a) && !args_bool(a, "wipe"))
		return err_set(e, ERR_RECIPE_INVALID,
			"the end of readout protection erases the whole flash: say 'wipe: true'");
	r = stm32_session_open(&x, s, a, e);
	if (r == 0)
		r = unprotect(&x, out, e);
	if (r < 0)
		return r;
	stm32_session_tell(&x, out);
	return 0;
}

static const struct action_arg unprotect_args[] = {
	ARG_ROW_PORT,
	ROW_WHAT("readout: the whole flash is erased, and read back blank; write: all sectors"),
	{.name = "wipe", .type = ARG_BOOL, .def = "false", .doc = "has to be true for 'readout'"},
	STM32_ROWS_SESSION,
	{0},
};

const struct action action_stm32_unprotect = {
	.name = "stm32.unprotect",
	.doc = "Lifts a protection of the flash of an STM32 through its UART boot ROM, which resets.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH,
	.args = unprotect_args,
	.default_timeout_us = 300 * US_PER_S,
	.run = unprotect_run,
};
