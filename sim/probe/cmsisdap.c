/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/probe/cmsisdap.h"

#include <string.h>

#include "base/bytes.h"

enum {
	DAP_INFO = 0x00,
	DAP_HOST_STATUS = 0x01,
	DAP_CONNECT = 0x02,
	DAP_DISCONNECT = 0x03,
	DAP_TRANSFER_CONFIGURE = 0x04,
	DAP_TRANSFER = 0x05,
	DAP_TRANSFER_BLOCK = 0x06,
	DAP_TRANSFER_ABORT = 0x07,
	DAP_WRITE_ABORT = 0x08,
	DAP_DELAY = 0x09,
	DAP_RESET_TARGET = 0x0a,
	DAP_SWJ_PINS = 0x10,
	DAP_SWJ_CLOCK = 0x11,
	DAP_SWJ_SEQUENCE = 0x12,
	DAP_SWD_CONFIGURE = 0x13,
	DAP_JTAG_SEQUENCE = 0x14,
	DAP_JTAG_CONFIGURE = 0x15
};

#define DAP_OK	    0x00
#define DAP_ERROR   0xff
#define DAP_INVALID 0xff

/* DAP_Info. */
enum {
	INFO_VENDOR = 0x01,
	INFO_PRODUCT = 0x02,
	INFO_SERIAL = 0x03,
	INFO_PROTOCOL = 0x04,
	INFO_FIRMWARE = 0x09,
	INFO_CAPABILITIES = 0xf0,
	INFO_PACKET_COUNT = 0xfe,
	INFO_PACKET_SIZE = 0xff
};
#define CAPABILITY_SWD	0x01
#define CAPABILITY_JTAG 0x02

/* A request of DAP_Transfer; bits 2 and 3 are those of the register. */
#define REQUEST_AP    0x01
#define REQUEST_READ  0x02
#define REQUEST_REG   0x0c
#define REQUEST_MATCH 0x10 /* of a read */
#define REQUEST_MASK  0x20 /* of a write */
#define MISMATCH      0x10 /* of the answer, in addition to the ACK */

#define PIN_TDI	   0x04
#define PIN_TDO	   0x08
#define PIN_NRESET 0x80
#define PINS_IDLE  0xa3 /* nRESET, nTRST, SWDIO and SWCLK are high */

/* A sequence of DAP_JTAG_Sequence. */
#define SEQUENCE_TMS 0x40
#define SEQUENCE_TDO 0x80

void cmsisdap_power(struct cmsisdap *p, struct f103 *chip)
{
	p->chip = chip;
	dap_power(&p->dap, chip);
	swd_dp_power(&p->swd, &p->dap);
	jtag_tap_power(&p->tap, &p->dap);
	p->port = CMSISDAP_OFF;
	p->pins = PINS_IDLE;
	p->wait_retry = 100; /* until a host says */
	p->match_retry = 0;
	p->match_mask = UINT32_MAX;
}

/* --- pins --- */

/* One clock on the pins that SWD and JTAG share. */
static void clock_once(struct cmsisdap *p, bool tms, bool tdi)
{
	swd_dp_clock(&p->swd, tms);
	if (p->swd.state == SWD_JTAG)
		jtag_tap_clock(&p->tap, tms, tdi);
}

static bool tdo(const struct cmsisdap *p)
{
	return own_fault_set(p->chip->faults, F103_FAULT_NO_TARGET, NULL) || jtag_tap_tdo(&p->tap);
}

static void swj_pins(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t value = rb_u8(in);
	uint8_t chosen = rb_u8(in);
	uint8_t before = p->pins;

	p->pins = (uint8_t)((p->pins & ~chosen) | (value & chosen));
	if ((before & PIN_NRESET) && !(p->pins & PIN_NRESET))
		f103_reset(p->chip);
	wb_u8(out, (uint8_t)((p->pins & ~PIN_TDO) | (tdo(p) ? PIN_TDO : 0)));
}

/* A count of 0 means 256. */
static void swj_sequence(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t count = rb_u8(in);
	unsigned n = count ? count : 256;
	const uint8_t *bits = rb_take(in, (n + 7) / 8);

	for (unsigned i = 0; bits && i < n; i++)
		clock_once(p, bits[i / 8] >> i % 8 & 1, p->pins & PIN_TDI);
	wb_u8(out, bits ? DAP_OK : DAP_ERROR);
}

