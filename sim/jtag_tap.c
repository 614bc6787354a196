/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/jtag_tap.h"

/* IR of the JTAG-DP. */
#define IR_ABORT  0x8
#define IR_DPACC  0xa
#define IR_APACC  0xb
#define IR_IDCODE 0xe
/* IR of the boundary scan. */
#define SCAN_IDCODE 0x01

#define DAP_IR_BITS  4
#define SCAN_IR_BITS 5
#define DAP_ID	     0x3ba00477u
#define WRONG_DAP_ID 0x12345677u
#define SCAN_ID	     0x16410041u
#define DP_ID	     0x2ba01477u
#define ACK_OK	     2u

#define CTRL_POWER_REQUESTS 0x50000000u /* CSYSPWRUPREQ, CDBGPWRUPREQ; each ACK is a bit above */
#define CSW_RESET	    0x43000042u
#define CSW_DEVICE_EN	    0x40u
#define AP_IDR		    0x24770011u
#define AP_BASE		    0xe00ff003u
/* Bits of TAR that count; an access across 4 KiB wraps (ADIv5 allows 1 KiB and more). */
#define TAR_COUNTS 0xfffu

static const uint8_t next_state[16][2] = {
	[TAP_RESET] = {TAP_IDLE, TAP_RESET},
	[TAP_IDLE] = {TAP_IDLE, TAP_SELECT_DR},
	[TAP_SELECT_DR] = {TAP_CAPTURE_DR, TAP_SELECT_IR},
	[TAP_CAPTURE_DR] = {TAP_SHIFT_DR, TAP_EXIT1_DR},
	[TAP_SHIFT_DR] = {TAP_SHIFT_DR, TAP_EXIT1_DR},
	[TAP_EXIT1_DR] = {TAP_PAUSE_DR, TAP_UPDATE_DR},
	[TAP_PAUSE_DR] = {TAP_PAUSE_DR, TAP_EXIT2_DR},
	[TAP_EXIT2_DR] = {TAP_SHIFT_DR, TAP_UPDATE_DR},
	[TAP_UPDATE_DR] = {TAP_IDLE, TAP_SELECT_DR},
	[TAP_SELECT_IR] = {TAP_CAPTURE_IR, TAP_RESET},
	[TAP_CAPTURE_IR] = {TAP_SHIFT_IR, TAP_EXIT1_IR},
	[TAP_SHIFT_IR] = {TAP_SHIFT_IR, TAP_EXIT1_IR},
	[TAP_EXIT1_IR] = {TAP_PAUSE_IR, TAP_UPDATE_IR},
	[TAP_PAUSE_IR] = {TAP_PAUSE_IR, TAP_EXIT2_IR},
	[TAP_EXIT2_IR] = {TAP_SHIFT_IR, TAP_UPDATE_IR},
	[TAP_UPDATE_IR] = {TAP_IDLE, TAP_SELECT_DR},
};

void jtag_tap_reset(struct jtag_tap *t)
{
	t->state = TAP_RESET;
	t->dap_ir = IR_IDCODE;
	t->scan_ir = SCAN_IDCODE;
}

void jtag_tap_power(struct jtag_tap *t, struct jtag_chip *c)
{
	*t = (struct jtag_tap){.chip = c, .csw = CSW_RESET};
	jtag_tap_reset(t);
}

/* --- MEM-AP --- */

static unsigned access_bytes(const struct jtag_tap *t)
{
	return 1u << (t->csw & 3);
}

static void tar_advance(struct jtag_tap *t, unsigned bytes)
{
	t->tar = (t->tar & ~TAR_COUNTS) | ((t->tar + bytes) & TAR_COUNTS);
}

/* Bytes travel in the lanes of their address (ADIv5 C2.2.6). Packed transfers fill the word. */
static uint32_t data_access(struct jtag_tap *t, bool read, uint32_t v)
{
	unsigned bytes = access_bytes(t);
	unsigned increment = t->csw >> 4 & 3;
	unsigned times = increment == 2 && bytes < 4 ? 4 / bytes : 1;
	uint32_t mask = bytes == 4 ? UINT32_MAX : (1u << 8 * bytes) - 1;
	uint32_t out = 0;

	for (unsigned i = 0; i < times; i++) {
		unsigned lane = 8 * (t->tar & 3 & ~(bytes - 1));

		if (read)
			out |= jtag_chip_read(t->chip, t->tar) & mask << lane;
		else
			jtag_chip_write(t->chip, t->tar, v >> lane & mask, bytes);
		if (increment)
			tar_advance(t, bytes);
	}
	return out;
}

static uint32_t banked_access(struct jtag_tap *t, unsigned reg, bool read, uint32_t v)
{
	uint32_t at = (t->tar & ~15u) + (reg & 15);

	if (read)
		return jtag_chip_read(t->chip, at);
	jtag_chip_write(t->chip, at, v, 4);
	return 0;
}

