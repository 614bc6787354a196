/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sqlite/page_sums.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"

#define HEAD_BYTES	128
#define DEFAULT_PAGE	4096
#define WAL_HEAD_BYTES	32
#define WAL_FRAME_BYTES 24
#define WAL_SALT_AT	16 /* sqlite.org/fileformat2.html, 4.1 */
#define WATCH_PAGES	64
#define FOLLOW_S	4
#define FOLLOW_LOOK_US	(10 * US_PER_MS)

/* Of one database, shared by all its connections in this program. */
struct sums {
	struct sums *next; /* under the lock of the list, as refs */
	unsigned refs;
	char *db, *path;
	int fd; /* of the opener, then of the writer: one connection; -1: in memory alone */
	struct mutex lock;
	bool on; /* under lock, as all that follows; held across I/O only while they are made */
	unsigned page_bytes;
	uint64_t log; /* salt of the log that provd writes, 0 none; with the file */
	bool head_dirty;
	uint64_t *slot; /* of page 1 on; 0: not known */
	size_t pages, cap;
	size_t dirty_from, dirty_to; /* of `slot`, not in the file */
	unsigned damaged;
	const char *begun; /* why they were made from what the file holds; NULL: they were there */
	size_t begun_pages;
};

struct page_file {
	sqlite3_file base; /* first: sqlite sees this */
	struct sums *sums;
	bool wal, strict, follow;
	int (*stop)(void *data); /* asked each WATCH_PAGES reads; NULL: reads go on */
	void *stop_data;
	unsigned reads;
};

#define REAL(f) ((sqlite3_file *)((char *)(f) + ((sizeof(struct page_file) + 7) & ~(size_t)7)))
#define OURS(f) ((struct page_file *)(f))

static sqlite3_vfs *below;
static struct {
	struct mutex lock;
	struct sums *first;
} all;

/* --- the sums --- */

