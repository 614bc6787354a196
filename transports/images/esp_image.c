/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/esp_image.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/util.h"

#define HEAD_BYTES   24
#define SEGMENTS_MAX 16
#define SUM_SEED     0xef
#define SIZES	     8 /* codes of flash sizes: 1 MB, doubled by each */
#define MODES	     6 /* qio, qout, dio, dout, fast read, slow read */

bool esp_image_is(const uint8_t *p, size_t n)
{
	return n >= HEAD_BYTES && p[0] == ESP_IMAGE_MAGIC;
}

static int read_head(const char *name, struct rbytes *b, struct esp_image *i, struct err *e)
{
	uint8_t magic = rb_u8(b);
	uint8_t size;
	uint8_t digest;

	i->segments = rb_u8(b);
	i->mode = rb_u8(b);
	size = rb_u8(b);
	rb_le32(b);    /* entry */
	rb_take(b, 4); /* pins and drive strength */
	i->chip_id = rb_le16(b);
	rb_u8(b); /* the old form of the next one */
	i->min_revision = rb_le16(b);
	i->max_revision = rb_le16(b);
	rb_take(b, 4);
	digest = rb_u8(b);
	i->has_digest = digest == 1;
	i->frequency = size & 15;
	if (b->bad || magic != ESP_IMAGE_MAGIC)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is not an image of the ESP32 family: it begins with %02x, e9 and a header of 24 bytes expected",
			name, magic);
	if (i->segments == 0 || i->segments > SEGMENTS_MAX)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s: the header says %u segments, 1 to 16 expected", name, i->segments);
	if (digest > 1)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s: the header says %u where 1 means a SHA-256 and 0 none", name, digest);
	if (size >> 4 >= SIZES || i->mode >= MODES)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s: the header has flash size code %u and mode code %u, which do not exist",
			name, size >> 4, i->mode);
	i->flash_bytes = (1024u * 1024) << (size >> 4);
	return 0;
}

/* The checksum of the segments' bytes. */
static int read_segments(
	const char *name, struct rbytes *b, unsigned segments, uint8_t *ret_sum, struct err *e)
{
	uint8_t sum = SUM_SEED;

	for (unsigned k = 0; k < segments; k++) {
		uint32_t bytes;
		const uint8_t *p;

		rb_le32(b);
		bytes = rb_le32(b);
		p = rb_take(b, bytes);
		if (!p)
			return err_set(e, ERR_IMAGE_INVALID,
				"%s is cut off: segment %u of %u needs %u bytes, and the file has %zu",
				name, k + 1, segments, bytes, b->len);
		for (uint32_t i = 0; i < bytes; i++)
			sum ^= p[i];
	}
	*ret_sum = sum;
	return 0;
}

/* Padding up to the last byte of sixteen, which is the checksum. */
static int read_sum(const char *name, struct rbytes *b, uint8_t sum, struct err *e)
{
	uint8_t there;

	rb_take(b, 15 - b->pos % 16);
	there = rb_u8(b);
	if (b->bad)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is cut off before its checksum, at %zu bytes", name, b->len);
	if (there != sum)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is damaged: its checksum is %02x, that of its segments %02x", name,
			there, sum);
	return 0;
}

static int read_digest(const char *name, struct rbytes *b, const uint8_t *p, struct err *e)
{
	uint8_t sum[SHA256_BYTES];
	size_t n = b->pos;
	const uint8_t *there = rb_take(b, sizeof sum);

	if (!there)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is cut off before its SHA-256, at %zu bytes", name, b->len);
	sha256_of(p, n, sum);
	if (memcmp(sum, there, sizeof sum) != 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is damaged: its first %zu bytes have another SHA-256 than it says",
			name, n);
	return 0;
}

int esp_image_check(
	const char *name, const uint8_t *p, size_t n, struct esp_image *ret, struct err *e)
{
	struct rbytes b = rbytes_of(p, n);
	struct esp_image i = {0};
	uint8_t sum = 0;
	int r = read_head(name, &b, &i, e);

	if (r == 0)
		r = read_segments(name, &b, i.segments, &sum, e);
	if (r == 0)
		r = read_sum(name, &b, sum, e);
	if (r == 0 && i.has_digest)
		r = read_digest(name, &b, p, e);
	if (r < 0)
		return r;
	i.bytes = (uint32_t)b.pos;
	*ret = i;
	return 0;
}

int esp_image_seal(const char *name, uint8_t *p, size_t n, struct err *e)
{
	struct rbytes b = rbytes_of(p, n);
	struct esp_image i = {0};
	uint8_t sum = 0;
	int r = read_head(name, &b, &i, e);

	if (r == 0)
		r = read_segments(name, &b, i.segments, &sum, e);
	if (r < 0)
		return r;
	rb_take(&b, 15 - b.pos % 16);
	if (b.bad || n - b.pos < 1 + (i.has_digest ? SHA256_BYTES : 0u))
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is cut off before its checksum, at %zu bytes", name, n);
	p[b.pos++] = sum;
	if (i.has_digest)
		sha256_of(p, b.pos, p + b.pos);
	return 0;
}
