/* SPDX-License-Identifier: Apache-2.0
 *
 * What is plugged into the USB ports of this machine, read in sysfs (Documentation/ABI/stable/sysfs-bus-usb of the kernel).
 */
#pragma once

#include "base/strbuf.h"

/* A line for each device below its hub, with its port path, ids, speed in Mbit/s and strings, and one for each interface
 * with its class and driver. sysfs: "/sys". A machine without USB has the one line that says so. */
void usb_tree(const char *sysfs, struct strbuf *out);
