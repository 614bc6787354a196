/* SPDX-License-Identifier: Apache-2.0
 *
 * An STM32F103 as its debug port sees it: 128 KiB of flash behind its controller, 20 KiB of RAM and
 * the registers by which a debugger holds a Cortex-M3. No instruction is ever executed: a debugger
 * that wants to run a helper in RAM has to do without (WORKAREASIZE 0).
 *
 * Sources: PM0075 (flash controller), RM0008 (memory map, device id, size), ARMv7-M Architecture
 * Reference Manual C1 (debug registers).
 */
#pragma once

#include "sim/device.h"
#include "sim/stm32_memory.h"

#define CHIP_FLASH_BASE	 0x08000000u
#define CHIP_FLASH_BYTES (128u * 1024)
#define CHIP_RAM_BASE	 0x20000000u
#define CHIP_RAM_BYTES	 (20u * 1024)

/* The rows of the faults, in their order in jtag_device.c. */
enum jtag_fault {
	JTAG_FAULT_ERASE,
	JTAG_FAULT_PROG,
	JTAG_FAULT_NO_WRITE,
	JTAG_FAULT_VERIFY,
	JTAG_FAULT_IDCODE,
	JTAG_FAULT_NO_TARGET,
	JTAG_FAULT_VANISH
};

struct jtag_chip {
	struct own_faults *faults;
	struct stm32_memory *flash;
	uint8_t ram[CHIP_RAM_BYTES];
	uint32_t uid[3];
	/* the core */
	uint32_t reg[128];
	uint32_t dhcsr, dcrdr, demcr, dfsr, fpb;
	bool halted, was_reset;
	/* the flash controller */
	uint32_t cr, sr, ar;
	bool first_key;
	uint64_t erases, writes, refused;
};

void jtag_chip_reset(struct jtag_chip *c);
/* The aligned word at an address; what is not there reads as zero. */
uint32_t jtag_chip_read(struct jtag_chip *c, uint32_t address);
/* bytes: 1, 2 or 4; the value stands in the low bytes. */
void jtag_chip_write(struct jtag_chip *c, uint32_t address, uint32_t value, unsigned bytes);
