/* SPDX-License-Identifier: Apache-2.0
 *
 * The USB devices of this machine as sysfs shows them (Documentation/ABI/stable/sysfs-bus-usb of the kernel), and which of
 * their interfaces an action reaches. sysfs is "/sys".
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define SYSFS_NAMES_MAX	  1024
#define SYSFS_NAME_BYTES  64
#define SYSFS_VALUE_BYTES 128
#define USB_ADDRESS_BYTES 96 /* usb:PORT */

/* Names of a directory, ordered so that a hub comes before what is plugged into it. */
struct sysfs_names {
	char name[SYSFS_NAMES_MAX][SYSFS_NAME_BYTES];
	size_t n;
};

void sysfs_names(const char *dir, struct sysfs_names *l);
/* The first line of DIR/NAME/WHICH; "" where it is not there. Returns buf. */
const char *sysfs_value(
	const char *dir, const char *name, const char *which, char buf[SYSFS_VALUE_BYTES]);
/* The last part of what the link DIR/NAME/WHICH points to; NULL where there is none. */
const char *sysfs_link(const char *dir, const char *name, const char *which, char buf[PATH_MAX]);

/* One interface that an action reaches. */
struct usb_seen {
	const char *kind; /* "serial", "dfu", "fastboot", "adb", "probe", "instrument", "printer" */
	char port[SYSFS_NAME_BYTES];	  /* 1-1.4 */
	char interface[SYSFS_NAME_BYTES]; /* 1-1.4:1.0 */
	char node[SYSFS_NAME_BYTES + 8];  /* /dev/ttyUSB0; "" without one */
	char vid[8], pid[8];
	char product[SYSFS_VALUE_BYTES], serial[SYSFS_VALUE_BYTES];
};

/* How many there are, in *ret, which the caller frees. In the order of the ports; a probe is listed once. */
size_t sysfs_usb_seen(const char *sysfs, struct usb_seen **ret);
/* usb:PORT of the only probe that is plugged, in buf; NULL where there is none, or there are several. */
const char *sysfs_usb_one_probe(const char *sysfs, char buf[USB_ADDRESS_BYTES]);
