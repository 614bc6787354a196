/* SPDX-License-Identifier: Apache-2.0
 *
 * The session of all actions esp.*, and esp.info and esp.efuse.
 */
#include "daemon/actions/esp/esp.h"

const char *const esp_resets[] = {"none", "classic", "usb-jtag", NULL};

/* esptool, reset.py: ClassicReset, USBJTAGSerialReset, HardReset. 1 asserts a line. */
static const struct {
	const char *name, *enter, *exit;
} ways[] = {
	{"classic", "dtr=0, rts=1, 100ms, dtr=1, rts=0, 50ms, dtr=0", "rts=1, 100ms, rts=0"},
	{"usb-jtag",
		"rts=0, dtr=0, 100ms, dtr=1, rts=0, 100ms, rts=1, dtr=0, rts=1, 100ms, dtr=0, rts=0",
		"rts=1, 200ms, rts=0, 200ms"},
};

static bool has_reset(const struct args *a)
{
	const char *way = args_str(a, "reset");

	return way && strcmp(way, "none") != 0;
}

int esp_session_check(const struct args *a, struct err *e)
{
	if (has_reset(a) && (args_given(a, "enter") || args_given(a, "exit")))
		return err_set(e, ERR_RECIPE_INVALID,
			"'reset' says what 'enter' and 'exit' are: give one or the other");
	return 0;
}

static int pins_of(const struct args *a, struct boot_pins *ret, struct err *e)
{
	int r;

	if (!has_reset(a))
		return boot_pins_parse(a, ret, e);
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (!strcmp(ways[i].name, args_str(a, "reset"))) {
			r = line_steps_parse(ways[i].enter, &ret->enter, e);
			return r < 0 ? r : line_steps_parse(ways[i].exit, &ret->exit, e);
		}
	return err_set(e, ERR_INVALID, "no reset '%s'", args_str(a, "reset"));
}

static int enter(void *data, const struct iotime *it, struct err *e)
{
	struct esp_session *x = data;

	return boot_pins_enter(&x->pins, x->link, it, e);
}

static int opts_of(const struct args *a, struct esp_opts *ret, struct err *e)
{
	struct esp_opts o = ESP_OPTS_DEFAULT;
	uint64_t flash = args_size(a, "flash_size");

	if (flash > ESP_FLASH_MAX || flash % ESP_SECTOR_BYTES)
		return err_set(e, ERR_INVALID,
			"'flash_size' is a multiple of 4096, %u at most, not %llu", ESP_FLASH_MAX,
			(unsigned long long)flash);
	o.flash_bytes = (uint32_t)flash;
	if (args_has(a, "baud"))
		o.baud = (uint32_t)args_int(a, "baud");
	if (args_has(a, "attempts"))
		o.attempts = (unsigned)args_int(a, "attempts");
	*ret = o;
	return 0;
}

static int check_chip(struct esp_session *x, struct err *e)
{
	const char *want = args_str(x->a, "chip");
	const char *got = esp_rom_info(x->rom)->chip->name;

	if (want && strcmp(want, got) != 0)
		return err_set(e, ERR_WRONG_DEVICE,
			"%s: this is an %s, and the recipe wants an %s: plug the right unit",
			x->link->address, got, want);
	return 0;
}

int esp_session_open(struct esp_session *x, struct step *s, const struct args *a, struct err *e)
{
	struct esp_hooks h = {.tell = step_teller(s), .data = x};
	struct esp_opts o;
	int r = esp_session_check(a, e);

	x->s = s;
	x->a = a;
	if (r == 0)
		r = pins_of(a, &x->pins, e);
	if (r == 0)
		r = opts_of(a, &o, e);
	if (r == 0)
		r = step_link(s, args_str(a, "port"), &x->link, e);
	if (r < 0)
		return r;
	if (x->pins.enter.n)
		h.enter = enter;
	x->rom = esp_rom_new(x->link, &o, &h);
	r = esp_rom_connect(x->rom, &s->it, e);
	return r < 0 ? r : check_chip(x, e);
}

