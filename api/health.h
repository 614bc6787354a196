/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether provd lives, and whether its line is ready: for who starts it again, and for who sends units.
 *
 *   /livez   a thread hangs for good: only a restart helps
 *   /readyz  something keeps the line from its work: each cause with a stable code and a sentence
 */
#pragma once

#include "api/call.h"

/* The main loop came round, and whether all threads that it looks after do. why: the sentence where one does
 * not. Main. */
void health_beat(struct api *a, bool alive, const char *why);

int get_livez(struct call *c, struct err *e);
int get_readyz(struct call *c, struct err *e);
