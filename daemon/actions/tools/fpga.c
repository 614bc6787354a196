/* SPDX-License-Identifier: Apache-2.0
 *
 * fpga.load, fpga.flash: the configuration of an FPGA or CPLD on a JTAG chain, into its SRAM, or into the flash that it starts
 * from. Which program does it is what file and part ask for (transports/tools/fpga.h).
 */
#include "daemon/actions/tools/openocd.h"

#include "daemon/actions/tool_step.h"
#include "daemon/actions/tools/probe_serial.h"
#include "transports/images/gate.h"
#include "transports/tools/fpga.h"

struct fpga_step {
	struct step *s;
	const struct args *a;
	bool flash;
	char name[STEP_NAME_BYTES];
	struct blob *blob;
	struct fpga_file file;
	struct fpga_chain chain;
	struct openocd_step openocd; /* its probe */
	struct fpga_probe probe;
	struct fpga_job job;
	struct fpga_result result;
	struct tool_step tool;
	struct teller tell;
};

static void fpga_step_done(struct fpga_step *x)
{
	fpga_file_done(&x->file);
	blob_unref(x->blob);
	fpga_result_done(&x->result);
	tool_step_done(&x->tool);
	openocd_step_done(&x->openocd);
}

static const struct fpga_part *target_of(const struct fpga_step *x)
{
	return &x->chain.part[x->chain.target];
}

/* --- before anything is opened --- */

/* The place of `part` in the chain: the only one of that name, or the one that 'position' says. */
static int find_target(struct fpga_step *x, const struct fpga_part *p, struct err *e)
{
	size_t at = (size_t)args_int(x->a, "position");
	size_t found = 0;

	for (size_t i = 0; i < x->chain.n; i++) {
		if (strcmp(x->chain.part[i].name, p->name) != 0 || (at && at != i + 1))
			continue;
		x->chain.target = i;
		found++;
	}
	if (found == 1)
		return 0;
	if (found)
		return err_set(e, ERR_RECIPE_INVALID,
			"'chain' has %s %zu times: say which one by 'position', counted from TDI",
			p->name, found);
	return err_set(e, ERR_RECIPE_INVALID,
		"'chain' does not have %s there: the parts from TDI to TDO, with 'part' among them, expected",
		p->name);
}

static int take_chain(struct fpga_step *x, struct err *e)
{
	const json_t *list = args_has(x->a, "chain") ? args_json(x->a, "chain") : NULL;
	size_t n = json_array_size(list);
	struct fpga_part part;
	int r = fpga_part_find(args_str(x->a, "part"), &part, e);

	if (r == 0 && part.family == FPGA_OTHER)
		r = err_set(e, ERR_RECIPE_INVALID, "'part' is %s: a part by its name expected",
			part.name);
	if (r < 0)
		return r;
	if (n > FPGA_CHAIN_MAX)
		return err_set(e, ERR_RECIPE_INVALID, "'chain' has %zu devices, at most %d", n,
			FPGA_CHAIN_MAX);
	x->chain = (struct fpga_chain){.part = {part}, .n = n ? n : 1};
	for (size_t i = 0; r == 0 && i < n; i++)
		r = fpga_part_find(
			json_string_value(json_array_get(list, i)), &x->chain.part[i], e);
	return r < 0 ? r : find_target(x, &part, e);
}

static int take_file(struct fpga_step *x, struct err *e)
{
	const char *ref = args_str(x->a, "image");
	int r = x->s->ops->name(x->s->env, ref, x->name, e);

	if (r == 0)
		r = x->s->ops->load_blob(x->s->env, ref, &x->blob, e);
	if (r < 0)
		return r;
	if (x->blob->size > IMAGE_MAX_BYTES)
		return err_set(e, ERR_IMAGE_INVALID,
			"configuration file %s has %llu bytes, at most %llu MiB", x->name,
			(unsigned long long)x->blob->size, IMAGE_MAX_BYTES >> 20);
	return fpga_file_read(x->name, x->blob->data, (size_t)x->blob->size, &x->file, e);
}

