/* SPDX-License-Identifier: Apache-2.0
 *
 * An FPGA of Xilinx' 7 series by JTAG, with an SPI flash next to it.
 *
 *	JPROGRAM          clears the configuration
 *	CFG_IN   stream   packets of 32-bit words after the sync word, MSB first
 *	CFG_OUT  stream   what a packet asked for: the status register
 *	JSTART + clocks   DONE, where the START command came and nothing was wrong
 *	USER1    stream   the SPI flash, as through the bridge designs of the loaders: MISO one clock late
 *
 * Sources: UG470 7 Series FPGAs Configuration, tables 5-22 to 5-26 (packets, registers, commands), 5-28 (STAT),
 * table 6-3 (instructions), figure 6-6 (sequence). The sum: CRC-32C over 32 bits of data and 5 of the register's
 * address, bit 0 first.
 */
#include <string.h>

#include "base/digest.h"
#include "sim/fpga/spi_flash.h"
#include "sim/fpga/tap.h"

#define IR_CFG_OUT  0x04u
#define IR_CFG_IN   0x05u
#define IR_USER1    0x02u
#define IR_IDCODE   0x09u
#define IR_JPROGRAM 0x0bu
#define IR_JSTART   0x0cu
#define IR_BYPASS   0x3fu

#define SYNC	     0xaa995566u
#define REG_CRC	     0
#define REG_FDRI     2
#define REG_CMD	     4
#define REG_STAT     7
#define REG_IDCODE   12
#define CMD_START    5
#define CMD_RCRC     7
#define CMD_DESYNC   13
#define START_CLOCKS 12

#define STAT_CRC_ERROR 1u
#define STAT_EOS       (1u << 4)
#define STAT_INIT      (3u << 11)
#define STAT_RELEASE   (1u << 13)
#define STAT_DONE      (1u << 14)
#define STAT_ID_ERROR  (1u << 15)

struct xc7 {
	struct tap tap;
	struct spi_flash flash;
	/* Packets. */
	bool synced, start;
	uint32_t word, crc;
	unsigned bits;
	unsigned reg, op;
	uint32_t left;	 /* words of the packet */
	uint32_t errors; /* of STAT */
	uint32_t out;	 /* what CFG_OUT brings, MSB first */
	unsigned start_clocks;
	bool done;
	uint64_t frame_words, loads;
	struct sha256 *sum; /* of the words of FDRI */
	char sha256[SHA256_HEX];
	bool late; /* MISO of the clock before */
};

static struct xc7 *of(struct tap *t)
{
	return container_of(t, struct xc7, tap);
}

static const struct xc7 *of_const(const struct tap *t)
{
	return (const struct xc7 *)((const char *)t - offsetof(struct xc7, tap));
}

static struct tap *xc7_new(const struct tap_ops *ops, const struct device_config *c)
{
	struct xc7 *x = xcalloc(1, sizeof *x);

	spi_flash_init(&x->flash, c, ops->name);
	return &x->tap;
}

static void xc7_free(struct tap *t)
{
	spi_flash_done(&of(t)->flash);
	sha256_free(of(t)->sum);
	free(of(t));
}

static void clear(struct xc7 *x)
{
	x->synced = x->start = x->done = false;
	x->bits = x->left = x->start_clocks = 0;
	x->errors = 0;
	x->frame_words = 0;
	x->sha256[0] = 0;
	sha256_free(x->sum);
	x->sum = sha256_new();
}

static void xc7_power_on(struct tap *t)
{
	clear(of(t));
}

/* UG470, table 6-4: INIT and DONE in what Capture-IR loads. */
static uint32_t xc7_ir_captured(const struct tap *t)
{
	return 0x11u | (of_const(t)->done ? 0x20u : 0);
}

static void xc7_ir_updated(struct tap *t)
{
	if (t->ir == IR_JPROGRAM)
		clear(of(t));
	of(t)->start_clocks = 0;
}

/* --- packets --- */

static uint32_t crc_of(uint32_t crc, unsigned reg, uint32_t data)
{
	uint64_t v = (uint64_t)reg << 32 | data;

	for (int i = 0; i < 37; i++, v >>= 1)
		crc = crc >> 1 ^ ((crc ^ v) & 1 ? 0x82f63b78u : 0);
	return crc;
}

static void command(struct xc7 *x, uint32_t c)
{
	if (c == CMD_RCRC)
		x->crc = 0;
	else if (c == CMD_START)
		x->start = true;
	else if (c == CMD_DESYNC)
		x->synced = false;
}

static void frame_word(struct xc7 *x, uint32_t w)
{
	uint8_t b[4] = {(uint8_t)(w >> 24), (uint8_t)(w >> 16), (uint8_t)(w >> 8), (uint8_t)w};

	x->frame_words++;
	sha256_add(x->sum, b, sizeof b);
}

