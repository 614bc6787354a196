/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial port (or pty). Opened non-blocking and exclusively, set up from nothing: no setting is
 * inherited from an earlier user of the port. Any rate, through termios2 and BOTHER (Linux
 * ioctl_tty(2)). Runs on the worker that owns the link.
 *
 * Output is never waited for with tcdrain(): on a USB adapter that was unplugged it can hang.
 */
#include "transports/links/link_impl.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/util.h"

#define DEFAULT_BAUD 115200
#define BREAK_MAX_MS 5000

struct tty {
	struct link link;
	int fd;
	bool counts;
	struct serial_icounter_struct at_open;
};

static struct tty *tty_of(struct link *l)
{
	return container_of(l, struct tty, link);
}

static int tty_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	return fd_link_read(tty_of(l)->fd, buf, size, ret_n, it, e);
}

static int tty_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	return fd_link_write(tty_of(l)->fd, buf, n, it, e);
}

/* An ioctl that the driver may not have. */
static int tty_ioctl(int fd, unsigned long request, void *arg, const char *what, struct err *e)
{
	if (ioctl(fd, request, arg) >= 0)
		return 0;
	if (errno == ENOTTY || errno == EINVAL || errno == EOPNOTSUPP)
		return err_set(e, ERR_UNSUPPORTED, "this port has no %s", what);
	if (errno == EIO)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	return err_errno(e, ERR_IO, errno, "%s", what);
}

static int set_modem_line(int fd, int line, uint32_t on, const char *what, struct err *e)
{
	return tty_ioctl(fd, on ? TIOCMBIS : TIOCMBIC, &line, what, e);
}

static void put_baud(struct termios2 *t, uint32_t baud)
{
	t->c_cflag &= ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT);
	t->c_cflag |= BOTHER | BOTHER << IBSHIFT;
	t->c_ispeed = baud;
	t->c_ospeed = baud;
}

static int set_baud(int fd, uint32_t baud, struct err *e)
{
	struct termios2 t;

	if (baud == 0)
		return err_set(e, ERR_INVALID, "the rate 0 is not a rate");

	int r = tty_ioctl(fd, TCGETS2, &t, "settings", e);

	if (r < 0)
		return r;
	put_baud(&t, baud);
	return tty_ioctl(fd, TCSETS2, &t, "such rate", e);
}

static tcflag_t parity_flags(enum link_parity p)
{
	switch (p) {
	case LINK_PARITY_NONE:
		return 0;
	case LINK_PARITY_EVEN:
		return PARENB;
	case LINK_PARITY_ODD:
		return PARENB | PARODD;
	}
	return 0;
}

/* A driver without parity takes the setting and drops it: look at what came of it. */
static int set_parity(int fd, enum link_parity p, struct err *e)
{
	struct termios2 t;
	int r = tty_ioctl(fd, TCGETS2, &t, "settings", e);

	if (r < 0)
		return r;
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(PARENB | PARODD)) | parity_flags(p);
	t.c_iflag = p == LINK_PARITY_NONE ? t.c_iflag & ~(tcflag_t)INPCK : t.c_iflag | INPCK;
	r = tty_ioctl(fd, TCSETS2, &t, "parity", e);
	if (r == 0)
		r = tty_ioctl(fd, TCGETS2, &t, "settings", e);
	if (r == 0 && (t.c_cflag & (PARENB | PARODD)) != parity_flags(p))
		return err_set(e, ERR_UNSUPPORTED, "this port has no parity");
	return r;
}

static int send_break(int fd, uint32_t ms, struct err *e)
{
	const struct iotime always = {NO_DEADLINE, NULL};

	if (ms > BREAK_MAX_MS)
		return err_set(
			e, ERR_INVALID, "a break of %u ms is longer than %d ms", ms, BREAK_MAX_MS);

	int r = tty_ioctl(fd, TIOCSBRK, NULL, "break", e);

	if (r < 0)
		return r;
	iotime_sleep(ms * US_PER_MS, &always, NULL);
	return tty_ioctl(fd, TIOCCBRK, NULL, "break", e);
}

static int tty_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	struct tty *t = tty_of(l);

	switch (c) {
	case LINK_CONTROL_BAUD:
		return set_baud(t->fd, arg, e);
	case LINK_CONTROL_DTR:
		return set_modem_line(t->fd, TIOCM_DTR, arg, "DTR line", e);
	case LINK_CONTROL_RTS:
		return set_modem_line(t->fd, TIOCM_RTS, arg, "RTS line", e);
	case LINK_CONTROL_BREAK:
		return send_break(t->fd, arg, e);
	case LINK_CONTROL_PARITY:
		return set_parity(t->fd, (enum link_parity)arg, e);
	case LINK_CONTROL_FLUSH:
		if (ioctl(t->fd, TCFLSH, TCIOFLUSH) < 0)
			return err_errno(e, ERR_IO, errno, "flush");
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "unknown control %d", (int)c);
}

static void tty_stats(struct link *l, struct link_stats *ret)
{
	struct tty *t = tty_of(l);
	struct serial_icounter_struct now;

	if (!t->counts || ioctl(t->fd, TIOCGICOUNT, &now) < 0)
		return;
	ret->overruns = (uint32_t)(now.overrun - t->at_open.overrun) +
			(uint32_t)(now.buf_overrun - t->at_open.buf_overrun);
	ret->parity_errors = (uint32_t)(now.parity - t->at_open.parity);
	ret->frame_errors = (uint32_t)(now.frame - t->at_open.frame);
}

static void tty_free(struct tty *t)
{
	if (t->fd >= 0) {
		/* The flag belongs to the tty and would outlive this descriptor. */
		ioctl(t->fd, TIOCNXCL);
		close(t->fd);
	}
	free(t);
}

