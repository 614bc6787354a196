/* SPDX-License-Identifier: Apache-2.0
 *
 * An STM32F103 on a USB debug probe: CMSIS-DAP version 2, one vendor interface with two bulk
 * endpoints, a command in one transfer out, its answer in one transfer in. The probe belongs to
 * the socket and keeps its serial number; what is swapped is the unit in front of it.
 *
 * Sources: "CMSIS-DAP" of Arm, "USB Peripheral" (interface, order of the endpoints, strings);
 * USB 2.0 9.6.
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/probe/cmsisdap.h"
#include "sim/device_rows.h"

#define EP_OUT	     0x01
#define EP_IN	     0x81
#define CONFIG_BYTES 32
#define PACKETS_MAX  16

static const struct own_setting setting_rows[] = {
	{"dap-packets", "4", "commands that it takes before their answers are fetched"},
	{0},
};

struct answer {
	size_t n;
	uint8_t bytes[CMSISDAP_PACKET];
};

struct cmsisdap_device {
	struct device device;
	const struct board_settings *set;
	struct own_faults *faults;
	struct f103 chip;
	struct cmsisdap probe;
	bool powered;
	char serial[64];
	uint8_t descriptor[18], config[CONFIG_BYTES];
	struct answer answer[PACKETS_MAX]; /* a ring */
	unsigned first, waiting;
};

static struct cmsisdap_device *of(struct device *d)
{
	return container_of(d, struct cmsisdap_device, device);
}

static const struct cmsisdap_device *of_const(const struct device *d)
{
	return (const struct cmsisdap_device *)((const char *)d -
						offsetof(struct cmsisdap_device, device));
}

/* -- USB -- */

static void describe(struct cmsisdap_device *p)
{
	struct wbytes d = wbytes_of(p->descriptor, sizeof p->descriptor);
	struct wbytes c = wbytes_of(p->config, sizeof p->config);

	/* Tables 9-8, 9-10, 9-12, 9-13. */
	wb_put(&d, (const uint8_t[]){18, 1, 0x00, 0x02, 0, 0, 0, 64}, 8);
	wb_le16(&d, (uint16_t)strtoul(p->set->usb_id, NULL, 16));
	wb_le16(&d, (uint16_t)strtoul(p->set->usb_id + 5, NULL, 16));
	wb_put(&d, (const uint8_t[]){0x00, 0x01, 1, 2, 3, 1}, 6);

	wb_put(&c, (const uint8_t[]){9, 2, CONFIG_BYTES, 0, 1, 1, 0, 0x80, 250}, 9);
	wb_put(&c, (const uint8_t[]){9, 4, 0, 0, 2, 0xff, 0, 0, 4}, 9);
	for (int i = 0; i < 2; i++) {
		wb_put(&c, (const uint8_t[]){7, 5, i ? EP_IN : EP_OUT, 2}, 4);
		wb_le16(&c, CMSISDAP_PACKET);
		wb_u8(&c, 0);
	}
}

static void identity(const struct device *d, struct gadget_identity *ret)
{
	const struct cmsisdap_device *p = of_const(d);

	*ret = (struct gadget_identity){.device = p->descriptor,
		.config = p->config,
		.config_len = CONFIG_BYTES,
		.string = {NULL, p->probe.vendor, p->probe.product, p->serial, "CMSIS-DAP v2"}};
}

static int control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	return GADGET_STALL; /* it has no request of its own */
}

static void maybe_vanish(struct cmsisdap_device *p, uint64_t accesses_before)
{
	double at;

	if (p->probe.dap.accesses > accesses_before &&
		own_fault_set(p->faults, F103_FAULT_VANISH, &at) &&
		(double)p->probe.dap.accesses >= at) {
		own_fault_hit(p->faults, F103_FAULT_VANISH, NULL);
		p->device.wish = WISH_UNPLUG;
	}
}

