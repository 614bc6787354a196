/* SPDX-License-Identifier: Apache-2.0
 *
 * The common USB HID relay, 16c0:05df, which calls itself USBRelay1 to USBRelay8. HID 1.11, 7.2: its feature report of
 * eight bytes is read for what it is, and set to switch. No specification says what the bytes mean: they are as usbrelay (the
 * reference client, in Debian) and the maker's own program have it.
 *
 *	read   S S S S S 0 x M     five characters of its serial number; bit n of M: channel n + 1 is on
 *	set    ff C 0 0 0 0 0 0    channel C on; fd C: off. (fe, fc: all of them, which nobody needs here)
 */
#pragma once

#include <stdbool.h>

#include "transports/protocols/power/power_usb.h"

#define HID_RELAY_VID	   0x16c0
#define HID_RELAY_PID	   0x05df
#define HID_RELAY_SERIAL   6 /* bytes, with the end */
#define HID_RELAY_CHANNELS 8

struct hid_relay_state {
	char serial[HID_RELAY_SERIAL];
	uint8_t on; /* bit 0 is channel 1 */
};

/* Both: the errors of the transfer, -ERR_PROTOCOL for a report that is too short or whose serial number is not of
 * printable characters. The interface 0 is claimed. */
int hid_relay_read(const struct power_usb *u, struct hid_relay_state *ret, const struct iotime *it,
	struct err *e);
int hid_relay_switch(const struct power_usb *u, unsigned channel, bool on, const struct iotime *it,
	struct err *e);
/* How many channels the name of the product says: "USBRelay2" is 2; 0: it is another product. */
unsigned hid_relay_channels(const char *product);
