/* SPDX-License-Identifier: Apache-2.0
 *
 * What switches the power of a unit, of whatever kind: it is set, and the real state is read back. On the worker's
 * thread; opened for one switching and closed after it.
 *
 *	set on        the power goes on -> what the switch says is read: on, or -ERR_POWER_STATE
 *	set off       the same; a device of a hub's port has left the bus as well, or -ERR_POWER_NO_EFFECT
 *
 * No error of it is the unit's: what a switch does not answer, or answers wrongly, is -ERR_POWER_SWITCH with the place
 * before the sentence. -ERR_POWER_NOT_SWITCHABLE and -ERR_POWER_GANGED of a hub that cannot; -ERR_BUSY, -ERR_ACCESS;
 * or the cancel's reason.
 */
#pragma once

#include "transports/links/power.h"

struct power_switch;

/* REQUIRED all. Each within its iotime, with the errors of its medium: power_switch_*() below make them the line's. */
struct power_switch_ops {
	/* POWER_UNKNOWN where the kind cannot tell. */
	int (*read)(struct power_switch *p, enum power_state *ret, const struct iotime *it,
		struct err *e);
	/* Without a look at what came of it. */
	int (*set)(struct power_switch *p, bool on, const struct iotime *it, struct err *e);
	void (*close)(struct power_switch *p); /* frees it */
};

/* The first member of each kind. */
struct power_switch {
	const struct power_switch_ops *ops;
	const struct power_way *way; /* borrowed */
};

/* Of POWER_HUB, _HID_RELAY, _GPIO and _SERIAL_RELAY: the others are opened by who knows instruments and programs. */
int power_switch_open(const struct power_way *w, const struct iotime *it, struct power_switch **ret,
	struct err *e);
struct power_switch *power_switch_close(struct power_switch *p); /* takes NULL, returns NULL */
static inline void power_switch_closep(struct power_switch **p)
{
	power_switch_close(*p);
}
int power_switch_read(
	struct power_switch *p, enum power_state *ret, const struct iotime *it, struct err *e);
/* *ret: what it says afterwards, POWER_UNKNOWN where it cannot tell. */
int power_switch_set(struct power_switch *p, bool on, enum power_state *ret,
	const struct iotime *it, struct err *e);
/* -code of an error of this switch, as above. */
int power_switch_blame(const struct power_way *w, int r, const struct iotime *it, struct err *e);
