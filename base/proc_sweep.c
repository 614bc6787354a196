/* SPDX-License-Identifier: Apache-2.0
 *
 * Orphans are known by their environment: /proc/PID/environ is what exec was given, readable for
 * processes of the same user alone. A process number may be given to another between the look and
 * the signal: the pidfd is opened first, and the environment read after that.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/digest.h"
#include "base/proc.h"
#include "base/proc_cgroup.h"
#include "base/util.h"

#define ENVIRON_MAX (256 * 1024)
#define ROUNDS	    6
#define PAUSE_US    (5 * US_PER_MS)
#define GONE_MS	    1000

int proc_mark_of(const char *state_dir, char ret[64], struct err *e)
{
	_cleanup_(freep) char *real = realpath(state_dir, NULL);
	char hex[SHA256_HEX];
	struct stat st;

	if (!real || stat(real, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", state_dir);
	sha256_hex_of(real, strlen(real), hex);
	snprintf(ret, 64, "%llx-%llx-%.16s", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino, hex);
	return 0;
}

void proc_mark(const char *mark)
{
	setenv(PROC_MARK, mark, 1);
}

static size_t read_environ(int pid, char *buf, size_t size)
{
	char path[40];
	size_t n = 0;
	ssize_t got;

	snprintf(path, sizeof path, "/proc/%d/environ", pid);

	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && n < size && (got = read(fd, buf + n, size - n)) > 0)
		n += (size_t)got;
	return n;
}

static bool has_entry(const char *buf, size_t n, const char *entry)
{
	size_t len = strlen(entry);

	for (size_t at = 0; at < n;) {
		size_t l = strnlen(buf + at, n - at);

		if (l == len && !memcmp(buf + at, entry, len))
			return true;
		at += l + 1;
	}
	return false;
}

static bool kill_marked(int pid, const char *entry, char *buf)
{
	_cleanup_(closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	struct pollfd gone = {.fd = fd, .events = POLLIN};

	if (fd < 0 || !has_entry(buf, read_environ(pid, buf, ENVIRON_MAX), entry) ||
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
		return false;
	/* Until then it holds its devices, and the next look would find it again. */
	poll(&gone, 1, GONE_MS);
	return true;
}

static unsigned sweep_once(const char *entry, char *buf)
{
	DIR *d = opendir("/proc");
	unsigned n = 0;

	for (struct dirent *f; d && (f = readdir(d));)
		if (isdigit((unsigned char)f->d_name[0]) && atoi(f->d_name) != (int)getpid())
			n += kill_marked(atoi(f->d_name), entry, buf);
	if (d)
		closedir(d);
	return n;
}

/* One forks while it is looked for, and one in the middle of an exec has no environment to read: it
 * is over when two looks in a row found none. */
unsigned proc_sweep(const char *mark)
{
	_cleanup_(freep) char *entry = xasprintf(PROC_MARK "=%s", mark);
	_cleanup_(freep) char *buf = malloc(ENVIRON_MAX);
	unsigned sum = 0;

	proc_cgroup_sweep();
	for (int i = 0, none = 0; buf && none < 2 && i < ROUNDS; i++) {
		unsigned n = sweep_once(entry, buf);

		none = n ? 0 : none + 1;
		sum += n;
		if (none == 1)
			usleep(PAUSE_US);
	}
	return sum;
}
