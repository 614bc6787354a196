/* SPDX-License-Identifier: Apache-2.0
 *
 * A port of a hub. A socket of USB 3 is a port of two hubs, and has power while one of them gives it:
 *
 *	off   claim both ports -> clear PORT_POWER of both -> the device leaves the bus -> their status -> release
 *	on    set PORT_POWER of both -> wait until the power is good -> their status
 *
 * The claim is needed: a kernel that sees a device go from a port without power switches the port on again.
 */
#include "base/util.h"
#include "transports/links/usb_hub.h"
#include "transports/protocols/power/hub.h"
#include "transports/protocols/power/power_switch_impl.h"

#define HALVES	   2
#define LEAVE_US   (1500 * US_PER_MS) /* the kernel's debouncing is 100 ms and more */
#define LOOK_US	   (10 * US_PER_MS)
#define REQUEST_US (5 * US_PER_S) /* USB 2.0, 9.2.6.1 */

struct half {
	struct usb_hub_port at;
	struct usb *usb;
	struct hub_facts facts;
};

struct hub_switch {
	struct power_switch base;
	struct half half[HALVES];
	unsigned halves;
};

static struct hub_switch *of(struct power_switch *p)
{
	return container_of(p, struct hub_switch, base);
}

static int open_half(
	struct hub_switch *h, const struct usb_hub_port *at, const struct iotime *it, struct err *e)
{
	struct half *x = &h->half[h->halves];
	bool super = false;
	int r = usb_hub_open(at->hub, it, &x->usb, &super, e);
	struct power_usb u = power_usb_of(x->usb);

	if (r < 0)
		return r;
	h->halves++;
	x->at = *at;
	r = hub_read(&u, super, &x->facts, it, e);
	if (r == 0)
		r = hub_check(&x->facts, at->hub, e);
	if (r == 0 && at->port > x->facts.ports)
		r = err_set(e, ERR_POWER_NOT_SWITCHABLE, "hub %s has ports 1 to %u, and no port %u",
			at->hub, x->facts.ports, at->port);
	return r;
}

static int hub_port_state(
	struct half *x, struct hub_port_state *ret, const struct iotime *it, struct err *e)
{
	const struct iotime within = iotime_within(it, REQUEST_US);
	struct power_usb u = power_usb_of(x->usb);

	return hub_port_read(&u, &x->facts, x->at.port, ret, &within, e);
}

static int hub_state(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e)
{
	struct hub_switch *h = of(p);
	enum power_state now = POWER_OFF;

	for (unsigned i = 0; i < h->halves; i++) {
		struct hub_port_state s;
		int r = hub_port_state(&h->half[i], &s, it, e);

		if (r < 0)
			return r;
		if (s.power)
			now = POWER_ON;
	}
	*ret = now;
	return 0;
}

static int request(struct hub_switch *h, bool on, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < h->halves; i++) {
		const struct iotime within = iotime_within(it, REQUEST_US);
		struct power_usb u = power_usb_of(h->half[i].usb);

		r = hub_port_switch(&u, &h->half[i].facts, h->half[i].at.port, on, &within, e);
	}
	return r;
}

static bool taken(const struct hub_switch *h)
{
	for (unsigned i = 0; i < h->halves; i++)
		if (usb_hub_port_taken(&h->half[i].at))
			return true;
	return false;
}

/* 1: it has left, 0: it has not within LEAVE_US, or an error. */
static int wait_left(const struct hub_switch *h, const struct iotime *it, struct err *e)
{
	const uint64_t until = now_us() + LEAVE_US;

	while (taken(h)) {
		int r = iotime_sleep(LOOK_US, it, e);

		if (r < 0)
			return r;
		if (now_us() > until)
			return 0;
	}
	return 1;
}