/* In a longer chain openFPGALoader 0.10 sends the bits of the other devices to the flash, before its own. */
static int check_way(const struct fpga_step *x, struct err *e)
{
	if (x->job.way == FPGA_WAY_SPI && x->chain.n > 1)
		return err_set(e, ERR_UNSUPPORTED,
			"the SPI flash of %s is reached where it is the only device of its JTAG chain, this one has %zu: give an .svf file that writes the flash",
			target_of(x)->name, x->chain.n);
	if (x->job.way == FPGA_WAY_SPI && target_of(x)->family == FPGA_XC7 &&
		!args_has(x->a, "package"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'package' is missing: the flash of %s is reached through a design that is loaded first, by part and package: xc7a35tcpg236",
			target_of(x)->name);
	if (x->job.way == FPGA_WAY_SVF && x->file.compares == 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"configuration file %s compares nothing (no TDO under a MASK): nothing would prove that the device took it",
			x->name);
	return 0;
}

/* All that is known without a look at the unit. */
static int take_arguments(struct fpga_step *x, struct err *e)
{
	int r = take_chain(x, e);

	if (r == 0)
		r = take_file(x, e);
	if (r == 0)
		r = fpga_file_check(
			x->name, &x->file, target_of(x), args_bool(x->a, "part_known"), e);
	if (r == 0)
		r = fpga_way(&x->file, target_of(x), x->flash, &x->job.way, e);
	return r < 0 ? r : check_way(x, e);
}

/* Part and chain; what is wrong with the file has a code of its own, in the step. */
static int preflight(struct step *s, const struct args *a, struct err *e)
{
	struct fpga_step x = {.s = s, .a = a};

	return args_has(a, "part") ? take_chain(&x, e) : 0;
}

/* --- which probe --- */

/* Cables whose chip openFPGALoader finds by its serial number (FTDI). Of other ones it takes the first that it finds,
 * which may be another station's. */
static const char *const ftdi_cables[] = {"arm-usb-ocd-h", "bus_blaster", "bus_blaster_b",
	"digilent", "digilent_ad", "digilent_b", "digilent_hs2", "digilent_hs3", "ecpix5-debug",
	"efinix_jtag_ft4232", "ft2232", "ft2232_b", "ft232", "ft4232", "gatemate_evb_jtag",
	"jtag-smt2-nc", "papilio", "steppenprobe", "tigard", NULL};

static int take_usb_cable(struct fpga_step *x, struct err *e)
{
	const struct device_facts *f = &x->openocd.facts;

	if (!args_has(x->a, "cable"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'cable' is missing: openFPGALoader does this, and has to know the probe: ft2232, digilent_hs2");
	if (!f->serial[0])
		return err_set(e, ERR_PORT_UNBOUND,
			"the probe at %s has no serial number: openFPGALoader could take another station's (write one into its EEPROM)",
			f->node);
	x->probe.cable = args_str(x->a, "cable");
	x->probe.ftdi_serial = f->serial;
	return probe_serial_check(f, "openFPGALoader", e);
}

static int take_cable(struct fpga_step *x, struct err *e)
{
	x->probe.speed_hz = (uint32_t)args_int(x->a, "speed") * 1000;
	if (!x->openocd.probe.bitbang_host)
		return take_usb_cable(x, e);
	x->probe.cable = "xvc-client";
	x->probe.xvc_host = x->openocd.probe.bitbang_host;
	x->probe.xvc_port = x->openocd.probe.bitbang_port;
	if (strspn(x->probe.xvc_host, "0123456789.") != strlen(x->probe.xvc_host))
		return err_set(e, ERR_RECIPE_INVALID,
			"the probe is at %s: openFPGALoader takes an IPv4 address alone, such as tcp:192.0.2.7:2542",
			x->openocd.facts.node);
	return 0;
}

/* What openocd.* and openFPGALoader each need of the port. */
static int take_probe(struct fpga_step *x, struct err *e)
{
	bool openocd = fpga_way_is_openocd(x->job.way);
	int r;

	x->openocd.s = x->s;
	x->openocd.a = x->a;
	if (!openocd) {
		r = openocd_step_facts(&x->openocd, x->s, x->a, e);
		return r < 0 ? r : take_cable(x, e);
	}
	r = openocd_step_init(&x->openocd, x->s, x->a, e);
	if (r < 0)
		return r;
	x->openocd.probe.transport = "jtag";
	x->probe.openocd = x->openocd.probe;
	return 0;
}

/* --- the evidence --- */

static json_t *hex(uint32_t v)
{
	return json_sprintf("0x%08x", v);
}

static json_t *chain_json(const struct fpga_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->idcodes; i++)
		json_array_append_new(list, hex(r->idcode[i]));
	return list;
}

static json_t *image_of(const struct fpga_step *x)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:I}", "name", x->name, "format",
		fpga_format_str(x->file.format), "sha256", blob_sha256(x->blob), "bytes",
		(json_int_t)x->blob->size);

	if (x->file.part[0])
		json_object_set_new(o, "part", json_string(x->file.part));
	if (x->file.date[0])
		json_object_set_new(o, "date", json_string(x->file.date));
	if (x->file.design[0])
		json_object_set_new(o, "design", json_string(x->file.design));
	if (x->file.has_idcode)
		json_object_set_new(o, "idcode", hex(x->file.idcode));
	json_object_set_new(o, "summed", json_boolean(x->file.summed));
	return o;
}

