/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/jlink.h"

#include <ctype.h>

#include "base/util.h"
#include "transports/tools/tool_image.h"

#define SCRIPT	     "commands.jlink"
#define IMAGE	     "flash.hex"
#define COMMAND_MAX  512
#define SPEED_MAX    50000
#define VERSION_LINE "J-Link Commander V(\\d\\S*)"

const char *const jlink_interfaces[] = {"SWD", "JTAG", "cJTAG", "FINE", "ICSP", NULL};

const struct tool_rule jlink_rules[] = {
	{"(?i)invalid serial number|serial number .*not found|could not find .*serial",
		ERR_WRONG_DEVICE, "no probe with that serial number is there"},
	{"(?i)multiple (devices|emulators|j-links?) (found|connected)", ERR_RECIPE_INVALID,
		"several probes are plugged and the recipe names none: give 'serial'"},
	{"LIBUSB_ERROR_ACCESS|(?i)permission denied", ERR_ACCESS,
		"the probe may not be opened: check the udev rules"},
	{"LIBUSB_ERROR_BUSY|(?i)(j-link|emulator) is (already )?(in use|busy)", ERR_BUSY,
		"another program holds the probe"},
	{"Connecting to J-Link via (USB|IP)\\.\\.\\.\\s*FAILED|^FAILED: (Failed|Cannot|Could not).*(J-Link|DLL)",
		ERR_PORT_UNBOUND, "no J-Link answers: is the probe plugged?"},
	{"J-Link connection not established yet but required for command", ERR_PORT_UNBOUND,
		"no J-Link answers: is the probe plugged?"},
	{"(?i)No J-Link device found", ERR_PORT_UNBOUND,
		"no J-Link answers: is the probe plugged?"},
	{"VTref[ =:]+0\\.[0-4]\\d*\\s?V|(?i)target voltage too low|supply voltage too low|VTarget "
	 "too low",
		ERR_TIMEOUT, "the unit has no power at the probe's reference pin"},
	{"(?i)device is (read )?(protected|secured|locked)|read-?out protection (is "
	 ")?(active|enabled|set)",
		ERR_DEVICE_REFUSED, "the chip is locked"},
	{"(?i)unknown device|selected device .*(not supported|unknown)|invalid device name",
		ERR_RECIPE_INVALID, "J-Link does not know the device that the recipe names"},
	{"(?i)connected (core|device|cpu).*(does not|doesn't) match|wrong (core|device) "
	 "(found|selected)",
		ERR_WRONG_DEVICE, "another chip answers than the recipe names"},
	{"Cannot connect to target|Could not connect to (the )?target", ERR_TIMEOUT,
		"the unit does not answer: is it powered and seated?"},
	{"Target connection not established yet but required for command", ERR_TIMEOUT,
		"the unit does not answer: is it powered and seated?"},
	{"InitTarget\\(\\):? ?(PCode|PCODE) returned with error code|InitTarget\\(\\) (end|start).*[Ee]rror",
		ERR_TIMEOUT, "the unit does not answer: is it powered and seated?"},
	{"(?i)(failed to|could not|cannot) halt|CPU could not be halted|timeout .*halt",
		ERR_TIMEOUT, "the unit does not halt"},
	{"Failed to open file|Could not open file|File not found", ERR_IMAGE_INVALID,
		"the image could not be read"},
	{"(?i)(not|outside) .*(in|of) (the )?flash (range|region|area|memory)", ERR_IMAGE_RANGE,
		"a part of the image lies outside of the flash"},
	{"(?i)verif(y|ication) (failed|error)|mismatch @", ERR_VERIFY_MISMATCH,
		"the flash does not hold the image"},
	{"(?i)failed to erase|erase (failed|error)|Erasing failed", ERR_DEVICE_REFUSED,
		"the flash could not be erased"},
	{"Writing target memory failed|Writing failed|(?i)programming failed|flash "
	 "download.*(failed|error)",
		ERR_DEVICE_REFUSED, "the flash could not be written"},
	{"Reading failed|Could not read memory|(?i)failed to read", ERR_DEVICE_REFUSED,
		"the memory could not be read"},
	{"Unspecified error", ERR_TOOL_FAILED, NULL},
	{"\\*\\*\\*\\*\\*\\* Error: ", ERR_TOOL_FAILED, NULL},
	{"^(Error|ERROR)\\b|^Unknown command|Syntax:|Invalid (parameter|argument)", ERR_TOOL_FAILED,
		NULL},
	{NULL, ERR_NONE, NULL},
};

