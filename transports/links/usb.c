/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "transports/links/usb_impl.h"

/* udev events come when the rules have run, but chained rules may still set rights. */
#define OPEN_TRIES    4
#define OPEN_AGAIN_US (200 * US_PER_MS)
#define STRING_US     (1 * US_PER_S)
/* The node is there before the kernel has chosen a configuration, which the device may take its
 * time to accept (USB_CTRL_SET_TIMEOUT is 5 s). libusb then takes the first one for the active one,
 * and no interface can be claimed. */
#define CONFIGURE_US	   (6 * US_PER_S)
#define CONFIGURE_AGAIN_US (20 * US_PER_MS)
#define LANGUAGE	   0x0409 /* English (United States): where a device names none */

static const struct {
	int libusb;
	enum err_code code;
	const char *text;
} errors[] = {
	{LIBUSB_ERROR_IO, ERR_IO, "the transfer failed on the bus"},
	{LIBUSB_ERROR_INVALID_PARAM, ERR_INTERNAL, "a wrong parameter"},
	{LIBUSB_ERROR_ACCESS, ERR_ACCESS, "no right to the device (a udev rule is missing)"},
	{LIBUSB_ERROR_NO_DEVICE, ERR_DEVICE_GONE, "the device is gone"},
	{LIBUSB_ERROR_NOT_FOUND, ERR_DEVICE_GONE, "there is no such thing on the device"},
	{LIBUSB_ERROR_BUSY, ERR_BUSY, "it is in use"},
	{LIBUSB_ERROR_TIMEOUT, ERR_TIMEOUT, "no answer in time"},
	{LIBUSB_ERROR_OVERFLOW, ERR_PROTOCOL, "the device sent more than was asked for"},
	{LIBUSB_ERROR_PIPE, ERR_DEVICE_REFUSED, "the device refused it (stall)"},
	{LIBUSB_ERROR_INTERRUPTED, ERR_IO, "interrupted"},
	{LIBUSB_ERROR_NO_MEM, ERR_NO_MEMORY,
		"the kernel has no USB memory left (usbcore.usbfs_memory_mb)"},
	{LIBUSB_ERROR_NOT_SUPPORTED, ERR_UNSUPPORTED, "not supported on this machine"},
};

int usb_err(struct err *e, int libusb_code, const char *fmt, ...)
{
	enum err_code code = ERR_IO;
	const char *text = "an unknown failure";
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].libusb == libusb_code) {
			code = errors[i].code;
			text = errors[i].text;
		}
	return err_set(e, code, "%s: %s", what, text);
}

static int open_node(struct usb *u, const struct iotime *it, struct err *e)
{
	for (unsigned i = 1;; i++) {
		u->fd = open(u->facts.node, O_RDWR | O_CLOEXEC);
		if (u->fd >= 0)
			return 0;
		if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
			return err_set(e, ERR_DEVICE_GONE, "the device is gone");
		if (errno != EACCES || i == OPEN_TRIES)
			return err_errno(e, ERR_IO, errno, "open %s%s", u->facts.node,
				errno == EACCES ? " (a udev rule is missing)" : "");

		int r = iotime_sleep(OPEN_AGAIN_US, it, e);

		if (r < 0)
			return r;
	}
}

static int wait_configured(const struct usb *u, const struct iotime *it, struct err *e)
{
	uint64_t until = now_us() + CONFIGURE_US;

	while (!usb_sysfs_configured(&u->facts)) {
		int r = iotime_sleep(CONFIGURE_AGAIN_US, it, e);

		if (r < 0)
			return r;
		if (now_us() > until)
			return err_set(e, ERR_DEVICE_REFUSED,
				"the kernel has given it no configuration (see dmesg: too little power, not authorized, or the device refused)");
	}
	return 0;
}

static int open_handle(struct usb *u, struct err *e)
{
	int r;

	/* The default of new contexts: each looks at the one device that it is given. */
	libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	r = libusb_init(&u->ctx);
	if (r < 0) {
		u->ctx = NULL;
		return usb_err(e, r, "libusb");
	}
	libusb_set_option(u->ctx, LIBUSB_OPTION_LOG_LEVEL, LIBUSB_LOG_LEVEL_NONE);
	r = libusb_wrap_sys_device(u->ctx, (intptr_t)u->fd, &u->handle);
	if (r < 0) {
		u->handle = NULL;
		return usb_err(e, r, "open %s", u->facts.node);
	}
	libusb_set_auto_detach_kernel_driver(u->handle, 1);
	r = libusb_get_active_config_descriptor(libusb_get_device(u->handle), &u->config);
	if (r < 0) {
		u->config = NULL;
		return usb_err(e, r, "configuration of %s", u->facts.node);
	}
	return 0;
}

