/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter on USB: a device of the class USBTMC, subclass USB488 (USB Test and Measurement Class 1.0, tables 1-13; its
 * subclass specification USB488 1.0, tables 8-11).
 *
 *	bulk OUT  DEV_DEP_MSG_OUT (1)          a message, or a part of one (no EOM)
 *	          REQUEST_DEV_DEP_MSG_IN (2)   the host wants at most n bytes of the answer
 *	bulk IN   DEV_DEP_MSG_IN (2)           them; nothing until there are some
 *
 * A head has 12 bytes, and a transfer is filled up to a multiple of 4.
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/device_rows.h"
#include "sim/scpi/meter.h"

#define EP_OUT	     1
#define EP_IN	     0x82
#define PACKET_BYTES 512
#define CONFIG_BYTES 32
#define HEAD_BYTES   12
#define LINE_BYTES   8192

enum { MSG_OUT = 1, MSG_IN = 2 };
enum {
	ABORT_BULK_OUT = 1,
	CHECK_ABORT_BULK_OUT = 2,
	ABORT_BULK_IN = 3,
	CHECK_ABORT_BULK_IN = 4,
	INITIATE_CLEAR = 5,
	CHECK_CLEAR = 6,
	GET_CAPABILITIES = 7,
	READ_STATUS_BYTE = 128
};
#define SUCCESS		0x01
#define NOT_IN_PROGRESS 0x81
#define EOM		0x01
#define MAV		0x10

struct usbtmc {
	struct device device;
	struct device *meter;
	const struct board_settings *set;
	char serial[64];
	uint8_t descriptor[18], config[CONFIG_BYTES];
	/* The request that waits. */
	bool wanted;
	uint8_t tag;
	uint32_t size;
	/* The answer that is given out. */
	char line[LINE_BYTES];
	size_t at, len;
	uint64_t clears;
};

static struct usbtmc *of(struct device *d)
{
	return container_of(d, struct usbtmc, device);
}

static const struct usbtmc *of_const(const struct device *d)
{
	return (const struct usbtmc *)((const char *)d - offsetof(struct usbtmc, device));
}

/* --- USB --- */

static void describe(struct usbtmc *t)
{
	struct wbytes d = wbytes_of(t->descriptor, sizeof t->descriptor);
	struct wbytes c = wbytes_of(t->config, sizeof t->config);

	wb_put(&d, (const uint8_t[]){18, 1, 0x00, 0x02, 0, 0, 0, 64}, 8);
	wb_le16(&d, (uint16_t)strtoul(t->set->usb_id, NULL, 16));
	wb_le16(&d, (uint16_t)strtoul(t->set->usb_id + 5, NULL, 16));
	wb_put(&d, (const uint8_t[]){0x00, 0x01, 1, 2, 3, 1}, 6);
	wb_put(&c, (const uint8_t[]){9, 2, CONFIG_BYTES, 0, 1, 1, 0, 0x80, 50}, 9);
	wb_put(&c, (const uint8_t[]){9, 4, 0, 0, 2, 0xfe, 3, 1, 0}, 9);
	for (int i = 0; i < 2; i++) {
		wb_put(&c, (const uint8_t[]){7, 5, i ? EP_IN : EP_OUT, 2}, 4);
		wb_le16(&c, PACKET_BYTES);
		wb_u8(&c, 0);
	}
}

static void identity(const struct device *d, struct gadget_identity *ret)
{
	const struct usbtmc *t = of_const(d);

	*ret = (struct gadget_identity){.device = t->descriptor,
		.config = t->config,
		.config_len = CONFIG_BYTES,
		.string = {NULL, "provsim", "provsim meter", t->serial}};
}

static bool has_answer(const struct usbtmc *t, uint64_t now_us)
{
	return t->at < t->len || t->meter->ops->due(t->meter) <= now_us;
}

static void forget(struct usbtmc *t)
{
	t->wanted = false;
	t->at = t->len = 0;
}

static int capabilities(uint8_t *data, size_t size)
{
	static const uint8_t bytes[24] = {SUCCESS, 0, 0x00, 0x01, [12] = 0x00, 0x01, 0x04, 0x08};

	memcpy(data, bytes, MIN(size, sizeof bytes));
	return (int)MIN(size, sizeof bytes);
}

static int answer(uint8_t *data, size_t size, const uint8_t *bytes, size_t n)
{
	memcpy(data, bytes, MIN(size, n));
	return (int)MIN(size, n);
}

static int control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	struct usbtmc *t = of(d);
	uint8_t value = setup[2];
	uint8_t status = has_answer(t, now_us) ? MAV : 0;

	switch (setup[1]) {
	case GET_CAPABILITIES:
		return capabilities(data, size);
	case INITIATE_CLEAR:
		t->clears++;
		meter_clear(t->meter);
		forget(t);
		return answer(data, size, (const uint8_t[]){SUCCESS}, 1);
	case CHECK_CLEAR:
		return answer(data, size, (const uint8_t[]){SUCCESS, 0}, 2);
	case READ_STATUS_BYTE:
		return answer(data, size, (const uint8_t[]){SUCCESS, value, status}, 3);
	case ABORT_BULK_IN:
		status = t->wanted && t->tag == value ? SUCCESS : NOT_IN_PROGRESS;
		t->wanted = false;
		return answer(data, size, (const uint8_t[]){status, value}, 2);
	case ABORT_BULK_OUT:
		return answer(data, size, (const uint8_t[]){NOT_IN_PROGRESS, value}, 2);
	case CHECK_ABORT_BULK_IN:
	case CHECK_ABORT_BULK_OUT:
		return answer(data, size, (const uint8_t[]){SUCCESS, 0, 0, 0, 0, 0, 0, 0}, 8);
	default:
		return GADGET_STALL;
	}
}