/* Each step maps different states to different states: a change within one word is always seen. */
static uint64_t sum_of(const void *page, unsigned bytes, uint64_t number)
{
	const uint8_t *p = page;
	uint64_t h = number * 0x9e3779b97f4a7c15u + bytes;

	for (unsigned i = 0; i + 8 <= bytes; i += 8) {
		uint64_t w;

		memcpy(&w, p + i, 8);
		h = (h ^ le64toh(w)) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	return h ? h : 1;
}

static void reserve_locked(struct sums *s, size_t pages) REQUIRES(s->lock)
{
	if (pages > s->cap) {
		size_t cap = MAX(s->cap * 2, MAX(pages, (size_t)256));
		uint64_t *grown = reallocarray(s->slot, cap, sizeof *grown);

		if (!grown)
			abort();
		memset(grown + s->cap, 0, (cap - s->cap) * sizeof *grown);
		s->slot = grown;
		s->cap = cap;
	}
	s->pages = MAX(s->pages, pages);
}

/* What is not in the file must not be believed at the next start. */
static void give_file_up(struct sums *s)
{
	log_warning("%s: %s: the sums of the pages are kept in memory until provd ends", s->path,
		strerrordesc_np(errno));
	close(s->fd);
	s->fd = -1;
	unlink(s->path);
}

static void store(struct sums *s, const uint64_t *slot, size_t from, size_t n)
{
	size_t bytes = n * sizeof *slot;

	if (s->fd >= 0 && n > 0 &&
		pwrite(s->fd, slot, bytes, (off_t)(HEAD_BYTES + from * sizeof *slot)) !=
			(ssize_t)bytes)
		give_file_up(s);
}

static void touch_locked(struct sums *s, size_t from, size_t to) REQUIRES(s->lock)
{
	bool none = s->dirty_from == s->dirty_to;

	s->dirty_from = none ? from : MIN(s->dirty_from, from);
	s->dirty_to = none ? to : MAX(s->dirty_to, to);
}

/* What is dirty, for the file: the lock is not held while it is written. */
static uint64_t *take_dirty_locked(struct sums *s, size_t *ret_from, size_t *ret_n)
	REQUIRES(s->lock)
{
	size_t n = s->dirty_to - s->dirty_from;
	uint64_t *copy = n ? malloc(n * sizeof *copy) : NULL;

	if (n && !copy)
		abort();
	if (n)
		memcpy(copy, s->slot + s->dirty_from, n * sizeof *copy);
	*ret_from = s->dirty_from;
	*ret_n = n;
	s->dirty_from = s->dirty_to = 0;
	return copy;
}

static void flush(struct sums *s)
{
	size_t from;
	size_t n;

	mutex_lock(&s->lock);
	_cleanup_(freep) uint64_t *slot = take_dirty_locked(s, &from, &n);
	mutex_unlock(&s->lock);
	store(s, slot, from, n);
	if (s->fd >= 0 && n > 0 && fdatasync(s->fd) < 0)
		give_file_up(s);
}

/* Which file they belong to; it stays the same for the life of the file. */
static void identity(const struct sums *s, char *buf, size_t size)
{
	struct statx x = {0};

	statx(AT_FDCWD, s->db, 0, STATX_INO | STATX_BTIME, &x);
	snprintf(buf, size, "provd page sums 1\nfile %llu born %lld.%09u page %u\n",
		(unsigned long long)x.stx_ino, (long long)x.stx_btime.tv_sec, x.stx_btime.tv_nsec,
		s->page_bytes);
}

static void store_head(struct sums *s)
{
	char head[HEAD_BYTES] = {0};
	char id[HEAD_BYTES - 32];

	identity(s, id, sizeof id);
	snprintf(head, sizeof head, "%slog %016llx\n", id, (unsigned long long)s->log);
	if (s->fd >= 0 && pwrite(s->fd, head, sizeof head, 0) != sizeof head)
		give_file_up(s);
}

static uint64_t salt_of(const uint8_t b[WAL_HEAD_BYTES])
{
	uint64_t salt;

	memcpy(&salt, b + WAL_SALT_AT, sizeof salt);
	return salt ? salt : 1;
}

/* Of the log that is there now, 0 none. */
static uint64_t present_log(const struct sums *s)
{
	_cleanup_(freep) char *path = xasprintf("%s-wal", s->db);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t b[WAL_HEAD_BYTES];

	return fd >= 0 && read(fd, b, sizeof b) == sizeof b ? salt_of(b) : 0;
}

/* "" where they are there and speak for this file, else why not. */
static const char *load_locked(struct sums *s) REQUIRES(s->lock)
{
	char want[HEAD_BYTES - 32];
	char head[HEAD_BYTES + 1] = {0};
	unsigned long long log;
	struct stat st;
	size_t pages;

	s->fd = open(s->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return "there were none";
	identity(s, want, sizeof want);
	if (pread(s->fd, head, HEAD_BYTES, 0) != HEAD_BYTES ||
		strncmp(head, want, strlen(want)) != 0 ||
		sscanf(head + strlen(want), "log %llx", &log) != 1 || fstat(s->fd, &st) < 0)
		return "there were those of another file";
	if (log && present_log(s) != log)
		return "another program has moved the log of a provd that was killed into it";
	s->log = log;
	pages = (size_t)(st.st_size - HEAD_BYTES) / sizeof *s->slot;
	reserve_locked(s, pages);
	if (pread(s->fd, s->slot, pages * sizeof *s->slot, HEAD_BYTES) !=
		(ssize_t)(pages * sizeof *s->slot))
		return "they could not be read";
	return "";
}

static void read_page_size_locked(struct sums *s, sqlite3_file *real) REQUIRES(s->lock)
{
	uint8_t b[2];

	s->page_bytes = DEFAULT_PAGE;
	if (real->pMethods->xRead(real, b, sizeof b, 16) == SQLITE_OK && (b[0] | b[1]))
		s->page_bytes = b[1] == 1 ? 65536 : (unsigned)b[0] << 8;
}

/* From what the file holds. The file of sums gets its header last: until then it is nobody's. */
static void build_locked(struct sums *s, sqlite3_file *real, const char *why) REQUIRES(s->lock)
{
	sqlite3_int64 bytes = 0;
	char *page = malloc(s->page_bytes);

	if (!page)
		abort();
	if (s->fd >= 0)
		close(s->fd);
	s->fd = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->cap)
		memset(s->slot, 0, s->cap * sizeof *s->slot);
	s->pages = 0;
	real->pMethods->xFileSize(real, &bytes);
	reserve_locked(s, (size_t)bytes / s->page_bytes);
	for (size_t i = 0; i < s->pages; i++)
		if (real->pMethods->xRead(real, page, (int)s->page_bytes,
			    (sqlite3_int64)i * s->page_bytes) == SQLITE_OK)
			s->slot[i] = sum_of(page, s->page_bytes, i + 1);
	free(page);
	if (s->fd < 0)
		log_warning("%s: %s: the sums of the pages are kept in memory until provd ends",
			s->path, strerrordesc_np(errno));
	/* The header says that the rest is there: it follows it to the disk. */
	store(s, s->slot, 0, s->pages);
	if (s->fd >= 0 && fdatasync(s->fd) < 0)
		give_file_up(s);
	s->log = present_log(s);
	store_head(s);
	if (bytes > 0) {
		s->begun = why;
		s->begun_pages = s->pages;
		log_notice("a sum of each of the %zu pages of %s was made from what they hold: %s",
			s->pages, s->db, why);
	}
}

static void begin(struct sums *s, sqlite3_file *real, bool may_build)
{
	const char *why;

	mutex_lock(&s->lock);
	if (!s->on) {
		read_page_size_locked(s, real);
		why = load_locked(s);
		if (*why && may_build)
			build_locked(s, real, why);
		s->on = !*why || may_build;
	}
	mutex_unlock(&s->lock);
}

/* --- one for each database --- */

static struct sums *sums_ref(const char *db)
{
	struct sums *s;

	mutex_lock(&all.lock);
	for (s = all.first; s && strcmp(s->db, db) != 0; s = s->next)
		;
	if (!s) {
		s = xcalloc(1, sizeof *s);
		s->db = xstrdup(db);
		s->path = xasprintf("%s-sums", db);
		s->fd = -1;
		mutex_init(&s->lock);
		s->next = all.first;
		all.first = s;
	}
	s->refs++;
	mutex_unlock(&all.lock);
	return s;
}

static void sums_unref(struct sums *s)
{
	struct sums **at;

	mutex_lock(&all.lock);
	if (--s->refs > 0) {
		mutex_unlock(&all.lock);
		return;
	}
	for (at = &all.first; *at != s; at = &(*at)->next)
		;
	*at = s->next;
	mutex_unlock(&all.lock);
	if (s->slot)
		store(s, s->slot + s->dirty_from, s->dirty_from, s->dirty_to - s->dirty_from);
	if (s->fd >= 0)
		close(s->fd);
	mutex_done(&s->lock);
	free(s->slot);
	free(s->path);
	free(s->db);
	free(s);
}

/* --- a file --- */

static int file_close(sqlite3_file *f)
{
	int rc = REAL(f)->pMethods->xClose(REAL(f));

	if (OURS(f)->sums)
		sums_unref(OURS(f)->sums);
	return rc;
}

/* Whether the page is what was written. */
static bool is_good(struct sums *s, const void *page, unsigned bytes, size_t i)
{
	uint64_t sum = sum_of(page, bytes, i + 1);
	bool good = true;

	mutex_lock(&s->lock);
	if (s->on && bytes == s->page_bytes && i < s->pages && s->slot[i])
		good = sum == s->slot[i];
	mutex_unlock(&s->lock);
	return good;
}

static void note_damage(struct sums *s, size_t i)
{
	mutex_lock(&s->lock);
	if (!s->damaged)
		s->damaged = (unsigned)(i + 1);
	mutex_unlock(&s->lock);
}

/* The sum as another program has written it since; of a file of sums that it gave up none is known. */
static void take_from_file(struct sums *s, size_t i)
{
	uint64_t sum = 0;
	struct stat st;

	if (s->fd >= 0 && fstat(s->fd, &st) == 0 && st.st_nlink > 0 &&
		pread(s->fd, &sum, sizeof sum, (off_t)(HEAD_BYTES + i * sizeof sum)) !=
			(ssize_t)sizeof sum)
		sum = 0;
	mutex_lock(&s->lock);
	if (i < s->pages)
		s->slot[i] = sum;
	mutex_unlock(&s->lock);
}

/* Whether the log has the page: then a checkpoint that has not been synced yet may have written it, and its sum
 * is not in the file. Frames have a head of 24 bytes: the number of the page, and from byte 8 on the salt of
 * their log (sqlite.org/fileformat2.html, 4.1). */
static bool is_in_log(const struct sums *s, size_t i)
{
	_cleanup_(freep) char *path = xasprintf("%s-wal", s->db);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t head[WAL_HEAD_BYTES], b[WAL_FRAME_BYTES];
	off_t at = WAL_HEAD_BYTES;
	uint32_t number;

	if (fd < 0 || read(fd, head, sizeof head) != sizeof head)
		return false;
	for (; pread(fd, b, sizeof b, at) == sizeof b; at += WAL_FRAME_BYTES + s->page_bytes) {
		memcpy(&number, b, sizeof number);
		if (memcmp(b + 8, head + WAL_SALT_AT, 8) != 0)
			return false;
		if (be32toh(number) == i + 1)
			return true;
	}
	return false;
}

/* The page again and again, with its sum. */
static bool becomes_good(struct page_file *p, void *buf, int bytes, sqlite3_int64 at)
{
	const struct iotime it = {now_us() + FOLLOW_S * US_PER_S, NULL};
	const size_t i = (size_t)(at / bytes);
	bool good = false;

	do {
		take_from_file(p->sums, i);
		good = REAL(p)->pMethods->xRead(REAL(p), buf, bytes, at) == SQLITE_OK &&
		       (is_good(p->sums, buf, (unsigned)bytes, i) || is_in_log(p->sums, i));
	} while (!good && iotime_sleep(FOLLOW_LOOK_US, &it, NULL) == 0);
	return good;
}

static bool is_page(int bytes, sqlite3_int64 at)
{
	return bytes >= 512 && (bytes & (bytes - 1)) == 0 && at % bytes == 0;
}

static bool is_stopped(struct page_file *p)
{
	return p->stop && p->reads++ % WATCH_PAGES == 0 && p->stop(p->stop_data);
}

static int file_read(sqlite3_file *f, void *buf, int bytes, sqlite3_int64 at)
{
	struct page_file *p = OURS(f);
	int rc;

	if (is_stopped(p))
		return SQLITE_INTERRUPT;
	rc = REAL(f)->pMethods->xRead(REAL(f), buf, bytes, at);
	if (rc != SQLITE_OK || p->wal || !is_page(bytes, at))
		return rc;
	if (is_good(p->sums, buf, (unsigned)bytes, (size_t)(at / bytes)) ||
		(p->follow && becomes_good(p, buf, bytes, at)))
		return SQLITE_OK;
	note_damage(p->sums, (size_t)(at / bytes));
	return p->strict ? SQLITE_IOERR_DATA : SQLITE_OK;
}

/* The log begins again, or ends: a start that finds another one knows that it was not provd. */
static void note_log(struct sums *s, uint64_t salt)
{
	bool known;

	mutex_lock(&s->lock);
	known = s->on && s->log != salt;
	s->log = salt;
	mutex_unlock(&s->lock);
	if (known) {
		store_head(s);
		s->head_dirty = true;
	}
}

static void note_page(struct sums *s, const void *buf, int bytes, sqlite3_int64 at)
{
	size_t i;

	if (!is_page(bytes, at))
		return;
	mutex_lock(&s->lock);
	if (s->on && (unsigned)bytes == s->page_bytes) {
		i = (size_t)(at / bytes);
		reserve_locked(s, i + 1);
		s->slot[i] = sum_of(buf, (unsigned)bytes, i + 1);
		touch_locked(s, i, i + 1);
	}
	mutex_unlock(&s->lock);
}

static int file_write(sqlite3_file *f, const void *buf, int bytes, sqlite3_int64 at)
{
	struct page_file *p = OURS(f);
	int rc = REAL(f)->pMethods->xWrite(REAL(f), buf, bytes, at);

	if (rc != SQLITE_OK)
		return rc;
	if (p->wal && at == 0 && bytes == WAL_HEAD_BYTES)
		note_log(p->sums, salt_of(buf));
	else if (!p->wal)
		note_page(p->sums, buf, bytes, at);
	return rc;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct sums *s = OURS(f)->sums;
	size_t keep;

	if (OURS(f)->wal) {
		if (size == 0)
			note_log(s, 0);
	} else {
		mutex_lock(&s->lock);
		keep = s->page_bytes ? (size_t)size / s->page_bytes : 0;
		if (s->on && keep < s->pages) {
			memset(s->slot + keep, 0, (s->pages - keep) * sizeof *s->slot);
			touch_locked(s, keep, s->pages);
		}
		mutex_unlock(&s->lock);
	}
	return REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
	struct sums *s = OURS(f)->sums;

	if (!OURS(f)->wal) {
		flush(s);
	} else if (s->head_dirty) {
		s->head_dirty = false;
		if (s->fd >= 0 && fdatasync(s->fd) < 0)
			give_file_up(s);
	}
	return REAL(f)->pMethods->xSync(REAL(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), ret);
}

static int file_lock(sqlite3_file *f, int how)
{
	return REAL(f)->pMethods->xLock(REAL(f), how);
}

static int file_unlock(sqlite3_file *f, int how)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), how);
}

