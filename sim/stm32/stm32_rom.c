/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot ROM of a virtual STM32 behind a serial line, as AN3155 describes it:
 *
 *	reset -> waits for 7F -> command <-> its phases
 *	             ^              | Go
 *	             |              v
 *	             +-- reset -- application (a banner, and deaf)
 *
 * BOOT0 is high: power and its own resets lead into the ROM. It has no time-out: half a frame waits
 * for its rest for ever.
 */
#include "sim/stm32/stm32_rom.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/strbuf.h"

#define ACK  0x79
#define NACK 0x1f
#define BUSY 0x76
#define INIT 0x7f

#define RAM	  0x20000000u
#define RAM_BYTES (128u * 1024)

#define OPTIONS	     0x1fffc000u
#define OPTION_BYTES 4
#define LEVEL_2	     0xcc

enum {
	GET = 0x00,
	VERSION = 0x01,
	ID = 0x02,
	READ = 0x11,
	GO = 0x21,
	WRITE = 0x31,
	ERASE = 0x43,
	EXTENDED = 0x44,
	WP = 0x63,
	WUNP = 0x73,
	RDP = 0x82,
	RUNP = 0x92
};

/* -- the way out -- */

enum fault_phase stm32_rom_phase(const struct stm32_rom *s)
{
	return s->code == WRITE	 ? FAULT_PHASE_WRITE
	       : s->code == READ ? FAULT_PHASE_READ
				 : FAULT_PHASE_CONSOLE;
}

void stm32_rom_say(struct stm32_rom *s, uint64_t now_us, const void *p, size_t n)
{
	uint8_t copy[STM32_FRAME_MAX];
	uint64_t ready = MAX(now_us, s->busy_until_us);
	double ms;

	if (s->stalled || n == 0)
		return;
	memcpy(copy, p, n);
	n = fault_out(s->wire_faults, stm32_rom_phase(s), copy, n);
	if (n > 1 && own_fault_hit(s->faults, GAP, &ms)) {
		wire_tx_push(&s->wire, ready, true, copy, n / 2);
		wire_tx_push(&s->wire, ready + (uint64_t)(ms * (double)US_PER_MS), false,
			copy + n / 2, n - n / 2);
	} else if (n) {
		wire_tx_push(&s->wire, ready, false, copy, n);
	}
}

static void say_byte(struct stm32_rom *s, uint64_t now_us, uint8_t b)
{
	stm32_rom_say(s, now_us, &b, 1);
}

static void ack(struct stm32_rom *s, uint64_t now_us)
{
	if (own_fault_hit(s->faults, GARBAGE, NULL))
		say_byte(s, now_us, 0x55);
	say_byte(s, now_us, ACK);
}

static void refuse(struct stm32_rom *s, uint64_t now_us)
{
	say_byte(s, now_us, NACK);
	s->state = COMMAND;
}

/* The end of a data phase that took so long. */
static void ack_done(struct stm32_rom *s, uint64_t now_us, uint64_t took_us)
{
	double busy;

	s->state = COMMAND;
	if (own_fault_hit(s->faults, BUSY_BYTES, &busy))
		for (int i = 0; i < (int)busy; i++)
			say_byte(s, now_us, BUSY);
	s->busy_until_us = now_us + took_us;
	if (!own_fault_hit(s->faults, LOST_ACK, NULL))
		ack(s, now_us);
}

/* -- commands -- */

static bool is_missing(const struct stm32_rom *s, uint8_t code)
{
	const char *list = settings_own(s->set, "stm32-missing");
	char hex[4];

	snprintf(hex, sizeof hex, "%02x", code);
	return (code == (s->family.erase == ERASE ? EXTENDED : ERASE)) || strstr(list, hex);
}

static const uint8_t codes[] = {
	GET, VERSION, ID, READ, GO, WRITE, ERASE, EXTENDED, WP, WUNP, RDP, RUNP};