static struct usb_interface interface_of(const struct libusb_interface_descriptor *d)
{
	struct usb_interface i = {
		.number = d->bInterfaceNumber,
		.alt = d->bAlternateSetting,
		.cls = d->bInterfaceClass,
		.subclass = d->bInterfaceSubClass,
		.protocol = d->bInterfaceProtocol,
		.string = d->iInterface,
		.extra = d->extra,
		.extra_len = d->extra_length > 0 ? (size_t)d->extra_length : 0,
	};

	for (unsigned k = 0; k < d->bNumEndpoints && i.eps < USB_ENDPOINTS_MAX; k++)
		i.ep[i.eps++] = (struct usb_endpoint){d->endpoint[k].bEndpointAddress,
			(enum usb_endpoint_type)(d->endpoint[k].bmAttributes & 3),
			d->endpoint[k].wMaxPacketSize & 0x7ff};
	return i;
}

static void list_interfaces(struct usb *u)
{
	size_t n = 0;

	for (unsigned i = 0; i < u->config->bNumInterfaces; i++)
		n += (size_t)u->config->interface[i].num_altsetting;
	u->interface = xcalloc(n ? n : 1, sizeof *u->interface);
	for (unsigned i = 0; i < u->config->bNumInterfaces; i++)
		for (int k = 0; k < u->config->interface[i].num_altsetting; k++)
			u->interface[u->interfaces++] =
				interface_of(&u->config->interface[i].altsetting[k]);
}

/* The node may have been given to another device since sysfs was read. */
static int check_identity(const struct usb *u, struct err *e)
{
	struct libusb_device_descriptor d;
	int r = libusb_get_device_descriptor(libusb_get_device(u->handle), &d);

	if (r < 0)
		return usb_err(e, r, "device descriptor");
	if (d.idVendor != u->facts.vid || d.idProduct != u->facts.pid)
		return err_set(e, ERR_DEVICE_GONE, "another device came in its place");
	return 0;
}

int usb_open(const char *address, const struct iotime *it, struct usb **ret, struct err *e)
{
	_cleanup_(usb_closep) struct usb *u = xcalloc(1, sizeof *u);
	int r = iotime_check(it, e);

	u->fd = -1;
	if (r == 0)
		r = usb_sysfs_find(address, &u->facts, e);
	if (r < 0)
		return r;
	r = wait_configured(u, it, e);
	if (r == 0)
		r = open_node(u, it, e);
	if (r == 0)
		r = open_handle(u, e);
	if (r == 0)
		r = check_identity(u, e);
	if (r < 0) {
		err_prefix(e, "%s", address);
		return r;
	}
	list_interfaces(u);
	*ret = steal_ptr(&u);
	return 0;
}

struct usb *usb_close(struct usb *u)
{
	if (!u)
		return NULL;
	for (unsigned i = 0; i < 32 && !u->wedged; i++)
		if (u->claimed & 1u << i)
			libusb_release_interface(u->handle, (int)i);
	if (u->config)
		libusb_free_config_descriptor(u->config);
	/* The kernel still owns a transfer's buffer: what it may write to is left as it is. */
	if (u->handle && !u->wedged)
		libusb_close(u->handle);
	if (u->ctx && !u->wedged)
		libusb_exit(u->ctx);
	if (u->fd >= 0)
		close(u->fd);
	free(u->interface);
	free(u);
	return NULL;
}

const struct usb_facts *usb_facts(const struct usb *u)
{
	return &u->facts;
}

size_t usb_interfaces(const struct usb *u, const struct usb_interface **ret)
{
	*ret = u->interface;
	return u->interfaces;
}

size_t usb_config_extra(const struct usb *u, const uint8_t **ret)
{
	*ret = u->config->extra;
	return u->config->extra_length > 0 ? (size_t)u->config->extra_length : 0;
}

