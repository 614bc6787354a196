/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd.h"

#include "transports/tools/openocd_impl.h"
#include "transports/tools/openocd_job.h"

int openocd_run(const struct openocd_probe *p, const struct openocd_job *j,
	const struct teller *tell, const struct iotime *it, struct openocd_result *ret,
	struct err *e)
{
	_cleanup_(tool_dir_done) struct tool_dir dir = {0};
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	struct openocd_run x;
	int r;

	*ret = (struct openocd_result){0};
	r = openocd_argv_make(p, j, &v, e);
	if (r == 0)
		r = openocd_run_init(&x, j, tell, ret, e);
	if (r == 0)
		r = tool_dir_new(p->work_dir ? p->work_dir : "/tmp", &dir, e);
	if (r < 0)
		return r;
	x.spec.argv = (const char *const *)v.arg;
	x.spec.dir = dir.path;
	r = openocd_files_write(&x, e);
	if (r < 0)
		return r;
	openocd_run_phase(&x, "connect", 0);
	r = openocd_run_error(tool_run(&x.spec, &ret->tool, it, e), e);
	if (r == 0)
		r = openocd_run_sums(&x, e);
	return r < 0 ? r : openocd_files_take(&x, e);
}

void openocd_result_done(struct openocd_result *r)
{
	for (size_t i = 0; i < r->lines; i++)
		free(r->line[i]);
	for (size_t i = 0; i < r->warnings; i++)
		free(r->warning[i]);
	free(r->read);
	tool_outcome_done(&r->tool);
	*r = (struct openocd_result){0};
}
