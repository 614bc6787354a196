/* SPDX-License-Identifier: Apache-2.0
 *
 * The requests of a USB hub that switch the power of its ports: USB 2.0, 11.23 and 11.24; USB 3.2, 10.15 and 10.16.
 * All of them within the iotime, on the worker's thread; errors of all: those of the transfer, and -ERR_PROTOCOL for
 * an answer that is too short or no descriptor of a hub.
 */
#pragma once

#include <stdbool.h>

#include "transports/protocols/power/power_usb.h"

/* wHubCharacteristics, bits 1..0 (USB 2.0, table 11-13). */
enum hub_switching {
	HUB_GANGED, /* the power goes with the last port */
	HUB_EACH,   /* each port has its switch */
	HUB_NONE    /* there is always power */
};

struct hub_facts {
	unsigned ports;
	enum hub_switching switching;
	bool super; /* of USB 3: another descriptor, and the bit of the power is another one */
	unsigned good_ms; /* from a port's being switched on to good power */
};

struct hub_port_state {
	bool power, connected, over_current;
};

/* The hub's descriptor. super: as the device's speed says. */
int hub_read(const struct power_usb *u, bool super, struct hub_facts *ret, const struct iotime *it,
	struct err *e);
/* Of a port from 1; -ERR_POWER_NOT_SWITCHABLE where the hub has no such port. */
int hub_port_read(const struct power_usb *u, const struct hub_facts *h, unsigned port,
	struct hub_port_state *ret, const struct iotime *it, struct err *e);
/* Sets or clears PORT_POWER of one port; what came of it hub_port_read() says. */
int hub_port_switch(const struct power_usb *u, const struct hub_facts *h, unsigned port, bool on,
	const struct iotime *it, struct err *e);
/* -ERR_POWER_NOT_SWITCHABLE, -ERR_POWER_GANGED: why no port of it can be switched by itself; name: of the hub. */
int hub_check(const struct hub_facts *h, const char *name, struct err *e);
