/* SPDX-License-Identifier: Apache-2.0
 *
 * Two halves of a measurement of the API.
 *   bench_http serve BYTES [MILLISECONDS]
 *	a bare libmicrohttpd that answers BYTES bytes to whatever is asked or sent, so much later; prints its port, ends at EOF of stdin
 *   bench_http load PORT PATH SECONDS CONNECTIONS [TOKEN [BODY]]
 *	GETs over keep-alive connections, or POSTs of that JSON; prints answers per second
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "base/iotime.h"
#include "base/util.h"

#define MAX_CONNECTIONS 64

static char *answer;
static size_t answer_len;
static struct timespec answer_after;

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	struct MHD_Response *r;
	enum MHD_Result ok;

	if (!*state) {
		*state = answer;
		return MHD_YES;
	}
	if (*size) {
		*size = 0;
		return MHD_YES;
	}
	if (answer_after.tv_nsec)
		nanosleep(&answer_after, NULL);
	r = MHD_create_response_from_buffer(answer_len, answer, MHD_RESPMEM_PERSISTENT);
	ok = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return ok;
}

static int serve(size_t bytes, int after_ms)
{
	const unsigned threads = after_ms ? MHD_USE_THREAD_PER_CONNECTION |
						    MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL
					  : MHD_USE_EPOLL_INTERNAL_THREAD;
	const struct MHD_OptionItem options[] = {
		{after_ms ? MHD_OPTION_END : MHD_OPTION_THREAD_POOL_SIZE, 2, NULL},
		{MHD_OPTION_END, 0, NULL}};
	struct MHD_Daemon *d;
	char buf[16];

	answer = xcalloc(1, bytes);
	memset(answer, 'x', bytes);
	answer_len = bytes;
	answer_after.tv_nsec = after_ms * 1000000l;
	d = MHD_start_daemon(threads, 0, NULL, NULL, on_request, NULL, MHD_OPTION_ARRAY, options,
		MHD_OPTION_END);
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
		if (!length || c->buf[9] != '2')
			return -1;
		c->want = (size_t)(end + 4 - c->buf) + strtoull(length + 15, NULL, 10);
	}
	if (c->have < c->want)
		return 0;
	c->have = c->want = 0;
	return 1;
}

static char *request_of(const char *path, const char *token, const char *body)
{
	_cleanup_(freep) char *who =
		token ? xasprintf("Authorization: Bearer %s\r\n", token) : xstrdup("");

	if (!body)
		return xasprintf("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, who);
	return xasprintf(
		"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		path, who, strlen(body), body);
}

static int load(int port, const char *path, double seconds, int connections, const char *token,
	const char *body)
{
	static struct connection c[MAX_CONNECTIONS];
	struct pollfd p[MAX_CONNECTIONS];
	_cleanup_(freep) char *request = request_of(path, token, body);
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
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "serve"))
		return serve(strtoull(argv[2], NULL, 10), argc > 3 ? atoi(argv[3]) : 0);
	if (argc >= 6 && !strcmp(argv[1], "load"))
		return load(atoi(argv[2]), argv[3], atof(argv[4]),
			MIN(atoi(argv[5]), MAX_CONNECTIONS), argc > 6 ? argv[6] : NULL,
			argc > 7 ? argv[7] : NULL);
	fputs("usage: bench_http serve BYTES [MILLISECONDS] | load PORT PATH SECONDS CONNECTIONS [TOKEN [BODY]]\n",
		stderr);
	return 2;
}
