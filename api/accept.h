/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client asks for by its Accept header. Pure, any thread.
 */
#pragma once

#include <stdbool.h>

/* Whether a media range of the header is this very type, in any case, and its weight is not 0
 * (RFC 9110, 12.5.1). A wildcard does not ask for it. accept may be NULL. */
bool accept_names(const char *accept, const char *type);
