/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as it is stored and hashed.
 */
#pragma once

#include <jansson.h>

/* Sorted keys, no space, 17 digits (a double survives); owned by the caller. NULL on exhaustion. */
char *canonical(const json_t *j);
