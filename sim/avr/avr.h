/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by avr_v1.c and avr_v2.c (the two protocols) and avr_device.c (the device of the row), and by no one else.
 */
#pragma once

#include "base/bytes.h"
#include "sim/device.h"
#include "sim/stm32_memory.h"
#include "sim/wire.h"

#define AVR_FRAME_MAX 600

/* The rows of the faults, in avr_device.c. */
enum avr_fault {
	AVR_SILENT,
	AVR_LATE,
	AVR_TWICE,
	AVR_REFUSE,
	AVR_NOISE,
	AVR_SHORT,
	AVR_WEAK_CELL,
	AVR_BIT_ROT,
	AVR_READ_FLIP
};

struct avr_part {
	const char *name;
	uint8_t signature[3];
	uint32_t flash, page;
};

struct avr {
	struct device device;
	const struct board_settings *set;
	struct faults *wire_faults;
	struct own_faults *faults;
	const struct avr_part *part;
	struct stm32_memory *memory;
	struct wire wire;
	bool second; /* STK500 v2 */
	bool running, stalled, held;
	uint8_t command;
	bool refuses;	  /* the command that came */
	uint32_t address; /* in bytes */
	uint32_t high;	  /* of an address in words, by the universal command of v1 */
	uint8_t frame[AVR_FRAME_MAX];
	size_t len;
	uint64_t busy_until_us, writes, reads, resets;
};

void avr_v1_take(struct avr *s, uint8_t b, uint64_t now_us);
void avr_v2_take(struct avr *s, uint8_t b, uint64_t now_us);
void avr_say(struct avr *s, uint64_t now_us, const void *p, size_t n);
/* An answer that is whole, with the faults of the command. */
void avr_answer(struct avr *s, uint64_t now_us, const void *p, size_t n);
/* Erases the page and writes it, as a bootloader does; false where it does not lie in the flash. */
bool avr_write(struct avr *s, const uint8_t *p, size_t n);
bool avr_read(struct avr *s, uint8_t *p, size_t n);
bool avr_fault_is_for(struct avr *s, enum avr_fault row);
void avr_start(struct avr *s, uint64_t now_us); /* the application */
