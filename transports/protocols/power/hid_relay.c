/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/power/hid_relay.h"

#include <string.h>

#include "base/util.h"

/* HID 1.11, 7.2.1 and 7.2.2; the high byte of wValue is the type of the report, 3: feature. */
enum { FROM_INTERFACE = 0xa1, TO_INTERFACE = 0x21 };
enum { GET_REPORT = 1, SET_REPORT = 9 };
#define FEATURE	     0x0300
#define REPORT_BYTES 8
#define STATE_AT     7
enum { SET_OFF = 0xfd, SET_ON = 0xff };

int hid_relay_read(const struct power_usb *u, struct hid_relay_state *ret, const struct iotime *it,
	struct err *e)
{
	uint8_t all[REPORT_BYTES];
	struct hid_relay_state s = {.on = 0};
	uint16_t n = 0;
	int r = u->control(
		u->data, FROM_INTERFACE, GET_REPORT, FEATURE, 0, all, sizeof all, &n, it, e);

	if (r < 0)
		return err_prefix(e, "the relay's report");
	if (n != REPORT_BYTES)
		return err_set(e, ERR_PROTOCOL, "the relay's report has %u bytes, %d expected", n,
			REPORT_BYTES);
	for (size_t i = 0; i < HID_RELAY_SERIAL - 1; i++) {
		if (all[i] < 0x21 || all[i] > 0x7e)
			return err_set(e, ERR_PROTOCOL,
				"the relay's report begins with byte %02x, five characters of a serial number expected",
				all[i]);
		s.serial[i] = (char)all[i];
	}
	s.on = all[STATE_AT];
	*ret = s;
	return 0;
}

int hid_relay_switch(const struct power_usb *u, unsigned channel, bool on, const struct iotime *it,
	struct err *e)
{
	uint8_t all[REPORT_BYTES] = {on ? SET_ON : SET_OFF, (uint8_t)channel};
	int r = u->control(
		u->data, TO_INTERFACE, SET_REPORT, FEATURE, 0, all, sizeof all, NULL, it, e);

	return r < 0 ? err_prefix(e, "channel %u of the relay", channel) : 0;
}

unsigned hid_relay_channels(const char *product)
{
	static const char name[] = "USBRelay";
	const char *digit = product + strlen(name);

	if (strncmp(product, name, strlen(name)) != 0 || *digit < '1' ||
		*digit > '0' + HID_RELAY_CHANNELS || digit[1])
		return 0;
	return (unsigned)(*digit - '0');
}