static void jtag_one_sequence(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t info = rb_u8(in);
	unsigned n = info & 0x3f ? info & 0x3f : 64;
	const uint8_t *tdi = rb_take(in, (n + 7) / 8);
	uint8_t got[8] = {0};

	for (unsigned i = 0; tdi && i < n; i++) {
		got[i / 8] |= (uint8_t)(tdo(p) << i % 8);
		clock_once(p, info & SEQUENCE_TMS, tdi[i / 8] >> i % 8 & 1);
	}
	if (info & SEQUENCE_TDO)
		wb_put(out, got, (n + 7) / 8);
}

static void jtag_sequence(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t count = rb_u8(in);

	wb_u8(out, p->port == CMSISDAP_JTAG ? DAP_OK : DAP_ERROR);
	for (unsigned i = 0; p->port == CMSISDAP_JTAG && i < count && !in->bad; i++)
		jtag_one_sequence(p, in, out);
}

/* --- transfers --- */

static enum dap_ack transfer(struct cmsisdap *p, bool ap, unsigned reg, bool read, uint32_t *data)
{
	enum dap_ack ack = DAP_ACK_WAIT;

	if (p->port != CMSISDAP_SWD)
		return DAP_ACK_NONE;
	for (unsigned i = 0; ack == DAP_ACK_WAIT && i <= p->wait_retry; i++)
		ack = swd_dp_transfer(&p->swd, ap, reg, read, data);
	return ack;
}

/* What the access port is asked for comes with the next transfer: one of RDBUFF. */
static enum dap_ack transfer_read(struct cmsisdap *p, uint8_t request, uint32_t *data)
{
	bool ap = request & REQUEST_AP;
	enum dap_ack ack = transfer(p, ap, request & REQUEST_REG, true, data);

	return ap && ack == DAP_ACK_OK ? transfer(p, false, DAP_RDBUFF, true, data) : ack;
}

static uint8_t transfer_match(struct cmsisdap *p, uint8_t request, uint32_t want)
{
	uint32_t got = 0;
	enum dap_ack ack = DAP_ACK_OK;

	for (unsigned i = 0; i <= p->match_retry; i++) {
		ack = transfer_read(p, request, &got);
		if (ack != DAP_ACK_OK || (got & p->match_mask) == want)
			return (uint8_t)ack;
	}
	return (uint8_t)ack | MISMATCH;
}

/* One request; the answer's byte. What is read goes to out. */
static uint8_t transfer_one(
	struct cmsisdap *p, uint8_t request, struct rbytes *in, struct wbytes *out)
{
	uint32_t data = 0;
	enum dap_ack ack;

	if ((request & (REQUEST_READ | REQUEST_MATCH)) == (REQUEST_READ | REQUEST_MATCH))
		return transfer_match(p, request, rb_le32(in));
	if (request & REQUEST_READ) {
		ack = transfer_read(p, request, &data);
		if (ack == DAP_ACK_OK)
			wb_le32(out, data);
		return (uint8_t)ack;
	}
	data = rb_le32(in);
	if (request & REQUEST_MASK) {
		p->match_mask = data;
		return DAP_ACK_OK;
	}
	return (uint8_t)transfer(p, request & REQUEST_AP, request & REQUEST_REG, false, &data);
}

/* A write to the access port may fail after its ACK: one more transfer shows that. */
static uint8_t last_write(struct cmsisdap *p, uint8_t request, uint8_t ack)
{
	uint32_t unused;

	if (ack != DAP_ACK_OK || (request & (REQUEST_READ | REQUEST_MASK)))
		return ack;
	return (uint8_t)transfer(p, false, DAP_RDBUFF, true, &unused);
}

static void dap_transfer(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t ack = DAP_ACK_OK;
	uint8_t request = 0;
	uint8_t done = 0;
	size_t head = out->len;

	rb_u8(in); /* index of the device: of a JTAG chain alone */

	uint8_t count = rb_u8(in);

	wb_fill(out, 0, 2);
	for (; done < count && ack == DAP_ACK_OK; done++) {
		request = rb_u8(in);
		ack = transfer_one(p, request, in, out);
		if (ack != DAP_ACK_OK)
			break;
	}
	if (count)
		ack = last_write(p, request, ack);

	struct wbytes h = wbytes_of(out->p + head, 2);

	wb_u8(&h, done);
	wb_u8(&h, ack);
}

static void dap_transfer_block(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t ack = DAP_ACK_OK;
	uint16_t done = 0;
	size_t head = out->len;

	rb_u8(in);

	uint16_t count = rb_le16(in);
	uint8_t request = rb_u8(in) & (REQUEST_AP | REQUEST_READ | REQUEST_REG);

	wb_fill(out, 0, 3);
	for (; done < count && !in->bad && !out->bad; done++) {
		ack = transfer_one(p, request, in, out);
		if (ack != DAP_ACK_OK)
			break;
	}
	ack = last_write(p, request, ack);

	struct wbytes h = wbytes_of(out->p + head, 3);

	wb_le16(&h, done);
	wb_u8(&h, ack);
}

