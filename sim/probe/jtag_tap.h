/* SPDX-License-Identifier: Apache-2.0
 *
 * The scan chain of an STM32F103 and what it leads to:
 *
 *	TDI -> boundary scan (IR of 5 bits) -> JTAG-DP (IR of 4) -> TDO
 *	                                          |
 *	                                       MEM-AP 0 (AHB) -> the chip
 *
 * Sources: IEEE 1149.1 (TAP controller), RM0008 31.6 (the chain, ID codes), ARM Debug Interface
 * Architecture Specification ADIv5.2, B3 (JTAG-DP).
 */
#pragma once

#include "sim/probe/dap.h"
#include "sim/tap_state.h"

struct jtag_tap {
	struct dap *dap;
	enum tap_state state;
	unsigned dap_ir, scan_ir;
	/* The shift register of the whole chain; bit 0 leaves next. */
	uint64_t low, high;
	unsigned bits;
	uint32_t read; /* what the next scan of DPACC or APACC brings out */
	enum dap_ack ack;
};

void jtag_tap_power(struct jtag_tap *t, struct dap *d);
void jtag_tap_reset(struct jtag_tap *t);
/* One rising edge of TCK. */
void jtag_tap_clock(struct jtag_tap *t, bool tms, bool tdi);
bool jtag_tap_tdo(const struct jtag_tap *t);
