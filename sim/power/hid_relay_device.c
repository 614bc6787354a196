/* SPDX-License-Identifier: Apache-2.0
 *
 * The common USB HID relay ("USBRelayN", 16c0:05df), on vhci: eight bytes of a feature report say who it is and how
 * its channels are, and eight bytes that are set switch them.
 *
 * Sources: HID 1.11, 7.2 (Get_Report, Set_Report) and appendix E (descriptors); the report as the reference client,
 * usbrelay of Debian, reads and writes it.
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/device_rows.h"

#define CHANNELS_MAX	  8
#define CONFIG_BYTES	  34
#define REPORT_BYTES	  8
#define SERIAL_BYTES	  5
#define STATE_AT	  7
#define RELAY_USB_ID	  "16c0:05df"
#define DESCRIPTOR_HID	  0x21
#define DESCRIPTOR_REPORT 0x22

enum { GET_REPORT = 0x01, GET_DESCRIPTOR = 0x06, SET_REPORT = 0x09, SET_IDLE = 0x0a };
enum { ALL_OFF = 0xfc, ONE_OFF = 0xfd, ALL_ON = 0xfe, ONE_ON = 0xff };

/* A vendor's page: one feature report of eight bytes without a number (HID 1.11, 6.2.2). */
static const uint8_t report_descriptor[] = {0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00,
	0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x08, 0x09, 0x00, 0xb2, 0x02, 0x01, 0xc0};

static const struct own_setting setting_rows[] = {
	{"relay-channels", "2", "how many channels the relay has, 1 to 8"},
	{"relay-serial", "", "five characters; by default made of the socket"},
	{0},
};

enum { FAULT_STICKS, FAULT_SHORT_REPORT, FAULT_REFUSES };
static const struct own_fault fault_rows[] = {
	{"sticks", "takes what is set, and leaves the contact of this channel as it is", 1},
	{"short-report", "the report is cut off after three bytes", 0},
	{"refuses", "stalls what is set", 0},
	{0},
};

struct hid_relay {
	struct device device;
	struct own_faults *faults;
	unsigned channels;
	uint8_t state;
	uint64_t switched[CHANNELS_MAX];
	bool powered;
	char serial[SERIAL_BYTES + 1], product[16];
	uint8_t descriptor[18], config[CONFIG_BYTES];
};

static struct hid_relay *of(struct device *d)
{
	return container_of(d, struct hid_relay, device);
}

static const struct hid_relay *of_const(const struct device *d)
{
	return (const struct hid_relay *)((const char *)d - offsetof(struct hid_relay, device));
}

static void describe(struct hid_relay *r)
{
	struct wbytes d = wbytes_of(r->descriptor, sizeof r->descriptor);
	struct wbytes c = wbytes_of(r->config, sizeof r->config);

	wb_put(&d, (const uint8_t[]){18, 1, 0x10, 0x01, 0, 0, 0, 64, 0xc0, 0x16, 0xdf, 0x05}, 12);
	wb_put(&d, (const uint8_t[]){0x00, 0x01, 1, 2, 0, 1}, 6);
	wb_put(&c, (const uint8_t[]){9, 2, CONFIG_BYTES, 0, 1, 1, 0, 0x80, 50}, 9);
	wb_put(&c, (const uint8_t[]){9, 4, 0, 0, 1, 3, 0, 0, 0}, 9);
	wb_put(&c,
		(const uint8_t[]){9, DESCRIPTOR_HID, 0x10, 0x01, 0, 1, DESCRIPTOR_REPORT,
			sizeof report_descriptor, 0},
		9);
	wb_put(&c, (const uint8_t[]){7, 5, 0x81, 3, 8, 0, 10}, 7);
}

static void identity(const struct device *d, struct gadget_identity *ret)
{
	const struct hid_relay *r = of_const(d);

	*ret = (struct gadget_identity){.device = r->descriptor,
		.config = r->config,
		.config_len = CONFIG_BYTES,
		.string = {NULL, "www.dcttech.com", r->product}};
}

static int get_report(struct hid_relay *r, uint8_t *data, size_t size)
{
	uint8_t all[REPORT_BYTES] = {0};
	size_t n = MIN(size, sizeof all);

	memcpy(all, r->serial, SERIAL_BYTES);
	all[STATE_AT] = r->state;
	if (own_fault_hit(r->faults, FAULT_SHORT_REPORT, NULL))
		n = MIN(n, (size_t)3);
	memcpy(data, all, n);
	return (int)n;
}

