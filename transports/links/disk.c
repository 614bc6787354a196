/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/strbuf.h"

#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

#define SECTOR_OF_SYSFS 512 /* whatever the disk has */
#define LOOK_EVERY_US	(100 * US_PER_MS)
#define MOUNTINFO	"/proc/self/mountinfo"

struct disk {
	struct disk_facts f;
	int fd;
	bool writes;
};

/* -- sysfs -- */

/* The first line of a file; "" where there is none. */
static void line_of(const char *path, char *ret, size_t size)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	if (!f || !fgets(ret, (int)size, f))
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	/* SCSI pads its names. */
	for (size_t n = strlen(ret); n && ret[n - 1] == ' '; n--)
		ret[n - 1] = '\0';
}

static void attribute(
	const char *sysfs, const char *name, const char *which, char *ret, size_t size)
{
	_cleanup_(freep) char *path = xasprintf("%s/class/block/%s/%s", sysfs, name, which);

	line_of(path, ret, size);
}

static uint64_t number(const char *sysfs, const char *name, const char *which)
{
	char text[32];

	attribute(sysfs, name, which, text, sizeof text);
	return strtoull(text, NULL, 10);
}

static bool has(const char *sysfs, const char *name, const char *which)
{
	_cleanup_(freep) char *path = xasprintf("%s/class/block/%s/%s", sysfs, name, which);

	return access(path, F_OK) == 0;
}

/* Whether the link of a block device goes through an interface of the USB device on that port, and not through a device further out:
 * .../1-1.4/1-1.4:1.0/host6/target6:0:0/6:0:0:LUN/block/sda */
static bool is_on(const char *link, const char *port, unsigned *ret_lun)
{
	_cleanup_(freep) char *through = xasprintf("/%s/%s:", port, port);
	const char *at = strstr(link, through);
	const char *target = at ? strstr(at, "/target") : NULL;
	const char *address = target ? strchr(target + 1, '/') : NULL;
	unsigned host, channel, id;

	return address && sscanf(address, "/%u:%u:%u:%u/", &host, &channel, &id, ret_lun) == 4;
}

/* false where it is no whole disk of that port with a medium. */
static bool facts_of(const char *sysfs, const char *name, const char *port, struct disk_facts *ret)
{
	_cleanup_(freep) char *path = xasprintf("%s/class/block/%s", sysfs, name);
	struct disk_facts f = {0};
	char link[PATH_MAX], text[32];
	ssize_t n = readlink(path, link, sizeof link - 1);
	unsigned major, minor;

	if (n < 0 || strlen(name) >= sizeof f.name || has(sysfs, name, "partition"))
		return false;
	link[n] = '\0';
	attribute(sysfs, name, "dev", text, sizeof text);
	if (!is_on(link, port, &f.lun) || sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	f.bytes = number(sysfs, name, "size") * SECTOR_OF_SYSFS;
	if (!f.bytes)
		return false;
	snprintf(f.name, sizeof f.name, "%s", name);
	snprintf(f.node, sizeof f.node, "/dev/%s", f.name);
	snprintf(f.port, sizeof f.port, "%s", port);
	attribute(sysfs, name, "device/vendor", f.vendor, sizeof f.vendor);
	attribute(sysfs, name, "device/model", f.model, sizeof f.model);
	f.dev = makedev(major, minor);
	f.seq = number(sysfs, name, "diskseq");
	f.sector_bytes = (uint32_t)number(sysfs, name, "queue/logical_block_size");
	if (!f.sector_bytes)
		f.sector_bytes = SECTOR_OF_SYSFS;
	*ret = f;
	return true;
}

int disk_look(const char *sysfs, const char *port, int lun, struct disk_facts *ret, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/class/block", sysfs);
	DIR *dir = opendir(path);
	struct disk_facts found = {0}, f;
	unsigned count = 0;

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (d->d_name[0] == '.' || !facts_of(sysfs, d->d_name, port, &f) ||
			(lun >= 0 && f.lun != (unsigned)lun))
			continue;
		found = f;
		count++;
	}
	if (dir)
		closedir(dir);
	if (count == 0 && lun >= 0)
		return err_set(e, ERR_NOT_FOUND,
			"usb:%s shows no disk with a medium as logical unit %d", port, lun);
	if (count == 0)
		return err_set(e, ERR_NOT_FOUND, "usb:%s shows no disk with a medium", port);
	if (count > 1)
		return err_set(
			e, ERR_CONFLICT, "usb:%s shows %u disks: say which ('lun')", port, count);
	*ret = found;
	return 0;
}

