/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a foreign program that looks for a serial number finds the station's probe and no other.
 */
#pragma once

#include "base/err.h"
#include "daemon/recipe/env.h"

/* -ERR_WRONG_DEVICE where two probes of that kind have the serial number of the one on the port, so that `program` cannot
 * distinguish them. What does not come by USB, or has no number, passes. */
int probe_serial_check(const struct device_facts *f, const char *program, struct err *e);
