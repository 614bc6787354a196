/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of hotplug share: a binding with a configuration of its own, and the log of what
 * it told a station, as text: "+A1.console tty:/dev/ttyACM0;" for present, "!" before a wrong
 * device,
 * "-A1.console;" for absent.
 */
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/line/binding.h"
#include "tests/unit/unit.h"

struct plugged {
	char dir[64];
	struct config *config;
	struct binding *binding;
	struct strbuf log;
};

static void plugged_present(
	void *data, const struct config_port *at, const struct device_facts *f, bool wrong)
{
	struct plugged *p = data;

	sb_addf(&p->log, "%s%s.%s %s;", wrong ? "!" : "+", at->station->id,
		config_port_row(at)->role, f->node);
}

static void plugged_absent(void *data, const struct config_port *at)
{
	struct plugged *p = data;

	sb_addf(&p->log, "-%s.%s;", at->station->id, config_port_row(at)->role);
}

/* 0, or -code with what the loader reports. */
static int plugged_config(struct plugged *p, const char *yaml, struct strbuf *report, struct err *e)
{
	strcpy(p->dir, "/tmp/provd-plugged-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(p->dir));

	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", p->dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);

	int r = config_load(path, report, &p->config, e);

	unlink(path);
	rmdir(p->dir);
	return r;
}

static void plugged_init(struct plugged *p, const char *yaml)
{
	struct strbuf report = {0};
	struct err e = {0};
	const struct binding_sink sink = {p, plugged_present, plugged_absent};

	*p = (struct plugged){0};
	ck_assert_msg(plugged_config(p, yaml, &report, &e) == 0, "%s", report.s ? report.s : e.msg);
	sb_done(&report);
	p->binding = binding_new(&sink);
	binding_set_config(p->binding, p->config);
}

static void plugged_done(struct plugged *p)
{
	binding_free(p->binding);
	config_unref(p->config);
	sb_done(&p->log);
}

/* What was told since the last look. */
static void plugged_told(struct plugged *p, const char *want)
{
	ck_assert_str_eq(p->log.s ? p->log.s : "", want);
	sb_clear(&p->log);
}
