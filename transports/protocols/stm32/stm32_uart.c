/* SPDX-License-Identifier: Apache-2.0
 *
 * The session with the boot ROM: synchronising, asking what it is, coming back from a phase that
 * went wrong.
 */
#include "transports/protocols/stm32/stm32_uart_impl.h"

#include <stdarg.h>

#include "base/bytes.h"

#define INIT	      0x7f
#define BUSY	      0x76
#define BITS_PER_BYTE 11 /* 8E1 */
#define SLOW_BAUD     115200

const struct stm32_times stm32_times_default = {
	.sync_us = 500 * US_PER_MS,
	.ack_us = 1000 * US_PER_MS,
	.write_us = 1 * US_PER_S,
	.page_us = 5 * US_PER_S,
	.mass_us = 35 * US_PER_S,
	.protect_us = 1 * US_PER_S,
	.read_us = 1 * US_PER_S,
	.settle_us = 20 * US_PER_MS, /* above the 16 ms that FTDI adapters gather bytes */
	.reset_us = 100 * US_PER_MS,
};

struct stm32 *stm32_new(struct link *l, const struct stm32_opts *o, const struct stm32_hooks *hooks)
{
	struct stm32 *s = xcalloc(1, sizeof *s);

	s->link = l;
	s->o = *o;
	if (hooks)
		s->hooks = *hooks;
	return s;
}

struct stm32 *stm32_free(struct stm32 *s)
{
	/* What still comes is not for the dialogue in lines that follows on this link. */
	if (s && s->suspect)
		link_turn_lost(&s->link->turn);
	free(s);
	return NULL;
}

const struct stm32_info *stm32_info(const struct stm32 *s)
{
	return &s->info;
}

bool stm32_has(const struct stm32 *s, enum stm32_command c)
{
	for (size_t i = 0; i < s->info.commands; i++)
		if (s->info.command[i] == c)
			return true;
	return false;
}

uint64_t stm32_wire_us(const struct stm32 *s, uint64_t n)
{
	uint64_t baud = s->link->baud ? s->link->baud : SLOW_BAUD;

	return n * BITS_PER_BYTE * US_PER_S / baud;
}

bool stm32_wire_trouble(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_PROTOCOL || r == -ERR_DEVICE_REFUSED;
}

/* What went wrong on the wire leaves an answer that may still come. A NACK is one. */
static int outcome(struct stm32 *s, int r)
{
	if (r < 0 && r != -ERR_DEVICE_REFUSED)
		s->suspect = true;
	return r;
}

int stm32_put(struct stm32 *s, const void *p, size_t n, const struct iotime *it, struct err *e)
{
	return outcome(s, link_write(s->link, p, n, it, e));
}

static int get_byte(
	struct stm32 *s, uint64_t budget_us, uint8_t *ret, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, budget_us);

	return link_read_exact(s->link, ret, 1, NULL, &within, e);
}

/* What one read gave in the place of an ACK. What was asked is put into words for an error alone.
 */
static int judge_ack(struct stm32 *s, int r, uint8_t b, struct err *e, const char *fmt, va_list ap)
{
	char what[64];

	if (r == 0 && b == STM32_ACK)
		return 0;
	vsnprintf(what, sizeof what, fmt, ap);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "%s: no answer to %s", s->link->address, what);
	if (r < 0)
		return r;
	if (b == STM32_NACK)
		return err_set(e, ERR_DEVICE_REFUSED, "%s: the boot ROM refused %s",
			s->link->address, what);
	return err_set(e, ERR_PROTOCOL, "%s: expected an ACK (79) to %s, got %02x",
		s->link->address, what, b);
}

int stm32_await_ack(struct stm32 *s, uint64_t budget_us, const struct iotime *it, struct err *e,
	const char *fmt, ...)
{
	uint8_t b = 0;
	va_list ap;
	int r;

	do {
		r = get_byte(s, budget_us, &b, it, e);
	} while (r == 0 && b == BUSY && iotime_check(it, NULL) == 0);
	va_start(ap, fmt);
	r = judge_ack(s, r, b, e, fmt, ap);
	va_end(ap);
	return outcome(s, r);
}

