/* SPDX-License-Identifier: Apache-2.0
 *
 * One USB device, opened by the worker that owns it: a libusb context of its own without device
 * discovery, on the node that udev (or sysfs) named. Used by that one thread alone. Every call that
 * can wait takes an iotime; a device that is unplugged gives -ERR_DEVICE_GONE within the call.
 *
 * Transfers of all stations together stay within the kernel's usbfs memory (usbfs_memory_mb, 16 MiB
 * by default, over all processes): a stream keeps a few buffers in flight, and halves them where
 * the kernel has no memory.
 *
 * An address is text: usb:1-1.4[:INTERFACE] (the physical port, as sysfs names it),
 * usb:/dev/bus/usb/BBB/DDD, usb:VVVV:PPPP[/SERIAL] (the one such device; two are refused).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"

/* Each with its end. */
#define USB_ID_BYTES	 8   /* idVendor or idProduct, hex */
#define USB_SERIAL_BYTES 128 /* iSerialNumber */
#define USB_PORT_BYTES	 64  /* as sysfs names it: 1-1.4.2 */
#define USB_NODE_BYTES	 64  /* /dev/bus/usb/BBB/DDD */

#define USB_LISTED_BYTES (USB_PORT_BYTES + 8) /* usb:1-1.4 */

#define USB_ENDPOINTS_MAX 16

enum usb_endpoint_type { USB_EP_CONTROL, USB_EP_ISO, USB_EP_BULK, USB_EP_INTERRUPT };

struct usb_endpoint {
	uint8_t address; /* bit 7: IN */
	enum usb_endpoint_type type;
	uint16_t max_packet;
};

/* One alternate setting of one interface of the active configuration. */
struct usb_interface {
	uint8_t number, alt;
	uint8_t cls, subclass, protocol;
	uint8_t string;	      /* index of iInterface, 0: none */
	const uint8_t *extra; /* class descriptors after it; live as long as the device is open */
	size_t extra_len;
	struct usb_endpoint ep[USB_ENDPOINTS_MAX];
	size_t eps;
};

struct usb_facts {
	uint16_t vid, pid, release;    /* bcdDevice */
	char serial[USB_SERIAL_BYTES]; /* "" without one */
	char port[USB_PORT_BYTES];     /* 1-1.4.2 */
	char node[USB_NODE_BYTES];     /* /dev/bus/usb/BBB/DDD */
	int interface;		       /* that the address names, -1 if none */
	uint16_t ep0_max_packet;
};

struct usb;

/* -ERR_DEVICE_GONE where nothing is on that port, -ERR_ACCESS without the right (a missing udev
 * rule), -ERR_CONFLICT where VID:PID fits two. Tries 3 x 200 ms on EACCES: rules may still run. */
int usb_open(const char *address, const struct iotime *it, struct usb **ret, struct err *e);
struct usb *usb_close(struct usb *u); /* takes NULL, returns NULL; releases what was claimed */
static inline void usb_closep(struct usb **u)
{
	usb_close(*u);
}
/* What sysfs says of an address without opening it: how `wait for the device` looks. Same errors.
 */
int usb_look(const char *address, struct usb_facts *ret, struct err *e);
/* The addresses (usb:1-1.4) of all devices of that id that are plugged, `room` at most; how many. */
size_t usb_list(uint16_t vid, uint16_t pid, char ret[][USB_LISTED_BYTES], size_t room);
const struct usb_facts *usb_facts(const struct usb *u);
/* All alternate settings, in the order of the descriptors. */
size_t usb_interfaces(const struct usb *u, const struct usb_interface **ret);
/* Class descriptors after the configuration descriptor itself. */
size_t usb_config_extra(const struct usb *u, const uint8_t **ret);

/* A kernel driver that holds the interface is detached for that time. -ERR_BUSY names the program
 * or driver that holds it, where that is known. */
int usb_claim(struct usb *u, uint8_t interface, struct err *e);
void usb_release(struct usb *u, uint8_t interface);
int usb_set_alt(struct usb *u, uint8_t interface, uint8_t alt, struct err *e);

/* One control transfer, at most 4096 bytes. type is bmRequestType. *ret_n (may be NULL): bytes that
 * went. A stall gives -ERR_DEVICE_REFUSED. */
int usb_control(struct usb *u, uint8_t type, uint8_t request, uint16_t value, uint16_t index,
	void *data, uint16_t n, uint16_t *ret_n, const struct iotime *it, struct err *e);
/* A string descriptor as UTF-8; a length that lies is cut to what came. "" for index 0. */
int usb_string(struct usb *u, uint8_t index, char *ret, size_t size, const struct iotime *it,
	struct err *e);

/* One IN transfer: *ret_n may be 0 (a zero-length packet). size should be a multiple of the
 * endpoint's max_packet: a device that sends more gives -ERR_PROTOCOL. -ERR_TIMEOUT with *ret_n set
 * to what came before. */
int usb_read(struct usb *u, uint8_t ep, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e);
/* One OUT transfer of n bytes; zlp: followed by a zero-length packet where n is a multiple of
 * max_packet (adb wants it, fastboot forbids it). */
int usb_write(struct usb *u, uint8_t ep, const void *buf, size_t n, bool zlp,
	const struct iotime *it, struct err *e);

/* Fills buf with the size bytes at `offset` of what is streamed. */
typedef int usb_source_fn(void *data, uint64_t offset, void *buf, size_t size, struct err *e);
/* total bytes as OUT transfers of whole packets with several in flight, never followed by a
 * zero-length packet. told (may be NULL): called with the bytes that are through. */
int usb_stream(struct usb *u, uint8_t ep, uint64_t total, usb_source_fn *fn, void *data,
	void (*told)(void *data, uint64_t done), const struct iotime *it, struct err *e);

int usb_clear_halt(struct usb *u, uint8_t ep, struct err *e);
/* Resets the port. 0, or -ERR_DEVICE_GONE where the device came back as another: close it and wait
 * for it. */
int usb_reset(struct usb *u, struct err *e);
