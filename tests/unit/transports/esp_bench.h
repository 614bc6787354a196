/* SPDX-License-Identifier: Apache-2.0
 *
 * A chip of the ESP32 family on a bench, and images for it.
 */
#pragma once

#include "base/bytes.h"
#include "base/digest.h"
#include "tests/unit/transports/boot_bench.h"

/* An image of the family with one segment: header, segment, checksum, SHA-256. Returns its bytes. */
static inline size_t esp_image_file(uint8_t *buf, size_t size, uint16_t chip, uint32_t bytes)
{
	struct wbytes w = wbytes_of(buf, size);
	uint8_t sum = 0xef;

	wb_put(&w, "\xe9\x01\x02\x20", 4);
	wb_le32(&w, 0x40380000);
	wb_le32(&w, 0xee);
	wb_le16(&w, chip);
	wb_u8(&w, 0);
	wb_le16(&w, 0);
	wb_le16(&w, 0xffff);
	wb_fill(&w, 0, 4);
	wb_u8(&w, 1);
	wb_le32(&w, 0x3fc80000);
	wb_le32(&w, bytes);
	for (uint32_t i = 0; i < bytes; i++) {
		uint8_t b = (uint8_t)(i * 7 + i / 251 + (i * i >> 9));

		sum ^= b;
		wb_u8(&w, b);
	}
	wb_fill(&w, 0, 15 - w.len % 16);
	wb_u8(&w, sum);
	sha256_of(buf, w.len, buf + w.len);
	w.len += SHA256_BYTES;
	if (w.bad || w.len > size)
		abort();
	return w.len;
}