static int judge_data(struct stm32 *s, int r, uint8_t b, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	r = judge_ack(s, r, b, e, fmt, ap);
	va_end(ap);
	return r;
}

/* After the ACK and what came with it. */
static int read_rest(struct stm32 *s, uint8_t *in, size_t got, uint32_t n,
	const struct iotime *within, struct err *e)
{
	size_t more = 0;
	int r = link_read_exact(s->link, in + got, 1 + n - got, &more, within, e);

	if (r != -ERR_TIMEOUT)
		return r;
	return err_set(e, ERR_TIMEOUT,
		"%s: a read of %u bytes was acknowledged, and %zu of them came in time",
		s->link->address, n, got + more - 1);
}

int stm32_await_data(struct stm32 *s, void *buf, uint32_t n, const struct iotime *it, struct err *e)
{
	uint8_t in[1 + STM32_BLOCK_BYTES] = {0};
	struct iotime within =
		iotime_within(it, s->o.times.ack_us + 2 * stm32_wire_us(s, n) + s->o.times.read_us);
	size_t got = 0;
	int r;

	/* Mostly all of it comes in one piece. */
	do {
		r = link_read(s->link, in, 1 + n, &got, &within, e);
	} while (r == 0 && got == 1 && in[0] == BUSY);
	r = judge_data(s, r, in[0], e, "a read of %u bytes", n);
	if (r == 0 && got < 1 + n)
		r = read_rest(s, in, got, n, &within, e);
	if (r == 0)
		memcpy(buf, in + 1, n);
	return outcome(s, r);
}

/* --- synchronising --- */

/* 1 synchronised, 0 silence or rubbish, or an error. */
static int knock(struct stm32 *s, uint64_t budget_us, const struct iotime *it, struct err *e)
{
	const uint8_t init = INIT;
	uint8_t b = 0;
	int r = link_write(s->link, &init, 1, it, e);

	if (r == 0)
		r = get_byte(s, budget_us, &b, it, e);
	if (r == -ERR_TIMEOUT)
		return iotime_check(it, e);
	if (r < 0)
		return r;
	if (b == STM32_ACK)
		return 1;
	if (b != STM32_NACK)
		teller_log(&s->hooks.tell, '#', "%02x came for 7f", b);
	r = link_drain(s->link, s->o.times.settle_us, s->o.times.sync_us, NULL, it, e);
	/* A NACK says that it was synchronised before. */
	return r < 0 ? r : b == STM32_NACK;
}

/* A ROM that was synchronised already takes the first 7F for a command and waits for its
 * complement; the second one it refuses. One that hears it for the first time answers at once, so
 * little time is spent on the first. */
static int synchronise(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = link_drain(s->link, 0, 0, NULL, it, e);

	for (unsigned i = 0; r == 0 && i < 2 * s->o.sync_attempts; i++)
		r = knock(s, i == 0 ? s->o.times.sync_us / 4 : s->o.times.sync_us, it, e);
	if (r != 0)
		return MIN(r, 0);
	return err_set(e, ERR_TIMEOUT,
		"%s: no boot ROM answers to 7f (is BOOT0 high, the unit powered, the parity even?)",
		s->link->address);
}

static int quiet(struct stm32 *s, const struct iotime *it, struct err *e)
{
	return link_drain(s->link, s->o.times.settle_us, s->o.times.sync_us, NULL, it, e);
}

/* n bytes FF: 1 where a NACK came within the budget, 0 where it did not, or an error. */
static int feed(
	struct stm32 *s, size_t n, uint64_t budget_us, const struct iotime *it, struct err *e)
{
	uint8_t fill[64];
	uint8_t b = 0;
	int r;

	memset(fill, 0xff, sizeof fill);
	r = link_write(s->link, fill, MIN(n, sizeof fill), it, e);
	if (r == 0)
		r = get_byte(s, budget_us, &b, it, e);
	if (r == -ERR_TIMEOUT)
		return iotime_check(it, e);
	if (r < 0)
		return r;
	/* An answer that is late may be long. */
	return b == STM32_NACK ? 1 : quiet(s, it, e);
}

