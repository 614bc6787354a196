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
 * A universal HEX file holds programs for several boards (micro:bit, "Universal Hex Format
 * Specification" 0.4.0): blocks with the number of a board, whose data records are of type 00 or,
 * so that the oldest board passes over them, 0D:
 *
 *	0A a block begins: board (2), C0 DE	0B it ends (padding)
 *	0C padding	0D data of the board	0E other data, for no board
 *
 * Below a segment base the offset counts within 64 KiB; below a linear base it carries on. The
 * base is a linear one of 0 until a record says otherwise. The end record is the only sign that the
 * file is whole. Lines of comment may come anywhere between the records.
 */
#include "base/bytes.h"
#include "base/strbuf.h"
#include "transports/images/text.h"

#define BOARDS_MAX  32
#define BLOCK_MAGIC 0xc0de

enum {
	DATA,
	END,
	SEGMENT,
	START_SEGMENT,
	LINEAR,
	START_LINEAR,
	BLOCK_START = 0x0a,
	BLOCK_END,
	BLOCK_PADDING,
	BLOCK_DATA,
	BLOCK_OTHER,
	TYPES
};

#define ANY	(-1)
#define UNKNOWN (-2)

/* What LL has to be. */
static const int lengths[TYPES] = {
	ANY, 0, 2, 4, 2, 4, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 4, ANY, ANY, ANY, ANY};

struct ihex {
	struct image_source *s;
	struct text t;
	uint64_t base;
	bool segmented;
	bool ended;
	uint16_t board[BOARDS_MAX]; /* of a universal file, in the order of their coming */
	size_t boards;
	uint8_t in_board; /* whose block this is: its place in `board` from 1; 0: none */
	bool has_entry[BOARDS_MAX + 1];
	uint64_t entry[BOARDS_MAX + 1];
};

/* Until the board is chosen, the pieces of each have their own target. */
static int keep(struct ihex *x, uint64_t address, const uint8_t *data, size_t n, struct err *e)
{
	return text_data_of(x->s, &x->t, x->in_board, address, data, n, e);
}

static int add_data(struct ihex *x, uint16_t offset, const uint8_t *data, size_t n, struct err *e)
{
	if (n == 0)
		image_note(x->s->image, "line %llu: a data record without data",
			(unsigned long long)x->t.line);
	if (x->segmented && offset + n > 0x10000)
		return image_malformed(x->s, x->t.line, e,
			"%zu bytes at offset 0x%04x run past the segment's 64 KiB", n, offset);
	return keep(x, x->base + offset, data, n, e);
}

static void set_entry(struct ihex *x, uint64_t entry)
{
	uint8_t k = x->in_board;

	if (x->has_entry[k] && x->entry[k] != entry)
		image_note(x->s->image, "line %llu: a second start address, 0x%llx after 0x%llx",
			(unsigned long long)x->t.line, (unsigned long long)entry,
			(unsigned long long)x->entry[k]);
	x->has_entry[k] = true;
	x->entry[k] = entry;
}

static int begin_block(struct ihex *x, struct rbytes data, struct err *e)
{
	uint16_t board = rb_be16(&data);
	size_t k = 0;

	if (rb_be16(&data) != BLOCK_MAGIC)
		return image_malformed(x->s, x->t.line, e,
			"a block of a universal HEX file begins with a board and C0DE");
	while (k < x->boards && x->board[k] != board)
		k++;
	if (k == BOARDS_MAX)
		return image_malformed(x->s, x->t.line, e, "more than %d boards", BOARDS_MAX);
	x->board[k] = board;
	x->boards = MAX(x->boards, k + 1);
	x->in_board = (uint8_t)(k + 1);
	return 0;
}

static int take(struct ihex *x, uint8_t type, uint16_t offset, struct rbytes data, struct err *e)
{
	switch (type) {
	case DATA:
	case BLOCK_DATA:
		return add_data(x, offset, data.p, data.len, e);
	case END:
		x->ended = true;
		return 0;
	case SEGMENT:
	case LINEAR:
		x->segmented = type == SEGMENT;
		x->base = (uint64_t)rb_be16(&data) << (type == SEGMENT ? 4 : 16);
		return 0;
	case BLOCK_START:
		return begin_block(x, data, e);
	case BLOCK_END:
		x->in_board = 0;
		return 0;
	case BLOCK_PADDING:
	case BLOCK_OTHER:
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
	if (b[3] >= TYPES || lengths[b[3]] == UNKNOWN)
		return image_malformed(x->s, x->t.line, e, "unknown record type 0x%02x", b[3]);
	if (b[3] > BLOCK_START && x->boards == 0)
		return image_malformed(x->s, x->t.line, e,
			"a record of type %02x belongs to a universal HEX file, and no block of a board (0A) came before it",
			b[3]);
	if (lengths[b[3]] >= 0 && b[0] != lengths[b[3]])
		return image_malformed(x->s, x->t.line, e,
			"a record of type %02x has %d data bytes, not %u", b[3], lengths[b[3]],
			b[0]);
	return 0;
}

/* One bit is between ':' and ';': what is a whole record after its mark was damaged, or taken out
 * on purpose, and is not passed over. */
static int check_comment(struct ihex *x, const uint8_t *line, size_t n, struct err *e)
{
	uint8_t b[TEXT_RECORD_MAX];
	struct err ignored;
	size_t k = 0;

	if (text_record(x->s, &x->t, line + 1, n - 1, 1, b, &k, &ignored) < 0 ||
		check(x, b, k, &ignored) < 0)
		return 0;
	return image_malformed(
		x->s, x->t.line, e, "a whole record after '%c': it begins with ':'", line[0]);
}

static int record(struct ihex *x, const uint8_t *line, size_t n, struct err *e)
{
	uint8_t b[TEXT_RECORD_MAX];
	size_t k = 0;
	struct rbytes head;
	int r;

	if (text_comment(&x->t, line))
		return check_comment(x, line, n, e);
	if (x->ended)
		return image_malformed(x->s, x->t.line, e, "something comes after the end record");
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

static int say_which(const struct ihex *x, struct err *e)
{
	struct strbuf all = {0};
	uint16_t want = x->s->opts->hex_board;

	for (size_t k = 0; k < x->boards; k++)
		sb_addf(&all, "%s0x%04x", k ? ", " : "", x->board[k]);

	int r = want ? err_set(e, ERR_IMAGE_INVALID,
			       "firmware file %s holds nothing for board 0x%04x; it is for the boards %s",
			       x->s->image->path, want, all.s ? all.s : "of no universal HEX file")
		     : err_set(e, ERR_INVALID,
			       "firmware file %s is a universal HEX file for the boards %s: say which ('board')",
			       x->s->image->path, all.s);

	sb_done(&all);
	return r;
}

/* Of those that a universal HEX file is for (micro:bit, "Universal Hex Format Specification", Board IDs; DAPLink). */
static const char *board_name(uint16_t id)
{
	switch (id) {
	case 0x9900:
	case 0x9901:
		return " (micro:bit V1)";
	case 0x9903:
	case 0x9904:
	case 0x9905:
	case 0x9906:
		return " (micro:bit V2)";
	default:
		return "";
	}
}

/* All of them, and which one is shown. */
static void note_boards(const struct ihex *x, uint16_t chosen)
{
	struct strbuf all = {0};

	for (size_t k = 0; k < x->boards; k++)
		sb_addf(&all, "%s0x%04x%s", k ? ", " : "", x->board[k], board_name(x->board[k]));
	image_note(x->s->image,
		"a universal HEX file for %zu board%s: %s; this is what board 0x%04x gets",
		x->boards, x->boards == 1 ? "" : "s", all.s, chosen);
	sb_done(&all);
}

/* Which board's data is the image: the place of it in `board` from 1, 0 for no universal file. */
static int choose(struct ihex *x, uint8_t *ret, struct err *e)
{
	uint16_t want = x->s->opts->hex_board;

	*ret = 0;
	if (x->boards == 0)
		return want ? say_which(x, e) : 0;
	for (size_t k = 0; k < x->boards; k++)
		if (want ? x->board[k] == want : x->boards == 1 || x->s->opts->inspect) {
			*ret = (uint8_t)(k + 1);
			note_boards(x, x->board[k]);
			return 0;
		}
	return say_which(x, e);
}

/* Data outside of all blocks is for every board. */
static int take_board(struct ihex *x, struct err *e)
{
	struct image_source *s = x->s;
	uint8_t board = 0;
	size_t kept = 0;
	int r = choose(x, &board, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->count; i++) {
		if (s->pieces[i].target != board && s->pieces[i].target != 0)
			continue;
		s->pieces[kept] = s->pieces[i];
		s->pieces[kept++].target = 0;
	}
	s->count = kept;
	if (!x->has_entry[board])
		board = 0;
	s->image->has_entry = x->has_entry[board];
	s->image->entry = x->entry[board];
	return 0;
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
	text_end(s, &x.t);
	return r < 0 ? r : take_board(&x, e);
}