static void write_register(struct xc7 *x, uint32_t w)
{
	if (x->reg == REG_CRC) {
		if (w != x->crc)
			x->errors |= STAT_CRC_ERROR;
		x->crc = 0;
		return;
	}
	x->crc = crc_of(x->crc, x->reg, w);
	if (x->reg == REG_FDRI)
		frame_word(x, w);
	else if (x->reg == REG_CMD)
		command(x, w);
	else if (x->reg == REG_IDCODE && (w & 0x0fffffffu) != (x->tap.ops->idcode & 0x0fffffffu))
		x->errors |= STAT_ID_ERROR;
}

static uint32_t status(const struct xc7 *x)
{
	return STAT_INIT | x->errors | (x->done ? STAT_DONE | STAT_RELEASE | STAT_EOS : 0);
}

static void header(struct xc7 *x, uint32_t w)
{
	unsigned type = w >> 29;

	if (type == 1) {
		x->op = w >> 27 & 3;
		x->reg = w >> 13 & 0x1f;
		x->left = w & 0x7ff;
	} else if (type == 2) {
		x->left = w & 0x07ffffffu;
	}
	if (x->op == 1) {
		x->out = x->reg == REG_STAT ? status(x) : 0;
		x->left = 0;
	}
	if (x->op != 2)
		x->left = 0;
}

static void take_word(struct xc7 *x, uint32_t w)
{
	if (x->left == 0) {
		header(x, w);
		return;
	}
	x->left--;
	write_register(x, w);
}

static void config_bit(struct xc7 *x, bool bit)
{
	double flip;

	if (own_fault_set(x->tap.faults, BIT_FLIP, &flip) && (double)x->frame_words == flip &&
		x->bits == 7)
		bit = !bit;
	x->word = x->word << 1 | bit;
	if (!x->synced) {
		if (x->word == SYNC) {
			x->synced = true;
			x->left = x->bits = 0;
		}
		return;
	}
	if (++x->bits < 32)
		return;
	x->bits = 0;
	take_word(x, x->word);
}

/* --- registers --- */

static bool xc7_dr_captured(struct tap *t, struct tap_register *ret)
{
	struct xc7 *x = of(t);

	if (t->ir == IR_USER1 && x->done) {
		spi_flash_select(&x->flash);
		x->late = false;
	}
	/* The first bit out. */
	*ret = (struct tap_register){t->ir == IR_CFG_OUT ? x->out >> 31 : 0, 1};
	return t->ir != IR_USER1 && t->ir != IR_CFG_IN && t->ir != IR_CFG_OUT;
}

static bool xc7_stream(struct tap *t, bool tdi)
{
	struct xc7 *x = of(t);

	if (t->ir == IR_USER1 && x->done) {
		bool out = x->late;

		x->late = spi_flash_clock(&x->flash, tdi);
		return out;
	}
	if (t->ir == IR_CFG_IN)
		config_bit(x, tdi);
	if (t->ir != IR_CFG_OUT)
		return false;
	x->out <<= 1;
	return x->out >> 31;
}

static void xc7_dr_updated(struct tap *t)
{
	if (t->ir == IR_USER1 && of(t)->done)
		spi_flash_deselect(&of(t)->flash);
}

static void start(struct xc7 *x)
{
	uint8_t digest[SHA256_BYTES];
	bool broken = x->errors || own_fault_set(x->tap.faults, NO_DONE, NULL);

	if (!x->start || broken || x->done)
		return;
	x->done = true;
	x->loads++;
	sha256_end(x->sum, digest);
	hex_of(digest, sizeof digest, x->sha256);
}

static void xc7_idle(struct tap *t)
{
	if (t->ir == IR_JSTART && ++of(t)->start_clocks == START_CLOCKS)
		start(of(t));
}

static void xc7_json(const struct tap *t, json_t *o)
{
	const struct xc7 *x = of_const(t);

	json_object_set_new(o, "done", json_boolean(x->done));
	json_object_set_new(o, "loads", json_integer((json_int_t)x->loads));
	json_object_set_new(o, "status", json_integer(status(x)));
	json_object_set_new(o, "words", json_integer((json_int_t)x->frame_words));
	json_object_set_new(o, "sha256", json_string(x->sha256));
	json_object_set_new(o, "spi_written", json_integer((json_int_t)x->flash.written));
	json_object_set_new(o, "spi_erased", json_integer((json_int_t)x->flash.erased));
}

#define XC7(id, text)                                                                 \
	{                                                                             \
		.name = (text), .idcode = (id), .ir_bits = 6, .ir_idcode = IR_IDCODE, \
		.ir_bypass = IR_BYPASS, .new = xc7_new, .free = xc7_free,             \
		.power_on = xc7_power_on, .ir_captured = xc7_ir_captured,             \
		.ir_updated = xc7_ir_updated, .dr_captured = xc7_dr_captured,         \
		.stream = xc7_stream, .dr_updated = xc7_dr_updated, .idle = xc7_idle, \
		.json = xc7_json                                                      \
	}

const struct tap_ops tap_xc7a35t = XC7(0x0362d093, "xc7a35t");
const struct tap_ops tap_xc7s50 = XC7(0x0362f093, "xc7s50");
