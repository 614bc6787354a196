/* SPDX-License-Identifier: Apache-2.0
 *
 * An AVR with a serial bootloader, as a device of the row.
 */
#include "sim/avr/avr.h"

#include "base/digest.h"
#include "sim/device_rows.h"

static const struct own_fault fault_rows[] = {
	{"silent", "the command of this number is carried out, and not answered", 0x64},
	{"late", "the command of this number is answered avr-late-ms later", 0x64},
	{"twice", "the command of this number is answered twice", 0x64},
	{"refuse", "the command of this number is refused, and nothing written", 0x64},
	{"noise", "bytes that belong to no answer come before one", 0},
	{"short", "a read gives one byte less than it should", 0},
	{"weak-cell", "the cell at OFFSET does not take what is written", 0},
	{"bit-rot", "the cell at OFFSET changes after it was written", 0},
	{"read-flip", "the cell at OFFSET reads back wrong", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"avr-part", "m328p", "m328p, m168, m1284p or m2560"},
	{"avr-protocol", "1", "1: STK500 v1, as optiboot; 2: STK500 v2, as the Arduino Mega's"},
	{"avr-wiring", "none",
		"dtr: DTR going on resets it into its bootloader (over USB); none: it starts there"},
	{"avr-banner", "", "what the application says when it starts"},
	{"avr-write-us", "0", "that a page takes"},
	{"avr-late-ms", "3000", "how late an answer of the fault 'late' is"},
	{0},
};

static const struct avr_part parts[] = {
	{"m328p", {0x1e, 0x95, 0x0f}, 32768, 128},
	{"m168", {0x1e, 0x94, 0x06}, 16384, 128},
	{"m1284p", {0x1e, 0x97, 0x05}, 131072, 256},
	{"m2560", {0x1e, 0x98, 0x01}, 262144, 256},
};

static struct avr *of(struct device *d)
{
	return container_of(d, struct avr, device);
}

static const struct avr *of_const(const struct device *d)
{
	return (const struct avr *)((const char *)d - offsetof(struct avr, device));
}

static enum fault_phase phase(const struct avr *s)
{
	bool write = s->command == (s->second ? 0x13 : 0x64);
	bool read = s->command == (s->second ? 0x14 : 0x74);

	return write ? FAULT_PHASE_WRITE : read ? FAULT_PHASE_READ : FAULT_PHASE_CONSOLE;
}

void avr_say(struct avr *s, uint64_t now_us, const void *p, size_t n)
{
	uint8_t copy[AVR_FRAME_MAX];

	if (s->stalled || n == 0 || n > sizeof copy)
		return;
	memcpy(copy, p, n);
	n = fault_out(s->wire_faults, phase(s), copy, n);
	if (n)
		wire_tx_push(&s->wire, MAX(now_us, s->busy_until_us), false, copy, n);
}

bool avr_fault_is_for(struct avr *s, enum avr_fault row)
{
	double command;

	if (row == AVR_SHORT)
		return own_fault_hit(s->faults, row, NULL);
	if (!own_fault_set(s->faults, row, &command) || (uint8_t)command != s->command)
		return false;
	return own_fault_hit(s->faults, row, NULL);
}

void avr_answer(struct avr *s, uint64_t now_us, const void *p, size_t n)
{
	if (avr_fault_is_for(s, AVR_SILENT))
		return;
	if (avr_fault_is_for(s, AVR_LATE))
		s->busy_until_us = now_us + settings_own_number(s->set, "avr-late-ms") * US_PER_MS;
	if (own_fault_hit(s->faults, AVR_NOISE, NULL))
		avr_say(s, now_us, "\x55\xaa", 2);
	avr_say(s, now_us, p, n);
	if (avr_fault_is_for(s, AVR_TWICE))
		avr_say(s, now_us, p, n);
}

static int64_t place(struct avr *s, enum avr_fault row, size_t n)
{
	double at;

	if (!own_fault_set(s->faults, row, &at) || (uint32_t)at < s->address ||
		(uint32_t)at - s->address >= n)
		return -1;
	own_fault_hit(s->faults, row, NULL);
	return (int64_t)at;
}

bool avr_write(struct avr *s, const uint8_t *p, size_t n)
{
	int64_t rotten;

	if (!stm32_memory_holds(s->memory, s->address, n) || s->address % s->part->page ||
		n > s->part->page)
		return false;
	stm32_memory_erase(s->memory, s->address / s->part->page);
	stm32_memory_write(s->memory, s->address, p, n, place(s, AVR_WEAK_CELL, n));
	rotten = place(s, AVR_BIT_ROT, n);
	if (rotten >= 0) {
		uint8_t *cell = s->memory->cell + rotten;

		*cell ^= 1;
		if (s->memory->fd >= 0 && pwrite(s->memory->fd, cell, 1, rotten) != 1)
			return false;
	}
	s->busy_until_us += settings_own_number(s->set, "avr-write-us");
	return true;
}

bool avr_read(struct avr *s, uint8_t *p, size_t n)
{
	int64_t flip;

	if (!stm32_memory_holds(s->memory, s->address, n))
		return false;
	memcpy(p, s->memory->cell + s->address, n);
	flip = place(s, AVR_READ_FLIP, n);
	if (flip >= 0)
		p[(uint32_t)flip - s->address] ^= 0x80;
	return true;
}

void avr_start(struct avr *s, uint64_t now_us)
{
	const char *banner = settings_own(s->set, "avr-banner");

	s->running = true;
	avr_say(s, now_us, banner, strlen(banner));
	if (*banner)
		avr_say(s, now_us, "\r\n", 2);
}

