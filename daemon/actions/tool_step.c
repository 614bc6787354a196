/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/tool_step.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/outfile.h"

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

/* A program may have put a link there, to what it may not read itself. */
static int open_made(const struct tool_step *t, const char *name, int *ret, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", t->dir.path, name);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_TOOL_FAILED,
			"'keep': the program left no file '%s' in its directory", name);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return err_set(e, ERR_TOOL_FAILED,
			"'keep': '%s' is not a file of the program's own: a link or something else",
			name);
	*ret = steal_fd(&fd);
	return 0;
}

static int keep_one(struct tool_step *t, const char *name, struct err *e)
{
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	_cleanup_(closep) int fd = -1;
	char sha256[SHA256_HEX];
	int r = open_made(t, name, &fd, e);

	if (r == 0)
		r = step_file(t->s, name, &f, e);
	if (r == 0)
		r = outfile_add_fd(&f, fd, e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	return r < 0 ? r : step_file_commit(t->s, &f, e);
}

int tool_step_keep(struct tool_step *t, const json_t *names, bool must, struct err *e)
{
	const json_t *v;
	size_t i;
	int r = 0;

	json_array_foreach((json_t *)names, i, v) {
		const char *name = json_string_value(v);
		int k = output_name_check(name ? name : "", must && r == 0 ? e : NULL);

		if (k == 0)
			k = keep_one(t, name, must && r == 0 ? e : NULL);
		r = r < 0 ? r : k;
	}
	return must ? r : 0;
}
