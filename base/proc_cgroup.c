/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/iotime.h"
#include "base/util.h"

#define NAME "provd-tool-"
/* A killed process is in it until the kernel has let it go. */
#define EMPTY_US       (2 * US_PER_S)
#define EMPTY_EVERY_US (2 * US_PER_MS)

static bool is_cgroup2(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* provd's own, where it was delegated. */
static bool own(char ret[384])
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char line[300];
	char delegated = 0;
	bool found = false;
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f && !found && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		for (size_t i = 0; !found && !strncmp(line, "0::/", 4) && i < ARRAY_LEN(mounts);
			i++) {
			found = is_cgroup2(mounts[i]);
			snprintf(ret, 384, "%s%s", mounts[i], line + 3);
		}
	}
	if (f)
		fclose(f);
	return found && getxattr(ret, "user.delegate", &delegated, 1) == 1 && delegated == '1';
}

void proc_cgroup_new(struct proc_cgroup *ret)
{
	static unsigned last; /* atomic */
	char parent[384];
	char procs[sizeof ret->path + 16];

	*ret = (struct proc_cgroup){.procs_fd = -1};
	if (!own(parent))
		return;
	snprintf(ret->path, sizeof ret->path, "%s/" NAME "%d-%u", parent, (int)getpid(),
		__atomic_add_fetch(&last, 1, __ATOMIC_RELAXED));
	if (mkdir(ret->path, 0755) < 0) {
		ret->path[0] = 0;
		return;
	}
	snprintf(procs, sizeof procs, "%s/cgroup.procs", ret->path);
	ret->procs_fd = open(procs, O_WRONLY | O_CLOEXEC);
}

void proc_cgroup_enter(int procs_fd)
{
	/* 0 is the process that writes it. Where that fails, the keeper has to do without. */
	ssize_t ignored = procs_fd >= 0 ? write(procs_fd, "0", 1) : 0;

	(void)ignored;
}

static void kill_and_remove(const char *path)
{
	const struct iotime none = {NO_DEADLINE, NULL};
	struct iotime it = iotime_within(&none, EMPTY_US);
	_cleanup_(freep) char *file = xasprintf("%s/cgroup.kill", path);
	_cleanup_(closep) int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t ignored = fd >= 0 ? write(fd, "1", 1) : 0;

	(void)ignored;
	while (rmdir(path) < 0 && errno == EBUSY && iotime_sleep(EMPTY_EVERY_US, &it, NULL) == 0)
		;
}

void proc_cgroup_done(struct proc_cgroup *g)
{
	if (g->procs_fd >= 0)
		close(g->procs_fd);
	if (g->path[0])
		kill_and_remove(g->path);
	*g = (struct proc_cgroup){.procs_fd = -1};
}

/* Made by a process that lives: by another provd. */
static bool is_of_another(const char *pid_and_number)
{
	pid_t pid = (pid_t)strtol(pid_and_number, NULL, 10);

	return pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM);
}

void proc_cgroup_sweep(void)
{
	char parent[384];
	DIR *d = own(parent) ? opendir(parent) : NULL;

	for (struct dirent *de; d && (de = readdir(d));) {
		if (!strncmp(de->d_name, NAME, strlen(NAME)) &&
			!is_of_another(de->d_name + strlen(NAME))) {
			_cleanup_(freep) char *path = xasprintf("%s/%s", parent, de->d_name);

			kill_and_remove(path);
		}
	}
	if (d)
		closedir(d);
}
