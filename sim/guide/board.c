/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/guide/board.h"

#include <string.h>

#include "base/bytes.h"
#include "sim/guide/board_impl.h"

/* The guide's wire, dossier "serial-bootloader", section 1: opcodes and answers. */
#define OP_WRITE	 0x01
#define OP_READ		 0x02
#define WRITE_HEAD_BYTES 7 /* opcode, u32 address, u16 length */
#define READ_HEAD_BYTES	 9 /* opcode, u32 address, u32 length */
#define ACK		 0x06
#define NAK		 0x15

struct board *board_new(const struct board_settings *set, struct faults *faults, struct unit *unit)
{
	struct board *b = xcalloc(1, sizeof *b);

	b->set = set;
	b->faults = faults;
	b->unit = unit;
	wire_init(&b->wire, set->baud);
	return b;
}

struct board *board_free(struct board *b)
{
	if (b) {
		wire_reset(&b->wire);
		sb_done(&b->frame);
		sb_done(&b->line);
		sb_done(&b->cert);
		free(b->version);
		unit_free(b->unit);
		free(b);
	}
	return NULL;
}

static void forget(struct board *b)
{
	wire_reset(&b->wire);
	sb_clear(&b->frame);
	sb_clear(&b->line);
	sb_clear(&b->cert);
	b->cert_bytes = 0;
	b->line_too_long = b->after_cr = b->stalled = false;
	b->busy_until_us = 0;
	b->frame_until_us = NEVER;
	b->wish = WISH_NONE;
}

void board_power_on(struct board *b, uint64_t now_us)
{
	forget(b);
	if (flash_blank(b->unit->flash))
		b->state = BOARD_BOOTLOADER;
	else
		board_start_application(b, now_us);
}

void board_power_off(struct board *b)
{
	forget(b);
	b->state = BOARD_OFF;
	board_keep(b);
}

void board_power_lost(struct board *b)
{
	b->stalled = true;
	b->wish = WISH_REPLUG;
}

void board_keep(struct board *b)
{
	struct err e = {0};

	if (unit_save(b->unit, &e) < 0 && b->error.code == ERR_NONE)
		b->error = e;
}

/* -- the way out -- */

void board_send(struct board *b, enum fault_phase phase, uint64_t ready_us, const void *p, size_t n)
{
	double gap_ms;

	if (b->stalled || n == 0)
		return;
	if (b->faults->n == 0) {
		wire_tx_push(&b->wire, ready_us, false, p, n);
		return;
	}

	_cleanup_(freep) uint8_t *copy = malloc(n);

	if (!copy)
		abort();
	memcpy(copy, p, n);
	n = fault_out(b->faults, phase, copy, n);
	if (n && fault_hit(b->faults, FAULT_SPLIT, phase, &gap_ms))
		for (size_t i = 0; i < n; i++)
			wire_tx_push(&b->wire,
				ready_us + i * (uint64_t)(gap_ms * (double)US_PER_MS), true,
				copy + i, 1);
	else if (n)
		wire_tx_push(&b->wire, ready_us, false, copy, n);
}

void board_say(struct board *b, uint64_t ready_us, const char *text)
{
	struct strbuf s = {0};

	sb_add(&s, text);
	sb_add(&s, b->set->eol);
	board_send(b, FAULT_PHASE_CONSOLE, ready_us, s.s, s.len);
	sb_done(&s);
}

static void chatter(struct board *b, enum fault_phase phase, uint64_t ready_us)
{
	if (fault_hit(b->faults, FAULT_CHATTER, phase, NULL))
		board_say(b, ready_us, "[   12.345678] wdt: still here");
}

static void add_nuls(struct strbuf *out, const char *text)
{
	size_t half = strlen(text) / 2;

	sb_add_n(out, "\0\0", 2);
	sb_add_n(out, text, half);
	sb_add_n(out, "\0", 1);
	sb_add(out, text + half);
}

#define HUGE_LINE_BYTES (100u * 1024)

void board_answer(struct board *b, uint64_t ready_us, const char *text)
{
	static const char garbage[] = "\xff\xfe\x80\xc3\x28\xf5";
	const enum fault_phase console = FAULT_PHASE_CONSOLE;
	struct strbuf s = {0};
	bool ended = true;

	chatter(b, console, ready_us);
	if (fault_hit(b->faults, FAULT_GARBAGE, console, NULL)) {
		sb_add(&s, garbage);
	} else if (fault_hit(b->faults, FAULT_HUGE_LINE, console, NULL)) {
		while (s.len < HUGE_LINE_BYTES)
			sb_add(&s, "0123456789abcdef");
		ended = false;
	} else if (fault_hit(b->faults, FAULT_NUL, console, NULL)) {
		add_nuls(&s, text);
	} else {
		sb_add(&s, text);
	}
	if (ended)
		sb_add(&s, b->set->eol);
	if (b->state == BOARD_APPLICATION &&
		(b->set->prompt || fault_hit(b->faults, FAULT_PROMPT, console, NULL)))
		sb_add(&s, "> ");
	board_send(b, console, ready_us, s.s, s.len);
	sb_done(&s);
}

