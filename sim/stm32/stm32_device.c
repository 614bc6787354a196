/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot ROM (stm32_rom.c) of one part or another, as a device of the row.
 */
#include <string.h>

#include "base/digest.h"
#include "sim/device_rows.h"
#include "sim/stm32/stm32_rom.h"

static const struct own_fault fault_rows[] = {
	{"nack-command", "the command of this code is refused", 0x11},
	{"nack-address", "an address is refused", 0},
	{"nack-data", "a data phase is refused, and nothing done", 0},
	{"silent", "the command of this code is not answered", 0x11},
	{"extra-ack", "7f is acknowledged twice", 0},
	{"garbage", "a byte 55 comes before an ACK", 0},
	{"busy", "so many BUSY bytes come before the ACK of a data phase", 3},
	{"read-flip", "the cell at OFFSET reads back wrong", 0},
	{"weak-cell", "the cell at OFFSET does not take what is written", 0},
	{"no-erase", "an erase is acknowledged and not done", 0},
	{"lost-ack", "a data phase is done and not acknowledged", 0},
	{"half-write", "a block is written in half and not acknowledged", 0},
	{"gap", "so many ms between the halves of a reply", 400},
	{"short-read", "a read, or each of so many bytes, gives one byte less than it should", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"stm32-pid", "0x413", "product id"},
	{"stm32-flash", "", "bytes of flash; by default the most of its family"},
	{"stm32-pages", "", "pages, as 4*16K,64K,7*128K; by default those of its family"},
	{"stm32-erase", "", "43 or 44: the erase command it has"},
	{"stm32-missing", "", "codes of commands that it does not have, as 11,82"},
	{"stm32-rdp", "0", "the level of read protection of a new unit: 0, 1 or 2"},
	{"stm32-fill", "", "a byte that the flash of a new unit is full of"},
	{"stm32-page-ms", "1", "that the erase of a page takes"},
	{"stm32-write-us", "0", "that a block takes"},
	{"stm32-wiring", "none",
		"dtr-rts: DTR is BOOT0 and RTS holds it in reset (over USB); none: BOOT0 is high"},
	{"stm32-parity", "0", "1: it hears a host with even parity alone (over USB)"},
	{"stm32-banner", "", "what the application says when it starts"},
	{0},
};

/* From the reference manuals. */
static const struct stm32_family families[] = {
	{0x410, 128 << 10, "1K", STM32_ERASE, 0xff, 0x1ffff7e0, 0x1ffff7e8},
	{0x413, 1 << 20, "4*16K,64K,7*128K", STM32_EXTENDED, 0xff, 0x1fff7a22, 0x1fff7a10},
	{0x415, 1 << 20, "2K", STM32_EXTENDED, 0xff, 0x1fff75e0, 0x1fff7590},
	{0x447, 192 << 10, "128", STM32_EXTENDED, 0x00, 0x1ff8007c, 0},
	{0x449, 1 << 20, "4*32K,128K,3*256K", STM32_EXTENDED, 0xff, 0x1ff0f442, 0x1ff0f420},
	{0x450, 2 << 20, "128K", STM32_EXTENDED, 0xff, 0x1ff1e880, 0x1ff1e800},
};
/* Of an id that is not above. */
static const struct stm32_family other = {0, 128 << 10, "2K", STM32_EXTENDED, 0xff, 0, 0};

static struct stm32_rom *of(struct device *d)
{
	return container_of(d, struct stm32_rom, device);
}

static const struct stm32_rom *of_const(const struct device *d)
{
	return (const struct stm32_rom *)((const char *)d - offsetof(struct stm32_rom, device));
}