/* A hub need not report that a port without power lost its device: the kernel finds it where it talks to that. */
static void stir(const struct hub_switch *h, const struct iotime *it)
{
	for (unsigned i = 0; i < h->halves; i++) {
		char name[USB_PORT_BYTES];
		_cleanup_(freep) char *address = NULL;
		_cleanup_(usb_closep) struct usb *u = NULL;

		if (!usb_hub_port_taken(&h->half[i].at))
			continue;
		usb_hub_port_name(&h->half[i].at, name);
		address = xasprintf("usb:%s", name);
		if (usb_open(address, it, &u, NULL) == 0)
			usb_reset(u, NULL);
	}
}

static int leave(struct hub_switch *h, const struct iotime *it, struct err *e)
{
	enum power_state now = POWER_UNKNOWN;
	int left = hub_state(&h->base, &now, it, e);

	/* A port that took the request and is on all the same has nothing to do with the device. */
	if (left < 0 || now == POWER_ON)
		return left;
	left = wait_left(h, it, e);
	if (left == 0) {
		stir(h, it);
		left = wait_left(h, it, e);
	}
	return left == 0
		       ? err_set(e, ERR_POWER_NO_EFFECT,
				 "port %u of hub %s is off, and the device there stays on the bus: has it power from elsewhere, or does the hub not switch?",
				 h->half[0].at.port, h->half[0].at.hub)
		       : MIN(left, 0);
}

static int off(struct hub_switch *h, const struct iotime *it, struct err *e)
{
	struct hub_port_state ignored;
	unsigned claimed = 0;
	int r = 0;

	while (r == 0 && claimed < h->halves) {
		r = usb_hub_claim(h->half[claimed].usb, h->half[claimed].at.port, e);
		claimed += r == 0;
	}
	if (r == 0)
		r = request(h, false, it, e);
	if (r == 0)
		r = leave(h, it, e);
	/* The kernel takes no request for the hub before it is done with what it saw there. */
	for (unsigned i = 0; i < claimed; i++) {
		hub_port_state(&h->half[i], &ignored, it, NULL);
		usb_hub_release(h->half[i].usb, h->half[i].at.port);
	}
	return r;
}

/* A short switches the port off at once, or keeps it off. */
static int check_current(struct hub_switch *h, const struct iotime *it, struct err *e)
{
	for (unsigned i = 0; i < h->halves; i++) {
		struct hub_port_state s;
		int r = hub_port_state(&h->half[i], &s, it, e);

		if (r < 0)
			return r;
		if (s.over_current)
			return err_set(e, ERR_POWER_STATE,
				"port %u of hub %s reports an over-current: look for a short at the unit",
				h->half[i].at.port, h->half[i].at.hub);
	}
	return 0;
}

static int hub_set(struct power_switch *p, bool on, const struct iotime *it, struct err *e)
{
	struct hub_switch *h = of(p);
	unsigned good_ms = 0;
	int r = on ? request(h, true, it, e) : off(h, it, e);

	for (unsigned i = 0; i < h->halves; i++)
		good_ms = MAX(good_ms, h->half[i].facts.good_ms);
	if (r == 0 && on)
		r = iotime_sleep(good_ms * US_PER_MS, it, e);
	return r < 0 || !on ? r : check_current(h, it, e);
}

static void hub_close(struct power_switch *p)
{
	struct hub_switch *h = of(p);

	for (unsigned i = 0; i < HALVES; i++)
		usb_close(h->half[i].usb);
	free(h);
}

static const struct power_switch_ops ops = {hub_state, hub_set, hub_close};

int power_switch_open_hub(const struct power_way *w, const struct iotime *it,
	struct power_switch **ret, struct err *e)
{
	struct hub_switch *h = xcalloc(1, sizeof *h);
	struct usb_hub_port at = {.port = w->port}, peer;
	int r;

	h->base = (struct power_switch){&ops, w};
	snprintf(at.hub, sizeof at.hub, "%s", w->hub);
	r = open_half(h, &at, it, e);
	if (r == 0 && usb_hub_port_peer(&at, &peer))
		r = open_half(h, &peer, it, e);
	if (r < 0) {
		hub_close(&h->base);
		return r;
	}
	*ret = &h->base;
	return 0;
}
