/* SPDX-License-Identifier: Apache-2.0
 *
 * The suffix of DFU files (USB DFU 1.1, appendix B) and the DfuSe container (ST UM0391):
 *
 *	suffix		bcdDevice idProduct idVendor bcdDFU "UFD" bLength dwCRC; all LE
 *	container	"DfuSe" 01 size(4) targets(1), then for each target:
 *	  target	"Target" alt(1) named(4) name(255) size(4) elements(4), for each element:
 *	    element	address(4) size(4) data
 *
 * The checksum is that of zlib without its final inversion, over all before it.
 */
#include <zlib.h>

#include "base/bytes.h"
#include "transports/images/image_impl.h"

#define CONTAINER_BYTES	  11
#define TARGET_NAME_BYTES 255
#define BCD_DFUSE	  0x011a
#define DFUSE_VERSION	  1

static uint8_t suffix_length(const uint8_t *bytes, size_t n)
{
	return bytes[n - 5];
}

bool image_has_dfu_suffix(const uint8_t *bytes, size_t n)
{
	return n >= DFU_SUFFIX_BYTES && !memcmp(bytes + n - 8, "UFD", 3) &&
	       suffix_length(bytes, n) >= DFU_SUFFIX_BYTES;
}

static int bad_suffix(const struct image *i, size_t at, struct err *e, const char *why)
{
	return err_set(e, ERR_IMAGE_INVALID, "firmware file %s, offset 0x%zx: DFU suffix: %s",
		i->path, at, why);
}

int image_dfu_suffix(
	struct image *i, const uint8_t *bytes, size_t n, size_t *ret_len, struct err *e)
{
	struct rbytes b;
	uint32_t crc;
	uint16_t bcd;

	*ret_len = 0;
	if (!image_has_dfu_suffix(bytes, n))
		return 0;
	if (suffix_length(bytes, n) > n)
		return bad_suffix(i, n - 5, e, "it is longer than the file");
	if (suffix_length(bytes, n) == n)
		return bad_suffix(i, 0, e, "there is nothing before it");
	b = rbytes_of(bytes + n - 4, 4);
	crc = rb_le32(&b);
	if (crc != ((uint32_t)crc32(0, bytes, (uInt)(n - 4)) ^ 0xffffffff))
		return bad_suffix(i, n - 4, e, "the checksum is wrong: the file is damaged");
	b = rbytes_of(bytes + n - DFU_SUFFIX_BYTES, DFU_SUFFIX_BYTES);
	i->dfu_device = rb_le16(&b);
	i->dfu_pid = rb_le16(&b);
	i->dfu_vid = rb_le16(&b);
	i->has_dfu_ids = true;
	bcd = rb_le16(&b);
	if (bcd != 0x0100 && bcd != 0x0110 && bcd != BCD_DFUSE)
		image_note(i, "a DFU suffix of the unknown version 0x%04x", bcd);
	*ret_len = suffix_length(bytes, n);
	return 0;
}

static int element(
	struct image_source *s, struct rbytes *target, size_t start, uint8_t alt, struct err *e)
{
	size_t at = start + target->pos;
	uint32_t address = rb_le32(target);
	uint32_t size = rb_le32(target);
	const uint8_t *data = rb_take(target, size);

	if (target->bad)
		return image_malformed(s, at, e,
			"an element of %u bytes runs past its target: the file is cut off", size);
	if (size == 0) {
		image_note(s->image, "target %u holds an element without bytes", alt);
		return 0;
	}
	return image_add(s, alt, address, data, size, at, e);
}

static int target(struct image_source *s, struct rbytes *file, struct err *e)
{
	size_t at = file->pos;
	const uint8_t *magic = rb_take(file, 6);
	uint8_t alt = rb_u8(file);
	uint32_t size;
	uint32_t elements;
	struct rbytes b;
	size_t start;
	const uint8_t *bytes;

	rb_le32(file); /* whether it has a name */
	rb_take(file, TARGET_NAME_BYTES);
	size = rb_le32(file);
	elements = rb_le32(file);
	if (file->bad || memcmp(magic, "Target", 6))
		return image_malformed(s, at, e, "there is no target of a DfuSe container here");
	start = file->pos;
	bytes = rb_take(file, size);
	if (!bytes)
		return image_malformed(s, at, e,
			"target %u of %u bytes runs past the file: it is cut off", alt, size);
	b = rbytes_of(bytes, size);
	for (uint32_t i = 0; i < elements; i++) {
		int r = element(s, &b, start, alt, e);

		if (r < 0)
			return r;
	}
	if (b.pos != b.len)
		return image_malformed(s, start + b.pos, e,
			"%zu bytes of target %u belong to no element", b.len - b.pos, alt);
	return 0;
}

int image_read_dfuse(struct image_source *s, struct err *e)
{
	struct rbytes b = rbytes_of(s->bytes, s->n);
	uint8_t version;
	uint32_t size;
	uint8_t targets;

	s->limit = 1ull << 32;
	if (s->n < CONTAINER_BYTES || memcmp(s->bytes, "DfuSe", 5))
		return image_malformed(s, s->n, e, "a second DFU suffix before the first");
	if (!s->image->has_dfu_ids)
		return image_malformed(
			s, s->n, e, "a DfuSe container without a suffix: the file is cut off");
	rb_take(&b, 5);
	version = rb_u8(&b);
	size = rb_le32(&b);
	targets = rb_u8(&b);
	if (version != DFUSE_VERSION)
		return image_malformed(
			s, 5, e, "DfuSe version %u, %u expected", version, DFUSE_VERSION);
	/* ST's tools leave the suffix out, dfuse-pack counts it. */
	if (size != s->n && size != s->n + DFU_SUFFIX_BYTES)
		return image_malformed(
			s, 6, e, "the container says %u bytes, it has %zu", size, s->n);
	for (unsigned i = 0; i < targets; i++) {
		int r = target(s, &b, e);

		if (r < 0)
			return r;
	}
	if (b.pos != b.len)
		return image_malformed(
			s, b.pos, e, "%zu bytes after the last target", b.len - b.pos);
	return 0;
}
