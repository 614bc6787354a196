/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/usb_hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "transports/links/usb_impl.h"

#define DEVICES	  "/sys/bus/usb/devices"
#define CLASS_HUB 0x09

static const char digits[] = "0123456789";

/* --- names --- */

bool usb_hub_port_parse(const char *name, struct usb_hub_port *ret)
{
	size_t bus = strspn(name, digits);
	size_t n = strspn(name, "0123456789-.");
	const char *last;
	char *end;
	unsigned long port;

	if (bus == 0 || name[bus] != '-' || n >= sizeof ret->hub || (name[n] && name[n] != ':'))
		return false;
	for (last = name + n; last[-1] != '.' && last[-1] != '-';)
		last--;
	port = strtoul(last, &end, 10);
	if (end != name + n || end == last || port < 1 || port > 255)
		return false;
	*ret = (struct usb_hub_port){.port = (unsigned)port};
	if (last[-1] == '-')
		snprintf(ret->hub, sizeof ret->hub, "usb%.*s", (int)bus, name);
	else
		snprintf(ret->hub, sizeof ret->hub, "%.*s", (int)(last - 1 - name), name);
	return true;
}

void usb_hub_port_name(const struct usb_hub_port *p, char ret[USB_PORT_BYTES])
{
	if (!strncmp(p->hub, "usb", 3))
		snprintf(ret, USB_PORT_BYTES, "%.40s-%u", p->hub + 3, p->port);
	else
		snprintf(ret, USB_PORT_BYTES, "%.50s.%u", p->hub, p->port);
}

bool usb_hub_port_holds(const struct usb_hub_port *p, const char *port)
{
	char name[USB_PORT_BYTES];
	size_t n;

	usb_hub_port_name(p, name);
	n = strlen(name);
	return !strncmp(port, name, n) && (!port[n] || port[n] == '.' || port[n] == ':');
}

/* --- sysfs --- */

static bool is_there(const char *device)
{
	_cleanup_(freep) char *path = xasprintf(DEVICES "/%s", device);

	return access(path, F_OK) == 0;
}

bool usb_hub_port_taken(const struct usb_hub_port *p)
{
	char name[USB_PORT_BYTES];

	usb_hub_port_name(p, name);
	return is_there(name);
}

static unsigned long number(const char *device, const char *name)
{
	_cleanup_(freep) char *path = xasprintf(DEVICES "/%s/%s", device, name);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	return n > 0 ? strtoul(text, NULL, 10) : 0;
}

/* The controller of a root hub as path_id of udev names it: its bus and its name, "pci-0000:00:14.0". */
static char *controller_of(const char *root)
{
	_cleanup_(freep) char *up = xasprintf(DEVICES "/%s/..", root);
	_cleanup_(freep) char *real = realpath(up, NULL);
	_cleanup_(freep) char *link = real ? xasprintf("%s/subsystem", real) : NULL;
	char target[256];
	ssize_t n = link ? readlink(link, target, sizeof target - 1) : -1;

	if (n <= 0)
		return NULL;
	target[n] = 0;
	return xasprintf("%s-%s", strrchr(target, '/') ? strrchr(target, '/') + 1 : target,
		strrchr(real, '/') + 1);
}

/* "…CONTROLLER-usb-0:1.2[:1.0]": the ID_PATH of a device at this root hub. */
static bool is_at_root(const char *root, const char *path, const char *usb)
{
	_cleanup_(freep) char *controller = controller_of(root);
	size_t n = controller ? strlen(controller) : 0;
	size_t before = (size_t)(usb - path);

	return n && before >= n && !strncmp(usb - n, controller, n) &&
	       (before == n || usb[-(ssize_t)n - 1] == '-');
}

static bool root_port(const char *root, const char *rest, struct usb_hub_port *ret)
{
	_cleanup_(freep) char *name = xasprintf("%s-%s", root + 3, rest);

	return usb_hub_port_parse(name, ret) && is_there(ret->hub);
}

