/* SPDX-License-Identifier: Apache-2.0
 *
 * What a hub or a USB relay may answer: the first byte says how long the answer is, the rest is it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tests/fuzz/fuzz.h"
#include "transports/protocols/power/hid_relay.h"
#include "transports/protocols/power/hub.h"

struct said {
	const uint8_t *bytes;
	size_t n;
};

static int say(void *data, uint8_t type, uint8_t request, uint16_t value, uint16_t index, void *buf,
	uint16_t n, uint16_t *ret_n, const struct iotime *it, struct err *e)
{
	const struct said *s = data;
	size_t k = MIN((size_t)n, s->n);

	memcpy(buf, s->bytes, k);
	*ret_n = (uint16_t)k;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const struct iotime it = {NO_DEADLINE, NULL};
	struct said said = {bytes, n};
	const struct power_usb u = {say, &said};
	struct hub_facts h = {.ports = 255};
	struct hub_port_state port;
	struct hid_relay_state relay;
	struct err e = {0};

	for (int super = 0; super < 2; super++)
		if (hub_read(&u, super, &h, &it, &e) < 0 && (e.code != ERR_PROTOCOL || !e.msg[0]))
			abort();
	if (hub_port_read(&u, &(struct hub_facts){.ports = 4}, 1, &port, &it, &e) == 0 && n < 4)
		abort();
	if (hid_relay_read(&u, &relay, &it, &e) == 0 &&
		strlen(relay.serial) != HID_RELAY_SERIAL - 1)
		abort();
	return 0;
}