static void tty_close(struct link *l)
{
	tty_free(tty_of(l));
}

static const struct link_ops tty_ops = {
	.name = "tty",
	.read = tty_read,
	.write = tty_write,
	.control = tty_control,
	.stats = tty_stats,
	.close = tty_close,
};

static int take(struct tty *t, const char *path, struct err *e)
{
	t->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0) {
		if (errno == ENOENT || errno == EIO)
			return err_set(e, ERR_DEVICE_GONE, "there is no such device");
		if (errno == EBUSY)
			return err_set(e, ERR_BUSY, "another program holds it");
		return err_errno(e, ERR_IO, errno, "open");
	}
	if (!isatty(t->fd))
		return err_set(e, ERR_INVALID, "this is not a serial port");
	/* flock() keeps out programs that use it (and provd, as root, from itself: TIOCEXCL does
	 * not stop CAP_SYS_ADMIN); TIOCEXCL keeps out those that do not. */
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(e, ERR_BUSY, "another program holds it");
		return err_errno(e, ERR_IO, errno, "flock");
	}
	if (ioctl(t->fd, TIOCEXCL) < 0)
		return err_errno(e, ERR_IO, errno, "TIOCEXCL");
	return 0;
}

/* Raw, 8 bits, one stop bit, no software flow control: bytes 0A 0D 11 13 are data. HUPCL stays off
 * so that closing does not drop DTR, which resets many boards. */
static int set_up(struct tty *t, const struct link_config *cfg, uint32_t baud, struct err *e)
{
	struct termios2 want = {
		.c_iflag = cfg->parity == LINK_PARITY_NONE ? 0 : INPCK,
		.c_cflag = CS8 | CREAD | CLOCAL | parity_flags(cfg->parity) |
			   (cfg->rtscts ? CRTSCTS : 0),
		.c_cc = {[VMIN] = 1, [VTIME] = 0},
	};
	struct termios2 got;

	put_baud(&want, baud);
	if (ioctl(t->fd, TCSETS2, &want) < 0) {
		if (errno == EINVAL)
			return err_set(e, ERR_UNSUPPORTED,
				"the driver refuses %u baud or the parity", baud);
		return err_errno(e, ERR_IO, errno, "TCSETS2");
	}
	/* A driver takes the nearest it can and says nothing: look at what came of it. */
	if (ioctl(t->fd, TCGETS2, &got) < 0)
		return err_errno(e, ERR_IO, errno, "TCGETS2");

	uint32_t off = got.c_ospeed > baud ? got.c_ospeed - baud : baud - got.c_ospeed;

	if (off > baud / 33)
		return err_set(
			e, ERR_UNSUPPORTED, "the driver gives %u baud for %u", got.c_ospeed, baud);
	if ((got.c_cflag & (PARENB | PARODD)) != (want.c_cflag & (PARENB | PARODD)))
		return err_set(e, ERR_UNSUPPORTED, "the driver has no parity");
	return 0;
}

static int set_lines(struct tty *t, const struct link_config *cfg, struct err *e)
{
	int r = 0;

	if (cfg->dtr >= 0)
		r = set_modem_line(t->fd, TIOCM_DTR, (uint32_t)cfg->dtr, "DTR line", e);
	if (r == 0 && cfg->rts >= 0 && !cfg->rtscts)
		r = set_modem_line(t->fd, TIOCM_RTS, (uint32_t)cfg->rts, "RTS line", e);
	return r;
}

/* Adapters that gather bytes (FTDI: 16 ms) are asked to hand each on at once. */
static void ask_low_latency(int fd)
{
	struct serial_struct s;

	if (ioctl(fd, TIOCGSERIAL, &s) < 0)
		return;
	s.flags |= (int)ASYNC_LOW_LATENCY;
	ioctl(fd, TIOCSSERIAL, &s);
}

static int split_baud(const char *rest, char *path, size_t size, uint32_t *baud, struct err *e)
{
	const char *at = strrchr(rest, '@');
	size_t n = at ? (size_t)(at - rest) : strlen(rest);
	unsigned long long v;

	if (at) {
		if (!parse_size(at + 1, &v) || v == 0 || v > UINT32_MAX)
			return err_set(e, ERR_INVALID, "'%s' is not a rate in baud", at + 1);
		*baud = (uint32_t)v;
	}
	if (n == 0 || n >= size)
		return err_set(e, ERR_INVALID, "expected tty:PATH[@BAUD]");
	memcpy(path, rest, n);
	path[n] = '\0';
	return 0;
}

int tty_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	char path[FILE_PATH_BYTES];
	uint32_t baud = cfg->baud ? cfg->baud : DEFAULT_BAUD;
	int r = iotime_check(it, e);

	if (r == 0)
		r = split_baud(rest, path, sizeof path, &baud, e);
	if (r < 0)
		return r;

	struct tty *t = xcalloc(1, sizeof *t);

	t->link.ops = &tty_ops;
	t->link.baud = baud;
	t->link.parity = cfg->parity;
	r = take(t, path, e);
	if (r == 0)
		r = set_up(t, cfg, baud, e);
	if (r == 0)
		r = set_lines(t, cfg, e);
	if (r < 0) {
		tty_free(t);
		return r;
	}
	ask_low_latency(t->fd);
	t->counts = ioctl(t->fd, TIOCGICOUNT, &t->at_open) == 0;
	/* What the kernel gathered before this open was meant for no one. */
	ioctl(t->fd, TCFLSH, TCIFLUSH);
	*ret = &t->link;
	return 0;
}