static int out(struct device *d, uint8_t ep, const uint8_t *bytes, size_t n, uint64_t now_us)
{
	struct usbtmc *t = of(d);
	struct rbytes b = rbytes_of(bytes, n);
	uint8_t id = rb_u8(&b), tag = rb_u8(&b), inverse = rb_u8(&b);
	const uint8_t *payload;
	uint32_t size;
	bool end;

	rb_u8(&b);
	size = rb_le32(&b);
	end = rb_u8(&b) & EOM;
	rb_take(&b, 3);
	if (ep != EP_OUT || b.bad || tag == 0 || (tag ^ inverse) != 0xff)
		return GADGET_STALL;
	if (id == MSG_IN) {
		t->wanted = true;
		t->tag = tag;
		t->size = size;
		return 0;
	}
	payload = id == MSG_OUT ? rb_take(&b, size) : NULL;
	if (!payload)
		return GADGET_STALL;
	t->meter->ops->input(t->meter, payload, size, now_us);
	if (end && size > 0 && payload[size - 1] != '\n')
		t->meter->ops->input(t->meter, "\n", 1, now_us);
	return 0;
}

static ssize_t in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	struct usbtmc *t = of(d);
	struct wbytes w = wbytes_of(buf, size);
	size_t n;

	if (ep != (EP_IN & 0x0f))
		return GADGET_STALL;
	if (t->wanted && t->at == t->len) {
		t->len = t->meter->ops->output(t->meter, t->line, sizeof t->line, now_us);
		t->at = 0;
	}
	if (!t->wanted || t->at == t->len || size < HEAD_BYTES + 4)
		return GADGET_NAK;
	n = MIN(MIN((size_t)t->size, t->len - t->at), size - HEAD_BYTES - 3);
	wb_u8(&w, MSG_IN);
	wb_u8(&w, t->tag);
	wb_u8(&w, (uint8_t)~t->tag);
	wb_u8(&w, 0);
	wb_le32(&w, (uint32_t)n);
	wb_u8(&w, t->at + n == t->len ? EOM : 0);
	wb_fill(&w, 0, 3);
	wb_put(&w, t->line + t->at, n);
	wb_fill(&w, 0, -n % 4);
	t->at += n;
	t->wanted = false;
	return (ssize_t)w.len;
}

static const struct gadget_ops gadget = {identity, control, out, in, NULL};

/* --- the row --- */

static void usbtmc_free(struct device *d)
{
	device_free(of(d)->meter);
	free(of(d));
}

static int usbtmc_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct usbtmc *t = xcalloc(1, sizeof *t);
	int r = meter_device.new(c, &t->meter, e);

	if (r < 0) {
		free(t);
		return r;
	}
	t->meter->ops = &meter_device;
	t->set = c->set;
	if (c->set->usb_serial[0])
		snprintf(t->serial, sizeof t->serial, "%s", c->set->usb_serial);
	else
		snprintf(t->serial, sizeof t->serial, "METER-%s", c->socket);
	snprintf(t->device.uid, sizeof t->device.uid, "%s", c->uid ? c->uid : "");
	describe(t);
	*ret = &t->device;
	return 0;
}

static void usbtmc_power_on(struct device *d, uint64_t now_us)
{
	forget(of(d));
	meter_device.power_on(of(d)->meter, now_us);
}

static void usbtmc_power_off(struct device *d)
{
	meter_device.power_off(of(d)->meter);
}

static uint64_t usbtmc_due(const struct device *d)
{
	const struct usbtmc *t = of_const(d);

	return t->wanted ? meter_device.due(t->meter) : NEVER;
}

static const char *usbtmc_state(const struct device *d)
{
	return meter_device.state(of_const(d)->meter);
}

static void usbtmc_json(struct device *d, bool whole, json_t *o)
{
	json_object_set_new(o, "serial", json_string(of(d)->serial));
	json_object_set_new(o, "clears", json_integer((json_int_t)of(d)->clears));
	meter_device.json(of(d)->meter, whole, o);
}

/* To hang up is to leave the bus. */
static enum device_wish usbtmc_take_wish(struct device *d)
{
	enum device_wish w = of(d)->meter->wish;

	of(d)->meter->wish = WISH_NONE;
	return w == WISH_HANGUP ? WISH_REPLUG : w;
}

const struct device_ops usbtmc_device = {
	.name = "usbtmc",
	.help = "the meter on USB (USBTMC, USB488), on vhci alone",
	.faults = meter_faults,
	.new = usbtmc_new,
	.free = usbtmc_free,
	.power_on = usbtmc_power_on,
	.power_off = usbtmc_power_off,
	.gadget = &gadget,
	.due = usbtmc_due,
	.state = usbtmc_state,
	.json = usbtmc_json,
	.take_wish = usbtmc_take_wish,
};
