/* SPDX-License-Identifier: Apache-2.0
 *
 * The ports of a bench: addresses of the command line, opened on first use. No udev here: a device
 * that restarts is looked for in sysfs (USB) or by opening it again.
 */
#pragma once

#include "daemon/recipe/recipe.h"
#include "daemon/recipe/action.h"

#define BENCH_PORTS_MAX 16

struct bench_port {
	struct link *link; /* at most one of the two is open */
	struct usb *usb;
	struct link_turn turn; /* while the link is closed: what its peer may still answer */
	bool dead;
	char *port;	  /* "usb:1-1.4" once a USB device was seen: ids may change, the port not */
	bool claimed;	  /* it may leave and come back */
	char before[64];  /* its node at that time */
	char serial[128]; /* its USB serial number at that time */
	bool other_serial; /* it may come back under another */
};

struct bench_ports {
	const struct recipe *recipe;
	const json_t *addresses; /* role -> address */
	struct bench_port port[BENCH_PORTS_MAX];
};

void bench_ports_done(struct bench_ports *b);
/* As the ops of struct step_env_ops. */
int bench_port_link(struct bench_ports *b, const char *role, const struct iotime *it,
	struct link **ret, struct err *e);
int bench_port_usb(struct bench_ports *b, const char *role, const struct iotime *it,
	struct usb **ret, struct err *e);
void bench_port_close(struct bench_ports *b, const char *role);
int bench_port_facts(
	struct bench_ports *b, const char *role, struct device_facts *ret, struct err *e);
int bench_port_expect_replug(struct bench_ports *b, const char *role, struct err *e);
int bench_port_expect_other_serial(struct bench_ports *b, const char *role, struct err *e);
int bench_port_wait(struct bench_ports *b, const char *role, const struct iotime *it,
	struct device_facts *ret, struct err *e);
