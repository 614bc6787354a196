/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to libudev. libudev objects are not thread safe: only the main thread comes here,
 * and only plain copies leave.
 */
#include <errno.h>
#include <libudev.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/line/hotplug.h"

#define RECEIVE_BUFFER (8 * 1024 * 1024)

struct udev_source {
	struct hotplug h;
	struct udev *udev;
	struct udev_monitor *monitor;
};

static const struct {
	const char *subsystem, *devtype;
} wanted[] = {{"usb", "usb_device"}, {"tty", NULL}};

static void copy(char *dst, size_t size, const char *src)
{
	snprintf(dst, size, "%s", src ? src : "");
}

static const char *prop(struct udev_device *d, const char *key)
{
	return udev_device_get_property_value(d, key);
}

static uint64_t number(const char *s)
{
	return s ? strtoull(s, NULL, 10) : 0;
}

/* sysfs says Mbit/s, of a low-speed device with a fraction: "1.5". It is read without the device's lock
 * (drivers/usb/core/sysfs.c). */
static uint32_t speed_of(struct udev_device *usb)
{
	const char *s = usb ? udev_device_get_sysattr_value(usb, "speed") : NULL;
	double mbps = s ? strtod(s, NULL) : 0;

	return mbps > 0 && mbps < 1e6 ? (uint32_t)(mbps * 1000 + 0.5) : 0;
}

/* The facts of a device. On `remove` sysfs is already gone: only properties answer. The parent of a
 * USB device is a hub, whose attributes cannot be read while it enumerates something (the kernel
 * holds its lock, for seconds): it is not asked. */
static void facts_of(struct udev_device *d, struct hotplug_event *ev)
{
	const char *subsystem = udev_device_get_subsystem(d);
	bool tty = subsystem && !strcmp(subsystem, "tty");
	struct udev_device *usb =
		tty ? udev_device_get_parent_with_subsystem_devtype(d, "usb", "usb_device") : NULL;
	struct udev_device *itf =
		tty ? udev_device_get_parent_with_subsystem_devtype(d, "usb", "usb_interface")
		    : NULL;
	const char *num = prop(d, "ID_USB_INTERFACE_NUM");

	copy(ev->syspath, sizeof ev->syspath, udev_device_get_syspath(d));
	copy(ev->subsystem, sizeof ev->subsystem, subsystem);
	copy(ev->devtype, sizeof ev->devtype, udev_device_get_devtype(d));
	copy(ev->node, sizeof ev->node, udev_device_get_devnode(d));
	copy(ev->id_path, sizeof ev->id_path, prop(d, "ID_PATH"));
	copy(ev->vid, sizeof ev->vid, prop(d, "ID_VENDOR_ID"));
	copy(ev->pid, sizeof ev->pid, prop(d, "ID_MODEL_ID"));
	copy(ev->serial, sizeof ev->serial, prop(d, "ID_SERIAL_SHORT"));
	ev->hub = !tty && hotplug_is_hub(prop(d, "ID_USB_INTERFACES"));
	ev->devnum = (uint32_t)number(prop(d, "DEVNUM"));
	ev->initialized_us = number(prop(d, "USEC_INITIALIZED"));
	if (!num && itf)
		num = udev_device_get_sysattr_value(itf, "bInterfaceNumber");
	ev->interface = num ? (int)strtol(num, NULL, 16) : -1;
	ev->speed_kbps = speed_of(usb ? usb : d);
	copy(ev->sysname, sizeof ev->sysname, udev_device_get_sysname(usb ? usb : d));
	if (usb) {
		/* Rules that add these to a tty may be absent (a mini system): the parent knows. */
		if (!ev->vid[0])
			copy(ev->vid, sizeof ev->vid,
				udev_device_get_sysattr_value(usb, "idVendor"));
		if (!ev->pid[0])
			copy(ev->pid, sizeof ev->pid,
				udev_device_get_sysattr_value(usb, "idProduct"));
		if (!ev->serial[0])
			copy(ev->serial, sizeof ev->serial,
				udev_device_get_sysattr_value(usb, "serial"));
		if (!ev->devnum)
			ev->devnum = (uint32_t)number(udev_device_get_sysattr_value(usb, "devnum"));
	}
}

static void tell(struct udev_source *s, struct udev_device *d, enum hotplug_kind kind)
{
	struct hotplug_event ev = {.kind = kind, .interface = -1};

	facts_of(d, &ev);
	/* Virtual consoles and the like have no physical port. */
	if (!strcmp(ev.subsystem, "tty") && !ev.id_path[0] && !ev.vid[0])
		return;
	s->h.sink.event(s->h.sink.data, &s->h, &ev);
}

