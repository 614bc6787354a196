/* SPDX-License-Identifier: Apache-2.0
 *
 * Which device an address means, as sysfs shows it (Documentation/ABI/testing/sysfs-bus-usb), and
 * who else holds it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "transports/links/usb_impl.h"

#define DEVICES "/sys/bus/usb/devices"

/* A word of an attribute file; "" where there is none. Whether there is such a file. */
static bool attribute(const char *device, const char *name, char *ret, size_t size)
{
	_cleanup_(freep) char *path = xasprintf(DEVICES "/%s/%s", device, name);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\r\n")] = 0;
	return n >= 0;
}

static unsigned long number(const char *device, const char *name, int base)
{
	char text[32];

	attribute(device, name, text, sizeof text);
	return strtoul(text, NULL, base);
}

/* false where no device is on that port. A device may come or go while its attributes are read:
 * they count if its number was the same before and after. */
static bool facts_of(const char *device, struct usb_facts *ret)
{
	unsigned long devnum = number(device, "devnum", 10);
	char vid[16];
	struct usb_facts f = {.interface = -1};

	attribute(device, "idVendor", vid, sizeof vid);
	if (!vid[0] || devnum == 0)
		return false;
	f.vid = (uint16_t)strtoul(vid, NULL, 16);
	f.pid = (uint16_t)number(device, "idProduct", 16);
	f.release = (uint16_t)number(device, "bcdDevice", 16);
	f.ep0_max_packet = (uint16_t)number(device, "bMaxPacketSize0", 10);
	attribute(device, "serial", f.serial, sizeof f.serial);
	snprintf(f.port, sizeof f.port, "%.63s", device);
	snprintf(f.node, sizeof f.node, "/dev/bus/usb/%03lu/%03lu", number(device, "busnum", 10),
		devnum);
	*ret = f;
	return number(device, "devnum", 10) == devnum;
}

/* What an address asks for; each is left empty where it does not say. */
struct wanted {
	char port[USB_PORT_BYTES];
	char node[USB_NODE_BYTES];
	unsigned vid, pid;
	char serial[USB_SERIAL_BYTES];
	int interface;
};

static bool parse_port(const char *s, struct wanted *w)
{
	size_t n = strspn(s, "0123456789-.");
	unsigned long long interface;

	if (n == 0 || n >= sizeof w->port || !memchr(s, '-', n))
		return false;
	memcpy(w->port, s, n);
	w->port[n] = 0;
	if (!s[n])
		return true;
	if (s[n] != ':' || !parse_size(s + n + 1, &interface) || interface > 255)
		return false;
	w->interface = (int)interface;
	return true;
}

static bool parse_ids(const char *s, struct wanted *w)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	const char *slash = strchr(s, '/');

	if (strspn(s, hex) != 4 || s[4] != ':' || strspn(s + 5, hex) != 4 ||
		(s[9] && s[9] != '/') || (slash && strlen(slash + 1) >= sizeof w->serial))
		return false;
	w->vid = (unsigned)strtoul(s, NULL, 16);
	w->pid = (unsigned)strtoul(s + 5, NULL, 16);
	if (slash)
		strcpy(w->serial, slash + 1);
	return true;
}

static int parse(const char *address, struct wanted *w, struct err *e)
{
	const char *s = strncmp(address, "usb:", 4) ? NULL : address + 4;

	*w = (struct wanted){.interface = -1};
	if (s && *s == '/' && strlen(s) < sizeof w->node) {
		strcpy(w->node, s);
		return 0;
	}
	if (s && (parse_port(s, w) || parse_ids(s, w)))
		return 0;
	return err_set(e, ERR_INVALID,
		"'%s' is not a USB address: expected usb:1-1.4[:INTERFACE], usb:VVVV:PPPP[/SERIAL] or usb:/dev/bus/usb/BBB/DDD",
		address);
}

static bool fits(const struct usb_facts *f, const struct wanted *w)
{
	if (w->node[0])
		return !strcmp(f->node, w->node);
	return f->vid == w->vid && f->pid == w->pid &&
	       (!w->serial[0] || !strcmp(f->serial, w->serial));
}

