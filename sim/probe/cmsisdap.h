/* SPDX-License-Identifier: Apache-2.0
 *
 * A CMSIS-DAP debug unit: commands in, answers out, and the pins of a probe between it and the
 * debug port. No USB: that is cmsisdap_device.c.
 *
 *	command -> cmsisdap -- SWCLK/TCK, SWDIO/TMS, TDI, TDO, nRESET --> swd_dp, jtag_tap, f103
 *
 * Not there: SWO, UART, atomic command lists (7E, 7F), SWD_Sequence (1D), JTAG through
 * DAP_Transfer; what is not there is answered by FF, as the specification has it.
 *
 * Source: "CMSIS-DAP" of Arm, Version 2.1.0, "CMSIS-DAP Commands".
 */
#pragma once

#include "sim/probe/jtag_tap.h"
#include "sim/probe/swd_dp.h"

#define CMSISDAP_PACKET 512u /* of a high-speed bulk endpoint */

enum cmsisdap_port { CMSISDAP_OFF, CMSISDAP_SWD, CMSISDAP_JTAG };

struct cmsisdap {
	struct f103 *chip;
	struct dap dap;
	struct swd_dp swd;
	struct jtag_tap tap;
	enum cmsisdap_port port;
	uint8_t pins; /* outputs, by the bits of DAP_SWJ_Pins */
	uint16_t wait_retry, match_retry;
	uint32_t match_mask;
	uint8_t packets;
	const char *vendor, *product, *serial;
	uint64_t sessions; /* times that a host said that it is there */
};

/* Power of probe and unit. The strings are borrowed. */
void cmsisdap_power(struct cmsisdap *p, struct f103 *chip);
/* One command as a transfer brought it; how many bytes of out answer it, 0: none. */
size_t cmsisdap_command(
	struct cmsisdap *p, const uint8_t *in, size_t n, uint8_t out[CMSISDAP_PACKET]);
