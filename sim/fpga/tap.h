/* SPDX-License-Identifier: Apache-2.0
 *
 * A scan chain of programmable devices (IEEE 1149.1):
 *
 *	TDI -> device 0 -> device 1 -> ... -> TDO
 *
 * The chain moves the controllers, which all see the same TMS, and hands the bits on. What an instruction means is
 * the device's: a row of operations for each kind. A data register may be without end (a bitstream goes in bit by
 * bit), so a device gets each bit as it comes. Pure: no I/O, no clock of its own.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "sim/device.h"
#include "sim/tap_state.h"

#define TAP_CHAIN_MAX 8

struct tap;

/* What a device has for a register of at most 64 bits: the next bit out is bit 0. */
struct tap_register {
	uint64_t value;
	unsigned bits;
};

struct tap_ops {
	const char *name; /* "xc7a35t" */
	uint32_t idcode;
	unsigned ir_bits;
	uint32_t ir_idcode, ir_bypass;
	struct tap *(*new)(const struct tap_ops *ops, const struct device_config *c);
	void (*free)(struct tap *t);
	void (*power_on)(struct tap *t);
	/* What Capture-IR loads. */
	uint32_t (*ir_captured)(const struct tap *t);
	void (*ir_updated)(struct tap *t);
	/* Capture-DR of an instruction of its own: the register, or false where bits go to stream(). */
	bool (*dr_captured)(struct tap *t, struct tap_register *ret);
	/* Shift-DR of such an instruction: takes a bit, returns the one that comes out at the next clock (0 at the
	 * first). */
	bool (*stream)(struct tap *t, bool tdi);
	void (*dr_updated)(struct tap *t);
	void (*idle)(struct tap *t); /* a clock in Run-Test/Idle */
	void (*json)(const struct tap *t, json_t *o);
};

struct tap {
	const struct tap_ops *ops;
	struct own_faults *faults;
	uint32_t ir;
	struct tap_register reg;
	bool streams;
};

/* The kinds; a NULL ends them. */
extern const struct tap_ops *const tap_kinds[];
const struct tap_ops *tap_kind(const char *name); /* NULL: there is none */
extern const struct tap_ops tap_lfe5u_25, tap_lfe5u_45, tap_lcmxo2_1200, tap_xc7a35t, tap_xc7s50;

/* Faults of the device, for all kinds (fpga_device.c has their texts). */
enum fpga_fault {
	NO_DONE,
	BIT_FLIP,
	BAD_CELL,
	NO_ERASE,
	OTHER_PART,
	STUCK_LOW,
	STUCK_HIGH,
	EXTRA,
	MISSING,
	VANISH
};

struct tap_chain {
	struct tap *tap[TAP_CHAIN_MAX +
			1]; /* the first is a spare one, which answers where it is EXTRA */
	size_t n;
	struct own_faults *faults;
	enum tap_state state;
	uint64_t clocks;
};

/* kinds: "lfe5u-25,xc7a35t", from TDI to TDO. */
int tap_chain_init(
	struct tap_chain *c, const char *kinds, const struct device_config *config, struct err *e);
void tap_chain_done(struct tap_chain *c);
void tap_chain_power_on(struct tap_chain *c);
/* One rising edge of TCK; TDO as it is before it, which is what a probe samples. */
bool tap_chain_clock(struct tap_chain *c, bool tms, bool tdi);
bool tap_chain_tdo(const struct tap_chain *c);