static int file_reserved(sqlite3_file *f, int *ret)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int file_traits(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int file_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **ret)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), page, bytes, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int file_shm_unmap(sqlite3_file *f, int remove)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), remove);
}

/* Version 2: pages are read, never mapped. */
static const sqlite3_io_methods methods = {2, file_close, file_read, file_write, file_truncate,
	file_sync, file_size, file_lock, file_unlock, file_reserved, file_control, file_sector,
	file_traits, file_shm_map, file_shm_lock, file_shm_barrier, file_shm_unmap, NULL, NULL};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct page_file *p = OURS(f);
	_cleanup_(freep) char *db = NULL;
	int rc;

	if (!name || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
		return below->xOpen(below, name, f, flags, ret_flags);
	*p = (struct page_file){.wal = flags & SQLITE_OPEN_WAL};
	rc = below->xOpen(below, name, REAL(f), flags, ret_flags);
	if (rc != SQLITE_OK) {
		/* What is not open has no methods, unless it wants to be closed. */
		if (REAL(f)->pMethods)
			REAL(f)->pMethods->xClose(REAL(f));
		return rc;
	}
	db = xstrdup(name);
	if (p->wal)
		db[strlen(db) - strlen("-wal")] = 0;
	p->base.pMethods = &methods;
	p->sums = sums_ref(db);
	if (!p->wal)
		begin(p->sums, REAL(f), flags & SQLITE_OPEN_READWRITE);
	return SQLITE_OK;
}

