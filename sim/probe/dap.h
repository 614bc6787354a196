/* SPDX-License-Identifier: Apache-2.0
 *
 * What both fronts of a debug port share: its registers, and the one access port behind it, a
 * MEM-AP on the chip's bus. jtag_tap.c and swd_dp.c frame it, each as its own wire does.
 *
 * Source: ARM Debug Interface Architecture Specification ADIv5.2, B2 (DP), C2 (MEM-AP).
 */
#pragma once

#include "sim/probe/f103.h"

/* B2.2: registers of the debug port. */
enum { DAP_ABORT = 0x0, DAP_DPIDR = 0x0, DAP_CTRL_STAT = 0x4, DAP_SELECT = 0x8, DAP_RDBUFF = 0xc };

/* As SWD sends it (B4.1); a JTAG-DP has its own, jtag_tap.c. */
enum dap_ack { DAP_ACK_OK = 1, DAP_ACK_WAIT = 2, DAP_ACK_FAULT = 4, DAP_ACK_NONE = 7 };

struct dap {
	struct f103 *chip;
	uint32_t ctrl, select, csw, tar;
	uint32_t rdbuff; /* of the last read of the access port */
	bool sticky_error;
	uint64_t accesses;
};

void dap_power(struct dap *d, struct f103 *c);
/* CTRL/STAT or SELECT. */
uint32_t dap_read(const struct dap *d, unsigned reg);
void dap_write(struct dap *d, unsigned reg, uint32_t v);
/* B2.2.1. */
void dap_abort(struct dap *d, uint32_t v);
/* An access to a register of the access port; what is read lies in rdbuff. An access that fails on
 * the bus is reported by the one after it. */
enum dap_ack dap_access(struct dap *d, unsigned reg, bool read, uint32_t v);
