/* SPDX-License-Identifier: Apache-2.0
 *
 * Plug events as text over a unix socket: virtual fixtures and recordings. The text is that of
 * `udevadm monitor --property`: a header line, KEY=VALUE lines, an empty line.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/util.h"
#include "daemon/line/hotplug.h"

#define LINE_MAX_LEN 1024

struct stream_source {
	struct hotplug h;
	char *path;
	int fd;
	bool said_away;
	struct uevent_text text;
	char line[LINE_MAX_LEN];
	size_t len;
};

/* ":090000:": class, subclass and protocol of each interface, as udev's usb_id lists them. */
bool hotplug_is_hub(const char *interfaces)
{
	return interfaces && !strncmp(interfaces, ":09", 3);
}

static void mark(struct hotplug *h, enum hotplug_kind kind)
{
	const struct hotplug_event ev = {.kind = kind};

	h->sink.event(h->sink.data, h, &ev);
}

static void copy(char *dst, size_t size, const char *src)
{
	snprintf(dst, size, "%s", src);
}

/* "/devices/platform/.../9-1.3/9-1.3:1.0/tty/pts7": the last component of the form BUS-PORT. */
static void sysname_of(struct hotplug_event *ev)
{
	char path[sizeof ev->syspath];
	char *save;

	copy(path, sizeof path, ev->syspath);
	for (char *p = strtok_r(path, "/", &save); p; p = strtok_r(NULL, "/", &save))
		if (*p >= '0' && *p <= '9' && strchr(p, '-') && !strchr(p, ':'))
			copy(ev->sysname, sizeof ev->sysname, p);
}

static void block_end(struct uevent_text *t, struct hotplug *h)
{
	struct hotplug_event *ev = &t->ev;

	if (!strcmp(t->action, "scan-begin")) {
		mark(h, HOTPLUG_SCAN_BEGIN);
	} else if (!strcmp(t->action, "scan-done")) {
		mark(h, HOTPLUG_SCAN_DONE);
	} else if (ev->syspath[0] && strcmp(t->action, "unbind") != 0 &&
		   strcmp(t->action, "offline") != 0 &&
		   (!strcmp(ev->subsystem, "tty") || !strcmp(ev->devtype, "usb_device"))) {
		ev->kind = strcmp(t->action, "remove") == 0 ? HOTPLUG_GONE : HOTPLUG_PRESENT;
		sysname_of(ev);
		h->sink.event(h->sink.data, h, ev);
	}
	*t = (struct uevent_text){.ev.interface = -1};
}

void uevent_text_line(struct uevent_text *t, struct hotplug *h, const char *line)
{
	struct hotplug_event *ev = &t->ev;
	const char *eq = strchr(line, '=');
	const char *v = eq ? eq + 1 : "";
	const struct {
		const char *key;
		char *dst;
		size_t size;
	} text[] = {
		{"ACTION", t->action, sizeof t->action},
		{"DEVPATH", ev->syspath, sizeof ev->syspath},
		{"SUBSYSTEM", ev->subsystem, sizeof ev->subsystem},
		{"DEVTYPE", ev->devtype, sizeof ev->devtype},
		{"DEVNAME", ev->node, sizeof ev->node},
		{"ID_PATH", ev->id_path, sizeof ev->id_path},
		{"ID_VENDOR_ID", ev->vid, sizeof ev->vid},
		{"ID_MODEL_ID", ev->pid, sizeof ev->pid},
		{"ID_SERIAL_SHORT", ev->serial, sizeof ev->serial},
	};

	if (!*line) {
		block_end(t, h);
		return;
	}
	if (!strncmp(line, "UDEV ", 5) || !strncmp(line, "KERNEL[", 7)) {
		char action[16];
		char path[256];

		*t = (struct uevent_text){.ev.interface = -1};
		if (sscanf(strchr(line, ']') ? strchr(line, ']') + 1 : "", " %15s %255s", action,
			    path) == 2) {
			copy(t->action, sizeof t->action, action);
			copy(ev->syspath, sizeof ev->syspath, path);
		}
		return;
	}
	if (!eq)
		return;
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		if (strlen(text[i].key) == (size_t)(eq - line) &&
			!strncmp(line, text[i].key, (size_t)(eq - line)))
			copy(text[i].dst, text[i].size, v);
	if (!strncmp(line, "ID_USB_INTERFACE_NUM=", 21))
		ev->interface = (int)strtol(v, NULL, 16);
	else if (!strncmp(line, "ID_USB_INTERFACES=", 18))
		ev->hub = hotplug_is_hub(v);
	else if (!strncmp(line, "DEVNUM=", 7))
		ev->devnum = (uint32_t)strtoul(v, NULL, 10);
	else if (!strncmp(line, "USEC_INITIALIZED=", 17))
		ev->initialized_us = strtoull(v, NULL, 10);
}

