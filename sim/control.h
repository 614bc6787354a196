/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket: one JSON object a line in, one out: {"ok":true,...} or
 * {"ok":false,"error":"..."}.
 */
#pragma once

#include "sim/fleet.h"

struct control;

int control_new(
	struct loop *l, struct fleet *f, const char *path, struct control **ret, struct err *e);
struct control *control_free(struct control *c);
/* Answers one request; never NULL, owned by the caller. Sets *ret_quit on "quit". */
json_t *control_answer(struct fleet *f, const char *line, bool *ret_quit);
/* The commands for people. */
void control_print(FILE *out);
