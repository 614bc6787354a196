/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/secret.h"
#include "base/util.h"

static int down(const char *socket, const char *what, int os_errno, struct err *e)
{
	return err_set(e, ERR_KEYS_DOWN, "%s %s%s%s", what, socket, os_errno ? ": " : "",
		os_errno ? strerror(os_errno) : "");
}

/* One that is being started is waited for. */
#define START_US (3 * US_PER_S)
#define LOOK_US	 (20 * US_PER_MS)

static int open_once(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof a.sun_path)
		return err_set(e, ERR_INVALID, "the path %s is too long for a socket", path);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0) {
		*ret = fd;
		return 0;
	}
	down(path, "provd-keyd does not answer at", errno, e);
	if (fd >= 0)
		close(fd);
	return -ERR_KEYS_DOWN;
}

static int open_socket(const char *path, const struct iotime *it, int *ret, struct err *e)
{
	const uint64_t until = now_us() + START_US;

	for (;;) {
		int r = open_once(path, ret, e);

		if (r != -ERR_KEYS_DOWN || now_us() >= until)
			return r;
		if (iotime_sleep(LOOK_US, it, NULL) < 0)
			return iotime_check(it, NULL) == -ERR_TIMEOUT ? r : iotime_check(it, e);
	}
}

static int move_all(int fd, uint8_t *p, size_t n, bool out, const char *path,
	const struct iotime *it, struct err *e)
{
	while (n > 0) {
		ssize_t got = out ? send(fd, p, n, MSG_NOSIGNAL) : recv(fd, p, n, 0);
		int r;

		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return down(path, "provd-keyd ended the connection at", got ? errno : 0, e);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
			continue;
		}
		r = iotime_wait(fd, out ? POLLOUT : POLLIN, it, e);
		if (r == -ERR_TIMEOUT)
			return down(path, "provd-keyd gave no answer in time at", 0, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What it said is an error of its own. */
static int its_error(uint8_t *p, size_t n, const char *path, struct err *e)
{
	struct wire_value v[WIRE_FIELDS];
	int code;

	if (wire_read(wire_error_fields, p, n, v, e) < 0)
		return down(path, "what answers is not provd-keyd at", 0, e);
	code = err_code_from_str(v[0].p);
	return err_set(
		e, code > 0 ? (enum err_code)code : ERR_KEYS_DOWN, "%s", (const char *)v[1].p);
}

int keyd_ask(const char *socket, enum keyd_op op, const struct wire_value *ask,
	const struct iotime *it, uint8_t *buf, struct wire_value *ret, struct err *e)
{
	const struct iotime within = iotime_within(it, KEYD_ANSWER_US);
	_cleanup_(closep) int fd = -1;
	size_t n = wire_write((uint8_t)op, wire_rows[op].ask, ask, buf);
	uint32_t size;
	int r = n > 0 ? open_socket(socket, &within, &fd, e)
		      : err_set(e, ERR_INVALID,
				"a text of the request '%s' is too short or too long",
				wire_rows[op].name);

	if (r == 0)
		r = move_all(fd, buf, n, true, socket, &within, e);
	if (r == 0)
		r = move_all(fd, buf, 4, false, socket, &within, e);
	if (r < 0)
		return r;
	size = (uint32_t)buf[0] << 24 | (uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3];
	if (size < 1 || size > WIRE_MAX_BYTES - 4)
		return down(socket, "what answers is not provd-keyd at", 0, e);
	r = move_all(fd, buf, size, false, socket, &within, e);
	if (r < 0)
		return r;
	if (buf[0] != 0)
		return its_error(buf + 1, size - 1, socket, e);
	if (wire_read(wire_rows[op].answer, buf + 1, size - 1, ret, e) < 0)
		return down(socket, "what answers is not provd-keyd at", 0, e);
	return 0;
}
