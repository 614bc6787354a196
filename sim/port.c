/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "base/strbuf.h"
#include "sim/usb_port.h"

#define READ_BYTES 4096

struct port {
	struct port_hub *hub;
	struct port *next;
	enum port_kind kind;
	const struct port_ops *ops;
	void *data;
	char address[64];
	uint16_t tcp_port;
	int fd;	       /* pty master, or the connection, -1 without one */
	int listen_fd; /* tcp */
	int slave_fd;  /* pty: kept open, so that the master never sees the hangup of a host */
	int wd;	       /* inotify watch of the slave */
	int openers;   /* pty: hosts that have it open */
	bool was_open; /* when inotify was drained last */
	bool want_input;
	struct usb_port *usb;
	struct sockaddr_in peer; /* udp: who spoke last */
	bool has_peer;
	struct strbuf out;
	struct watch watch, listen_watch;
};

/* Hosts that open and close a slave are seen by one inotify descriptor for all of them. */
struct port_hub {
	struct loop *loop;
	int inotify_fd;
	struct watch watch;
	struct port *ports;
};

static struct port *by_wd(struct port_hub *h, int wd)
{
	struct port *p = h->ports;

	while (p && p->wd != wd)
		p = p->next;
	return p;
}

static void tell_open(struct port *p, bool open)
{
	if (p->ops->opened)
		p->ops->opened(p->data, open);
}

/* The last host has gone: like a UART, forget what it did not read and its exclusive claim, which
 * the kernel keeps as long as anyone, here we, has the slave open. */
static void last_close(struct port *p)
{
	p->openers = 0;
	sb_clear(&p->out);
	tell_open(p, false);
	tcflush(p->slave_fd, TCIFLUSH);
	ioctl(p->slave_fd, TIOCNXCL);
}

static void drain_inotify(void *data, uint32_t events)
{
	struct port_hub *h = data;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(h->inotify_fd, buf, sizeof buf)) > 0)
		for (char *at = buf; at < buf + n;) {
			const struct inotify_event *ev = (const struct inotify_event *)at;
			struct port *p = by_wd(h, ev->wd);

			at += sizeof *ev + ev->len;
			if (p && ev->mask & IN_OPEN)
				p->openers++;
			else if (p && ev->mask & IN_CLOSE)
				p->openers--;
		}
	for (struct port *p = h->ports; p; p = p->next) {
		if (p->was_open && p->openers <= 0)
			last_close(p);
		if (!p->was_open && p->openers > 0)
			tell_open(p, true);
		p->was_open = p->openers > 0;
	}
}

