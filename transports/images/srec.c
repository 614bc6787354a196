/* SPDX-License-Identifier: Apache-2.0
 *
 * Motorola S-records (M68000 Family Programmer's Reference Manual, appendix C):
 *
 *	S t LL address data.. CC	LL counts what follows it; CC is the complement of the sum
 *
 *	0 header	1 2 3 data with 2, 3, 4 address bytes	5 6 how many data records came
 *	7 8 9 start address of 4, 3, 2 bytes, and the end of the file
 *
 * The S may be a small letter. Some writers leave the end record out after a count, which proves as
 * well that the file is whole.
 */
#include <ctype.h>

#include "base/bytes.h"
#include "transports/images/text.h"

struct srec {
	struct image_source *s;
	struct text t;
	uint64_t records; /* of data */
	unsigned width;	  /* of their addresses, the widest */
	bool ended;
	bool counted; /* the record read last was a count, and a right one */
};

/* Bytes of the address by type; 0: there is no such type. */
static const unsigned widths[10] = {2, 2, 3, 4, 0, 2, 3, 4, 3, 2};

static int take_count(struct srec *x, unsigned width, uint64_t count, struct err *e)
{
	uint64_t mask = (1ull << 8 * width) - 1;

	x->counted = count == (x->records & mask);
	if (x->counted)
		return 0;
	return image_malformed(x->s, x->t.line, e,
		"the count says %llu data records, %llu came: records are missing",
		(unsigned long long)count, (unsigned long long)x->records);
}

static void end(struct srec *x, unsigned width, uint64_t start)
{
	x->ended = true;
	if (x->width && width < x->width)
		image_note(x->s->image, "line %llu: the end record is of a narrower kind",
			(unsigned long long)x->t.line);
	/* 0 is what is written where there is none. */
	x->s->image->has_entry = start != 0;
	x->s->image->entry = start;
}

static int take(struct srec *x, unsigned type, const uint8_t *b, size_t n, struct err *e)
{
	unsigned width = widths[type];
	uint64_t address = 0;

	for (unsigned i = 0; i < width; i++)
		address = address << 8 | b[1 + i];
	if (type == 0)
		return 0;
	if (type >= 1 && type <= 3) {
		x->records++;
		x->width = MAX(x->width, width);
		return text_data(x->s, &x->t, address, b + 1 + width, n - width - 2, e);
	}
	if (n != width + 2)
		return image_malformed(x->s, x->t.line, e, "an S%u record carries no data", type);
	if (type <= 6)
		return take_count(x, width, address, e);
	end(x, width, address);
	return 0;
}

static int check(struct srec *x, unsigned type, const uint8_t *b, size_t n, struct err *e)
{
	uint8_t sum = 0;

	if (n < 1 || n != b[0] + 1u)
		return image_malformed(x->s, x->t.line, e, "the record says %u bytes, and has %d",
			n ? b[0] : 0, (int)n - 1);
	if (widths[type] == 0)
		return image_malformed(x->s, x->t.line, e, "unknown record type S%u", type);
	if (n < widths[type] + 2)
		return image_malformed(x->s, x->t.line, e,
			"an S%u record has %u address bytes and a checksum", type, widths[type]);
	for (size_t i = 0; i + 1 < n; i++)
		sum = (uint8_t)(sum + b[i]);
	sum = (uint8_t)(0xff - sum);
	if (sum != b[n - 1])
		return image_malformed(x->s, x->t.line, e,
			"checksum 0x%02x, 0x%02x expected: the file is damaged", b[n - 1], sum);
	return 0;
}

/* What is a whole record after its mark was damaged, or taken out on purpose. */
static int check_comment(struct srec *x, const uint8_t *line, size_t n, struct err *e)
{
	uint8_t b[TEXT_RECORD_MAX];
	struct err ignored;
	size_t k = 0;

	if (n < 2 || !isdigit(line[1]) ||
		text_record(x->s, &x->t, line + 2, n - 2, 2, b, &k, &ignored) < 0 ||
		check(x, line[1] - '0', b, k, &ignored) < 0)
		return 0;
	return image_malformed(
		x->s, x->t.line, e, "a whole record after '%c': it begins with 'S'", line[0]);
}

static int record(struct srec *x, const uint8_t *line, size_t n, struct err *e)
{
	uint8_t b[TEXT_RECORD_MAX];
	size_t k = 0;
	int r;

	if (text_comment(&x->t, line))
		return check_comment(x, line, n, e);
	if (x->ended)
		return image_malformed(x->s, x->t.line, e, "something comes after the end record");
	x->counted = false;
	if ((line[0] | 0x20) != 's' || n < 2 || line[1] < '0' || line[1] > '9')
		return image_malformed(x->s, x->t.line, e, "a record begins with 'S' and a digit");
	r = text_record(x->s, &x->t, line + 2, n - 2, 2, b, &k, e);
	if (r == 0)
		r = check(x, line[1] - '0', b, k, e);
	return r < 0 ? r : take(x, line[1] - '0', b, k, e);
}

int image_read_srec(struct image_source *s, struct err *e)
{
	struct srec x = {.s = s};
	const uint8_t *line;
	size_t n;
	int r = text_begin(s, &x.t, e);

	s->same_twice = true;
	while (r == 0 && text_line(&x.t, &line, &n))
		r = record(&x, line, n, e);
	if (r == 0 && !x.ended && !x.counted)
		return image_malformed(s, x.t.line, e,
			"the file ends without an S7, S8 or S9 record: it is cut off");
	if (r == 0 && !x.ended)
		image_note(s->image,
			"there is no S7, S8 or S9 record; the count of S5 or S6 proves that the file is whole");
	text_end(s, &x.t);
	return r;
}
