/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/picoboot/picoboot_usb.h"

#include <string.h>

/* The ids of the boot ROMs (RP2040 datasheet, 2.8.2; RP2350 datasheet, 5.7). */
#define VENDOR_RASPBERRY_PI 0x2e8a
#define PRODUCT_RP2040	    0x0003
#define PRODUCT_RP2350	    0x000f

/* Vendor specific; the reset interface of an application of the pico-sdk has protocol 1. */
#define CLASS_VENDOR   0xff
#define PROTOCOL_RESET 1

/* bmRequestType: vendor, interface. boot/picoboot.h has the requests. */
#define TYPE_OUT	   0x41
#define TYPE_IN		   0xc1
#define REQUEST_RESET	   0x41
#define REQUEST_CMD_STATUS 0x42

static bool take_endpoints(struct picoboot_usb *x, const struct usb_interface *i)
{
	x->ep_out = x->ep_in = 0;
	for (size_t k = 0; k < i->eps; k++) {
		if (i->ep[k].type != USB_EP_BULK)
			return false;
		if (i->ep[k].address & 0x80)
			x->ep_in = i->ep[k].address;
		else
			x->ep_out = i->ep[k].address;
	}
	x->interface = i->number;
	return i->eps == 2 && x->ep_in && x->ep_out;
}

static int chip_of(
	const struct usb_facts *f, const char *chip, enum picoboot_chip *ret, struct err *e)
{
	bool known = f->vid == VENDOR_RASPBERRY_PI &&
		     (f->pid == PRODUCT_RP2040 || f->pid == PRODUCT_RP2350);
	enum picoboot_chip by_ids = f->pid == PRODUCT_RP2040 ? PICOBOOT_RP2040 : PICOBOOT_RP2350;

	*ret = !strcmp(chip, "rp2040") ? PICOBOOT_RP2040 : PICOBOOT_RP2350;
	if (!strcmp(chip, "auto")) {
		*ret = by_ids;
		return known ? 0
			     : err_set(e, ERR_UNSUPPORTED,
				       "usb:%s (%04x:%04x) has the USB ids of no boot ROM: 2e8a:0003 is a RP2040 in BOOTSEL mode, 2e8a:000f a RP2350 ('chip' names that of a board with ids of its own)",
				       f->port, f->vid, f->pid);
	}
	if (known && *ret != by_ids)
		return err_set(e, ERR_WRONG_DEVICE, "usb:%s (%04x:%04x) is a %s, a %s expected",
			f->port, f->vid, f->pid, picoboot_chip_str(by_ids),
			picoboot_chip_str(*ret));
	return 0;
}

int picoboot_usb_find(struct picoboot_usb *x, struct usb *u, const char *chip, struct err *e)
{
	const struct usb_facts *f = usb_facts(u);
	const struct usb_interface *list;
	size_t n = usb_interfaces(u, &list);
	bool runs = false;

	*x = (struct picoboot_usb){.usb = u};
	for (size_t i = 0; i < n; i++) {
		if (list[i].cls != CLASS_VENDOR || list[i].subclass != 0)
			continue;
		runs |= list[i].protocol == PROTOCOL_RESET;
		if (list[i].protocol == 0 && take_endpoints(x, &list[i]))
			return chip_of(f, chip, &x->chip, e);
	}
	return err_set(e, ERR_UNSUPPORTED, "usb:%s (%04x:%04x) has no PICOBOOT interface: %s",
		f->port, f->vid, f->pid,
		runs ? "it runs its application (hold BOOTSEL while it is plugged in)"
		     : "it is not in BOOTSEL mode, or its OTP switches the interface off");
}

static int port_out(void *data, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct picoboot_usb *x = data;

	return usb_write(x->usb, x->ep_out, buf, n, false, it, e);
}

static int port_in(
	void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e)
{
	struct picoboot_usb *x = data;

	return usb_read(x->usb, x->ep_in, buf, size, ret_n, it, e);
}

static int port_status(void *data, uint8_t buf[PICOBOOT_STATUS_BYTES], uint16_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct picoboot_usb *x = data;

	return usb_control(x->usb, TYPE_IN, REQUEST_CMD_STATUS, 0, x->interface, buf,
		PICOBOOT_STATUS_BYTES, ret_n, it, e);
}

/* The halts first: that brings the data toggles of both sides together, which RESET leaves as they are. */
static int port_reset(void *data, const struct iotime *it, struct err *e)
{
	struct picoboot_usb *x = data;
	int r = usb_clear_halt(x->usb, x->ep_in, e);

	if (r == 0)
		r = usb_clear_halt(x->usb, x->ep_out, e);
	if (r == 0)
		r = usb_control(
			x->usb, TYPE_OUT, REQUEST_RESET, 0, x->interface, NULL, 0, NULL, it, e);
	return r;
}

int picoboot_usb_open(struct picoboot_usb *x, struct picoboot_port *ret, struct err *e)
{
	int r = usb_claim(x->usb, x->interface, e);

	if (r < 0)
		return r;
	*ret = (struct picoboot_port){x, port_out, port_in, port_status, port_reset};
	return 0;
}
