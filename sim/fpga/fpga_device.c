/* SPDX-License-Identifier: Apache-2.0
 *
 * A chain of FPGAs on a probe at a TCP port. Which of two protocols the probe speaks is what the first byte of the
 * session says: 'g' of "getinfo:" begins Xilinx Virtual Cable 1.0 (XAPP1251), everything else is OpenOCD's
 * remote_bitbang (doc/manual/jtag/drivers/remote_bitbang.txt of OpenOCD).
 *
 *	getinfo:                              xvcServer_v1.0:BYTES\n
 *	settck: period (u32, ns)              the period
 *	shift: bits (u32) TMS... TDI...       TDO... ; all numbers little-endian, bit 0 first
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/device_rows.h"
#include "sim/fpga/tap.h"

#define VECTOR_BYTES 4096u /* TMS and TDI of one shift */
#define HEAD_BYTES   10u   /* "shift:" and the number of bits */
#define OUT_BYTES    65536u

static const struct own_fault fault_rows[] = {
	[NO_DONE] = {"no-done", "the configuration is taken, and DONE stays low", 0},
	[BIT_FLIP] = {"bit-flip",
		"a bit of the configuration is flipped: in word (7 series) or frame N", 100},
	[BAD_CELL] = {"bad-cell",
		"a cell of the flash does not keep its bit: at byte (SPI) or row N", 0},
	[NO_ERASE] = {"no-erase", "the flash is not erased", 0},
	[OTHER_PART] = {"other-part", "each device has the IDCODE of another part", 0},
	[STUCK_LOW] = {"stuck-low", "TDO is always 0", 0},
	[STUCK_HIGH] = {"stuck-high", "TDO is always 1", 0},
	[EXTRA] = {"extra", "one more device at TDI", 0},
	[MISSING] = {"missing", "the device at TDI is not there", 0},
	[VANISH] = {"vanish", "the probe is unplugged at the Nth clock of its session", 1},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"fpga-chain", "lfe5u-25,xc7a35t",
		"the devices from TDI to TDO: lfe5u-25 lfe5u-45 lcmxo2-1200 xc7a35t xc7s50"},
	{0},
};

enum session { SESSION_NEW, SESSION_BITBANG, SESSION_XVC };

struct fpga {
	struct device device;
	struct own_faults *faults;
	struct tap_chain chain;
	enum session session;
	bool powered, tck;
	uint64_t sessions, first_clock;
	uint8_t in[HEAD_BYTES + VECTOR_BYTES];
	size_t in_len;
	uint8_t out[OUT_BYTES];
	size_t out_len;
};

static struct fpga *of(struct device *d)
{
	return container_of(d, struct fpga, device);
}

static const struct fpga *of_const(const struct device *d)
{
	return (const struct fpga *)((const char *)d - offsetof(struct fpga, device));
}

static void fpga_free(struct device *d)
{
	tap_chain_done(&of(d)->chain);
	free(of(d));
}

static int fpga_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct fpga *f = xcalloc(1, sizeof *f);
	int r = tap_chain_init(&f->chain, settings_own(c->set, "fpga-chain"), c, e);

	f->faults = c->faults;
	snprintf(f->device.uid, sizeof f->device.uid, "%s", c->uid ? c->uid : "");
	if (r < 0) {
		fpga_free(&f->device);
		return r;
	}
	*ret = &f->device;
	return 0;
}

static void fpga_power_on(struct device *d, uint64_t now_us)
{
	tap_chain_power_on(&of(d)->chain);
	of(d)->powered = true;
	of(d)->in_len = of(d)->out_len = 0;
}

static void fpga_power_off(struct device *d)
{
	of(d)->powered = false;
	of(d)->in_len = of(d)->out_len = 0;
}

static void fpga_opened(struct device *d, uint64_t now_us)
{
	struct fpga *f = of(d);

	f->sessions++;
	f->session = SESSION_NEW;
	f->in_len = f->out_len = 0;
	f->tck = false;
	f->first_clock = f->chain.clocks;
}

/* --- remote_bitbang --- */

static void take_letter(struct fpga *f, uint8_t c)
{
	unsigned bits = c - '0';

	if (c == 'R') {
		f->out[f->out_len++] = tap_chain_tdo(&f->chain) ? '1' : '0';
	} else if (c >= '0' && c <= '7') {
		if ((bits & 4) && !f->tck)
			tap_chain_clock(&f->chain, bits & 2, bits & 1);
		f->tck = bits & 4;
	}
}

/* --- XVC --- */

static bool xvc_is(const struct fpga *f, const char *word)
{
	return f->in_len >= strlen(word) && !memcmp(f->in, word, strlen(word));
}

static void xvc_answer(struct fpga *f, const void *p, size_t n)
{
	if (f->out_len + n > OUT_BYTES)
		return;
	memcpy(f->out + f->out_len, p, n);
	f->out_len += n;
}

