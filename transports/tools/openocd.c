/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd.h"

#include "transports/tools/openocd_impl.h"
#include "transports/tools/openocd_job.h"

static void on_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	openocd_run_line(data, bytes, n);
}

static int judge(const struct openocd_run *x, const struct proc_result *pr, struct err *e)
{
	int r = openocd_run_cause(x, e);

	if (r < 0)
		return r;
	if (pr->term_signal)
		return err_set(
			e, ERR_TOOL_FAILED, "OpenOCD was ended by signal %d", pr->term_signal);
	if (pr->exit_status != 0)
		return err_set(e, ERR_TOOL_FAILED, "OpenOCD ended with status %d%s%.200s",
			pr->exit_status, x->error_line ? ": " : "",
			x->error_line ? x->error_line : "");
	/* What was not read may have held a failure. */
	if (pr->truncated[PROC_STDOUT] || pr->truncated[PROC_STDERR])
		return err_set(e, ERR_TOOL_FAILED, "OpenOCD said more than %llu MiB",
			OPENOCD_OUTPUT_MAX >> 20);
	return openocd_run_markers(x, e);
}

static int run_program(
	struct openocd_run *x, const struct openocd_argv *v, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *home = xasprintf("HOME=%s", x->dir);
	const char *const env[] = {home, "LC_ALL=C", NULL};
	const struct proc_opts o = {
		.argv = (const char *const *)v->arg,
		.cwd = x->dir,
		.env = env,
		.max_output_bytes = OPENOCD_OUTPUT_MAX,
		.kill_grace_us = OPENOCD_KILL_GRACE_US,
		.line = on_line,
		.data = x,
	};
	struct proc_result pr = {.exit_status = -1};
	int r;

	openocd_run_phase(x, "connect", 0);
	r = proc_run(&o, it, &pr, e);
	x->result->exit_status = pr.exit_status;
	x->result->written = x->bytes[SEEN_WROTE];
	x->result->verified = x->bytes[SEEN_VERIFIED_BYTES];
	/* It hangs after many a failure: the cause says more than the time. */
	if (r == 0 || (r == -ERR_TIMEOUT && x->cause >= 0))
		r = judge(x, &pr, e);
	return r;
}

int openocd_run(const struct openocd_probe *p, const struct openocd_job *j,
	const struct openocd_hooks *h, const struct iotime *it, struct openocd_result *ret,
	struct err *e)
{
	_cleanup_(tool_dir_done) struct tool_dir dir = {0};
	_cleanup_(openocd_run_done) struct openocd_run x = {0};
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	int r;

	*ret = (struct openocd_result){.exit_status = -1};
	r = openocd_argv_make(p, j, &v, e);
	if (r == 0)
		r = openocd_run_init(&x, j, h, ret, e);
	if (r == 0)
		r = tool_dir_new(p->work_dir ? p->work_dir : "/tmp", &dir, e);
	x.dir = dir.path;
	if (r == 0)
		r = openocd_files_write(&x, e);
	if (r == 0)
		r = run_program(&x, &v, it, e);
	return r < 0 ? r : openocd_files_take(&x, e);
}

void openocd_result_done(struct openocd_result *r)
{
	for (size_t i = 0; i < r->lines; i++)
		free(r->line[i]);
	for (size_t i = 0; i < r->warnings; i++)
		free(r->warning[i]);
	free(r->read);
	*r = (struct openocd_result){.exit_status = -1};
}