static void away(struct stream_source *s)
{
	close(s->fd);
	s->fd = -1;
	s->len = 0;
	s->text = (struct uevent_text){.ev.interface = -1};
	/* An empty scan: nothing of it is there any more. */
	mark(&s->h, HOTPLUG_SCAN_BEGIN);
	mark(&s->h, HOTPLUG_SCAN_DONE);
	log_warning("event stream %s: closed by its server", s->path);
}

static void try_connect(struct stream_source *s)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", s->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		if (!s->said_away)
			log_warning("event stream %s: %s; trying again every second", s->path,
				strerrordesc_np(errno));
		s->said_away = true;
		if (fd >= 0)
			close(fd);
		return;
	}
	s->fd = fd;
	s->said_away = false;
	mark(&s->h, HOTPLUG_SCAN_BEGIN);
}

static int start(struct hotplug *h, struct err *e)
{
	try_connect(container_of(h, struct stream_source, h));
	return 0;
}

static void take_bytes(struct stream_source *s, const char *p, size_t n)
{
	for (; n > 0; p++, n--) {
		if (*p != '\n') {
			/* An overlong line is cut: no key that matters is that long. */
			if (s->len < sizeof s->line - 1)
				s->line[s->len++] = *p;
			continue;
		}
		s->line[s->len] = 0;
		s->len = 0;
		uevent_text_line(&s->text, &s->h, s->line);
	}
}

static int dispatch(struct hotplug *h, struct err *e)
{
	struct stream_source *s = container_of(h, struct stream_source, h);
	char buf[8192];

	if (s->fd < 0)
		try_connect(s);
	while (s->fd >= 0) {
		ssize_t n = read(s->fd, buf, sizeof buf);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			away(s);
		else
			take_bytes(s, buf, (size_t)n);
	}
	return 0;
}

static int rescan(struct hotplug *h, struct err *e)
{
	struct stream_source *s = container_of(h, struct stream_source, h);

	if (s->fd < 0)
		return 0;
	mark(h, HOTPLUG_SCAN_BEGIN);
	if (send(s->fd, "RESCAN\n", 7, MSG_NOSIGNAL) != 7)
		away(s);
	return 0;
}

static int source_fd(struct hotplug *h)
{
	return container_of(h, struct stream_source, h)->fd;
}

static void source_free(struct hotplug *h)
{
	struct stream_source *s = container_of(h, struct stream_source, h);

	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s);
}

static const struct hotplug_ops ops = {"stream", start, source_fd, dispatch, rescan, source_free};

int hotplug_stream_new(
	const char *path, const struct hotplug_sink *sink, struct hotplug **ret, struct err *e)
{
	struct stream_source *s;

	if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return err_set(e, ERR_INVALID, "%s: too long for a socket's path", path);
	s = xcalloc(1, sizeof *s);
	s->h.ops = &ops;
	s->h.sink = *sink;
	s->path = xstrdup(path);
	s->fd = -1;
	s->text.ev.interface = -1;
	*ret = &s->h;
	return 0;
}
