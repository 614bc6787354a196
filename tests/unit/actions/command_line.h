/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit on a fake link with a command line that says what a test wants.
 */
#pragma once

#include "tests/unit/actions/action_rig.h"

/* The answers of a unit's command line: of the first whose command begins the line. */
struct answer {
	const char *command, *says;
};
static const struct answer *answers;

static inline void command_line(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	for (const struct answer *a = answers; a && a->command; a++)
		if (n >= strlen(a->command) && !memcmp(bytes, a->command, strlen(a->command))) {
			fake_says(f, a->says);
			fake_says(f, "\r\n");
			return;
		}
}