int usb_claim(struct usb *u, uint8_t interface, struct err *e)
{
	int r = libusb_claim_interface(u->handle, interface);
	char holder[160];

	if (r == LIBUSB_ERROR_BUSY) {
		usb_holder(&u->facts, interface, holder, sizeof holder);
		return err_set(e, ERR_BUSY, "usb:%s: interface %u is held by %s", u->facts.port,
			interface, holder);
	}
	/* So libusb calls it when the kernel finds no such interface: it has another configuration
	 * now. */
	if (r == LIBUSB_ERROR_INVALID_PARAM && interface < 32)
		r = LIBUSB_ERROR_NOT_FOUND;
	if (r < 0)
		return usb_err(e, r, "usb:%s: claim interface %u", u->facts.port, interface);
	if (interface < 32)
		u->claimed |= 1u << interface;
	return 0;
}

void usb_release(struct usb *u, uint8_t interface)
{
	libusb_release_interface(u->handle, interface);
	if (interface < 32)
		u->claimed &= ~(1u << interface);
}

int usb_set_alt(struct usb *u, uint8_t interface, uint8_t alt, struct err *e)
{
	int r = libusb_set_interface_alt_setting(u->handle, interface, alt);

	return r < 0 ? usb_err(e, r, "usb:%s: setting %u of interface %u", u->facts.port, alt,
			       interface)
		     : 0;
}

int usb_clear_halt(struct usb *u, uint8_t ep, struct err *e)
{
	int r = libusb_clear_halt(u->handle, ep);

	return r < 0 ? usb_err(e, r, "usb:%s: clear halt of endpoint %02x", u->facts.port, ep) : 0;
}

int usb_reset(struct usb *u, struct err *e)
{
	int r = libusb_reset_device(u->handle);

	if (r == LIBUSB_ERROR_NOT_FOUND)
		return err_set(e, ERR_DEVICE_GONE, "usb:%s: it came back from the reset as another",
			u->facts.port);
	return r < 0 ? usb_err(e, r, "usb:%s: reset", u->facts.port) : 0;
}

/* USB 2.0, 9.6.7: bLength, bDescriptorType, UTF-16LE. Some ROMs give a wrong length. */
static int string_descriptor(struct usb *u, uint8_t index, uint16_t language, uint8_t buf[256],
	size_t *ret_n, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, STRING_US);
	uint16_t n = 0;
	int r = usb_control(u, LIBUSB_ENDPOINT_IN, LIBUSB_REQUEST_GET_DESCRIPTOR,
		(uint16_t)(LIBUSB_DT_STRING << 8 | index), language, buf, 255, &n, &within, e);

	if (r < 0)
		return r;
	if (n < 2 || buf[1] != LIBUSB_DT_STRING)
		return err_set(e, ERR_PROTOCOL, "usb:%s: string %u is not a string descriptor",
			u->facts.port, index);
	*ret_n = buf[0] >= 2 ? MIN((size_t)buf[0], (size_t)n) : n;
	return 0;
}

static uint16_t language_of(struct usb *u, const struct iotime *it)
{
	uint8_t buf[256];
	size_t n = 0;

	if (!u->language) {
		u->language = LANGUAGE;
		if (string_descriptor(u, 0, 0, buf, &n, it, NULL) == 0 && n >= 4)
			u->language = (uint16_t)(buf[2] | buf[3] << 8);
	}
	return u->language;
}

/* One character of the basic plane; anything else, or a control, becomes '?'. */
static void put_utf8(struct strbuf *out, unsigned c)
{
	char t[3];

	if (c < 0x20 || c == 0x7f || (c >= 0xd800 && c < 0xe000))
		c = '?';
	if (c < 0x80) {
		t[0] = (char)c;
		sb_add_n(out, t, 1);
	} else if (c < 0x800) {
		t[0] = (char)(0xc0 | c >> 6);
		t[1] = (char)(0x80 | (c & 0x3f));
		sb_add_n(out, t, 2);
	} else {
		t[0] = (char)(0xe0 | c >> 12);
		t[1] = (char)(0x80 | (c >> 6 & 0x3f));
		t[2] = (char)(0x80 | (c & 0x3f));
		sb_add_n(out, t, 3);
	}
}

int usb_string(struct usb *u, uint8_t index, char *ret, size_t size, const struct iotime *it,
	struct err *e)
{
	struct strbuf out = {0};
	uint8_t buf[256];
	size_t n = 0;
	int r = 0;

	if (index)
		r = string_descriptor(u, index, language_of(u, it), buf, &n, it, e);
	if (r < 0)
		return r;
	for (size_t i = 2; i + 1 < n && (buf[i] || buf[i + 1]); i += 2)
		put_utf8(&out, (unsigned)(buf[i] | buf[i + 1] << 8));
	snprintf(ret, size, "%s", out.len ? out.s : "");
	sb_done(&out);
	return 0;
}
