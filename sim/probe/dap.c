/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/probe/dap.h"

#define CTRL_POWER_REQUESTS 0x50000000u /* CSYSPWRUPREQ, CDBGPWRUPREQ; each ACK is a bit above */
#define CTRL_KEPT	    0x00000f0du /* MASKLANE, TRNMODE, ORUNDETECT */
#define CTRL_STICKYERR	    0x20u
#define ABORT_STKERRCLR	    0x4u
#define CSW_RESET	    0x43000042u
#define CSW_DEVICE_EN	    0x40u
#define AP_IDR		    0x24770011u
#define AP_BASE		    0xe00ff003u
/* Bits of TAR that count; an access across 4 KiB wraps (ADIv5 allows 1 KiB and more). */
#define TAR_COUNTS 0xfffu

void dap_power(struct dap *d, struct f103 *c)
{
	*d = (struct dap){.chip = c, .csw = CSW_RESET};
}

/* --- debug port --- */

uint32_t dap_read(const struct dap *d, unsigned reg)
{
	uint32_t power = d->ctrl & CTRL_POWER_REQUESTS;

	if (reg == DAP_SELECT)
		return d->select;
	return power | power << 1 | (d->ctrl & CTRL_KEPT) | (d->sticky_error ? CTRL_STICKYERR : 0);
}

void dap_write(struct dap *d, unsigned reg, uint32_t v)
{
	if (reg == DAP_SELECT)
		d->select = v;
	else if (reg == DAP_CTRL_STAT)
		d->ctrl = v;
}

void dap_abort(struct dap *d, uint32_t v)
{
	if (v & ABORT_STKERRCLR)
		d->sticky_error = false;
}

/* --- MEM-AP --- */

static void bus_read(struct dap *d, uint32_t address, uint32_t *ret)
{
	if (!f103_read(d->chip, address, ret))
		d->sticky_error = true;
}

static void bus_write(struct dap *d, uint32_t address, uint32_t v, unsigned bytes)
{
	if (!f103_write(d->chip, address, v, bytes))
		d->sticky_error = true;
}

static void tar_advance(struct dap *d, unsigned bytes)
{
	d->tar = (d->tar & ~TAR_COUNTS) | ((d->tar + bytes) & TAR_COUNTS);
}

/* Bytes travel in the lanes of their address (ADIv5 C2.2.6). Packed transfers fill the word. */
static uint32_t data_access(struct dap *d, bool read, uint32_t v)
{
	unsigned bytes = 1u << MIN(d->csw & 7, 2u); /* wider ones are not implemented (C2.6.4) */
	unsigned increment = d->csw >> 4 & 3;
	unsigned times = increment == 2 && bytes < 4 ? 4 / bytes : 1;
	uint32_t mask = bytes == 4 ? UINT32_MAX : (1u << 8 * bytes) - 1;
	uint32_t out = 0;

	for (unsigned i = 0; i < times && !d->sticky_error; i++) {
		unsigned lane = 8 * (d->tar & 3 & ~(bytes - 1));
		uint32_t word = 0;

		if (read)
			bus_read(d, d->tar, &word);
		else
			bus_write(d, d->tar, v >> lane & mask, bytes);
		out |= word & mask << lane;
		if (increment)
			tar_advance(d, bytes);
	}
	return out;
}

static uint32_t banked_access(struct dap *d, unsigned reg, bool read, uint32_t v)
{
	uint32_t at = (d->tar & ~15u) + (reg & 15);
	uint32_t word = 0;

	if (read)
		bus_read(d, at, &word);
	else
		bus_write(d, at, v, 4);
	return word;
}

static uint32_t ap_access(struct dap *d, unsigned reg, bool read, uint32_t v)
{
	if (d->select >> 24) /* there is one AP */
		return 0;
	switch (reg | (d->select & 0xf0)) {
	case 0x00:
		if (!read)
			d->csw = v;
		return d->csw | CSW_DEVICE_EN;
	case 0x04:
		if (!read)
			d->tar = v;
		return d->tar;
	case 0x0c:
		return data_access(d, read, v);
	case 0x10:
	case 0x14:
	case 0x18:
	case 0x1c:
		return banked_access(d, reg, read, v);
	case 0xf8:
		return AP_BASE;
	case 0xfc:
		return AP_IDR;
	}
	return 0;
}

enum dap_ack dap_access(struct dap *d, unsigned reg, bool read, uint32_t v)
{
	uint32_t got;

	d->accesses++;
	if (d->sticky_error)
		return DAP_ACK_FAULT;
	if (own_fault_set(d->chip->faults, F103_FAULT_WAIT, NULL))
		return DAP_ACK_WAIT;
	got = ap_access(d, reg, read, v);
	if (read)
		d->rdbuff = got;
	return DAP_ACK_OK;
}