static void answer_get(struct stm32_rom *s, uint64_t now_us)
{
	uint8_t b[32];
	struct wbytes w = wbytes_of(b, sizeof b);

	wb_u8(&w, 0);
	wb_u8(&w, 0x31);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!is_missing(s, codes[i]))
			wb_u8(&w, codes[i]);
	b[0] = (uint8_t)(w.len - 2);
	stm32_rom_say(s, now_us, b, w.len);
	ack(s, now_us);
}

static void answer_id(struct stm32_rom *s, uint64_t now_us)
{
	uint8_t b[3];
	struct wbytes w = wbytes_of(b, sizeof b);

	wb_u8(&w, 1);
	wb_be16(&w, s->pid);
	stm32_rom_say(s, now_us, b, w.len);
	ack(s, now_us);
}

static bool is_locked(const struct stm32_rom *s, uint8_t code)
{
	return s->memory->read_protected && code != GET && code != VERSION && code != ID &&
	       code != RUNP && code != RDP;
}

/* Its own reset, a little after what it has to say. */
static void reset_later(struct stm32_rom *s, uint64_t now_us, uint64_t took_us)
{
	s->busy_until_us = now_us + took_us;
	ack(s, now_us);
	s->reset_at_us = s->busy_until_us + 2 * US_PER_MS;
	s->state = OFF;
}

static void unprotect(struct stm32_rom *s, uint64_t now_us)
{
	memset(s->memory->write_protected, 0, sizeof s->memory->write_protected);
	if (s->code == RUNP) {
		s->memory->read_protected = 0;
		stm32_memory_erase_all(s->memory);
	}
	stm32_memory_keep_options(s->memory);
	reset_later(s, now_us,
		s->code == RUNP ? 20 * settings_own_number(s->set, "stm32-page-ms") * US_PER_MS
				: 0);
}

static void run_command(struct stm32_rom *s, uint64_t now_us)
{
	s->state = COMMAND;
	ack(s, now_us);
	s->len = 0;
	switch (s->code) {
	case GET:
		answer_get(s, now_us);
		break;
	case VERSION:
		stm32_rom_say(s, now_us, "\x31\x00\x00", 3);
		ack(s, now_us);
		break;
	case ID:
		answer_id(s, now_us);
		break;
	case READ:
	case GO:
	case WRITE:
		s->state = ADDRESS;
		break;
	case ERASE:
		s->state = ERASE_PAGES;
		break;
	case EXTENDED:
		s->state = EXTENDED_PAGES;
		break;
	case WP:
		s->state = WP_SECTORS;
		break;
	case RDP:
		s->memory->read_protected = 1;
		stm32_memory_keep_options(s->memory);
		reset_later(s, now_us, 0);
		break;
	default:
		unprotect(s, now_us);
		break;
	}
}

static bool is_for(struct stm32_rom *s, enum stm32_fault row)
{
	double code;

	if (!own_fault_set(s->faults, row, &code) || (uint8_t)code != s->code)
		return false;
	return own_fault_hit(s->faults, row, NULL);
}

static bool is_known(uint8_t code)
{
	return memchr(codes, code, sizeof codes) != NULL;
}

static void take_complement(struct stm32_rom *s, uint8_t b, uint64_t now_us)
{
	if ((uint8_t)(b ^ s->code) != 0xff || !is_known(s->code) || is_missing(s, s->code) ||
		is_locked(s, s->code) || is_for(s, NACK_COMMAND)) {
		refuse(s, now_us);
		return;
	}
	if (is_for(s, SILENT)) {
		s->state = COMMAND;
		return;
	}
	run_command(s, now_us);
}

/* -- memory -- */

static bool is_ram(uint32_t address, size_t n)
{
	return address >= RAM && address - RAM <= RAM_BYTES - n;
}

/* Four option bytes of an F4 (RM0090, 3.9.1): USER, RDP, and two that are reserved. */
static bool is_options(const struct stm32_rom *s, uint32_t address, size_t n)
{
	return (s->pid == 0x413 || s->pid == 0x419) && address >= OPTIONS &&
	       address - OPTIONS <= OPTION_BYTES - n && n <= OPTION_BYTES;
}

