/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk that a unit shows on its USB port: the eMMC of a board in U-Boot's `ums`, a card, a drive of a bootloader. It is found by
 * the port path alone, through sysfs (Documentation/ABI/stable/sysfs-block of Linux), so that no name of a recipe can mean a disk of
 * the host. Used by the worker that owns it, alone.
 *
 * What was opened is compared with what was found: device number, size, and the kernel's number of this appearance (diskseq, Linux
 * 5.15). A unit that leaves and comes back has another, whatever its name. It is opened for itself (O_EXCL: the kernel refuses what is
 * mounted, swap, or part of a RAID), and past the page cache (O_DIRECT): what is read comes from the unit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "transports/links/usb.h"

#define DISK_NAME_BYTES 32    /* sda */
#define DISK_ALIGN	4096u /* of memory that is read into or written from */

struct disk_facts {
	char name[DISK_NAME_BYTES];
	char node[DISK_NAME_BYTES + 8]; /* /dev/sda */
	char port[USB_PORT_BYTES];	/* 1-1.4 */
	char vendor[16], model[32];
	dev_t dev;
	uint64_t bytes;
	uint64_t seq; /* diskseq; 0: this kernel has none */
	uint32_t sector_bytes;
	unsigned lun;
};

/* What is on that port now. sysfs is "/sys". lun -1: the only one with a medium. -ERR_NOT_FOUND: no disk with a medium is there (yet);
 * -ERR_CONFLICT: there are several. */
int disk_look(const char *sysfs, const char *port, int lun, struct disk_facts *ret, struct err *e);
/* Waits for it: the kernel takes a second or more after the device came. */
int disk_wait(
	const char *port, int lun, struct disk_facts *ret, const struct iotime *it, struct err *e);
/* Whether something of the machine uses it: it or a partition of it is mounted (mountinfo is the text of /proc/self/mountinfo), or a
 * device mapper or RAID holds it. -ERR_BUSY names what. */
int disk_check_free(
	const char *sysfs, const struct disk_facts *f, const char *mountinfo, struct err *e);

struct disk;

/* -ERR_BUSY, -ERR_ACCESS (with the udev rule that is missing), -ERR_WRONG_DEVICE where it is another by now, -ERR_DEVICE_REFUSED for
 * one that is read only. */
int disk_open(const struct disk_facts *f, bool write, struct disk **ret, struct err *e);
struct disk *disk_close(struct disk *d); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct disk, disk_close)

/* offset and n are multiples of the sector, buf is aligned to DISK_ALIGN. -ERR_DEVICE_GONE where it left, -ERR_IO with the offset. A
 * call cannot be cancelled: keep n at a MiB or so. */
int disk_read(struct disk *d, uint64_t offset, void *buf, size_t n, struct err *e);
int disk_write(struct disk *d, uint64_t offset, const void *buf, size_t n, struct err *e);
/* All that was written is in the unit, past its own cache. */
int disk_flush(struct disk *d, struct err *e);
/* Whether it is still the one that was opened. -ERR_DEVICE_GONE. */
int disk_same(struct disk *d, struct err *e);
