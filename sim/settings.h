/* SPDX-License-Identifier: Apache-2.0
 *
 * How a board is made: its line, times, flash and console manners. One const table (settings.c)
 * reads them all by name, for every board (`--baud 115200`) or for one (`--set b3:baud=9600`).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "sim/flash.h"

#define SETTINGS_OWN_MAX  24
#define SETTINGS_TEXT_MAX 256

/* A setting of one kind of device (sim/device.h), as text. */
struct setting_text {
	const char *name; /* of the kind's const row */
	char value[SETTINGS_TEXT_MAX];
};

struct board_settings {
	uint32_t baud; /* 0: unpaced */
	struct flash_geometry flash;
	uint32_t erase_ms;	/* the whole, in addition to the pages */
	uint32_t erase_page_us; /* for each page that holds something */
	uint32_t write_us;	/* for each write frame */
	uint32_t boot_ms;
	uint32_t frame_timeout_ms; /* an unfinished frame is forgotten; 0: never, as in the guide */
	bool lax;		   /* acknowledges bad writes instead of refusing them */
	/* As a device whose bootloader and application enumerate each for itself: on BOOT_APP it
	 * leaves and comes back (1), or another unit does (2). */
	uint32_t replug_boot;
	bool echo;
	bool prompt;
	char eol[3];
	char model[32];
	char usb_serial[64];
	char usb_id[10]; /* vvvv:pppp */
	double temp;	 /* degrees Celsius that the sensor reads */
	double temp_spread;
	char adc_from[128]; /* a file with the volts at the analogue input; "" 0 V */
	struct setting_text own[SETTINGS_OWN_MAX];
	size_t owns;
};

void settings_default(struct board_settings *s);
/* Whether there is a setting of that name. */
bool settings_has(const char *name);
int settings_set(struct board_settings *s, const char *name, const char *value, struct err *e);
/* The text of a kind's own setting, its default where it was not set; "" where there is none. */
const char *settings_own(const struct board_settings *s, const char *name);
/* The same as a number or size ("0x413", "64K"); 0 where it is not a number. */
uint64_t settings_own_number(const struct board_settings *s, const char *name);
void settings_print(FILE *out);