static const struct tool_phase phases[] = {
	{"^(J-Link>)?\\s*(r|h)$|^Connecting to J-Link", "connect"},
	{"^Erasing (device|done|flash)|Erasing flash", "erase"},
	{"^Downloading file", "write"},
	{"^Loading binary file|verifybin", "verify"},
	{NULL, NULL},
};

static bool known_interface(const char *name)
{
	for (const char *const *i = jlink_interfaces; *i; i++)
		if (!strcmp(*i, name))
			return true;
	return false;
}

int jlink_check(const struct jlink_target *t, struct err *e)
{
	int r = tool_check_word("the device", t->device, e);

	if (r == 0 && t->serial)
		r = tool_check_word("the probe's serial number", t->serial, e);
	if (r < 0)
		return r;
	if (t->serial && strspn(t->serial, "0123456789") != strlen(t->serial))
		return err_set(e, ERR_INVALID,
			"the probe's serial number is '%s': a J-Link's has digits alone",
			t->serial);
	if (!known_interface(t->interface))
		return err_set(e, ERR_INVALID, "a J-Link has no interface '%.20s'", t->interface);
	if (t->speed_khz > SPEED_MAX)
		return err_set(
			e, ERR_INVALID, "a speed of %u kHz: %d at most", t->speed_khz, SPEED_MAX);
	return 0;
}

void jlink_flash_script(const struct image *i, const struct jlink_flash *f, struct strbuf *ret)
{
	sb_add(ret, "ExitOnError 1\nconnect\nr\nh\n");
	if (f->erase_chip)
		sb_add(ret, "erase\n");
	sb_add(ret, "loadfile \"" IMAGE "\"\n");
	for (size_t k = 0; k < i->count; k++)
		sb_addf(ret, "verifybin \"segment-%zu.bin\",0x%llX\n", k,
			(unsigned long long)i->segments[k].address);
	if (f->start)
		sb_add(ret, "r\ng\n");
	sb_add(ret, "exit\n");
}

static int run(const struct jlink_target *t, const struct tool_dir *d, struct tool_spec *spec,
	struct tool_outcome *ret, const struct iotime *it, struct err *e)
{
	char speed[16];
	const char *argv[24] = {t->program, "-NoGui", "1", "-ExitOnError", "1", "-AutoConnect", "1",
		"-Device", t->device, "-If", t->interface};
	size_t n = 11;

	snprintf(speed, sizeof speed, "%u", t->speed_khz);
	if (t->speed_khz) {
		argv[n++] = "-Speed";
		argv[n++] = speed;
	}
	if (t->serial) {
		argv[n++] = "-SelectEmuBySN";
		argv[n++] = t->serial;
	}
	argv[n++] = "-CommandFile";
	argv[n++] = SCRIPT;
	spec->name = "J-Link Commander";
	spec->argv = argv;
	spec->dir = d->path;
	spec->phases = phases;
	spec->version = VERSION_LINE;
	return tool_run(spec, ret, it, e);
}

static int write_files(
	const struct image *i, const struct jlink_flash *f, const struct tool_dir *d, struct err *e)
{
	struct strbuf script = {0};
	int r = tool_dir_ihex(d, IMAGE, i, e);

	for (size_t k = 0; r == 0 && k < i->count; k++) {
		char name[40];

		snprintf(name, sizeof name, "segment-%zu.bin", k);
		r = tool_dir_segment(d, name, i, k, e);
	}
	if (r < 0)
		return r;
	jlink_flash_script(i, f, &script);
	r = tool_dir_write(d, SCRIPT, script.s, script.len, NULL, e);
	sb_done(&script);
	return r;
}

