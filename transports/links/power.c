/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/power.h"

#include <string.h>

#include "base/util.h"

const char *const power_kind_names[POWER_KINDS + 1] = {[POWER_HUB] = "hub",
	[POWER_HID_RELAY] = "hid_relay",
	[POWER_GPIO] = "gpio",
	[POWER_SERIAL_RELAY] = "serial_relay",
	[POWER_SCPI] = "scpi",
	[POWER_PROGRAM] = "program"};

const char *power_state_str(enum power_state s)
{
	static const char *const names[] = {
		[POWER_UNKNOWN] = "unknown", [POWER_OFF] = "off", [POWER_ON] = "on"};

	return names[s];
}

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

int power_bytes_parse(const char *hex, struct power_bytes *ret, struct err *e)
{
	struct power_bytes b = {.n = 0};

	for (const char *p = hex; *p;) {
		int high, low;

		if (*p == ' ') {
			p++;
			continue;
		}
		high = nibble(p[0]);
		low = high < 0 ? -1 : nibble(p[1]);
		if (low < 0 || b.n == POWER_BYTES_MAX)
			return err_set(e, ERR_INVALID,
				"'%.80s': 1 to %d bytes in hex digits expected, such as 'a0 01 01 a2'",
				hex, POWER_BYTES_MAX);
		b.byte[b.n++] = (uint8_t)(high << 4 | low);
		p += 2;
	}
	if (!b.n)
		return err_set(e, ERR_INVALID, "'%.80s' holds no byte", hex);
	*ret = b;
	return 0;
}
