/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS as the configuration says it: opened at the start, looked at each second, read again with the
 * configuration. What is exchanged, and what cannot be, goes to the log and the events. Main thread, but
 * for api_tls_warnings().
 */
#pragma once

#include "api/call.h"

/* a->tls, a->client_required, and those who are known by a certificate. */
int api_tls_open(struct api *a, const struct config *c, struct err *e);
void api_tls_reload(struct api *a, const struct config *c);
void api_tls_tick(struct api *a);
/* Array of {code, message}: a certificate that ends soon or has ended, files that are not taken. */
json_t *api_tls_warnings(struct api *a);