static void read_options(const struct stm32_rom *s, uint8_t buf[OPTION_BYTES])
{
	static const uint8_t rdp[] = {0xaa, 0x55, LEVEL_2};

	buf[0] = s->memory->user_option;
	buf[1] = rdp[s->memory->read_protected];
	buf[2] = buf[3] = 0xff;
}

/* The part resets itself. Once it is at level 2 nothing comes this way any more. */
static void write_options(struct stm32_rom *s, const uint8_t *p, uint64_t now_us)
{
	bool half = own_fault_hit(s->faults, HALF_WRITE, NULL);

	if (!half) {
		s->memory->user_option = p[0];
		s->memory->read_protected = p[1] == 0xaa ? 0 : p[1] == LEVEL_2 ? 2 : 1;
		stm32_memory_keep_options(s->memory);
	}
	if (own_fault_hit(s->faults, LOST_ACK, NULL)) {
		s->reset_at_us = now_us + 2 * US_PER_MS;
		s->state = OFF;
	} else
		reset_later(s, now_us, 0);
}

/* Size register and unique id, where the address lies in one of them. */
static bool system_byte(const struct stm32_rom *s, uint32_t address, uint8_t *ret)
{
	uint32_t kib = s->memory->size >> 10;
	uint32_t uid = s->family.uid_register;

	if (s->family.size_register && address - s->family.size_register < 2) {
		*ret = (uint8_t)(kib >> 8 * (address - s->family.size_register));
		return true;
	}
	if (!uid || address - uid >= 12)
		return false;
	return hex_parse((char[3]){s->device.uid[2 * (address - uid)],
				 s->device.uid[2 * (address - uid) + 1], 0},
		ret, 1);
}

static bool read_at(const struct stm32_rom *s, uint32_t address, uint8_t *buf, size_t n)
{
	if (stm32_memory_holds(s->memory, address, n)) {
		memcpy(buf, s->memory->cell + (address - s->memory->base), n);
		return true;
	}
	if (is_ram(address, n)) {
		memset(buf, 0, n);
		return true;
	}
	if (is_options(s, address, n)) {
		uint8_t all[OPTION_BYTES];

		read_options(s, all);
		memcpy(buf, all + (address - OPTIONS), n);
		return true;
	}
	if (s->otp && stm32_otp_holds(address, n)) {
		memcpy(buf, s->otp->cell + (address - STM32_OTP_BASE), n);
		return true;
	}
	for (size_t i = 0; i < n; i++)
		if (!system_byte(s, address + (uint32_t)i, &buf[i]))
			return false;
	return true;
}

static bool is_short(struct stm32_rom *s, uint32_t n)
{
	double only = 0;

	return own_fault_set(s->faults, SHORT_READ, &only) && (only <= 0 || (uint32_t)only == n) &&
	       own_fault_hit(s->faults, SHORT_READ, NULL);
}

static void answer_read(struct stm32_rom *s, size_t n, uint64_t now_us)
{
	uint8_t buf[256];
	double flip;
	uint32_t offset = s->address - s->memory->base;

	s->state = COMMAND;
	s->reads++;
	if (!read_at(s, s->address, buf, n)) {
		refuse(s, now_us);
		return;
	}
	ack(s, now_us);
	if (own_fault_set(s->faults, READ_FLIP, &flip) && (uint32_t)flip - offset < n &&
		stm32_memory_holds(s->memory, s->address, n)) {
		own_fault_hit(s->faults, READ_FLIP, NULL);
		buf[(uint32_t)flip - offset] ^= 0x80;
	}
	stm32_rom_say(s, now_us, buf, is_short(s, n) ? n - 1 : n);
}

