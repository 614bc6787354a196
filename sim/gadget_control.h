/* SPDX-License-Identifier: Apache-2.0
 *
 * Control requests to a gadget: USB 2.0 chapter 9 out of its descriptors, the rest to the device.
 */
#pragma once

#include "sim/device.h"

/* One request as in struct gadget_ops; GADGET_STALL. */
int gadget_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us);
