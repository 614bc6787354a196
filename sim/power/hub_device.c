/* SPDX-License-Identifier: Apache-2.0
 *
 * A USB 2.0 hub whose ports have power switches, on vhci. What hangs on its ports is another matter of the machine:
 * the hub says that a device is there wherever `hub-devices` says so and the port has power.
 *
 * Sources: USB 2.0, 11.12.4 (status change), 11.23 (descriptors), 11.24 (requests, port status).
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/device_rows.h"

#define PORTS_MAX    7
#define CONFIG_BYTES 25
#define EP_CHANGES   1

/* Tables 11-15 to 11-22. */
enum { GET_STATUS = 0, CLEAR_FEATURE = 1, SET_FEATURE = 3, GET_DESCRIPTOR = 6 };
enum { TO_HUB = 0, TO_PORT = 3 };
enum {
	FEATURE_ENABLE = 1,
	FEATURE_SUSPEND = 2,
	FEATURE_RESET = 4,
	FEATURE_POWER = 8,
	FEATURE_C_CONNECTION = 16
};
enum {
	STATUS_CONNECTION = 1 << 0,
	STATUS_ENABLE = 1 << 1,
	STATUS_SUSPEND = 1 << 2,
	STATUS_OVER_CURRENT = 1 << 3,
	STATUS_POWER = 1 << 8,
	STATUS_HIGH_SPEED = 1 << 10
};
enum { CHANGE_CONNECTION = 1 << 0, CHANGE_RESET = 1 << 4 };

static const struct own_setting setting_rows[] = {
	{"hub-ports", "4", "how many ports the hub has, 1 to 7"},
	{"hub-switching", "each", "each: a switch for each port; ganged: one for all; none"},
	{"hub-devices", "0x0f", "on which ports a device sits: bit 0 is port 1"},
	{0},
};

enum { FAULT_REFUSES, FAULT_STUCK, FAULT_SHORT_STATUS, FAULT_OVER_CURRENT };
static const struct own_fault fault_rows[] = {
	{"refuses", "stalls a request for the power of this port", 1},
	{"stuck", "takes it that this port is to be switched, and leaves it as it is", 1},
	{"short-status", "the status of a port is cut off after one byte", 0},
	{"over-current", "this port has an over-current, and switches off at once", 1},
	{0},
};

struct hub_port {
	uint16_t status, change;
	uint64_t ons, offs; /* that changed it */
};

struct hub_device {
	struct device device;
	struct own_faults *faults;
	unsigned ports;
	uint8_t switching; /* wHubCharacteristics, bits 1..0 */
	uint8_t devices;
	bool powered;
	struct hub_port port[PORTS_MAX];
	uint64_t on_us;	     /* when the last port was switched on; 0: none was */
	unsigned on_port;    /* which one */
	uint64_t min_gap_us; /* between two ports that were switched on; 0: not yet */
	uint8_t descriptor[18], config[CONFIG_BYTES];
	char serial[64];
};

static struct hub_device *of(struct device *d)
{
	return container_of(d, struct hub_device, device);
}

static const struct hub_device *of_const(const struct device *d)
{
	return (const struct hub_device *)((const char *)d - offsetof(struct hub_device, device));
}

/* -- what the ports do -- */

static bool has_device(const struct hub_device *h, unsigned i)
{
	return h->devices >> i & 1;
}

static void port_power_one(struct hub_device *h, unsigned i, bool on)
{
	struct hub_port *p = &h->port[i];

	if (!(p->status & STATUS_POWER) == !on)
		return;
	if (on)
		p->ons++;
	else
		p->offs++;
	/* 11.24.2.7.1: without power nothing else is set. */
	p->status = on ? STATUS_POWER : 0;
	if (!has_device(h, i))
		return;
	p->status |= on ? STATUS_CONNECTION | STATUS_HIGH_SPEED : 0;
	p->change |= CHANGE_CONNECTION;
}

/* How close two units were switched on. */
static void note_on(struct hub_device *h, unsigned i, uint64_t now_us)
{
	uint64_t gap = now_us - h->on_us;

	if (h->on_us && h->on_port != i && (!h->min_gap_us || gap < h->min_gap_us))
		h->min_gap_us = gap;
	h->on_us = now_us;
	h->on_port = i;
}

