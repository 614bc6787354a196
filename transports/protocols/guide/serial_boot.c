/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of the serial bootloader: entering it, erasing, starting the application.
 */
#include "transports/protocols/guide/serial_boot_impl.h"

#include <string.h>

#include "base/bytes.h"

#define CHUNK_MAX_BYTES (1024 * 1024)
#define BLOCK_MAX_BYTES (1024 * 1024)

/* The word is the line, after a prompt or not and with what bootloaders print next to it: their
 * name and version, what was done. Anything else is not known to agree: "NOT READY", "ALMOST READY"
 * and "BOOTING FAILED" hold the word too. */
#define LINE(before, word) "^(?:[\\w.~:/-]*[>#$%]\\s*)*" before word "[.!]{0,3}$"
#define LOADER		   "(?:(?:(?i:\\[?\\w*(?:boot|loader)\\w*\\]?:?)|v?\\d[\\w.]*:?)\\s+)*"

const struct serial_boot_profile serial_boot_guide_v1 = {
	.name = "guide-v1",
	.eol = "\r\n",
	.enter_text = "BOOT",
	.enter_ok = LINE(LOADER, "READY"),
	.erase_text = "ERASE",
	.erase_ok = LINE("(?i:erased?:?\\s+)?", "OK"),
	.start_text = "BOOT_APP",
	.start_ok = LINE("", "BOOTING(?i:\\s+app(?:lication)?)?"),
	.refusal = CONSOLE_ERROR_DEFAULT
	"|\\b(?:NOT|NO)[\\s_-]*(?:OK|READY|BOOTING)\\b"
	"|\\b(?:FAIL\\w*|ERRORS?|ABORT\\w*|DENIED|REFUSED)\\b.*\\b(?:OK|READY|BOOTING)\\b"
	"|\\b(?:OK|READY|BOOTING)\\b.*\\b(?:FAIL\\w*|ERRORS?|ABORT\\w*|DENIED|REFUSED|"
	"NOT|BAD|INVALID)\\b",
	.write_op = 0x01,
	.read_op = 0x02,
	.ack = 0x06,
	.nak = 0x15,
	.write_length_bytes = 2,
	.read_length_bytes = 4,
	.chunk_bytes = 256,
	.write_unit_bytes = 4,
	.read_block_bytes = 4096,
	.enter_attempts = 3,
	.attempts = 2,
	.probe = true,
	.enter_us = 1 * US_PER_S,
	.erase_us = 30 * US_PER_S,
	.start_us = 2 * US_PER_S,
	.banner_us = 10 * US_PER_S,
	.ack_us = 5 * US_PER_S,
	.read_us = 500 * US_PER_MS,
	.settle_us = 20 * US_PER_MS, /* above the 16 ms that FTDI adapters gather bytes */
	.recover_us = 500 * US_PER_MS,
};

static int check_profile(const struct serial_boot_profile *p, struct err *e)
{
	unsigned w = p->write_length_bytes;
	unsigned rd = p->read_length_bytes;

	if ((w != 2 && w != 4) || (rd != 2 && rd != 4))
		return err_set(e, ERR_INVALID, "a length field has 2 or 4 bytes");
	if (p->chunk_bytes == 0 || p->chunk_bytes > (w == 2 ? UINT16_MAX : CHUNK_MAX_BYTES))
		return err_set(e, ERR_INVALID,
			"a chunk of %u bytes does not fit the length field of %u bytes",
			p->chunk_bytes, w);
	if (p->write_unit_bytes == 0 || p->chunk_bytes % p->write_unit_bytes)
		return err_set(e, ERR_INVALID,
			"a chunk of %u bytes is not a multiple of the write unit of %u bytes",
			p->chunk_bytes, p->write_unit_bytes);
	if (p->page_bytes % p->write_unit_bytes)
		return err_set(e, ERR_INVALID,
			"a page of %u bytes is not a multiple of the write unit of %u bytes",
			p->page_bytes, p->write_unit_bytes);
	if (p->read_block_bytes == 0 ||
		p->read_block_bytes > (rd == 2 ? UINT16_MAX : BLOCK_MAX_BYTES))
		return err_set(e, ERR_INVALID, "a read block of %u bytes is not possible",
			p->read_block_bytes);
	if (p->skip_erase && (p->skip_blank || p->attempts > 1))
		return err_set(
			e, ERR_INVALID, "without an erase every chunk has to be written, and once");
	if (p->enter_attempts == 0 || p->attempts == 0)
		return err_set(e, ERR_INVALID, "at least one attempt is needed");
	return 0;
}

