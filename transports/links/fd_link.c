/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes through a non-blocking descriptor, with a deadline, a cancel and a sure end when the other
 * side is gone. Runs on the worker that owns the link.
 */
#include "transports/links/link_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define GONE_EVENTS (POLLHUP | POLLERR | POLLNVAL)

static int gone(struct err *e)
{
	return err_set(e, ERR_DEVICE_GONE, "the device is gone");
}

/* What a tty or socket says once its device or peer has left. */
static bool errno_is_gone(int err)
{
	return err == EIO || err == ENXIO || err == ENODEV || err == EPIPE || err == ECONNRESET ||
	       err == ETIMEDOUT || err == EHOSTUNREACH || err == ENETUNREACH || err == EBADF;
}

int fd_link_read(
	int fd, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e)
{
	for (;;) {
		ssize_t n = read(fd, buf, size);

		if (n > 0) {
			*ret_n = (size_t)n;
			return 0;
		}
		if (n == 0 || errno_is_gone(errno))
			return gone(e);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return err_errno(e, ERR_IO, errno, "read");

		/* A caller that does not want to wait gets its answer without a poll. */
		int r = iotime_check(it, e);

		if (r == 0)
			r = iotime_wait(fd, POLLIN, it, e);
		if (r < 0)
			return r;
		/* With POLLIN set too there are bytes left to read before the end. */
		if (!(r & POLLIN) && (r & GONE_EVENTS))
			return gone(e);
	}
}

typedef ssize_t put_fn(int fd, const void *buf, size_t n);

/* A socket whose peer left would raise SIGPIPE. */
static ssize_t put_socket(int fd, const void *buf, size_t n)
{
	return send(fd, buf, n, MSG_NOSIGNAL);
}

static int put_all(
	int fd, put_fn *put, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	const char *p = buf;

	while (n > 0) {
		ssize_t w = put(fd, p, n);

		if (w > 0) {
			p += w;
			n -= (size_t)w;
			continue;
		}
		if (w < 0 && errno_is_gone(errno))
			return gone(e);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno != EAGAIN)
			return err_errno(e, ERR_IO, errno, "write");

		int r = iotime_wait(fd, POLLOUT, it, e);

		if (r < 0)
			return r;
		if (!(r & POLLOUT) && (r & GONE_EVENTS))
			return gone(e);
	}
	return 0;
}

int fd_link_write(int fd, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	return put_all(fd, write, buf, n, it, e);
}

int fd_link_send(int fd, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	return put_all(fd, put_socket, buf, n, it, e);
}
