/* SPDX-License-Identifier: Apache-2.0
 *
 * What a virtual board is on USB: a CDC-ACM device of one function. Descriptors and control
 * requests only, no I/O: USB 2.0 chapter 9, CDC 1.2 section 5, PSTN 1.2 section 6.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ACM_EP_DATA    2
#define ACM_EP_NOTIFY  3
#define ACM_PACKET     512 /* high speed bulk */
#define ACM_STRING_MAX 64

struct acm {
	uint16_t vid, pid;
	char model[ACM_STRING_MAX];
	char serial[ACM_STRING_MAX]; /* "": none */
	uint8_t line_coding[7];
	bool dtr, rts; /* what the host's driver raises while the tty is open */
	unsigned breaks;
};

/* usb_id: "vvvv:pppp", hex. Longer names are cut. */
int acm_init(
	struct acm *a, const char *usb_id, const char *model, const char *serial, struct err *e);
/* One control request. IN: fills at most `size` bytes of data and returns how many; OUT: data holds
 * the n bytes of the host, returns 0. -1: stall. */
int acm_control(struct acm *a, const uint8_t setup[8], uint8_t *data, size_t n, size_t size);
