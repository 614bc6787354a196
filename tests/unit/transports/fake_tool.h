/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that replays a transcript: it writes its arguments into `args`, keeps the files it was
 * given under `kept/`, prints the text and ends with the status.
 */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/tree.h"
#include "base/util.h"

struct fake_tool {
	char dir[64];
	char program[96];
};

static inline void fake_put(const struct fake_tool *t, const char *name, const char *text, int mode)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", t->dir, name);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, (mode_t)mode), 0);
}

static inline void fake_tool_init(struct fake_tool *t)
{
	snprintf(t->dir, sizeof t->dir, "/tmp/fake-tool.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	snprintf(t->program, sizeof t->program, "%s/program", t->dir);
	fake_put(t, "program",
		"#!/bin/sh\nd=$(dirname $0)\nprintf '%s\\n' \"$@\" > $d/args\nrm -rf $d/kept\n"
		"cp -r . $d/kept\ncat $d/says\nexit $(cat $d/status)\n",
		0755);
}

static inline void fake_tool_says(const struct fake_tool *t, const char *text, const char *status)
{
	fake_put(t, "says", text, 0600);
	fake_put(t, "status", status, 0600);
}

/* A file under the fake's directory, NUL-terminated; owned by the caller. */
static inline char *fake_tool_read(const struct fake_tool *t, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", t->dir, name);
	char *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "re");

	ck_assert_msg(f != NULL, "%s", path);

	size_t n = fread(text, 1, 65535, f);

	text[n] = 0;
	fclose(f);
	return text;
}

static inline void fake_tool_done(struct fake_tool *t)
{
	tree_remove(t->dir);
}
