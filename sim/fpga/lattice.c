/* SPDX-License-Identifier: Apache-2.0
 *
 * Programmable devices of Lattice by JTAG: ECP5 with an SPI flash next to it, and MachXO2 with flash of its own.
 *
 *	ISC_ENABLE, ISC_ERASE     clear the SRAM (operand bit 0) or the flash (bits 1 and 2)
 *	LSC_BITSTREAM_BURST       the whole bitstream, MSB of each byte first; carried out when the next instruction comes
 *	LSC_PROG_SPI + FE 68      the SPI flash: each data register scan is one selection
 *	LSC_PROG_INCR_NV          the next row of 128 bits of the flash
 *	LSC_REFRESH               the configuration out of the flash
 *	LSC_READ_STATUS           DONE, ISC enabled, FAIL, and the error of the bitstream
 *
 * Sources: FPGA-TN-02039 ECP5 and ECP5-5G sysCONFIG, tables 4.3 (status register), 6.1 (instructions), 6.4 and
 * appendix A (bitstream); FPGA-TN-02155 MachXO2 programming, tables 17-22. The sum: CRC-16 with polynomial 0x8005.
 */
#include <string.h>

#include "base/digest.h"
#include "sim/fpga/spi_flash.h"
#include "sim/fpga/tap.h"

#define ISC_ENABLE	    0xc6u
#define ISC_DISABLE	    0x26u
#define ISC_ERASE	    0x0eu
#define ISC_PROGRAM_DONE    0x5eu
#define LSC_BITSTREAM_BURST 0x7au
#define LSC_CHECK_BUSY	    0xf0u
#define LSC_INIT_ADDRESS    0x46u
#define LSC_PROG_FEABITS    0xf8u
#define LSC_PROG_FEATURE    0xe4u
#define LSC_PROG_INCR_NV    0x70u
#define LSC_PROG_SPI	    0x3au
#define LSC_READ_FEABITS    0xfbu
#define LSC_READ_FEATURE    0xe7u
#define LSC_READ_INCR_NV    0x73u
#define LSC_READ_STATUS	    0x3cu
#define LSC_REFRESH	    0x79u
#define IDCODE_PUB	    0xe0u
#define USERCODE	    0xc0u
#define BYPASS		    0xffu
#define SPI_KEY		    0x68feu

/* Of a bitstream alone. */
#define LSC_RESET_CRC	  0x3bu
#define LSC_PROG_INCR_RTI 0x82u
#define LSC_PROG_CNTRL0	  0x22u
#define LSC_EBR_ADDRESS	  0xf6u
#define LSC_EBR_WRITE	  0xb2u
#define ISC_PROGRAM_USER  0xc2u
#define ISC_PROGRAM_SED	  0xa2u
#define ISC_PROGRAM_SEC	  0xceu
#define VERIFY_ID	  0xe2u
#define SPI_MODE	  0x79u

#define ERASE_SRAM  1u
#define ERASE_FLASH 4u
#define STATUS_DONE (1u << 8)
#define STATUS_ISC  (1u << 9)
#define STATUS_FAIL (1u << 13)
#define ERROR_SHIFT 23

#define PREAMBLE   0xffffbdb3u
#define STREAM_MAX SPI_FLASH_BYTES
#define ROW_BYTES  16u
#define ROWS	   2175u /* of an LCMXO2-1200 */
#define EBR_BYTES  9u

enum bse { BSE_NONE, BSE_ID, BSE_COMMAND, BSE_CRC, BSE_PREAMBLE };

struct geometry {
	uint32_t idcode;
	uint32_t frame_bytes;
};

struct lattice {
	struct tap tap;
	struct spi_flash spi;
	bool isc, flash_mode, done, fail, spi_open;
	enum bse error;
	/* Of the scan. */
	uint8_t *in;
	size_t n, bits;
	struct sha256 *sum;
	char sha256[SHA256_HEX];
	uint64_t frames, loads;
	/* Flash of its own. */
	uint8_t row[ROWS][ROW_BYTES];
	uint32_t at, rows_written;
	bool done_bit;
	uint64_t feature;
	uint16_t feabits;
};

static struct lattice *of(struct tap *t)
{
	return container_of(t, struct lattice, tap);
}

static const struct lattice *of_const(const struct tap *t)
{
	return (const struct lattice *)((const char *)t - offsetof(struct lattice, tap));
}

static bool has_flash(const struct tap *t)
{
	return t->ops == &tap_lcmxo2_1200;
}

static struct tap *lattice_new(const struct tap_ops *ops, const struct device_config *c)
{
	struct lattice *l = xcalloc(1, sizeof *l);

	l->in = xcalloc(1, STREAM_MAX);
	memset(l->row, 0, sizeof l->row);
	spi_flash_init(&l->spi, c, ops->name);
	return &l->tap;
}

