/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/gadget_control.h"

#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* bRequest: USB 2.0 table 9-4. */
enum {
	GET_STATUS = 0x00,
	CLEAR_FEATURE = 0x01,
	SET_ADDRESS = 0x05,
	GET_DESCRIPTOR = 0x06,
	GET_CONFIGURATION = 0x08,
	SET_CONFIGURATION = 0x09,
	SET_INTERFACE = 0x0b
};

enum { DESC_DEVICE = 1, DESC_CONFIGURATION = 2, DESC_STRING = 3 };

/* bmRequestType bits 6..5: the type; 0: standard (USB 2.0 table 9-2). */
#define TYPE_MASK 0x60
#define LANGUAGE  0x0409 /* English (United States) */

static int put_string(const char *text, uint8_t *data, size_t size)
{
	uint8_t answer[2 + 2 * GADGET_STRING_MAX];
	struct wbytes w = {answer, sizeof answer, 0, false};
	size_t chars = MIN(strlen(text), (size_t)GADGET_STRING_MAX);

	wb_u8(&w, (uint8_t)(2 + 2 * chars));
	wb_u8(&w, DESC_STRING);
	for (size_t i = 0; i < chars; i++)
		wb_le16(&w, (uint8_t)text[i]);

	size_t n = MIN(w.len, size);

	memcpy(data, answer, n);
	return (int)n;
}

static int get_string(const struct gadget_identity *id, unsigned index, uint8_t *data, size_t size)
{
	static const uint8_t languages[] = {4, DESC_STRING, LANGUAGE & 0xff, LANGUAGE >> 8};
	size_t n = MIN(sizeof languages, size);

	if (index == 0) {
		memcpy(data, languages, n);
		return (int)n;
	}
	if (index >= ARRAY_LEN(id->string) || !id->string[index])
		return GADGET_STALL;
	return put_string(id->string[index], data, size);
}

static int get_descriptor(struct device *d, uint16_t value, uint8_t *data, size_t size)
{
	struct gadget_identity id = {0};
	size_t n;

	d->ops->gadget->identity(d, &id);
	switch (value >> 8) {
	case DESC_DEVICE:
		n = MIN(size, (size_t)18);
		memcpy(data, id.device, n);
		return (int)n;
	case DESC_CONFIGURATION:
		n = MIN(size, id.config_len);
		memcpy(data, id.config, n);
		return (int)n;
	case DESC_STRING:
		return get_string(&id, value & 0xff, data, size);
	default:
		return GADGET_STALL; /* a device qualifier: there is no other speed */
	}
}

static int standard(struct device *d, uint8_t request, uint16_t value, uint8_t *data, size_t size,
	uint64_t now_us)
{
	switch (request) {
	case GET_DESCRIPTOR:
		return get_descriptor(d, value, data, size);
	case GET_STATUS:
		memset(data, 0, MIN(size, (size_t)2));
		return (int)MIN(size, (size_t)2);
	case GET_CONFIGURATION:
		if (size)
			data[0] = 1;
		return (int)MIN(size, (size_t)1);
	case SET_CONFIGURATION:
		if (d->ops->opened)
			d->ops->opened(d, now_us);
		return 0;
	case CLEAR_FEATURE:
		if (d->ops->gadget->reset)
			d->ops->gadget->reset(d, now_us);
		return 0;
	case SET_ADDRESS:
		return 0;
	default:
		return GADGET_STALL;
	}
}

int gadget_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us)
{
	struct rbytes s = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&s);
	uint8_t request = rb_u8(&s);
	uint16_t value = rb_le16(&s);
	/* DFU asks for its functional descriptor by GET_DESCRIPTOR of the interface. */
	bool to_interface =
		(type & 0x1f) == 1 && (request == SET_INTERFACE || request == GET_DESCRIPTOR);

	if ((type & TYPE_MASK) || to_interface) {
		int r = d->ops->gadget->control(d, setup, data, n, size, now_us);

		/* A device without alternate settings need not know the request. */
		return r < 0 && request == SET_INTERFACE && !(type & TYPE_MASK) ? 0 : r;
	}
	return standard(d, request, value, data, size, now_us);
}
