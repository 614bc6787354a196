/* SPDX-License-Identifier: Apache-2.0
 *
 * Two halves of a measurement of the API.
 *   bench_http serve BYTES            a bare libmicrohttpd that answers BYTES bytes; prints its
 * port, ends at EOF of stdin bench_http load PORT PATH SECONDS CONNECTIONS [TOKEN]   GETs over
 * keep-alive connections; prints answers per second
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/iotime.h"
#include "base/util.h"

#define MAX_CONNECTIONS 64

static char *answer;
static size_t answer_len;

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	if (!*state) {
		*state = answer;
		return MHD_YES;
	}
	r = MHD_create_response_from_buffer(answer_len, answer, MHD_RESPMEM_PERSISTENT);
	ok = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return ok;
}

static int serve(size_t bytes)
{
	struct MHD_Daemon *d;
	char buf[16];

	answer = xcalloc(1, bytes);
	memset(answer, 'x', bytes);
	answer_len = bytes;
	d = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
		MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_END);
	if (!d)
		return 1;
	printf("%u\n", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	while (read(0, buf, sizeof buf) > 0)
		;
	MHD_stop_daemon(d);
	free(answer);
	return 0;
}

struct connection {
	int fd;
	char buf[65536];
	size_t have; /* bytes of the answer so far */
	size_t want; /* of the whole answer, 0: the header is not there yet */
};

static int dial(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

/* 1: an answer is whole, 0: not yet, -1: broken. */
static int take(struct connection *c)
{
	ssize_t n = read(c->fd, c->buf + (c->want ? 0 : c->have),
		c->want ? sizeof c->buf : sizeof c->buf - 1 - c->have);

	if (n <= 0)
		return -1;
	c->have += (size_t)n;
	if (!c->want) {
		char *end;
		char *length;

		c->buf[MIN(c->have, sizeof c->buf - 1)] = 0;
		end = strstr(c->buf, "\r\n\r\n");
		length = strcasestr(c->buf, "Content-Length:");
		if (!end)
			return 0;
		if (!length || strncmp(c->buf + 9, "200", 3) != 0)
			return -1;
		c->want = (size_t)(end + 4 - c->buf) + strtoull(length + 15, NULL, 10);
	}
	if (c->have < c->want)
		return 0;
	c->have = c->want = 0;
	return 1;
}

static int load(int port, const char *path, double seconds, int connections, const char *token)
{
	static struct connection c[MAX_CONNECTIONS];
	struct pollfd p[MAX_CONNECTIONS];
	_cleanup_(freep) char *request = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n", path,
		token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
	size_t len = strlen(request);
	uint64_t begun = now_us();
	uint64_t end = begun + (uint64_t)(seconds * 1e6);
	uint64_t answers = 0;

	for (int i = 0; i < connections; i++) {
		c[i].fd = dial(port);
		p[i] = (struct pollfd){.fd = c[i].fd, .events = POLLIN};
		if (c[i].fd < 0 || write(c[i].fd, request, len) != (ssize_t)len)
			return 1;
	}
	while (now_us() < end) {
		poll(p, (nfds_t)connections, 100);
		for (int i = 0; i < connections; i++) {
			int r = p[i].revents ? take(&c[i]) : 0;

			if (r < 0)
				return 1;
			if (r == 0)
				continue;
			answers++;
			if (write(c[i].fd, request, len) != (ssize_t)len)
				return 1;
		}
	}
	printf("%.0f\n", (double)answers * 1e6 / (double)(now_us() - begun));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(strtoull(argv[2], NULL, 10));
	if (argc >= 6 && !strcmp(argv[1], "load"))
		return load(atoi(argv[2]), argv[3], atof(argv[4]),
			MIN(atoi(argv[5]), MAX_CONNECTIONS), argc > 6 ? argv[6] : NULL);
	fputs("usage: bench_http serve BYTES | load PORT PATH SECONDS CONNECTIONS [TOKEN]\n",
		stderr);
	return 2;
}
