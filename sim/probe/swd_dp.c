/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/probe/swd_dp.h"

#define RESET_ONES     50u
#define SWITCH_BITS    16u
#define JTAG_TO_SWD    0xe79eu
#define SWD_TO_JTAG    0xe73cu
#define SW_DP_ID       0x1ba01477u
#define WRONG_SW_DP_ID 0x0bb11477u

void swd_dp_power(struct swd_dp *s, struct dap *d)
{
	*s = (struct swd_dp){.dap = d};
}

/* Both sequences begin with a 0: they follow the row of ones at once. */
static void count(struct swd_dp *s, bool bit)
{
	if (!bit && s->ones >= RESET_ONES)
		s->since = 1;
	else if (s->since)
		s->since++;
	s->last = s->last >> 1 | (uint32_t)bit << 31;
	s->ones = bit ? s->ones + 1 : 0;
}

void swd_dp_clock(struct swd_dp *s, bool bit)
{
	count(s, bit);
	if (s->ones >= RESET_ONES && s->state != SWD_JTAG)
		s->state = SWD_RESET;
	if (s->since != SWITCH_BITS)
		return;
	if (s->last >> 16 == JTAG_TO_SWD)
		s->state = SWD_MUTE;
	else if (s->last >> 16 == SWD_TO_JTAG)
		s->state = SWD_JTAG;
}

/* B4.2.4: what is answered while an error is sticky. */
static bool takes_while_sticky(unsigned reg, bool read)
{
	return reg == DAP_ABORT || (read && reg == DAP_CTRL_STAT);
}

static enum dap_ack dp_transfer(struct swd_dp *s, unsigned reg, bool read, uint32_t *data)
{
	if (s->dap->sticky_error && !takes_while_sticky(reg, read))
		return DAP_ACK_FAULT;
	if (!read && reg == DAP_ABORT)
		dap_abort(s->dap, *data);
	else if (!read)
		dap_write(s->dap, reg, *data);
	else if (reg == DAP_DPIDR)
		*data = own_fault_set(s->dap->chip->faults, F103_FAULT_IDCODE, NULL)
				? WRONG_SW_DP_ID
				: SW_DP_ID;
	else if (reg == DAP_CTRL_STAT)
		*data = dap_read(s->dap, reg);
	else /* RESEND, RDBUFF */
		*data = s->dap->rdbuff;
	return DAP_ACK_OK;
}

enum dap_ack swd_dp_transfer(struct swd_dp *s, bool ap, unsigned reg, bool read, uint32_t *data)
{
	uint32_t before = s->dap->rdbuff;
	enum dap_ack ack;

	if (own_fault_set(s->dap->chip->faults, F103_FAULT_NO_TARGET, NULL))
		return DAP_ACK_NONE;
	if (s->state == SWD_RESET && !ap && read && reg == DAP_DPIDR)
		s->state = SWD_READY;
	if (s->state != SWD_READY)
		return DAP_ACK_NONE;
	/* An idle bit at least goes before the next row of ones. */
	s->ones = s->since = 0;
	if (!ap)
		return dp_transfer(s, reg, read, data);
	ack = dap_access(s->dap, reg, read, read ? 0 : *data);
	if (ack == DAP_ACK_OK && read)
		*data = before;
	return ack;
}