static int port_power(struct hub_device *h, unsigned i, bool on, uint64_t now_us)
{
	double port;

	if (own_fault_set(h->faults, FAULT_REFUSES, &port) && (unsigned)port == i + 1) {
		own_fault_hit(h->faults, FAULT_REFUSES, NULL);
		return GADGET_STALL;
	}
	if (own_fault_set(h->faults, FAULT_STUCK, &port) && (unsigned)port == i + 1) {
		own_fault_hit(h->faults, FAULT_STUCK, NULL);
		return 0;
	}
	if (on && own_fault_set(h->faults, FAULT_OVER_CURRENT, &port) && (unsigned)port == i + 1) {
		own_fault_hit(h->faults, FAULT_OVER_CURRENT, NULL);
		h->port[i].status = STATUS_OVER_CURRENT; /* it never came on */
		return 0;
	}
	/* 11.11: a hub without switches has power on all ports. What a ganged one says of a port is
	 * that port's alone; the power itself goes with the last one. */
	if (on && !(h->port[i].status & STATUS_POWER))
		note_on(h, i, now_us);
	if (h->switching != 2)
		port_power_one(h, i, on);
	return 0;
}

static int port_set(struct hub_device *h, unsigned i, uint16_t feature, uint64_t now_us)
{
	struct hub_port *p = &h->port[i];

	switch (feature) {
	case FEATURE_POWER:
		return port_power(h, i, true, now_us);
	case FEATURE_RESET:
		if (p->status & STATUS_CONNECTION)
			p->status |= STATUS_ENABLE;
		p->change |= CHANGE_RESET;
		return 0;
	case FEATURE_SUSPEND:
		p->status |= STATUS_SUSPEND;
		return 0;
	default:
		return GADGET_STALL;
	}
}

static int port_clear(struct hub_device *h, unsigned i, uint16_t feature, uint64_t now_us)
{
	struct hub_port *p = &h->port[i];

	if (feature == FEATURE_POWER)
		return port_power(h, i, false, now_us);
	if (feature == FEATURE_ENABLE || feature == FEATURE_SUSPEND)
		p->status &= (uint16_t) ~(1u << feature);
	else if (feature >= FEATURE_C_CONNECTION && feature < FEATURE_C_CONNECTION + 5)
		p->change &= (uint16_t) ~(1u << (feature - FEATURE_C_CONNECTION));
	else
		return GADGET_STALL;
	return 0;
}

/* -- USB -- */

static void describe(struct hub_device *h)
{
	struct wbytes d = wbytes_of(h->descriptor, sizeof h->descriptor);
	struct wbytes c = wbytes_of(h->config, sizeof h->config);

	/* A hub of one transaction translator (11.23.1). */
	wb_put(&d, (const uint8_t[]){18, 1, 0x00, 0x02, 9, 0, 1, 64, 0x09, 0x12, 0x09, 0x00}, 12);
	wb_put(&d, (const uint8_t[]){0x00, 0x01, 1, 2, 3, 1}, 6);
	wb_put(&c, (const uint8_t[]){9, 2, CONFIG_BYTES, 0, 1, 1, 0, 0xe0, 0}, 9);
	wb_put(&c, (const uint8_t[]){9, 4, 0, 0, 1, 9, 0, 0, 0}, 9);
	wb_put(&c, (const uint8_t[]){7, 5, 0x80 | EP_CHANGES, 3, 1, 0, 12}, 7);
}

static void identity(const struct device *d, struct gadget_identity *ret)
{
	const struct hub_device *h = of_const(d);

	*ret = (struct gadget_identity){.device = h->descriptor,
		.config = h->config,
		.config_len = CONFIG_BYTES,
		.string = {NULL, "provsim", "provsim hub", h->serial}};
}

/* 11.23.2.1. */
static int hub_descriptor(const struct hub_device *h, uint8_t *data, size_t size)
{
	uint8_t all[9];
	struct wbytes w = wbytes_of(all, sizeof all);
	size_t n = MIN(size, sizeof all);

	wb_put(&w, (const uint8_t[]){9, 0x29, (uint8_t)h->ports, h->switching, 0}, 5);
	wb_put(&w, (const uint8_t[]){10, 100, 0, 0xff}, 4);
	memcpy(data, all, n);
	return (int)n;
}

static int port_status(struct hub_device *h, unsigned i, uint8_t *data, size_t size)
{
	uint8_t all[4];
	struct wbytes w = wbytes_of(all, sizeof all);
	size_t n = MIN(size, sizeof all);

	wb_le16(&w, h->port[i].status);
	wb_le16(&w, h->port[i].change);
	if (own_fault_hit(h->faults, FAULT_SHORT_STATUS, NULL))
		n = MIN(n, (size_t)1);
	memcpy(data, all, n);
	return (int)n;
}

static int to_port(struct hub_device *h, uint8_t request, uint16_t value, unsigned port,
	uint8_t *data, size_t size, uint64_t now_us)
{
	if (port < 1 || port > h->ports)
		return GADGET_STALL;
	switch (request) {
	case GET_STATUS:
		return port_status(h, port - 1, data, size);
	case SET_FEATURE:
		return port_set(h, port - 1, value, now_us);
	case CLEAR_FEATURE:
		return port_clear(h, port - 1, value, now_us);
	default:
		return GADGET_STALL;
	}
}

