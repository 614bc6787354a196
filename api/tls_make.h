/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate for a first start: signed by its own key, for those who have no authority. Clients
 * are given the certificate itself to trust (provctl --cacert).
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define TLS_MAKE_DAYS 825

/* DIR/provd.crt and DIR/provd.key (P-256, mode 0600), which must not be there yet (-ERR_CONFLICT). hosts:
 * names and numeric addresses by which clients call the API; with none those of this machine and
 * localhost. */
int tls_make(const char *dir, const char *const *hosts, size_t n, struct err *e);