/* Of every run, also of one that failed. */
static void tell_run(const struct fpga_step *x, struct step_result *out)
{
	const struct fpga_result *r = &x->result;

	tool_step_evidence(r->work.program ? &r->work : &r->look, out);
	result_evidence(out, "image", image_of(x));
	if (r->idcodes)
		result_evidence(out, "chain", chain_json(r));
	if (r->has_status)
		result_evidence(out, "status", hex(r->status));
}

static void tell_success(const struct fpga_step *x, struct step_result *out)
{
	static const char *const by[] = {[FPGA_WAY_PLD] = "OpenOCD: IDCODE, status register (DONE)",
		[FPGA_WAY_SVF] = "OpenOCD: IDCODE, comparisons of TDO",
		[FPGA_WAY_SRAM] = "openFPGALoader: IDCODE, status register (DONE)",
		[FPGA_WAY_JED] =
			"openFPGALoader: IDCODE, comparison of all rows, DONE after a refresh",
		[FPGA_WAY_SPI] = "openFPGALoader: IDCODE, comparison; provd: read-back"};
	const struct fpga_result *r = &x->result;
	uint32_t idcode = r->idcode[x->chain.target];

	result_evidence(out, "verified_by", json_string(by[x->job.way]));
	result_evidence(out, "idcode", hex(idcode));
	if (r->done)
		result_evidence(out, "done", json_true());
	if (r->compares)
		result_evidence(out, "compares", json_integer((json_int_t)r->compares));
	if (r->sha256_read[0])
		result_evidence(out, "sha256_read", json_string(r->sha256_read));
	result_output(out, "idcode", hex(idcode));
	result_output(out, "sha256", json_string(blob_sha256(x->blob)));
}

/* --- the run --- */

static int tool_version_of(struct fpga_step *x, struct step_result *out, struct err *e)
{
	const char *const argv[] = {"openFPGALoader", "-V", NULL};
	char version[64];
	int r;

	if (fpga_way_is_openocd(x->job.way))
		return 0;
	r = tool_version(argv, "^openFPGALoader v(\\S+)", version, &x->s->it, e);
	if (r == 0)
		result_evidence(out, "version", json_string(version));
	return r;
}

static int run_in(struct fpga_step *x, struct step_result *out, struct err *e)
{
	int r = tool_version_of(x, out, e);

	if (r < 0)
		return r;
	x->tell = step_teller(x->s);
	x->job.chain = &x->chain;
	x->job.file = &x->file;
	x->job.bytes = x->blob->data;
	x->job.n = (size_t)x->blob->size;
	x->job.tell = &x->tell;
	x->job.offset = x->flash ? (uint32_t)args_size(x->a, "offset") : 0;
	x->job.package =
		x->flash && target_of(x)->family == FPGA_XC7 ? args_str(x->a, "package") : NULL;
	r = fpga_run(&x->probe, &x->job, &x->tool.dir, &x->result, &x->s->it, e);
	tell_run(x, out);
	if (r == 0)
		tell_success(x, out);
	return r;
}

static int run(
	bool flash, struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(fpga_step_done) struct fpga_step x = {.s = s, .a = a, .flash = flash};
	int r = take_arguments(&x, e);

	if (r == 0)
		r = take_probe(&x, e);
	if (r == 0)
		r = tool_step_open(&x.tool, s, e);
	return r < 0 ? r : run_in(&x, out, e);
}

static int load_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	return run(false, s, a, out, e);
}

static int flash_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	return run(true, s, a, out, e);
}

