/* SPDX-License-Identifier: Apache-2.0
 *
 * An instrument on USB by the kernel's driver (Documentation/ABI/stable/sysfs-driver-usb-usbtmc, include/uapi/linux/usb/tmc.h):
 * one write(2) is a message, one read(2) asks for the answer. Neither can be cancelled, so neither is begun before it can
 * end: whether there is an answer, the status byte says (MAV, 488.2, 11.2.1.2), which needs an instrument of subclass USB488, as
 * those with SCPI are. The worst is a second, in which the instrument stops in the middle of a transfer, and the five of
 * the driver for a status byte that does not come.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/usb/tmc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "transports/links/link_impl.h"

#define NODES	      "/sys/class/usbmisc/usbtmc*"
#define TRANSFER_MS   1000
#define LOOK_FIRST_US (1 * US_PER_MS)
#define LOOK_LAST_US  (20 * US_PER_MS)
#define IN_BYTES      4096
#define MAV	      0x10
#define EOM	      0x01
#define TEXT_BYTES    128

struct usbtmc {
	struct link link;
	int fd;
	uint8_t in[IN_BYTES + 1];
	size_t at, len;
};

static struct usbtmc *of(struct link *l)
{
	return container_of(l, struct usbtmc, link);
}

/* --- which one --- */

static void attribute(const char *node, const char *name, char ret[TEXT_BYTES])
{
	_cleanup_(freep) char *path = xasprintf("%s/device/../%s", node, name);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, TEXT_BYTES - 1);

	while (n > 0 && isspace((unsigned char)ret[n - 1]))
		n--;
	ret[n > 0 ? n : 0] = '\0';
}

/* "1-1.4": of the interface 1-1.4:1.0. */
static void port_of(const char *node, char ret[TEXT_BYTES])
{
	_cleanup_(freep) char *path = xasprintf("%s/device", node);
	char to[512];
	ssize_t n = readlink(path, to, sizeof to - 1);
	const char *base;

	to[n > 0 ? n : 0] = '\0';
	base = strrchr(to, '/');
	snprintf(ret, TEXT_BYTES, "%.*s", (int)strcspn(base ? base + 1 : to, ":"),
		base ? base + 1 : to);
}

/* "VVVV:PPPP[/SERIAL]", or a port. */
static bool is_meant(const char *node, const char *which)
{
	char vid[TEXT_BYTES], pid[TEXT_BYTES], serial[TEXT_BYTES], port[TEXT_BYTES];
	size_t ids;

	port_of(node, port);
	if (!strcmp(port, which))
		return true;
	attribute(node, "idVendor", vid);
	attribute(node, "idProduct", pid);
	attribute(node, "serial", serial);
	ids = strlen(vid) + 1 + strlen(pid);

	_cleanup_(freep) char *both = xasprintf("%s:%s", vid, pid);

	if (strncasecmp(which, both, ids) != 0)
		return false;
	return !which[ids] || (which[ids] == '/' && !strcmp(which + ids + 1, serial));
}

static int find(const char *which, char ret[TEXT_BYTES], struct err *e)
{
	glob_t g = {0};
	size_t found = 0;

	if (!strncmp(which, "/dev/", 5)) {
		snprintf(ret, TEXT_BYTES, "%s", which);
		return 0;
	}
	glob(NODES, 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		if (!is_meant(g.gl_pathv[i], which))
			continue;
		found++;
		snprintf(ret, TEXT_BYTES, "/dev/%s", strrchr(g.gl_pathv[i], '/') + 1);
	}
	globfree(&g);
	if (found == 1)
		return 0;
	return found ? err_set(e, ERR_CONFLICT,
			       "%zu instruments are '%.60s': add the serial number, or name the port",
			       found, which)
		     : err_set(e, ERR_DEVICE_GONE, "no instrument on USB is '%.60s'", which);
}

/* --- the link --- */

static int failed(const char *what, int why, struct err *e)
{
	enum err_code c = why == ETIMEDOUT || why == ETIME ? ERR_TIMEOUT
			  : why == ENODEV || why == ESHUTDOWN || why == EPROTO || why == EPIPE
				  ? ERR_DEVICE_GONE
				  : ERR_IO;

	return err_errno(e, c, why, "%s", what);
}

static int usbtmc_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	int r = iotime_check(it, e);
	ssize_t k;

	if (r < 0)
		return r;
	k = write(of(l)->fd, buf, n);
	if (k < 0)
		return failed("send the message", errno, e);
	return (size_t)k == n ? 0
			      : err_set(e, ERR_IO, "the instrument took %zd of %zu bytes", k, n);
}