/* 1 where the ROM waits for a command and has nothing of one: the first FF is not answered, the
 * second is refused. */
static int is_at_command(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = quiet(s, it, e);

	if (r == 0)
		r = feed(s, 1, s->o.times.settle_us, it, e);
	if (r != 0)
		return MIN(r, 0);
	r = feed(s, 1, s->o.times.sync_us, it, e);
	return r <= 0 ? r : quiet(s, it, e) == 0;
}

/* --- commands --- */

/* No byte may be left over, or the answer would be taken for another's. */
static int nothing_left(struct stm32 *s, const struct iotime *it, struct err *e)
{
	uint64_t before = s->link->rx_bytes;
	int r = link_drain(s->link, 0, 0, NULL, it, e);

	if (r == 0 && s->link->rx_bytes != before)
		r = err_set(e, ERR_PROTOCOL, "%s: %llu bytes came that no one asked for",
			s->link->address, (unsigned long long)(s->link->rx_bytes - before));
	return outcome(s, r);
}

int stm32_begin(struct stm32 *s, enum stm32_command c, const struct iotime *it, struct err *e)
{
	uint8_t code[2] = {(uint8_t)c, (uint8_t)(c ^ 0xff)};
	int r;

	if (s->info.commands && !stm32_has(s, c))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: the boot ROM of PID 0x%03x has no command %02x", s->link->address,
			s->info.pid, (unsigned)c);
	if (s->suspect) {
		r = stm32_resync(s, it, e);
		if (r < 0)
			return r;
	}
	/* A write is proved by what is read back. */
	r = c == STM32_WRITE ? 0 : nothing_left(s, it, e);
	if (r == 0)
		r = stm32_put(s, code, sizeof code, it, e);
	return r < 0 ? r
		     : stm32_await_ack(s, s->o.times.ack_us, it, e, "command %02x", (unsigned)c);
}

int stm32_send_address(struct stm32 *s, uint32_t address, const struct iotime *it, struct err *e)
{
	uint8_t frame[5];
	struct wbytes w = wbytes_of(frame, sizeof frame);
	int r;

	wb_be32(&w, address);
	wb_u8(&w, frame[0] ^ frame[1] ^ frame[2] ^ frame[3]);
	r = nothing_left(s, it, e);
	if (r == 0)
		r = stm32_put(s, frame, sizeof frame, it, e);
	return r < 0 ? r : stm32_await_ack(s, s->o.times.ack_us, it, e, "address 0x%08x", address);
}

static int take(struct stm32 *s, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, 2 * stm32_wire_us(s, n) + s->o.times.read_us);

	return outcome(s, link_read_exact(s->link, buf, n, NULL, &within, e));
}

/* AN3155, 3.1: the number of bytes that follow less one, the version, the codes. Some ROMs
 * acknowledge 7F twice (STM32L41x): then the first ACK here was that, and the second is read in
 * the place of the number, which never has its value. */
static int ask_commands(
	struct stm32 *s, struct stm32_info *ret, const struct iotime *it, struct err *e)
{
	uint8_t b[256];
	uint8_t n = 0;
	int r = stm32_begin(s, STM32_GET, it, e);

	if (r == 0)
		r = take(s, &n, 1, it, e);
	if (r == 0 && n == STM32_ACK)
		r = take(s, &n, 1, it, e);
	if (r == 0)
		r = take(s, b, (size_t)n + 1, it, e);
	if (r == 0)
		r = stm32_await_ack(s, s->o.times.ack_us, it, e, "the list of commands");
	if (r < 0)
		return r;
	if (n == 0 || n > STM32_COMMANDS_MAX) {
		s->suspect = true;
		return err_set(
			e, ERR_PROTOCOL, "%s: the boot ROM lists %u commands", s->link->address, n);
	}
	ret->version = b[0];
	ret->commands = n;
	memcpy(ret->command, b + 1, n);
	return 0;
}

static int get(struct stm32 *s, const struct iotime *it, struct err *e)
{
	return ask_commands(s, &s->info, it, e);
}

/* --- coming back --- */

