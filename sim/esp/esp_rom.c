/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot ROM of a virtual chip of the ESP32 family on a serial line: frames in, answers out (esptool's "Serial Protocol").
 *
 *	reset -> (boot log) -> waits for SYNC -> commands
 *	  ^                                         | FLASH_END, FLASH_DEFL_END
 *	  |  EN by RTS, IO0 by DTR                  v
 *	  +---------------------------------- application (a banner, and deaf)
 *
 * A command that it does not have is answered eight times, by answers that do not name it.
 */
#include "sim/esp/esp_rom.h"

#include "base/bytes.h"

#define END	   0xc0
#define ESC	   0xdb
#define ESC_END	   0xdc
#define ESC_ESC	   0xdd
#define SYNC	   0x08
#define SYNCS	   8 /* answers to one SYNC, and to a command that it does not have */
#define HEAD	   8
#define ROM_BAUD   115200u
#define STATUS_LEN 4

static const char download_log[] =
	"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))\r\n"
	"waiting for download\r\n";
static const char flash_log[] =
	"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n";

enum fault_phase esp_rom_phase(const struct esp_rom *s)
{
	switch (s->op) {
	case 0x03:
	case 0x11:
		return FAULT_PHASE_WRITE;
	case 0x0e:
	case 0x13:
		return FAULT_PHASE_READ;
	default:
		return FAULT_PHASE_CONSOLE;
	}
}

void esp_rom_say(struct esp_rom *s, uint64_t now_us, const void *p, size_t n)
{
	uint8_t copy[512];

	for (const uint8_t *from = p; n > 0 && !s->stalled;) {
		size_t k = MIN(n, sizeof copy);
		size_t left;

		memcpy(copy, from, k);
		left = fault_out(s->wire_faults, esp_rom_phase(s), copy, k);
		if (left)
			wire_tx_push(&s->wire, MAX(now_us, s->busy_until_us), false, copy, left);
		from += k;
		n -= k;
	}
}

static void set_rate(struct esp_rom *s, uint32_t baud)
{
	s->baud = baud;
	if (s->set->baud) /* paced */
		s->wire.rx_pace.baud = s->wire.tx_pace.baud = baud;
}

void esp_rom_reset(struct esp_rom *s, bool download, uint64_t now_us)
{
	const char *log = download ? download_log : flash_log;

	wire_reset(&s->wire);
	esp_download_end(&s->down);
	s->attached = s->sized = s->escaped = s->too_long = false;
	s->len = 0;
	s->op = 0;
	s->usr2 = s->w0 = s->new_baud = 0;
	s->busy_until_us = 0;
	s->resets++;
	set_rate(s, ROM_BAUD);
	s->state = download ? ESP_WAITING : ESP_APPLICATION;
	if (settings_own_number(s->set, "esp-log"))
		esp_rom_say(s, now_us, log, strlen(log));
	if (!download && *settings_own(s->set, "esp-banner")) {
		_cleanup_(freep) char *line =
			xasprintf("%s\r\n", settings_own(s->set, "esp-banner"));

		esp_rom_say(s, now_us, line, strlen(line));
	}
}

static void put_byte(struct wbytes *w, uint8_t b)
{
	if (b == END || b == ESC) {
		wb_u8(w, ESC);
		wb_u8(w, b == END ? ESC_END : ESC_ESC);
	} else
		wb_u8(w, b);
}

static void send(struct esp_rom *s, uint8_t op, const struct esp_answer *a, uint64_t now_us)
{
	uint8_t plain[HEAD + ESP_ANSWER_MAX + STATUS_LEN];
	uint8_t out[2 * sizeof plain + 2];
	struct wbytes p = wbytes_of(plain, sizeof plain);
	struct wbytes w = wbytes_of(out, sizeof out);

	wb_u8(&p, 1);
	wb_u8(&p, op);
	wb_le16(&p, (uint16_t)(a->n + STATUS_LEN));
	wb_le32(&p, a->value);
	wb_put(&p, a->data, a->n);
	wb_u8(&p, a->status != ESP_OK);
	wb_u8(&p, (uint8_t)a->status);
	wb_fill(&p, 0, 2);
	wb_u8(&w, END);
	for (size_t i = 0; i < p.len; i++)
		put_byte(&w, plain[i]);
	wb_u8(&w, END);
	if (own_fault_hit(s->faults, ESP_NOISE, NULL))
		esp_rom_say(s, now_us, "\x00noise\xc0\x01", 8);
	if (own_fault_hit(s->faults, ESP_CUT, NULL)) {
		memmove(out + 5, out + 6, w.len - 6);
		w.len--;
	}
	esp_rom_say(s, now_us, out, w.len);
}

/* A fault for the command that came: its argument is the command's number. */
static bool is_for(struct esp_rom *s, enum esp_fault row)
{
	double op;

	if (!own_fault_set(s->faults, row, &op) || (uint8_t)op != s->op)
		return false;
	return own_fault_hit(s->faults, row, NULL);
}

static void answer(struct esp_rom *s, const struct esp_answer *a, uint64_t now_us)
{
	uint64_t then = now_us;
	unsigned times = 1;

	if (is_for(s, ESP_SILENT))
		return;
	s->busy_until_us = now_us + a->took_us;
	if (is_for(s, ESP_LATE))
		then += settings_own_number(s->set, "esp-late-ms") * US_PER_MS;
	s->busy_until_us = MAX(s->busy_until_us, then);
	if (is_for(s, ESP_TWICE))
		times = 2;
	if (a->unknown || s->op == SYNC)
		times = SYNCS;
	for (unsigned i = 0; i < times; i++)
		send(s, a->unknown ? 0 : s->op, a, now_us);
}

static void run(struct esp_rom *s, const uint8_t *p, size_t n, uint32_t sum, uint64_t now_us)
{
	struct esp_answer a;

	if (is_for(s, ESP_RESETS)) {
		esp_rom_reset(s, true, now_us);
		return;
	}
	if (is_for(s, ESP_REFUSE))
		a = (struct esp_answer){.status = ESP_FAILED};
	else
		esp_command_run(s, p, n, sum, &a);
	answer(s, &a, now_us);
	if (a.status != ESP_OK)
		s->new_baud = 0;
	if (s->new_baud)
		set_rate(s, s->new_baud);
	s->new_baud = 0;
	if (a.status == ESP_OK && esp_command_leaves(s->op)) {
		/* What it said is on its way. */
		const char *banner = settings_own(s->set, "esp-banner");

		s->state = ESP_APPLICATION;
		esp_rom_say(s, now_us, banner, strlen(banner));
		if (*banner)
			esp_rom_say(s, now_us, "\r\n", 2);
	}
}

/* A frame that is whole. */
static void take_frame(struct esp_rom *s, uint64_t now_us)
{
	struct rbytes b = rbytes_of(s->frame, s->len);
	uint8_t way = rb_u8(&b);
	uint8_t op = rb_u8(&b);
	uint16_t n = rb_le16(&b);
	uint32_t sum = rb_le32(&b);

	if (b.bad || way != 0)
		return;
	if (s->state == ESP_WAITING && (op != SYNC || n != 36 || s->len != HEAD + 36u))
		return;
	s->op = op;
	if (s->len != HEAD + (size_t)n) {
		answer(s, &(struct esp_answer){.status = ESP_INVALID}, now_us);
		return;
	}
	if (op == SYNC) {
		s->syncs++;
		s->state = ESP_SYNCED;
	}
	run(s, s->frame + HEAD, n, sum, now_us);
}

static void add(struct esp_rom *s, uint8_t b)
{
	if (s->escaped)
		b = b == ESC_END ? END : b == ESC_ESC ? ESC : b;
	s->escaped = false;
	if (s->len == sizeof s->frame)
		s->too_long = true;
	else
		s->frame[s->len++] = b;
}

void esp_rom_take(struct esp_rom *s, uint8_t b, uint64_t now_us)
{
	if (s->state != ESP_WAITING && s->state != ESP_SYNCED)
		return;
	if (b == ESC && !s->escaped) {
		s->escaped = true;
	} else if (b != END) {
		add(s, b);
	} else {
		if (s->len && !s->too_long && !s->escaped)
			take_frame(s, now_us);
		s->len = 0;
		s->escaped = s->too_long = false;
	}
}
