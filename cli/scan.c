/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl scan: what is plugged into this machine, without a daemon, each with the address that an action on a bench takes as
 * its port. Nothing is opened and nothing is sent.
 */
#include "cli/scan.h"

#include <unistd.h>

#include "base/util.h"
#include "cli/provctl.h"
#include "cli/recipe_draft.h"
#include "cli/sysfs_usb.h"

static bool may_open(const char *sysfs, const struct usb_seen *s)
{
	_cleanup_(freep) char *dir = xasprintf("%s/bus/usb/devices", sysfs);
	char bus[SYSFS_VALUE_BYTES], device[SYSFS_VALUE_BYTES];
	char node[64];

	if (s->node[0])
		return access(s->node, R_OK | W_OK) == 0;
	snprintf(node, sizeof node, "/dev/bus/usb/%03ld/%03ld",
		strtol(sysfs_value(dir, s->port, "busnum", bus), NULL, 10),
		strtol(sysfs_value(dir, s->port, "devnum", device), NULL, 10));
	return access(node, R_OK | W_OK) == 0;
}

static json_t *item(const char *kind, const char *address, bool access)
{
	return json_pack("{s:s, s:s, s:b, s:s}", "kind", kind, "port", address, "access", access,
		"actions", device_kind(kind)->actions);
}

static void add_usb(json_t *items)
{
	struct usb_seen *seen = NULL;
	size_t n = sysfs_usb_seen("/sys", &seen);

	for (size_t i = 0; i < n; i++) {
		const struct usb_seen *s = &seen[i];
		_cleanup_(freep) char *usb = xasprintf("usb:%s", s->port);
		json_t *o = item(s->kind, s->node[0] ? s->node : usb, may_open("/sys", s));

		json_object_update_new(
			o, json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "usb", s->port, "vid", s->vid,
				   "pid", s->pid, "product", s->product[0] ? s->product : NULL,
				   "serial", s->serial[0] ? s->serial : NULL));
		json_array_append_new(items, o);
	}
	free(seen);
}

/* Of the machine itself: the kernel has a node for each that might be there, and a type for those that are. */
static void add_uarts(json_t *items)
{
	struct sysfs_names *l = xcalloc(1, sizeof *l);
	char type[SYSFS_VALUE_BYTES];
	char subsystem[PATH_MAX];

	sysfs_names("/sys/class/tty", l);
	for (size_t i = 0; i < l->n; i++) {
		_cleanup_(freep) char *node = xasprintf("/dev/%s", l->name[i]);
		const char *bus =
			sysfs_link("/sys/class/tty", l->name[i], "device/subsystem", subsystem);

		if (bus && strncmp(bus, "usb", 3) != 0 &&
			strtol(sysfs_value("/sys/class/tty", l->name[i], "type", type), NULL, 10) >
				0)
			json_array_append_new(
				items, item("serial", node, access(node, R_OK | W_OK) == 0));
	}
	free(l);
}

static void print_items_of(struct ctl *c, const json_t *items)
{
	static const char *const heads[] = {
		"KIND", "PORT", "IDS", "WHAT", "SERIAL", "ACTIONS", "ACCESS"};
	const json_t *o;
	struct table t;
	size_t i;

	table_begin(&t, heads, ARRAY_LEN(heads));
	json_array_foreach(items, i, o) {
		static const char *const members[] = {"product", "serial", "actions"};
		_cleanup_(freep) char *kind = json_text(o, "kind");
		_cleanup_(freep) char *port = json_text(o, "port");
		_cleanup_(freep) char *vid = json_text(o, "vid");
		_cleanup_(freep) char *pid = json_text(o, "pid");
		_cleanup_(freep) char *ids = *vid ? xasprintf("%s:%s", vid, pid) : xstrdup("");

		table_add(&t, kind);
		table_add(&t, port);
		table_add(&t, ids);
		for (size_t k = 0; k < ARRAY_LEN(members); k++) {
			_cleanup_(freep) char *text = json_text(o, members[k]);

			table_add(&t, text);
		}
		table_add(&t, json_is_true(json_object_get(o, "access")) ? "yes" : "no");
	}
	table_print(&t, c->color);
	table_done(&t);
}

json_t *scan_items(void)
{
	json_t *items = json_array();

	add_usb(items);
	add_uarts(items);
	return items;
}

static int cmd_scan(struct ctl *c, int argc, char **argv)
{
	json_t *items;

	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("scan");
	items = scan_items();
	if (c->json) {
		json_t *o = json_pack("{s:O}", "items", items);

		print_json(o);
		json_decref(o);
	} else if (json_array_size(items) == 0) {
		puts("nothing that an action reaches is plugged: no serial port, and no USB device of DFU, fastboot, adb, a probe, an instrument or a printer");
	} else {
		print_items_of(c, items);
	}
	json_decref(items);
	return EXIT_PASSED;
}

const struct command commands_scan[] = {
	{"scan", "", "What is plugged into this machine, with its port for exec; without a daemon",
		cmd_scan},
	{0},
};