static int wait_for_answer(const struct usbtmc *t, const struct iotime *it, struct err *e)
{
	uint64_t pause = LOOK_FIRST_US;

	for (;;) {
		uint8_t status = 0;
		int r;

		if (ioctl(t->fd, USBTMC488_IOCTL_READ_STB, &status) < 0)
			return err_errno(
				e, ERR_DEVICE_GONE, errno, "it does not say its status byte");
		if (status & MAV)
			return 0;
		r = iotime_sleep(pause, it, e);
		/* Time that has gone by is what it asked for. */
		if (r < 0)
			return r;
		pause = MIN(pause * 2, (uint64_t)LOOK_LAST_US);
	}
}

static int fill(struct usbtmc *t, const struct iotime *it, struct err *e)
{
	uint8_t attributes = EOM;
	int r = wait_for_answer(t, it, e);
	ssize_t n;

	if (r < 0)
		return r;
	n = read(t->fd, t->in, IN_BYTES);
	if (n < 0)
		return failed("read the answer", errno, e);
	ioctl(t->fd, USBTMC_IOCTL_MSG_IN_ATTR, &attributes);
	t->at = 0;
	t->len = (size_t)n;
	if ((attributes & EOM) && (n == 0 || t->in[n - 1] != '\n'))
		t->in[t->len++] = '\n';
	return 0;
}

static int usbtmc_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct usbtmc *t = of(l);
	int r = 0;

	while (r == 0 && t->at == t->len)
		r = fill(t, it, e);
	if (r < 0)
		return r;
	*ret_n = MIN(size, t->len - t->at);
	memcpy(buf, t->in + t->at, *ret_n);
	t->at += *ret_n;
	return 0;
}

static int usbtmc_clear(struct link *l, const struct iotime *it, struct err *e)
{
	int r = iotime_check(it, e);

	of(l)->at = of(l)->len = 0;
	if (r < 0)
		return r;
	return ioctl(of(l)->fd, USBTMC_IOCTL_CLEAR) < 0 ? failed("device clear", errno, e) : 0;
}

static int usbtmc_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	if (c != LINK_CONTROL_FLUSH)
		return err_set(e, ERR_UNSUPPORTED, "USBTMC has no rate, modem lines or break");
	of(l)->at = of(l)->len = 0;
	return 0;
}

static void usbtmc_close(struct link *l)
{
	close(of(l)->fd);
	free(of(l));
}

static const struct link_ops usbtmc_ops = {
	.name = "usbtmc",
	.read = usbtmc_read,
	.write = usbtmc_write,
	.control = usbtmc_control,
	.clear = usbtmc_clear,
	.close = usbtmc_close,
};

/* It has a status byte, its transfers end, and a transfer that broke off is aborted. */
static int prepare(int fd, struct err *e)
{
	uint32_t ms = TRANSFER_MS;
	uint8_t yes = 1, status;

	if (ioctl(fd, USBTMC_IOCTL_SET_TIMEOUT, &ms) < 0 ||
		ioctl(fd, USBTMC_IOCTL_AUTO_ABORT, &yes) < 0)
		return err_errno(e, ERR_UNSUPPORTED, errno,
			"an instrument of the kernel's usbtmc driver expected");
	if (ioctl(fd, USBTMC488_IOCTL_READ_STB, &status) < 0)
		return err_errno(e, errno == ENODEV ? ERR_DEVICE_GONE : ERR_UNSUPPORTED, errno,
			"it gives no status byte: an instrument of subclass USB488 expected");
	return 0;
}

int usbtmc_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	_cleanup_(closep) int fd = -1;
	char node[TEXT_BYTES];
	struct usbtmc *t;
	int r = iotime_check(it, e);

	if (r == 0)
		r = find(rest, node, e);
	if (r < 0)
		return r;
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e,
			errno == EACCES || errno == EPERM ? ERR_ACCESS
			: errno == ENOENT		  ? ERR_DEVICE_GONE
							  : ERR_IO,
			errno, "%s", node);
	r = prepare(fd, e);
	if (r < 0)
		return r;
	t = xcalloc(1, sizeof *t);
	t->link.ops = &usbtmc_ops;
	t->fd = steal_fd(&fd);
	*ret = &t->link;
	return 0;
}
