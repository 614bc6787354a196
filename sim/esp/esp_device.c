/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot ROM (esp_rom.c) of one chip or another, as a device of the row.
 */
#include "base/digest.h"
#include "base/strbuf.h"
#include "sim/device_rows.h"
#include "sim/esp/esp_rom.h"

static const struct own_fault fault_rows[] = {
	{"silent", "the command of this number is not answered", 0x03},
	{"late", "the command of this number is answered esp-late-ms later", 0x03},
	{"twice", "the command of this number is answered twice", 0x03},
	{"refuse", "the command of this number is refused, and not carried out", 0x03},
	{"bad-sum", "a block's checksum is found wrong", 0},
	{"wrong-md5", "the digest that is answered is another", 0},
	{"weak-cell", "the cell at OFFSET does not take what is written", 0},
	{"bit-rot", "the cell at OFFSET changes after it was written", 0},
	{"no-erase", "an erase is acknowledged and not done", 0},
	{"noise", "bytes that belong to no frame come before an answer", 0},
	{"cut", "an answer comes with a byte missing", 0},
	{"resets", "the chip resets at the command of this number, into its ROM", 0x03},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"esp-chip", "esp32c3", "esp32, esp32s2, esp32s3, esp32c2, esp32c3, esp32c6 or esp32h2"},
	{"esp-flash", "4M", "bytes of flash"},
	{"esp-secure", "0", "1: secure download mode"},
	{"esp-crypt-count", "0", "bits of flash encryption that are burnt"},
	{"esp-log", "1", "0: it says nothing when it starts"},
	{"esp-packet", "0x400", "the most bytes of a packet"},
	{"esp-wiring", "none",
		"dtr-rts: RTS resets it, and DTR holds it in its ROM then, as on usual boards (over USB); usb-jtag: the same by its own USB controller; none: it starts into its ROM"},
	{"esp-banner", "", "what the application says when it starts"},
	{"esp-sector-us", "0", "that the erase of a sector takes"},
	{"esp-write-us", "0", "that 1024 bytes take"},
	{"esp-read-us", "0", "that a sector takes to be read for a digest"},
	{"esp-late-ms", "4000", "how late an answer of the fault 'late' is"},
	{0},
};

static struct esp_rom *of(struct device *d)
{
	return container_of(d, struct esp_rom, device);
}

static const struct esp_rom *of_const(const struct device *d)
{
	return (const struct esp_rom *)((const char *)d - offsetof(struct esp_rom, device));
}

