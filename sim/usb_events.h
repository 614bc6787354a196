/* SPDX-License-Identifier: Apache-2.0
 *
 * The text that `udevadm monitor --property` prints, for the USB device, its interface and its tty
 * that one plugged board has. Text only: no I/O, no clock.
 */
#pragma once

#include <stdint.h>

#include "base/strbuf.h"

enum usb_action { USB_ADD, USB_BIND, USB_CHANGE, USB_UNBIND, USB_REMOVE };

/* One enumeration of a board in its socket. */
struct usb_board {
	unsigned socket;	/* from 1: the port of the hub */
	unsigned devnum;	/* rises at each enumeration */
	const char *usb_id;	/* "vvvv:pppp" */
	const char *usb_serial; /* "": none */
	const char *model;
	const char *tty;     /* DEVNAME of the tty */
	uint64_t plugged_us; /* USEC_INITIALIZED */
};

/* The order of the blocks: parents first when they come, last when they go (udev dossier,
 * section 2). seqnum is counted up for each block. */
void usb_text_present(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum);
void usb_text_plugged(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum);
void usb_text_unplugged(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum);
void usb_text_changed(
	struct strbuf *out, const struct usb_board *b, uint64_t now_us, uint64_t *seqnum);
/* The end of a list of what is present. */
void usb_text_scan_done(struct strbuf *out, uint64_t now_us);