static void transfer_configure(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	rb_u8(in); /* idle cycles */
	p->wait_retry = rb_le16(in);
	p->match_retry = rb_le16(in);
	wb_u8(out, DAP_OK);
}

static void write_abort(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	rb_u8(in);

	uint32_t v = rb_le32(in);
	bool ok = transfer(p, false, DAP_ABORT, false, &v) == DAP_ACK_OK;

	wb_u8(out, ok ? DAP_OK : DAP_ERROR);
}

/* --- the probe --- */

static void put_text(struct wbytes *out, const char *text)
{
	size_t n = MIN(strlen(text), (size_t)60) + 1;

	wb_u8(out, (uint8_t)n);
	wb_put(out, text, n - 1);
	wb_u8(out, 0);
}

static void info(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	switch (rb_u8(in)) {
	case INFO_VENDOR:
		put_text(out, p->vendor);
		break;
	case INFO_PRODUCT:
		put_text(out, p->product);
		break;
	case INFO_SERIAL:
		put_text(out, p->serial);
		break;
	case INFO_PROTOCOL:
		put_text(out, "2.1.0");
		break;
	case INFO_FIRMWARE:
		put_text(out, "1.0");
		break;
	case INFO_CAPABILITIES:
		wb_u8(out, 1);
		wb_u8(out, CAPABILITY_SWD | CAPABILITY_JTAG);
		break;
	case INFO_PACKET_COUNT:
		wb_u8(out, 1);
		wb_u8(out, p->packets);
		break;
	case INFO_PACKET_SIZE:
		wb_u8(out, 2);
		wb_le16(out, CMSISDAP_PACKET);
		break;
	default:
		wb_u8(out, 0);
	}
}

static void host_status(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t lamp = rb_u8(in);

	if (lamp == 0 && rb_u8(in) == 1) {
		p->sessions++;
		p->dap.accesses = 0;
	}
	wb_u8(out, DAP_OK);
}

static void connect_port(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	uint8_t port = rb_u8(in);

	p->port = port == 0 || port == CMSISDAP_SWD ? CMSISDAP_SWD
		  : port == CMSISDAP_JTAG	    ? CMSISDAP_JTAG
						    : CMSISDAP_OFF;
	wb_u8(out, (uint8_t)p->port);
}

static void disconnect_port(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	p->port = CMSISDAP_OFF;
	wb_u8(out, DAP_OK);
}

/* There is no sequence of this target's own. */
static void reset_target(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	wb_u8(out, DAP_OK);
	wb_u8(out, 0);
}

/* Clock, turnaround, delays: nothing here takes time. */
static void accept(struct cmsisdap *p, struct rbytes *in, struct wbytes *out)
{
	wb_u8(out, DAP_OK);
}

static const struct {
	uint8_t id;
	void (*run)(struct cmsisdap *p, struct rbytes *in, struct wbytes *out);
} commands[] = {
	{DAP_INFO, info},
	{DAP_HOST_STATUS, host_status},
	{DAP_CONNECT, connect_port},
	{DAP_DISCONNECT, disconnect_port},
	{DAP_TRANSFER_CONFIGURE, transfer_configure},
	{DAP_TRANSFER, dap_transfer},
	{DAP_TRANSFER_BLOCK, dap_transfer_block},
	{DAP_WRITE_ABORT, write_abort},
	{DAP_DELAY, accept},
	{DAP_RESET_TARGET, reset_target},
	{DAP_SWJ_PINS, swj_pins},
	{DAP_SWJ_CLOCK, accept},
	{DAP_SWJ_SEQUENCE, swj_sequence},
	{DAP_SWD_CONFIGURE, accept},
	{DAP_JTAG_SEQUENCE, jtag_sequence},
	{DAP_JTAG_CONFIGURE, accept},
};

size_t cmsisdap_command(
	struct cmsisdap *p, const uint8_t *in, size_t n, uint8_t out[CMSISDAP_PACKET])
{
	struct rbytes b = rbytes_of(in, n);
	struct wbytes w = wbytes_of(out, CMSISDAP_PACKET);
	uint8_t id = rb_u8(&b);

	/* Commands are worked through as they come: there is none to be aborted. */
	if (n == 0 || id == DAP_TRANSFER_ABORT)
		return 0;
	wb_u8(&w, id);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].id != id)
			continue;
		commands[i].run(p, &b, &w);
		/* A short command, or one whose answer fits no packet. */
		if (!b.bad && !w.bad)
			return w.len;
		break;
	}
	out[0] = DAP_INVALID;
	return 1;
}
