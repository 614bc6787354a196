/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial bootloader of an AVR that speaks STK500: version 1 (Atmel AVR061; optiboot, `avrdude -c arduino`) or version 2
 * (AVR068; the Arduino Mega's, `avrdude -c wiring`). One object per device, on the worker that owns the link. 8N1.
 *
 *	v1	command .. 20			-> 14 data.. 10
 *	v2	1B number length(2) 0E body XOR	-> the same, with the number and a status
 *
 * Turns: of v2 an answer has the number of its request; others are passed over. Of v1 it has nothing, and a bootloader that
 * missed a byte may start the application: so an attempt at which anything is odd is over. The next one begins with a reset
 * (where there is one), silence, and the signature, which looks like no other answer. After the last byte was read back the
 * signature is asked for once more, and nothing may be left over: no answer was another's.
 *
 *	reset -> sync -> signature -> write pages -> read them back -> signature
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/images/image.h"
#include "transports/links/link.h"
#include "transports/protocols/avr/avr_parts.h"

#define AVR_PAGE_MAX 256

enum avr_protocol { AVR_STK500_V1, AVR_STK500_V2 };

struct avr_opts {
	enum avr_protocol protocol;
	unsigned attempts;	/* at the whole image */
	unsigned sync_attempts; /* optiboot listens for a second after a reset */
	uint64_t sync_us;	/* for each answer to them */
	uint64_t answer_us;	/* of a command, in addition to its time on the wire */
	uint64_t quiet_us;	/* without a byte: nothing more comes */
	/* Of a part that is in no table; 0: by the table. */
	uint32_t flash_bytes, page_bytes;
	uint32_t reserve; /* bytes at the flash's end, where the bootloader is */
};
#define AVR_OPTS_DEFAULT                    \
	((struct avr_opts){.attempts = 2,   \
		.sync_attempts = 10,        \
		.sync_us = 250 * US_PER_MS, \
		.answer_us = 1 * US_PER_S,  \
		.quiet_us = 20 * US_PER_MS})

struct avr_hooks {
	struct teller tell; /* phases: "write", "verify" */
	void *data;	    /* of enter() */
	/* Brings the board (back) into its bootloader: DTR. May be NULL: it is there. */
	int (*enter)(void *data, const struct iotime *it, struct err *e);
};

struct avr_info {
	uint8_t signature[3];
	const char *part; /* "ATmega328P"; "" in no table */
	uint32_t flash_bytes, page_bytes;
	uint8_t major, minor; /* of the bootloader, as it says */
};

struct avr_boot;

/* Copies opts and hooks, borrows the link. */
struct avr_boot *avr_boot_new(
	struct link *l, const struct avr_opts *o, const struct avr_hooks *hooks);
/* The link lives: where an answer is missing, its turn is lost (links/link.h). */
struct avr_boot *avr_boot_free(struct avr_boot *s);
DEFINE_CLEANUP(struct avr_boot, avr_boot_free)

/* -ERR_TIMEOUT where no bootloader answers; -ERR_UNSUPPORTED for a part that neither table nor caller knows. */
int avr_boot_connect(struct avr_boot *s, const struct iotime *it, struct err *e);
const struct avr_info *avr_boot_info(const struct avr_boot *s);

struct avr_result {
	uint64_t bytes; /* of the image */
	uint32_t pages;
	unsigned attempts;
	char sha256_written[SHA256_HEX]; /* of the pages in order of address, as sent */
	char sha256_read[SHA256_HEX];	 /* as read back */
};

/* Writes the pages that hold some of the image (a bootloader erases a page as it writes it) and reads all of them back. 0 only
 * when every byte of them was read back equal, what fills a page with FF included. -ERR_IMAGE_RANGE before anything is
 * written where the image lies outside of the flash, or where the bootloader is; -ERR_VERIFY_MISMATCH names the first address
 * with what was expected and what came. */
int avr_boot_flash(struct avr_boot *s, const struct image *image, const struct iotime *it,
	struct avr_result *ret, struct err *e);
/* Starts the application. 0 means that the bootloader acknowledged. */
int avr_boot_leave(struct avr_boot *s, const struct iotime *it, struct err *e);
