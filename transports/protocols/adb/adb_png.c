/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a screenshot came whole: PNG (ISO/IEC 15948), its chunks with their CRC-32 and its end.
 */
#include "transports/protocols/adb/adb_services.h"

#include "base/bytes.h"

#define POLYNOMIAL 0xedb88320u

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t table[256];
	uint32_t c = 0xffffffff;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ POLYNOMIAL : table[i] >> 1;
	}
	for (size_t i = 0; i < n; i++)
		c = c >> 8 ^ table[(c ^ p[i]) & 255];
	return ~c;
}

int adb_png_check(
	const uint8_t *p, size_t n, uint32_t *ret_width, uint32_t *ret_height, struct err *e)
{
	static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	struct rbytes b = rbytes_of(p, n);
	const uint8_t *begin = rb_take(&b, sizeof magic);
	bool first = true;
	bool data = false;

	if (!begin || memcmp(begin, magic, sizeof magic) != 0)
		return err_set(e, ERR_PROTOCOL, "the %zu bytes of the screen are not a PNG", n);
	for (;;) {
		uint32_t length = rb_be32(&b);
		const uint8_t *chunk = length < n ? rb_take(&b, length + 4) : NULL;
		uint32_t crc = rb_be32(&b);

		if (!chunk || b.bad)
			return err_set(e, ERR_PROTOCOL,
				"the picture ends in its middle, after %zu bytes", n);
		if (crc32_of(chunk, length + 4) != crc)
			return err_set(e, ERR_PROTOCOL,
				"the picture's chunk at byte %zu has a wrong CRC", b.pos);
		if (first != !memcmp(chunk, "IHDR", 4) || (first && length != 13))
			return err_set(e, ERR_PROTOCOL, "the picture has no head");
		if (first) {
			struct rbytes head = rbytes_of(chunk + 4, 8);

			*ret_width = rb_be32(&head);
			*ret_height = rb_be32(&head);
		}
		first = false;
		data |= !memcmp(chunk, "IDAT", 4);
		if (!memcmp(chunk, "IEND", 4))
			break;
	}
	if (!data || b.pos != n)
		return err_set(e, ERR_PROTOCOL, "the picture has %s",
			data ? "bytes after its end" : "no data");
	return 0;
}
