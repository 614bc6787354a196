/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/util.h"

/* The interface of the kernel (linux/landlock.h), by the version of its ABI: headers of a
 * distribution are older than kernels that people run. */
#define FS_EXECUTE    (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE  (1ull << 2)
#define FS_READ_DIR   (1ull << 3)
#define FS_ALL_V1     ((1ull << 13) - 1)
#define FS_REFER      (1ull << 13) /* 2 */
#define FS_TRUNCATE   (1ull << 14) /* 3 */
#define FS_IOCTL_DEV  (1ull << 15) /* 5 */
#define SCOPE_ALL     3ull	   /* 6: abstract sockets, signals */
#define READ	      (FS_EXECUTE | FS_READ_FILE | FS_READ_DIR)
/* What a rule on a file, not a directory, may hold. */
#define OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define CREATE_VERSION 1u
#define RULE_PATH      1
#define DEPTH_MAX      32

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct __attribute__((packed)) path_attr {
	uint64_t allowed;
	int32_t parent;
};

struct rules {
	const struct sandbox_policy *policy;
	char **hidden; /* resolved */
	size_t hiddens;
	uint64_t handled;
	int fd;
};

static long abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_VERSION);
}

bool sandbox_supported(void)
{
	return abi() > 0;
}

static uint64_t handled_by(long version)
{
	return FS_ALL_V1 | (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) |
	       (version >= 5 ? FS_IOCTL_DEV : 0);
}

/* A path that cannot be opened needs no rule: it stays closed. flags: O_NOFOLLOW where a link would
 * lead to what its place does not say. */
static void add_rule(struct rules *r, const char *path, uint64_t access, int flags)
{
	struct path_attr a = {.allowed = access & r->handled};
	struct stat st;

	a.parent = open(path, O_PATH | O_CLOEXEC | flags);
	if (a.parent < 0)
		return;
	if (fstat(a.parent, &st) < 0 || S_ISLNK(st.st_mode))
		a.allowed = 0;
	else if (!S_ISDIR(st.st_mode))
		a.allowed &= OF_FILES;
	if (a.allowed)
		syscall(SYS_landlock_add_rule, r->fd, RULE_PATH, &a, 0u);
	close(a.parent);
}

/* 1: path is hidden or below; 2: something hidden lies below it; 0: neither. */
static int hides(const struct rules *r, const char *path)
{
	size_t n = strcmp(path, "/") ? strlen(path) : 0;

	for (size_t i = 0; i < r->hiddens; i++) {
		const char *h = r->hidden[i];
		size_t k = strlen(h);

		if (!strncmp(path, h, k) && (!path[k] || path[k] == '/'))
			return 1;
		if (!strncmp(h, path, n) && h[n] == '/')
			return 2;
	}
	return 0;
}

/* The tree, without what is hidden in it: where something is, child by child. path is without
 * links, as those of what is hidden are. */
static void allow_tree(struct rules *r, const char *path, uint64_t access, int depth)
{
	int how = hides(r, path);
	DIR *d;

	if (how == 0)
		add_rule(r, path, access, O_NOFOLLOW);
	if (how != 2 || depth == DEPTH_MAX)
		return;
	d = opendir(path);
	for (struct dirent *f; d && (f = readdir(d));) {
		_cleanup_(freep) char *below =
			xasprintf("%s/%s", strcmp(path, "/") ? path : "", f->d_name);

		/* What a link leads to has a rule of its own, or none. */
		if (strcmp(f->d_name, ".") && strcmp(f->d_name, "..") && f->d_type != DT_LNK)
			allow_tree(r, below, access, depth + 1);
	}
	if (d)
		closedir(d);
}

/* The same for a path as people write it: with links, "..", or a slash at its end. */
static void allow_named(struct rules *r, const char *path, uint64_t access)
{
	_cleanup_(freep) char *real = realpath(path, NULL);

	if (real)
		allow_tree(r, real, access, 0);
}

static void resolve_hidden(struct rules *r)
{
	const char *const *p = r->policy->hidden;
	size_t n = 0;

	while (p && p[n])
		n++;
	r->hidden = xcalloc(n + 1, sizeof *r->hidden);
	for (size_t i = 0; i < n; i++) {
		char *path = realpath(p[i], NULL);

		if (path)
			r->hidden[r->hiddens++] = path;
	}
}

static void allow_list(struct rules *r, const char *const *paths, uint64_t access)
{
	for (size_t i = 0; paths && paths[i]; i++)
		add_rule(r, paths[i], access, 0);
}

int sandbox_new(const struct sandbox_policy *p, const char *dir, int *ret_fd, struct err *e)
{
	const char *const own[] = {dir, NULL};
	struct rules r = {.policy = p};
	long version = abi();
	struct ruleset_attr attr = {
		.fs = handled_by(version), .scoped = version >= 6 ? SCOPE_ALL : 0};

	if (version <= 0)
		return err_set(e, ERR_UNSUPPORTED,
			"this kernel has no Landlock: foreign programs cannot be confined (see tool_sandbox in provd.yaml(5))");
	/* Older kernels refuse members that they do not know. */
	r.fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
		version >= 6   ? sizeof attr
		: version >= 4 ? 2 * sizeof attr.fs
			       : sizeof attr.fs,
		0u);
	if (r.fd < 0)
		return err_errno(e, ERR_UNSUPPORTED, errno, "landlock_create_ruleset");
	r.handled = attr.fs;
	resolve_hidden(&r);
	allow_tree(&r, "/", READ, 0);
	allow_list(&r, p->visible, READ);
	allow_named(&r, "/dev", r.handled);
	for (size_t i = 0; p->writable && p->writable[i]; i++)
		allow_named(&r, p->writable[i], r.handled);
	allow_list(&r, own, r.handled);
	for (size_t i = 0; i < r.hiddens; i++)
		free(r.hidden[i]);
	free(r.hidden);
	*ret_fd = r.fd;
	return 0;
}

int sandbox_enter(int fd)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_landlock_restrict_self, fd, 0u) < 0)
		return errno;
	return 0;
}
