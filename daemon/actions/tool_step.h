/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions that run foreign programs share: a directory for the step, and the evidence. On
 * the worker's thread.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/tools/tool.h"

struct tool_step {
	struct step *s;
	struct tool_dir dir;
	struct tool_outcome seen;
};

/* Makes the directory; tool_step_done() removes it. */
int tool_step_open(struct tool_step *t, struct step *s, struct err *e);
void tool_step_done(struct tool_step *t);
/* program, version (where it is known) and the marker lines: also of a run that failed, whose
 * record says then what it was run with. */
void tool_step_evidence(const struct tool_outcome *o, struct step_result *out);

/* Files that the program left in the step's directory are saved under their names. must: one that is missing, empty of a
 * name, or something else than a file that is its own, is -ERR_TOOL_FAILED; else what is there is saved. */
int tool_step_keep(struct tool_step *t, const json_t *names, bool must, struct err *e);

#define ARG_ROW_PROGRAM(name_)                                                          \
	{                                                                               \
		.name = "program", .type = ARG_STRING, .def = (name_), .program = true, \
		.doc = "the program: looked up in PATH, or a whole path"                \
	}
