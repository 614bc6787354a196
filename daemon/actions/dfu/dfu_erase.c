/* SPDX-License-Identifier: Apache-2.0
 *
 * DfuSe: what is erased, and the start of the application.
 */
#include "daemon/actions/dfu/dfu.h"

#define ERASE_CHECK (64u * 1024)

static int check_blank(
	struct dfu_step *x, uint64_t address, uint64_t n, uint64_t *ret_done, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = malloc(ERASE_CHECK);
	int r = 0;

	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes to read", ERASE_CHECK);
	for (uint64_t at = 0; r == 0 && at < n;) {
		size_t k = (size_t)MIN(n - at, (uint64_t)ERASE_CHECK);

		r = dfuse_read(&x->dfu, &x->map, address + at, buf, k, &x->s->it, e);
		for (size_t i = 1; r == 0 && i < k; i++)
			if (buf[i] != buf[0])
				r = err_set(e, ERR_VERIFY_MISMATCH,
					"it is not blank after the erase, at 0x%08llx",
					(unsigned long long)(address + at + i));
		/* FF of most families, 00 of the L0 and L1. */
		if (r == 0 && buf[0] != 0xff && buf[0] != 0x00)
			r = err_set(e, ERR_VERIFY_MISMATCH,
				"it is not blank after the erase, at 0x%08llx",
				(unsigned long long)(address + at));
		at += k;
	}
	*ret_done += n;
	return r;
}

/* Every run that is erased by a mass erase and can be read. */
static int check_all_blank(struct dfu_step *x, uint64_t *ret_done, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->map.runs; i++) {
		const struct dfuse_run *run = &x->map.run[i];

		if (run->access & DFUSE_ERASABLE && run->access & DFUSE_READABLE)
			r = check_blank(
				x, run->address, dfuse_run_end(run) - run->address, ret_done, e);
	}
	return r;
}

static int unprotect(struct dfu_step *x, struct step_result *out, struct err *e)
{
	struct device_facts f;
	int r = dfu_step_replug(x, e);

	if (r == 0)
		r = dfuse_read_unprotect(&x->dfu, &x->s->it, e);
	if (r == 0)
		r = dfu_step_back(x, &f, e);
	/* It proves itself by what can be read now. */
	if (r == 0)
		r = dfu_step_open(x, x->s, x->a, e);
	return r;
}

static int erase_what(struct dfu_step *x, struct step_result *out, struct err *e)
{
	const char *what = args_str(x->a, "what");
	uint64_t blank = 0, pages = 0;
	int r;

	if (!strcmp(what, "pages")) {
		uint64_t address = args_size(x->a, "address"), size = args_size(x->a, "size");

		if (!args_has(x->a, "address") || !size)
			return err_set(e, ERR_INVALID, "'pages' needs 'address' and 'size'");
		r = dfuse_erase_range(&x->dfu, &x->map, address, size, &pages, &x->s->it, e);
		if (r == 0)
			r = dfu_make_idle(&x->dfu, &x->s->it, e);
		if (r == 0)
			r = check_blank(x, address, size, &blank, e);
		result_evidence(out, "pages", json_integer((json_int_t)pages));
	} else {
		r = !strcmp(what, "mass") ? dfuse_mass_erase(&x->dfu, &x->s->it, e)
					  : unprotect(x, out, e);
		if (r == 0)
			r = dfu_make_idle(&x->dfu, &x->s->it, e);
		if (r == 0)
			r = check_all_blank(x, &blank, e);
	}
	if (r == 0) {
		result_evidence(out, "what", json_string(what));
		result_evidence(out, "blank_bytes", json_integer((json_int_t)blank));
	}
	return r;
}

static int erase_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(dfu_step_done) struct dfu_step x = {.s = s, .a = a};
	int r = dfu_step_open(&x, s, a, e);

	if (r == 0)
		r = dfu_step_need_dfuse(&x, "an erase", e);
	if (r < 0)
		return r;
	dfu_step_evidence(&x, out);
	return erase_what(&x, out, e);
}

static const char *const erase_choices[] = {"pages", "mass", "unprotect", NULL};

static const struct action_arg erase_args[] = {
	ARG_ROWS_MEMORY,
	{.name = "what",
		.type = ARG_CHOICE,
		.required = true,
		.choices = erase_choices,
		.doc = "pages: those of 'address' and 'size'; mass: everything; unprotect: everything, and with it the read protection"},
	{.name = "address", .type = ARG_SIZE, .doc = "from where on (pages)"},
	{.name = "size", .type = ARG_SIZE, .unit = "bytes", .doc = "to erase (pages)"},
	{0},
};

const struct action action_dfu_erase = {
	.name = "dfu.erase",
	.doc = "Erases memory of a DfuSe device and reads back that it is blank.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_REENUMERATES |
		 ACTION_SAFE_TO_RETRY,
	.args = erase_args,
	.default_timeout_us = 120 * US_PER_S,
	.run = erase_run,
};

/* -- leave -- */

static int leave_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(dfu_step_done) struct dfu_step x = {.s = s, .a = a};
	int r = dfu_step_open(&x, s, a, e);

	if (r == 0)
		r = dfu_step_need_dfuse(&x, "leaving to an address", e);
	if (r < 0)
		return r;
	dfu_step_evidence(&x, out);
	return dfu_step_start(&x, out, e);
}

static const struct action_arg leave_args[] = {ARG_ROWS_MEMORY, ARG_ROWS_START, {0}};

const struct action action_dfu_leave = {
	.name = "dfu.leave",
	.doc = "Starts the application of a DfuSe device.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_REENUMERATES,
	.args = leave_args,
	.default_timeout_us = 30 * US_PER_S,
	.run = leave_run,
};
