/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses are of this machine alone.
 */
#pragma once

#include <stdbool.h>

/* Of a numeric address of IPv4 or IPv6 (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3), mapped ones too; false for a name. */
bool is_loopback(const char *host);