void board_babble(struct board *b, size_t n, uint64_t now_us)
{
	static const char junk[] =
		"[   99.000000] babble 0123456789 abcdefghijklmnopqrstuvwxyz\r\n";

	for (size_t done = 0; done < n; done += sizeof junk - 1)
		wire_tx_push(&b->wire, now_us, false, junk, MIN(sizeof junk - 1, n - done));
}

/* -- boot and erase -- */

void board_start_application(struct board *b, uint64_t t_us)
{
	static const char *const boot_lines[] = {
		"[    0.000000] reset", "[    0.004211] clock 72 MHz", "[    0.009730] sensors up"};

	b->state = BOARD_BOOTING;
	b->boot_until_us = t_us + b->set->boot_ms * US_PER_MS;
	if (flash_blank(b->unit->flash)) {
		board_say(b, b->boot_until_us, "NO APP");
		return;
	}
	free(b->version);
	b->version = unit_version(b->unit);
	unit_count(b->unit, "boots", 1);
	board_keep(b);
	for (size_t i = 0; i < ARRAY_LEN(boot_lines); i++)
		board_say(b, b->boot_until_us, boot_lines[i]);

	_cleanup_(freep) char *banner =
		xasprintf("%s firmware %s ready", b->set->model, b->version);

	board_say(b, b->boot_until_us, banner);
	if (b->set->prompt)
		board_send(b, FAULT_PHASE_CONSOLE, b->boot_until_us, "> ", 2);
}

void board_erase(struct board *b, uint64_t t_us)
{
	const struct flash_geometry *g = flash_geometry(b->unit->flash);
	uint64_t pages = (flash_used(b->unit->flash) + g->page - 1) / g->page;
	double extra_ms = 0;

	fault_hit(b->faults, FAULT_SLOW_ERASE, FAULT_PHASE_CONSOLE, &extra_ms);
	b->busy_until_us = t_us + b->set->erase_ms * US_PER_MS + pages * b->set->erase_page_us +
			   (uint64_t)(extra_ms * (double)US_PER_MS);
	if (!fault_hit(b->faults, FAULT_NO_ERASE, FAULT_PHASE_CONSOLE, NULL)) {
		flash_erase(b->unit->flash);
		b->unit->lying_offset = -1;
		unit_count(b->unit, "erases", 1);
	}
	board_answer(b, b->busy_until_us, "OK");
}

/* -- binary frames -- */

static void answer_byte(struct board *b, uint64_t ready_us, uint8_t byte)
{
	board_send(b, FAULT_PHASE_WRITE, ready_us, &byte, 1);
}

/* Cells that do not take what was just written at offset. */
static void damage_cells(struct board *b, uint64_t offset, const uint8_t *data, size_t n)
{
	uint64_t place;

	if (b->faults->n == 0)
		return;
	if (fault_hit_range(b->faults, FAULT_WEAK_CELL, offset, n, &place))
		flash_damage(b->unit->flash, (uint32_t)place);
	if (fault_hit_range(b->faults, FAULT_LYING_READ, offset, n, &place)) {
		b->unit->lying_offset = (int64_t)place;
		b->unit->lying_value = data[place - offset];
		flash_damage(b->unit->flash, (uint32_t)place);
	}
}

static void write_frame(struct board *b, uint64_t t_us)
{
	const enum fault_phase phase = FAULT_PHASE_WRITE;
	struct rbytes in = rbytes_of(b->frame.s + 1, b->frame.len - 1);
	uint32_t addr = rb_le32(&in);
	uint16_t n = rb_le16(&in);
	const uint8_t *data = rb_take(&in, n);
	double late_ms = 0;
	double wrong = 0;

	b->busy_until_us = t_us + b->set->write_us;
	chatter(b, phase, b->busy_until_us);
	if (fault_hit(b->faults, FAULT_NAK, phase, NULL)) {
		unit_count(b->unit, "naks", 1);
		answer_byte(b, b->busy_until_us, NAK);
		return;
	}

	enum flash_verdict v = flash_write(b->unit->flash, addr, data, n, !b->set->lax);

	if (v == FLASH_OK) {
		damage_cells(b, addr - b->set->flash.base, data, n);
		unit_count(b->unit, "writes", 1);
		unit_count(b->unit, "bytes_written", n);
	} else if (!b->set->lax) {
		unit_count(b->unit, "naks", 1);
		answer_byte(b, b->busy_until_us, NAK);
		return;
	}
	if (fault_hit(b->faults, FAULT_LOST_ACK, phase, NULL))
		return;
	fault_hit(b->faults, FAULT_LATE_ACK, phase, &late_ms);
	if (!fault_hit(b->faults, FAULT_WRONG_ACK, phase, &wrong))
		wrong = ACK;
	answer_byte(b, b->busy_until_us + (uint64_t)(late_ms * (double)US_PER_MS), (uint8_t)wrong);
}

