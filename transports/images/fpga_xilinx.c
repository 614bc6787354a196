/* SPDX-License-Identifier: Apache-2.0
 *
 * UG470 (7 Series FPGAs Configuration), tables 5-19 to 5-24. The header of a .bit has no public specification: it is what
 * Vivado and ISE write, fields with a letter and a length, big-endian.
 */
#include <string.h>

#include "transports/images/fpga_impl.h"

#define HEAD_BYTES 13u
#define WORDS_MAX  (64u * 1024 * 1024 / 4)
#define CRC_POLY   0x82f63b78u /* CRC-32C, bit 0 first */
#define CRC_OFF	   0x0000defcu /* what is there where the sums are off */
#define OP_WRITE   2u
#define REG_CRC	   0u
#define REG_CMD	   4u
#define REG_CBC	   11u
#define REG_IDCODE 12u
#define CMD_RCRC   7u
#define CMD_DESYNC 13u

/* --- the header --- */

static int field(const char *name, struct rbytes *b, char key, const uint8_t **ret, size_t *ret_n,
	struct err *e)
{
	size_t at = b->pos;
	uint8_t got = rb_u8(b);

	if (got != (uint8_t)key || b->bad)
		return fpga_malformed(name, at, e,
			"field '%c' of the header expected, 0x%02x is there", key, got);
	*ret_n = rb_be16(b);
	*ret = rb_take(b, *ret_n);
	return *ret ? 0
		    : fpga_malformed(name, at, e, "it ends within field '%c' of its header", key);
}

static int text_field(
	const char *name, struct rbytes *b, char key, char *ret, size_t size, struct err *e)
{
	const uint8_t *text = NULL;
	size_t n = 0;
	int r = field(name, b, key, &text, &n, e);

	if (r == 0)
		fpga_text(ret, size, text, n);
	return r;
}

int fpga_read_xilinx_bit(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	struct rbytes b = rbytes_of(bytes, n);
	char time[16] = "";
	uint32_t len;
	int r;

	rb_take(&b, HEAD_BYTES);
	r = text_field(name, &b, 'a', ret->design, sizeof ret->design, e);
	if (r == 0)
		r = text_field(name, &b, 'b', ret->part, sizeof ret->part, e);
	if (r == 0)
		r = text_field(name, &b, 'c', ret->date, sizeof ret->date - sizeof time - 1, e);
	if (r == 0)
		r = text_field(name, &b, 'd', time, sizeof time, e);
	if (r < 0)
		return r;
	strcat(ret->date, " ");
	strcat(ret->date, time);
	if (rb_u8(&b) != 'e')
		return fpga_malformed(name, b.pos, e, "field 'e' of the header expected");
	len = rb_be32(&b);
	if (b.bad || len != n - b.pos)
		return fpga_malformed(name, b.pos, e,
			"its header says %u bytes of configuration, %zu are there%s", len,
			n - b.pos, len > n - b.pos ? ": it is cut off" : "");
	ret->data = bytes + b.pos;
	ret->len = len;
	return fpga_read_packets(name, ret->data, ret->len, ret, e);
}

/* --- the packets --- */

struct packets {
	struct rbytes b;
	uint32_t reg, left, crc;
	bool writes, ended, bad_crc;
	size_t bad_at;
};

static uint32_t crc_add(uint32_t crc, uint32_t reg, uint32_t word)
{
	for (unsigned i = 0; i < 37; i++) {
		uint32_t bit = i < 32 ? word >> i & 1 : reg >> (i - 32) & 1;

		crc = (crc ^ bit) & 1 ? crc >> 1 ^ CRC_POLY : crc >> 1;
	}
	return crc;
}

static void take_crc(struct packets *p, uint32_t word, struct fpga_file *ret)
{
	if (word != p->crc && word != CRC_OFF && !p->bad_crc) {
		p->bad_crc = true;
		p->bad_at = p->b.pos - 4;
	}
	ret->summed |= word == p->crc;
	p->crc = 0;
}

static void take_data(struct packets *p, uint32_t word, struct fpga_file *ret)
{
	if (p->reg == REG_CRC) {
		take_crc(p, word, ret);
		return;
	}
	p->crc = crc_add(p->crc, p->reg, word);
	if (p->reg == REG_IDCODE && !ret->has_idcode) {
		ret->has_idcode = true;
		ret->idcode = word;
	} else if (p->reg == REG_CBC) {
		ret->encrypted = true;
	} else if (p->reg == REG_CMD && word == CMD_RCRC) {
		p->crc = 0;
	} else if (p->reg == REG_CMD && word == CMD_DESYNC) {
		p->ended = true;
	}
}

/* false: another header than those of the 7 series. */
static bool take_header(struct packets *p, uint32_t word)
{
	uint32_t type = word >> 29;

	if (type == 1) {
		p->writes = (word >> 27 & 3) == OP_WRITE;
		p->reg = word >> 13 & 0x1f;
		p->left = word & 0x7ff;
	} else if (type == 2) {
		p->left = word & 0x07ffffff;
	} else {
		return false;
	}
	if (!p->writes)
		p->left = 0;
	return true;
}

int fpga_read_packets(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	size_t sync = fpga_find_sync(bytes, n);
	size_t base = (size_t)(bytes - ret->data);
	struct packets p;

	if (sync == SIZE_MAX)
		return fpga_malformed(name, base, e,
			"there is no sync word (aa995566) in the first bytes of its configuration");
	p = (struct packets){.b = rbytes_of(bytes + sync + 4, n - sync - 4)};
	while (!p.ended && !ret->encrypted && p.b.len - p.b.pos >= 4) {
		uint32_t word = rb_be32(&p.b);

		if (p.left > 0) {
			p.left--;
			take_data(&p, word, ret);
		} else if (!take_header(&p, word)) {
			/* Another family has packets of 16 bits: only the header speaks for it. */
			return ret->has_idcode
				       ? fpga_malformed(name, sync + p.b.pos, e,
						 "a packet of the 7 series expected, 0x%08x is there",
						 word)
				       : 0;
		}
	}
	if (ret->encrypted)
		return 0;
	if (p.bad_crc)
		return fpga_malformed(name, sync + 4 + p.bad_at, e,
			"the sum over its configuration is wrong: it was damaged on its way");
	return p.ended ? 0
		       : fpga_malformed(name, n, e,
				 "the command that ends a configuration (DESYNC) is missing: it is cut off");
}
