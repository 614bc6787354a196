/* SPDX-License-Identifier: Apache-2.0
 *
 * "HOST[:PORT][/DEVICE]", as instruments on a LAN are named: vxi11:192.0.2.30/inst0, hislip:[2001:db8::7]:4880.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* For all that is said until such a link is open. */
#define OPEN_US(cfg) ((cfg)->connect_timeout_us ? (cfg)->connect_timeout_us : 5 * US_PER_S)

struct message_address {
	char host[128]; /* an IPv6 address with its brackets */
	uint16_t port;
	char device[64];
};

/* -ERR_INVALID with what was expected. */
int message_address_read(const char *text, uint16_t port, const char *device,
	struct message_address *ret, struct err *e);