/* The guide does not say what a bad read gives: one NAK byte here, which is not the asked length.
 */
static void read_frame(struct board *b, uint64_t t_us)
{
	struct rbytes in = rbytes_of(b->frame.s + 1, b->frame.len - 1);
	uint32_t addr = rb_le32(&in);
	uint32_t n = rb_le32(&in);
	const struct flash_geometry *g = flash_geometry(b->unit->flash);
	uint8_t nak = NAK;

	chatter(b, FAULT_PHASE_READ, t_us);

	_cleanup_(freep) uint8_t *data = n <= g->size ? malloc(MAX(n, 1u)) : NULL;

	if (!data || flash_read(b->unit->flash, addr, data, n) != FLASH_OK) {
		unit_count(b->unit, "naks", 1);
		board_send(b, FAULT_PHASE_READ, t_us, &nak, 1);
		return;
	}

	int64_t lying = b->unit->lying_offset - (int64_t)(addr - g->base);

	if (b->unit->lying_offset >= 0 && lying >= 0 && lying < (int64_t)n)
		data[lying] = b->unit->lying_value;
	unit_count(b->unit, "bytes_read", n);
	board_send(b, FAULT_PHASE_READ, t_us, data, n);
}

/* -- the way in -- */

/* Whether the next byte is, or would be, part of a binary frame; *ret_op is its opcode. */
static bool in_frame(const struct board *b, uint8_t next, uint8_t *ret_op)
{
	if (b->frame.len)
		*ret_op = (uint8_t)b->frame.s[0];
	else if (b->state == BOARD_BOOTLOADER && !b->line.len &&
		 (next == OP_WRITE || next == OP_READ))
		*ret_op = next;
	else
		return false;
	return true;
}

static enum fault_phase phase_of(const struct board *b, uint8_t next)
{
	uint8_t op;

	if (!in_frame(b, next, &op))
		return FAULT_PHASE_CONSOLE;
	return op == OP_WRITE ? FAULT_PHASE_WRITE : FAULT_PHASE_READ;
}

/* How long the frame is, as far as its first `have` bytes show. */
static size_t frame_size(const uint8_t *p, size_t have)
{
	if (p[0] == OP_READ)
		return READ_HEAD_BYTES;
	if (have < WRITE_HEAD_BYTES)
		return WRITE_HEAD_BYTES;

	struct rbytes in = rbytes_of(p + 5, 2);

	return WRITE_HEAD_BYTES + (size_t)rb_le16(&in);
}

static void frame_bytes(struct board *b, const uint8_t *p, size_t n, uint64_t t_us)
{
	sb_add_n(&b->frame, p, n);
	if (b->set->frame_timeout_ms)
		b->frame_until_us = t_us + b->set->frame_timeout_ms * US_PER_MS;
	if (b->frame.len < frame_size((const uint8_t *)b->frame.s, b->frame.len))
		return;
	if (b->frame.s[0] == OP_WRITE)
		write_frame(b, t_us);
	else
		read_frame(b, t_us);
	sb_clear(&b->frame);
	b->frame_until_us = NEVER;
}

static void end_line(struct board *b, uint64_t t_us)
{
	_cleanup_(freep) char *line = sb_take(&b->line);
	bool too_long = b->line_too_long;

	b->line_too_long = false;
	if (too_long)
		board_answer(b, t_us, "ERROR: line too long");
	else
		console_line(b, line, t_us);
}

/* CR, LF and CRLF each end a line once. */
static void line_byte(struct board *b, uint8_t c, uint64_t t_us)
{
	bool second = c == '\n' && b->after_cr;

	b->after_cr = c == '\r';
	if (second)
		return;
	if (c == '\r' || c == '\n')
		end_line(b, t_us);
	else if (b->line.len >= BOARD_LINE_MAX)
		b->line_too_long = true;
	else
		sb_add_n(&b->line, &c, 1);
}