int serial_boot_attach(struct serial_boot *b, struct link *l, struct err *e)
{
	struct console_opts o = {
		.eol = b->p.eol,
		.quiet_us = b->p.settle_us,
		.own_turns = true,
		.secrets = b->hooks.secrets,
		.tell = b->hooks.tell,
	};

	b->console = console_free(b->console);
	b->link = l;
	return console_new(l, &o, &b->console, e);
}

static int compile(struct serial_boot *b, struct err *e)
{
	const struct {
		const char *pattern;
		struct regex **to;
	} all[] = {
		{b->p.enter_ok, &b->enter_ok},
		{b->p.erase_ok, &b->erase_ok},
		{b->p.start_ok, &b->start_ok},
		{b->p.refusal, &b->refusal},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = regex_new(all[i].pattern, all[i].to, e);
	return r;
}

int serial_boot_new(struct link *l, const struct serial_boot_profile *p,
	const struct serial_boot_hooks *hooks, struct serial_boot **ret, struct err *e)
{
	int r = check_profile(p, e);

	if (r < 0)
		return r;

	_cleanup_(serial_boot_freep) struct serial_boot *b = xcalloc(1, sizeof *b);

	b->p = *p;
	if (hooks)
		b->hooks = *hooks;
	b->frame = malloc(p->chunk_bytes + 16);
	b->chunk = malloc(p->chunk_bytes);
	b->block = malloc(p->read_block_bytes);
	if (!b->frame || !b->chunk || !b->block)
		return err_set(e, ERR_NO_MEMORY, "serial bootloader");
	r = compile(b, e);
	if (r == 0)
		r = serial_boot_attach(b, l, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&b);
	return 0;
}

struct serial_boot *serial_boot_free(struct serial_boot *b)
{
	if (b) {
		console_free(b->console);
		regex_free(b->enter_ok);
		regex_free(b->erase_ok);
		regex_free(b->start_ok);
		regex_free(b->refusal);
		free(b->frame);
		free(b->chunk);
		free(b->block);
		free(b);
	}
	return NULL;
}

/* Whether the device answered or kept silent, but is there and may be asked again. */
static bool may_ask_again(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_UNEXPECTED_REPLY || r == -ERR_DEVICE_REFUSED ||
	       r == -ERR_PROTOCOL;
}

/* One line and its answer, with quiet after it: the end of the answer's line end, or a prompt, must
 * not be taken for the first byte of a frame's answer. */
static int line_command(struct serial_boot *b, const char *text, const struct regex *ok,
	uint64_t budget_us, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, budget_us);
	int r = console_command(b->console, text, ok, b->refusal, &within, NULL, e);

	return r < 0 ? r : console_settle(b->console, b->p.settle_us, it, e);
}

/* Two reads of different length, each answered by exactly as many bytes and alike where they
 * overlap: no application's console answers so ("ERR" and a line end are four bytes too). */
