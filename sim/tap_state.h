/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of a TAP controller (IEEE 1149.1-2001, figure 6-1), for all devices with JTAG.
 */
#pragma once

#include <stdbool.h>

enum tap_state {
	TAP_RESET,
	TAP_IDLE,
	TAP_SELECT_DR,
	TAP_CAPTURE_DR,
	TAP_SHIFT_DR,
	TAP_EXIT1_DR,
	TAP_PAUSE_DR,
	TAP_EXIT2_DR,
	TAP_UPDATE_DR,
	TAP_SELECT_IR,
	TAP_CAPTURE_IR,
	TAP_SHIFT_IR,
	TAP_EXIT1_IR,
	TAP_PAUSE_IR,
	TAP_EXIT2_IR,
	TAP_UPDATE_IR
};

/* The state after a rising edge of TCK. */
enum tap_state tap_next(enum tap_state s, bool tms);
