/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/attachments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"

#define NEW	       "new-"
#define SWEEP_NAMES    64 /* of one step */
#define SWEEP_EVERY_US (600 * US_PER_S)
#define READ_BYTES     (256u * 1024)
#define JUMP_S	       60

struct attachments {
	char *root;
	int dir;
	/* Held for the change of one name: between the look at the age of a file and its removal none takes
	 * its place. */
	struct mutex lock;
	DIR *walk; /* NULL: between two walks */
	uint64_t next_us;
	unsigned gone;
	int64_t apart_s; /* the wall clock from the monotonic one, and when it was set last */
	uint64_t set_us;
};

static int64_t apart_s(void)
{
	return (int64_t)time(NULL) - (int64_t)(now_us() / US_PER_S);
}

int attachments_new(const char *root, struct attachments **ret, struct err *e)
{
	struct attachments *a = xcalloc(1, sizeof *a);

	a->root = xstrdup(root);
	a->apart_s = apart_s();
	mutex_init(&a->lock);
	a->dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (a->dir < 0) {
		err_errno(e, ERR_IO, errno, "the folder of attachments %s", root);
		attachments_free(a);
		return -ERR_IO;
	}
	*ret = a;
	return 0;
}

struct attachments *attachments_free(struct attachments *a)
{
	if (!a)
		return NULL;
	if (a->walk)
		closedir(a->walk);
	closep(&a->dir);
	mutex_done(&a->lock);
	free(a->root);
	free(a);
	return NULL;
}

/* --- taking --- */

static int is_another(const struct attach_file *f, struct err *e)
{
	return err_set(
		e, ERR_IO, "'%s' is not attached: the file is not the one that was saved", f->name);
}

static int open_saved(
	int dir, const struct attach_file *f, int *ret, struct stat *st, struct err *e)
{
	_cleanup_(closep) int fd =
		dir < 0 ? -1 : openat(dir, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, st) < 0)
		return err_errno(e, ERR_IO, errno, "'%s' is not attached", f->name);
	if (!S_ISREG(st->st_mode) || st->st_size != (off_t)f->bytes)
		return is_another(f, e);
	*ret = steal_fd(&fd);
	return 0;
}

/* A secret that lies over the border of two pieces is found in the second, which begins with the end of the first. */
static int find_secrets(int fd, const struct attach_file *f, struct err *e)
{
	const size_t over = secret_set_empty(f->secrets) ? 0 : secret_longest(f->secrets) - 1;
	_cleanup_(freep) char *buf = over ? malloc(over + READ_BYTES) : NULL;
	size_t kept = 0;
	ssize_t n = 1;
	bool found = false;

	if (secret_set_empty(f->secrets))
		return 0;
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "no memory to look into '%s'", f->name);
	while (!found && (n = read(fd, buf + kept, READ_BYTES)) > 0) {
		const size_t all = kept + (size_t)n;

		found = secret_found_in(f->secrets, buf, all);
		kept = MIN(all, over);
		memmove(buf, buf + all - kept, kept);
	}
	secret_wipe(buf, over + READ_BYTES);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "read '%s'", f->name);
	return found ? err_set(e, ERR_RECIPE_INVALID,
			       "'%s' is not attached: it holds a secret of the recipe, and would be kept for ever",
			       f->name)
		     : 0;
}

static int look_into(int fd, const struct attach_file *f, const char **ret_media, struct err *e)
{
	char head[MEDIA_HEAD];
	const ssize_t n = pread(fd, head, sizeof head, 0);

	if (n < 0)
		return err_errno(e, ERR_IO, errno, "read '%s'", f->name);
	*ret_media = media_of(f->name, head, (size_t)n);
	return find_secrets(fd, f, e);
}

/* The link is of the file that was looked into. */
static int link_new(struct attachments *a, int dir, const char *new, const struct attach_file *f,
	const struct stat *seen, struct err *e)
{
	struct stat st;

	unlinkat(a->dir, new, 0);
	if (linkat(dir, f->name, a->dir, new, 0) < 0)
		return err_errno(e, ERR_IO, errno, "attach '%s' in %s", f->name, a->root);
	if (fstatat(a->dir, new, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != seen->st_ino ||
		st.st_dev != seen->st_dev)
		return is_another(f, e);
	return 0;
}

static int give_name(
	struct attachments *a, const char *new, const struct attach_file *f, struct err *e)
{
	int r;

	mutex_lock(&a->lock);
	r = renameat(a->dir, new, a->dir, f->sha256);
	mutex_unlock(&a->lock);
	if (r < 0)
		return err_errno(e, ERR_IO, errno, "attach '%s' in %s", f->name, a->root);
	return fsync(a->dir) < 0 ? err_errno(e, ERR_IO, errno, "sync %s", a->root) : 0;
}

int attachments_take(struct attachments *a, const char *output, const char *run,
	const struct attach_file *f, const char **ret_media, struct err *e)
{
	_cleanup_(freep) char *folder = xasprintf("%s/%s", output, run);
	_cleanup_(freep) char *new = xasprintf(NEW "%s", run);
	_cleanup_(closep) int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r = open_saved(dir, f, &fd, &st, e);

	if (r == 0)
		r = look_into(fd, f, ret_media, e);
	if (r == 0)
		r = link_new(a, dir, new, f, &st, e);
	if (r == 0)
		r = give_name(a, new, f, e);
	/* Also where both names were of one file already: a rename does nothing then (rename(2)). */
	unlinkat(a->dir, new, 0);
	return r;
}

/* --- sweeping --- */

/* The time of a file is of the wall clock: where that was set, it tells no age until all files of before are old. */
static bool are_ages_known(struct attachments *a, int64_t older_s)
{
	const int64_t apart = apart_s();

	if (llabs(apart - a->apart_s) > JUMP_S) {
		a->apart_s = apart;
		a->set_us = now_us();
	}
	return a->set_us == 0 || now_us() - a->set_us > (uint64_t)older_s * US_PER_S;
}

static bool is_old(struct attachments *a, const char *name, int64_t older_s)
{
	struct stat st;

	if (fstatat(a->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	/* A link that is made counts as a change of the file (link(2)). */
	return older_s == 0 || (are_ages_known(a, older_s) && time(NULL) - st.st_ctime > older_s);
}

static void sweep_one(struct attachments *a, const char *name, int64_t older_s,
	int (*named)(void *data, const char *sha256), void *data)
{
	const bool begun = !strncmp(name, NEW, strlen(NEW));

	if (!begun && (!is_sha256_hex(name) || named(data, name) != 0))
		return;
	mutex_lock(&a->lock);
	if (is_old(a, name, older_s) && unlinkat(a->dir, name, 0) == 0)
		a->gone++;
	mutex_unlock(&a->lock);
}

static void end_walk(struct attachments *a)
{
	if (a->gone)
		log_notice("%u file%s of the store of attachments that no run names: removed",
			a->gone, a->gone == 1 ? "" : "s");
	a->gone = 0;
	if (a->walk)
		closedir(a->walk);
	a->walk = NULL;
	a->next_us = now_us() + SWEEP_EVERY_US;
}

void attachments_sweep(struct attachments *a, int64_t older_s,
	int (*named)(void *data, const char *sha256), void *data)
{
	struct dirent *de = NULL;

	if (!a->walk && older_s > 0 && now_us() < a->next_us)
		return;
	if (!a->walk)
		a->walk = opendir(a->root);
	for (int n = 0; a->walk && (older_s == 0 || n < SWEEP_NAMES) && (de = readdir(a->walk));
		n++)
		sweep_one(a, de->d_name, older_s, named, data);
	if (!de)
		end_walk(a);
}