static void xvc_shift(struct fpga *f, uint32_t bits)
{
	size_t n = (bits + 7) / 8;
	const uint8_t *tms = f->in + HEAD_BYTES;
	const uint8_t *tdi = tms + n;
	uint8_t tdo[VECTOR_BYTES / 2] = {0};

	for (uint32_t i = 0; i < bits; i++)
		if (tap_chain_clock(&f->chain, tms[i / 8] >> i % 8 & 1, tdi[i / 8] >> i % 8 & 1))
			tdo[i / 8] = (uint8_t)(tdo[i / 8] | 1u << i % 8);
	xvc_answer(f, tdo, n);
}

static uint32_t le32(const uint8_t *p)
{
	struct rbytes b = rbytes_of(p, 4);

	return rb_le32(&b);
}

/* Of what came, a whole message: how many bytes it has; 0: there is more to come. */
static size_t xvc_message(struct fpga *f)
{
	char info[40];
	uint32_t bits;

	if (xvc_is(f, "getinfo:")) {
		xvc_answer(f, info,
			(size_t)snprintf(info, sizeof info, "xvcServer_v1.0:%u\n", VECTOR_BYTES));
		return strlen("getinfo:");
	}
	if (xvc_is(f, "settck:") && f->in_len >= 11) {
		xvc_answer(f, f->in + 7, 4);
		return 11;
	}
	if (!xvc_is(f, "shift:") || f->in_len < HEAD_BYTES)
		return 0;
	bits = le32(f->in + 6);
	if (bits > VECTOR_BYTES / 2 * 8) {
		f->device.wish = WISH_HANGUP;
		return f->in_len;
	}
	if (f->in_len < HEAD_BYTES + 2 * (size_t)((bits + 7) / 8))
		return 0;
	xvc_shift(f, bits);
	return HEAD_BYTES + 2 * (size_t)((bits + 7) / 8);
}

static void xvc_take(struct fpga *f, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t k = MIN(n, sizeof f->in - f->in_len);
		size_t used;

		memcpy(f->in + f->in_len, p, k);
		f->in_len += k;
		p += k;
		n -= k;
		while ((used = xvc_message(f)) > 0) {
			memmove(f->in, f->in + used, f->in_len - used);
			f->in_len -= used;
		}
		if (f->in_len == sizeof f->in)
			f->in_len = 0; /* no message of it */
	}
}

/* --- the stream --- */

static size_t fpga_room(const struct device *d)
{
	return OUT_BYTES - of_const(d)->out_len > VECTOR_BYTES ? VECTOR_BYTES : 0;
}

static void fpga_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	struct fpga *f = of(d);
	const uint8_t *in = p;
	double at;

	if (!f->powered || n == 0)
		return;
	if (f->session == SESSION_NEW)
		f->session = in[0] == 'g' ? SESSION_XVC : SESSION_BITBANG;
	if (f->session == SESSION_XVC)
		xvc_take(f, in, n);
	else
		for (size_t i = 0; i < n; i++)
			take_letter(f, in[i]);
	if (own_fault_set(f->faults, VANISH, &at) &&
		(double)(f->chain.clocks - f->first_clock) >= at) {
		own_fault_hit(f->faults, VANISH, NULL);
		d->wish = WISH_UNPLUG;
	}
}

static size_t fpga_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	struct fpga *f = of(d);
	size_t n = MIN(size, f->out_len);

	memcpy(buf, f->out, n);
	memmove(f->out, f->out + n, f->out_len - n);
	f->out_len -= n;
	return n;
}

static uint64_t fpga_due(const struct device *d)
{
	return NEVER; /* whatever it says answers an input */
}

static const char *fpga_state(const struct device *d)
{
	return of_const(d)->powered ? "on" : "off";
}

static void fpga_json(struct device *d, bool whole, json_t *o)
{
	const struct tap_chain *c = &of(d)->chain;
	json_t *list = json_array();

	for (size_t i = 1; i < c->n; i++) {
		json_t *one = json_pack("{s:s}", "part", c->tap[i]->ops->name);

		c->tap[i]->ops->json(c->tap[i], one);
		json_array_append_new(list, one);
	}
	json_object_set_new(o, "chain", list);
	json_object_set_new(o, "sessions", json_integer((json_int_t)of(d)->sessions));
	json_object_set_new(o, "clocks", json_integer((json_int_t)c->clocks));
}

const struct device_ops fpga_device = {
	.name = "fpga",
	.help = "FPGAs on a JTAG probe that speaks Xilinx Virtual Cable or OpenOCD's remote_bitbang (--link tcp)",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = fpga_new,
	.free = fpga_free,
	.power_on = fpga_power_on,
	.power_off = fpga_power_off,
	.opened = fpga_opened,
	.room = fpga_room,
	.input = fpga_input,
	.output = fpga_output,
	.due = fpga_due,
	.state = fpga_state,
	.json = fpga_json,
};
