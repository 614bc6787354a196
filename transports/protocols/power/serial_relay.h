/* SPDX-License-Identifier: Apache-2.0
 *
 * A relay on a serial line: bytes switch it, and, where it has such a question, bytes say how it is. What they are, its
 * maker's paper says, and the configuration (struct power_way). On the worker's thread.
 */
#pragma once

#include "transports/links/link.h"
#include "transports/links/power.h"

int serial_relay_switch(
	struct link *l, const struct power_way *w, bool on, const struct iotime *it, struct err *e);
/* *ret POWER_UNKNOWN where there is no question. -ERR_TIMEOUT without an answer, -ERR_PROTOCOL for one that is neither
 * of the two, for two that differ, and for a relay that does not stop talking. */
int serial_relay_read(struct link *l, const struct power_way *w, enum power_state *ret,
	const struct iotime *it, struct err *e);