/* What becomes of one byte of the host; false where the device goes. */
static bool take(struct esp_rom *s, uint8_t b, uint64_t now_us)
{
	switch (fault_in(s->wire_faults, esp_rom_phase(s), &b)) {
	case FATE_PASS:
		esp_rom_take(s, b, now_us);
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

static void run(struct esp_rom *s, uint64_t now_us)
{
	while (!s->stalled && now_us >= s->busy_until_us && wire_rx_ready(&s->wire, now_us) > 0) {
		uint8_t b = *wire_rx_peek(&s->wire);

		wire_rx_pop(&s->wire, 1);
		if (!take(s, b, now_us))
			return;
	}
}

static void esp_free(struct device *d)
{
	esp_download_end(&of(d)->down);
	wire_reset(&of(d)->wire);
	stm32_memory_free(of(d)->memory);
	free(of(d));
}

static int preload(struct esp_rom *s, const struct device_config *c, struct err *e)
{
	_cleanup_(fclosep) FILE *in = c->preload ? fopen(c->preload, "re") : NULL;

	if (!c->fresh || !c->preload)
		return 0;
	if (!in || (fread(s->memory->cell, 1, s->memory->size, in) == 0 && ferror(in)))
		return err_set(e, ERR_IO, "cannot read %s", c->preload);
	return 0;
}

/* Each unit its own address, of its uid. */
static void make_mac(struct esp_rom *s)
{
	uint8_t sum[SHA256_BYTES];

	sha256_of(s->device.uid, strlen(s->device.uid), sum);
	memcpy(s->mac, "\x7c\xdf\xa1", 3);
	memcpy(s->mac + 3, sum, 3);
}

static int esp_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct esp_rom *s = xcalloc(1, sizeof *s);
	uint64_t flash = settings_own_number(c->set, "esp-flash");
	int r;

	s->set = c->set;
	s->faults = c->faults;
	s->wire_faults = c->wire_faults;
	s->part = esp_part_of(settings_own(c->set, "esp-chip"));
	s->secure = settings_own_number(c->set, "esp-secure") != 0;
	snprintf(s->device.uid, sizeof s->device.uid, "%s", c->uid ? c->uid : "");
	make_mac(s);
	wire_init(&s->wire, c->set->baud);
	if (!s->part)
		r = err_set(e, ERR_INVALID, "no chip '%s'", settings_own(c->set, "esp-chip"));
	else if (!flash || flash > 64u << 20 || flash & (flash - 1))
		r = err_set(e, ERR_INVALID, "'esp-flash' is a power of two up to 64M");
	else
		r = stm32_memory_new(0, (uint32_t)flash, 0xff, "4K", c->dir, &s->memory, e);
	if (r == 0)
		r = preload(s, c, e);
	if (r < 0) {
		esp_free(&s->device);
		return r;
	}
	*ret = &s->device;
	return 0;
}

static bool is_wired(const struct esp_rom *s, const char *how)
{
	return !strcmp(settings_own(s->set, "esp-wiring"), how);
}

static void esp_power_on(struct device *d, uint64_t now_us)
{
	of(d)->stalled = false;
	esp_rom_reset(of(d), is_wired(of(d), "none"), now_us);
}

static void esp_power_off(struct device *d)
{
	wire_reset(&of(d)->wire);
	of(d)->state = ESP_OFF;
}

/* Two transistors: RTS alone pulls EN, DTR alone pulls IO0, both or none pull neither. */
static void line_of_transistors(struct esp_rom *s, const struct line_state *l, uint64_t now_us)
{
	bool held = l->rts && !l->dtr;

	if (held && !s->held) {
		wire_reset(&s->wire);
		s->state = ESP_RESET;
	} else if (!held && s->held)
		/* On EN a capacitor makes it rise after IO0 has its level. */
		esp_rom_reset(s, l->dtr, now_us);
	s->held = held;
}

/* The chip's own USB-Serial/JTAG: DTR alone sets a flag, RTS alone resets into what the flag says, none clears it, both do
 * nothing (ESP32-C3 TRM, "USB Serial/JTAG Controller"). */
static void line_of_usb(struct esp_rom *s, const struct line_state *l, uint64_t now_us)
{
	bool reset = l->rts && !l->dtr;

	if (!l->rts)
		s->download = l->dtr;
	if (reset && !s->held)
		esp_rom_reset(s, s->download, now_us);
	s->held = reset;
}

static void esp_line(struct device *d, const struct line_state *l, uint64_t now_us)
{
	if (is_wired(of(d), "dtr-rts"))
		line_of_transistors(of(d), l, now_us);
	else if (is_wired(of(d), "usb-jtag"))
		line_of_usb(of(d), l, now_us);
}

static size_t esp_room(const struct device *d)
{
	return wire_rx_room(&of_const(d)->wire);
}

static void esp_input(struct device *d, const void *p, size_t n, uint64_t now_us)
{
	wire_rx_push(&of(d)->wire, p, n, now_us);
	run(of(d), now_us);
}

static size_t esp_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	run(of(d), now_us);
	return wire_tx_take(&of(d)->wire, buf, size, now_us);
}

static uint64_t esp_due(const struct device *d)
{
	const struct esp_rom *s = of_const(d);
	uint64_t due = wire_tx_due(&s->wire);

	if (!s->stalled && wire_rx_len(&s->wire))
		due = MIN(due, MAX(wire_rx_due(&s->wire, 0), s->busy_until_us));
	return due;
}

static const char *esp_state(const struct device *d)
{
	static const char *const words[] = {[ESP_OFF] = "off",
		[ESP_RESET] = "reset",
		[ESP_WAITING] = "waiting",
		[ESP_SYNCED] = "rom",
		[ESP_APPLICATION] = "application"};

	return words[of_const(d)->state];
}

static void esp_json(struct device *d, bool whole, json_t *o)
{
	struct esp_rom *s = of(d);
	char hex[SHA256_HEX];

	json_object_set_new(o, "chip", json_string(s->part->name));
	json_object_set_new(o, "mac",
		json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", s->mac[0], s->mac[1], s->mac[2],
			s->mac[3], s->mac[4], s->mac[5]));
	json_object_set_new(o, "writes", json_integer((json_int_t)s->writes));
	json_object_set_new(o, "erases", json_integer((json_int_t)s->erases));
	json_object_set_new(o, "md5s", json_integer((json_int_t)s->md5s));
	json_object_set_new(o, "resets", json_integer((json_int_t)s->resets));
	json_object_set_new(o, "syncs", json_integer((json_int_t)s->syncs));
	json_object_set_new(o, "baud", json_integer((json_int_t)s->baud));
	if (!whole)
		return;
	sha256_hex_of(s->memory->cell, s->memory->size, hex);
	json_object_set_new(o, "flash_sha256", json_string(hex));
}

static void esp_clear_faults(struct device *d)
{
	of(d)->stalled = false;
}

static void esp_babble(struct device *d, size_t n, uint64_t now_us)
{
	while (n-- > 0)
		esp_rom_say(of(d), now_us, "U", 1);
}

const struct device_ops esp_device = {
	.name = "esp",
	.help = "the serial boot ROM of a chip of the ESP32 family",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = esp_new,
	.free = esp_free,
	.power_on = esp_power_on,
	.power_off = esp_power_off,
	.room = esp_room,
	.input = esp_input,
	.line = esp_line,
	.output = esp_output,
	.due = esp_due,
	.state = esp_state,
	.json = esp_json,
	.clear_faults = esp_clear_faults,
	.babble = esp_babble,
};
