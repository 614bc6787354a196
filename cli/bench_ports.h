/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the ports of a bench come from: addresses of the command line. No udev here: a device that
 * restarts is looked for in sysfs (USB) or by opening it again.
 */
#pragma once

#include "daemon/recipe/role_ports.h"

#define BENCH_PORTS_MAX 16

/* The source, for one run. */
struct bench_ports {
	const struct recipe *recipe;
	const json_t *addresses; /* role -> address */
	/* "usb:1-1.4" once a USB device was seen: ids may change, the port not. */
	char *port[BENCH_PORTS_MAX];
};

/* The source is the struct bench_ports, a role the port of that number in its recipe. */
extern const struct role_source_ops bench_ports_source;

/* After role_ports_done(). */
void bench_ports_done(struct bench_ports *b);