static void lattice_free(struct tap *t)
{
	spi_flash_done(&of(t)->spi);
	sha256_free(of(t)->sum);
	free(of(t)->in);
	free(of(t));
}

static void clear_sram(struct lattice *l)
{
	l->done = false;
	l->error = BSE_NONE;
	l->frames = 0;
	l->sha256[0] = 0;
}

/* --- a bitstream --- */

struct reader {
	struct lattice *l;
	const uint8_t *s;
	size_t n, at;
	uint16_t crc;
};

static uint16_t crc_of(uint16_t crc, uint8_t b)
{
	for (int i = 7; i >= 0; i--) {
		bool top = crc >> 15;

		crc = (uint16_t)(crc << 1 | (b >> i & 1));
		if (top)
			crc ^= 0x8005;
	}
	return crc;
}

static uint8_t next(struct reader *r)
{
	uint8_t b = r->at < r->n ? r->s[r->at] : 0;

	r->at++;
	r->crc = crc_of(r->crc, b);
	return b;
}

static uint32_t number(struct reader *r, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | next(r);
	return v;
}

/* The two bytes after it are the sum of all since the last one. */
static bool sum_is_right(struct reader *r)
{
	uint16_t want;

	for (int i = 0; i < 2; i++)
		r->crc = crc_of(r->crc, 0);
	want = r->crc;

	uint16_t got = (uint16_t)(r->at + 1 < r->n ? r->s[r->at] << 8 | r->s[r->at + 1] : 0);

	r->at += 2;
	r->crc = 0;
	return got == want;
}

static uint32_t frame_bytes(const struct lattice *l)
{
	static const struct geometry g[] = {{0x41111043, 74}, {0x41112043, 106}};

	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		if (g[i].idcode == l->tap.ops->idcode)
			return g[i].frame_bytes;
	return 0;
}

static enum bse frames(struct reader *r)
{
	uint8_t how = next(r);
	uint32_t count = number(r, 2);
	double flip;

	for (uint32_t i = 0; i < count; i++) {
		size_t from = r->at;

		if (r->at + frame_bytes(r->l) > r->n)
			return BSE_COMMAND;
		for (uint32_t k = 0; k < frame_bytes(r->l); k++)
			next(r);
		sha256_add(r->l->sum, r->s + from, frame_bytes(r->l));
		if (own_fault_set(r->l->tap.faults, BIT_FLIP, &flip) && (double)i == flip)
			r->crc ^= 1;
		/* Bit 7: a sum; bit 6: after the last frame alone; bits 3 to 0: dummy bytes. */
		if ((how & 0x80) && (!(how & 0x40) || i + 1 == count) && !sum_is_right(r))
			return BSE_CRC;
		r->at += how & 0xf;
		r->l->frames++;
	}
	return BSE_NONE;
}

static enum bse memory_blocks(struct reader *r)
{
	uint8_t how = next(r);
	uint32_t count = number(r, 2);

	for (uint32_t i = 0; i < count * EBR_BYTES; i++)
		next(r);
	return !(how & 0x80) || sum_is_right(r) ? BSE_NONE : BSE_CRC;
}

/* A command with 3 bytes of options and a number of `bytes`. */
static enum bse with_number(struct reader *r, unsigned bytes, uint32_t *ret)
{
	uint8_t how = next(r);

	number(r, 2);
	*ret = number(r, bytes);
	return (how & 0x80) && !sum_is_right(r) ? BSE_CRC : BSE_NONE;
}

static enum bse carry_out(struct reader *r, uint8_t command, bool *ret_done)
{
	uint32_t v = 0;
	enum bse b;

	switch (command) {
	case LSC_RESET_CRC:
		number(r, 3);
		r->crc = 0;
		return BSE_NONE;
	case VERIFY_ID:
		b = with_number(r, 4, &v);
		return b ? b : v == r->l->tap.ops->idcode ? BSE_NONE : BSE_ID;
	case LSC_PROG_CNTRL0:
	case ISC_PROGRAM_USER:
	case ISC_PROGRAM_SED:
	case LSC_EBR_ADDRESS:
		return with_number(r, 4, &v);
	case LSC_INIT_ADDRESS:
	case ISC_PROGRAM_SEC:
	case SPI_MODE:
		return with_number(r, 0, &v);
	case LSC_EBR_WRITE:
		return memory_blocks(r);
	case LSC_PROG_INCR_RTI:
		return frames(r);
	case ISC_PROGRAM_DONE:
		b = with_number(r, 0, &v);
		*ret_done = b == BSE_NONE;
		return b;
	default:
		return BSE_COMMAND;
	}
}

