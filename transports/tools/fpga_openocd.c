/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenOCD User's Guide 0.12.0: 10 (TAP declaration; a chain that nobody declares is probed), 14 (PLD), 18.1 (SVF). Texts of
 * that version: src/jtag/core.c, src/svf/svf.c, src/pld/virtex2.c.
 */
#include <string.h>

#include "base/strbuf.h"
#include "transports/tools/fpga_impl.h"
#include "transports/tools/openocd_impl.h"
#include "transports/tools/openocd_job.h"

#define LATTICE_READ_STATUS 0x3c

const struct tool_rule fpga_openocd_rules[] = {
	{"LIBUSB_ERROR_ACCESS|insufficient permissions", ERR_ACCESS,
		"provd may not open the probe: check the udev rules"},
	{"LIBUSB_ERROR_BUSY|could not claim interface: Resource busy", ERR_BUSY,
		"another program holds the probe: stop it"},
	{"(?i)unable to open ftdi device|unable to find a matching CMSIS-DAP|no device found|could not (find|open) .*(adapter|probe)|Failed to connect|no j-link device found",
		ERR_PORT_UNBOUND,
		"the debug probe was not found: is it plugged, and is it the one that the recipe names?"},
	{"Can't find \\S+|invalid command name|wrong # args", ERR_RECIPE_INVALID, NULL},
	{"remote_bitbang.*(closed|failed)|remote_bitbang_(fill_buf|flush|queue)|LIBUSB_ERROR_(IO|PIPE|NO_DEVICE)|Connection reset by peer",
		ERR_DEVICE_GONE, "the probe was lost in the middle of the work"},
	{"provd: the chain changed", ERR_WRONG_DEVICE,
		"the device is another one than a moment ago: nothing was loaded"},
	{"UNEXPECTED: 0x|Unexpected idcode after end of chain", ERR_WRONG_DEVICE,
		"the JTAG chain is another one than a moment ago"},
	{"tdo check error at line", ERR_TDO_MISMATCH,
		"the device answered something else than the file expects"},
	{"svf file programmed failed", ERR_TOOL_FAILED, "OpenOCD could not play the file"},
	{"failed loading file", ERR_TOOL_FAILED, "OpenOCD could not load the file"},
	{"JTAG scan chain interrogation failed", ERR_JTAG_STUCK,
		"nothing answers on the JTAG chain"},
	{NULL, ERR_NONE, NULL},
};

/* Those of a look: what OpenOCD makes of a chain that nobody declared does not count as a failure. */
static const struct tool_rule look_rules[] = {
	{"LIBUSB_ERROR_ACCESS|insufficient permissions", ERR_ACCESS,
		"provd may not open the probe: check the udev rules"},
	{"LIBUSB_ERROR_BUSY|could not claim interface: Resource busy", ERR_BUSY,
		"another program holds the probe: stop it"},
	{"(?i)unable to open ftdi device|unable to find a matching CMSIS-DAP|no device found|could not (find|open) .*(adapter|probe)|Failed to connect|no j-link device found",
		ERR_PORT_UNBOUND,
		"the debug probe was not found: is it plugged, and is it the one that the recipe names?"},
	{"Can't find \\S+|invalid command name|wrong # args", ERR_RECIPE_INVALID, NULL},
	{NULL, ERR_NONE, NULL},
};

enum look_mark { LOOK_FOUND, LOOK_ZEROES, LOOK_ONES };
static const struct tool_marker look_markers[] = {
	[LOOK_FOUND] = {"^Info : JTAG tap: auto\\d+\\.tap tap/device found: (0x[0-9a-f]{8})\\b",
		TOOL_MAY},
	[LOOK_ZEROES] = {"JTAG scan chain interrogation failed: all zeroes", TOOL_MAY},
	[LOOK_ONES] = {"JTAG scan chain interrogation failed: all ones", TOOL_MAY},
	{NULL, 0},
};

static void on_look(void *owner, size_t marker, const char *line, const struct tool_outcome *o)
{
	struct fpga_run *x = owner;
	const char *at = strstr(line, "found: 0x");
	char id[11];
	uint32_t v;

	x->zeroes |= marker == LOOK_ZEROES;
	x->ones |= marker == LOOK_ONES;
	if (marker != LOOK_FOUND || !at)
		return;
	snprintf(id, sizeof id, "%s", at + strlen("found: "));
	if (fpga_number_in(id, &v))
		fpga_saw(x, v);
}

static int run(struct fpga_run *x, struct openocd_argv *v, struct tool_spec *spec,
	struct tool_outcome *ret, struct err *e)
{
	spec->name = "OpenOCD";
	spec->argv = (const char *const *)v->arg;
	spec->dir = x->dir->path;
	spec->version = "^Open On-Chip Debugger (\\S+)";
	spec->complaint = "^Error: ";
	spec->kill_grace_us = OPENOCD_KILL_GRACE_US;
	spec->tell = *x->job->tell;
	spec->owner = x;
	return tool_run(spec, ret, x->it, e);
}

int fpga_openocd_look(struct fpga_run *x, struct err *e)
{
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	struct tool_spec spec = {.success = look_markers, .rules = look_rules, .marked = on_look};
	int r = openocd_argv_probe(&x->probe->openocd, &v, e);

	if (r < 0)
		return r;
	openocd_argv_command(&v, "init");
	openocd_argv_command(&v, "shutdown");
	return run(x, &v, &spec, &x->result->look, e);
}

