/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket that a board is plugged into, as the host sees it: a pty whose slave the host opens, a
 * TCP port for one connection at a time, a UDP port, or a USB device of this machine's own kernel
 * (vhci.h).
 * What the board says while no host listens is lost, as on a real wire. One thread, with the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/util.h"
#include "sim/loop.h"

enum port_kind { PORT_PTY, PORT_TCP, PORT_UDP, PORT_VHCI };

/* How the host has set up its end of a serial line. */
struct line_state {
	uint32_t baud;
	char parity; /* 'n', 'o' or 'e' */
	bool dtr, rts;
};

struct device;
struct port_hub; /* what all ports of one loop share */
int port_hub_new(struct loop *l, struct port_hub **ret, struct err *e);
struct port_hub *port_hub_free(struct port_hub *h);

struct port_ops {
	/* How many bytes the board takes now; 0 leaves them with the kernel. */
	size_t (*room)(void *data);
	void (*input)(void *data, const void *p, size_t n);
	/* What could not be written before may go now. */
	void (*writable)(void *data);
	/* UDP: one datagram of the host. */
	void (*datagram)(void *data, const void *p, size_t n);
	/* A host opened or closed the link (pty, TCP). May be NULL. */
	void (*opened)(void *data, bool open);
	/* The host set up its end of the line (vhci). May be NULL. */
	void (*line)(void *data, const struct line_state *l);
	/* Something passed between the host and a gadget. */
	void (*touched)(void *data);
};

struct port;

/* Where and as what it is plugged. */
struct port_place {
	enum port_kind kind;
	uint16_t tcp_port;	/* tcp, udp: 0 for any */
	unsigned socket;	/* vhci: from 1 */
	const char *usb_id;	/* vhci: "vvvv:pppp" */
	const char *usb_serial; /* vhci: "": none */
	const char *model;	/* vhci */
	struct device *gadget;	/* vhci: a device that is one itself; NULL: a stream device */
	FILE *trace;		/* vhci: what the host asks of a gadget, a line each; NULL: none */
};

/* vhci: -ERR_BUSY while the kernel still clears away what was plugged there. */
int port_open(struct port_hub *h, const struct port_place *at, const struct port_ops *ops,
	void *data, struct port **ret, struct err *e);
/* The host sees a hangup. */
struct port *port_close(struct port *p);

/* "/dev/pts/3", "tcp:127.0.0.1:4001", "udp:127.0.0.1:4001" or "vhci:3". */
const char *port_address(const struct port *p);
uint16_t port_tcp_port(const struct port *p);
/* Whether a host has the link open (pty, TCP); false where that cannot be known. */
bool port_is_open(const struct port *p);
/* Whether bytes wait for the host to read: give no more until writable(). */
bool port_blocked(const struct port *p);
void port_write(struct port *p, const void *bytes, size_t n);
/* UDP: one datagram to the host that spoke last; lost where there was none. */
void port_send(struct port *p, const void *bytes, size_t n);
/* TCP: closes the connection of the host. */
void port_hangup(struct port *p);
/* A gadget may have something for the host. */
void port_poll(struct port *p);
/* The board has room again, or not any more. */
void port_want_input(struct port *p, bool want);
