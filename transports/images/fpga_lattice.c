/* SPDX-License-Identifier: Apache-2.0
 *
 * FPGA-TN-02039 (ECP5 and ECP5-5G sysCONFIG), appendix A: texts after ff 00, ended by ff; the preamble ff ff bd b3 (bf b3 of an
 * encrypted one); commands of a byte with three bytes of options. Where the size of a frame is known and it is not
 * compressed, all commands are followed and their sums (CRC-16, polynomial 0x8005) compared.
 */
#include <string.h>

#include "transports/images/fpga_impl.h"

#define BYPASS		  0xffu
#define LSC_RESET_CRC	  0x3bu
#define LSC_COMP_DIC	  0x02u
#define LSC_PROG_INCR_CMP 0xb8u
#define LSC_PROG_INCR_RTI 0x82u
#define LSC_INIT_ADDRESS  0x46u
#define LSC_PROG_CNTRL0	  0x22u
#define LSC_EBR_ADDRESS	  0xf6u
#define LSC_EBR_WRITE	  0xb2u
#define LSC_SPI_MODE	  0x79u
#define ISC_USERCODE	  0xc2u
#define ISC_SED_CRC	  0xa2u
#define ISC_SECURITY	  0xceu
#define ISC_DONE	  0x5eu
#define VERIFY_ID	  0xe2u
#define EBR_BLOCK_BYTES	  9u
#define TAIL_BYTES	  16u

struct commands {
	const char *name;
	struct rbytes b;
	size_t base; /* of b in the file */
	uint16_t crc;
	bool ended, unknown;
	struct fpga_file *ret;
};

/* Bytes of a frame (prjtrellis' database has them as bits: 592, 846 + 2, 1136); 0: not known. */
static uint32_t frame_bytes(uint32_t idcode)
{
	switch (idcode & 0x0000ffffu) {
	case 0x1043:
		return (idcode >> 16 & 0xf) == 1 ? 74 : 0;
	case 0x2043:
		return (idcode >> 16 & 0xf) == 1 ? 106 : 0;
	case 0x3043:
		return (idcode >> 16 & 0xf) == 1 ? 142 : 0;
	default:
		return 0;
	}
}

static void crc_add(struct commands *c, const uint8_t *p, size_t n)
{
	for (size_t i = 0; p && i < n * 8; i++) {
		uint16_t top = c->crc & 0x8000;

		c->crc = (uint16_t)(c->crc << 1 | (p[i / 8] >> (7 - i % 8) & 1));
		if (top)
			c->crc ^= 0x8005;
	}
}

static const uint8_t *take(struct commands *c, size_t n)
{
	const uint8_t *p = rb_take(&c->b, n);

	crc_add(c, p, n);
	return p;
}

static int check_sum(struct commands *c, struct err *e)
{
	uint16_t want, got;

	crc_add(c, (const uint8_t[]){0, 0}, 2);
	want = c->crc;
	c->crc = 0;
	got = rb_be16(&c->b);
	if (!c->b.bad && got != want)
		return fpga_malformed(c->name, c->base + c->b.pos - 2, e,
			"the sum is 0x%04x, 0x%04x expected: it was damaged on its way", got, want);
	c->ret->summed |= !c->b.bad;
	return 0;
}

/* Options of which bit 7 says that a sum follows, and a number of bytes. */
static int plain(struct commands *c, size_t n, bool summed, struct err *e)
{
	const uint8_t *o = take(c, 3);
	bool sum = o && (o[0] & 0x80);

	take(c, n);
	return sum && summed ? check_sum(c, e) : 0;
}

static int verify_id(struct commands *c)
{
	const uint8_t *o = take(c, 7);

	if (!o || c->ret->has_idcode)
		return 0;
	c->ret->has_idcode = true;
	c->ret->idcode = (uint32_t)o[3] << 24 | (uint32_t)o[4] << 16 | (uint32_t)o[5] << 8 | o[6];
	return 0;
}

/* Bit 7: sums, bit 6: one after the last frame alone, bits 3 to 0: bytes between frames. */
static int frames(struct commands *c, struct err *e)
{
	const uint8_t *o = take(c, 3);
	uint32_t size = frame_bytes(c->ret->idcode);
	uint32_t count = o ? (uint32_t)(o[1] << 8 | o[2]) : 0;
	int r = 0;

	if (!size) {
		c->unknown = true;
		return 0;
	}
	for (uint32_t i = 0; r == 0 && i < count && !c->b.bad; i++) {
		take(c, size);
		if ((o[0] & 0x80) && (!(o[0] & 0x40) || i + 1 == count))
			r = check_sum(c, e);
		rb_take(&c->b, o[0] & 0xf);
	}
	return r;
}

