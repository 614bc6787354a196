/* SPDX-License-Identifier: Apache-2.0
 *
 * A link whose other end is a function in the same thread: what is written is handed to the device
 * at once, what the device says waits in a buffer. Reading an empty buffer is the deadline: no test
 * waits for a real one, and no run differs from another.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "transports/links/link.h"

struct fake_link {
	struct link link;
	/* Called with each write; answers through fake_say(). May be NULL. */
	void (*device)(struct fake_link *f, const uint8_t *bytes, size_t n);
	void *data;
	size_t read_max; /* bytes given to one read; 0: all there are */
	bool gone;
	uint8_t *out; /* said and not yet read: out[at..len) */
	size_t at, len, cap;
	uint8_t *heard; /* all that was written */
	size_t heard_len, heard_cap;
};

static inline void fake_grow(uint8_t **p, size_t *cap, size_t want)
{
	if (want <= *cap)
		return;
	*cap = want * 2;
	*p = realloc(*p, *cap);
	if (!*p)
		abort();
}

static inline void fake_say(struct fake_link *f, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (f->at == f->len)
		f->at = f->len = 0;
	fake_grow(&f->out, &f->cap, f->len + n);
	memcpy(f->out + f->len, p, n);
	f->len += n;
}

static inline void fake_says(struct fake_link *f, const char *s)
{
	fake_say(f, s, strlen(s));
}

static inline int fake_read(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct fake_link *f = container_of(l, struct fake_link, link);
	size_t n = MIN(size, f->len - f->at);

	if (f->read_max)
		n = MIN(n, f->read_max);
	if (n == 0 && f->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	if (n == 0)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	memcpy(buf, f->out + f->at, n);
	f->at += n;
	*ret_n = n;
	return 0;
}

static inline int fake_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct fake_link *f = container_of(l, struct fake_link, link);

	if (f->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	fake_grow(&f->heard, &f->heard_cap, f->heard_len + n);
	memcpy(f->heard + f->heard_len, buf, n);
	f->heard_len += n;
	if (f->device)
		f->device(f, buf, n);
	return 0;
}

static inline int fake_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "a fake has none");
}

static inline void fake_close(struct link *l)
{
}

static const struct link_ops fake_link_ops = {
	.name = "fake",
	.read = fake_read,
	.write = fake_write,
	.control = fake_control,
	.close = fake_close,
};

static inline void fake_init(struct fake_link *f,
	void (*device)(struct fake_link *, const uint8_t *, size_t), void *data)
{
	*f = (struct fake_link){
		.link = {.ops = &fake_link_ops, .address = (char *)(uintptr_t) "fake:dut"},
		.device = device,
		.data = data,
	};
}

static inline void fake_done(struct fake_link *f)
{
	link_turn_clear(&f->link.turn);
	link_rest_drop(&f->link);
	free(f->out);
	free(f->heard);
}