int port_hub_new(struct loop *l, struct port_hub **ret, struct err *e)
{
	struct port_hub *h = xcalloc(1, sizeof *h);
	int r;

	h->loop = l;
	h->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (h->inotify_fd < 0)
		r = err_errno(e, ERR_IO, errno, "inotify");
	else
		r = watch_add(l, &h->watch, h->inotify_fd, EPOLLIN, drain_inotify, h, e);
	if (r < 0) {
		port_hub_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct port_hub *port_hub_free(struct port_hub *h)
{
	if (h) {
		watch_remove(&h->watch);
		closep(&h->inotify_fd);
		free(h);
	}
	return NULL;
}

static uint32_t wanted_events(const struct port *p)
{
	return (p->want_input ? EPOLLIN : 0u) | (p->out.len ? EPOLLOUT : 0u);
}

static void update_watch(struct port *p)
{
	watch_want(&p->watch, wanted_events(p));
}

static void drop_connection(struct port *p)
{
	watch_remove(&p->watch);
	closep(&p->fd);
	p->fd = -1;
	sb_clear(&p->out);
	tell_open(p, false);
}

static void flush_out(struct port *p)
{
	ssize_t n = write(p->fd, p->out.s, p->out.len);

	if (n > 0) {
		memmove(p->out.s, p->out.s + n, p->out.len - (size_t)n);
		p->out.len -= (size_t)n;
	}
	update_watch(p);
	if (!p->out.len)
		p->ops->writable(p->data);
}

/* Reads what the board has room for; false when the host has gone. */
static bool take_input(struct port *p)
{
	uint8_t buf[READ_BYTES];
	size_t room = MIN(p->ops->room(p->data), sizeof buf);

	if (!room) {
		port_want_input(p, false);
		return true;
	}

	ssize_t n = read(p->fd, buf, room);
	int one = 1;

	/* A host that writes a message in two pieces, as openFPGALoader does, would wait 40 ms for the first to be
	 * acknowledged. */
	if (n > 0 && p->kind == PORT_TCP)
		setsockopt(p->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
	if (n > 0)
		p->ops->input(p->data, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		return false;
	return true;
}

static void on_ready(void *data, uint32_t events)
{
	struct port *p = data;

	/* The sender of these bytes may have opened the slave in this very round. */
	if (p->kind == PORT_PTY && p->openers <= 0)
		drain_inotify(p->hub, EPOLLIN);
	if (events & EPOLLOUT) {
		flush_out(p);
		if (p->fd < 0)
			return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (!take_input(p) && p->kind == PORT_TCP)
		drop_connection(p);
}

static int open_pty(struct port *p, struct err *e)
{
	struct termios tio;

	p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0 || grantpt(p->fd) < 0 || unlockpt(p->fd) < 0 ||
		ptsname_r(p->fd, p->address, sizeof p->address) != 0)
		return err_errno(e, ERR_IO, errno, "open a pty");
	p->slave_fd = open(p->address, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->slave_fd < 0 || tcgetattr(p->slave_fd, &tio) < 0)
		return err_errno(e, ERR_IO, errno, "%s", p->address);
	cfmakeraw(&tio);
	if (tcsetattr(p->slave_fd, TCSANOW, &tio) < 0)
		return err_errno(e, ERR_IO, errno, "%s", p->address);
	p->wd = inotify_add_watch(p->hub->inotify_fd, p->address, IN_OPEN | IN_CLOSE);
	if (p->wd < 0)
		return err_errno(e, ERR_IO, errno, "watch %s", p->address);
	return watch_add(p->hub->loop, &p->watch, p->fd, EPOLLIN, on_ready, p, e);
}

/* A host that closed and connects again is heard to its end first: its last bytes and its next connection may come in one round. */
static void end_of_closed(struct port *p)
{
	struct pollfd has = {.fd = p->fd, .events = POLLRDHUP};

	if (p->fd < 0 || poll(&has, 1, 0) <= 0 || !(has.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		return;
	while (p->fd >= 0 && p->want_input && take_input(p))
		;
	if (p->fd >= 0)
		drop_connection(p);
}

static void on_accept(void *data, uint32_t events)
{
	struct port *p = data;
	int one = 1;
	_cleanup_(closep) int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* One connection at a time: a second one is refused. */
	end_of_closed(p);
	if (fd < 0 || p->fd >= 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (watch_add(p->hub->loop, &p->watch, fd, EPOLLIN, on_ready, p, NULL) < 0)
		return;
	p->want_input = true;
	p->fd = steal_fd(&fd);
	tell_open(p, true);
}

static int bound_socket(struct port *p, int type, const char *scheme, int *ret_fd, struct err *e)
{
	int one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(p->tcp_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	_cleanup_(closep) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "socket");
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return err_errno(e, ERR_IO, errno, "bind to 127.0.0.1:%u", p->tcp_port);
	p->tcp_port = ntohs(a.sin_port);
	snprintf(p->address, sizeof p->address, "%s:127.0.0.1:%u", scheme, p->tcp_port);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static void on_datagram(void *data, uint32_t events)
{
	struct port *p = data;
	uint8_t buf[65536];
	socklen_t len = sizeof p->peer;
	ssize_t n =
		recvfrom(p->fd, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&p->peer, &len);

	if (n < 0)
		return;
	p->has_peer = true;
	p->ops->datagram(p->data, buf, (size_t)n);
}

static int open_udp(struct port *p, struct err *e)
{
	int r = bound_socket(p, SOCK_DGRAM, "udp", &p->fd, e);

	return r < 0 ? r : watch_add(p->hub->loop, &p->watch, p->fd, EPOLLIN, on_datagram, p, e);
}

static int open_tcp(struct port *p, struct err *e)
{
	int r = bound_socket(p, SOCK_STREAM, "tcp", &p->listen_fd, e);

	if (r < 0)
		return r;
	if (listen(p->listen_fd, 4) < 0)
		return err_errno(e, ERR_IO, errno, "listen on %s", p->address);
	return watch_add(p->hub->loop, &p->listen_watch, p->listen_fd, EPOLLIN, on_accept, p, e);
}

static int open_vhci(struct port *p, const struct port_place *at, struct err *e)
{
	snprintf(p->address, sizeof p->address, "vhci:%u", at->socket);
	return usb_port_plug(p->hub->loop, at, p->ops, p->data, &p->usb, e);
}

static int open_place(struct port *p, const struct port_place *at, struct err *e)
{
	switch (at->kind) {
	case PORT_PTY:
		return open_pty(p, e);
	case PORT_TCP:
		return open_tcp(p, e);
	case PORT_UDP:
		return open_udp(p, e);
	case PORT_VHCI:
		return open_vhci(p, at, e);
	}
	return err_set(e, ERR_INTERNAL, "port of kind %d", (int)at->kind);
}

int port_open(struct port_hub *h, const struct port_place *at, const struct port_ops *ops,
	void *data, struct port **ret, struct err *e)
{
	struct port *p = xcalloc(1, sizeof *p);
	int r;

	p->hub = h;
	p->kind = at->kind;
	p->ops = ops;
	p->data = data;
	p->tcp_port = at->tcp_port;
	p->fd = p->slave_fd = p->listen_fd = p->wd = -1;
	p->want_input = true;
	p->next = h->ports;
	h->ports = p;
	r = open_place(p, at, e);
	if (r < 0) {
		port_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct port *port_close(struct port *p)
{
	if (!p)
		return NULL;
	for (struct port **at = &p->hub->ports; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	watch_remove(&p->watch);
	watch_remove(&p->listen_watch);
	if (p->wd >= 0)
		inotify_rm_watch(p->hub->inotify_fd, p->wd);
	closep(&p->fd);
	closep(&p->slave_fd);
	closep(&p->listen_fd);
	usb_port_free(p->usb);
	sb_done(&p->out);
	free(p);
	return NULL;
}

const char *port_address(const struct port *p)
{
	return p->address;
}

uint16_t port_tcp_port(const struct port *p)
{
	return p->tcp_port;
}

bool port_is_open(const struct port *p)
{
	return p->kind == PORT_PTY ? p->openers > 0 : p->kind == PORT_TCP && p->fd >= 0;
}

bool port_blocked(const struct port *p)
{
	return p->usb ? usb_port_blocked(p->usb) : p->out.len > 0;
}

void port_write(struct port *p, const void *bytes, size_t n)
{
	if (p->usb) {
		usb_port_write(p->usb, bytes, n);
		return;
	}
	if (p->fd < 0 || (p->kind == PORT_PTY && p->openers <= 0))
		return;

	ssize_t w = p->out.len ? 0 : write(p->fd, bytes, n);
	size_t done = w > 0 ? (size_t)w : 0;

	if (w < 0 && errno != EAGAIN && errno != EINTR)
		return;
	if (done < n) {
		sb_add_n(&p->out, (const char *)bytes + done, n - done);
		update_watch(p);
	}
}

void port_want_input(struct port *p, bool want)
{
	if (p->usb && want)
		usb_port_poll(p->usb);
	if (p->want_input == want)
		return;
	p->want_input = want;
	if (p->fd >= 0 && p->kind != PORT_UDP)
		update_watch(p);
}

void port_send(struct port *p, const void *bytes, size_t n)
{
	if (p->kind == PORT_UDP && p->has_peer)
		sendto(p->fd, bytes, n, MSG_DONTWAIT, (const struct sockaddr *)&p->peer,
			sizeof p->peer);
}

void port_hangup(struct port *p)
{
	if (p->kind == PORT_TCP && p->fd >= 0)
		drop_connection(p);
}

void port_poll(struct port *p)
{
	if (p->usb)
		usb_port_poll(p->usb);
}
