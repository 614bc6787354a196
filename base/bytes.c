/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <string.h>

const uint8_t *rb_take(struct rbytes *b, size_t n)
{
	if (b->bad || n > b->len - b->pos) {
		b->bad = true;
		return NULL;
	}

	const uint8_t *p = b->p + b->pos;

	b->pos += n;
	return p;
}

static uint64_t get(struct rbytes *b, size_t n, bool big)
{
	const uint8_t *p = rb_take(b, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v |= (uint64_t)p[i] << 8 * (big ? n - 1 - i : i);
	return v;
}

uint8_t rb_u8(struct rbytes *b)
{
	return (uint8_t)get(b, 1, false);
}

uint16_t rb_le16(struct rbytes *b)
{
	return (uint16_t)get(b, 2, false);
}

uint32_t rb_le32(struct rbytes *b)
{
	return (uint32_t)get(b, 4, false);
}

uint64_t rb_le64(struct rbytes *b)
{
	return get(b, 8, false);
}

uint16_t rb_be16(struct rbytes *b)
{
	return (uint16_t)get(b, 2, true);
}

uint32_t rb_be32(struct rbytes *b)
{
	return (uint32_t)get(b, 4, true);
}

static uint8_t *room(struct wbytes *b, size_t n)
{
	if (b->bad || n > b->cap - b->len) {
		b->bad = true;
		return NULL;
	}

	uint8_t *p = b->p + b->len;

	b->len += n;
	return p;
}

void wb_put(struct wbytes *b, const void *src, size_t n)
{
	uint8_t *p = room(b, n);

	if (p && n)
		memcpy(p, src, n);
}

void wb_fill(struct wbytes *b, uint8_t v, size_t n)
{
	uint8_t *p = room(b, n);

	if (p && n)
		memset(p, v, n);
}

static void put(struct wbytes *b, uint64_t v, size_t n, bool big)
{
	uint8_t *p = room(b, n);

	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> 8 * (big ? n - 1 - i : i));
}

void wb_u8(struct wbytes *b, uint8_t v)
{
	put(b, v, 1, false);
}

void wb_le16(struct wbytes *b, uint16_t v)
{
	put(b, v, 2, false);
}

void wb_le32(struct wbytes *b, uint32_t v)
{
	put(b, v, 4, false);
}

void wb_le64(struct wbytes *b, uint64_t v)
{
	put(b, v, 8, false);
}

void wb_be16(struct wbytes *b, uint16_t v)
{
	put(b, v, 2, true);
}

void wb_be32(struct wbytes *b, uint32_t v)
{
	put(b, v, 4, true);
}
