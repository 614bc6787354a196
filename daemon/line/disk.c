/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"

#define SHARE	    16 /* of the file system, at most */
#define START_BYTES (512 << 10)
#define START_PIECE (64 << 10)	 /* the index of a log of 4000 pages, and its file */
#define MARGIN	    (4ull << 20) /* what one commit may need, with the log of the database */

struct disk {
	char *dir, *path, *start_path;
	uint64_t wanted;
	struct holds *holds;
	struct mutex lock; /* of the reserve's file; its holder waits for no one else */
	bool kept;	   /* atomic: the reserve is whole */
	bool refused;	   /* atomic: a commit found no room */
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
	d->start_path = xasprintf("%s/reserve.start", dir);
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
	free(d->start_path);
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
static bool allocate(const char *path, uint64_t bytes)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);

	if (r != 0 && fd >= 0 && ftruncate(fd, 0) < 0)
		log_warning("%s: %s", path, strerrordesc_np(errno));
	return r == 0;
}

static void take_back(struct disk *d, uint64_t bytes)
{
	if (allocate(d->path, bytes))
		__atomic_store_n(&d->kept, true, __ATOMIC_RELAXED);
}

static off_t start_room(const struct disk *d)
{
	struct stat st;

	return stat(d->start_path, &st) == 0 && st.st_blocks > 0 ? st.st_size : 0;
}

bool disk_give_start(struct disk *d)
{
	off_t left = start_room(d);

	return left > 0 && truncate(d->start_path, MAX(left - START_PIECE, 0)) == 0;
}

void disk_refused(struct disk *d, const char *why)
{
	if (!__atomic_exchange_n(&d->refused, true, __ATOMIC_RELAXED))
		log_error("nothing can be recorded: %s", why);
	holds_set(d->holds, HOLD_DISK,
		"the disk of %s is full, nothing can be recorded (%s): no new order or run until there is room",
		d->dir, why);
}

void disk_took(struct disk *d)
{
	__atomic_store_n(&d->refused, false, __ATOMIC_RELAXED);
}

bool disk_is_refused(const struct disk *d)
{
	return __atomic_load_n(&d->refused, __ATOMIC_RELAXED);
}

void disk_room(const struct disk *d, uint64_t *ret_free_bytes, uint64_t *ret_size_bytes)
{
	struct statvfs v;

	*ret_free_bytes = *ret_size_bytes = 0;
	if (statvfs(d->dir, &v) < 0)
		return;
	*ret_free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	*ret_size_bytes = (uint64_t)v.f_blocks * v.f_frsize;
}

void disk_tick(struct disk *d)
{
	struct room room;
	bool given;

	if (!look(d, &room))
		return;
	mutex_lock(&d->lock);
	if (__atomic_load_n(&d->kept, __ATOMIC_RELAXED) && !is_kept(d))
		__atomic_store_n(&d->kept, false, __ATOMIC_RELAXED);
	/* Not on the edge: what was just given would be taken, and given again. */
	if (!__atomic_load_n(&d->kept, __ATOMIC_RELAXED) && room.free > 3 * room.low)
		take_back(d, room.low);
	if (room.low > 0 && room.free > START_BYTES + room.low / 2 && start_room(d) < START_BYTES)
		allocate(d->start_path, START_BYTES);
	given = !__atomic_load_n(&d->kept, __ATOMIC_RELAXED);
	mutex_unlock(&d->lock);
	if (disk_is_refused(d) || !look(d, &room))
		return;
	/* A reserve that was given away is as large as the low water: what is free may be that alone. */
	if (room.free < room.low ||
		((given || holds_has(d->holds, HOLD_DISK)) && room.free <= room.low + room.low / 4))
		holds_set(d->holds, HOLD_DISK,
			"the disk of %s has %llu MiB left, %llu MiB are kept for the records: no new order or run until there is room",
			d->dir, (unsigned long long)(room.free >> 20),
			(unsigned long long)(room.low >> 20));
	else
		holds_lift(d->holds, HOLD_DISK);
}

int disk_check(struct disk *d, uint64_t bytes, struct err *e)
{
	struct room room;

	if (!look(d, &room) || (bytes <= room.free && room.free - bytes >= room.low))
		return 0;
	return err_set(e, ERR_DISK_FULL,
		"the disk of %s has %llu MiB left and must keep %llu MiB for the records: free some space, or delete artifacts",
		d->dir, (unsigned long long)(room.free >> 20),
		(unsigned long long)(room.low >> 20));
}
