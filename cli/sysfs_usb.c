/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sysfs_usb.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/util.h"

/* The root hub of a bus comes before what is plugged there: "usb1" is ordered as "1-0". */
static const char *sort_key(const char *name, char buf[SYSFS_NAME_BYTES])
{
	if (strncmp(name, "usb", 3) != 0)
		return name;
	snprintf(buf, SYSFS_NAME_BYTES, "%.*s-0", SYSFS_NAME_BYTES - 4, name + 3);
	return buf;
}

static int by_port(const void *a, const void *b)
{
	char first[SYSFS_NAME_BYTES];
	char second[SYSFS_NAME_BYTES];

	return strverscmp(sort_key(a, first), sort_key(b, second));
}

void sysfs_names(const char *dir, struct sysfs_names *l)
{
	DIR *d = opendir(dir);

	l->n = 0;
	for (struct dirent *de; d && (de = readdir(d)) && l->n < SYSFS_NAMES_MAX;)
		if (de->d_name[0] != '.' && strlen(de->d_name) < SYSFS_NAME_BYTES)
			snprintf(l->name[l->n++], SYSFS_NAME_BYTES, "%s", de->d_name);
	if (d)
		closedir(d);
	qsort(l->name, l->n, SYSFS_NAME_BYTES, by_port);
}

const char *sysfs_value(
	const char *dir, const char *name, const char *which, char buf[SYSFS_VALUE_BYTES])
{
	_cleanup_(freep) char *path = xasprintf("%s/%s/%s", dir, name, which);
	FILE *f = fopen(path, "re");

	buf[0] = '\0';
	if (!f)
		return buf;
	if (fgets(buf, SYSFS_VALUE_BYTES, f))
		buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
	return buf;
}

const char *sysfs_link(const char *dir, const char *name, const char *which, char buf[PATH_MAX])
{
	_cleanup_(freep) char *path = xasprintf("%s/%s/%s", dir, name, which);
	const ssize_t n = readlink(path, buf, PATH_MAX - 1);

	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return strrchr(buf, '/') ? strrchr(buf, '/') + 1 : buf;
}

/* --- what an interface is --- */

/* Class, subclass and protocol: USB-IF's defined class codes; DFU 1.1, appendix A; USBTMC 1.0, table 43; for fastboot and
 * adb the table of docs/transports.md. 0x100: any. */
static const struct known {
	unsigned class, subclass, protocol;
	const char *kind;
} known[] = {
	{0xfe, 0x01, 0x100, "dfu"},
	{0xfe, 0x03, 0x100, "instrument"},
	{0xff, 0x42, 0x03, "fastboot"},
	{0xff, 0x42, 0x01, "adb"},
	{0x07, 0x01, 0x100, "printer"},
	{0},
};

static unsigned hex_value(const char *dir, const char *name, const char *which)
{
	char text[SYSFS_VALUE_BYTES];

	return (unsigned)strtoul(sysfs_value(dir, name, which, text), NULL, 16);
}

static const char *kind_by_class(const char *dir, const char *interface)
{
	const unsigned class = hex_value(dir, interface, "bInterfaceClass");
	const unsigned subclass = hex_value(dir, interface, "bInterfaceSubClass");
	const unsigned protocol = hex_value(dir, interface, "bInterfaceProtocol");

	for (const struct known *k = known; k->kind; k++)
		if (k->class == class && k->subclass == subclass &&
			(k->protocol == protocol || k->protocol == 0x100))
			return k->kind;
	return NULL;
}

/* ST-Link and J-Link by their vendor's product numbers, as OpenOCD's rules for udev list them; CMSIS-DAP by its name, as
 * its specification asks. */
static bool is_probe(const struct usb_seen *s)
{
	if (!strcmp(s->vid, "0483"))
		return !strncmp(s->pid, "374", 3) || !strncmp(s->pid, "375", 3);
	return !strcmp(s->vid, "1366") || strstr(s->product, "CMSIS-DAP");
}

/* ttyUSB0 is in the interface's own directory, ttyACM0 in tty/ below it. */
static bool find_tty(const char *dir, const char *interface, char node[])
{
	static const char *const below[] = {"", "/tty"};

	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s%s", dir, interface, below[i]);
		DIR *d = opendir(path);
		bool found = false;

		for (struct dirent *de; d && !found && (de = readdir(d));) {
			found = !strncmp(de->d_name, "tty", 3) && de->d_name[3] &&
				strlen(de->d_name) < SYSFS_NAME_BYTES;
			if (found)
				snprintf(node, SYSFS_NAME_BYTES + 8, "/dev/%.63s", de->d_name);
		}
		if (d)
			closedir(d);
		if (found)
			return true;
	}
	return false;
}

/* --- the list --- */

static struct usb_seen *add(struct usb_seen **list, size_t *n, const struct usb_seen *row)
{
	struct usb_seen *grown = reallocarray(*list, *n + 1, sizeof *grown);

	if (!grown)
		abort();
	*list = grown;
	grown[*n] = *row;
	return &grown[(*n)++];
}

static void describe(const char *dir, const char *device, struct usb_seen *row)
{
	char value[SYSFS_VALUE_BYTES];

	snprintf(row->port, sizeof row->port, "%s", device);
	snprintf(row->vid, sizeof row->vid, "%.4s", sysfs_value(dir, device, "idVendor", value));
	snprintf(row->pid, sizeof row->pid, "%.4s", sysfs_value(dir, device, "idProduct", value));
	sysfs_value(dir, device, "product", row->product);
	sysfs_value(dir, device, "serial", row->serial);
}

static void add_interface(const char *dir, const char *interface, struct usb_seen **list, size_t *n)
{
	struct usb_seen row = {.kind = kind_by_class(dir, interface)};
	char device[SYSFS_NAME_BYTES];

	snprintf(device, sizeof device, "%.*s", (int)strcspn(interface, ":"), interface);
	describe(dir, device, &row);
	snprintf(row.interface, sizeof row.interface, "%s", interface);
	if (find_tty(dir, interface, row.node))
		row.kind = "serial";
	if (row.kind)
		add(list, n, &row);
}

size_t sysfs_usb_seen(const char *sysfs, struct usb_seen **ret)
{
	_cleanup_(freep) char *dir = xasprintf("%s/bus/usb/devices", sysfs);
	struct sysfs_names *l = xcalloc(1, sizeof *l);
	struct usb_seen row = {0};
	size_t n = 0;

	*ret = NULL;
	sysfs_names(dir, l);
	for (size_t i = 0; i < l->n; i++) {
		if (strchr(l->name[i], ':')) {
			add_interface(dir, l->name[i], ret, &n);
			continue;
		}
		row = (struct usb_seen){.kind = "probe"};
		describe(dir, l->name[i], &row);
		if (is_probe(&row))
			add(ret, &n, &row);
	}
	free(l);
	return n;
}

const char *sysfs_usb_one_probe(const char *sysfs, char buf[USB_ADDRESS_BYTES])
{
	struct usb_seen *seen = NULL;
	size_t n = sysfs_usb_seen(sysfs, &seen), found = 0;

	for (size_t i = 0; i < n; i++)
		if (!strcmp(seen[i].kind, "probe") && found++ == 0)
			snprintf(buf, USB_ADDRESS_BYTES, "usb:%s", seen[i].port);
	free(seen);
	return found == 1 ? buf : NULL;
}
