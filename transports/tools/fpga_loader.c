/* SPDX-License-Identifier: Apache-2.0
 *
 * openFPGALoader 0.10: options of its --help, texts of src/jtag.cpp, lattice.cpp, xilinx.cpp, spiFlash.cpp and
 * progressBar.cpp. Its exit status says little: 0 though DONE stays low, and for the 7 series 0 though its flash was
 * not written.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transports/tools/fpga_impl.h"

#define ARGS_MAX      32
#define BACK	      "back.bin"
#define PROGRESS      "\\] ([0-9.]+)%$"
#define KILL_GRACE_US (300 * US_PER_MS)

const struct tool_rule openfpgaloader_rules[] = {
	{"LIBUSB_ERROR_ACCESS|libusb_open failed.*-3|insufficient permissions", ERR_ACCESS,
		"provd may not open the probe: check the udev rules"},
	{"LIBUSB_ERROR_BUSY|unable to claim usb device", ERR_BUSY,
		"another program holds the probe: stop it"},
	{"unable to open ftdi device|device not found|Connection error|JTAG init failed with: (connection failure|can't read info|wrong getinfo)",
		ERR_PORT_UNBOUND,
		"the probe was not found: is it plugged, and is it of the kind that 'cable' says?"},
	{"error : \\S+ not found|Error parsing options|Error in parse arg step", ERR_RECIPE_INVALID,
		"openFPGALoader does not take these arguments: see 'cable'"},
	{"Client orderly shut down|Receive error|Send (error|instruction failed)", ERR_DEVICE_GONE,
		"the probe was lost in the middle of the work"},
	{"mismatch between target's idcode and bitstream idcode", ERR_WRONG_DEVICE,
		"the device has another IDCODE than the file is for"},
	{"Unknown device with IDCODE", ERR_WRONG_DEVICE,
		"openFPGALoader does not know a device of the JTAG chain"},
	{"block protection is set|can't unlock without", ERR_DEVICE_REFUSED,
		"the flash is protected, or there is none that answers: look at it"},
	{"Read ID failed", ERR_DEVICE_REFUSED, "no flash answers next to the device"},
	{"flash overflow", ERR_IMAGE_RANGE, "the file is larger than the flash"},
	{"Can't program SPI flash: missing device-package", ERR_RECIPE_INVALID,
		"'package' is missing: openFPGALoader needs to know which bridge to load"},
	{"spiOverJtag_\\S+ (does not exist|not found)|Error: .*spiOverJtag|[Ff]ail(ed)? to open .*spiOverJtag",
		ERR_RECIPE_INVALID, "openFPGALoader has no bridge for that package"},
	{"Verif(ication|y) ([Ff]ailed|[Ff]ailure)", ERR_VERIFY_MISMATCH,
		"the flash does not hold what was written"},
	{"^Refresh: .*(FAIL|displayReadReg)", ERR_NOT_CONFIGURED,
		"the device did not come up with what its flash holds: DONE is low"},
	{"Parse file:? ?FAIL|Wrong File|missing preamble|Preamble key not found", ERR_IMAGE_INVALID,
		"openFPGALoader cannot read the file"},
	{"wait: Error|Failed to read flash", ERR_DEVICE_REFUSED, "the flash does not answer"},
	{"Error: Failed to program FPGA|^FAIL$|^Fail$", ERR_DEVICE_REFUSED,
		"the device did not take it"},
	{NULL, ERR_NONE, NULL},
};

struct argv {
	const char *arg[ARGS_MAX + 1];
	size_t n;
	char port[8], speed[16], index[8], offset[16], size[24];
};

static void add(struct argv *v, const char *arg)
{
	if (v->n == ARGS_MAX)
		abort();
	v->arg[v->n++] = arg;
}

static void add_option(struct argv *v, const char *option, const char *value)
{
	add(v, option);
	add(v, value);
}

static int check_probe(const struct fpga_probe *p, struct err *e)
{
	int r = tool_check_word("the cable", p->cable, e);

	if (r == 0 && p->ftdi_serial)
		r = tool_check_word("the probe's serial number", p->ftdi_serial, e);
	return r;
}

static int begin(const struct fpga_run *x, struct argv *v, struct err *e)
{
	const struct fpga_probe *p = x->probe;
	int r = check_probe(p, e);

	if (r < 0)
		return r;
	add(v, p->program ? p->program : "openFPGALoader");
	add_option(v, "-c", p->cable);
	if (p->xvc_host) {
		snprintf(v->port, sizeof v->port, "%u", p->xvc_port);
		add_option(v, "--ip", p->xvc_host);
		add_option(v, "--port", v->port);
	}
	if (p->ftdi_serial)
		add_option(v, "--ftdi-serial", p->ftdi_serial);
	if (p->speed_hz) {
		snprintf(v->speed, sizeof v->speed, "%u", p->speed_hz);
		add_option(v, "--freq", v->speed);
	}
	return 0;
}

static int run(struct fpga_run *x, struct argv *v, struct tool_spec *spec, struct tool_outcome *ret,
	struct err *e)
{
	spec->name = "openFPGALoader";
	spec->argv = v->arg;
	spec->dir = x->dir->path;
	spec->rules = openfpgaloader_rules;
	spec->progress = PROGRESS;
	spec->progress_phase = "load";
	spec->kill_grace_us = KILL_GRACE_US;
	spec->tell = *x->job->tell;
	spec->owner = x;
	return tool_run(spec, ret, x->it, e);
}

/* --- look --- */

