/* SPDX-License-Identifier: Apache-2.0
 *
 * The eight GPIO lines of a CP2112 (10c4:ea90), on vhci: the kernel's driver makes a GPIO chip of it, which is how a
 * machine without one gets lines for a test. Its SMBus does nothing.
 *
 * Sources: Silicon Labs AN495, "CP2112 Interface Specification", 4 (feature reports 0x02 to 0x06).
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/device_rows.h"

#define CONFIG_BYTES 34
enum { GET_REPORT = 0x01, GET_DESCRIPTOR = 0x06, SET_REPORT = 0x09, SET_IDLE = 0x0a };
enum { GPIO_CONFIG = 0x02, GPIO_GET = 0x03, GPIO_SET = 0x04, VERSION = 0x05, SMBUS_CONFIG = 0x06 };

/* HID 1.11, 6.2.2: feature reports of a vendor's page. */
static const uint8_t report_descriptor[] = {0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x85,
	GPIO_CONFIG, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x04, 0x09, 0x01, 0xb1, 0x02,
	0x85, GPIO_GET, 0x95, 0x01, 0x09, 0x01, 0xb1, 0x02, 0x85, GPIO_SET, 0x95, 0x02, 0x09, 0x01,
	0xb1, 0x02, 0x85, VERSION, 0x95, 0x02, 0x09, 0x01, 0xb1, 0x02, 0x85, SMBUS_CONFIG, 0x95,
	0x0d, 0x09, 0x01, 0xb1, 0x02, 0xc0};

enum { FAULT_STICKS };
static const struct own_fault fault_rows[] = {
	{"sticks", "this line keeps its level whatever is set", 0},
	{0},
};

struct cp2112 {
	struct device device;
	struct own_faults *faults;
	uint8_t outputs, push_pull, levels;
	uint8_t smbus[13];
	bool powered;
	uint64_t sets;
	char serial[32];
	uint8_t descriptor[18], config[CONFIG_BYTES];
};

static struct cp2112 *of(struct device *d)
{
	return container_of(d, struct cp2112, device);
}

static const struct cp2112 *of_const(const struct device *d)
{
	return (const struct cp2112 *)((const char *)d - offsetof(struct cp2112, device));
}

static void describe(struct cp2112 *p)
{
	struct wbytes d = wbytes_of(p->descriptor, sizeof p->descriptor);
	struct wbytes c = wbytes_of(p->config, sizeof p->config);

	wb_put(&d, (const uint8_t[]){18, 1, 0x00, 0x02, 0, 0, 0, 64, 0xc4, 0x10, 0x90, 0xea}, 12);
	wb_put(&d, (const uint8_t[]){0x00, 0x01, 1, 2, 3, 1}, 6);
	wb_put(&c, (const uint8_t[]){9, 2, CONFIG_BYTES, 0, 1, 1, 0, 0x80, 50}, 9);
	wb_put(&c, (const uint8_t[]){9, 4, 0, 0, 1, 3, 0, 0, 0}, 9);
	wb_put(&c, (const uint8_t[]){9, 0x21, 0x01, 0x01, 0, 1, 0x22, sizeof report_descriptor, 0},
		9);
	wb_put(&c, (const uint8_t[]){7, 5, 0x81, 3, 64, 0, 4}, 7);
}

static void identity(const struct device *d, struct gadget_identity *ret)
{
	const struct cp2112 *p = of_const(d);

	*ret = (struct gadget_identity){.device = p->descriptor,
		.config = p->config,
		.config_len = CONFIG_BYTES,
		.string = {
			NULL, "Silicon Laboratories", "CP2112 HID USB-to-SMBus Bridge", p->serial}};
}

