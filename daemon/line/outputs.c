/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/outputs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "daemon/recipe/action.h"

#define ROOM_EVERY     (4ull << 20) /* bytes between two looks at the disk */
#define SWEEP_ENTRIES  64	    /* of one step: names looked at, and files removed */
#define SWEEP_EVERY_US (60 * US_PER_S)

struct output {
	struct outputs *of;
	char *name, *step;
	uint64_t bytes, looked_at;
};

struct outputs {
	const char *root, *run;
	uint64_t max_bytes;
	struct disk *disk;
	struct output **file;
	size_t files;
};

struct outputs *outputs_new(
	const char *root, const char *run, uint64_t max_bytes, struct disk *disk)
{
	struct outputs *o = xcalloc(1, sizeof *o);

	*o = (struct outputs){.root = root, .run = run, .max_bytes = max_bytes, .disk = disk};
	return o;
}

struct outputs *outputs_free(struct outputs *o)
{
	if (!o)
		return NULL;
	for (size_t i = 0; i < o->files; i++) {
		free(o->file[i]->name);
		free(o->file[i]->step);
		free(o->file[i]);
	}
	free(o->file);
	free(o);
	return NULL;
}

/* --- writing --- */

static int open_dir_at(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The folder of the run, made where it is not there yet; its name is durable before a file is. */
static int make_folder(const struct outputs *o, int *ret, struct err *e)
{
	_cleanup_(closep) int root = open_dir_at(AT_FDCWD, o->root);
	int dir;

	if (root < 0)
		return err_errno(e, ERR_IO, errno, "the folder of outputs %s", o->root);
	if (mkdirat(root, o->run, 0750) == 0) {
		if (fsync(root) < 0)
			return err_errno(e, ERR_IO, errno, "sync %s", o->root);
	} else if (errno != EEXIST) {
		return err_errno(e, ERR_IO, errno, "the folder of outputs of run %s", o->run);
	}
	dir = open_dir_at(root, o->run);
	if (dir < 0)
		return err_errno(e, ERR_IO, errno, "the folder of outputs of run %s", o->run);
	*ret = dir;
	return 0;
}

static int room(void *data, uint64_t bytes, struct err *e)
{
	struct output *f = data;
	const struct outputs *o = f->of;
	uint64_t all = 0;

	f->bytes = bytes;
	for (size_t i = 0; i < o->files; i++)
		all += o->file[i]->bytes;
	if (all > o->max_bytes)
		return err_set(e, ERR_TOO_LARGE,
			"'%s': the files of this run would be %llu bytes, 'output_max' of provd.yaml is %llu",
			f->name, (unsigned long long)all, (unsigned long long)o->max_bytes);
	if (bytes < f->looked_at)
		return 0;
	f->looked_at = bytes + ROOM_EVERY;
	/* A look ahead: what is written until the next one has to fit too. */
	return o->disk ? disk_check(o->disk, ROOM_EVERY, e) : 0;
}

static struct output *find(const struct outputs *o, const char *name)
{
	for (size_t i = 0; i < o->files; i++)
		if (!strcmp(o->file[i]->name, name))
			return o->file[i];
	return NULL;
}

static struct output *add(struct outputs *o, const char *step, const char *name)
{
	struct output *f = xcalloc(1, sizeof *f);

	o->file = reallocarray(o->file, o->files + 1, sizeof *o->file);
	if (!o->file)
		abort();
	o->file[o->files++] = f;
	*f = (struct output){.of = o, .name = xstrdup(name), .step = xstrdup(step)};
	return f;
}

int outputs_create(
	struct outputs *o, const char *step, const char *name, struct outfile *ret, struct err *e)
{
	struct output *f = find(o, name);
	int dir = -1;
	int r = output_name_check(name, e);

	if (r < 0)
		return r;
	if (f && strcmp(f->step, step) != 0)
		return err_set(e, ERR_INVALID,
			"'%s' was written by step '%s' of this run: give it another name", name,
			f->step);
	r = make_folder(o, &dir, e);
	if (r < 0)
		return r;
	if (!f)
		f = add(o, step, name);
	f->looked_at = 0;
	r = room(f, 0, e);
	if (r < 0) {
		closep(&dir);
		return r;
	}
	ret->room = room;
	ret->room_data = f;
	return outfile_open_at(ret, dir, f->name, e);
}

/* --- reading --- */

int outputs_open(const char *root, const char *run, const char *name, int *ret_fd,
	uint64_t *ret_bytes, struct err *e)
{
	_cleanup_(closep) int top = open_dir_at(AT_FDCWD, root);
	_cleanup_(closep) int dir = -1;
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r = output_name_check(name, e);

	if (r == 0 && uuid7_ms(run) < 0)
		r = err_set(e, ERR_NOT_FOUND, "'%.80s' is the id of no run", run);
	if (r < 0)
		return r;
	dir = top < 0 ? -1 : open_dir_at(top, run);
	/* A pipe or a device in its place would block its opener. */
	fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_GONE,
			"the file '%s' of run %s is not kept any longer ('output_keep' of provd.yaml)",
			name, run);
	*ret_bytes = (uint64_t)st.st_size;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* --- what is too old --- */

struct outputs_sweep {
	char *root;
	DIR *dir; /* being walked; NULL: between two walks */
	uint64_t next_us;
};

struct outputs_sweep *outputs_sweep_new(const char *root)
{
	struct outputs_sweep *w = xcalloc(1, sizeof *w);

	w->root = xstrdup(root);
	return w;
}

static void end_walk(struct outputs_sweep *w)
{
	if (w->dir)
		closedir(w->dir);
	w->dir = NULL;
	w->next_us = now_us() + SWEEP_EVERY_US;
}

struct outputs_sweep *outputs_sweep_free(struct outputs_sweep *w)
{
	if (!w)
		return NULL;
	end_walk(w);
	free(w->root);
	free(w);
	return NULL;
}

enum emptied { FOLDER_GONE, FOLDER_MORE, FOLDER_STUCK };

/* At most *budget files. */
static enum emptied empty_folder(int root, const char *run, int *budget)
{
	int fd = open_dir_at(root, run);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	bool stuck = false;

	if (!d) {
		closep(&fd);
		return FOLDER_STUCK; /* no folder: nothing of ours */
	}
	while (*budget > 0 && (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		--*budget;
		if (unlinkat(fd, ent->d_name, 0) < 0) {
			log_warning("output of run %s: %s is not removed: %s", run, ent->d_name,
				strerrordesc_np(errno));
			stuck = true;
			break;
		}
	}
	closedir(d);
	if (stuck)
		return FOLDER_STUCK;
	return unlinkat(root, run, AT_REMOVEDIR) == 0 ? FOLDER_GONE : FOLDER_MORE;
}

void outputs_sweep_step(struct outputs_sweep *w, int64_t before_ms,
	bool (*busy)(void *data, const char *run), void *data)
{
	int budget = SWEEP_ENTRIES;
	struct dirent *ent;

	if (!w->dir && now_us() < w->next_us)
		return;
	if (!w->dir)
		w->dir = opendir(w->root);
	if (!w->dir) {
		end_walk(w);
		return;
	}
	while (budget > 0) {
		int64_t began;

		ent = readdir(w->dir);
		if (!ent) {
			end_walk(w);
			return;
		}
		budget--;
		began = uuid7_ms(ent->d_name);
		if (began < 0 || began >= before_ms || busy(data, ent->d_name))
			continue;
		switch (empty_folder(dirfd(w->dir), ent->d_name, &budget)) {
		case FOLDER_GONE:
			log_info(
				"the files of run %s are removed: they are older than 'output_keep'",
				ent->d_name);
			break;
		case FOLDER_MORE: /* the rest of it at the next step */
			rewinddir(w->dir);
			return;
		case FOLDER_STUCK:
			break;
		}
	}
}