/* The bits after the preamble come to lie on bytes: in a chain, those of other devices come before. */
static size_t align(uint8_t *s, size_t n)
{
	uint32_t seen = 0;
	size_t bit = 0;

	while (bit < n * 8 && seen != PREAMBLE) {
		seen = seen << 1 | (s[bit / 8] >> (7 - bit % 8) & 1);
		bit++;
	}
	if (seen != PREAMBLE)
		return 0;
	for (size_t i = bit / 8; bit % 8 && i < n; i++)
		s[i] = (uint8_t)(s[i] << bit % 8 | (i + 1 < n ? s[i + 1] >> (8 - bit % 8) : 0));
	return bit / 8;
}

static enum bse configure(struct lattice *l, uint8_t *s, size_t n, bool *ret_done)
{
	struct reader r = {.l = l, .s = s, .n = n, .at = align(s, n)};
	enum bse b = BSE_NONE;

	if (r.at == 0)
		return BSE_PREAMBLE;
	while (b == BSE_NONE && !*ret_done && r.at < n) {
		if (s[r.at] == BYPASS) {
			r.at++;
			continue;
		}
		b = carry_out(&r, next(&r), ret_done);
	}
	return b;
}

static void load(struct lattice *l, uint8_t *s, size_t n)
{
	uint8_t digest[SHA256_BYTES];
	bool done = false;

	clear_sram(l);
	sha256_free(l->sum);
	l->sum = sha256_new();
	l->error = configure(l, s, n, &done);
	l->done = done && !own_fault_set(l->tap.faults, NO_DONE, NULL);
	l->fail = l->error != BSE_NONE;
	if (!l->done)
		return;
	l->loads++;
	sha256_end(l->sum, digest);
	hex_of(digest, sizeof digest, l->sha256);
}

static void refresh(struct lattice *l)
{
	clear_sram(l);
	l->isc = l->spi_open = false;
	if (has_flash(&l->tap)) {
		l->done = l->done_bit && !own_fault_set(l->tap.faults, NO_DONE, NULL);
		l->loads += l->done;
	} else {
		memcpy(l->in, l->spi.cell, SPI_FLASH_BYTES);
		load(l, l->in, SPI_FLASH_BYTES);
	}
}

/* --- instructions --- */

static void lattice_power_on(struct tap *t)
{
	struct lattice *l = of(t);

	l->fail = false;
	l->n = l->bits = 0;
	refresh(l);
	l->fail = false;
	l->error = BSE_NONE;
}

static uint32_t lattice_ir_captured(const struct tap *t)
{
	return 1;
}

static void lattice_ir_updated(struct tap *t)
{
	struct lattice *l = of(t);

	/* What the last scan brought. */
	if (l->n > 8 && l->isc)
		load(l, l->in, l->n);
	l->n = l->bits = 0;
	if (t->ir == ISC_DISABLE)
		l->isc = l->flash_mode = false;
	else if (t->ir == LSC_INIT_ADDRESS)
		l->at = 0;
	else if (t->ir == LSC_REFRESH)
		refresh(l);
	else if (t->ir == ISC_PROGRAM_DONE && l->isc && l->flash_mode)
		l->done_bit = l->done = true;
	if (t->ir != LSC_PROG_SPI)
		l->spi_open = false;
}

static uint32_t status(const struct lattice *l)
{
	return (l->done ? STATUS_DONE : 0) | (l->isc ? STATUS_ISC : 0) |
	       (l->fail ? STATUS_FAIL : 0) | (uint32_t)l->error << ERROR_SHIFT;
}

static bool capture_row(struct lattice *l, struct tap_register *ret)
{
	if (l->at >= ROWS)
		l->at = 0;
	*ret = (struct tap_register){l->row[l->at][0] & 1, 1};
	return false;
}

static bool lattice_dr_captured(struct tap *t, struct tap_register *ret)
{
	struct lattice *l = of(t);

	*ret = (struct tap_register){0, 8};
	switch (t->ir) {
	case LSC_READ_STATUS:
		*ret = (struct tap_register){status(l), 32};
		return true;
	case USERCODE:
		*ret = (struct tap_register){0xffffffff, 32};
		return true;
	case LSC_READ_FEATURE:
	case LSC_PROG_FEATURE:
		*ret = (struct tap_register){l->feature, 64};
		return true;
	case LSC_READ_FEABITS:
	case LSC_PROG_FEABITS:
		*ret = (struct tap_register){l->feabits, 16};
		return true;
	case LSC_READ_INCR_NV:
		l->bits = 0;
		return capture_row(l, ret);
	case LSC_PROG_SPI:
		if (l->spi_open)
			spi_flash_select(&l->spi);
		else
			ret->bits = 16;
		return !l->spi_open;
	case LSC_BITSTREAM_BURST:
		return false;
	case LSC_PROG_INCR_NV:
		l->bits = 0;
		return false;
	default:
		return true; /* an operand of 8 bits */
	}
}