static int rescan(struct hotplug *h, struct err *e)
{
	struct udev_source *s = container_of(h, struct udev_source, h);
	struct udev_enumerate *en = udev_enumerate_new(s->udev);
	struct udev_list_entry *entry;
	struct hotplug_event mark = {.kind = HOTPLUG_SCAN_BEGIN};

	if (!en)
		return err_set(e, ERR_NO_MEMORY, "udev_enumerate_new");
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		udev_enumerate_add_match_subsystem(en, wanted[i].subsystem);
	udev_enumerate_add_match_is_initialized(en);

	int r = udev_enumerate_scan_devices(en);

	if (r < 0) {
		udev_enumerate_unref(en);
		return err_errno(e, ERR_IO, -r, "list the devices of udev");
	}
	h->sink.event(h->sink.data, h, &mark);
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(en))
	{
		struct udev_device *d =
			udev_device_new_from_syspath(s->udev, udev_list_entry_get_name(entry));

		if (!d)
			continue; /* gone between the listing and here */
		const char *type = udev_device_get_devtype(d);

		if (strcmp(udev_device_get_subsystem(d), "usb") != 0 ||
			(type && !strcmp(type, "usb_device")))
			tell(s, d, HOTPLUG_PRESENT);
		udev_device_unref(d);
	}
	udev_enumerate_unref(en);
	mark.kind = HOTPLUG_SCAN_DONE;
	h->sink.event(h->sink.data, h, &mark);
	return 0;
}

static int start(struct hotplug *h, struct err *e)
{
	struct udev_source *s = container_of(h, struct udev_source, h);

	/* Without udevd libudev listens to nothing and says nothing. */
	if (access("/run/udev/control", F_OK) != 0)
		log_error(
			"udevd is not running (no /run/udev/control): plugged devices will not be seen");
	s->monitor = udev_monitor_new_from_netlink(s->udev, "udev");
	if (!s->monitor)
		return err_errno(e, ERR_IO, errno, "udev monitor");
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		udev_monitor_filter_add_match_subsystem_devtype(
			s->monitor, wanted[i].subsystem, wanted[i].devtype);
	/* More than rmem_max needs CAP_NET_ADMIN; without it a burst ends in a rescan, not in a
	 * loss. */
	udev_monitor_set_receive_buffer_size(s->monitor, RECEIVE_BUFFER);

	int r = udev_monitor_enable_receiving(s->monitor);

	if (r < 0)
		return err_errno(e, ERR_IO, -r, "udev monitor");
	return rescan(h, e);
}

static int dispatch(struct hotplug *h, struct err *e)
{
	struct udev_source *s = container_of(h, struct udev_source, h);

	for (;;) {
		errno = 0;

		struct udev_device *d = udev_monitor_receive_device(s->monitor);

		if (!d) {
			if (errno != ENOBUFS)
				return 0;
			log_warning("udev events were lost: listing all devices again");
			return rescan(h, e);
		}

		const char *action = udev_device_get_action(d);

		if (action && !strcmp(action, "remove"))
			tell(s, d, HOTPLUG_GONE);
		else if (action && strcmp(action, "unbind") != 0 && strcmp(action, "offline") != 0)
			tell(s, d, HOTPLUG_PRESENT);
		udev_device_unref(d);
	}
}

static int source_fd(struct hotplug *h)
{
	return udev_monitor_get_fd(container_of(h, struct udev_source, h)->monitor);
}

static void source_free(struct hotplug *h)
{
	struct udev_source *s = container_of(h, struct udev_source, h);

	if (s->monitor)
		udev_monitor_unref(s->monitor);
	if (s->udev)
		udev_unref(s->udev);
	free(s);
}

static const struct hotplug_ops ops = {"udev", start, source_fd, dispatch, rescan, source_free};

int hotplug_udev_new(const struct hotplug_sink *sink, struct hotplug **ret, struct err *e)
{
	struct udev_source *s = xcalloc(1, sizeof *s);

	s->h.ops = &ops;
	s->h.sink = *sink;
	s->udev = udev_new();
	if (!s->udev) {
		source_free(&s->h);
		return err_errno(e, ERR_IO, errno, "udev");
	}
	*ret = &s->h;
	return 0;
}

struct hotplug *hotplug_free(struct hotplug *h)
{
	if (h)
		h->ops->free(h);
	return NULL;
}
