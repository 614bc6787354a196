/* SPDX-License-Identifier: Apache-2.0
 *
 * An image as imgtool makes it: header, code, a protected entry where one is asked for, hash, signature.
 */
#pragma once

#include <stdlib.h>

#include "base/bytes.h"
#include "base/digest.h"

static inline size_t mcuboot_file(
	uint8_t *buf, size_t size, uint8_t major, uint32_t code, bool guarded)
{
	struct wbytes w = wbytes_of(buf, size);
	uint8_t sum[SHA256_BYTES];

	wb_le32(&w, 0x96f3b83d);
	wb_le32(&w, 0);
	wb_le16(&w, 64);
	wb_le16(&w, guarded ? 12 : 0);
	wb_le32(&w, code);
	wb_le32(&w, 0);
	wb_u8(&w, major);
	wb_u8(&w, 1);
	wb_le16(&w, 3);
	wb_le32(&w, 7);
	wb_fill(&w, 0, 64 - w.len);
	for (uint32_t i = 0; i < code; i++)
		wb_u8(&w, (uint8_t)(i * 13 + major + (i >> 7)));
	if (guarded) {
		wb_le16(&w, 0x6908);
		wb_le16(&w, 12);
		wb_le16(&w, 0x50);
		wb_le16(&w, 4);
		wb_le32(&w, 1);
	}
	sha256_of(buf, w.len, sum);
	wb_le16(&w, 0x6907);
	wb_le16(&w, 4 + 36 + 12);
	wb_le16(&w, 0x10);
	wb_le16(&w, sizeof sum);
	wb_put(&w, sum, sizeof sum);
	wb_le16(&w, 0x22);
	wb_le16(&w, 8);
	wb_fill(&w, 0x5a, 8);
	if (w.bad)
		abort();
	return w.len;
}