static int search(const char *address, const struct wanted *w, struct usb_facts *ret, struct err *e)
{
	DIR *d = opendir(DEVICES);
	struct usb_facts found = {0};
	struct usb_facts f;
	unsigned count = 0;

	for (const struct dirent *x; d && (x = readdir(d));) {
		/* Devices are named 1-1.4, their interfaces 1-1.4:1.0, root hubs usb1. */
		if (x->d_name[0] == '.' || strchr(x->d_name, ':') || !facts_of(x->d_name, &f) ||
			!fits(&f, w))
			continue;
		if (count++)
			err_set(e, ERR_CONFLICT,
				"%s: on port %s and on port %s: name the port or the serial number",
				address, found.port, f.port);
		else
			found = f;
	}
	if (d)
		closedir(d);
	if (count > 1)
		return -ERR_CONFLICT;
	if (count == 0)
		return err_set(e, ERR_DEVICE_GONE, "%s: there is no such device", address);
	*ret = found;
	return 0;
}

int usb_sysfs_find(const char *address, struct usb_facts *ret, struct err *e)
{
	struct wanted w;
	int r = parse(address, &w, e);

	if (r < 0)
		return r;
	if (!w.port[0])
		return search(address, &w, ret, e);
	if (!facts_of(w.port, ret))
		return err_set(e, ERR_DEVICE_GONE, "%s: nothing is plugged there", address);
	ret->interface = w.interface;
	return 0;
}

size_t usb_list(uint16_t vid, uint16_t pid, char ret[][USB_LISTED_BYTES], size_t room)
{
	DIR *d = opendir(DEVICES);
	struct usb_facts f;
	size_t n = 0;

	for (const struct dirent *x; n < room && d && (x = readdir(d));)
		if (x->d_name[0] != '.' && !strchr(x->d_name, ':') && facts_of(x->d_name, &f) &&
			f.vid == vid && f.pid == pid)
			snprintf(ret[n++], USB_LISTED_BYTES, "usb:%s", f.port);
	if (d)
		closedir(d);
	return n;
}

int usb_look(const char *address, struct usb_facts *ret, struct err *e)
{
	return usb_sysfs_find(address, ret, e);
}

bool usb_sysfs_configured(const struct usb_facts *f)
{
	char value[8];

	return !attribute(f->port, "bConfigurationValue", value, sizeof value) || value[0];
}

static bool holds(const char *pid, const char *node)
{
	_cleanup_(freep) char *path = xasprintf("/proc/%s/fd", pid);
	DIR *d = opendir(path);
	bool found = false;

	for (const struct dirent *x; !found && d && (x = readdir(d));) {
		char target[256];
		ssize_t n = readlinkat(dirfd(d), x->d_name, target, sizeof target - 1);

		found = n > 0 && (size_t)n == strlen(node) && !memcmp(target, node, (size_t)n);
	}
	if (d)
		closedir(d);
	return found;
}

static bool find_program(const char *node, char *ret, size_t size)
{
	_cleanup_(freep) char *self = xasprintf("%d", (int)getpid());
	DIR *d = opendir("/proc");
	bool found = false;

	for (const struct dirent *x; !found && d && (x = readdir(d));) {
		char comm[32] = "";

		if (x->d_name[0] < '1' || x->d_name[0] > '9' || !strcmp(x->d_name, self) ||
			!holds(x->d_name, node))
			continue;

		_cleanup_(freep) char *path = xasprintf("/proc/%s/comm", x->d_name);
		_cleanup_(fclosep) FILE *f = fopen(path, "re");

		if (f && fgets(comm, sizeof comm, f))
			comm[strcspn(comm, "\n")] = 0;
		snprintf(ret, size, "program '%s' (process %.12s)", comm, x->d_name);
		found = true;
	}
	if (d)
		closedir(d);
	return found;
}

void usb_holder(const struct usb_facts *f, unsigned interface, char *ret, size_t size)
{
	_cleanup_(freep) char *link =
		xasprintf(DEVICES "/%s/%s:1.%u/driver", f->port, f->port, interface);
	char target[256];
	ssize_t n = readlink(link, target, sizeof target - 1);

	if (find_program(f->node, ret, size))
		return;
	if (n <= 0) {
		snprintf(ret, size, "another program");
		return;
	}
	target[n] = 0;
	snprintf(ret, size, "kernel driver '%.100s'",
		strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}