static uint32_t ap_access(struct jtag_tap *t, unsigned a, bool read, uint32_t v)
{
	unsigned reg = a | (t->select & 0xf0);

	t->accesses++;
	if (t->select >> 24) /* there is one AP */
		return 0;
	switch (reg) {
	case 0x00:
		if (!read)
			t->csw = v;
		return t->csw | CSW_DEVICE_EN;
	case 0x04:
		if (!read)
			t->tar = v;
		return t->tar;
	case 0x0c:
		return data_access(t, read, v);
	case 0x10:
	case 0x14:
	case 0x18:
	case 0x1c:
		return banked_access(t, reg, read, v);
	case 0xf8:
		return AP_BASE;
	case 0xfc:
		return AP_IDR;
	}
	return 0;
}

/* --- JTAG-DP --- */

static uint32_t dp_read(const struct jtag_tap *t, unsigned a)
{
	uint32_t power = t->ctrl & CTRL_POWER_REQUESTS;

	switch (a) {
	case 0x0:
		return DP_ID;
	case 0x4:
		return power | power << 1 | (t->ctrl & 0xfff);
	case 0x8:
		return t->select;
	}
	return t->read;
}

static void update_dr(struct jtag_tap *t)
{
	/* The DP's register is nearest to TDO: it lies lowest. */
	bool read = t->low & 1;
	unsigned a = (t->low >> 1 & 3) << 2;
	uint32_t v = (uint32_t)(t->low >> 3);

	if (t->dap_ir == IR_APACC) {
		uint32_t got = ap_access(t, a, read, v);

		if (read)
			t->read = got;
	} else if (t->dap_ir == IR_DPACC && read) {
		t->read = dp_read(t, a);
	} else if (t->dap_ir == IR_DPACC && a == 0x4) {
		t->ctrl = v;
	} else if (t->dap_ir == IR_DPACC && a == 0x8) {
		t->select = v;
	}
}

/* --- the chain --- */

/* Puts n bits above those that are there: farther from TDO. */
static void append(struct jtag_tap *t, uint64_t v, unsigned n)
{
	t->low |= v << t->bits;
	if (t->bits + n > 64)
		t->high |= v >> (64 - t->bits);
	t->bits += n;
}

static void capture_dr(struct jtag_tap *t)
{
	bool wrong = own_fault_set(t->chip->faults, JTAG_FAULT_IDCODE, NULL);

	t->low = t->high = t->bits = 0;
	switch (t->dap_ir) {
	case IR_IDCODE:
		append(t, wrong ? WRONG_DAP_ID : DAP_ID, 32);
		break;
	case IR_DPACC:
	case IR_APACC:
		append(t, (uint64_t)t->read << 3 | ACK_OK, 35);
		break;
	case IR_ABORT:
		append(t, ACK_OK, 35);
		break;
	default:
		append(t, 0, 1);
	}
	if (t->scan_ir == SCAN_IDCODE)
		append(t, SCAN_ID, 32);
	else
		append(t, 0, 1);
}

static void capture_ir(struct jtag_tap *t)
{
	t->low = t->high = t->bits = 0;
	append(t, 1, DAP_IR_BITS);
	append(t, 1, SCAN_IR_BITS);
}

static void shift(struct jtag_tap *t, bool tdi)
{
	unsigned top = t->bits - 1;

	t->low = t->low >> 1 | t->high << 63;
	t->high >>= 1;
	if (top < 64)
		t->low |= (uint64_t)tdi << top;
	else
		t->high |= (uint64_t)tdi << (top - 64);
}

static void update_ir(struct jtag_tap *t)
{
	t->dap_ir = t->low & 0xf;
	t->scan_ir = t->low >> DAP_IR_BITS & 0x1f;
}

/* What a state does, it does at the edge that leaves it; an update at the edge that enters it, so
 * that it is done before anyone looks. */
void jtag_tap_clock(struct jtag_tap *t, bool tms, bool tdi)
{
	if (t->state == TAP_CAPTURE_DR)
		capture_dr(t);
	else if (t->state == TAP_CAPTURE_IR)
		capture_ir(t);
	else if (t->state == TAP_SHIFT_DR || t->state == TAP_SHIFT_IR)
		shift(t, tdi);
	t->state = (enum tap_state)next_state[t->state][tms];
	if (t->state == TAP_RESET)
		jtag_tap_reset(t);
	else if (t->state == TAP_UPDATE_IR)
		update_ir(t);
	else if (t->state == TAP_UPDATE_DR)
		update_dr(t);
}

bool jtag_tap_tdo(const struct jtag_tap *t)
{
	return t->state == TAP_SHIFT_DR || t->state == TAP_SHIFT_IR ? t->low & 1 : true;
}
