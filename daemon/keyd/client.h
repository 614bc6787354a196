/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks provd-keyd. One connection for each request: a keyd that was restarted is found at once. Any
 * thread.
 */
#pragma once

#include "base/iotime.h"
#include "daemon/keyd/wire.h"

/* How long a request may take, within what the caller has: a token asks its user for nothing. */
#define KEYD_ANSWER_US (20 * US_PER_S)

/* buf of WIRE_MAX_BYTES + 1 holds the answer, ret (WIRE_FIELDS of the row's answer) points into it.
 * -ERR_KEYS_DOWN where nobody answers, else the error that it gave. The caller wipes buf where a
 * secret was asked for. */
int keyd_ask(const char *socket, enum keyd_op op, const struct wire_value *ask,
	const struct iotime *it, uint8_t *buf, struct wire_value *ret, struct err *e);