static void reset(struct avr *s)
{
	wire_reset(&s->wire);
	s->running = false;
	s->len = 0;
	s->high = s->address = 0;
	s->command = 0;
	s->busy_until_us = 0;
	s->resets++;
}

static bool take(struct avr *s, uint8_t b, uint64_t now_us)
{
	switch (fault_in(s->wire_faults, phase(s), &b)) {
	case FATE_PASS:
		if (s->running)
			return true;
		if (s->second)
			avr_v2_take(s, b, now_us);
		else
			avr_v1_take(s, b, now_us);
		return true;
	case FATE_DROP:
		return true;
	case FATE_STALL:
		s->stalled = true;
		return true;
	case FATE_DISAPPEAR:
		s->device.wish = WISH_UNPLUG;
		return false;
	case FATE_REPLUG:
		s->device.wish = WISH_REPLUG;
		return false;
	case FATE_SWAP:
		s->device.wish = WISH_SWAP;
		return false;
	}
	return true;
}

static void run(struct avr *s, uint64_t now_us)
{
	while (!s->stalled && now_us >= s->busy_until_us && wire_rx_ready(&s->wire, now_us) > 0) {
		uint8_t b = *wire_rx_peek(&s->wire);

		wire_rx_pop(&s->wire, 1);
		if (!take(s, b, now_us))
			return;
	}
}

static void avr_free(struct device *d)
{
	wire_reset(&of(d)->wire);
	stm32_memory_free(of(d)->memory);
	free(of(d));
}

static int avr_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct avr *s = xcalloc(1, sizeof *s);
	char page[16];
	int r;

	s->set = c->set;
	s->faults = c->faults;
	s->wire_faults = c->wire_faults;
	s->second = settings_own_number(c->set, "avr-protocol") == 2;
	snprintf(s->device.uid, sizeof s->device.uid, "%s", c->uid ? c->uid : "");
	wire_init(&s->wire, c->set->baud);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!strcmp(parts[i].name, settings_own(c->set, "avr-part")))
			s->part = &parts[i];
	if (!s->part) {
		r = err_set(e, ERR_INVALID, "no part '%s'", settings_own(c->set, "avr-part"));
	} else {
		snprintf(page, sizeof page, "%u", s->part->page);
		r = stm32_memory_new(0, s->part->flash, 0xff, page, c->dir, &s->memory, e);
	}
	if (r < 0) {
		avr_free(&s->device);
		return r;
	}
	*ret = &s->device;
	return 0;
}

static bool is_wired(const struct avr *s)
{
	return !strcmp(settings_own(s->set, "avr-wiring"), "dtr");
}

static void avr_power_on(struct device *d, uint64_t now_us)
{
	of(d)->stalled = false;
	reset(of(d));
	of(d)->running = is_wired(of(d));
}

static void avr_power_off(struct device *d)
{
	wire_reset(&of(d)->wire);
	of(d)->running = true;
}

/* A capacitor between DTR and RESET: each time that DTR goes on. */
static void avr_line(struct device *d, const struct line_state *l, uint64_t now_us)
{
	struct avr *s = of(d);

	if (is_wired(s) && l->dtr && !s->held)
		reset(s);
	s->held = l->dtr;
}

static size_t avr_room(const struct device *d)
{
	return wire_rx_room(&of_const(d)->wire);
}

static void avr_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	wire_rx_push(&of(d)->wire, p, n, now_us);
	run(of(d), now_us);
}

static size_t avr_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	run(of(d), now_us);
	return wire_tx_take(&of(d)->wire, buf, size, now_us);
}

static uint64_t avr_due(const struct device *d)
{
	const struct avr *s = of_const(d);
	uint64_t due = wire_tx_due(&s->wire);

	if (!s->stalled && wire_rx_len(&s->wire))
		due = MIN(due, MAX(wire_rx_due(&s->wire, 0), s->busy_until_us));
	return due;
}

static const char *avr_state(const struct device *d)
{
	return of_const(d)->running ? "application" : "waiting";
}

static void avr_json(struct device *d, bool whole, json_t *o)
{
	struct avr *s = of(d);
	char hex[SHA256_HEX];

	json_object_set_new(o, "part", json_string(s->part->name));
	json_object_set_new(o, "writes", json_integer((json_int_t)s->writes));
	json_object_set_new(o, "reads", json_integer((json_int_t)s->reads));
	json_object_set_new(o, "resets", json_integer((json_int_t)s->resets));
	if (whole)
		json_object_set_new(o, "flash_sha256",
			json_string(sha256_hex_of(s->memory->cell, s->memory->size, hex)));
}

static void avr_clear_faults(struct device *d)
{
	of(d)->stalled = false;
}

static void avr_babble(struct device *d, size_t n, uint64_t now_us)
{
	while (n-- > 0)
		avr_say(of(d), now_us, "U", 1);
}

const struct device_ops avr_device = {
	.name = "avr",
	.help = "an AVR with a serial bootloader (STK500 v1 or v2)",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = avr_new,
	.free = avr_free,
	.power_on = avr_power_on,
	.power_off = avr_power_off,
	.room = avr_room,
	.input = avr_input,
	.line = avr_line,
	.output = avr_output,
	.due = avr_due,
	.state = avr_state,
	.json = avr_json,
	.clear_faults = avr_clear_faults,
	.babble = avr_babble,
};
