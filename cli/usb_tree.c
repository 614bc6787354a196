/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usb_tree.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/sysfs_usb.h"

static void add_text(struct strbuf *out, const char *before, const char *text)
{
	if (!*text)
		return;
	sb_add(out, before);
	sb_add_escaped(out, text, strlen(text));
}

/* How deep it is: each '-' and '.' of its port is one hub. */
static int depth_of(const char *name)
{
	int depth = 0;

	for (const char *p = name; *p && *p != ':'; p++)
		depth += *p == '-' || *p == '.';
	return depth;
}

static void add_interface(struct strbuf *out, const char *dir, const char *name)
{
	char class[SYSFS_VALUE_BYTES];
	char link[PATH_MAX];
	const char *driver = sysfs_link(dir, name, "driver", link);

	sb_addf(out, "%*s%s class %s, %s\n", 2 * depth_of(name) + 4, "", name,
		sysfs_value(dir, name, "bInterfaceClass", class), driver ? driver : "no driver");
}

static void add_device(struct strbuf *out, const char *dir, const char *name)
{
	char value[SYSFS_VALUE_BYTES];

	sb_addf(out, "%*s%s %s:", 2 * depth_of(name), "", name,
		sysfs_value(dir, name, "idVendor", value));
	sb_add(out, sysfs_value(dir, name, "idProduct", value));
	sb_addf(out, " %s Mbit/s", sysfs_value(dir, name, "speed", value));
	add_text(out, ", ", sysfs_value(dir, name, "manufacturer", value));
	add_text(out, ", ", sysfs_value(dir, name, "product", value));
	add_text(out, ", serial ", sysfs_value(dir, name, "serial", value));
	add_text(out, ", at most ", sysfs_value(dir, name, "bMaxPower", value));
	sb_add(out, "\n");
}

void usb_tree(const char *sysfs, struct strbuf *out)
{
	_cleanup_(freep) char *dir = xasprintf("%s/bus/usb/devices", sysfs);
	struct sysfs_names *l = xcalloc(1, sizeof *l);

	sysfs_names(dir, l);
	for (size_t i = 0; i < l->n; i++) {
		if (strchr(l->name[i], ':'))
			add_interface(out, dir, l->name[i]);
		else
			add_device(out, dir, l->name[i]);
	}
	if (l->n == 0)
		sb_addf(out, "no USB device is in %s\n", dir);
	free(l);
}
