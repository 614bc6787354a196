/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams to one peer: a read gives one, a write sends one. Runs on the worker that owns the
 * link. A peer whose port is closed is gone (ICMP says so); one that is silent is not.
 */
#include "transports/links/link_impl.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#define DEFAULT_LOOKUP_US (5 * US_PER_S)

struct udp {
	struct link link;
	int fd;
};

static struct udp *udp_of(struct link *l)
{
	return container_of(l, struct udp, link);
}

static int failed(int why, const char *what, struct err *e)
{
	if (why == ECONNREFUSED || why == EHOSTUNREACH || why == ENETUNREACH || why == ENETDOWN)
		return err_errno(e, ERR_DEVICE_GONE, why, "%s", what);
	return err_errno(e, ERR_IO, why, "%s", what);
}

/* Empty datagrams say nothing here; one that is longer than size is not a message of ours. */
static int udp_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	int fd = udp_of(l)->fd;

	for (;;) {
		ssize_t n = recv(fd, buf, size, MSG_TRUNC);

		if (n > 0 && (size_t)n > size)
			return err_set(e, ERR_PROTOCOL,
				"a datagram of %zd bytes, at most %zu expected", n, size);
		if (n > 0) {
			*ret_n = (size_t)n;
			return 0;
		}
		if (n == 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return failed(errno, "receive", e);

		int r = iotime_wait(fd, POLLIN, it, e);

		if (r < 0)
			return r;
	}
}

static int udp_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	int fd = udp_of(l)->fd;

	for (;;) {
		ssize_t w = send(fd, buf, n, MSG_NOSIGNAL);

		if (w == (ssize_t)n)
			return 0;
		if (w >= 0)
			return err_set(e, ERR_IO, "%zd of %zu bytes went out", w, n);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return failed(errno, "send", e);

		int r = iotime_wait(fd, POLLOUT, it, e);

		if (r < 0)
			return r;
	}
}

static int udp_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	switch (c) {
	case LINK_CONTROL_FLUSH:
		while (recv(udp_of(l)->fd, (char[16]){0}, 16, MSG_DONTWAIT | MSG_TRUNC) >= 0)
			;
		return 0;
	case LINK_CONTROL_BAUD:
	case LINK_CONTROL_DTR:
	case LINK_CONTROL_RTS:
	case LINK_CONTROL_BREAK:
	case LINK_CONTROL_PARITY:
		break;
	}
	return err_set(e, ERR_UNSUPPORTED, "a UDP link has no rate, modem lines or break");
}

static void udp_close(struct link *l)
{
	close(udp_of(l)->fd);
	free(udp_of(l));
}

static const struct link_ops udp_ops = {
	.name = "udp",
	.read = udp_read,
	.write = udp_write,
	.control = udp_control,
	.close = udp_close,
};

int udp_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	uint64_t budget = cfg->connect_timeout_us ? cfg->connect_timeout_us : DEFAULT_LOOKUP_US;
	struct iotime within = iotime_within(it, budget);
	_cleanup_(lookup_unrefp) struct lookup *u = NULL;
	int r = lookup_run(rest, SOCK_DGRAM, &within, &u, e);

	if (r < 0)
		return r;

	const struct addrinfo *a = lookup_found(u);
	_cleanup_(closep) int fd =
		socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "socket");
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		return failed(errno, "connect", e);

	struct udp *x = xcalloc(1, sizeof *x);

	x->link.ops = &udp_ops;
	x->fd = steal_fd(&fd);
	*ret = &x->link;
	return 0;
}
