/* SPDX-License-Identifier: Apache-2.0
 *
 * The device as the row of sockets knows it: settings, faults, power, messages.
 */
#include "sim/fastboot/fastboot.h"

#include <stdarg.h>
#include <string.h>

const struct own_fault fb_faults[] = {
	[FB_FAIL] = {"fail", "N: FAIL to command N since the host opened it (0)", 0},
	[FB_LONG_FAIL] = {"long-fail", "N: the same, with 252 bytes of reason", 0},
	[FB_INFO] = {"info", "N: so many INFO lines before a reply", 100},
	[FB_TEXT] = {"text", "TEXT before a reply", 0},
	[FB_DATA_SIZE] = {"data-size", "N: DATA for so many bytes more than were offered", 1},
	[FB_DATA_GARBAGE] = {"data-garbage", "DATA without a number", 0},
	[FB_SILENCE] = {"silence", "N: no reply to command N since the host opened it", 0},
	[FB_GARBAGE] = {"garbage", "N: rubbish instead of the reply to command N", 0},
	[FB_SPLIT] = {"split", "N: the reply to command N in two messages", 0},
	[FB_MERGE] = {"merge", "N: the reply to command N glued to an INFO", 0},
	[FB_TWICE] = {"twice", "N: the reply to command N is said twice", 0},
	[FB_LATE] = {"late", "MS: a reply that comes so much later", 1000},
	[FB_HANGUP] = {"hangup", "K: disconnects at byte K of a download", 0},
	[FB_STALL] = {"stall", "K: takes no more from byte K of a download on", 0},
	[FB_ROT] = {"rot", "K: flash says OKAY, but byte K of the partition is another", 0},
	[FB_NO_USERSPACE] = {"no-userspace", "reboot-fastboot ends in the bootloader", 0},
	[FB_LIE_USERSPACE] = {"lie-userspace", "the same, and it says that it is userspace", 0},
	[FB_LOST] = {"lost", "does not come back from a reboot", 0},
	[FB_SWAP] = {"swap-reboot", "another unit comes back from a reboot", 0},
	[FB_DROP] = {"udp-drop", "N: every Nth datagram is lost, of each direction", 7},
	[FB_DUP] = {"udp-dup", "N: every Nth answer comes twice", 5},
	[FB_REORDER] = {"udp-reorder", "N: every Nth answer comes 700 ms late", 9},
	{0},
};

static const struct own_setting settings[] = {
	{"partitions",
		"boot:8M:s,vendor_boot:8M:s,vbmeta:64K:s,dtbo:1M:s,bootloader:4M,radio:4M,super:96M,system:24M:sl,vendor:8M:sl,userdata:64M,cache:8M,metadata:1M,recovery:8M,misc:1M",
		"NAME:SIZE[:FLAGS],...; s: one for each slot, l: logical"},
	{"slots", "2", "0: no A/B"},
	{"max-download", "0x1000000", "what the bootloader says, as text; none: FAIL"},
	{"max-download-userspace", "0x800000", "what fastbootd says"},
	{"buffer", "256M", "the largest download that it takes"},
	{"locked", "0", "1: it refuses to be written"},
	{"fetch", "1", "1: fastbootd gives partitions back; 2: the bootloader too"},
	{"custom", "0", "1: as the guide's embedded device: no getvar, NUL after commands"},
	{"uboot", "0", "1: replies of 64 bytes, `name: value`, no ZLP"},
	{"product", "provsim", "getvar:product"},
	{"flash-ms", "0", "time of a flash or erase"},
	{"speed", "high", "USB: full or high"},
	{0},
};

bool fb_listens(const struct fb *f)
{
	return f->mode == FB_BOOTLOADER || f->mode == FB_FASTBOOTD;
}

/* -- messages -- */

void fb_push(struct fb *f, bool data, const void *p, size_t n)
{
	struct fb_msg *m = xcalloc(1, sizeof *m + n);

	m->ready_us = MAX(f->now_us, f->busy_until_us);
	m->data = data;
	m->n = n;
	memcpy(m->bytes, p, n);
	if (f->last)
		f->last->next = m;
	else
		f->first = m;
	f->last = m;
}