static int probe(struct serial_boot *b, uint32_t address, const struct iotime *it, struct err *e)
{
	uint8_t first[4], second[8];
	int r = serial_boot_read_block(b, address, first, sizeof first, it, e);

	if (r == 0)
		r = serial_boot_check_idle(b, b->p.settle_us, it, e);
	if (r == 0)
		r = serial_boot_read_block(b, address, second, sizeof second, it, e);
	if (r == 0)
		r = serial_boot_check_idle(b, b->p.settle_us, it, e);
	if (r == 0 && memcmp(first, second, sizeof first))
		r = err_set(e, ERR_PROTOCOL, "two reads of 0x%08x differ", address);
	return r;
}

/* After a probe that failed: ends whatever line the application made of its bytes. */
static int end_line(struct serial_boot *b, const struct iotime *it, struct err *e)
{
	int r = console_send(b->console, "", it, e);

	return r < 0 ? r : console_settle(b->console, b->p.settle_us, it, e);
}

/* Whether the device that did not agree to enter is in the bootloader already: 1 yes, 0 no. */
static int found_by_reading(
	struct serial_boot *b, uint32_t address, const struct iotime *it, struct err *e)
{
	int r = probe(b, address, it, e);

	if (r == 0)
		return 1;
	if (!may_ask_again(r))
		return r;
	r = end_line(b, it, e);
	return r < 0 ? r : 0;
}

int serial_boot_enter(
	struct serial_boot *b, uint32_t probe_address, const struct iotime *it, struct err *e)
{
	struct err why = {0}; /* of the last BOOT; what follows it may fail for its own reasons */
	int r = console_settle(b->console, b->p.settle_us, it, e);

	if (r < 0)
		return r;
	link_turn_lost(&b->link->turn);
	for (unsigned i = 1; i <= b->p.enter_attempts; i++) {
		bool last = i == b->p.enter_attempts;

		teller_progress(&b->hooks.tell, "enter", i, b->p.enter_attempts);
		r = line_command(b, b->p.enter_text, b->enter_ok, b->p.enter_us, it, &why);
		if (r == 0) {
			link_turn_clear(&b->link->turn);
			return 0;
		}
		if (!may_ask_again(r) || iotime_check(it, NULL) < 0)
			break;
		if (!b->p.probe || !(last || r == -ERR_DEVICE_REFUSED))
			continue;

		int found = found_by_reading(b, probe_address, it, e);

		if (found > 0)
			link_turn_clear(&b->link->turn);
		if (found != 0)
			return MIN(found, 0);
	}
	if (e)
		*e = why;
	err_prefix(e, "enter the bootloader");
	return r;
}

int serial_boot_erase(struct serial_boot *b, const struct iotime *it, struct err *e)
{
	if (b->link->turn.owed)
		return err_set(e, ERR_OUT_OF_STEP,
			"%s: an earlier command may still be answered: enter the bootloader again before the erase",
			b->link->address);
	teller_progress(&b->hooks.tell, "erase", 0, 1);

	int r = line_command(b, b->p.erase_text, b->erase_ok, b->p.erase_us, it, e);

	if (r < 0) {
		link_turn_lost(&b->link->turn);
		err_prefix(e, "erase");
		return r;
	}
	teller_progress(&b->hooks.tell, "erase", 1, 1);
	return 0;
}

int serial_boot_start(struct serial_boot *b, const struct regex *banner, const struct iotime *it,
	struct console_reply *ret_started, struct console_reply *ret_banner, struct err *e)
{
	struct iotime within = iotime_within(it, b->p.start_us);
	struct console_reply started = {0};
	int r;

	link_turn_lost(&b->link->turn);
	r = console_command(
		b->console, b->p.start_text, b->start_ok, b->refusal, &within, &started, e);

	if (r == 0 && banner) {
		within = iotime_within(it, b->p.banner_us);
		r = console_expect(b->console, banner, NULL, &within, ret_banner, e);
	}
	if (r == 0)
		link_turn_clear(&b->link->turn);
	if (r == 0 && ret_started)
		*ret_started = started;
	else
		console_reply_done(&started);
	if (r < 0)
		err_prefix(e, "start the application");
	return r;
}