/* 0 where Get is answered, and as before: the ROM answers one after the other, so that nothing
 * older is under way then. A single ACK or NACK is not worth as much: it looks like every other. */
static int prove_turn(struct stm32 *s, const struct iotime *it, struct err *e)
{
	struct stm32_info now = {0};
	int r;

	s->suspect = false;
	r = ask_commands(s, &now, it, e);
	if (r == 0 && s->info.commands &&
		(now.commands != s->info.commands ||
			memcmp(now.command, s->info.command, now.commands) != 0))
		r = err_set(e, ERR_PROTOCOL, "%s: the boot ROM lists other commands than before",
			s->link->address);
	s->suspect = r < 0;
	return r;
}

/* FF FF is not a command, and does not end any phase: its checksums would be 00, so it never
 * completes an erase or a jump (FF 00, which other hosts send, is the mass erase of a ROM that
 * waits for page numbers). The ROM refuses it at the byte that completes a phase; what it took as
 * data before is found by reading back. First byte by byte, in case one is missing; then more than
 * any data phase is long. */
int stm32_resync(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int proof = -ERR_TIMEOUT;
	int r = quiet(s, it, e);

	teller_log(&s->hooks.tell, '#', "resynchronising");
	for (unsigned i = 0; r == 0 && i < 16; i++) {
		r = feed(s, i % 8 < 3 ? 1 : 64, s->o.times.settle_us, it, e);
		if (r > 0)
			r = is_at_command(s, it, e);
		if (r <= 0)
			continue;
		proof = prove_turn(s, it, e);
		if (proof == 0 || !stm32_wire_trouble(proof) || iotime_check(it, NULL) < 0)
			return proof;
		r = 0;
	}
	if (r < 0)
		return r;
	/* A ROM that refuses Get has said so. */
	return proof != -ERR_TIMEOUT
		       ? proof
		       : err_set(e, ERR_TIMEOUT, "%s: the boot ROM does not come back",
				 s->link->address);
}

/* AN3155, 3.2. The two bytes after the version are of no use any more. */
static int get_version(struct stm32 *s, const struct iotime *it, struct err *e)
{
	uint8_t b[3];
	int r = stm32_begin(s, STM32_GET_VERSION, it, e);

	if (r == 0)
		r = take(s, b, sizeof b, it, e);
	return r < 0 ? r : stm32_await_ack(s, s->o.times.ack_us, it, e, "the version");
}

/* AN3155, 3.3 */
static int get_id(struct stm32 *s, const struct iotime *it, struct err *e)
{
	uint8_t b[256];
	uint8_t n = 0;
	int r = stm32_begin(s, STM32_GET_ID, it, e);
	struct rbytes in;

	if (r == 0)
		r = take(s, &n, 1, it, e);
	if (r == 0)
		r = take(s, b, (size_t)n + 1, it, e);
	if (r == 0)
		r = stm32_await_ack(s, s->o.times.ack_us, it, e, "the product id");
	if (r < 0)
		return r;
	if (n != 1)
		return err_set(
			e, ERR_PROTOCOL, "%s: a product id of %u bytes", s->link->address, n + 1);
	in = rbytes_of(b, 2);
	s->info.pid = rb_be16(&in);
	return 0;
}

static int know_device(struct stm32 *s, struct err *e)
{
	const struct stm32_device *d = stm32_device_by_pid(s->info.pid);
	static const struct stm32_device unknown = {.name = "an unknown part",
		.flash_base = 0x08000000,
		.write_unit = 8,
		.erased = 0xff};

	s->info.known = d != NULL;
	if (!d && (!s->o.run[0].bytes || !s->o.flash_bytes))
		return err_set(e, ERR_UNSUPPORTED,
			"%s: PID 0x%03x is in no table: say its pages and the size of its flash",
			s->link->address, s->info.pid);
	s->info.device = d ? *d : unknown;
	if (!d)
		s->info.device.flash_max = s->o.flash_bytes;
	if (s->o.run[0].bytes)
		memcpy(s->info.device.run, s->o.run, sizeof s->o.run);
	return 0;
}