/* Five places from TDO on; after the last device there are ones. */
static const struct tool_marker look_markers[] = {{"^- \\d -> 0x[0-9a-f]{8}$", 5}, {NULL, 0}};

static void on_look(void *owner, size_t marker, const char *line, const struct tool_outcome *o)
{
	struct fpga_run *x = owner;
	unsigned place = o->count[marker];
	uint32_t v;

	if (!fpga_number_in(line, &v))
		return;
	if (place == 1) {
		x->zeroes = v == 0;
		x->ones = v == FPGA_ALL_ONES;
	}
	x->after |= v == FPGA_ALL_ONES;
	if (!x->after && !x->zeroes)
		fpga_saw(x, v);
}

int fpga_loader_look(struct fpga_run *x, struct err *e)
{
	struct tool_spec spec = {.success = look_markers, .marked = on_look};
	struct argv v = {.n = 0};
	int r = begin(x, &v, e);

	if (r < 0)
		return r;
	add_option(&v, "--verbose-level", "2");
	add(&v, "--detect");
	r = run(x, &v, &spec, &x->result->look, e);
	x->after = false;
	return r;
}

/* --- work --- */

/* Of -v: the status register in words, before and after: what counts comes after the end of the configuration. */
enum sram_mark { SRAM_ERASED, SRAM_OVER, SRAM_DONE, SRAM_ERROR };
static const struct tool_marker sram_markers[] = {
	[SRAM_ERASED] = {"^SRAM erase: DONE$", 1},
	[SRAM_OVER] = {"^Disable configuration: DONE$", 1},
	[SRAM_DONE] = {"^\\s*Done Flag$", TOOL_MAY},
	[SRAM_ERROR] = {"^\\s*(ID|CMD|CRC|Preamble|Abort|Overflow) ERR$", TOOL_MAY},
	{NULL, 0},
};

static void on_sram(void *owner, size_t marker, const char *line, const struct tool_outcome *o)
{
	struct fpga_run *x = owner;

	x->after |= marker == SRAM_OVER;
	x->result->done |= marker == SRAM_DONE && x->after;
	if (marker == SRAM_ERROR && o->count[SRAM_ERASED])
		snprintf(x->refused, sizeof x->refused, "%s", line + strspn(line, " \t"));
}

static int judge_sram(const struct fpga_run *x, int ran, struct err *e)
{
	if (x->refused[0])
		return err_set(e, ERR_NOT_CONFIGURED, "the device refused the configuration: %s",
			x->refused);
	if (ran < 0 || x->result->done)
		return ran;
	return err_set(e, ERR_NOT_CONFIGURED,
		"the device did not come up: DONE is low after the configuration: look at its supplies and mode pins");
}

