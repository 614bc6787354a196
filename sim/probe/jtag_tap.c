/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/probe/jtag_tap.h"

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
/* B3.2.3: both OK and FAULT. */
#define ACK_OK	  2u
#define ACK_WAIT  1u
#define STICKYERR 0x20u /* written as 1 clears it (B2.2.3) */
#define STKERRCLR 0x4u	/* the same of ABORT, for dap_abort() */

void jtag_tap_reset(struct jtag_tap *t)
{
	t->state = TAP_RESET;
	t->dap_ir = IR_IDCODE;
	t->scan_ir = SCAN_IDCODE;
}

void jtag_tap_power(struct jtag_tap *t, struct dap *d)
{
	*t = (struct jtag_tap){.dap = d, .ack = DAP_ACK_OK};
	jtag_tap_reset(t);
}

/* --- JTAG-DP --- */

static uint32_t dp_read(const struct jtag_tap *t, unsigned reg)
{
	if (reg == DAP_DPIDR)
		return DP_ID;
	return reg == DAP_RDBUFF ? t->read : dap_read(t->dap, reg);
}

static void update_dr(struct jtag_tap *t)
{
	/* The DP's register is nearest to TDO: it lies lowest. */
	bool read = t->low & 1;
	unsigned reg = (t->low >> 1 & 3) << 2;
	uint32_t v = (uint32_t)(t->low >> 3);

	if (t->dap_ir == IR_APACC) {
		t->ack = dap_access(t->dap, reg, read, v);
		if (read)
			t->read = t->dap->rdbuff;
	} else if (t->dap_ir == IR_DPACC && read) {
		t->read = dp_read(t, reg);
	} else if (t->dap_ir == IR_DPACC) {
		if (reg == DAP_CTRL_STAT && (v & STICKYERR))
			dap_abort(t->dap, STKERRCLR);
		dap_write(t->dap, reg, v);
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
	bool wrong = own_fault_set(t->dap->chip->faults, F103_FAULT_IDCODE, NULL);

	t->low = t->high = t->bits = 0;
	switch (t->dap_ir) {
	case IR_IDCODE:
		append(t, wrong ? WRONG_DAP_ID : DAP_ID, 32);
		break;
	case IR_DPACC:
	case IR_APACC:
		append(t, (uint64_t)t->read << 3 | (t->ack == DAP_ACK_WAIT ? ACK_WAIT : ACK_OK),
			35);
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
	t->state = tap_next(t->state, tms);
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
