/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by stm32_rom.c (the ROM's machine) and stm32_device.c (the device of the row), and by no
 * one else.
 */
#pragma once

#include "sim/device.h"
#include "sim/stm32_otp.h"
#include "sim/stm32_memory.h"
#include "sim/wire.h"

enum { STM32_ERASE = 0x43, STM32_EXTENDED = 0x44 };

#define STM32_FRAME_MAX 1200

enum stm32_state {
	OFF,
	ASLEEP,
	COMMAND,
	COMPLEMENT,
	ADDRESS,
	READ_LENGTH,
	WRITE_DATA,
	ERASE_PAGES,
	EXTENDED_PAGES,
	WP_SECTORS,
	APPLICATION
};

/* The rows of the faults, in stm32_device.c. */
enum stm32_fault {
	NACK_COMMAND,
	NACK_ADDRESS,
	NACK_DATA,
	SILENT,
	EXTRA_ACK,
	GARBAGE,
	BUSY_BYTES,
	READ_FLIP,
	WEAK_CELL,
	NO_ERASE,
	LOST_ACK,
	HALF_WRITE,
	GAP,
	SHORT_READ
};

struct stm32_family {
	uint16_t pid;
	uint32_t flash;
	const char *pages;
	uint8_t erase, erased;
	uint32_t size_register, uid_register;
};

struct stm32_rom {
	struct device device;
	const struct board_settings *set;
	struct faults *wire_faults;
	struct own_faults *faults;
	struct stm32_family family;
	uint16_t pid;
	struct stm32_memory *memory;
	struct stm32_otp *otp; /* NULL: it has none */
	struct wire wire;
	enum stm32_state state;
	bool stalled;
	bool even; /* the host's parity, where it can be seen */
	bool held; /* in reset, by the host's RTS */
	uint8_t code;
	uint32_t address;
	uint8_t frame[STM32_FRAME_MAX];
	size_t len;
	uint64_t busy_until_us, reset_at_us;
	uint64_t writes, erases, reads, resets;
};

/* A byte of the host came through. */
void stm32_rom_take(struct stm32_rom *s, uint8_t b, uint64_t now_us);
void stm32_rom_reset(struct stm32_rom *s);
void stm32_rom_say(struct stm32_rom *s, uint64_t now_us, const void *p, size_t n);
/* Whose faults of the wire count now. */
enum fault_phase stm32_rom_phase(const struct stm32_rom *s);
