/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tap_state.h"

#include <stdint.h>

static const uint8_t next_state[16][2] = {
	[TAP_RESET] = {TAP_IDLE, TAP_RESET},
	[TAP_IDLE] = {TAP_IDLE, TAP_SELECT_DR},
	[TAP_SELECT_DR] = {TAP_CAPTURE_DR, TAP_SELECT_IR},
	[TAP_CAPTURE_DR] = {TAP_SHIFT_DR, TAP_EXIT1_DR},
	[TAP_SHIFT_DR] = {TAP_SHIFT_DR, TAP_EXIT1_DR},
	[TAP_EXIT1_DR] = {TAP_PAUSE_DR, TAP_UPDATE_DR},
	[TAP_PAUSE_DR] = {TAP_PAUSE_DR, TAP_EXIT2_DR},
	[TAP_EXIT2_DR] = {TAP_SHIFT_DR, TAP_UPDATE_DR},
	[TAP_UPDATE_DR] = {TAP_IDLE, TAP_SELECT_DR},
	[TAP_SELECT_IR] = {TAP_CAPTURE_IR, TAP_RESET},
	[TAP_CAPTURE_IR] = {TAP_SHIFT_IR, TAP_EXIT1_IR},
	[TAP_SHIFT_IR] = {TAP_SHIFT_IR, TAP_EXIT1_IR},
	[TAP_EXIT1_IR] = {TAP_PAUSE_IR, TAP_UPDATE_IR},
	[TAP_PAUSE_IR] = {TAP_PAUSE_IR, TAP_EXIT2_IR},
	[TAP_EXIT2_IR] = {TAP_SHIFT_IR, TAP_UPDATE_IR},
	[TAP_UPDATE_IR] = {TAP_IDLE, TAP_SELECT_DR},
};

enum tap_state tap_next(enum tap_state s, bool tms)
{
	return (enum tap_state)next_state[s][tms];
}