static void run(struct stm32_rom *s, uint64_t now_us)
{
	size_t n;

	if (now_us >= s->reset_at_us)
		stm32_rom_reset(s);
	while (!s->stalled && (n = wire_rx_ready(&s->wire, now_us)) > 0 &&
		now_us >= s->busy_until_us) {
		uint8_t b = *wire_rx_peek(&s->wire);

		wire_rx_pop(&s->wire, 1);
		if (!s->even && settings_own_number(s->set, "stm32-parity"))
			continue;
		switch (fault_in(s->wire_faults, stm32_rom_phase(s), &b)) {
		case FATE_PASS:
			stm32_rom_take(s, b, now_us);
			break;
		case FATE_DROP:
			break;
		case FATE_STALL:
			s->stalled = true;
			break;
		case FATE_DISAPPEAR:
			s->device.wish = WISH_UNPLUG;
			return;
		case FATE_REPLUG:
			s->device.wish = WISH_REPLUG;
			return;
		case FATE_SWAP:
			s->device.wish = WISH_SWAP;
			return;
		}
	}
}

static void stm32_free(struct device *d)
{
	wire_reset(&of(d)->wire);
	stm32_memory_free(of(d)->memory);
	stm32_otp_free(of(d)->otp);
	free(of(d));
}

static int preload(struct stm32_rom *s, const struct device_config *c, struct err *e)
{
	_cleanup_(fclosep) FILE *in = c->preload ? fopen(c->preload, "re") : NULL;

	if (!c->fresh)
		return 0;
	if (c->preload && !in)
		return err_set(e, ERR_IO, "cannot read %s", c->preload);
	if (*settings_own(c->set, "stm32-fill"))
		memset(s->memory->cell, (int)settings_own_number(c->set, "stm32-fill"),
			s->memory->size);
	if (in && fread(s->memory->cell, 1, s->memory->size, in) == 0 && ferror(in))
		return err_set(e, ERR_IO, "cannot read %s", c->preload);
	s->memory->read_protected = (uint8_t)settings_own_number(c->set, "stm32-rdp");
	stm32_memory_keep_options(s->memory);
	return 0;
}

static const struct stm32_family *family_of(uint16_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		if (families[i].pid == pid)
			return &families[i];
	return &other;
}

static int stm32_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct stm32_rom *s = xcalloc(1, sizeof *s);
	uint64_t flash = settings_own_number(c->set, "stm32-flash");
	const char *pages = settings_own(c->set, "stm32-pages");
	const char *erase = settings_own(c->set, "stm32-erase");
	int r;

	s->set = c->set;
	s->faults = c->faults;
	s->wire_faults = c->wire_faults;
	s->pid = (uint16_t)settings_own_number(c->set, "stm32-pid");
	s->family = *family_of(s->pid);
	if (*erase)
		s->family.erase = strstr(erase, "43") ? STM32_ERASE : STM32_EXTENDED;
	snprintf(s->device.uid, sizeof s->device.uid, "%s", c->uid ? c->uid : "");
	wire_init(&s->wire, c->set->baud);
	s->reset_at_us = NEVER;
	r = stm32_memory_new(0x08000000, flash ? (uint32_t)flash : s->family.flash,
		s->family.erased, *pages ? pages : s->family.pages, c->dir, &s->memory, e);
	if (r == 0 && s->pid == 0x413)
		r = stm32_otp_new(c->dir, &s->otp, e);
	if (r == 0)
		r = preload(s, c, e);
	if (r < 0) {
		stm32_free(&s->device);
		return r;
	}
	*ret = &s->device;
	return 0;
}

static bool is_wired(const struct stm32_rom *s)
{
	return !strcmp(settings_own(s->set, "stm32-wiring"), "dtr-rts");
}

static void stm32_power_on(struct device *d, uint64_t now_us)
{
	struct stm32_rom *s = of(d);

	wire_reset(&s->wire);
	s->stalled = false;
	stm32_rom_reset(s);
	if (is_wired(s))
		s->state = APPLICATION; /* no one drives BOOT0 yet */
}

static void stm32_power_off(struct device *d)
{
	wire_reset(&of(d)->wire);
	of(d)->state = OFF;
}

