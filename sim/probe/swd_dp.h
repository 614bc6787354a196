/* SPDX-License-Identifier: Apache-2.0
 *
 * The debug port of an STM32F103 on its two wires. The pins are those of the JTAG-DP, which has
 * them after power-on: what a host sends by itself (ones, selection sequences) is watched bit by
 * bit, transfers come whole.
 *
 *	JTAG --50 ones, E79E--> MUTE --50 ones--> RESET --read of DPIDR--> READY
 *	                                           ^----------50 ones--------'
 *
 * Source: ARM Debug Interface Architecture Specification ADIv5.2, B4 (SWD protocol), B5.2 (SWJ-DP).
 */
#pragma once

#include "sim/probe/dap.h"

enum swd_state { SWD_JTAG, SWD_MUTE, SWD_RESET, SWD_READY };

struct swd_dp {
	struct dap *dap;
	enum swd_state state;
	unsigned ones;	/* in a row, up to the last bit */
	unsigned since; /* bits since a row of 50 ones ended; 0: none has */
	uint32_t last;	/* of them, the newest on top */
};

void swd_dp_power(struct swd_dp *s, struct dap *d);
/* One bit of the host's own on SWDIO. */
void swd_dp_clock(struct swd_dp *s, bool bit);
/* One transfer of the host: ap or dp, the register 0, 4, 8 or c. *data is what is written, or takes
 * what is read; a read of the access port brings what the one before it asked for. */
enum dap_ack swd_dp_transfer(struct swd_dp *s, bool ap, unsigned reg, bool read, uint32_t *data);