#define ROWS_FPGA                                                                                                          \
	{.name = "port",                                                                                                   \
		.type = ARG_PORT,                                                                                          \
		.ports = PORT_KIND_PROBE | PORT_KIND_USB | PORT_KIND_TCP,                                                  \
		.required = true,                                                                                          \
		.doc = "role of the probe: a USB device, or the TCP address of one that speaks remote_bitbang (OpenOCD) "  \
		       "or Xilinx Virtual Cable (openFPGALoader)"},                                                        \
		{.name = "part",                                                                                           \
			.type = ARG_STRING,                                                                                \
			.required = true,                                                                                  \
			.doc = "the device that the configuration is for: xc7a35t, lfe5u-25, lcmxo2-1200hc"},              \
		{.name = "chain",                                                                                          \
			.type = ARG_LIST,                                                                                  \
			.doc = "all devices of the JTAG chain from TDI to TDO, where it has several: names of parts, or "  \
			       "IDCODE/LENGTH of the instruction register: 0x4ba00477/4"},                                 \
		{.name = "position",                                                                                       \
			.type = ARG_INT,                                                                                   \
			.low = 1,                                                                                          \
			.high = FPGA_CHAIN_MAX,                                                                            \
			.doc = "which one it is, counted from TDI, where the chain has that part more than once"},         \
		{.name = "image",                                                                                          \
			.type = ARG_IMAGE,                                                                                 \
			.required = true,                                                                                  \
			.doc = "by content .bit .bin .mcs .svf .jed .rbf, which has to agree with the file's name"},       \
		{.name = "part_known",                                                                                     \
			.type = ARG_BOOL,                                                                                  \
			.def = "false",                                                                                    \
			.doc = "take a file that does not say which part it is for"},                                      \
		{.name = "interface",                                                                                      \
			.type = ARG_STRING,                                                                                \
			.doc = "where OpenOCD does it, and the probe is a USB device: its configuration, ftdi/NAME or a "  \
			       ".cfg file"},                                                                               \
		{.name = "select",                                                                                         \
			.type = ARG_CHOICE,                                                                                \
			.def = "auto",                                                                                     \
			.choices = openocd_selects,                                                                        \
			.doc = "how OpenOCD finds the station's probe, as in openocd.program"},                            \
		{.name = "serial",                                                                                         \
			.type = ARG_STRING,                                                                                \
			.doc = "the probe's serial number, where OpenOCD has another than USB"},                           \
		{.name = "setup",                                                                                          \
			.type = ARG_LIST,                                                                                  \
			.doc = "more commands of OpenOCD's before init"},                                                  \
		{.name = "cable",                                                                                          \
			.type = ARG_CHOICE,                                                                                \
			.choices = ftdi_cables,                                                                            \
			.doc = "where openFPGALoader does it, and the probe is a USB device: its kind, one that is found " \
			       "by its serial number"},                                                                    \
	{                                                                                                                  \
		.name = "speed", .type = ARG_INT, .unit = "kHz", .low = 1, .high = 100000,                                 \
		.doc = "of TCK; by default as the program chooses"                                                         \
	}

static const struct action_output outputs[] = {
	{"idcode", "of the device, as it was read"}, {"sha256", "of the file"}, {0}};

static const struct action_arg load_args[] = {ROWS_FPGA, {0}};

const struct action action_fpga_load = {
	.name = "fpga.load",
	.doc = "Loads an FPGA's SRAM over JTAG (OpenOCD: .svf, 7 series; openFPGALoader: .bit of Lattice), and sees DONE.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = load_args,
	.outputs = outputs,
	.default_timeout_us = 180 * US_PER_S,
	.preflight = preflight,
	.run = load_run,
};

static const struct action_arg flash_args[] = {
	ROWS_FPGA,
	{.name = "offset",
		.type = ARG_SIZE,
		.def = "0",
		.unit = "bytes",
		.doc = "where it begins in the SPI flash: a multiple of 64K, or of 4K where the flash has such sectors"},
	{.name = "package",
		.type = ARG_STRING,
		.doc = "of the 7 series: part and package, by which openFPGALoader has its bridge: xc7a35tcpg236"},
	{0},
};

const struct action action_fpga_flash = {
	.name = "fpga.flash",
	.doc = "Writes the flash that an FPGA or CPLD starts from over JTAG, and compares all of it.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = flash_args,
	.outputs = outputs,
	.default_timeout_us = 600 * US_PER_S,
	.preflight = preflight,
	.run = flash_run,
};