static int get_report(const struct cp2112 *p, uint8_t id, uint8_t *data, size_t size)
{
	uint8_t all[14] = {id};
	struct wbytes w = wbytes_of(all, sizeof all);

	wb_u8(&w, id);
	if (id == GPIO_CONFIG)
		wb_put(&w, (const uint8_t[]){p->outputs, p->push_pull, 0, 0}, 4);
	else if (id == GPIO_GET)
		wb_u8(&w, p->levels);
	else if (id == VERSION)
		wb_put(&w, (const uint8_t[]){0x0c, 0x02}, 2);
	else if (id == SMBUS_CONFIG)
		wb_put(&w, p->smbus, sizeof p->smbus);
	else
		return GADGET_STALL;

	size_t n = MIN(w.len, size);

	memcpy(data, all, n);
	return (int)n;
}

static int set_report(struct cp2112 *p, const uint8_t *data, size_t n)
{
	double stuck;
	uint8_t mask;

	if (n >= 3 && data[0] == GPIO_CONFIG) {
		p->outputs = data[1];
		p->push_pull = data[2];
	} else if (n >= 3 && data[0] == GPIO_SET) {
		mask = data[2] & p->outputs;
		if (own_fault_set(p->faults, FAULT_STICKS, &stuck) &&
			mask & 1u << (unsigned)stuck) {
			own_fault_hit(p->faults, FAULT_STICKS, NULL);
			mask &= (uint8_t) ~(1u << (unsigned)stuck);
		}
		p->levels = (uint8_t)((p->levels & ~mask) | (data[1] & mask));
		p->sets++;
	} else if (n == 14 && data[0] == SMBUS_CONFIG) {
		memcpy(p->smbus, data + 1, sizeof p->smbus);
	} else {
		return GADGET_STALL;
	}
	return 0;
}

static int control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	struct rbytes s = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&s) & 0x60;
	uint8_t request = rb_u8(&s);
	uint16_t value = rb_le16(&s);
	size_t k = MIN(size, sizeof report_descriptor);

	if (!type && request == GET_DESCRIPTOR && value >> 8 == 0x22) {
		memcpy(data, report_descriptor, k);
		return (int)k;
	}
	if (type != 0x20)
		return GADGET_STALL;
	if (request == GET_REPORT)
		return get_report(of(d), value & 0xff, data, size);
	if (request == SET_REPORT)
		return set_report(of(d), data, n);
	return request == SET_IDLE ? 0 : GADGET_STALL;
}

static ssize_t in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	return GADGET_NAK; /* no transfer is ever under way */
}

static const struct gadget_ops gadget = {identity, control, NULL, in, NULL};

static void cp2112_free(struct device *d)
{
	free(of(d));
}

static int cp2112_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct cp2112 *p = xcalloc(1, sizeof *p);

	p->faults = c->faults;
	snprintf(p->serial, sizeof p->serial, "GPIO-%.8s", c->socket);
	snprintf(p->device.uid, sizeof p->device.uid, "%s", c->uid ? c->uid : "");
	describe(p);
	*ret = &p->device;
	return 0;
}

static void cp2112_power_on(struct device *d, uint64_t now_us)
{
	struct cp2112 *p = of(d);

	p->outputs = p->levels = 0;
	p->powered = true;
}

static void cp2112_power_off(struct device *d)
{
	of(d)->powered = false;
}

static uint64_t cp2112_due(const struct device *d)
{
	return NEVER;
}

static const char *cp2112_state(const struct device *d)
{
	return of_const(d)->powered ? "on" : "off";
}

static void cp2112_json(struct device *d, bool whole, json_t *o)
{
	const struct cp2112 *p = of_const(d);

	json_object_set_new(o, "outputs", json_integer(p->outputs));
	json_object_set_new(o, "levels", json_integer(p->levels));
	json_object_set_new(o, "sets", json_integer((json_int_t)p->sets));
}

const struct device_ops cp2112_device = {
	.name = "cp2112",
	.help = "eight GPIO lines on USB (10c4:ea90), on vhci alone",
	.faults = fault_rows,
	.new = cp2112_new,
	.free = cp2112_free,
	.power_on = cp2112_power_on,
	.power_off = cp2112_power_off,
	.gadget = &gadget,
	.due = cp2112_due,
	.state = cp2112_state,
	.json = cp2112_json,
};