static const struct tool_marker jed_markers[] = {{"^Flash erase: DONE$", 1},
	{"^Verifying: \\[=+\\] 100\\.00%$", 1}, {"^Write program Done: DONE$", 1},
	{"^Refresh: DONE$", 1}, {NULL, 0}};
/* Of the 7 series the device is reset without a word. */
static const struct tool_marker spi_markers[] = {
	{"^Verifying write", 1}, {"^Read flash : \\[=+\\] 100\\.00%$", 1}, {NULL, 0}};
static const struct tool_marker spi_refresh_markers[] = {{"^Verifying write", 1},
	{"^Read flash : \\[=+\\] 100\\.00%$", 1}, {"^Refresh: DONE$", 1}, {NULL, 0}};

/* Refreshed, the device has to come up: openFPGALoader says DONE where it does. */
static void on_refresh(void *owner, size_t marker, const char *line, const struct tool_outcome *o)
{
	struct fpga_run *x = owner;

	x->result->done |= strncmp(line, "Refresh: DONE", 13) == 0;
}

static void add_target(struct argv *v, const struct fpga_run *x)
{
	const struct fpga_job *j = x->job;

	snprintf(v->index, sizeof v->index, "%zu", j->chain->target);
	add_option(v, "--index-chain", v->index);
	if (j->way != FPGA_WAY_SPI)
		return;
	snprintf(v->offset, sizeof v->offset, "%u", j->offset);
	add_option(v, "-o", v->offset);
	if (j->package)
		add_option(v, "--fpga-part", j->package);
}

static void add_file(struct argv *v, enum fpga_way way)
{
	if (way == FPGA_WAY_SRAM) {
		add(v, "-m");
		add(v, "-v");
		add(v, "image.bit");
		return;
	}
	add(v, "-f");
	add(v, "--verify");
	add(v, way == FPGA_WAY_JED ? "image.jed" : "image.bin");
}

int fpga_loader_work(struct fpga_run *x, struct err *e)
{
	enum fpga_way way = x->job->way;
	bool refreshes = x->job->chain->part[x->job->chain->target].family != FPGA_XC7;
	struct tool_spec spec = {.success = way == FPGA_WAY_SRAM  ? sram_markers
					    : way == FPGA_WAY_JED ? jed_markers
					    : refreshes		  ? spi_refresh_markers
								  : spi_markers,
		.marked = way == FPGA_WAY_SRAM ? on_sram : on_refresh};
	struct argv v = {.n = 0};
	int r = begin(x, &v, e);

	if (r < 0)
		return r;
	add_target(&v, x);
	add_file(&v, way);
	r = run(x, &v, &spec, &x->result->work, e);
	return way == FPGA_WAY_SRAM ? judge_sram(x, r, e) : r;
}

/* --- read --- */

static int read_file(const struct fpga_run *x, uint8_t *ret, size_t n, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/" BACK, x->dir->path);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t got = 0;

	while (fd >= 0 && got < n) {
		ssize_t k = read(fd, ret + got, n - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		got += (size_t)k;
	}
	return got == n ? 0
			: err_set(e, ERR_NO_EVIDENCE,
				  "openFPGALoader read %zu bytes of the flash, %zu expected", got,
				  n);
}

static const struct tool_marker read_markers[] = {
	{"^Open dump file DONE$", 1}, {"^Read flash : \\[=+\\] 100\\.00%$", 1}, {NULL, 0}};

int fpga_loader_read(struct fpga_run *x, uint8_t *ret, size_t n, struct err *e)
{
	struct tool_spec spec = {.success = read_markers};
	struct argv v = {.n = 0};
	int r = begin(x, &v, e);

	if (r < 0)
		return r;
	add_target(&v, x);
	snprintf(v.size, sizeof v.size, "%zu", n);
	add(&v, "--dump-flash");
	add_option(&v, "--file-size", v.size);
	add(&v, BACK);
	r = run(x, &v, &spec, &x->result->read, e);
	return r < 0 ? r : read_file(x, ret, n, e);
}