/* The end of a reset: BOOT0 says where to. */
static void stm32_line(struct device *d, const struct line_state *l, uint64_t now_us)
{
	struct stm32_rom *s = of(d);
	bool was_held = s->held;

	s->even = l->parity == 'e';
	if (!is_wired(s))
		return;
	s->held = l->rts;
	if (s->held) {
		wire_reset(&s->wire);
		s->state = OFF;
	} else if (was_held) {
		stm32_rom_reset(s);
		if (!l->dtr)
			s->state = APPLICATION;
	}
}

static size_t stm32_room(const struct device *d)
{
	return wire_rx_room(&of_const(d)->wire);
}

static void stm32_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	wire_rx_push(&of(d)->wire, p, n, now_us);
	run(of(d), now_us);
}

static size_t stm32_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	run(of(d), now_us);
	return wire_tx_take(&of(d)->wire, buf, size, now_us);
}

static uint64_t stm32_due(const struct device *d)
{
	const struct stm32_rom *s = of_const(d);
	uint64_t due = MIN(wire_tx_due(&s->wire), s->reset_at_us);

	if (!s->stalled && wire_rx_len(&s->wire))
		due = MIN(due, MAX(wire_rx_due(&s->wire, 0), s->busy_until_us));
	return due;
}

static const char *stm32_state(const struct device *d)
{
	switch (of_const(d)->state) {
	case OFF:
		return "off";
	case ASLEEP:
		return "waiting";
	case APPLICATION:
		return "application";
	case COMMAND:
	case COMPLEMENT:
	case ADDRESS:
	case READ_LENGTH:
	case WRITE_DATA:
	case ERASE_PAGES:
	case EXTENDED_PAGES:
	case WP_SECTORS:
		break;
	}
	return "rom";
}

static void stm32_json(struct device *d, bool whole, json_t *o)
{
	struct stm32_rom *s = of(d);
	uint32_t used = stm32_memory_used(s->memory);
	char hex[SHA256_HEX];

	json_object_set_new(o, "flash_used", json_integer(used));
	json_object_set_new(o, "read_protected", json_boolean(s->memory->read_protected));
	json_object_set_new(o, "rdp_level", json_integer(s->memory->read_protected));
	json_object_set_new(o, "user_option", json_integer(s->memory->user_option));
	json_object_set_new(o, "writes", json_integer((json_int_t)s->writes));
	json_object_set_new(o, "erases", json_integer((json_int_t)s->erases));
	json_object_set_new(o, "reads", json_integer((json_int_t)s->reads));
	json_object_set_new(o, "resets", json_integer((json_int_t)s->resets));
	if (!whole)
		return;
	if (s->otp) {
		char otp[2 * STM32_OTP_BYTES + 1];

		json_object_set_new(
			o, "otp", json_string(hex_of(s->otp->cell, sizeof s->otp->cell, otp)));
		json_object_set_new(o, "otp_writes", json_integer(s->otp->writes));
	}
	sha256_hex_of(s->memory->cell, used, hex);
	json_object_set_new(o, "flash_sha256", json_string(hex));
}

static void stm32_clear_faults(struct device *d)
{
	of(d)->stalled = false;
}

static void stm32_babble(struct device *d, size_t n, uint64_t now_us)
{
	while (n-- > 0)
		stm32_rom_say(of(d), now_us, "U", 1);
}

const struct device_ops stm32_uart_device = {
	.name = "stm32-uart",
	.help = "the boot ROM of an STM32 behind its UART (AN3155)",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = stm32_new,
	.free = stm32_free,
	.power_on = stm32_power_on,
	.power_off = stm32_power_off,
	.room = stm32_room,
	.input = stm32_input,
	.line = stm32_line,
	.output = stm32_output,
	.due = stm32_due,
	.state = stm32_state,
	.json = stm32_json,
	.clear_faults = stm32_clear_faults,
	.babble = stm32_babble,
};
