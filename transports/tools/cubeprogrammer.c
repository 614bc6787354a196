/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/cubeprogrammer_impl.h"

#include <stdarg.h>
#include <strings.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "transports/tools/tool_image.h"

#define IMAGE	    "flash.hex"
#define SPEED_MAX   24000
#define RDP_LEVEL_2 0xcc

const char *const cube_modes[] = {"NORMAL", "UR", "HOTPLUG", "POWERDOWN", NULL};
const char *const cube_resets[] = {"SWrst", "HWrst", "Crst", NULL};

const struct tool_rule cube_rules[] = {
	{"No debug probe detected|No ST-?LINK detected|No STM32 device in DFU mode connected",
		ERR_PORT_UNBOUND, "no probe or DFU device is there: is it plugged?"},
	{"(?i)ST-?LINK (with )?serial number.*not (found|detected)|Wrong ST-?LINK serial|serial "
	 "number.*not found",
		ERR_WRONG_DEVICE, "no probe with that serial number is there"},
	{"LIBUSB_ERROR_ACCESS|(?i)permission denied", ERR_ACCESS,
		"the probe may not be opened: check the udev rules"},
	{"DEV_USB_COMM_ERR", ERR_IO, "the probe stopped answering: check its cable"},
	{"(?i)(ST-?LINK|port|device) (is )?already (in "
	 "use|used|opened)|LIBUSB_ERROR_BUSY|DEV_CONNECT_ERR.*used",
		ERR_BUSY, "another program holds the probe"},
	{"DEV_TARGET_NOT_POWERED|(?i)target (is )?not powered|Target voltage *: *0\\.[0-4]|Voltage "
	 "*: *0\\.[0-4]\\d*V",
		ERR_TIMEOUT, CUBE_NO_POWER},
	{"No STM32 target found", ERR_TIMEOUT,
		"the unit does not answer: is it powered and seated?"},
	{"Unable to get core ID", ERR_TIMEOUT,
		"the unit does not answer: is it powered and seated?"},
	{"DEV_TARGET_(NOT_HALTED|HELD_UNDER_RESET|CMD_ERR)|(?i)(cannot|unable to|failed to) halt",
		ERR_TIMEOUT, "the unit does not halt"},
	{"(?i)Activating device: (KO|timeout)|Timeout error occured while waiting for "
	 "acknowledgement",
		ERR_TIMEOUT, "the unit's boot ROM does not answer: is it in the bootloader?"},
	{"Cannot identify the device|(?i)device (ID|not) .*(unknown|supported)|Unknown device",
		ERR_WRONG_DEVICE, "another chip answers than the program knows"},
	{"Expected value for Option Byte|Option Bytes? Programming failed", ERR_READ_BACK_MISMATCH,
		"an option byte does not hold what was written"},
	{"Error: .*(?i)(read-?out protect|\\bRDP\\b|is (read )?protected|is locked)",
		ERR_DEVICE_REFUSED, "the chip is locked"},
	{"(?i)failed to erase memory|erase (operation )?(failed|error)|Mass erase failed",
		ERR_DEVICE_REFUSED, "the flash could not be erased: it may be protected"},
	{"Error: .*(?i)(address|segment|data).*(outside|out of|not "
	 "in|exceeds).*(memory|flash|range|device)|Error: .*address .* is not valid",
		ERR_IMAGE_RANGE, "a part of the image lies outside of the flash"},
	{"(?i)data mismatch|Download verification failed|verif(y|ication) failed",
		ERR_VERIFY_MISMATCH, "the flash does not hold the image"},
	{"Failed to download data", ERR_DEVICE_REFUSED,
		"the flash could not be written: it may not be erased, or protected"},
	{"Error: .*(?i)(cannot|failed to|unable to) (open|read|parse).*file|File does not "
	 "exist|File corrupted|Wrong extension",
		ERR_IMAGE_INVALID, "the image could not be read"},
	{"ST-?LINK error \\(", ERR_TIMEOUT, "the unit does not answer: is it powered and seated?"},
	{"\\bError: ", ERR_TOOL_FAILED, NULL},
	{"^\\s*(Error|ERROR)\\b|Wrong (command|parameter)", ERR_TOOL_FAILED, NULL},
	{NULL, ERR_NONE, NULL},
};

const struct tool_phase cube_phases[] = {
	{"^ST-LINK SN|^Device name", "connect"},
	{"(?i)^(mass )?eras(e|ing)", "erase"},
	{"^Download in Progress|^Memory Programming", "write"},
	{"^Verifying|^Read progress", "verify"},
	{NULL, NULL},
};

