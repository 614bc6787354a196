/* SPDX-License-Identifier: Apache-2.0
 *
 * Intel HEX ("Hexadecimal Object File Format Specification", revision A, 1988):
 *
 *	: LL AAAA TT data.. CC		CC makes the sum of all bytes 0 modulo 256
 *
 *	00 data				01 end of file
 *	02 segment base (paragraphs)	03 start, CS:IP
 *	04 upper half of a linear base	05 start, EIP
 *
 * Below a segment base the offset counts within 64 KiB; below a linear base it carries on. The
 * base is a linear one of 0 until a record says otherwise. The end record is the only sign that the
 * file is whole.
 */
#include "base/bytes.h"
#include "transports/images/text.h"

enum { DATA, END, SEGMENT, START_SEGMENT, LINEAR, START_LINEAR, TYPES };

/* What LL has to be; -1: any. */
static const int lengths[TYPES] = {-1, 0, 2, 4, 2, 4};

struct ihex {
	struct image_source *s;
	struct text t;
	uint64_t base;
	bool segmented;
	bool ended;
};

static int add_data(struct ihex *x, uint16_t offset, const uint8_t *data, size_t n, struct err *e)
{
	if (n == 0)
		image_note(x->s->image, "line %llu: a data record without data",
			(unsigned long long)x->t.line);
	if (x->segmented && offset + n > 0x10000)
		return image_malformed(x->s, x->t.line, e,
			"%zu bytes at offset 0x%04x run past the segment's 64 KiB", n, offset);
	return text_data(x->s, &x->t, x->base + offset, data, n, e);
}

static void set_entry(struct ihex *x, uint64_t entry)
{
	struct image *i = x->s->image;

	if (i->has_entry && i->entry != entry)
		image_note(i, "line %llu: a second start address, 0x%llx after 0x%llx",
			(unsigned long long)x->t.line, (unsigned long long)entry,
			(unsigned long long)i->entry);
	i->has_entry = true;
	i->entry = entry;
}

static int take(struct ihex *x, uint8_t type, uint16_t offset, struct rbytes data, struct err *e)
{
	switch (type) {
	case DATA:
		return add_data(x, offset, data.p, data.len, e);
	case END:
		x->ended = true;
		return 0;
	case SEGMENT:
	case LINEAR:
		x->segmented = type == SEGMENT;
		x->base = (uint64_t)rb_be16(&data) << (type == SEGMENT ? 4 : 16);
		return 0;
	case START_SEGMENT: {
		uint64_t cs = rb_be16(&data);

		set_entry(x, (cs << 4) + rb_be16(&data));
		return 0;
	}
	default:
		set_entry(x, rb_be32(&data));
		return 0;
	}
}

static int check(struct ihex *x, const uint8_t *b, size_t n, struct err *e)
{
	uint8_t sum = 0;

	if (n < 5 || n != b[0] + 5u)
		return image_malformed(x->s, x->t.line, e,
			"the record says %u data bytes, and has %d", n ? b[0] : 0, (int)n - 5);
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + b[i]);
	if (sum)
		return image_malformed(x->s, x->t.line, e,
			"checksum 0x%02x, 0x%02x expected: the file is damaged", b[n - 1],
			(uint8_t)(b[n - 1] - sum));
	if (b[3] >= TYPES)
		return image_malformed(x->s, x->t.line, e, "unknown record type 0x%02x", b[3]);
	if (lengths[b[3]] >= 0 && b[0] != lengths[b[3]])
		return image_malformed(x->s, x->t.line, e,
			"a record of type %02x has %d data bytes, not %u", b[3], lengths[b[3]],
			b[0]);
	return 0;
}

static int record(struct ihex *x, const uint8_t *line, size_t n, struct err *e)
{
	uint8_t b[TEXT_RECORD_MAX];
	size_t k = 0;
	struct rbytes head;
	int r;

	if (x->ended)
		return image_malformed(
			x->s, x->t.line, e, "something stands behind the end record");
	if (line[0] != ':')
		return image_malformed(x->s, x->t.line, e, "a record begins with ':'");
	r = text_record(x->s, &x->t, line + 1, n - 1, 1, b, &k, e);
	if (r == 0)
		r = check(x, b, k, e);
	if (r < 0)
		return r;
	head = rbytes_of(b + 1, 2);
	return take(x, b[3], rb_be16(&head), rbytes_of(b + 4, b[0]), e);
}

int image_read_ihex(struct image_source *s, struct err *e)
{
	struct ihex x = {.s = s};
	const uint8_t *line;
	size_t n;
	int r = text_begin(s, &x.t, e);

	s->same_twice = true;
	while (r == 0 && text_line(&x.t, &line, &n))
		r = record(&x, line, n, e);
	if (r == 0 && !x.ended)
		return image_malformed(s, x.t.line, e,
			"the file ends without an end record (:00000001FF): it is cut off");
	return r;
}
