/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded byte cursors: the only way that wire and file bytes are taken apart or put together. A
 * read past the end, or a write past the capacity, sets `bad` and yields zeros; check `bad` once at
 * the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rbytes {
	const uint8_t *p;
	size_t len;
	size_t pos;
	bool bad;
};

struct wbytes {
	uint8_t *p;
	size_t cap;
	size_t len;
	bool bad;
};

static inline struct rbytes rbytes_of(const void *p, size_t len)
{
	return (struct rbytes){p, len, 0, false};
}

static inline struct wbytes wbytes_of(void *p, size_t cap)
{
	return (struct wbytes){p, cap, 0, false};
}

/* NULL (and bad) where fewer than n bytes are left. */
const uint8_t *rb_take(struct rbytes *b, size_t n);
uint8_t rb_u8(struct rbytes *b);
uint16_t rb_le16(struct rbytes *b);
uint32_t rb_le32(struct rbytes *b);
uint64_t rb_le64(struct rbytes *b);
uint16_t rb_be16(struct rbytes *b);
uint32_t rb_be32(struct rbytes *b);

void wb_put(struct wbytes *b, const void *p, size_t n);
void wb_fill(struct wbytes *b, uint8_t v, size_t n);
void wb_u8(struct wbytes *b, uint8_t v);
void wb_le16(struct wbytes *b, uint16_t v);
void wb_le32(struct wbytes *b, uint32_t v);
void wb_le64(struct wbytes *b, uint64_t v);
void wb_be16(struct wbytes *b, uint16_t v);
void wb_be32(struct wbytes *b, uint32_t v);