static int out(struct device *d, uint8_t ep, const uint8_t *bytes, size_t n, uint64_t now_us)
{
	struct cmsisdap_device *p = of(d);
	struct answer *a = &p->answer[(p->first + p->waiting) % PACKETS_MAX];

	if (ep != EP_OUT || n > CMSISDAP_PACKET)
		return GADGET_STALL;
	if (p->waiting >= p->probe.packets)
		return GADGET_NAK;

	uint64_t before = p->probe.dap.accesses;

	a->n = cmsisdap_command(&p->probe, bytes, n, a->bytes);
	if (a->n)
		p->waiting++;
	maybe_vanish(p, before);
	return 0;
}

static ssize_t in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	struct cmsisdap_device *p = of(d);
	const struct answer *a = &p->answer[p->first];
	size_t n = MIN(size, a->n);

	if (ep != (EP_IN & 0x0f))
		return GADGET_STALL;
	if (!p->waiting)
		return GADGET_NAK;
	memcpy(buf, a->bytes, n);
	p->first = (p->first + 1) % PACKETS_MAX;
	p->waiting--;
	return (ssize_t)n;
}

static void forget_answers(struct device *d, uint64_t now_us)
{
	of(d)->first = of(d)->waiting = 0;
}

static const struct gadget_ops gadget = {identity, control, out, in, forget_answers};

/* -- the device -- */

static void cmsisdap_free(struct device *d)
{
	f103_done(&of(d)->chip);
	free(of(d));
}

static int cmsisdap_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct cmsisdap_device *p = xcalloc(1, sizeof *p);
	uint64_t packets = settings_own_number(c->set, "dap-packets");
	int r = f103_init(&p->chip, c, e);

	p->set = c->set;
	p->faults = c->faults;
	p->probe.vendor = "provsim";
	p->probe.product = "provsim CMSIS-DAP";
	p->probe.serial = p->serial;
	p->probe.packets = (uint8_t)MIN(packets, (uint64_t)PACKETS_MAX);
	snprintf(p->device.uid, sizeof p->device.uid, "%s", c->uid ? c->uid : "");
	if (c->set->usb_serial[0])
		snprintf(p->serial, sizeof p->serial, "%s", c->set->usb_serial);
	else
		snprintf(p->serial, sizeof p->serial, "PROBE-%s", c->socket);
	if (r == 0 && p->probe.packets == 0)
		r = err_set(e, ERR_INVALID, "dap-packets: 1 to %d expected", PACKETS_MAX);
	if (r < 0) {
		cmsisdap_free(&p->device);
		return r;
	}
	describe(p);
	*ret = &p->device;
	return 0;
}

static void cmsisdap_power_on(struct device *d, uint64_t now_us)
{
	struct cmsisdap_device *p = of(d);

	f103_power_on(&p->chip);
	cmsisdap_power(&p->probe, &p->chip);
	forget_answers(d, now_us);
	p->powered = true;
}

static void cmsisdap_power_off(struct device *d)
{
	of(d)->powered = false;
}

static uint64_t cmsisdap_due(const struct device *d)
{
	return NEVER; /* whatever it says answers a command */
}

static const char *cmsisdap_state(const struct device *d)
{
	const struct cmsisdap_device *p = of_const(d);

	if (!p->powered)
		return "off";
	return p->chip.halted ? "halted" : "running";
}

static void cmsisdap_json(struct device *d, bool whole, json_t *o)
{
	static const char *const ports[] = {"off", "swd", "jtag"};
	const struct cmsisdap_device *p = of(d);

	json_object_set_new(o, "serial", json_string(p->serial));
	json_object_set_new(o, "port", json_string(ports[p->probe.port]));
	json_object_set_new(o, "sessions", json_integer((json_int_t)p->probe.sessions));
	f103_json(&p->chip, whole, o);
}

const struct device_ops cmsisdap_device = {
	.name = "cmsis-dap",
	.help = "an STM32F103 on a CMSIS-DAP v2 probe, SWD and JTAG, on vhci alone",
	.faults = f103_faults,
	.settings = setting_rows,
	.new = cmsisdap_new,
	.free = cmsisdap_free,
	.power_on = cmsisdap_power_on,
	.power_off = cmsisdap_power_off,
	.gadget = &gadget,
	.due = cmsisdap_due,
	.state = cmsisdap_state,
	.json = cmsisdap_json,
};
