/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of conformance of a unit as a page to be printed: HTML by itself, which loads nothing and
 * runs nothing. Any thread.
 */
#pragma once

#include <jansson.h>

/* facts: of record_conformance() (db/record_export.h). The page, owned by the caller. */
char *conformance_page(const json_t *facts);
/* Its Content-Security-Policy: its own style and nothing else. Owned by the caller. */
char *conformance_policy(void);
