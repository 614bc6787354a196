/* SPDX-License-Identifier: Apache-2.0
 *
 * The debugging interface of a USB device as the two endpoints of adb_pipe.h.
 */
#include "transports/protocols/adb/adb_pipe.h"

#include "base/util.h"

struct adb_usb {
	struct usb *usb;
	uint8_t interface, in, out;
};

static const struct usb_endpoint *bulk_endpoint(const struct usb_interface *i, bool in)
{
	for (size_t k = 0; k < i->eps; k++)
		if (i->ep[k].type == USB_EP_BULK && !(i->ep[k].address & 0x80) == !in &&
			i->ep[k].max_packet >= ADB_HEADER_BYTES)
			return &i->ep[k];
	return NULL;
}

static bool is_adb(const struct usb_interface *i)
{
	bool adb = i->cls == 0xff && i->subclass == 0x42;
	bool debug_class = i->cls == 0xdc && i->subclass == 0x02;

	return (adb || debug_class) && i->protocol == 0x01 && bulk_endpoint(i, true) &&
	       bulk_endpoint(i, false);
}

const struct usb_interface *adb_usb_interface(const struct usb *u)
{
	const struct usb_interface *list;
	size_t n = usb_interfaces(u, &list);

	for (size_t i = 0; i < n; i++)
		if (is_adb(&list[i]))
			return &list[i];
	return NULL;
}

static int usb_in(
	void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e)
{
	struct adb_usb *a = data;

	return usb_read(a->usb, a->in, buf, size, ret_n, it, e);
}

static int usb_out(
	void *data, const void *buf, size_t n, bool zlp, const struct iotime *it, struct err *e)
{
	struct adb_usb *a = data;

	return usb_write(a->usb, a->out, buf, n, zlp, it, e);
}

static int usb_clear(void *data, struct err *e)
{
	struct adb_usb *a = data;
	int r = usb_clear_halt(a->usb, a->in, e);

	return r < 0 ? r : usb_clear_halt(a->usb, a->out, e);
}

static void usb_let_go(void *data)
{
	struct adb_usb *a = data;

	usb_release(a->usb, a->interface);
	free(a);
}

int adb_pipe_usb(struct usb *u, struct adb_pipe **ret, struct err *e)
{
	const struct usb_interface *i = adb_usb_interface(u);
	const struct usb_endpoint *in;
	const struct usb_endpoint *out;
	int r;

	if (!i)
		return err_set(e, ERR_NOT_FOUND,
			"usb:%s has no debugging interface (ff/42/01): is USB debugging on, and is the unit past its boot?",
			usb_facts(u)->port);
	in = bulk_endpoint(i, true);
	out = bulk_endpoint(i, false);
	if (!in || !out)
		return err_set(e, ERR_INTERNAL, "an interface without its endpoints");
	r = usb_claim(u, i->number, e);
	if (r == -ERR_BUSY)
		return err_prefix(e,
			"usb:%s: the debugging interface is taken, by an adb server? (adb kill-server)",
			usb_facts(u)->port);
	if (r < 0)
		return r;

	struct adb_usb *a = xcalloc(1, sizeof *a);

	*a = (struct adb_usb){u, i->number, in->address, out->address};
	*ret = adb_pipe_bulk(&(struct adb_bulk){
		.data = a,
		.max_packet_in = in->max_packet,
		.max_packet_out = out->max_packet,
		.in = usb_in,
		.out = usb_out,
		.clear = usb_clear,
		.free = usb_let_go,
	});
	return 0;
}