/* Of the two root hubs of a controller the one of USB 2: the other one is its peer. */
static int find_by_path(const char *path, const char *usb, struct usb_hub_port *ret, struct err *e)
{
	const char *rest = usb + strlen("-usb-0:");
	DIR *d = opendir(DEVICES);
	struct usb_hub_port at;
	unsigned long best = 0;

	for (const struct dirent *x; d && (x = readdir(d));) {
		unsigned long speed;

		if (strncmp(x->d_name, "usb", 3) != 0 || !is_at_root(x->d_name, path, usb) ||
			!root_port(x->d_name, rest, &at))
			continue;
		speed = number(x->d_name, "speed");
		if (best && speed >= best)
			continue;
		best = speed;
		*ret = at;
	}
	if (d)
		closedir(d);
	return best ? 0
		    : err_set(e, ERR_DEVICE_GONE, "%s: no hub is plugged that has this port", path);
}

int usb_hub_port_of(const char *path, struct usb_hub_port *ret, struct err *e)
{
	const char *usb = strstr(path, "-usb-0:");
	struct usb_hub_port at;

	if (usb)
		return find_by_path(path, usb, ret, e);
	if (!usb_hub_port_parse(path, &at))
		return err_set(e, ERR_INVALID,
			"'%.80s' is not a port of a USB hub: 1-1.2 or pci-0000:00:14.0-usb-0:1.2 expected",
			path);
	if (!is_there(at.hub))
		return err_set(e, ERR_DEVICE_GONE, "hub %s is not plugged", at.hub);
	*ret = at;
	return 0;
}

bool usb_hub_port_peer(const struct usb_hub_port *p, struct usb_hub_port *ret)
{
	bool root = !strncmp(p->hub, "usb", 3);
	_cleanup_(freep) char *link =
		root ? xasprintf(DEVICES "/%s-0:1.0/%s-port%u/peer", p->hub + 3, p->hub, p->port)
		     : xasprintf(DEVICES "/%s:1.0/%s-port%u/peer", p->hub, p->hub, p->port);
	char target[512];
	ssize_t n = readlink(link, target, sizeof target - 1);
	const char *name;
	const char *at;

	if (n <= 0)
		return false;
	target[n] = 0;
	name = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
	at = strstr(name, "-port");
	if (!at || at == name || (size_t)(at - name) >= sizeof ret->hub)
		return false;
	*ret = (struct usb_hub_port){.port = (unsigned)strtoul(at + 5, NULL, 10)};
	memcpy(ret->hub, name, (size_t)(at - name));
	return ret->port > 0;
}

/* --- the hub --- */

int usb_hub_open(
	const char *hub, const struct iotime *it, struct usb **ret, bool *ret_super, struct err *e)
{
	_cleanup_(freep) char *node = xasprintf(
		"usb:/dev/bus/usb/%03lu/%03lu", number(hub, "busnum"), number(hub, "devnum"));
	_cleanup_(usb_closep) struct usb *u = NULL;
	const struct usb_interface *i;
	int r;

	if (!is_there(hub))
		return err_set(e, ERR_DEVICE_GONE, "hub %s is not plugged", hub);
	r = usb_open(node, it, &u, e);
	if (r < 0)
		return err_prefix(e, "hub %s", hub);
	if (usb_interfaces(u, &i) < 1 || i[0].cls != CLASS_HUB)
		return err_set(e, ERR_POWER_NOT_SWITCHABLE,
			"%s is not a hub: %04x:%04x is plugged there", hub, usb_facts(u)->vid,
			usb_facts(u)->pid);
	*ret_super = number(hub, "speed") >= 5000;
	*ret = steal_ptr(&u);
	return 0;
}

int usb_hub_claim(struct usb *u, unsigned port, struct err *e)
{
	if (ioctl(u->fd, USBDEVFS_CLAIM_PORT, &port) < 0)
		return errno == EBUSY ? err_set(e, ERR_BUSY,
						"port %u of hub %s is held by another program",
						port, u->facts.port)
				      : err_errno(e, ERR_IO, errno, "claim port %u of hub %s", port,
						u->facts.port);
	return 0;
}

void usb_hub_release(struct usb *u, unsigned port)
{
	ioctl(u->fd, USBDEVFS_RELEASE_PORT, &port);
}
