/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"

#define SHARE  16	    /* of the file system, at most */
#define MARGIN (4ull << 20) /* what one commit may need, with the log of the database */

struct disk {
	char *dir, *path;
	uint64_t wanted;
	struct holds *holds;
	struct mutex lock; /* of the reserve's file; its holder waits for no one else */
	bool kept;	   /* atomic: the reserve is whole */
};

struct room {
	uint64_t free, low, margin;
};

/* Whether there is a reserve: a person may have removed it. */
static bool is_kept(const struct disk *d)
{
	struct stat st;

	return stat(d->path, &st) == 0 && st.st_blocks > 0;
}

struct disk *disk_new(const char *dir, uint64_t reserve_bytes, struct holds *holds)
{
	struct disk *d = xcalloc(1, sizeof *d);

	d->dir = xstrdup(dir);
	d->path = xasprintf("%s/reserve", dir);
	d->wanted = reserve_bytes;
	d->holds = holds;
	mutex_init(&d->lock);
	d->kept = is_kept(d);
	return d;
}

struct disk *disk_free(struct disk *d)
{
	if (!d)
		return NULL;
	mutex_done(&d->lock);
	free(d->path);
	free(d->dir);
	free(d);
	return NULL;
}

/* false: it cannot be seen; then nothing is held. */
static bool look(const struct disk *d, struct room *ret)
{
	struct statvfs v;

	if (statvfs(d->dir, &v) < 0)
		return false;
	ret->free = (uint64_t)v.f_bavail * v.f_frsize;
	ret->low = MIN(d->wanted, (uint64_t)v.f_blocks * v.f_frsize / SHARE);
	ret->margin = MIN(MARGIN, ret->low / 2);
	return true;
}

static void give_way(struct disk *d)
{
	mutex_lock(&d->lock);
	if (__atomic_load_n(&d->kept, __ATOMIC_RELAXED) && truncate(d->path, 0) == 0)
		log_warning("the disk of %s is full: its reserve goes to the records", d->dir);
	__atomic_store_n(&d->kept, false, __ATOMIC_RELAXED);
	mutex_unlock(&d->lock);
}

void disk_make_room(struct disk *d)
{
	struct room room;

	if (__atomic_load_n(&d->kept, __ATOMIC_RELAXED) && look(d, &room) &&
		room.free < room.margin)
		give_way(d);
}

/* Space that is really allocated: a hole would hold nothing. */
static void take_back(struct disk *d, uint64_t bytes)
{
	_cleanup_(closep) int fd = open(d->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);

	if (r == 0)
		__atomic_store_n(&d->kept, true, __ATOMIC_RELAXED);
	else if (fd >= 0 && ftruncate(fd, 0) < 0)
		log_warning("%s: %s", d->path, strerrordesc_np(errno));
}

void disk_tick(struct disk *d)
{
	struct room room;

	if (!look(d, &room))
		return;
	mutex_lock(&d->lock);
	if (__atomic_load_n(&d->kept, __ATOMIC_RELAXED) && !is_kept(d))
		__atomic_store_n(&d->kept, false, __ATOMIC_RELAXED);
	/* Not on the edge: what was just given would be taken, and given again. */
	if (!__atomic_load_n(&d->kept, __ATOMIC_RELAXED) && room.free > 3 * room.low)
		take_back(d, room.low);
	mutex_unlock(&d->lock);
	if (!look(d, &room))
		return;
	if (room.free < room.low)
		holds_set(d->holds, HOLD_DISK,
			"the disk of %s has %llu MiB left, %llu MiB are kept for the records: no "
			"new "
			"order or run until there is room",
			d->dir, (unsigned long long)(room.free >> 20),
			(unsigned long long)(room.low >> 20));
	else if (room.free > room.low + room.low / 4)
		holds_lift(d->holds, HOLD_DISK);
}

int disk_check(struct disk *d, uint64_t bytes, struct err *e)
{
	struct room room;

	if (!look(d, &room) || (bytes <= room.free && room.free - bytes >= room.low))
		return 0;
	return err_set(e, ERR_DISK_FULL,
		"the disk of %s has %llu MiB left and must keep %llu MiB for the records: free "
		"some "
		"space, or delete artifacts",
		d->dir, (unsigned long long)(room.free >> 20),
		(unsigned long long)(room.low >> 20));
}