static void take_burst(struct lattice *l, bool bit)
{
	size_t at = l->bits / 8;

	if (at >= STREAM_MAX)
		return;
	l->in[at] = (uint8_t)(l->bits % 8 ? l->in[at] << 1 | bit : bit);
	l->n = at + (++l->bits % 8 == 0);
}

static bool lattice_stream(struct tap *t, bool tdi)
{
	struct lattice *l = of(t);

	if (t->ir == LSC_PROG_SPI)
		return spi_flash_clock(&l->spi, tdi);
	if (t->ir == LSC_BITSTREAM_BURST) {
		take_burst(l, tdi);
		return false;
	}
	if (t->ir == LSC_PROG_INCR_NV && l->isc && l->at < ROWS && l->bits < ROW_BYTES * 8) {
		uint8_t mask = (uint8_t)(1u << l->bits % 8);
		uint8_t *b = &l->row[l->at][l->bits / 8];

		*b = (uint8_t)(tdi ? *b | mask : *b);
	}
	l->bits++;
	if (t->ir != LSC_READ_INCR_NV || l->bits >= ROW_BYTES * 8)
		return false;
	return l->row[l->at][l->bits / 8] >> l->bits % 8 & 1;
}

static void erase(struct lattice *l, unsigned what)
{
	if (what & ERASE_SRAM)
		clear_sram(l);
	if ((what & ERASE_FLASH) && l->flash_mode &&
		!own_fault_set(l->tap.faults, NO_ERASE, NULL)) {
		memset(l->row, 0, sizeof l->row);
		l->done_bit = false;
		l->rows_written = 0;
	}
	l->fail = false;
}

static void row_updated(struct lattice *l, bool written)
{
	double bad;

	if (l->bits < ROW_BYTES * 8)
		return;
	if (written && own_fault_set(l->tap.faults, BAD_CELL, &bad) && (double)l->at == bad)
		l->row[l->at][0] ^= 1;
	l->rows_written += written;
	l->at++;
}

static void lattice_dr_updated(struct tap *t)
{
	struct lattice *l = of(t);

	switch (t->ir) {
	case ISC_ENABLE:
		l->isc = true;
		l->flash_mode = t->reg.value & 8;
		break;
	case ISC_ERASE:
		if (l->isc)
			erase(l, (unsigned)t->reg.value);
		break;
	case LSC_PROG_SPI:
		if (l->spi_open)
			spi_flash_deselect(&l->spi);
		else
			l->spi_open = !has_flash(t) && (t->reg.value & 0xffff) == SPI_KEY;
		break;
	case LSC_PROG_FEATURE:
		l->feature = t->reg.value;
		break;
	case LSC_PROG_FEABITS:
		l->feabits = (uint16_t)t->reg.value;
		break;
	case LSC_PROG_INCR_NV:
	case LSC_READ_INCR_NV:
		row_updated(l, t->ir == LSC_PROG_INCR_NV);
		break;
	default:
		break;
	}
}

static void lattice_idle(struct tap *t)
{
}

static void lattice_json(const struct tap *t, json_t *o)
{
	const struct lattice *l = of_const(t);

	json_object_set_new(o, "done", json_boolean(l->done));
	json_object_set_new(o, "loads", json_integer((json_int_t)l->loads));
	json_object_set_new(o, "status", json_integer(status(l)));
	json_object_set_new(o, "frames", json_integer((json_int_t)l->frames));
	json_object_set_new(o, "sha256", json_string(l->sha256));
	json_object_set_new(o, "rows", json_integer(l->rows_written));
	json_object_set_new(o, "spi_written", json_integer((json_int_t)l->spi.written));
	json_object_set_new(o, "spi_erased", json_integer((json_int_t)l->spi.erased));
}

#define LATTICE(id, text)                                                                         \
	{                                                                                         \
		.name = (text), .idcode = (id), .ir_bits = 8, .ir_idcode = IDCODE_PUB,            \
		.ir_bypass = BYPASS, .new = lattice_new, .free = lattice_free,                    \
		.power_on = lattice_power_on, .ir_captured = lattice_ir_captured,                 \
		.ir_updated = lattice_ir_updated, .dr_captured = lattice_dr_captured,             \
		.stream = lattice_stream, .dr_updated = lattice_dr_updated, .idle = lattice_idle, \
		.json = lattice_json                                                              \
	}

const struct tap_ops tap_lfe5u_25 = LATTICE(0x41111043, "lfe5u-25");
const struct tap_ops tap_lfe5u_45 = LATTICE(0x41112043, "lfe5u-45");
const struct tap_ops tap_lcmxo2_1200 = LATTICE(0x012ba043, "lcmxo2-1200");
