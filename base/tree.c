/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/util.h"

#define OPEN_DIRS 16

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	/* What cannot be removed stays; the rest goes. */
	remove(path);
	return 0;
}

void tree_remove(const char *path)
{
	nftw(path, remove_entry, OPEN_DIRS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void tree_clear(const char *path)
{
	DIR *d = opendir(path);

	for (struct dirent *f; d && (f = readdir(d));) {
		_cleanup_(freep) char *below = xasprintf("%s/%s", path, f->d_name);

		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			tree_remove(below);
	}
	if (d)
		closedir(d);
}

int tree_make(const char *path, struct err *e)
{
	_cleanup_(freep) char *part = xstrdup(path);
	struct stat st;

	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return err_errno(
				e, ERR_INVALID, errno, "directory %s cannot be made", part);
		*p = '/';
	}
	if (mkdir(part, 0700) < 0 && errno != EEXIST)
		return err_errno(e, ERR_INVALID, errno, "directory %s cannot be made", part);
	if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a directory", part);
	return 0;
}
