/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of STM32_Programmer_CLI, for cubeprogrammer*.c alone.
 */
#pragma once

#include "transports/tools/cubeprogrammer.h"

#define CUBE_WORDS_MAX	  (32 + CUBE_OPTIONS_MAX)
#define CUBE_VERSION_LINE "STM32CubeProgrammer v(\\d\\S*)"

extern const struct tool_phase cube_phases[];

struct cube_words {
	char *word[CUBE_WORDS_MAX + 1]; /* owned, NULL-terminated */
	size_t n;
};

void cube_add(struct cube_words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* How it reaches the part: -c and what follows. */
void cube_add_connect(struct cube_words *w, const struct cube_target *t);
void cube_words_done(struct cube_words *w);
