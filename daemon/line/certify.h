/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate for the unit of a run: asked of the key process, and on record at each step, so that
 * none exists that the records do not know.
 *
 *	look (all but the signature) -> order on disk -> signature -> checked -> on disk -> given out
 *
 * or of an authority of the plant (daemon/line/authority.h), which chooses the serial number:
 *
 *	order on disk -> its answer -> checked -> on disk -> given out
 *
 * Worker threads.
 */
#pragma once

#include "daemon/line/recorder.h"
#include "daemon/recipe/env.h"

struct line_services;

/* As step_env_ops.certify, .delivered, .derive, .make_key, .key_request and .take_key. */
int certify(const struct line_services *line, struct recorder *rec,
	const struct certificate_ask *ask, const struct iotime *it, struct certificate *ret,
	struct err *e);
int certify_delivered(
	const struct line_services *line, struct recorder *rec, const char *sha256, struct err *e);
int certify_derive(const struct line_services *line, struct recorder *rec,
	const struct derive_ask *ask, const struct iotime *it, uint8_t *ret, struct err *e);
int certify_make_key(const struct line_services *line, struct recorder *rec, struct key_ask *q,
	const struct iotime *it, struct x509_key *ret, struct err *e);
int certify_request(const struct line_services *line, struct recorder *rec, const char *name,
	const char *subject, const struct iotime *it, struct x509_csr *ret, struct err *e);
int certify_take_key(const struct line_services *line, struct recorder *rec, const char *name,
	const struct iotime *it, uint8_t **ret, size_t *ret_n, struct err *e);
