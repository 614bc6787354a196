/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP connection to a device server or a board. Runs on the worker that owns the link; a host
 * name is looked up on a thread of its own, since getaddrinfo() knows no deadline.
 */
#include "transports/links/backends.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/thread.h"
#include "base/strbuf.h"
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
	return fd_link_write(tcp_of(l)->fd, buf, n, it, e);
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
	.close = tcp_close,
};

/* A look-up under way: shared by the worker and the thread, freed by who lets go last. */
struct lookup {
	int refs; /* atomic */
	int done_fd;
	char host[256], port[8];
	int error; /* valid, like found, once done_fd is readable */
	struct addrinfo *found;
};

static void lookup_unref(struct lookup *u)
{
	if (__atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (u->found)
		freeaddrinfo(u->found);
	if (u->done_fd >= 0)
		close(u->done_fd);
	free(u);
}

static const struct addrinfo stream_hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

static void *lookup_main(void *arg)
{
	struct lookup *u = arg;

	u->error = getaddrinfo(u->host, u->port, &stream_hints, &u->found);
	eventfd_write(u->done_fd, 1);
	lookup_unref(u);
	return NULL;
}

static int lookup_name(struct lookup *u, const struct iotime *it, struct err *e)
{
	struct addrinfo numeric = stream_hints;
	pthread_t thread;
	eventfd_t v;

	numeric.ai_flags = AI_NUMERICHOST;
	if (getaddrinfo(u->host, u->port, &numeric, &u->found) == 0)
		return 0;
	u->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->done_fd < 0)
		return err_errno(e, ERR_IO, errno, "eventfd");
	__atomic_add_fetch(&u->refs, 1, __ATOMIC_ACQ_REL);

	int r = thread_start(&thread, "lookup", lookup_main, u, e);

	if (r < 0) {
		lookup_unref(u);
		return r;
	}
	pthread_detach(thread);
	r = iotime_wait(u->done_fd, POLLIN, it, e);
	if (r < 0)
		return r;
	eventfd_read(u->done_fd, &v);
	if (u->error)
		return err_set(e, ERR_DEVICE_GONE, "%s", gai_strerror(u->error));
	return 0;
}

/* HOST:PORT or [v6]:PORT */
static int split_host(const char *rest, struct lookup *u, struct err *e)
{
	const char *colon = strrchr(rest, ':');
	const char *host = rest;
	size_t n = colon ? (size_t)(colon - rest) : 0;
	unsigned long long port;

	if (n >= 2 && rest[0] == '[' && rest[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (memchr(rest, ':', n)) {
		n = 0;
	}
	if (n == 0 || n >= sizeof u->host)
		return err_set(e, ERR_INVALID, "expected tcp:HOST:PORT or tcp:[IPv6]:PORT");
	if (!parse_size(colon + 1, &port) || port == 0 || port > 65535)
		return err_set(e, ERR_INVALID, "'%s' is no port number", colon + 1);
	memcpy(u->host, host, n);
	u->host[n] = '\0';
	snprintf(u->port, sizeof u->port, "%u", (unsigned)port);
	return 0;
}

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

static int connect_first(struct lookup *u, const struct iotime *it, int *ret_fd, struct err *e)
{
	int r = lookup_name(u, it, e);

	if (r < 0)
		return r;
	r = err_set(e, ERR_DEVICE_GONE, "no address");
	for (const struct addrinfo *a = u->found; a; a = a->ai_next) {
		r = connect_to(a, it, ret_fd, e);
		/* Another address may answer; a deadline or cancel is for all of them. */
		if (r == 0 || iotime_check(it, NULL) < 0)
			return r;
	}
	return r;
}

int tcp_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	uint64_t budget = cfg->connect_timeout_us ? cfg->connect_timeout_us : DEFAULT_CONNECT_US;
	struct iotime within = iotime_within(it, budget);
	struct lookup *u = xcalloc(1, sizeof *u);
	int fd = -1;

	u->refs = 1;
	u->done_fd = -1;

	int r = split_host(rest, u, e);

	if (r == 0)
		r = connect_first(u, &within, &fd, e);
	lookup_unref(u);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "no connection in time");
	if (r < 0)
		return r;
	set_options(fd);

	struct tcp *t = xcalloc(1, sizeof *t);

	t->link.ops = &tcp_ops;
	t->fd = fd;
	*ret = &t->link;
	return 0;
}
