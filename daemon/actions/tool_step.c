/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/tool_step.h"

int tool_step_open(struct tool_step *t, struct step *s, struct err *e)
{
	char parent[FILE_PATH_BYTES] = "/tmp";
	int r = s->ops->scratch ? s->ops->scratch(s->env, parent, e) : 0;

	*t = (struct tool_step){.s = s};
	return r < 0 ? r : tool_dir_new(parent, &t->dir, e);
}

void tool_step_done(struct tool_step *t)
{
	tool_outcome_done(&t->seen);
	tool_dir_done(&t->dir);
}

void tool_step_evidence(const struct tool_outcome *o, struct step_result *out)
{
	json_t *lines;

	/* Nothing was run. */
	if (!o->program)
		return;
	lines = json_array();
	for (size_t i = 0; i < TOOL_MARKERS_MAX; i++)
		if (o->marker[i])
			json_array_append_new(lines, json_string(o->marker[i]));
	result_evidence(out, "lines", lines);
	result_evidence(out, "program", json_string(o->program));
	if (o->version)
		result_evidence(out, "version", json_string(o->version));
}