static void switch_one(struct hid_relay *r, unsigned channel, bool on)
{
	uint8_t bit = (uint8_t)(1u << (channel - 1));
	double stuck;

	if (own_fault_set(r->faults, FAULT_STICKS, &stuck) && (unsigned)stuck == channel) {
		own_fault_hit(r->faults, FAULT_STICKS, NULL);
		return;
	}
	r->switched[channel - 1] += !(r->state & bit) == on;
	r->state = (uint8_t)(on ? r->state | bit : r->state & ~bit);
}

static int set_report(struct hid_relay *r, const uint8_t *p, size_t n)
{
	if (n < 2 || own_fault_hit(r->faults, FAULT_REFUSES, NULL))
		return GADGET_STALL;
	switch (p[0]) {
	case ONE_ON:
	case ONE_OFF:
		if (p[1] < 1 || p[1] > r->channels)
			return GADGET_STALL;
		switch_one(r, p[1], p[0] == ONE_ON);
		return 0;
	case ALL_ON:
	case ALL_OFF:
		for (unsigned i = 1; i <= r->channels; i++)
			switch_one(r, i, p[0] == ALL_ON);
		return 0;
	default:
		return GADGET_STALL;
	}
}

static int control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	struct rbytes s = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&s) & 0x60;
	uint8_t request = rb_u8(&s);
	uint16_t value = rb_le16(&s);
	size_t k = MIN(size, sizeof report_descriptor);

	if (!type && request == GET_DESCRIPTOR && value >> 8 == DESCRIPTOR_REPORT) {
		memcpy(data, report_descriptor, k);
		return (int)k;
	}
	if (type != 0x20)
		return GADGET_STALL;
	if (request == GET_REPORT)
		return get_report(of(d), data, size);
	if (request == SET_REPORT)
		return set_report(of(d), data, n);
	return request == SET_IDLE ? 0 : GADGET_STALL;
}

static ssize_t in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	return GADGET_NAK; /* it never says anything by itself */
}

static const struct gadget_ops gadget = {identity, control, NULL, in, NULL};

static void relay_free(struct device *d)
{
	free(of(d));
}

static int relay_new(const struct device_config *c, struct device **ret, struct err *e)
{
	uint64_t channels = settings_own_number(c->set, "relay-channels");
	const char *serial = settings_own(c->set, "relay-serial");
	struct hid_relay *r;

	if (channels < 1 || channels > CHANNELS_MAX)
		return err_set(e, ERR_INVALID, "relay-channels: 1 to %d expected", CHANNELS_MAX);
	if (*serial && strlen(serial) != SERIAL_BYTES)
		return err_set(
			e, ERR_INVALID, "relay-serial: %d characters expected", SERIAL_BYTES);
	r = xcalloc(1, sizeof *r);
	r->faults = c->faults;
	r->channels = (unsigned)channels;
	snprintf(r->product, sizeof r->product, "USBRelay%u", r->channels);
	if (*serial)
		snprintf(r->serial, sizeof r->serial, "%s", serial);
	else
		snprintf(r->serial, sizeof r->serial, "SIM%02u",
			(unsigned)strtoul(c->socket + 1, NULL, 10) % 100);
	snprintf(r->device.uid, sizeof r->device.uid, "%s", c->uid ? c->uid : "");
	describe(r);
	*ret = &r->device;
	return 0;
}

static void relay_power_on(struct device *d, uint64_t now_us)
{
	of(d)->state = 0; /* the contacts fall open */
	of(d)->powered = true;
}

static void relay_power_off(struct device *d)
{
	of(d)->powered = false;
}

static uint64_t relay_due(const struct device *d)
{
	return NEVER;
}

static const char *relay_state(const struct device *d)
{
	return of_const(d)->powered ? "on" : "off";
}

static void relay_json(struct device *d, bool whole, json_t *o)
{
	const struct hid_relay *r = of(d);
	json_t *list = json_array();

	for (unsigned i = 0; i < r->channels; i++)
		json_array_append_new(list, json_pack("{s:b, s:I}", "on", r->state >> i & 1,
						    "switched", (json_int_t)r->switched[i]));
	json_object_set_new(o, "serial", json_string(r->serial));
	json_object_set_new(o, "channels", list);
}

const struct device_ops hid_relay_device = {
	.name = "hid-relay",
	.help = "a USB HID relay (" RELAY_USB_ID "), on vhci alone",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = relay_new,
	.free = relay_free,
	.power_on = relay_power_on,
	.power_off = relay_power_off,
	.gadget = &gadget,
	.due = relay_due,
	.state = relay_state,
	.json = relay_json,
};