int disk_wait(
	const char *port, int lun, struct disk_facts *ret, const struct iotime *it, struct err *e)
{
	int r;

	while ((r = disk_look("/sys", port, lun, ret, e)) == -ERR_NOT_FOUND) {
		int slept = iotime_sleep(LOOK_EVERY_US, it, NULL);

		/* What was looked for is the sentence, not the clock. */
		if (slept == -ERR_TIMEOUT)
			return r;
		if (slept < 0)
			return iotime_check(it, e);
	}
	return r;
}

/* -- who uses it -- */

static int check_mounts(dev_t dev, const char *name, const char *mountinfo, struct err *e)
{
	const char *line = mountinfo;

	while (line && *line) {
		unsigned id, parent, major, minor;
		char root[256], where[256];

		if (sscanf(line, "%u %u %u:%u %255s %255s", &id, &parent, &major, &minor, root,
			    where) == 6 &&
			makedev(major, minor) == dev)
			return err_set(e, ERR_BUSY,
				"/dev/%s is mounted on %s: a disk of a unit is not mounted by the machine (switch its automounter off)",
				name, where);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

static int check_holders(const char *sysfs, const char *name, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/class/block/%s/holders", sysfs, name);
	DIR *dir = opendir(path);
	int r = 0;

	for (struct dirent *d; r == 0 && dir && (d = readdir(dir));)
		if (d->d_name[0] != '.')
			r = err_set(e, ERR_BUSY, "/dev/%s is part of %s", name, d->d_name);
	if (dir)
		closedir(dir);
	return r;
}

static int check_one(const char *sysfs, const char *name, const char *mountinfo, struct err *e)
{
	char text[32];
	unsigned major, minor;
	int r = check_holders(sysfs, name, e);

	attribute(sysfs, name, "dev", text, sizeof text);
	if (r == 0 && sscanf(text, "%u:%u", &major, &minor) == 2)
		r = check_mounts(makedev(major, minor), name, mountinfo, e);
	return r;
}

int disk_check_free(
	const char *sysfs, const struct disk_facts *f, const char *mountinfo, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/class/block/%s", sysfs, f->name);
	DIR *dir = opendir(path);
	int r = check_one(sysfs, f->name, mountinfo, e);

	/* Its partitions are directories in it, with its name first. */
	for (struct dirent *d; r == 0 && dir && (d = readdir(dir));)
		if (!strncmp(d->d_name, f->name, strlen(f->name)) &&
			has(sysfs, d->d_name, "partition"))
			r = check_one(sysfs, d->d_name, mountinfo, e);
	if (dir)
		closedir(dir);
	return r;
}

static int check_host(const struct disk_facts *f, struct err *e)
{
	_cleanup_(fclosep) FILE *in = fopen(MOUNTINFO, "re");
	struct strbuf text = {0};
	char buf[4096];
	size_t n;
	int r;

	if (!in)
		return err_errno(e, ERR_IO, errno, "%s", MOUNTINFO);
	while ((n = fread(buf, 1, sizeof buf, in)) > 0)
		sb_add_n(&text, buf, n);
	r = ferror(in) ? err_set(e, ERR_IO, "%s cannot be read", MOUNTINFO)
		       : disk_check_free("/sys", f, text.s ? text.s : "", e);
	sb_done(&text);
	return r;
}

/* -- open -- */

static int opened(const struct disk_facts *f, int fd, struct err *e)
{
	struct stat st;
	uint64_t bytes = 0, seq = 0;

	if (fstat(fd, &st) < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return err_errno(e, ERR_IO, errno, "%s", f->node);
	if (f->seq && ioctl(fd, BLKGETDISKSEQ, &seq) < 0)
		return err_errno(e, ERR_IO, errno, "%s", f->node);
	if (!S_ISBLK(st.st_mode) || st.st_rdev != f->dev || bytes != f->bytes || seq != f->seq)
		return err_set(e, ERR_WRONG_DEVICE,
			"%s is another disk than the one that usb:%s showed: it left in between",
			f->node, f->port);
	return 0;
}

static int why_not(const struct disk_facts *f, int os_errno, struct err *e)
{
	switch (os_errno) {
	case EBUSY:
		return err_set(e, ERR_BUSY,
			"%s (usb:%s) is in use: mounted, swap, or opened by another program for itself",
			f->node, f->port);
	case EACCES:
	case EPERM:
		return err_set(e, ERR_ACCESS,
			"%s (usb:%s): provd may not open it; a udev rule gives the disks of a unit's port to provd (see 'Disks of units' for the operator)",
			f->node, f->port);
	case EROFS:
		return err_set(e, ERR_DEVICE_REFUSED, "%s (usb:%s) is read only", f->node, f->port);
	case ENOENT:
	case ENXIO:
	case ENODEV:
	case ENOMEDIUM:
		return err_set(e, ERR_DEVICE_GONE, "%s (usb:%s) is gone", f->node, f->port);
	default:
		return err_errno(e, ERR_IO, os_errno, "%s (usb:%s)", f->node, f->port);
	}
}

int disk_open(const struct disk_facts *f, bool write, struct disk **ret, struct err *e)
{
	_cleanup_(disk_closep) struct disk *d = xcalloc(1, sizeof *d);
	int r = check_host(f, e);

	d->f = *f;
	d->writes = write;
	d->fd = -1;
	if (r < 0)
		return r;
	d->fd = open(f->node, (write ? O_RDWR : O_RDONLY) | O_EXCL | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0)
		return why_not(f, errno, e);
	r = opened(f, d->fd, e);
	if (r == 0)
		*ret = steal_ptr(&d);
	return r;
}

struct disk *disk_close(struct disk *d)
{
	if (d) {
		/* The table of partitions that was written; a kernel that may not or cannot leaves it. */
		if (d->fd >= 0 && d->writes)
			(void)!ioctl(d->fd, BLKRRPART);
		if (d->fd >= 0)
			close(d->fd);
		free(d);
	}
	return NULL;
}

int disk_same(struct disk *d, struct err *e)
{
	struct disk_facts now;
	int r = disk_look("/sys", d->f.port, (int)d->f.lun, &now, NULL);

	if (r < 0 || now.dev != d->f.dev || now.seq != d->f.seq || now.bytes != d->f.bytes)
		return err_set(e, ERR_DEVICE_GONE,
			"the disk of usb:%s left, or is another one by now", d->f.port);
	return 0;
}

static int broken(struct disk *d, const char *what, uint64_t offset, int os_errno, struct err *e)
{
	int r = disk_same(d, e);

	if (r < 0)
		return r;
	if (os_errno == EROFS || os_errno == EPERM)
		return why_not(&d->f, EROFS, e);
	return err_errno(e, ERR_IO, os_errno, "%s (usb:%s): %s at byte %llu", d->f.node, d->f.port,
		what, (unsigned long long)offset);
}

int disk_read(struct disk *d, uint64_t offset, void *buf, size_t n, struct err *e)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = pread(d->fd, (char *)buf + at, n - at, (off_t)(offset + at));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return broken(d, "read", offset + at, k < 0 ? errno : EIO, e);
		at += (size_t)k;
	}
	return 0;
}

int disk_write(struct disk *d, uint64_t offset, const void *buf, size_t n, struct err *e)
{
	for (size_t at = 0; at < n;) {
		ssize_t k = pwrite(d->fd, (const char *)buf + at, n - at, (off_t)(offset + at));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return broken(d, "write", offset + at, k < 0 ? errno : ENOSPC, e);
		at += (size_t)k;
	}
	return 0;
}

int disk_flush(struct disk *d, struct err *e)
{
	if (fsync(d->fd) < 0)
		return broken(d, "flush", 0, errno, e);
	return 0;
}
