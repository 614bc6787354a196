/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the USB controllers of this machine can carry the row of stations that a configuration describes, as far as a controller or
 * a standard says a number:
 *
 *	device slots of a xHCI controller (xHCI 1.2, 5.3.3, HCSPARAMS1.MaxSlots), which only root may read in debugfs
 *	127 addresses of a bus (USB 2.0, 9.4.6), one of which is the root hub's
 *	ports of a hub that is plugged (sysfs, maxchild)
 *	seven tiers: five hubs between the machine and a device (USB 2.0, 4.1.1)
 *
 * What is unknown is not guessed: bulk transfers share what a bus has, and no number says how many stations that is.
 */
#pragma once

#include "base/strbuf.h"
#include "daemon/line/config.h"

/* Adds a line for each mistake to `mistakes`, and for what could not be looked at to `notes`. Returns the number of mistakes. sysfs is
 * "/sys". */
unsigned controllers_check(
	const char *sysfs, const struct config *c, struct strbuf *mistakes, struct strbuf *notes);
