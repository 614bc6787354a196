/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot as a USB function: one interface ff/42/03 with two bulk endpoints. As strict as the
 * strictest device: an empty transfer in the data phase fails the download (U-Boot).
 */
#include "sim/fastboot/fastboot.h"

#include <string.h>

#include "base/bytes.h"

#define EP_OUT 0x01
#define EP_IN  0x81

static bool full_speed(const struct fb *f)
{
	return !strcmp(settings_own(f->set, "speed"), "full");
}

void fb_usb_describe(struct fb *f)
{
	struct wbytes d = wbytes_of(f->usb_device, sizeof f->usb_device);
	struct wbytes c = wbytes_of(f->usb_config, sizeof f->usb_config);
	uint16_t packet = full_speed(f) ? 64 : 512;
	bool listens = fb_listens(f);

	/* USB 2.0 table 9-8. Another product id in each mode, as phones have it. */
	wb_u8(&d, 18);
	wb_u8(&d, 1);
	wb_le16(&d, 0x0200);
	wb_fill(&d, 0, 3);
	wb_u8(&d, 64);
	wb_le16(&d, 0x18d1);
	wb_le16(&d, f->mode == FB_FASTBOOTD ? 0x4ee7 : listens ? 0x4ee0 : 0x4ee1);
	wb_le16(&d, 0x0100);
	wb_u8(&d, 1);
	wb_u8(&d, 2);
	wb_u8(&d, 3);
	wb_u8(&d, 1);

	/* Tables 9-10, 9-12, 9-13. */
	wb_u8(&c, 9);
	wb_u8(&c, 2);
	wb_le16(&c, 32);
	wb_u8(&c, 1);
	wb_u8(&c, 1);
	wb_u8(&c, 0);
	wb_u8(&c, 0x80);
	wb_u8(&c, 250);
	wb_u8(&c, 9);
	wb_u8(&c, 4);
	wb_u8(&c, 0);
	wb_u8(&c, 0);
	wb_u8(&c, 2);
	wb_u8(&c, 0xff);
	/* A system that runs shows another function; the guide's device names none. */
	wb_u8(&c, f->custom ? 0x00 : 0x42);
	wb_u8(&c, f->custom ? 0x00 : listens ? 0x03 : 0x01);
	wb_u8(&c, 4);
	for (int i = 0; i < 2; i++) {
		wb_u8(&c, 7);
		wb_u8(&c, 5);
		wb_u8(&c, i == 0 ? EP_IN : EP_OUT);
		wb_u8(&c, 2);
		wb_le16(&c, packet);
		wb_u8(&c, 0);
	}
	snprintf(f->usb_config_string, sizeof f->usb_config_string, "%s",
		f->mode == FB_FASTBOOTD ? "fastbootd" : "fastboot");
}

static void identity(const struct device *d, struct gadget_identity *ret)
{
	const struct fb *f = fb_of_const(d);

	*ret = (struct gadget_identity){.device = f->usb_device,
		.config = f->usb_config,
		.config_len = 32,
		.string = {NULL, "provsim", settings_own(f->set, "product"), f->serial,
			f->usb_config_string}};
}

static int out(struct device *d, uint8_t ep, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct fb *f = fb_of(d);

	if (ep != EP_OUT || !fb_listens(f))
		return GADGET_STALL;
	f->now_us = now_us;
	if (f->stalled)
		return GADGET_NAK;
	if (f->data_left == 0) {
		if (n > 0)
			fb_command(f, p, n, now_us);
		return 0;
	}
	if (n == 0 || n > f->data_left) {
		f->data_left = 0;
		fb_fail(f, "Received invalid data length");
		return 0;
	}
	fb_data(f, p, n, now_us);
	return 0;
}

/* A message that fills whole packets does not end a transfer: without a zero-length packet the next
 * one is glued to it, unless the host asked for no more. */
static ssize_t in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	struct fb *f = fb_of(d);
	size_t packet = full_speed(f) ? 64 : 512;
	struct fb_msg *m = fb_first(f, now_us);
	struct wbytes b = wbytes_of(buf, size);

	if (ep != (EP_IN & 0x0f))
		return GADGET_STALL;
	if (!m)
		return GADGET_NAK;
	if (m->n % packet == 0 && !m->data && m->at == 0 && size > m->n && !m->next)
		return GADGET_NAK;
	while (m && b.len < size) {
		size_t k = MIN(m->n - m->at, size - b.len);
		bool whole, ends;

		wb_put(&b, m->bytes + m->at, k);
		m->at += k;
		whole = m->at == m->n;
		ends = m->n % packet != 0;
		if (!whole)
			break;
		fb_pop(f);
		if (ends)
			break;
		m = fb_first(f, now_us);
	}
	return (ssize_t)b.len;
}

const struct gadget_ops fb_gadget = {.identity = identity, .out = out, .in = in};
