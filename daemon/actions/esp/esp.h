/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions esp.* share: the way into the boot ROM and out of it, and the arguments for it.
 */
#pragma once

#include "daemon/actions/boot_pins.h"
#include "daemon/actions/common.h"
#include "transports/protocols/esp/esp_rom.h"

extern const char *const esp_resets[];

#define ESP_ROWS_SESSION                                                                           \
	{.name = "chip",                                                                           \
		.type = ARG_CHOICE,                                                                \
		.choices = esp_chip_names,                                                         \
		.doc = "that it has to be; by default any that the table knows"},                  \
		{.name = "baud",                                                                   \
			.type = ARG_INT,                                                           \
			.unit = "baud",                                                            \
			.low = 9600,                                                               \
			.high = 4000000,                                                           \
			.doc = "after the ROM has answered at the port's rate, which is to be "    \
			       "115200; in secure download mode it stays"},                        \
		{.name = "reset",                                                                  \
			.type = ARG_CHOICE,                                                        \
			.def = "none",                                                             \
			.choices = esp_resets,                                                     \
			.doc = "'enter' and 'exit' of usual boards: classic for DTR and RTS with " \
			       "two transistors, usb-jtag for the chip's own USB-Serial/JTAG"},    \
		ARG_ROWS_BOOT_PINS,                                                                \
	{                                                                                          \
		.name = "flash_size", .type = ARG_SIZE, .unit = "bytes",                           \
		.doc = "of this unit; by default what its flash says, which secure download "      \
		       "mode does not"                                                             \
	}

/* One boot ROM in one step. */
struct esp_session {
	struct step *s;
	const struct args *a;
	struct link *link;
	struct esp_rom *rom;
	struct boot_pins pins;
};

/* 'reset' and 'enter' or 'exit' exclude each other: for a row's check(). */
int esp_session_check(const struct args *a, struct err *e);
/* Connects. End it with esp_session_done(), whatever it returned. */
int esp_session_open(struct esp_session *x, struct step *s, const struct args *a, struct err *e);
/* Runs 'exit' and gives the link back as it was. Takes one that was never opened. */
void esp_session_done(struct esp_session *x);
/* What the ROM says of its chip, into the evidence, and into the outputs of ESP_OUTPUT_ROWS. */
void esp_session_tell(struct esp_session *x, struct step_result *out);

#define ESP_OUTPUT_ROWS                                                                  \
	{"chip", "which chip of the family"},                                            \
	{                                                                                \
		"mac", "its address, as 7c:df:a1:00:00:01; \"\" in secure download mode" \
	}