static void take_fate(struct board *b, enum fault_fate fate)
{
	static const enum device_wish wish[] = {[FATE_DISAPPEAR] = WISH_UNPLUG,
		[FATE_REPLUG] = WISH_REPLUG,
		[FATE_SWAP] = WISH_SWAP};

	switch (fate) {
	case FATE_PASS:
	case FATE_DROP:
		break;
	case FATE_STALL:
		b->stalled = true;
		break;
	case FATE_DISAPPEAR:
	case FATE_REPLUG:
	case FATE_SWAP:
		b->stalled = true;
		b->wish = wish[fate];
		break;
	}
}

/* Takes at least one of the n bytes that are through; returns how many. t_us: when the first was.
 */
static size_t take_bytes(struct board *b, const uint8_t *p, size_t n)
{
	uint64_t t_us = MAX(wire_rx_due(&b->wire, 0), b->busy_until_us);
	uint8_t op;

	if (b->faults->n == 0 && in_frame(b, p[0], &op)) {
		/* The quick way: as much of the frame as is there. */
		size_t have = b->frame.len;
		uint8_t head[WRITE_HEAD_BYTES];
		size_t known = MIN(have + n, sizeof head);

		for (size_t i = 0; i < known; i++)
			head[i] = i < have ? (uint8_t)b->frame.s[i] : p[i - have];

		size_t k = MIN(n, frame_size(head, known) - have);

		t_us = MAX(wire_rx_due(&b->wire, k - 1), b->busy_until_us);
		frame_bytes(b, p, k, t_us);
		return k;
	}

	uint8_t byte = p[0];
	enum fault_phase phase = phase_of(b, byte);
	enum fault_fate fate = fault_in(b->faults, phase, &byte);

	take_fate(b, fate);
	if (fate != FATE_PASS)
		return 1;
	if (in_frame(b, byte, &op))
		frame_bytes(b, &byte, 1, t_us);
	else
		line_byte(b, byte, t_us);
	return 1;
}

static void settle(struct board *b, uint64_t t_us)
{
	if (b->state == BOARD_BOOTING && t_us >= b->boot_until_us)
		b->state = flash_blank(b->unit->flash) ? BOARD_BOOTLOADER : BOARD_APPLICATION;
	if (t_us >= b->frame_until_us) {
		sb_clear(&b->frame);
		b->frame_until_us = NEVER;
	}
}

void board_run(struct board *b, uint64_t now_us)
{
	size_t ready;

	while (b->busy_until_us <= now_us && (ready = wire_rx_ready(&b->wire, now_us)) > 0) {
		size_t taken = 1;

		settle(b, MAX(wire_rx_due(&b->wire, 0), b->busy_until_us));
		/* A board that boots, hangs or is off hears nothing. */
		if (!b->stalled && (b->state == BOARD_BOOTLOADER || b->state == BOARD_APPLICATION))
			taken = take_bytes(b, wire_rx_peek(&b->wire), ready);
		wire_rx_pop(&b->wire, taken);
	}
	settle(b, now_us);
}

size_t board_room(const struct board *b)
{
	return wire_rx_room(&b->wire);
}

void board_input(struct board *b, const void *p, size_t n, uint64_t now_us)
{
	board_run(b, now_us);
	wire_rx_push(&b->wire, p, n, now_us);
	board_run(b, now_us);
}

size_t board_output(struct board *b, void *buf, size_t size, uint64_t now_us)
{
	board_run(b, now_us);
	return wire_tx_take(&b->wire, buf, size, now_us);
}

/* How many of the n queued bytes make the board do something. */
static size_t wanted(const struct board *b, const uint8_t *p, size_t n)
{
	uint8_t op;

	if (in_frame(b, p[0], &op)) {
		if (b->frame.len)
			return MIN(n, frame_size((const uint8_t *)b->frame.s, b->frame.len) -
					      b->frame.len);
		return MIN(n, frame_size(p, n));
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n' || p[i] == '\r')
			return i + 1;
	return n;
}

uint64_t board_due(const struct board *b)
{
	size_t n = wire_rx_len(&b->wire);
	uint64_t due = wire_tx_due(&b->wire);

	if (n) {
		size_t k = wanted(b, wire_rx_peek(&b->wire), n);
		uint64_t rx = wire_rx_due(&b->wire, k - 1);

		due = MIN(due, MAX(rx, b->busy_until_us));
	}
	return due;
}

enum board_state board_state(struct board *b, uint64_t now_us)
{
	board_run(b, now_us);
	return b->state;
}

const char *board_state_name(enum board_state s)
{
	static const char *const name[] = {"off", "bootloader", "booting", "application"};

	return name[s];
}

enum device_wish board_take_wish(struct board *b)
{
	enum device_wish w = b->wish;

	/* A board that boots gets its answer out first. */
	if (b->state == BOARD_BOOTING)
		return WISH_NONE;
	b->wish = WISH_NONE;
	return w;
}
