/* SPDX-License-Identifier: Apache-2.0
 *
 * The router finds the row of a request (api/route.h), checks the right, and turns an error into
 * application/problem+json (RFC 9457).
 */
#pragma once

#include "api/route.h"

extern const struct httpd_ops router_ops;
