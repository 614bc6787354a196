/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fpga/tap.h"

#include <string.h>

#define OTHER_IDCODE 0x0362c093u /* of an XC7A50T, and no device of the list */

const struct tap_ops *const tap_kinds[] = {
	&tap_lfe5u_25,
	&tap_lfe5u_45,
	&tap_lcmxo2_1200,
	&tap_xc7a35t,
	&tap_xc7s50,
	NULL,
};

const struct tap_ops *tap_kind(const char *name)
{
	for (const struct tap_ops *const *k = tap_kinds; *k; k++)
		if (!strcmp((*k)->name, name))
			return *k;
	return NULL;
}

static void add(struct tap_chain *c, const struct tap_ops *k, const struct device_config *config)
{
	struct tap *t = k->new (k, config);

	t->ops = k;
	t->faults = config->faults;
	c->tap[c->n++] = t;
}

int tap_chain_init(
	struct tap_chain *c, const char *kinds, const struct device_config *config, struct err *e)
{
	_cleanup_(freep) char *list = xstrdup(kinds);
	char *save = NULL;

	*c = (struct tap_chain){.faults = config->faults};
	add(c, &tap_xc7s50, config);
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		const struct tap_ops *k = tap_kind(name);

		if (!k || c->n > TAP_CHAIN_MAX)
			return err_set(e, ERR_INVALID,
				k ? "fpga-chain: more than %d devices"
				  : "fpga-chain: there is no such device (%d at most)",
				TAP_CHAIN_MAX);
		add(c, k, config);
	}
	return c->n > 1 ? 0 : err_set(e, ERR_INVALID, "fpga-chain: it names no device");
}

void tap_chain_done(struct tap_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->tap[i]->ops->free(c->tap[i]);
	c->n = 0;
}

static void reset(struct tap_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->tap[i]->ir = c->tap[i]->ops->ir_idcode;
}

void tap_chain_power_on(struct tap_chain *c)
{
	c->state = TAP_RESET;
	reset(c);
	for (size_t i = 0; i < c->n; i++)
		c->tap[i]->ops->power_on(c->tap[i]);
}

/* The first of the devices that answer: the spare one where it is EXTRA, not even the first one where it is MISSING. */
static size_t first(const struct tap_chain *c)
{
	if (own_fault_set(c->faults, EXTRA, NULL))
		return 0;
	return own_fault_set(c->faults, MISSING, NULL) && c->n > 2 ? 2 : 1;
}

static void capture_dr(const struct tap_chain *c, struct tap *t)
{
	bool other = own_fault_set(c->faults, OTHER_PART, NULL);

	t->streams = false;
	if (t->ir == t->ops->ir_idcode)
		t->reg = (struct tap_register){other ? OTHER_IDCODE : t->ops->idcode, 32};
	else if (t->ir == t->ops->ir_bypass)
		t->reg = (struct tap_register){0, 1};
	else
		t->streams = !t->ops->dr_captured(t, &t->reg);
}

static void shift(struct tap_register *r, bool tdi)
{
	r->value = r->value >> 1 | (uint64_t)tdi << (r->bits - 1);
}

static void capture_ir(struct tap *t)
{
	t->reg = (struct tap_register){t->ops->ir_captured(t), t->ops->ir_bits};
}

static void shift_all(struct tap_chain *c, bool dr, bool tdi)
{
	bool bit = tdi;

	for (size_t i = first(c); i < c->n; i++) {
		struct tap *t = c->tap[i];

		bool out = t->reg.value & 1;

		if (dr && t->streams)
			t->reg.value = t->ops->stream(t, bit);
		else
			shift(&t->reg, bit);
		bit = out;
	}
}

static void entered(struct tap_chain *c)
{
	if (c->state == TAP_RESET)
		reset(c);
	for (size_t i = 0; i < c->n; i++) {
		struct tap *t = c->tap[i];

		if (c->state == TAP_UPDATE_IR) {
			t->ir = (uint32_t)t->reg.value;
			t->ops->ir_updated(t);
		} else if (c->state == TAP_UPDATE_DR && t->ir != t->ops->ir_idcode &&
			   t->ir != t->ops->ir_bypass) {
			t->ops->dr_updated(t);
		}
	}
}

static void left(struct tap_chain *c, bool tdi)
{
	if (c->state == TAP_SHIFT_DR || c->state == TAP_SHIFT_IR) {
		shift_all(c, c->state == TAP_SHIFT_DR, tdi);
		return;
	}
	for (size_t i = 0; i < c->n; i++) {
		if (c->state == TAP_CAPTURE_DR)
			capture_dr(c, c->tap[i]);
		else if (c->state == TAP_CAPTURE_IR)
			capture_ir(c->tap[i]);
		else if (c->state == TAP_IDLE)
			c->tap[i]->ops->idle(c->tap[i]);
	}
}

bool tap_chain_tdo(const struct tap_chain *c)
{
	const struct tap *t = c->tap[c->n - 1];

	if (own_fault_set(c->faults, STUCK_LOW, NULL))
		return false;
	if (own_fault_set(c->faults, STUCK_HIGH, NULL) ||
		(c->state != TAP_SHIFT_DR && c->state != TAP_SHIFT_IR))
		return true;
	return t->reg.value & 1;
}

bool tap_chain_clock(struct tap_chain *c, bool tms, bool tdi)
{
	bool out = tap_chain_tdo(c);

	c->clocks++;
	left(c, tdi);
	c->state = tap_next(c->state, tms);
	entered(c);
	return out;
}
