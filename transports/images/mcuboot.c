/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/mcuboot.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define MAGIC		0x96f3b83du
#define HEAD_BYTES	32
#define TRAILER		0x6907 /* magic of what is not protected */
#define TRAILER_OF_HASH 0x6908 /* and of what the hash covers */
#define TRAILER_HEAD	4
#define FLAGS_ENCRYPTED (0x4u | 0x8u)

/* Types of the trailer (MCUboot, image.h). */
enum { SHA256 = 0x10, SHA384 = 0x11, SHA512 = 0x12, SIGNATURES = 0x20, SIGNATURES_END = 0x25 };

struct head {
	uint16_t bytes, protected_bytes;
	uint32_t code_bytes, flags;
};

static int read_head(
	const char *name, struct rbytes *b, struct head *h, struct mcuboot *m, struct err *e)
{
	uint32_t magic = rb_le32(b);
	unsigned major;
	unsigned minor;
	unsigned revision;
	uint32_t build;

	rb_le32(b); /* where it is loaded */
	h->bytes = rb_le16(b);
	h->protected_bytes = rb_le16(b);
	h->code_bytes = rb_le32(b);
	h->flags = rb_le32(b);
	major = rb_u8(b);
	minor = rb_u8(b);
	revision = rb_le16(b);
	build = rb_le32(b);
	rb_le32(b);
	if (b->bad || magic != MAGIC)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is not an image for MCUboot: it begins with %08x, 96f3b83d and a header of 32 bytes expected (imgtool sign makes one)",
			name, magic);
	if (h->bytes < HEAD_BYTES || h->bytes > b->len || h->code_bytes > b->len - h->bytes)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is cut off: its header says %u and %u bytes, and the file has %zu",
			name, h->bytes, h->code_bytes, b->len);
	snprintf(m->version, sizeof m->version, build ? "%u.%u.%u+%u" : "%u.%u.%u", major, minor,
		revision, build);
	m->encrypted = h->flags & FLAGS_ENCRYPTED;
	return 0;
}

/* One entry; unknown ones are passed over. */
static int take_entry(const char *name, struct mcuboot *m, uint16_t type, const uint8_t *p,
	uint16_t n, bool *has_hash, struct err *e)
{
	if (type == SHA384 || type == SHA512)
		return err_set(e, ERR_UNSUPPORTED,
			"%s has a hash of type 0x%x: only SHA-256 is compared", name, type);
	if (type >= SIGNATURES && type <= SIGNATURES_END)
		m->is_signed = true;
	if (type != SHA256)
		return 0;
	if (n != sizeof m->hash || *has_hash)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s has a hash of %u bytes, or two of them: one of 32 expected", name, n);
	memcpy(m->hash, p, sizeof m->hash);
	*has_hash = true;
	return 0;
}

/* A trailer at b->pos, which moves past it. */
static int read_trailer(const char *name, struct rbytes *b, uint16_t magic, struct mcuboot *m,
	bool *has_hash, struct err *e)
{
	size_t begin = b->pos;
	uint16_t there = rb_le16(b);
	uint16_t total = rb_le16(b);
	size_t end = begin + total;

	if (b->bad || there != magic || total < TRAILER_HEAD || end > b->len)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is cut off: at %zu a trailer (%04x) is expected, and there is %04x with %u bytes, of %zu in the file",
			name, begin, magic, there, total, b->len);
	while (b->pos < end) {
		uint16_t type = rb_le16(b);
		uint16_t n = rb_le16(b);
		const uint8_t *p = rb_take(b, n);
		int r;

		if (!p || b->pos > end)
			return err_set(e, ERR_IMAGE_INVALID,
				"%s: an entry of its trailer (type 0x%x) is longer than the trailer",
				name, type);
		r = take_entry(name, m, type, p, n, has_hash, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_hash(
	const char *name, const struct mcuboot *m, const uint8_t *p, size_t n, struct err *e)
{
	uint8_t sum[SHA256_BYTES];

	sha256_of(p, n, sum);
	if (memcmp(sum, m->hash, sizeof sum) != 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is damaged: its first %zu bytes have another SHA-256 than its trailer says",
			name, n);
	return 0;
}

int mcuboot_check(const char *name, const uint8_t *p, size_t n, struct mcuboot *ret, struct err *e)
{
	struct rbytes b = rbytes_of(p, n);
	struct mcuboot m = {0};
	struct head h = {0};
	bool has_hash = false;
	size_t covered;
	int r = read_head(name, &b, &h, &m, e);

	if (r < 0)
		return r;
	b.pos = (size_t)h.bytes + h.code_bytes;
	covered = b.pos + h.protected_bytes;
	if (h.protected_bytes)
		r = read_trailer(name, &b, TRAILER_OF_HASH, &m, &has_hash, e);
	if (r == 0 && b.pos != covered)
		r = err_set(e, ERR_IMAGE_INVALID,
			"%s: its protected trailer does not have the %u bytes of its header", name,
			h.protected_bytes);
	if (r == 0)
		r = read_trailer(name, &b, TRAILER, &m, &has_hash, e);
	if (r == 0 && !has_hash)
		r = err_set(e, ERR_IMAGE_INVALID, "%s has no hash in its trailer", name);
	if (r == 0 && !m.encrypted)
		r = compare_hash(name, &m, p, covered, e);
	if (r < 0)
		return r;
	m.bytes = (uint32_t)b.pos;
	*ret = m;
	return 0;
}
