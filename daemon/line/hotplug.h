/* SPDX-License-Identifier: Apache-2.0
 *
 * Where plug events come from: libudev in the product, a stream of `udevadm monitor --property`
 * text from a simulator or a recording otherwise. Main thread only; a source copies facts, it
 * decides nothing.
 *
 * A source first listens and then lists, so that nothing plugged in between is lost; so a device
 * may be reported twice. A scan is reported as SCAN_BEGIN, what is present, SCAN_DONE: what was not
 * in it is gone. A source that lost events (ENOBUFS) scans again by itself.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "daemon/recipe/env.h"

enum hotplug_kind { HOTPLUG_PRESENT, HOTPLUG_GONE, HOTPLUG_SCAN_BEGIN, HOTPLUG_SCAN_DONE };

struct hotplug_event {
	enum hotplug_kind kind;
	char syspath[256];	      /* identity while it is plugged */
	char sysname[USB_PORT_BYTES]; /* usb_device: 1-1.4.2; of a tty, that of its usb_device */
	char subsystem[16];
	char devtype[24];
	char node[LINK_ADDRESS_BYTES];		   /* DEVNAME */
	char id_path[DEVICE_PATH_BYTES];	   /* physical port, without /dev; "" if unknown */
	char vid[USB_ID_BYTES], pid[USB_ID_BYTES]; /* lower-case hex */
	char serial[USB_SERIAL_BYTES];
	bool hub;		 /* a usb_device whose interface is of class 09 */
	int interface;		 /* bInterfaceNumber, -1 if none */
	uint32_t devnum;	 /* bus address, new at each enumeration; 0 if unknown */
	uint32_t speed_kbps;	 /* of the USB link: 1500, 12000, 480000, ...; 0 if unknown */
	uint64_t initialized_us; /* USEC_INITIALIZED, 0 if unknown */
};

struct hotplug;

struct hotplug_sink {
	void (*event)(void *data, const struct hotplug *source, const struct hotplug_event *ev);
	void *data;
};

struct hotplug_ops {
	const char *name;
	/* Begins to listen, then lists. */
	int (*start)(struct hotplug *h, struct err *e);
	/* To poll for reading; -1 while there is none (a stream that is away). */
	int (*fd)(struct hotplug *h);
	/* Reports what has come; also called every second as a timer. */
	int (*dispatch)(struct hotplug *h, struct err *e);
	/* Lists again: the safety net, every 30 s. */
	int (*rescan)(struct hotplug *h, struct err *e);
	void (*free)(struct hotplug *h);
};

struct hotplug {
	const struct hotplug_ops *ops;
	struct hotplug_sink sink;
};

int hotplug_udev_new(const struct hotplug_sink *sink, struct hotplug **ret, struct err *e);
/* A unix socket that speaks the text of `udevadm monitor --property`, and lists on connect and on
 * "RESCAN\n", ending a list with a block whose action is scan-done. Reconnects by itself; while it
 * is away, nothing of it is present. */
int hotplug_stream_new(
	const char *path, const struct hotplug_sink *sink, struct hotplug **ret, struct err *e);
struct hotplug *hotplug_free(struct hotplug *h);

/* Of udev's property ID_USB_INTERFACES; takes NULL. */
bool hotplug_is_hub(const char *interfaces);
/* A parser of that text, for streams and recordings: feeds lines, calls the sink at each block's
 * end. */
struct uevent_text {
	struct hotplug_event ev;
	char action[16];
};
void uevent_text_line(struct uevent_text *t, struct hotplug *h, const char *line);
