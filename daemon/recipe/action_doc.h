/* SPDX-License-Identifier: Apache-2.0
 *
 * The action table as text: as JSON for the API and provctl, as Markdown for the reference manual.
 */
#pragma once

#include <jansson.h>

#include "base/strbuf.h"

/* Every action with its arguments, outputs and flags; a new reference. */
json_t *actions_json(void);
void actions_markdown(struct strbuf *out);
