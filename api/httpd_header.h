/* SPDX-License-Identifier: Apache-2.0
 *
 * The shape of a request's header, which the library takes as it comes: two readers of one request
 * (a proxy and provd) must agree where it ends and which host it is for. Only api/httpd*.c sees
 * this.
 */
#pragma once

#include "api/http.h"

/* 0, or the status and the reason. uri_has_nul: there was a %00 in it, which is gone once it is
 * decoded. HTTP thread. */
int header_check(
	const struct request *rq, const char *version, bool uri_has_nul, char *ret, size_t size);