static int blocks(struct commands *c, struct err *e)
{
	const uint8_t *o = take(c, 3);
	size_t count = o ? (size_t)(o[1] << 8 | o[2]) : 0;

	take(c, count * EBR_BLOCK_BYTES);
	return o && (o[0] & 0x80) ? check_sum(c, e) : 0;
}

static int command(struct commands *c, struct err *e)
{
	uint8_t what = rb_u8(&c->b);

	if (what == BYPASS)
		return 0;
	crc_add(c, &what, 1);
	switch (what) {
	case LSC_RESET_CRC:
		take(c, 3);
		c->crc = 0;
		return 0;
	case VERIFY_ID:
		return verify_id(c);
	case LSC_PROG_CNTRL0:
	case LSC_EBR_ADDRESS:
	case ISC_USERCODE:
	case ISC_SED_CRC:
		return plain(c, 4, true, e);
	case LSC_INIT_ADDRESS:
	case LSC_SPI_MODE:
	case ISC_SECURITY:
		return plain(c, 0, true, e);
	case LSC_EBR_WRITE:
		return blocks(c, e);
	case LSC_PROG_INCR_RTI:
		return frames(c, e);
	case ISC_DONE:
		c->ended = true;
		return plain(c, 0, true, e);
	default: /* compressed frames among them: their length is not said */
		c->unknown = true;
		return 0;
	}
}

/* What cannot be followed ends, after its padding, with ISC_PROGRAM_DONE. */
static bool tail_is_done(const uint8_t *s, size_t n)
{
	size_t from;

	while (n > 0 && (s[n - 1] == 0xff || s[n - 1] == 0))
		n--;
	from = n > TAIL_BYTES ? n - TAIL_BYTES : 0;
	for (size_t i = n; i > from; i--)
		if (s[i - 1] == ISC_DONE)
			return true;
	return false;
}

int fpga_read_commands(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	size_t preamble = fpga_find_preamble(bytes, n);
	struct commands c;
	int r = 0;

	if (preamble == SIZE_MAX)
		return fpga_malformed(name, 0, e,
			"there is no preamble (ff ff bd b3) in the first bytes of its configuration");
	ret->encrypted = bytes[preamble + 2] == 0xbf;
	c = (struct commands){.name = name,
		.ret = ret,
		.base = preamble + 4,
		.b = rbytes_of(bytes + preamble + 4, n - preamble - 4)};
	while (r == 0 && !c.ended && !c.unknown && !ret->encrypted && c.b.pos < c.b.len)
		r = command(&c, e);
	if (r < 0)
		return r;
	if ((c.ended && !c.b.bad) || ((c.unknown || ret->encrypted) && tail_is_done(bytes, n)))
		return 0;
	return fpga_malformed(name, n, e,
		"the command that ends a configuration (ISC_PROGRAM_DONE) is missing: it is cut off");
}

/* --- .bit --- */

static void take_text(struct fpga_file *ret, const char *text, size_t n)
{
	static const char part[] = "Part:", date[] = "Date:", design[] = "Design name:";

	if (n > sizeof part && !memcmp(text, part, sizeof part - 1))
		fpga_text(ret->part, sizeof ret->part, text + sizeof part - 1, n - sizeof part + 1);
	else if (n > sizeof date && !memcmp(text, date, sizeof date - 1))
		fpga_text(ret->date, sizeof ret->date, text + sizeof date - 1, n - sizeof date + 1);
	else if (n > sizeof design && !memcmp(text, design, sizeof design - 1))
		fpga_text(ret->design, sizeof ret->design, text + sizeof design - 1,
			n - sizeof design + 1);
}

int fpga_read_lattice_bit(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	size_t at = bytes[0] == 'L' ? 6 : 2;
	size_t preamble = fpga_find_preamble(bytes, n);

	if (preamble == SIZE_MAX || preamble < at)
		return fpga_malformed(name, at, e,
			"the preamble (ff ff bd b3) expected after the texts of its header");
	while (at < preamble) {
		const uint8_t *end = memchr(bytes + at, 0, preamble - at);
		size_t len = end ? (size_t)(end - bytes) - at : preamble - at;

		take_text(ret, (const char *)bytes + at, len);
		at += len + 1;
	}
	ret->data = bytes + preamble;
	ret->len = n - preamble;
	return fpga_read_commands(name, bytes, n, ret, e);
}