/* Whether it may be read at all, and how large this part is. */
static int look_at_flash(struct stm32 *s, const struct iotime *it, struct err *e)
{
	struct stm32_info *i = &s->info;
	uint8_t b[4];
	int r = stm32_begin(s, STM32_READ, it, e);

	/* The NACK is of this command and no late one: Get is in its turn after it. */
	if (r == -ERR_DEVICE_REFUSED) {
		r = prove_turn(s, it, e);
		i->read_protected = r == 0;
		return r;
	}
	if (r == 0)
		r = stm32_send_address(s, i->device.flash_base, it, e);
	if (r == 0)
		r = stm32_put(s, (const uint8_t[2]){3, 0xfc}, 2, it, e);
	if (r == 0)
		r = stm32_await_data(s, b, sizeof b, it, e);
	return r < 0 ? err_prefix(e, "the beginning of the flash") : 0;
}

static int look_at_size(struct stm32 *s, const struct iotime *it, struct err *e)
{
	struct stm32_info *i = &s->info;
	uint8_t b[2] = {0};
	struct rbytes in = rbytes_of(b, 2);
	uint32_t bytes = 0;
	int r = -ERR_DEVICE_REFUSED;

	/* Some parts say nothing, or break off, where their register is read. */
	if (s->o.flash_bytes) {
		i->flash_bytes = s->o.flash_bytes;
		i->size_from = STM32_SIZE_OF_CALLER;
		return 0;
	}
	i->flash_bytes = i->device.flash_max;
	i->size_from = STM32_SIZE_OF_TABLE;
	if (i->device.size_register && !i->read_protected)
		r = stm32_read_block(s, i->device.size_register, b, 2, it, e);
	if (r < 0 && r != -ERR_DEVICE_REFUSED)
		return err_prefix(e, "the size of the flash ('flash_size' says it instead)");
	if (r == 0)
		bytes = rb_le16(&in) * 1024u;
	if (bytes && bytes <= i->device.flash_max) {
		i->flash_bytes = bytes;
		i->size_from = STM32_SIZE_OF_REGISTER;
	} else if (r == 0) {
		teller_log(&s->hooks.tell, '#',
			"the size register says %u bytes: the table's %u are taken", bytes,
			i->device.flash_max);
	}
	return 0;
}

static int look_at_uid(struct stm32 *s, const struct iotime *it, struct err *e)
{
	struct stm32_info *i = &s->info;
	int r;

	if (!i->device.uid_register || i->read_protected)
		return 0;
	r = stm32_read_block(s, i->device.uid_register, i->uid, sizeof i->uid, it, e);
	i->has_uid = r == 0;
	if (r == -ERR_DEVICE_REFUSED)
		return 0;
	return r < 0 ? err_prefix(e, "the unique id of the part") : 0;
}

static int ask(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r;

	s->info = (struct stm32_info){0};
	s->suspect = false; /* Get shows it, or fails */
	r = get(s, it, e);
	if (r == 0)
		r = get_version(s, it, e);
	if (r == 0)
		r = get_id(s, it, e);
	if (r == 0)
		r = know_device(s, e);
	if (r == 0)
		r = look_at_flash(s, it, e);
	if (r == 0)
		r = look_at_size(s, it, e);
	return r < 0 ? r : look_at_uid(s, it, e);
}

int stm32_connect(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = s->hooks.enter ? s->hooks.enter(s->hooks.data, it, e) : 0;

	if (r == 0)
		r = synchronise(s, it, e);
	for (unsigned i = 1; r == 0; i++) {
		r = ask(s, it, e);
		if (!stm32_wire_trouble(r) || i == s->o.sync_attempts || iotime_check(it, NULL) < 0)
			break;
		r = stm32_resync(s, it, e);
	}
	if (r < 0)
		err_prefix(e, "connect");
	else
		link_turn_clear(&s->link->turn); /* the application that owed an answer is gone */
	return r;
}

int stm32_reconnect(struct stm32 *s, const struct iotime *it, struct err *e)
{
	int r = iotime_sleep(s->o.times.reset_us, it, e);

	if (r == 0)
		r = stm32_connect(s, it, e);
	if (r < 0)
		err_prefix(e, "after its reset");
	return r;
}
