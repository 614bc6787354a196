/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter as it is within another device: one row of operations over a stream (meter_device.c), and what its bus can
 * ask besides.
 */
#pragma once

#include "sim/device.h"

/* Device clear: what it has to say, and a message that came in part, is dropped. */
void meter_clear(struct device *d);
