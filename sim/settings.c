/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/settings.h"

#include <stddef.h>
#include <string.h>

#include "base/strbuf.h"
#include "sim/device.h"
#include "base/util.h"

enum kind { KIND_SIZE, KIND_BOOL, KIND_NUMBER, KIND_EOL, KIND_TEXT, KIND_USB_ID };

static const struct setting {
	const char *name;
	enum kind kind;
	size_t offset, size;
	const char *text; /* the default, as it would be typed */
	const char *help;
} table[] = {
#define FIELD(f) offsetof(struct board_settings, f), sizeof(((struct board_settings *)0)->f)
	{"baud", KIND_SIZE, FIELD(baud), "0", "bits per second of the line, 0: as fast as it goes"},
	{"flash-base", KIND_SIZE, FIELD(flash.base), "0x08010000", "address of the first cell"},
	{"flash-size", KIND_SIZE, FIELD(flash.size), "512K", "bytes"},
	{"page-size", KIND_SIZE, FIELD(flash.page), "2K", "bytes erased at once"},
	{"write-unit", KIND_SIZE, FIELD(flash.unit), "1", "writes are multiples of it"},
	{"erase-ms", KIND_SIZE, FIELD(erase_ms), "40", "time of an erase"},
	{"erase-page-us", KIND_SIZE, FIELD(erase_page_us), "0", "and for each used page"},
	{"write-us", KIND_SIZE, FIELD(write_us), "0", "time of a write frame"},
	{"boot-ms", KIND_SIZE, FIELD(boot_ms), "60", "from reset to the banner"},
	{"frame-timeout-ms", KIND_SIZE, FIELD(frame_timeout_ms), "0",
		"forget an unfinished frame after that; 0: never"},
	{"replug-boot", KIND_SIZE, FIELD(replug_boot), "0",
		"1: BOOT_APP leaves the bus and comes back; 2: another unit does"},
	{"lax", KIND_BOOL, FIELD(lax), "0", "1: acknowledge bad writes instead of refusing them"},
	{"echo", KIND_BOOL, FIELD(echo), "0", "1: the console echoes"},
	{"prompt", KIND_BOOL, FIELD(prompt), "0", "1: the console prints \"> \""},
	{"eol", KIND_EOL, FIELD(eol), "crlf", "crlf, lf or cr"},
	{"model", KIND_TEXT, FIELD(model), "provsim-1", "model name"},
	{"usb-serial", KIND_TEXT, FIELD(usb_serial), "", "ID_SERIAL_SHORT, none by default"},
	{"usb-id", KIND_USB_ID, FIELD(usb_id), "1209:0001", "vendor:product"},
	{"temp", KIND_NUMBER, FIELD(temp), "24.6", "degrees Celsius of the sensor"},
	{"adc-from", KIND_TEXT, FIELD(adc_from), "",
		"a file with the volts at the analogue input, such as a meter's source.volt"},
	{"temp-spread", KIND_NUMBER, FIELD(temp_spread), "0", "spread between units, at most +-"},
#undef FIELD
};

static const struct {
	const char *name, *bytes;
} eols[] = {{"crlf", "\r\n"}, {"lf", "\n"}, {"cr", "\r"}};

static bool set_eol(char *dst, const char *value)
{
	for (size_t i = 0; i < ARRAY_LEN(eols); i++)
		if (!strcmp(value, eols[i].name)) {
			strcpy(dst, eols[i].bytes);
			return true;
		}
	return false;
}

static bool set_text(char *dst, size_t size, const char *value)
{
	/* These texts go into event blocks, whose end is a line's end. */
	if (strlen(value) >= size || strpbrk(value, "\r\n"))
		return false;
	strcpy(dst, value);
	return true;
}

static bool usb_id_ok(const char *s)
{
	static const char hex[] = "0123456789abcdef";

	return strspn(s, hex) == 4 && s[4] == ':' && strspn(s + 5, hex) == 4 && !s[9];
}

static bool store(struct board_settings *s, const struct setting *row, const char *value)
{
	void *p = (char *)s + row->offset;
	unsigned long long v;

	switch (row->kind) {
	case KIND_SIZE:
		if (!parse_size(value, &v) || v > UINT32_MAX)
			return false;
		*(uint32_t *)p = (uint32_t)v;
		return true;
	case KIND_BOOL:
		if (strcmp(value, "0") && strcmp(value, "1"))
			return false;
		*(bool *)p = value[0] == '1';
		return true;
	case KIND_NUMBER:
		return parse_number(value, p);
	case KIND_EOL:
		return set_eol(p, value);
	case KIND_USB_ID:
		return usb_id_ok(value) && set_text(p, row->size, value);
	case KIND_TEXT:
		return set_text(p, row->size, value);
	}
	return false;
}

static const struct setting *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

bool settings_has(const char *name)
{
	return find(name) != NULL || device_setting(name) != NULL;
}

static int set_own(
	struct board_settings *s, const struct own_setting *row, const char *value, struct err *e)
{
	size_t i = 0;

	while (i < s->owns && strcmp(s->own[i].name, row->name) != 0)
		i++;
	if (i == SETTINGS_OWN_MAX || !set_text(s->own[i].value, sizeof s->own[i].value, value))
		return err_set(
			e, ERR_INVALID, "%s: cannot take '%s' (%s)", row->name, value, row->help);
	s->own[i].name = row->name;
	if (i == s->owns)
		s->owns++;
	return 0;
}

const char *settings_own(const struct board_settings *s, const char *name)
{
	const struct own_setting *row = device_setting(name);

	for (size_t i = 0; i < s->owns; i++)
		if (!strcmp(s->own[i].name, name))
			return s->own[i].value;
	return row ? row->text : "";
}

uint64_t settings_own_number(const struct board_settings *s, const char *name)
{
	unsigned long long v;

	return parse_size(settings_own(s, name), &v) ? v : 0;
}

int settings_set(struct board_settings *s, const char *name, const char *value, struct err *e)
{
	const struct setting *row = find(name);

	if (!row && device_setting(name))
		return set_own(s, device_setting(name), value, e);
	if (!row)
		return err_set(e, ERR_INVALID, "no board setting '%s'", name);
	if (!store(s, row, value))
		return err_set(e, ERR_INVALID, "%s: cannot take '%s' (%s)", name, value, row->help);
	return 0;
}

void settings_default(struct board_settings *s)
{
	memset(s, 0, sizeof *s);
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		store(s, &table[i], table[i].text);
}

void settings_print(FILE *out)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		fprintf(out, "  --%-18s %s (default %s)\n", table[i].name, table[i].help,
			table[i].text[0] ? table[i].text : "none");
}
