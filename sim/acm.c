/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/acm.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* bRequest: USB 2.0 table 9-4, PSTN 1.2 table 13. */
enum {
	GET_STATUS = 0x00,
	CLEAR_FEATURE = 0x01,
	GET_DESCRIPTOR = 0x06,
	SET_CONFIGURATION = 0x09,
	SET_INTERFACE = 0x0b,
	SET_LINE_CODING = 0x20,
	GET_LINE_CODING = 0x21,
	SET_CONTROL_LINE_STATE = 0x22,
	SEND_BREAK = 0x23
};

enum { DESC_DEVICE = 1, DESC_CONFIGURATION = 2, DESC_STRING = 3 };
enum { STRING_LANGUAGES, STRING_VENDOR, STRING_PRODUCT, STRING_SERIAL };

/* bmRequestType: direction, type, recipient (USB 2.0 table 9-2). */
enum {
	OUT_DEVICE = 0x00,
	OUT_INTERFACE = 0x01,
	OUT_ENDPOINT = 0x02,
	IN_DEVICE = 0x80,
	IN_INTERFACE = 0x81,
	IN_ENDPOINT = 0x82,
	OUT_CLASS = 0x21,
	IN_CLASS = 0xa1
};

#define CONFIG_BYTES 67

static const uint8_t configuration[CONFIG_BYTES] = {9, 2, CONFIG_BYTES, 0, 2, 1, 0, 0x80,
	50,					     /* two interfaces, bus powered, 100 mA */
	9, 4, 0, 0, 1, 2, 2, 1, 0,		     /* communication: abstract control model */
	5, 0x24, 0, 0x10, 0x01,			     /* header: CDC 1.10 */
	5, 0x24, 1, 0, 1,			     /* call management: none */
	4, 0x24, 2, 6,				     /* line coding, line state, break */
	5, 0x24, 6, 0, 1,			     /* union of interfaces 0 and 1 */
	7, 5, 0x80 | ACM_EP_NOTIFY, 3, 8, 0, 10,     /* interrupt in */
	9, 4, 1, 0, 2, 10, 0, 0, 0,		     /* data */
	7, 5, ACM_EP_DATA, 2, 0x00, 0x02, 0,	     /* bulk out, 512 */
	7, 5, 0x80 | ACM_EP_DATA, 2, 0x00, 0x02, 0}; /* bulk in, 512 */

int acm_init(
	struct acm *a, const char *usb_id, const char *model, const char *serial, struct err *e)
{
	char *end;
	unsigned long vid = strtoul(usb_id, &end, 16);
	bool two = end != usb_id && *end == ':' && end[1];
	unsigned long pid = two ? strtoul(end + 1, &end, 16) : 0;

	if (!two || *end || vid > UINT16_MAX || pid > UINT16_MAX)
		return err_set(e, ERR_INVALID, "'%s': expected a USB id, vvvv:pppp", usb_id);
	/* 9600 8N1 until the host says otherwise. */
	*a = (struct acm){.vid = (uint16_t)vid,
		.pid = (uint16_t)pid,
		.line_coding = {0x80, 0x25, 0, 0, 0, 0, 8}};
	snprintf(a->model, sizeof a->model, "%s", model);
	snprintf(a->serial, sizeof a->serial, "%s", serial);
	return 0;
}

static void put_device(const struct acm *a, struct wbytes *w)
{
	wb_u8(w, 18);
	wb_u8(w, DESC_DEVICE);
	wb_le16(w, 0x0200);
	wb_u8(w, 2); /* communications; one function, so no association descriptor */
	wb_le16(w, 0);
	wb_u8(w, 64);
	wb_le16(w, a->vid);
	wb_le16(w, a->pid);
	wb_le16(w, 0x0100);
	wb_u8(w, STRING_VENDOR);
	wb_u8(w, STRING_PRODUCT);
	wb_u8(w, a->serial[0] ? STRING_SERIAL : 0);
	wb_u8(w, 1);
}

static int put_string(const struct acm *a, unsigned index, struct wbytes *w)
{
	const char *text = "";

	switch (index) {
	case STRING_LANGUAGES:
		wb_u8(w, 4);
		wb_u8(w, DESC_STRING);
		wb_le16(w, 0x0409);
		return 0;
	case STRING_VENDOR:
		text = "provsim";
		break;
	case STRING_PRODUCT:
		text = a->model;
		break;
	case STRING_SERIAL:
		text = a->serial;
		break;
	default:
		return -1;
	}
	wb_u8(w, (uint8_t)(2 + 2 * strlen(text)));
	wb_u8(w, DESC_STRING);
	for (; *text; text++)
		wb_le16(w, (uint8_t)*text);
	return 0;
}

static int get_descriptor(const struct acm *a, unsigned type, unsigned index, struct wbytes *w)
{
	switch (type) {
	case DESC_DEVICE:
		put_device(a, w);
		return 0;
	case DESC_CONFIGURATION:
		wb_put(w, configuration, sizeof configuration);
		return 0;
	case DESC_STRING:
		return put_string(a, index, w);
	default:
		return -1; /* a device qualifier: there is no other speed */
	}
}

static int control_in(
	const struct acm *a, unsigned type, unsigned request, uint16_t value, struct wbytes *w)
{
	if (type == IN_DEVICE && request == GET_DESCRIPTOR)
		return get_descriptor(a, value >> 8, value & 0xff, w);
	if ((type == IN_DEVICE || type == IN_INTERFACE || type == IN_ENDPOINT) &&
		request == GET_STATUS) {
		wb_le16(w, 0);
		return 0;
	}
	if (type == IN_CLASS && request == GET_LINE_CODING) {
		wb_put(w, a->line_coding, sizeof a->line_coding);
		return 0;
	}
	return -1;
}

static int control_out(struct acm *a, unsigned type, unsigned request, uint16_t value,
	const uint8_t *data, size_t n)
{
	if ((type == OUT_DEVICE && request == SET_CONFIGURATION) ||
		(type == OUT_INTERFACE && request == SET_INTERFACE) ||
		(type == OUT_ENDPOINT && request == CLEAR_FEATURE))
		return 0;
	if (type != OUT_CLASS)
		return -1;
	switch (request) {
	case SET_LINE_CODING:
		if (n != sizeof a->line_coding)
			return -1;
		memcpy(a->line_coding, data, n);
		return 0;
	case SET_CONTROL_LINE_STATE:
		a->dtr = value & 1;
		a->rts = value >> 1 & 1;
		return 0;
	case SEND_BREAK:
		a->breaks += value != 0;
		return 0;
	default:
		return -1;
	}
}

int acm_control(struct acm *a, const uint8_t setup[8], uint8_t *data, size_t n, size_t size)
{
	struct rbytes s = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&s);
	uint8_t request = rb_u8(&s);
	uint16_t value = rb_le16(&s);
	uint8_t answer[256];
	struct wbytes w = {answer, sizeof answer, 0, false};

	if (!(type & 0x80))
		return control_out(a, type, request, value, data, n);
	if (control_in(a, type, request, value, &w) < 0)
		return -1;
	n = MIN(w.len, size);
	memcpy(data, answer, n);
	return (int)n;
}
