/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usb_tree.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define NAMES_MAX   1024
#define NAME_BYTES  64
#define VALUE_BYTES 128

/* Devices are "usb1", "1-2.3", interfaces "1-2.3:1.0". */
struct names {
	char name[NAMES_MAX][NAME_BYTES];
	size_t n;
};

/* The root hub of a bus comes before what is plugged there: "usb1" is ordered as "1-0". */
static const char *sort_key(const char *name, char buf[NAME_BYTES])
{
	if (strncmp(name, "usb", 3) != 0)
		return name;
	snprintf(buf, NAME_BYTES, "%.*s-0", NAME_BYTES - 4, name + 3);
	return buf;
}

static int by_port(const void *a, const void *b)
{
	char first[NAME_BYTES];
	char second[NAME_BYTES];

	return strverscmp(sort_key(a, first), sort_key(b, second));
}

static void read_names(const char *dir, struct names *l)
{
	DIR *d = opendir(dir);

	for (struct dirent *de; d && (de = readdir(d)) && l->n < NAMES_MAX;)
		if (de->d_name[0] != '.' && strlen(de->d_name) < NAME_BYTES)
			snprintf(l->name[l->n++], NAME_BYTES, "%s", de->d_name);
	if (d)
		closedir(d);
	qsort(l->name, l->n, NAME_BYTES, by_port);
}

/* One line of an attribute without what is not text; "" where it is not there. */
static const char *attribute(
	const char *dir, const char *name, const char *which, char buf[VALUE_BYTES])
{
	_cleanup_(freep) char *path = xasprintf("%s/%s/%s", dir, name, which);
	FILE *f = fopen(path, "re");

	buf[0] = '\0';
	if (!f)
		return buf;
	if (fgets(buf, VALUE_BYTES, f))
		buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
	return buf;
}

static void add_text(struct strbuf *out, const char *before, const char *text)
{
	if (!*text)
		return;
	sb_add(out, before);
	sb_add_escaped(out, text, strlen(text));
}

static const char *driver_of(const char *dir, const char *name, char buf[PATH_MAX])
{
	_cleanup_(freep) char *path = xasprintf("%s/%s/driver", dir, name);
	const ssize_t n = readlink(path, buf, PATH_MAX - 1);

	if (n < 0)
		return "no driver";
	buf[n] = '\0';
	return strrchr(buf, '/') ? strrchr(buf, '/') + 1 : buf;
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
	char class[VALUE_BYTES];
	char link[PATH_MAX];

	sb_addf(out, "%*s%s class %s, %s\n", 2 * depth_of(name) + 4, "", name,
		attribute(dir, name, "bInterfaceClass", class), driver_of(dir, name, link));
}

static void add_device(struct strbuf *out, const char *dir, const char *name)
{
	char value[VALUE_BYTES];

	sb_addf(out, "%*s%s %s:", 2 * depth_of(name), "", name,
		attribute(dir, name, "idVendor", value));
	sb_add(out, attribute(dir, name, "idProduct", value));
	sb_addf(out, " %s Mbit/s", attribute(dir, name, "speed", value));
	add_text(out, ", ", attribute(dir, name, "manufacturer", value));
	add_text(out, ", ", attribute(dir, name, "product", value));
	add_text(out, ", serial ", attribute(dir, name, "serial", value));
	add_text(out, ", at most ", attribute(dir, name, "bMaxPower", value));
	sb_add(out, "\n");
}

void usb_tree(const char *sysfs, struct strbuf *out)
{
	_cleanup_(freep) char *dir = xasprintf("%s/bus/usb/devices", sysfs);
	struct names *l = xcalloc(1, sizeof *l);

	read_names(dir, l);
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