/* --- the work --- */

enum work_mark { WORK_FOUND, WORK_LOADED, WORK_PLAYED, WORK_STATUS, WORK_MARKS };

static void on_work(void *owner, size_t marker, const char *line, const struct tool_outcome *o)
{
	struct fpga_run *x = owner;

	if (marker == WORK_LOADED || marker == WORK_PLAYED)
		x->after = true;
	if (marker == WORK_STATUS && x->after)
		x->result->has_status = fpga_number_in(line, &x->result->status);
}

/* OpenOCD's order is from TDO to TDI. */
static size_t place(const struct fpga_chain *c, size_t i)
{
	return c->n - 1 - i;
}

static void declare(struct openocd_argv *v, const struct fpga_chain *c)
{
	for (size_t k = c->n; k-- > 0;)
		openocd_argv_command(v, "jtag newtap d%zu tap -irlen %u -expected-id 0x%08x%s",
			place(c, k), c->part[k].ir_bits, c->part[k].idcode,
			c->part[k].idcode_mask == UINT32_MAX ? "" : " -ignore-version");
}

/* OpenOCD goes on with a chain that it did not expect. */
static void add_gate(struct openocd_argv *v, const struct fpga_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		openocd_argv_command(v,
			"if {([jtag cget d%zu.tap -idcode] ^ 0x%08x) & 0x%08x} {echo {provd: the chain changed}; shutdown error}",
			place(c, i), c->part[i].idcode, c->part[i].idcode_mask);
}

static void add_status(struct openocd_argv *v, const struct fpga_chain *c)
{
	const struct fpga_part *p = &c->part[c->target];
	size_t at = place(c, c->target);

	if (p->family == FPGA_XC7)
		openocd_argv_command(v, "virtex2 read_stat 0");
	else if (p->family == FPGA_ECP5 || p->family == FPGA_MACHXO2)
		openocd_argv_command(v,
			"irscan d%zu.tap 0x%x; runtest 100; echo \"provd: status 0x[drscan d%zu.tap 32 0]\"",
			at, LATTICE_READ_STATUS, at);
}

static void add_work(struct openocd_argv *v, const struct fpga_run *x)
{
	const struct fpga_chain *c = x->job->chain;
	size_t at = place(c, c->target);

	declare(v, c);
	if (c->part[c->target].family == FPGA_XC7)
		openocd_argv_command(v, "pld device virtex2 d%zu.tap", at);
	openocd_argv_command(v, "init");
	add_gate(v, c);
	if (x->job->way == FPGA_WAY_PLD)
		openocd_argv_command(v, "pld load 0 image.bit");
	else
		openocd_argv_command(v, "svf -tap d%zu.tap -quiet image.svf", at);
	add_status(v, c);
	openocd_argv_command(v, "shutdown");
}

static bool has_status(const struct fpga_part *p)
{
	return p->family == FPGA_XC7 || p->family == FPGA_ECP5 || p->family == FPGA_MACHXO2;
}

static int judge(struct fpga_run *x, struct err *e)
{
	const struct fpga_part *p = &x->job->chain->part[x->job->chain->target];
	struct fpga_result *res = x->result;
	int r;

	if (x->job->way == FPGA_WAY_SVF && res->work.sum[WORK_PLAYED] != x->job->file->commands)
		return err_set(e, ERR_NO_EVIDENCE,
			"OpenOCD played %llu statements of the file, it has %llu",
			(unsigned long long)res->work.sum[WORK_PLAYED],
			(unsigned long long)x->job->file->commands);
	if (has_status(p) && !res->has_status)
		return err_set(e, ERR_NO_EVIDENCE, "OpenOCD did not say the status of the device");
	r = has_status(p) ? fpga_status_judge(p, res->status, e) : 0;
	if (r < 0)
		return r;
	res->done = has_status(p);
	res->compares = x->job->way == FPGA_WAY_SVF ? x->job->file->compares : 0;
	return 0;
}

int fpga_openocd_work(struct fpga_run *x, struct err *e)
{
	bool pld = x->job->way == FPGA_WAY_PLD;
	const struct tool_marker success[] = {
		[WORK_FOUND] = {"^Info : JTAG tap: d\\d\\.tap tap/device found: 0x[0-9a-f]{8}\\b",
			(unsigned)x->job->chain->n},
		[WORK_LOADED] = {"^loaded file image\\.bit to pld device 0 in ",
			pld ? 1 : TOOL_MAY},
		[WORK_PLAYED] =
			{"^svf file programmed successfully for (\\d+) commands with 0 errors",
				pld ? TOOL_MAY : 1},
		[WORK_STATUS] = {"^(virtex2 status register|provd: status):? 0x[0-9a-f]{8}$",
			TOOL_MAY},
		[WORK_MARKS] = {NULL, 0}};
	struct tool_spec spec = {
		.success = success, .rules = fpga_openocd_rules, .marked = on_work};
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	int r = openocd_argv_probe(&x->probe->openocd, &v, e);

	if (r < 0)
		return r;
	add_work(&v, x);
	r = run(x, &v, &spec, &x->result->work, e);
	return r < 0 ? r : judge(x, e);
}