static int to_hub(struct hub_device *h, uint8_t request, uint8_t *data, size_t size)
{
	switch (request) {
	case GET_DESCRIPTOR:
		return hub_descriptor(h, data, size);
	case GET_STATUS:
		memset(data, 0, MIN(size, (size_t)4));
		return (int)MIN(size, (size_t)4);
	case CLEAR_FEATURE:
	case SET_FEATURE:
		return 0;
	default:
		return GADGET_STALL;
	}
}

static int control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	struct rbytes s = rbytes_of(setup, 8);
	uint8_t recipient = rb_u8(&s) & 0x1f;
	uint8_t request = rb_u8(&s);
	uint16_t value = rb_le16(&s);
	uint16_t index = rb_le16(&s);

	if (recipient == TO_PORT)
		return to_port(of(d), request, value, index & 0xff, data, size, now_us);
	return recipient == TO_HUB ? to_hub(of(d), request, data, size) : GADGET_STALL;
}

/* 11.12.4: bit 0 is the hub, bit n port n. */
static ssize_t in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	const struct hub_device *h = of(d);
	uint8_t changed = 0;

	if (ep != EP_CHANGES || !size)
		return GADGET_STALL;
	for (unsigned i = 0; i < h->ports; i++)
		if (h->port[i].change)
			changed |= (uint8_t)(2u << i);
	if (!changed)
		return GADGET_NAK;
	buf[0] = changed;
	return 1;
}

static const struct gadget_ops gadget = {identity, control, NULL, in, NULL};

/* -- the device -- */

static void hub_free(struct device *d)
{
	free(of(d));
}

static int switching_of(const char *text)
{
	static const char *const names[] = {"ganged", "each", "none"};

	for (int i = 0; i < (int)ARRAY_LEN(names); i++)
		if (!strcmp(names[i], text))
			return i;
	return -1;
}

static int hub_new(const struct device_config *c, struct device **ret, struct err *e)
{
	uint64_t ports = settings_own_number(c->set, "hub-ports");
	int switching = switching_of(settings_own(c->set, "hub-switching"));
	struct hub_device *h;

	if (ports < 1 || ports > PORTS_MAX)
		return err_set(e, ERR_INVALID, "hub-ports: 1 to %d expected", PORTS_MAX);
	if (switching < 0)
		return err_set(e, ERR_INVALID, "hub-switching: each, ganged or none expected");
	h = xcalloc(1, sizeof *h);
	h->faults = c->faults;
	h->ports = (unsigned)ports;
	h->switching = (uint8_t)switching;
	h->devices = (uint8_t)settings_own_number(c->set, "hub-devices");
	snprintf(h->device.uid, sizeof h->device.uid, "%s", c->uid ? c->uid : "");
	snprintf(h->serial, sizeof h->serial, "HUB-%s", c->socket);
	describe(h);
	*ret = &h->device;
	return 0;
}

static void hub_power_on(struct device *d, uint64_t now_us)
{
	struct hub_device *h = of(d);

	memset(h->port, 0, sizeof h->port);
	/* Without switches there is always power. */
	for (unsigned i = 0; i < h->ports && h->switching == 2; i++)
		port_power_one(h, i, true);
	h->powered = true;
}

static void hub_power_off(struct device *d)
{
	of(d)->powered = false;
}

static uint64_t hub_due(const struct device *d)
{
	return NEVER; /* what changes answers a request */
}

static void hub_clear(struct device *d)
{
	of(d)->on_us = of(d)->min_gap_us = 0;
}

static const char *hub_state(const struct device *d)
{
	return of_const(d)->powered ? "on" : "off";
}

static void hub_json(struct device *d, bool whole, json_t *o)
{
	const struct hub_device *h = of(d);
	json_t *list = json_array();

	for (unsigned i = 0; i < h->ports; i++)
		json_array_append_new(list,
			json_pack("{s:b, s:I, s:I}", "power",
				(h->port[i].status & STATUS_POWER) != 0, "ons",
				(json_int_t)h->port[i].ons, "offs", (json_int_t)h->port[i].offs));
	json_object_set_new(o, "ports", list);
	json_object_set_new(o, "min_gap_us", json_integer((json_int_t)h->min_gap_us));
}

const struct device_ops hub_device = {
	.name = "hub",
	.help = "a USB hub whose ports are switched, on vhci alone",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = hub_new,
	.free = hub_free,
	.power_on = hub_power_on,
	.power_off = hub_power_off,
	.gadget = &gadget,
	.due = hub_due,
	.state = hub_state,
	.json = hub_json,
	.clear_faults = hub_clear,
};