int jlink_flash(const struct jlink_target *t, const struct image *i, const struct jlink_flash *f,
	const struct tool_dir *d, const struct teller *tell, struct tool_outcome *ret,
	const struct iotime *it, struct err *e)
{
	const struct tool_marker success[] = {{"^Downloading file \\[", 1},
		{"(^|\\.\\.\\.\\s*)O\\.K\\.$", 1}, {"^Verify successful\\.", (unsigned)i->count},
		{"^Script processing completed\\.", 1}, {NULL, 0}};
	struct tool_spec spec = {.success = success, .rules = jlink_rules, .tell = *tell};
	int r = jlink_check(t, e);

	if (r < 0)
		return r;
	if (i->count > JLINK_SEGMENTS_MAX)
		return err_set(e, ERR_UNSUPPORTED,
			"%s has %zu segments: J-Link Commander is given %d at most", i->path,
			i->count, JLINK_SEGMENTS_MAX);
	r = write_files(i, f, d, e);
	return r < 0 ? r : run(t, d, &spec, ret, it, e);
}

/* --- commands of the site's own --- */

static int check_command(const char *line, struct err *e)
{
	size_t n = strlen(line);

	if (n == 0 || n > COMMAND_MAX)
		return err_set(
			e, ERR_INVALID, "a command of %zu bytes: 1 to %d expected", n, COMMAND_MAX);
	for (size_t i = 0; i < n; i++)
		if (line[i] < ' ' || line[i] > '~')
			return err_set(
				e, ERR_INVALID, "command '%.80s': printable ASCII expected", line);
	return 0;
}

static int write_commands(const struct jlink_commands *c, const struct tool_dir *d, struct err *e)
{
	struct strbuf script = {0};
	size_t n = 0;
	int r = 0;

	sb_add(&script, "ExitOnError 1\n");
	for (const char *const *l = c->line; r == 0 && *l; l++) {
		r = ++n > JLINK_COMMANDS_MAX
			    ? err_set(e, ERR_INVALID, "more than %d commands", JLINK_COMMANDS_MAX)
			    : check_command(*l, e);
		sb_addf(&script, "%s\n", *l);
	}
	sb_add(&script, "exit\n");
	if (r == 0)
		r = tool_dir_write(d, SCRIPT, script.s, script.len, NULL, e);
	sb_done(&script);
	return r;
}

/* The site's failures after ours: they are less specific. */
static int fill(const struct jlink_commands *c, struct tool_marker *success,
	struct tool_rule *rules, struct err *e)
{
	size_t n = 0;
	size_t k = 0;

	for (const char *const *p = c->success; p && *p; p++) {
		if (n == TOOL_MARKERS_MAX - 1)
			return err_set(e, ERR_INVALID, "more than %d success patterns",
				TOOL_MARKERS_MAX - 1);
		success[n++].pattern = *p;
	}
	success[n].pattern = "^Script processing completed\\.";
	while (jlink_rules[k].pattern) {
		rules[k] = jlink_rules[k];
		k++;
	}
	for (const char *const *p = c->failure; p && *p; p++) {
		if (k == TOOL_RULES_MAX)
			return err_set(e, ERR_INVALID, "too many failure patterns");
		rules[k++] = (struct tool_rule){*p, ERR_TOOL_FAILED, NULL};
	}
	return 0;
}

int jlink_script(const struct jlink_target *t, const struct jlink_commands *c,
	const struct tool_dir *d, const struct teller *tell, struct tool_outcome *ret,
	const struct iotime *it, struct err *e)
{
	struct tool_marker success[TOOL_MARKERS_MAX + 1] = {0};
	struct tool_rule rules[TOOL_RULES_MAX + 1] = {0};
	struct tool_spec spec = {
		.success = success, .rules = rules, .evidence = c->evidence, .tell = *tell};
	int r = jlink_check(t, e);

	if (r == 0)
		r = fill(c, success, rules, e);
	if (r == 0)
		r = write_commands(c, d, e);
	return r < 0 ? r : run(t, d, &spec, ret, it, e);
}
