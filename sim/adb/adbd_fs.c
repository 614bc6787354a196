/* SPDX-License-Identifier: Apache-2.0
 *
 * The unit's files: what the phone calls /data/x is <unit's directory>/fs/data/x, a real file that
 * a test may look at.
 */
#include "sim/adb/adbd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/secret.h"

/* Word by word, so that no ".." leaves the tree. */
char *adbd_path(const struct adbd *d, const char *path)
{
	struct strbuf b = {0};
	size_t root;

	sb_addf(&b, "%s/fs", d->dir);
	root = b.len;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && !strncmp(path, "..", 2)) {
			while (b.len > root && b.s[b.len - 1] != '/')
				b.len--;
			if (b.len > root)
				b.len--;
			b.s[b.len] = 0;
		} else if (n > 0 && !(n == 1 && *path == '.')) {
			sb_add(&b, "/");
			sb_add_n(&b, path, n);
		}
		path += n + (path[n] == '/');
	}
	return sb_take(&b);
}

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (path[n] == '/' || path[n] == 0);
}

int adbd_may_write(const struct adbd *d, const char *path)
{
	if (below(path, "/system") || below(path, "/vendor"))
		return d->remounted ? 0 : EROFS;
	if (d->root || below(path, "/sdcard") || below(path, "/data/local/tmp"))
		return 0;
	return EACCES;
}

int adbd_make_parents(const char *real)
{
	_cleanup_(freep) char *p = xstrdup(real);

	for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return errno;
		*slash = '/';
	}
	return 0;
}

int adbd_write_file(const struct adbd *d, const char *path, const void *p, size_t n)
{
	_cleanup_(freep) char *real = adbd_path(d, path);
	FILE *f;
	int r = adbd_make_parents(real);

	if (r)
		return r;
	f = fopen(real, "we");
	if (!f)
		return errno;
	r = n && fwrite(p, 1, n, f) != n ? EIO : 0;
	return fclose(f) ? EIO : r;
}

int adbd_copy_file(const char *from, const char *to)
{
	_cleanup_(fclosep) FILE *in = fopen(from, "re");
	char buf[16384];
	FILE *out;
	size_t n;
	int r = 0;

	if (!in)
		return errno;
	adbd_make_parents(to);
	out = fopen(to, "we");
	if (!out)
		return errno;
	while ((n = fread(buf, 1, sizeof buf, in)) > 0)
		if (fwrite(buf, 1, n, out) != n)
			r = EIO;
	return fclose(out) ? EIO : r;
}

void adbd_remove_tree(const char *real)
{
	DIR *dir = opendir(real);
	struct dirent *entry;

	if (!dir) {
		unlink(real);
		return;
	}
	while ((entry = readdir(dir))) {
		_cleanup_(freep) char *path = NULL;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		path = xasprintf("%s/%s", real, entry->d_name);
		adbd_remove_tree(path);
	}
	closedir(dir);
	rmdir(real);
}

void adbd_fs_boot(struct adbd *d)
{
	uint8_t id[16];
	char hex[2 * sizeof id + 2];

	random_bytes(id, sizeof id);
	strcat(hex_of(id, sizeof id, hex), "\n");
	adbd_write_file(d, "/proc/sys/kernel/random/boot_id", hex, strlen(hex));
}

void adbd_fs_fresh(struct adbd *d)
{
	static const char *const dirs[] = {
		"/data/local/tmp/.", "/data/app/.", "/sdcard/.", "/system/bin/."};
	static const char mounts[] = "/dev/block/dm-0 / ext4 ro,seclabel,relatime 0 0\n"
				     "/dev/block/dm-5 /data f2fs rw,nosuid,nodev 0 0\n";
	static const char props[] = "ro.build.version.sdk=29\n";

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		_cleanup_(freep) char *real = adbd_path(d, dirs[i]);
		_cleanup_(freep) char *inner = xasprintf("%s/x", real);

		adbd_make_parents(inner);
	}
	adbd_write_file(d, "/proc/mounts", mounts, strlen(mounts));
	adbd_write_file(d, "/system/build.prop", props, strlen(props));
}
