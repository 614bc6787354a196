/* SPDX-License-Identifier: Apache-2.0
 *
 * Images in a tool's directory, under names of provd's own.
 */
#pragma once

#include "transports/images/image.h"
#include "transports/tools/tool.h"

/* The whole image as Intel HEX. */
int tool_dir_ihex(const struct tool_dir *d, const char *name, const struct image *i, struct err *e);
/* Segment k as raw bytes. */
int tool_dir_segment(
	const struct tool_dir *d, const char *name, const struct image *i, size_t k, struct err *e);