/* The last connection to close has moved the log into the file, and deletes it. */
static int delete_file(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	size_t n = strlen(name);
	int rc = below->xDelete(below, name, sync_dir);

	if (rc == SQLITE_OK && n > 4 && strcmp(name + n - 4, "-wal") == 0) {
		_cleanup_(freep) char *db = xstrdup(name);
		struct sums *s;

		db[n - 4] = 0;
		s = sums_ref(db);
		note_log(s, 0);
		sums_unref(s);
	}
	return rc;
}

static sqlite3_vfs layer;

static void make_layer(void)
{
	below = sqlite3_vfs_find(NULL);
	layer = *below; /* all but open is that of below, and takes its data */
	layer.zName = "provd";
	layer.pNext = NULL;
	layer.szOsFile = below->szOsFile + (int)((sizeof(struct page_file) + 7) & ~(size_t)7);
	layer.xOpen = open_file;
	layer.xDelete = delete_file;
	mutex_init(&all.lock);
	sqlite3_vfs_register(&layer, 0);
}

const char *page_sums_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_layer);
	return layer.zName;
}

static struct page_file *file_of(sqlite3 *sql)
{
	sqlite3_file *f = NULL;

	sqlite3_file_control(sql, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	return f && f->pMethods == &methods ? OURS(f) : NULL;
}

void page_sums_strict(sqlite3 *sql, bool strict)
{
	struct page_file *p = file_of(sql);

	if (p)
		p->strict = strict;
}

void page_sums_follow(sqlite3 *sql)
{
	struct page_file *p = file_of(sql);

	if (p)
		p->strict = p->follow = true;
}

void page_sums_watch(sqlite3 *sql, int (*stop)(void *data), void *data)
{
	struct page_file *p = file_of(sql);

	if (p) {
		p->stop = stop;
		p->stop_data = data;
		p->reads = 0;
	}
}

unsigned page_sums_damaged(sqlite3 *sql)
{
	struct page_file *p = file_of(sql);
	unsigned page = 0;

	if (p) {
		mutex_lock(&p->sums->lock);
		page = p->sums->damaged;
		mutex_unlock(&p->sums->lock);
	}
	return page;
}

const char *page_sums_begun(sqlite3 *sql, size_t *ret_pages)
{
	struct page_file *p = file_of(sql);
	const char *why = NULL;

	*ret_pages = 0;
	if (p) {
		mutex_lock(&p->sums->lock);
		why = p->sums->begun;
		*ret_pages = p->sums->begun_pages;
		mutex_unlock(&p->sums->lock);
	}
	return why;
}
