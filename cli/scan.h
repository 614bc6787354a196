/* SPDX-License-Identifier: Apache-2.0
 *
 * What is plugged into this machine, without a daemon. Nothing is opened and nothing is sent.
 */
#pragma once

#include <jansson.h>

/* Array of {kind, port, access, actions, and of USB: usb, vid, pid, product, serial}; the kinds are those of
 * cli/recipe_draft.h. A new reference. */
json_t *scan_items(void);