static void push_text(struct fb *f, const char *type, const char *text)
{
	char raw[FB_REPLY_MAX + 1];
	size_t max = f->custom || f->uboot ? 64 : FB_REPLY_MAX;
	int n = snprintf(raw, sizeof raw, "%s%s", type, text);
	size_t len = MIN((size_t)n, max);

	/* The guide's device ends its strings as C does. */
	if (f->custom && len < max)
		len++;
	fb_push(f, false, raw, len);
}

void fb_say(struct fb *f, const char *fmt, ...)
{
	char text[FB_REPLY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	push_text(f, "INFO", text);
}

/* Whether the fault is for the current command. */
static bool hits(struct fb *f, enum fb_fault row)
{
	double arg = 0;

	return own_fault_set(f->faults, row, &arg) && f->commands == (unsigned)arg + 1 &&
	       own_fault_hit(f->faults, row, NULL);
}

/* The end of a command, as it is or as a fault makes it. */
static void finish(struct fb *f, const char *type, const char *text)
{
	double arg = 0;

	if (own_fault_hit(f->faults, FB_INFO, &arg))
		for (unsigned i = 0; i < (unsigned)arg; i++)
			fb_say(f, "still busy, line %u", i);
	if (own_fault_hit(f->faults, FB_TEXT, NULL)) {
		push_text(f, "TEXT", "text without ");
		push_text(f, "TEXT", "an end of line\n");
	}
	if (own_fault_hit(f->faults, FB_LATE, &arg))
		f->busy_until_us = MAX(f->now_us, f->busy_until_us) + (uint64_t)arg * 1000;
	if (hits(f, FB_SILENCE))
		return;
	if (hits(f, FB_GARBAGE)) {
		fb_push(f, false, "\x01\xff GARBAGE \x00\x80", 13);
		return;
	}
	if (hits(f, FB_SPLIT)) {
		fb_push(f, false, type, 2);
		push_text(f, type + 2, text);
		return;
	}
	if (hits(f, FB_MERGE)) {
		_cleanup_(freep) char *both = xasprintf("almost%s%s", type, text);

		push_text(f, "INFO", both);
		return;
	}
	push_text(f, type, text);
	if (hits(f, FB_TWICE))
		push_text(f, type, text);
}

void fb_okay(struct fb *f, const char *fmt, ...)
{
	char text[FB_REPLY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	finish(f, "OKAY", text);
}

void fb_fail(struct fb *f, const char *fmt, ...)
{
	char text[FB_REPLY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	finish(f, "FAIL", text);
}

struct fb_msg *fb_first(struct fb *f, uint64_t now_us)
{
	return f->first && f->first->ready_us <= now_us ? f->first : NULL;
}

void fb_pop(struct fb *f)
{
	struct fb_msg *m = f->first;

	f->first = m->next;
	if (!f->first)
		f->last = NULL;
	free(m);
	/* A device says OKAY before it leaves. */
	if (!f->first && f->wish_at_end != WISH_NONE) {
		f->device.wish = f->wish_at_end;
		f->wish_at_end = WISH_NONE;
	}
}

void fb_drop_all(struct fb *f)
{
	f->wish_at_end = WISH_NONE;
	while (f->first)
		fb_pop(f);
	f->data_left = 0;
	f->stalled = false;
	f->commands = 0;
	f->busy_until_us = 0;
}

/* -- the device -- */

static int fb_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct fb *f = xcalloc(1, sizeof *f);

	f->set = c->set;
	f->faults = c->faults;
	f->dir = c->dir ? xstrdup(c->dir) : NULL;
	f->custom = settings_own_number(c->set, "custom") != 0;
	f->uboot = settings_own_number(c->set, "uboot") != 0;
	f->slots = (unsigned)settings_own_number(c->set, "slots");
	f->locked = settings_own_number(c->set, "locked") != 0;
	f->slot = 'a';
	snprintf(f->serial, sizeof f->serial, "%s",
		c->set->usb_serial[0] ? c->set->usb_serial : c->uid);
	f->next_mode = FB_BOOTLOADER;

	int r = fb_disk_open(f, c->fresh, e);

	if (r < 0) {
		fb_disk_close(f);
		free(f->dir);
		free(f);
		return r;
	}
	fb_usb_describe(f);
	*ret = &f->device;
	return 0;
}

static void fb_free(struct device *d)
{
	struct fb *f = fb_of(d);

	fb_drop_all(f);
	fb_disk_close(f);
	free(f->buffer);
	free(f->dir);
	sb_done(&f->log);
	free(f);
}

/* The key for the bootloader is held: it always starts there. */
static void fb_power_on(struct device *d, uint64_t now_us)
{
	struct fb *f = fb_of(d);

	f->mode = f->next_mode = FB_BOOTLOADER;
	f->now_us = now_us;
	fb_disk_versions(f);
	fb_drop_all(f);
	fb_net_reset(f);
	fb_usb_describe(f);
}

static void fb_power_off(struct device *d)
{
	struct fb *f = fb_of(d);

	f->mode = FB_OFF;
	fb_drop_all(f);
	fb_net_reset(f);
}

static void fb_opened(struct device *d, uint64_t now_us)
{
	struct fb *f = fb_of(d);

	fb_drop_all(f);
	fb_net_reset(f);
	/* A system that runs has no one on this port. */
	if (!fb_listens(f))
		d->wish = WISH_HANGUP;
}

static void fb_closed(struct device *d, uint64_t now_us)
{
	struct fb *f = fb_of(d);

	fb_drop_all(f);
	fb_net_reset(f);
	if (f->mode != f->next_mode && f->mode != FB_OFF) {
		f->mode = f->next_mode;
		fb_usb_describe(f);
	}
}

static uint64_t fb_due(const struct device *d)
{
	const struct fb *f = fb_of_const(d);
	uint64_t due = f->first ? f->first->ready_us : NEVER;

	return MIN(due, fb_udp_due(f));
}

static const char *fb_state(const struct device *d)
{
	static const char *const names[] = {"bootloader", "fastbootd", "system", "recovery", "off"};

	return names[fb_of_const(d)->mode];
}

static void fb_json(struct device *d, bool whole, json_t *o)
{
	struct fb *f = fb_of(d);

	json_object_set_new(o, "serial", json_string(f->serial));
	json_object_set_new(o, "slot", json_stringn(&f->slot, 1));
	json_object_set_new(o, "locked", json_boolean(f->locked));
	json_object_set_new(o, "partitions", fb_disk_json(f, whole));
	json_object_set_new(o, "counters",
		json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "flashes", (int)f->flashes, "erases",
			(int)f->erases, "downloads", (int)f->downloads, "fetches", (int)f->fetches,
			"boots", (int)f->boots, "reboots", (int)f->reboots));
	if (whole)
		json_object_set_new(o, "commands", json_string(f->log.s ? f->log.s : ""));
}

static void fb_clear_faults(struct device *d)
{
	fb_of(d)->stalled = false;
}

const struct device_ops fastboot_device = {
	.name = "fastboot",
	.help = "a phone's bootloader and fastbootd, with slots and logical partitions",
	.faults = fb_faults,
	.settings = settings,
	.new = fb_new,
	.free = fb_free,
	.power_on = fb_power_on,
	.power_off = fb_power_off,
	.opened = fb_opened,
	.closed = fb_closed,
	.room = fb_room,
	.input = fb_input,
	.output = fb_output,
	.datagram = fb_datagram,
	.datagram_output = fb_datagram_output,
	.gadget = &fb_gadget,
	.due = fb_due,
	.state = fb_state,
	.json = fb_json,
	.clear_faults = fb_clear_faults,
};
