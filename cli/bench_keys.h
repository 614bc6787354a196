/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys on a bench: a provd-keyd whose socket PROVD_KEYD_SOCKET names is asked. Nothing is on record,
 * so that a certificate that was issued here is known to nobody but its issuer's log.
 */
#pragma once

#include "daemon/recipe/env.h"

/* As step_env_ops has them. -ERR_UNSUPPORTED where PROVD_KEYD_SOCKET is not set. */
int bench_certify(void *env, const struct certificate_ask *ask, const struct iotime *it,
	struct certificate *ret, struct err *e);
int bench_delivered(void *env, const char *sha256, struct err *e);
int bench_derive(void *env, const struct derive_ask *ask, const struct iotime *it, uint8_t *ret,
	struct err *e);
int bench_make_key(void *env, struct key_ask *ask, const struct iotime *it, struct x509_key *ret,
	struct err *e);
int bench_key_request(void *env, const char *name, const char *subject, const struct iotime *it,
	struct x509_csr *ret, struct err *e);
int bench_take_key(void *env, const char *name, const struct iotime *it, uint8_t **ret,
	size_t *ret_n, struct err *e);
