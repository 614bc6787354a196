/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel of a USB HID relay. Which one it is its report says: the devices have no serial number on USB.
 */
#include <string.h>

#include "base/util.h"
#include "transports/links/usb.h"
#include "transports/protocols/power/hid_relay.h"
#include "transports/protocols/power/power_switch_impl.h"

#define REQUEST_US	 (5 * US_PER_S)
#define PRODUCT_BYTES	 64
#define RELAYS_MAX	 32
#define INTERFACE	 0
#define PRODUCT_AT_INDEX 2

struct hid_switch {
	struct power_switch base;
	struct usb *usb;
};

static struct hid_switch *of(struct power_switch *p)
{
	return container_of(p, struct hid_switch, base);
}

static int state_of(
	struct usb *usb, struct hid_relay_state *ret, const struct iotime *it, struct err *e)
{
	const struct iotime within = iotime_within(it, REQUEST_US);
	const struct power_usb u = power_usb_of(usb);

	return hid_relay_read(&u, ret, &within, e);
}

static int hid_read(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	struct hid_relay_state s;
	int r = state_of(of(p)->usb, &s, it, e);

	if (r < 0)
		return r;
	/* It may have been exchanged for another since it was opened. */
	if (p->way->serial[0] && strcmp(p->way->serial, s.serial) != 0)
		return err_set(e, ERR_POWER_SWITCH, "relay %s answers, %s expected", s.serial,
			p->way->serial);
	*ret = s.on >> (p->way->channel - 1) & 1 ? POWER_ON : POWER_OFF;
	return 0;
}

static int hid_set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	const struct iotime within = iotime_within(it, REQUEST_US);
	const struct power_usb u = power_usb_of(of(p)->usb);

	return hid_relay_switch(&u, p->way->channel, on, &within, e);
}

static void hid_close(struct power_switch *p)
{
	usb_close(of(p)->usb);
	free(of(p));
}

static const struct power_switch_ops ops = {hid_read, hid_set, hid_close};

/* 1: it is that relay, open in *ret; 0: it is another one. */
static int try_one(const struct power_way *w, const char *address, const struct iotime *it,
	struct usb **ret, struct hid_relay_state *s, struct err *e)
{
	_cleanup_(usb_closep) struct usb *u = NULL;
	char product[PRODUCT_BYTES] = "";
	unsigned channels;
	int r = usb_open(address, it, &u, e);

	if (r == 0)
		r = usb_string(u, PRODUCT_AT_INDEX, product, sizeof product, it, e);
	channels = hid_relay_channels(product);
	if (r < 0 || !channels)
		return r;
	r = usb_claim(u, INTERFACE, e);
	if (r == 0)
		r = state_of(u, s, it, e);
	if (r < 0 || (w->serial[0] && strcmp(w->serial, s->serial) != 0))
		return r;
	if (w->channel > channels)
		return err_set(e, ERR_POWER_NOT_SWITCHABLE,
			"relay %s (%s) has channels 1 to %u, and no channel %u", s->serial, product,
			channels, w->channel);
	*ret = steal_ptr(&u);
	return 1;
}

/* Of two that fit nobody knows which one is meant. */
static int find(const struct power_way *w, struct usb **ret, const struct iotime *it, struct err *e)
{
	char address[RELAYS_MAX][USB_LISTED_BYTES];
	size_t n = usb_list(HID_RELAY_VID, HID_RELAY_PID, address, RELAYS_MAX);
	char seen[128] = "";

	for (size_t i = 0; i < n; i++) {
		_cleanup_(usb_closep) struct usb *u = NULL;
		struct hid_relay_state s = {.on = 0};
		int r = try_one(w, address[i], it, &u, &s, e);
		size_t k = strlen(seen);

		if (r < 0)
			return r;
		snprintf(seen + k, sizeof seen - k, "%s%s", k ? ", " : "", s.serial);
		if (r == 1 && *ret)
			return err_set(e, ERR_CONFLICT,
				"more than one USB relay fits '%s': %s; name one by its serial number",
				w->serial, seen);
		if (r == 1)
			*ret = steal_ptr(&u);
	}
	if (*ret)
		return 0;
	return err_set(e, ERR_POWER_SWITCH, "USB relay '%s' is not plugged (%s%s)", w->serial,
		*seen ? "there is " : "there is none", seen);
}

int power_switch_open_hid(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e)
{
	struct usb *u = NULL;
	struct hid_switch *h;
	int r = find(w, &u, it, e);

	if (r < 0) {
		usb_close(u);
		return r;
	}
	h = xcalloc(1, sizeof *h);
	h->base = (struct power_switch){&ops, w};
	h->usb = u;
	*ret = &h->base;
	return 0;
}
