/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP connection to a device server or a board. Runs on the worker that owns the link.
 */
#include "transports/links/link_impl.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/util.h"

#define DEFAULT_CONNECT_US (5 * US_PER_S)
/* A peer that lost power is noticed after about 10 s of silence. */
#define KEEP_IDLE_S  4
#define KEEP_EVERY_S 2
#define KEEP_COUNT   3

struct tcp {
	struct link link;
	int fd;
};

static struct tcp *tcp_of(struct link *l)
{
	return container_of(l, struct tcp, link);
}

static int tcp_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	return fd_link_read(tcp_of(l)->fd, buf, size, ret_n, it, e);
}

static int tcp_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	return fd_link_send(tcp_of(l)->fd, buf, n, it, e);
}

static int tcp_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	switch (c) {
	case LINK_CONTROL_FLUSH:
		/* What was sent is sent; what came is dropped. */
		while (recv(tcp_of(l)->fd, (char[512]){0}, 512, MSG_DONTWAIT) > 0)
			;
		return 0;
	case LINK_CONTROL_BAUD:
	case LINK_CONTROL_DTR:
	case LINK_CONTROL_RTS:
	case LINK_CONTROL_BREAK:
	case LINK_CONTROL_PARITY:
		break;
	}
	return err_set(e, ERR_UNSUPPORTED, "a TCP link has no rate, modem lines or break");
}

static int tcp_unacknowledged(struct link *l, size_t *ret, struct err *e)
{
	int fd = tcp_of(l)->fd, why = 0, left = 0;
	socklen_t len = sizeof why;

	/* After a reset the count stays where it was: ask for that first. */
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 || ioctl(fd, SIOCOUTQ, &left) < 0)
		why = errno;
	if (why)
		return err_errno(e, ERR_DEVICE_GONE, why, "send");
	*ret = (size_t)left;
	return 0;
}

static void tcp_close(struct link *l)
{
	close(tcp_of(l)->fd);
	free(tcp_of(l));
}

static const struct link_ops tcp_ops = {
	.name = "tcp",
	.read = tcp_read,
	.write = tcp_write,
	.control = tcp_control,
	.unacknowledged = tcp_unacknowledged,
	.close = tcp_close,
};

static int connect_to(const struct addrinfo *a, const struct iotime *it, int *ret_fd, struct err *e)
{
	int err = 0;
	socklen_t len = sizeof err;
	_cleanup_(closep) int fd =
		socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "socket");
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			return err_errno(e, ERR_DEVICE_GONE, errno, "connect");

		int r = iotime_wait(fd, POLLOUT, it, e);

		if (r < 0)
			return r;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
			err = errno;
		if (err)
			return err_errno(e, ERR_DEVICE_GONE, err, "connect");
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

static void set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEP_EVERY_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT},
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static int connect_first(const char *rest, const struct iotime *it, int *ret_fd, struct err *e)
{
	_cleanup_(lookup_unrefp) struct lookup *u = NULL;
	int r = lookup_run(rest, SOCK_STREAM, it, &u, e);

	if (r < 0)
		return r;
	r = err_set(e, ERR_DEVICE_GONE, "no address");
	for (const struct addrinfo *a = lookup_found(u); a; a = a->ai_next) {
		r = connect_to(a, it, ret_fd, e);
		/* Another address may answer; a deadline or cancel is for all of them. */
		if (r == 0 || iotime_check(it, NULL) < 0)
			return r;
	}
	return r;
}

int tcp_connect(const char *rest, const struct iotime *it, int *ret_fd, struct err *e)
{
	int r = connect_first(rest, it, ret_fd, e);

	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "no connection in time");
	if (r == 0)
		set_options(*ret_fd);
	return r;
}

int tcp_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	uint64_t budget = cfg->connect_timeout_us ? cfg->connect_timeout_us : DEFAULT_CONNECT_US;
	struct iotime within = iotime_within(it, budget);
	int fd = -1;
	int r = tcp_connect(rest, &within, &fd, e);

	if (r < 0)
		return r;

	struct tcp *t = xcalloc(1, sizeof *t);

	t->link.ops = &tcp_ops;
	t->fd = fd;
	*ret = &t->link;
	return 0;
}
