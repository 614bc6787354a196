/* SPDX-License-Identifier: Apache-2.0
 *
 * An authority of the plant that issues certificates over the network: EST or CMP, by what provd.yaml
 * says of the issuer. Any thread.
 */
#pragma once

#include "base/iotime.h"
#include "base/x509.h"
#include "daemon/line/config.h"

struct authority_answer {
	char *pem;
	char *chain; /* PEM: those over it of what came with it, else what provd.yaml names */
	struct x509_cert cert;
	bool sent; /* it may have issued, whatever came back */
};
void authority_answer_done(struct authority_answer *a);

/* renew: the unit has one of it, which this one replaces (EST alone). A certificate for the key of the request, which leads to what provd.yaml names, is valid now, and may
 * not issue others.
 * -ERR_SERVICE_*, -ERR_ISSUER_INVALID; ret->sent is set in any case. */
int authority_enroll(struct config *c, const struct issuer_config *i, const struct x509_csr *csr,
	bool renew, const struct iotime *it, struct authority_answer *ret, struct err *e);
/* {name, kind, subject, key, sha256, not_before, not_after, ready, problem, profiles: []} of what
 * provd.yaml names; the authority is not asked. A new reference. */
json_t *authority_json(const struct issuer_config *i);
