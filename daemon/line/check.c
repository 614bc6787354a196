/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/check.h"

#include <stdio.h>

#include "daemon/line/config.h"

int check_configuration(const char *path)
{
	struct strbuf report = {0};
	struct config *c = NULL;
	struct err e;
	int r = config_load(path, &report, &c, &e);

	if (report.s)
		fputs(report.s, stderr);
	sb_done(&report);
	if (r < 0)
		return 2;
	printf("%s: %zu station%s, listens on %s:%u, keeps its records in %s\n", path, c->stations,
		c->stations == 1 ? "" : "s", c->listen_host, c->listen_port, c->state_dir);
	config_unref(c);
	return 0;
}