static bool one_of(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

/* RDP=0xCC, in any notation, under any name that begins with RDP; and what is more than a byte, of which the
 * program may take the last one. */
static bool is_level_2(const char *name, unsigned long long n)
{
	return !strncasecmp(name, "RDP", 3) && (n == RDP_LEVEL_2 || n > UINT8_MAX);
}

static int check_option(const char *option, struct err *e)
{
	_cleanup_(freep) char *name = xstrdup(option);
	char *value = strchr(name, '=');
	unsigned long long n;
	int r;

	if (!value)
		return err_set(e, ERR_INVALID, "option byte '%.60s': NAME=VALUE expected", option);
	*value++ = 0;
	r = tool_check_word("the option byte", name, e);
	if (r < 0)
		return r;
	/* Decimal or 0x alone: the program's own octal or suffixes would mean something else. */
	if (!parse_size(value, &n) || strpbrk(value, "KMGkmg") || n > UINT32_MAX ||
		(value[0] == '0' && value[1] && value[1] != 'x'))
		return err_set(e, ERR_INVALID, "option byte '%.60s': a number expected", option);
	if (is_level_2(name, n))
		return err_set(e, ERR_INVALID,
			"option byte '%.60s': read-out protection of level 2 can never be taken back, and is refused here (see cubeprogrammer.protect and stm32.protect)",
			option);
	return 0;
}

static int check_probe(const struct cube_target *t, struct err *e)
{
	if (t->mode && !one_of(cube_modes, t->mode))
		return err_set(e, ERR_INVALID, "STM32_Programmer_CLI has no mode '%.20s'", t->mode);
	if (t->reset && !one_of(cube_resets, t->reset))
		return err_set(
			e, ERR_INVALID, "STM32_Programmer_CLI has no reset '%.20s'", t->reset);
	if (t->speed_khz > SPEED_MAX)
		return err_set(
			e, ERR_INVALID, "a speed of %u kHz: %d at most", t->speed_khz, SPEED_MAX);
	if (t->access_port > 255)
		return err_set(e, ERR_INVALID, "access port %d: 255 at most", t->access_port);
	return 0;
}

int cube_check(const struct cube_target *t, const struct cube_flash *f, struct err *e)
{
	size_t n = 0;
	int r = t->serial ? tool_check_word("the serial number", t->serial, e) : 0;

	if (r == 0 && t->port == CUBE_UART) {
		r = tool_check_path("the serial line", t->node ? t->node : "", e);
		if (r == 0 && strncmp(t->node, "/dev/", 5) != 0)
			r = err_set(e, ERR_INVALID, "the serial line is '%.80s': /dev/... expected",
				t->node);
	}
	if (r == 0)
		r = check_probe(t, e);
	for (const char *const *o = f->option; r == 0 && o && *o; o++)
		r = ++n > CUBE_OPTIONS_MAX
			    ? err_set(e, ERR_INVALID, "more than %d option bytes", CUBE_OPTIONS_MAX)
			    : check_option(*o, e);
	return r;
}

/* --- the command line --- */

void cube_add(struct cube_words *w, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (w->n < CUBE_WORDS_MAX)
		w->word[w->n++] = xstrdup(text);
}

void cube_words_done(struct cube_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->word[i]);
}

void cube_add_connect(struct cube_words *w, const struct cube_target *t)
{
	cube_add(w, "-c");
	switch (t->port) {
	case CUBE_SWD:
	case CUBE_JTAG:
		cube_add(w, "port=%s", t->port == CUBE_SWD ? "SWD" : "JTAG");
		if (t->speed_khz)
			cube_add(w, "freq=%u", t->speed_khz);
		cube_add(w, "mode=%s", t->mode ? t->mode : "NORMAL");
		cube_add(w, "reset=%s", t->reset ? t->reset : "SWrst");
		if (t->access_port >= 0)
			cube_add(w, "ap=%d", t->access_port);
		break;
	case CUBE_USB:
		cube_add(w, "port=usb1");
		break;
	case CUBE_UART:
		cube_add(w, "port=%s", t->node);
		cube_add(w, "br=%u", t->baud ? t->baud : 115200);
		cube_add(w, "P=EVEN");
		break;
	}
	if (t->serial)
		cube_add(w, "sn=%s", t->serial);
}

static void add_work(struct cube_words *w, const struct cube_flash *f, bool probe)
{
	if (f->erase_all) {
		cube_add(w, "-e");
		cube_add(w, "all");
	}
	cube_add(w, "-w");
	cube_add(w, IMAGE);
	cube_add(w, "-v");
	if (f->option && f->option[0])
		cube_add(w, "-ob");
	for (const char *const *o = f->option; o && *o; o++)
		cube_add(w, "%s", *o);
	/* Without a probe there is no reset: the program is started. */
	if (f->start)
		cube_add(w, probe ? "-rst" : "-s");
}

int cube_flash(const struct cube_target *t, const struct image *i, const struct cube_flash *f,
	const struct tool_dir *d, const struct teller *tell, struct tool_outcome *ret,
	const struct iotime *it, struct err *e)
{
	bool probe = t->port == CUBE_SWD || t->port == CUBE_JTAG;
	struct tool_marker success[5] = {
		{"File download complete", 1}, {"Download verified successfully", 1}, {NULL, 0}};
	size_t n = 2;
	_cleanup_(cube_words_done) struct cube_words w = {0};
	struct tool_spec spec = {.name = "STM32_Programmer_CLI",
		.argv = (const char *const *)w.word,
		.dir = d->path,
		.success = success,
		.rules = cube_rules,
		.phases = cube_phases,
		.progress = "(\\d{1,3})%\\s*$",
		.progress_phase = "write",
		.version = CUBE_VERSION_LINE,
		.tell = *tell};
	int r = cube_check(t, f, e);

	if (r == 0)
		r = tool_dir_ihex(d, IMAGE, i, e);
	if (r < 0)
		return r;
	if (f->option && f->option[0])
		success[n++].pattern = "(?i)Option Bytes? (successfully )?(programmed|programming "
				       "complete)|Option Bytes? .*unchanged";
	if (f->start)
		success[n++].pattern =
			probe ? "MCU Reset|(?i)software reset is performed|hard reset is performed"
			      : "(?i)application is running|start operation achieved "
				"successfully|RUNNING Program";
	cube_add(&w, "%s", t->program);
	cube_add_connect(&w, t);
	add_work(&w, f, probe);
	return tool_run(&spec, ret, it, e);
}
