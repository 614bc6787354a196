/* SPDX-License-Identifier: Apache-2.0
 *
 * An STM32F103 on a probe, in the protocol that OpenOCD's `remote_bitbang` driver speaks
 * (doc/manual/jtag/drivers/remote_bitbang.txt of OpenOCD): a letter for each change of the lines.
 *
 *	0 .. 7   TCK, TMS, TDI as bits 2, 1, 0     R   TDO as 0 or 1
 *	r s t u  TRST, SRST as bits 1, 0           Q   the session ends     B b   a lamp
 */
#include <string.h>

#include "sim/device_rows.h"
#include "sim/probe/jtag_tap.h"

#define OUT_BYTES 65536

struct jtag_device {
	struct device device;
	struct own_faults *faults;
	struct f103 chip;
	struct dap dap;
	struct jtag_tap tap;
	bool powered, tck;
	uint64_t sessions;
	uint8_t out[OUT_BYTES];
	size_t out_len;
};

static struct jtag_device *of(struct device *d)
{
	return container_of(d, struct jtag_device, device);
}

static const struct jtag_device *of_const(const struct device *d)
{
	return (const struct jtag_device *)((const char *)d - offsetof(struct jtag_device, device));
}

static void jtag_free(struct device *d)
{
	f103_done(&of(d)->chip);
	free(of(d));
}

static int jtag_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct jtag_device *j = xcalloc(1, sizeof *j);
	int r = f103_init(&j->chip, c, e);

	j->faults = c->faults;
	snprintf(j->device.uid, sizeof j->device.uid, "%s", c->uid ? c->uid : "");
	if (r < 0) {
		jtag_free(&j->device);
		return r;
	}
	*ret = &j->device;
	return 0;
}

static void jtag_power_on(struct device *d, uint64_t now_us)
{
	struct jtag_device *j = of(d);

	f103_power_on(&j->chip);
	dap_power(&j->dap, &j->chip);
	jtag_tap_power(&j->tap, &j->dap);
	j->powered = true;
	j->out_len = 0;
}

static void jtag_power_off(struct device *d)
{
	of(d)->powered = false;
	of(d)->out_len = 0;
}

static void jtag_opened(struct device *d, uint64_t now_us)
{
	of(d)->sessions++;
	of(d)->dap.accesses = 0;
	of(d)->out_len = 0;
	of(d)->tck = false;
}

static size_t jtag_room(const struct device *d)
{
	return OUT_BYTES - of_const(d)->out_len;
}

static void set_lines(struct jtag_device *j, unsigned bits)
{
	bool tck = bits & 4;

	if (tck && !j->tck)
		jtag_tap_clock(&j->tap, bits & 2, bits & 1);
	j->tck = tck;
}

static void set_resets(struct jtag_device *j, unsigned bits)
{
	if (bits & 2)
		jtag_tap_reset(&j->tap);
	if (bits & 1)
		f103_reset(&j->chip);
}

static void take(struct jtag_device *j, uint8_t c)
{
	bool high = own_fault_set(j->faults, F103_FAULT_NO_TARGET, NULL);

	if (c >= '0' && c <= '7')
		set_lines(j, c - '0');
	else if (c == 'R')
		j->out[j->out_len++] = high || jtag_tap_tdo(&j->tap) ? '1' : '0';
	else if (c >= 'r' && c <= 'u')
		set_resets(j, c - 'r');
}

static void jtag_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	struct jtag_device *j = of(d);
	const uint8_t *in = p;
	double at;

	for (size_t i = 0; j->powered && i < n; i++)
		take(j, in[i]);
	if (own_fault_set(j->faults, F103_FAULT_VANISH, &at) && (double)j->dap.accesses >= at) {
		own_fault_hit(j->faults, F103_FAULT_VANISH, NULL);
		d->wish = WISH_UNPLUG;
	}
}

static size_t jtag_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	struct jtag_device *j = of(d);
	size_t n = MIN(size, j->out_len);

	memcpy(buf, j->out, n);
	memmove(j->out, j->out + n, j->out_len - n);
	j->out_len -= n;
	return n;
}

static uint64_t jtag_due(const struct device *d)
{
	return NEVER; /* whatever it says answers an input */
}

static const char *jtag_state(const struct device *d)
{
	const struct jtag_device *j = of_const(d);

	if (!j->powered)
		return "off";
	return j->chip.halted ? "halted" : "running";
}

static void jtag_json(struct device *d, bool whole, json_t *o)
{
	json_object_set_new(o, "sessions", json_integer((json_int_t)of(d)->sessions));
	f103_json(&of(d)->chip, whole, o);
}

const struct device_ops jtag_device = {
	.name = "jtag",
	.help = "an STM32F103 on a JTAG probe that speaks OpenOCD's remote_bitbang (--link tcp)",
	.faults = f103_faults,
	.new = jtag_new,
	.free = jtag_free,
	.power_on = jtag_power_on,
	.power_off = jtag_power_off,
	.opened = jtag_opened,
	.room = jtag_room,
	.input = jtag_input,
	.output = jtag_output,
	.due = jtag_due,
	.state = jtag_state,
	.json = jtag_json,
};