static void write_otp(struct stm32_rom *s, size_t n, uint64_t now_us)
{
	bool half = own_fault_hit(s->faults, HALF_WRITE, NULL);

	if (!stm32_otp_write(s->otp, s->address, s->frame + 1, half ? n / 2 : n))
		refuse(s, now_us);
	else if (half)
		s->state = COMMAND;
	else
		ack_done(s, now_us, settings_own_number(s->set, "stm32-write-us"));
}

static void write_frame(struct stm32_rom *s, uint64_t now_us)
{
	size_t n = s->frame[0] + 1u;
	double arg;
	int64_t weak = own_fault_set(s->faults, WEAK_CELL, &arg) ? (int64_t)arg : -1;

	s->writes++;
	if (n % 4 || s->address % 4) {
		refuse(s, now_us);
		return;
	}
	if (is_ram(s->address, n)) {
		ack_done(s, now_us, 0);
		return;
	}
	if (is_options(s, s->address, n) && n == OPTION_BYTES) {
		write_options(s, s->frame + 1, now_us);
		return;
	}
	if (s->otp && stm32_otp_holds(s->address, n)) {
		write_otp(s, n, now_us);
		return;
	}
	if (!stm32_memory_holds(s->memory, s->address, n)) {
		refuse(s, now_us);
		return;
	}
	if (own_fault_hit(s->faults, HALF_WRITE, NULL)) {
		stm32_memory_write(s->memory, s->address, s->frame + 1, n / 2, -1);
		s->state = COMMAND;
		return;
	}
	if (!stm32_memory_write(s->memory, s->address, s->frame + 1, n, weak)) {
		refuse(s, now_us);
		return;
	}
	ack_done(s, now_us, settings_own_number(s->set, "stm32-write-us"));
}

static void erased(struct stm32_rom *s, uint32_t pages, uint64_t now_us)
{
	s->erases += pages;
	ack_done(s, now_us, pages * settings_own_number(s->set, "stm32-page-ms") * US_PER_MS);
}

static void erase_everything(struct stm32_rom *s, uint64_t now_us)
{
	if (!own_fault_hit(s->faults, NO_ERASE, NULL))
		stm32_memory_erase_all(s->memory);
	erased(s, 1, now_us);
}

/* n numbers of `width` bytes after the count. */
static void erase_pages(struct stm32_rom *s, size_t n, unsigned width, uint64_t now_us)
{
	struct rbytes b = rbytes_of(s->frame + width, n * width);
	uint32_t most = stm32_memory_pages(s->memory);
	bool skip = own_fault_hit(s->faults, NO_ERASE, NULL);
	uint32_t page[512];

	for (size_t i = 0; i < n; i++) {
		page[i] = width == 2 ? rb_be16(&b) : rb_u8(&b);
		if (page[i] >= most) {
			refuse(s, now_us);
			return;
		}
	}
	for (size_t i = 0; i < n && !skip; i++)
		stm32_memory_erase(s->memory, page[i]);
	erased(s, (uint32_t)n, now_us);
}

static void protect(struct stm32_rom *s, size_t n, uint64_t now_us)
{
	for (size_t i = 0; i < n; i++)
		s->memory->write_protected[s->frame[1 + i]] = 1;
	stm32_memory_keep_options(s->memory);
	reset_later(s, now_us, 0);
}

/* -- phases -- */

static bool sum_is_right(const struct stm32_rom *s)
{
	uint8_t x = 0;

	for (size_t i = 0; i < s->len; i++)
		x ^= s->frame[i];
	return x == 0;
}

static void take_address(struct stm32_rom *s, uint64_t now_us)
{
	struct rbytes b = rbytes_of(s->frame, 4);
	uint8_t any;

	if (s->len < 5)
		return;
	s->address = rb_be32(&b);
	if (!sum_is_right(s) || own_fault_hit(s->faults, NACK_ADDRESS, NULL) ||
		!read_at(s, s->address, &any, 1)) {
		refuse(s, now_us);
		return;
	}
	ack(s, now_us);
	s->len = 0;
	if (s->code != GO) {
		s->state = s->code == READ ? READ_LENGTH : WRITE_DATA;
		return;
	}
	s->state = APPLICATION;

	const char *banner = settings_own(s->set, "stm32-banner");
	_cleanup_(freep) char *line = xasprintf("%s\r\n", banner);

	s->busy_until_us = now_us + s->set->boot_ms * US_PER_MS;
	if (*banner)
		stm32_rom_say(s, now_us, line, strlen(line));
}

