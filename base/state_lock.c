/* SPDX-License-Identifier: Apache-2.0 */
#include "base/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/util.h"

int state_lock(const char *dir, int *ret_fd, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", dir);
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_BUSY, "another provd works in %s", dir);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int state_check_user(const char *dir, struct err *e)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", dir);
	return geteuid() == 0 && st.st_uid != 0
		       ? err_set(e, ERR_ACCESS,
				 "%s belongs to user %u: run this as that user (runuser -u provd)",
				 dir, (unsigned)st.st_uid)
		       : 0;
}
