/* SPDX-License-Identifier: Apache-2.0
 *
 * The OpenAPI document. People write it as YAML (openapi.yaml), but for the bodies of requests: what
 * these may hold is what the rows of their route say (base/form.h).
 */
#pragma once

#include <jansson.h>

#include "base/err.h"

/* The whole document, a new reference. -ERR_INVALID: openapi.yaml does not fit the routes. */
int openapi_document(json_t **ret, struct err *e);
