/* SPDX-License-Identifier: Apache-2.0
 *
 * The ports of a station during one run: what is open on them, who is behind them, and the proof
 * that the same unit came back after it left. On the worker's thread.
 */
#pragma once

#include "daemon/line/station_impl.h"
#include "transports/links/usb.h"

struct worker_port {
	struct link *link; /* at most one of the two is open */
	struct usb *usb;
	struct link_turn turn; /* while the link is closed: what its peer may still answer */
	bool dead;	       /* a fixed link broke: only a claimed return may reopen it */
	bool other_serial;     /* it may come back under another USB serial number */
	uint64_t claim_generation;
	uint64_t claim_us;
	struct device_facts before;
};

struct worker_ports {
	struct station *s;
	const struct recipe *recipe;
	struct worker_port port[STATION_PORTS_MAX];
};

void worker_ports_close(struct worker_ports *w);
/* The facts of port i of the configuration: -ERR_DEVICE_GONE where nothing is plugged. */
int worker_port_facts(const struct worker_ports *w, int i, struct device_facts *ret, struct err *e);

/* As the ops of struct step_env_ops. */
int worker_port_link(struct worker_ports *w, const char *role, const struct iotime *it,
	struct link **ret, struct err *e);
int worker_port_usb(struct worker_ports *w, const char *role, const struct iotime *it,
	struct usb **ret, struct err *e);
void worker_port_close(struct worker_ports *w, const char *role);
int worker_port_facts_of(
	struct worker_ports *w, const char *role, struct device_facts *ret, struct err *e);
int worker_port_expect_replug(struct worker_ports *w, const char *role, struct err *e);
int worker_port_expect_other_serial(struct worker_ports *w, const char *role, struct err *e);
int worker_port_wait(struct worker_ports *w, const char *role, const struct iotime *it,
	struct device_facts *ret, struct err *e);
