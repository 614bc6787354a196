/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are part of the binary.
 */
#pragma once

#include <stddef.h>

extern const unsigned char openapi_yaml[];
extern const size_t openapi_yaml_len;
