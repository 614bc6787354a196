/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/usb_events.h"

#include "base/iotime.h"
#include "base/util.h"

/* The bus and the controller that no real machine has. */
#define BUS	"9"
#define SYS	"/devices/platform/provsim/usb" BUS "/" BUS "-1"
#define ID_PATH "platform-provsim-usb-0:1"

enum node { NODE_DEVICE, NODE_INTERFACE, NODE_TTY };

static const char *const action_name[] = {"add", "bind", "change", "unbind", "remove"};

static void devpath(struct strbuf *out, const struct usb_board *b, enum node node)
{
	sb_addf(out, SYS "/" BUS "-1.%u", b->socket);
	if (node != NODE_DEVICE)
		sb_addf(out, "/" BUS "-1.%u:1.0", b->socket);
	if (node == NODE_TTY)
		sb_addf(out, "/tty/ttySIM%u", b->socket);
}

static void header(struct strbuf *out, const char *action, uint64_t now_us, const char *path,
	const char *subsystem)
{
	sb_addf(out, "UDEV  [%llu.%06llu] %-8s %s (%s)\n", (unsigned long long)(now_us / US_PER_S),
		(unsigned long long)(now_us % US_PER_S), action, path, subsystem);
}

static void node_keys(struct strbuf *out, const struct usb_board *b, enum node node)
{
	static const char *const devtype[] = {"usb_device", "usb_interface", NULL};

	if (devtype[node])
		sb_addf(out, "DEVTYPE=%s\n", devtype[node]);
	if (node == NODE_DEVICE)
		sb_addf(out, "DEVNAME=/dev/bus/usb/00" BUS "/%03u\nBUSNUM=00" BUS "\nDEVNUM=%03u\n",
			b->devnum, b->devnum);
	if (node == NODE_TTY)
		sb_addf(out, "DEVNAME=%s\n", b->tty);
	sb_addf(out, "ID_PATH=" ID_PATH ".%u%s\n", b->socket, node == NODE_DEVICE ? "" : ":1.0");
	if (node != NODE_DEVICE)
		sb_add(out, "ID_USB_INTERFACE_NUM=00\n");
}

static void block(struct strbuf *out, enum usb_action action, const struct usb_board *b,
	enum node node, uint64_t now_us, uint64_t *seqnum)
{
	const char *subsystem = node == NODE_TTY ? "tty" : "usb";
	struct strbuf path = {0};

	devpath(&path, b, node);
	header(out, action_name[action], now_us, path.s, subsystem);
	sb_addf(out, "ACTION=%s\nDEVPATH=%s\nSUBSYSTEM=%s\n", action_name[action], path.s,
		subsystem);
	node_keys(out, b, node);
	sb_addf(out, "ID_BUS=usb\nID_VENDOR_ID=%.4s\nID_MODEL_ID=%.4s\nID_MODEL=%s\n", b->usb_id,
		b->usb_id + 5, b->model);
	if (b->usb_serial[0])
		sb_addf(out, "ID_SERIAL_SHORT=%s\n", b->usb_serial);
	sb_addf(out, "SEQNUM=%llu\nUSEC_INITIALIZED=%llu\n\n", (unsigned long long)++*seqnum,
		(unsigned long long)b->plugged_us);
	sb_done(&path);
}

void usb_text_present(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum)
{
	block(out, USB_ADD, b, NODE_DEVICE, now_us, seqnum);
	block(out, USB_ADD, b, NODE_INTERFACE, now_us, seqnum);
	block(out, USB_ADD, b, NODE_TTY, now_us, seqnum);
}

void usb_text_plugged(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum)
{
	static const struct {
		enum usb_action action;
		enum node node;
	} order[] = {{USB_ADD, NODE_DEVICE}, {USB_ADD, NODE_INTERFACE}, {USB_ADD, NODE_TTY},
		{USB_BIND, NODE_INTERFACE}, {USB_BIND, NODE_DEVICE}};

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		block(out, order[i].action, b, order[i].node, now_us, seqnum);
}

void usb_text_unplugged(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum)
{
	static const struct {
		enum usb_action action;
		enum node node;
	} order[] = {{USB_REMOVE, NODE_TTY}, {USB_UNBIND, NODE_INTERFACE},
		{USB_REMOVE, NODE_INTERFACE}, {USB_UNBIND, NODE_DEVICE}, {USB_REMOVE, NODE_DEVICE}};

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		block(out, order[i].action, b, order[i].node, now_us, seqnum);
}

void usb_text_changed(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum)
{
	block(out, USB_CHANGE, b, NODE_DEVICE, now_us, seqnum);
}

void usb_text_scan_done(struct strbuf *out, uint64_t now_us)
{
	header(out, "scan-done", now_us, "/devices", "provd");
	sb_add(out, "ACTION=scan-done\nDEVPATH=/devices\nSUBSYSTEM=provd\n\n");
}
