/* SPDX-License-Identifier: Apache-2.0
 *
 * An STM32F103 as its debug port sees it: 128 KiB of flash behind its controller, 20 KiB of RAM and
 * the registers by which a debugger holds a Cortex-M3. No instruction is ever executed: a debugger
 * that wants to run a helper in RAM has to do without (WORKAREASIZE 0). Beyond an F103 it has the one-time
 * memory of an F4, programmed by bytes, half-words or words under PG.
 *
 *	jtag_tap --\
 *	            dap (debug port, MEM-AP) -- f103
 *	swd_dp   --/
 *
 * Sources: PM0075 (flash controller), RM0008 (memory map, device id, size), ARMv7-M Architecture
 * Reference Manual C1 (debug registers).
 */
#pragma once

#include "sim/device.h"
#include "sim/stm32_memory.h"
#include "sim/stm32_otp.h"

#define F103_FLASH_BASE	 0x08000000u
#define F103_FLASH_BYTES (128u * 1024)
#define F103_RAM_BASE	 0x20000000u
#define F103_RAM_BYTES	 (20u * 1024)

/* The rows of f103_faults: of the chip, of its debug port, and of the probe in front of it. */
enum f103_fault {
	F103_FAULT_ERASE,
	F103_FAULT_PROG,
	F103_FAULT_NO_WRITE,
	F103_FAULT_VERIFY,
	F103_FAULT_LOCKED,
	F103_FAULT_CHIP,
	F103_FAULT_IDCODE,
	F103_FAULT_NO_TARGET,
	F103_FAULT_WAIT,
	F103_FAULT_BUS,
	F103_FAULT_VANISH
};

extern const struct own_fault f103_faults[];

struct f103 {
	struct own_faults *faults;
	struct stm32_memory *flash;
	struct stm32_otp *otp; /* as an F4 has it: an F1 has none */
	uint8_t ram[F103_RAM_BYTES];
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

/* A unit with its flash, out of its files or out of the preload; f103_done() also after a failure.
 */
int f103_init(struct f103 *c, const struct device_config *config, struct err *e);
void f103_done(struct f103 *c);
void f103_power_on(struct f103 *c);
void f103_reset(struct f103 *c);
/* The aligned word at an address; what is not there reads as zero. false: the bus has no answer. */
bool f103_read(struct f103 *c, uint32_t address, uint32_t *ret);
/* bytes: 1, 2 or 4; the value is in the low bytes. false: the bus has no answer. */
bool f103_write(struct f103 *c, uint32_t address, uint32_t value, unsigned bytes);
/* Adds flash and counters to o. */
void f103_json(const struct f103 *c, bool whole, json_t *o);