/* Bytes that a data phase has in all, once the count is here; 0: not known yet. */
static size_t frame_bytes(const struct stm32_rom *s)
{
	struct rbytes b = rbytes_of(s->frame, 2);
	uint16_t n;

	switch (s->state) {
	case READ_LENGTH:
		return 2;
	case WRITE_DATA:
	case WP_SECTORS:
		return s->len ? s->frame[0] + 3u : 0;
	case ERASE_PAGES:
		return !s->len ? 0 : s->frame[0] == 0xff ? 2 : s->frame[0] + 3u;
	case EXTENDED_PAGES:
		if (s->len < 2)
			return 0;
		n = rb_be16(&b);
		return n >= 0xfff0 ? 3 : 2 * (n + 1u) + 3;
	case OFF:
	case ASLEEP:
	case COMMAND:
	case COMPLEMENT:
	case ADDRESS:
	case APPLICATION:
		break;
	}
	return 0;
}

static void take_frame(struct stm32_rom *s, uint64_t now_us)
{
	size_t want = frame_bytes(s);
	struct rbytes b = rbytes_of(s->frame, 2);
	uint16_t n = rb_be16(&b);
	bool right;

	if (want > STM32_FRAME_MAX) {
		refuse(s, now_us);
		return;
	}
	if (want == 0 || s->len < want)
		return;
	right = want == 2 && s->state != EXTENDED_PAGES ? (s->frame[0] ^ s->frame[1]) == 0xff
							: sum_is_right(s);
	if (!right || (s->state != READ_LENGTH && own_fault_hit(s->faults, NACK_DATA, NULL))) {
		refuse(s, now_us);
		return;
	}
	if (s->state == READ_LENGTH)
		answer_read(s, s->frame[0] + 1u, now_us);
	else if (s->state == WRITE_DATA)
		write_frame(s, now_us);
	else if (s->state == WP_SECTORS)
		protect(s, s->frame[0] + 1u, now_us);
	else if (s->state == ERASE_PAGES && s->frame[0] == 0xff)
		erase_everything(s, now_us);
	else if (s->state == ERASE_PAGES)
		erase_pages(s, s->frame[0] + 1u, 1, now_us);
	else if (n >= 0xfff0)
		erase_everything(s, now_us);
	else
		erase_pages(s, n + 1u, 2, now_us);
}

void stm32_rom_take(struct stm32_rom *s, uint8_t b, uint64_t now_us)
{
	switch (s->state) {
	case OFF:
	case APPLICATION:
		return;
	case ASLEEP:
		if (b != INIT)
			return;
		s->state = COMMAND;
		ack(s, now_us);
		if (own_fault_hit(s->faults, EXTRA_ACK, NULL))
			say_byte(s, now_us, ACK);
		return;
	case COMMAND:
		s->code = b;
		s->state = COMPLEMENT;
		return;
	case COMPLEMENT:
		take_complement(s, b, now_us);
		return;
	case ADDRESS:
		s->frame[s->len++] = b;
		take_address(s, now_us);
		return;
	case READ_LENGTH:
	case WRITE_DATA:
	case ERASE_PAGES:
	case EXTENDED_PAGES:
	case WP_SECTORS:
		s->frame[s->len++] = b;
		take_frame(s, now_us);
		return;
	}
}

void stm32_rom_reset(struct stm32_rom *s)
{
	/* Of level 2 BOOT0 means nothing any more (RM0090, 3.9.3). */
	s->state = s->memory->read_protected == 2 ? APPLICATION : ASLEEP;
	s->len = 0;
	s->busy_until_us = 0;
	s->reset_at_us = NEVER;
	s->resets++;
}
