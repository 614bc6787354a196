/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenAPI document. People write it as YAML (openapi.yaml), but for what rows say: the schema of a
 * request's body (base/form.h), what the router refuses, the codes of problems. Who may ask is written there by
 * hand, so that a test compares it with the rows.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"

/* The whole document, a new reference. -ERR_INVALID: openapi.yaml does not fit the routes. */
int openapi_document(json_t **ret, struct err *e);