void esp_session_done(struct esp_session *x)
{
	x->rom = esp_rom_free(x->rom);
	if (!x->link)
		return;
	boot_pins_leave(&x->pins, x->link);
	link_settings_pop(x->link);
}

static json_t *mac_json(const struct esp_info *i)
{
	const uint8_t *m = i->mac;

	if (i->secure_download)
		return json_string("");
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void tell_security(const struct esp_info *i, struct step_result *out)
{
	if (!i->has_security)
		return;
	result_evidence(out, "secure_boot", json_boolean(i->security_flags & ESP_SECURE_BOOT));
	result_evidence(out, "flash_encryption", json_boolean(__builtin_parity(i->crypt_count)));
	result_evidence(out, "security_flags", json_sprintf("0x%08x", i->security_flags));
}

void esp_session_tell(struct esp_session *x, struct step_result *out)
{
	const struct esp_info *i = esp_rom_info(x->rom);

	result_evidence(out, "chip", json_string(i->chip->name));
	result_evidence(out, "secure_download", json_boolean(i->secure_download));
	tell_security(i, out);
	if (!i->secure_download) {
		result_evidence(out, "mac", mac_json(i));
		result_evidence(out, "revision", json_sprintf("%u.%u", i->major, i->minor));
		result_evidence(out, "flash_id", json_sprintf("%06x", i->flash_id));
	}
	if (i->flash_bytes)
		result_evidence(out, "flash_size", json_integer(i->flash_bytes));
	result_evidence(
		out, "flash_size_from", json_string(i->flash_of_caller ? "recipe" : "flash"));
	if (x->link->baud)
		result_evidence(out, "baud", json_integer((json_int_t)x->link->baud));
	result_output(out, "chip", json_string(i->chip->name));
	result_output(out, "mac", mac_json(i));
}

/* --- info --- */

static void output_more(const struct esp_info *i, struct step_result *out)
{
	result_output(out, "revision",
		i->secure_download ? json_string("") : json_sprintf("%u.%u", i->major, i->minor));
	result_output(out, "flash_size", json_integer(i->flash_bytes));
	result_output(out, "secure_download", json_boolean(i->secure_download));
}

static int info_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(esp_session_done) struct esp_session x = {0};
	int r = esp_session_open(&x, s, a, e);

	if (r < 0)
		return r;
	esp_session_tell(&x, out);
	output_more(esp_rom_info(x.rom), out);
	return 0;
}

static const struct action_arg info_args[] = {ARG_ROW_PORT, ESP_ROWS_SESSION, {0}};

static const struct action_output info_outputs[] = {
	ESP_OUTPUT_ROWS,
	{"revision", "of the chip, as 1.1; \"\" in secure download mode"},
	{"flash_size", "bytes of its flash; 0: not known"},
	{"secure_download", "whether the chip is in secure download mode"},
	{0},
};

const struct action action_esp_info = {
	.name = "esp.info",
	.doc = "Asks the serial boot ROM of a chip of the ESP32 family what it is: chip, revision, address, flash, security.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = info_args,
	.outputs = info_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = esp_session_check,
	.run = info_run,
};

/* --- efuse --- */

static int efuse_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(esp_session_done) struct esp_session x = {0};
	uint32_t word[ESP_FUSE_WORDS_MAX];
	const struct esp_info *i;
	json_t *words;
	int r = esp_session_open(&x, s, a, e);

	if (r == 0)
		r = esp_rom_fuses(x.rom, word, &s->it, e);
	if (r < 0)
		return r;
	i = esp_rom_info(x.rom);
	esp_session_tell(&x, out);
	output_more(i, out);
	words = json_array();
	for (uint32_t k = 0; k < i->chip->fuse_words; k++)
		json_array_append_new(words, json_sprintf("%08x", word[k]));
	result_evidence(out, "fuses_from", json_sprintf("0x%08x", i->chip->fuses));
	result_evidence(out, "fuses", words);
	return 0;
}

const struct action action_esp_efuse = {
	.name = "esp.efuse",
	.doc = "Reads the fuses of a chip of the ESP32 family which are no keys: address, revision, and the registers as they are. Nothing is burnt.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = info_args,
	.outputs = info_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.check = esp_session_check,
	.run = efuse_run,
};
