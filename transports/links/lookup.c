/* SPDX-License-Identifier: Apache-2.0
 *
 * The addresses of HOST:PORT. A name is looked up on a thread of its own, since getaddrinfo() knows
 * no deadline.
 */
#include "transports/links/link_impl.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/strbuf.h"
#include "base/thread.h"

/* A look-up under way: shared by the worker and the thread, freed by the last of the two. */
struct lookup {
	int refs; /* atomic */
	int done_fd;
	int type; /* SOCK_STREAM, SOCK_DGRAM */
	char host[256], port[8];
	int error; /* valid, like found, once done_fd is readable */
	struct addrinfo *found;
};

struct lookup *lookup_unref(struct lookup *u)
{
	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	if (u->found)
		freeaddrinfo(u->found);
	if (u->done_fd >= 0)
		close(u->done_fd);
	free(u);
	return NULL;
}

static struct addrinfo hints_of(const struct lookup *u)
{
	return (struct addrinfo){.ai_family = AF_UNSPEC, .ai_socktype = u->type};
}

static void *lookup_main(void *arg)
{
	struct lookup *u = arg;
	const struct addrinfo hints = hints_of(u);

	u->error = getaddrinfo(u->host, u->port, &hints, &u->found);
	eventfd_write(u->done_fd, 1);
	lookup_unref(u);
	return NULL;
}

static int lookup_name(struct lookup *u, const struct iotime *it, struct err *e)
{
	struct addrinfo numeric = hints_of(u);
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
		return err_set(e, ERR_INVALID, "expected HOST:PORT or [IPv6]:PORT");
	if (!parse_size(colon + 1, &port) || port == 0 || port > 65535)
		return err_set(e, ERR_INVALID, "'%s' is not a port number", colon + 1);
	memcpy(u->host, host, n);
	u->host[n] = '\0';
	snprintf(u->port, sizeof u->port, "%u", (unsigned)port);
	return 0;
}

int lookup_run(
	const char *rest, int type, const struct iotime *it, struct lookup **ret, struct err *e)
{
	_cleanup_(lookup_unrefp) struct lookup *u = xcalloc(1, sizeof *u);

	u->refs = 1;
	u->done_fd = -1;
	u->type = type;

	int r = split_host(rest, u, e);

	if (r == 0)
		r = lookup_name(u, it, e);
	if (r == 0)
		*ret = steal_ptr(&u);
	return r;
}

const struct addrinfo *lookup_found(const struct lookup *u)
{
	return u->found;
}
