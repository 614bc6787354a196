/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/recipe_draft.h"

#include <string.h>

#define CONSOLE "  console: {kind: tty, baud: 115200}\n"
#define DUT	"  dut: {kind: usb}\n"
#define UNIT                                                                     \
	"  - id: unit                  # the USB serial number names the unit\n" \
	"    action: device.identify\n"                                          \
	"    with: {port: dut}\n"

const struct device_kind device_kinds[] = {
	{"serial", "a serial port: the boot protocol and console of the guide",
		"serialboot.* stm32.* console.*", CONSOLE, true,
		"  - id: application\n"
		"    action: serialboot.flash\n"
		"    with: {port: console, image: '${artifacts.application}', address: 0x08010000, boot: true}   # where a .bin begins\n"
		"  - id: version\n"
		"    action: console.command\n"
		"    with: {port: console, send: version, expect: '(?:^|\\s)(v[0-9a-f]\\S*)'}   # what the unit answers\n"
		"    retry: {attempts: 10, delay: 200ms, on: [timeout, unexpected-reply]}   # the application starts\n"},
	{"stm32", "a serial port: the boot ROM of an STM32", "stm32.*", CONSOLE, true,
		"  - id: application\n"
		"    action: stm32.flash\n"
		"    with: {port: console, image: '${artifacts.application}', address: 0x08000000}   # where a .bin begins\n"},
	{"esp", "a serial port: the ROM loader of an ESP32", "esp.*", CONSOLE, true,
		"  - id: application\n"
		"    action: esp.flash\n"
		"    with:\n"
		"      port: console\n"
		"      images: {'0x10000': '${artifacts.application}'}   # where the partition begins\n"},
	{"avr", "a serial port: the bootloader of an AVR (STK500)", "avr.*", CONSOLE, true,
		"  - id: application\n"
		"    action: avr.flash\n"
		"    with: {port: console, image: '${artifacts.application}'}\n"},
	{"dfu", "a USB device in DFU mode", "dfu.*", DUT, true,
		UNIT
		"  - id: application\n"
		"    action: dfu.download\n"
		"    with: {port: dut, image: '${artifacts.application}', address: 0x08000000}   # where a .bin begins\n"},
	{"fastboot", "a USB device in fastboot", "fastboot.*", DUT, true,
		UNIT
		"  - id: application\n"
		"    action: fastboot.flash\n"
		"    with: {port: dut, partition: boot, image: '${artifacts.application}'}   # the partition\n"
		"  - id: start\n"
		"    action: fastboot.reboot\n"
		"    with: {port: dut, to: system}\n"},
	{"adb", "a USB device with adb", "adb.*", DUT, false,
		UNIT
		"  - id: model\n"
		"    action: adb.shell\n"
		"    with: {port: dut, command: getprop ro.product.model, expect: '^(\\S.*)$'}   # a command, and what it has to say\n"},
	{"probe", "a debug probe", "openocd.* jlink.*", "  probe: {kind: probe}\n", true,
		"  - id: application\n"
		"    action: openocd.program\n"
		"    with:\n"
		"      port: probe\n"
		"      interface: cmsis-dap   # of the probe: stlink, jlink, cmsis-dap\n"
		"      target: stm32f4x       # of the chip, as OpenOCD names it: nrf52, rp2040\n"
		"      image: '${artifacts.application}'\n"
		"      address: 0x08000000    # where a .bin begins\n"},
	{"instrument", "an instrument that speaks SCPI", "instrument.*", NULL, false,
		"  - id: meter\n"
		"    action: instrument.identify\n"
		"    with: {instrument: meter}   # its name in 'instruments' of provd.yaml\n"
		"  - id: supply-voltage\n"
		"    action: instrument.measure\n"
		"    with: {instrument: meter, query: 'MEAS:VOLT:DC?', unit: V, low: 3.2, high: 3.4}   # the limits\n"},
	{"printer", "a printer of labels", "unit.label", NULL, false,
		"  - id: label\n"
		"    action: unit.label\n"
		"    with:\n"
		"      template: '${artifacts.plate}'\n"
		"      values: {serial: '${unit.serial}'}\n"
		"      printer: plates   # its name in 'printers' of provd.yaml\n",
		.label = true},
	{0},
};

const struct device_kind *device_kind(const char *name)
{
	const struct device_kind *k = device_kinds;

	while (k->name && strcmp(k->name, name) != 0)
		k++;
	return k->name ? k : NULL;
}

/* Between single quotes, where nothing but they themselves means something. */
static void add_quoted(struct strbuf *b, const char *text)
{
	sb_add(b, "'");
	for (const char *s = text; *s; s++)
		sb_addf(b, *s == '\'' ? "''" : "%c", *s);
	sb_add(b, "'");
}

static void add_line(struct strbuf *b, const char *key, const char *text)
{
	sb_addf(b, "%s: ", key);
	add_quoted(b, text);
	sb_add(b, "\n");
}

static void add_artifacts(const struct recipe_draft *d, struct strbuf *b)
{
	if (d->kind->image || d->kind->label)
		sb_add(b, "artifacts:\n");
	if (d->kind->image)
		add_line(b, "  application", d->image);
	if (d->kind->label)
		sb_add(b, "  plate: plate.yaml   # a template: docs/labels.md\n");
}

/* A label needs a number even where nobody said from which pool. */
void recipe_draft(const struct recipe_draft *d, struct strbuf *ret)
{
	const char *pool = d->pool ? d->pool : d->kind->label ? "serial-numbers" : NULL;

	add_line(ret, "recipe", d->name);
	sb_add(ret, "version: 1\n");
	add_line(ret, "title", d->title);
	sb_add(ret, "unit:\n");
	add_line(ret, "  model", d->model);
	if (pool) {
		sb_add(ret, "  serial: {pool: ");
		add_quoted(ret, pool);
		sb_add(ret, "}\n");
	}
	if (d->kind->ports)
		sb_addf(ret, "ports:\n%s", d->kind->ports);
	add_artifacts(d, ret);
	sb_add(ret, "timeout: 10m\nsteps:\n");
	if (pool && d->kind->label)
		sb_add(ret, "  - id: serial\n    action: unit.serial\n");
	sb_add(ret, d->kind->steps);
	if (pool && !d->kind->label)
		sb_add(ret,
			"  - id: serial\n    action: unit.serial      # a new number of the pool, on record; a step of yours writes it to the unit\n");
}
