/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/power/hub.h"

#include "base/bytes.h"
#include "base/util.h"
#include "transports/links/usb.h"

/* bmRequestType: class, to the hub or to a port of it ("other"). Requests: USB 2.0, table 11-16; features: 11-17. */
enum { FROM_HUB = 0xa0, FROM_PORT = 0xa3, TO_PORT = 0x23 };
enum { GET_STATUS = 0, CLEAR_FEATURE = 1, SET_FEATURE = 3, GET_DESCRIPTOR = 6 };
#define PORT_POWER	 8
#define DESCRIPTOR_HUB	 0x29
#define DESCRIPTOR_SUPER 0x2a /* USB 3.2, 10.15.2.1 */
#define DESCRIPTOR_BYTES 7    /* up to what differs between the two */
#define STATUS_BYTES	 4

/* wPortStatus: USB 2.0, table 11-21; USB 3.2, table 10-13. */
enum {
	STATUS_CONNECTION = 1 << 0,
	STATUS_OVER_CURRENT = 1 << 3,
	STATUS_POWER = 1 << 8,
	STATUS_POWER_SUPER = 1 << 9
};

static int usb_call(void *data, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	void *buf, uint16_t n, uint16_t *ret_n, const struct iotime *it, struct err *e)
{
	return usb_control(data, type, request, value, index, buf, n, ret_n, it, e);
}

struct power_usb power_usb_of(struct usb *u)
{
	return (struct power_usb){usb_call, u};
}

int hub_read(const struct power_usb *u, bool super, struct hub_facts *ret, const struct iotime *it,
	struct err *e)
{
	uint8_t kind = super ? DESCRIPTOR_SUPER : DESCRIPTOR_HUB;
	uint8_t all[64];
	uint16_t n = 0;
	int r = u->control(u->data, FROM_HUB, GET_DESCRIPTOR, (uint16_t)(kind << 8), 0, all,
		sizeof all, &n, it, e);
	struct rbytes b = rbytes_of(all, n);
	uint16_t characteristics;
	uint8_t length;

	if (r < 0)
		return err_prefix(e, "descriptor of the hub");
	length = rb_u8(&b);
	if (n < DESCRIPTOR_BYTES || length < DESCRIPTOR_BYTES || rb_u8(&b) != kind)
		return err_set(e, ERR_PROTOCOL,
			"the hub's descriptor has %u bytes and is of type %02x: %d or more of type %02x expected",
			n, n > 1 ? all[1] : 0, DESCRIPTOR_BYTES, kind);
	*ret = (struct hub_facts){.super = super};
	ret->ports = rb_u8(&b);
	characteristics = rb_le16(&b);
	ret->good_ms = 2u * rb_u8(&b);
	ret->switching = (characteristics & 3) == 0   ? HUB_GANGED
			 : (characteristics & 3) == 1 ? HUB_EACH
						      : HUB_NONE;
	return 0;
}

int hub_check(const struct hub_facts *h, const char *name, struct err *e)
{
	if (h->switching == HUB_NONE)
		return err_set(e, ERR_POWER_NOT_SWITCHABLE,
			"hub %s says that its ports have power always: it has no switches", name);
	/* The one port of such a hub is a gang by itself. */
	if (h->switching == HUB_GANGED && h->ports != 1)
		return err_set(e, ERR_POWER_GANGED,
			"hub %s switches its %u ports together: the power of one alone cannot be taken away",
			name, h->ports);
	return 0;
}

static int check_port(const struct hub_facts *h, unsigned port, struct err *e)
{
	return port >= 1 && port <= h->ports
		       ? 0
		       : err_set(e, ERR_POWER_NOT_SWITCHABLE,
				 "the hub has ports 1 to %u, and no port %u", h->ports, port);
}

int hub_port_read(const struct power_usb *u, const struct hub_facts *h, unsigned port,
	struct hub_port_state *ret, const struct iotime *it, struct err *e)
{
	uint8_t all[STATUS_BYTES];
	uint16_t n = 0;
	int r = check_port(h, port, e);
	struct rbytes b;
	uint16_t status;

	if (r == 0)
		r = u->control(u->data, FROM_PORT, GET_STATUS, 0, (uint16_t)port, all, sizeof all,
			&n, it, e);
	if (r < 0)
		return err_prefix(e, "status of port %u", port);
	if (n != STATUS_BYTES)
		return err_set(e, ERR_PROTOCOL, "status of port %u: %u bytes came, %d expected",
			port, n, STATUS_BYTES);
	b = rbytes_of(all, n);
	status = rb_le16(&b);
	*ret = (struct hub_port_state){
		.power = (status & (h->super ? STATUS_POWER_SUPER : STATUS_POWER)) != 0,
		.connected = (status & STATUS_CONNECTION) != 0,
		.over_current = (status & STATUS_OVER_CURRENT) != 0};
	return 0;
}

int hub_port_switch(const struct power_usb *u, const struct hub_facts *h, unsigned port, bool on,
	const struct iotime *it, struct err *e)
{
	int r = check_port(h, port, e);

	if (r == 0)
		r = u->control(u->data, TO_PORT, on ? SET_FEATURE : CLEAR_FEATURE, PORT_POWER,
			(uint16_t)port, NULL, 0, NULL, it, e);
	return r < 0 ? err_prefix(e, "power of port %u", port) : 0;
}
