/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/iotime.h"
#include "base/strbuf.h"

#define LINE_MAX_BYTES 65536u
#define OUT_MAX_BYTES  (8u << 20)
#define ASK_US	       (30 * US_PER_S)

struct server_client {
	struct server *server;
	struct server_client *next;
	int fd;
	struct strbuf in, out;
	bool broken;
	struct watch watch;
};

struct server {
	struct loop *loop;
	const struct server_ops *ops;
	void *data;
	char *path;
	int fd;
	struct watch watch;
	struct server_client *clients;
};

static void client_free(struct server_client *c)
{
	struct server_client **at = &c->server->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	watch_remove(&c->watch);
	closep(&c->fd);
	sb_done(&c->in);
	sb_done(&c->out);
	free(c);
}

static void flush_out(struct server_client *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.s, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			c->broken |= errno != EAGAIN && errno != EINTR;
			break;
		}
		memmove(c->out.s, c->out.s + n, c->out.len - (size_t)n);
		c->out.len -= (size_t)n;
	}
	c->broken |= c->out.len > OUT_MAX_BYTES;
	/* A broken one is freed at its next event: the hangup that shutdown() makes. */
	if (c->broken)
		shutdown(c->fd, SHUT_RDWR);
	watch_want(&c->watch, EPOLLIN | (c->out.len && !c->broken ? EPOLLOUT : 0u));
}

void server_send(struct server_client *c, const char *text, size_t n)
{
	if (c->broken)
		return;
	sb_add_n(&c->out, text, n);
	flush_out(c);
}

void server_broadcast(struct server *s, const char *text, size_t n)
{
	for (struct server_client *c = s->clients; c; c = c->next)
		server_send(c, text, n);
}

size_t server_clients(const struct server *s)
{
	size_t n = 0;

	for (const struct server_client *c = s->clients; c; c = c->next)
		n++;
	return n;
}

static void tell_lines(struct server_client *c)
{
	char *end;

	while (c->in.len && (end = memchr(c->in.s, '\n', c->in.len))) {
		size_t used = (size_t)(end - c->in.s) + 1;

		*end = 0;
		if (used > 1 && end[-1] == '\r')
			end[-1] = 0;
		c->server->ops->line(c->server->data, c, c->in.s);
		memmove(c->in.s, c->in.s + used, c->in.len - used);
		c->in.len -= used;
	}
	c->broken |= c->in.len > LINE_MAX_BYTES;
}

static void on_client(void *data, uint32_t events)
{
	struct server_client *c = data;
	char buf[4096];

	if (events & EPOLLOUT)
		flush_out(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = read(c->fd, buf, sizeof buf);

		if (n > 0) {
			sb_add_n(&c->in, buf, (size_t)n);
			tell_lines(c);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			c->broken = true;
		}
		if (c->broken)
			client_free(c);
	}
}

static void on_accept(void *data, uint32_t events)
{
	struct server *s = data;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;

	struct server_client *c = xcalloc(1, sizeof *c);

	c->server = s;
	c->fd = fd;
	c->next = s->clients;
	s->clients = c;
	if (watch_add(s->loop, &c->watch, fd, EPOLLIN, on_client, c, NULL) < 0)
		client_free(c);
	else if (s->ops->connected)
		s->ops->connected(s->data, c);
}

static int unix_address(const char *path, struct sockaddr_un *a, struct err *e)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof a->sun_path)
		return err_set(e, ERR_INVALID, "%s: too long for a socket (%zu characters at most)",
			path, sizeof a->sun_path - 1);
	strcpy(a->sun_path, path);
	return 0;
}

int server_new(struct loop *l, const char *path, const struct server_ops *ops, void *data,
	struct server **ret, struct err *e)
{
	struct sockaddr_un a;
	int r = unix_address(path, &a, e);

	if (r < 0)
		return r;

	struct server *s = xcalloc(1, sizeof *s);

	s->loop = l;
	s->ops = ops;
	s->data = data;
	s->path = xstrdup(path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->fd, 16) < 0)
		r = err_errno(e, ERR_IO, errno, "listen on %s", path);
	else
		r = watch_add(l, &s->watch, s->fd, EPOLLIN, on_accept, s, e);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct server *server_free(struct server *s)
{
	if (s) {
		while (s->clients)
			client_free(s->clients);
		watch_remove(&s->watch);
		if (s->fd >= 0)
			unlink(s->path);
		closep(&s->fd);
		free(s->path);
		free(s);
	}
	return NULL;
}

int server_ask(const char *path, const char *line, char **ret, struct err *e)
{
	struct sockaddr_un a;
	struct strbuf reply = {0};
	struct iotime it = {now_us() + ASK_US, NULL};
	int r = unix_address(path, &a, e);

	if (r < 0)
		return r;

	_cleanup_(freep) char *out = xasprintf("%s\n", line);
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		send(fd, out, strlen(out), MSG_NOSIGNAL) != (ssize_t)strlen(out))
		return err_errno(e, ERR_IO, errno, "%s (is provsim running?)", path);
	while (!reply.len || reply.s[reply.len - 1] != '\n') {
		char buf[4096];
		ssize_t n;

		r = iotime_wait(fd, POLLIN, &it, e);
		n = r < 0 ? -1 : read(fd, buf, sizeof buf);
		if (n <= 0) {
			sb_done(&reply);
			return r < 0 ? r : err_set(e, ERR_IO, "%s: closed without an answer", path);
		}
		sb_add_n(&reply, buf, (size_t)n);
	}
	reply.s[reply.len - 1] = 0;
	*ret = sb_take(&reply);
	return 0;
}
