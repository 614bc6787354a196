/* SPDX-License-Identifier: Apache-2.0
 *
 * STK500 version 2 (AVR068), as far as bootloaders have it: programming in system.
 */
#include "transports/protocols/avr/avr_boot_impl.h"

#define START	 0x1b
#define TOKEN	 0x0e
#define HEAD	 5
#define BODY_MAX (AVR_PAGE_MAX + 16)
#define OK	 0x00
#define MAJOR	 0x91
#define MINOR	 0x92
/* Of the parts' own programming, which a bootloader has no use for: as avrdude sends them for ATmega. */
#define READ_SIGNATURE_BYTE 0x30
#define READ_LOW_BYTE	    0x20

enum {
	SIGN_ON = 0x01,
	GET_PARAMETER = 0x03,
	LOAD_ADDRESS = 0x06,
	ENTER_PROGMODE = 0x10,
	LEAVE_PROGMODE = 0x11,
	PROGRAM_FLASH = 0x13,
	READ_FLASH = 0x14,
	READ_SIGNATURE = 0x1b
};

struct ask {
	const uint8_t *body;
	size_t n;
	uint64_t budget_us;
	const char *what;
};

static int send(struct avr_boot *s, const struct ask *a, const struct iotime *it, struct err *e)
{
	uint8_t out[HEAD + BODY_MAX + 1];
	struct wbytes w = wbytes_of(out, sizeof out);
	uint8_t x = 0;

	wb_u8(&w, START);
	wb_u8(&w, ++s->number);
	wb_be16(&w, (uint16_t)a->n);
	wb_u8(&w, TOKEN);
	wb_put(&w, a->body, a->n);
	for (size_t i = 0; i < w.len; i++)
		x ^= out[i];
	wb_u8(&w, x);
	return link_write(s->link, out, w.len, it, e);
}

/* One frame, after bytes that belong to none: its number, and its body in body. */
static int next_frame(struct avr_boot *s, uint8_t *ret_number, uint8_t *body, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	uint8_t in[HEAD + BODY_MAX + 1];
	uint8_t x = 0;
	size_t n;
	int r;

	do {
		r = link_read_exact(s->link, in, 1, NULL, it, e);
	} while (r == 0 && in[0] != START);
	if (r == 0)
		r = link_read_exact(s->link, in + 1, HEAD - 1, NULL, it, e);
	if (r < 0)
		return r;
	n = (size_t)(in[2] << 8 | in[3]);
	if (in[4] != TOKEN || n == 0 || n > BODY_MAX)
		return err_set(e, ERR_PROTOCOL,
			"%s: %02x %02x %02x %02x %02x is not the beginning of an answer",
			s->link->address, in[0], in[1], in[2], in[3], in[4]);
	r = link_read_exact(s->link, in + HEAD, n + 1, NULL, it, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < HEAD + n + 1; i++)
		x ^= in[i];
	if (x)
		return err_set(e, ERR_PROTOCOL, "%s: an answer of %zu bytes has a wrong checksum",
			s->link->address, n);
	*ret_number = in[1];
	*ret_n = n;
	memcpy(body, in + HEAD, n);
	return 0;
}

/* want bytes after the command and its status, and with `status_last` another status after them. */
static int command(struct avr_boot *s, const struct ask *a, uint8_t *ret, size_t want,
	bool status_last, const struct iotime *it, struct err *e)
{
	struct iotime within =
		iotime_within(it, a->budget_us + 2 * avr_wire_us(s, a->n + want + 2 * HEAD));
	uint8_t body[BODY_MAX];
	uint8_t number = 0;
	size_t n = 0;
	int r = avr_outcome(s, send(s, a, it, e));

	if (r < 0)
		return r;
	do {
		r = next_frame(s, &number, body, &n, &within, e);
	} while (r == 0 && number != s->number); /* late, or doubled */
	if (r == -ERR_TIMEOUT)
		r = err_set(e, ERR_TIMEOUT, "%s: no answer to %s", s->link->address, a->what);
	if (r == 0 && (n < 2 || body[0] != a->body[0]))
		r = err_set(e, ERR_PROTOCOL, "%s: the answer to %s is one to command %02x",
			s->link->address, a->what, body[0]);
	if (r == 0 && body[1] != OK)
		r = err_set(e, ERR_DEVICE_REFUSED, "%s: the bootloader refused %s with status %02x",
			s->link->address, a->what, body[1]);
	if (r == 0 && (n != 2 + want + status_last || (status_last && body[n - 1] != OK)))
		r = err_set(e, ERR_PROTOCOL, "%s: the answer to %s has %zu bytes, %zu expected",
			s->link->address, a->what, n, 2 + want + status_last);
	if (r == 0 && want)
		memcpy(ret, body + 2, want);
	return avr_outcome(s, r);
}

/* "AVRISP_2", "STK500_2" and others: how long the name is, it says. */
static int sign_on(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	static const uint8_t body[] = {SIGN_ON};
	const struct ask a = {body, sizeof body, s->o.sync_us, "SIGN_ON"};
	uint8_t name[9];

	return command(s, &a, name, sizeof name, false, it, e);
}

static int parameter(
	struct avr_boot *s, uint8_t which, uint8_t *ret, const struct iotime *it, struct err *e)
{
	const uint8_t body[] = {GET_PARAMETER, which};
	const struct ask a = {body, sizeof body, s->o.answer_us, "GET_PARAMETER"};

	return command(s, &a, ret, 1, false, it, e);
}

static int version(
	struct avr_boot *s, uint8_t *major, uint8_t *minor, const struct iotime *it, struct err *e)
{
	int r = parameter(s, MAJOR, major, it, e);

	return r < 0 ? r : parameter(s, MINOR, minor, it, e);
}

static int enter(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	static const uint8_t body[] = {
		ENTER_PROGMODE, 200, 100, 25, 32, 0, 0x53, 3, 0xac, 0x53, 0, 0};
	const struct ask a = {body, sizeof body, s->o.answer_us, "ENTER_PROGMODE_ISP"};

	return command(s, &a, NULL, 0, false, it, e);
}

static int signature(struct avr_boot *s, uint8_t ret[3], const struct iotime *it, struct err *e)
{
	int r = 0;

	for (uint8_t i = 0; r == 0 && i < 3; i++) {
		const uint8_t body[] = {READ_SIGNATURE, 4, READ_SIGNATURE_BYTE, 0, i, 0};
		const struct ask a = {body, sizeof body, s->o.answer_us, "READ_SIGNATURE_ISP"};

		r = command(s, &a, &ret[i], 1, true, it, e);
	}
	return r;
}

/* In words; the highest bit says that there are more than 64 K of them. */
static int load_address(struct avr_boot *s, uint32_t at, const struct iotime *it, struct err *e)
{
	uint8_t body[5];
	struct wbytes w = wbytes_of(body, sizeof body);
	const struct ask a = {body, sizeof body, s->o.answer_us, "LOAD_ADDRESS"};

	wb_u8(&w, LOAD_ADDRESS);
	wb_be32(&w, at / 2 | (s->info.flash_bytes > 128 * 1024 ? 1u << 31 : 0));
	return command(s, &a, NULL, 0, false, it, e);
}

static int write_page(struct avr_boot *s, uint32_t at, const uint8_t *p, uint32_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t body[BODY_MAX];
	struct wbytes w = wbytes_of(body, sizeof body);
	struct ask a = {body, 0, s->o.answer_us, "PROGRAM_FLASH_ISP"};
	int r = load_address(s, at, it, e);

	wb_u8(&w, PROGRAM_FLASH);
	wb_be16(&w, (uint16_t)n);
	wb_put(&w, "\xc1\x0a\x40\x4c\x20\xff\xff",
		7); /* by pages; delay and the part's own commands */
	wb_put(&w, p, n);
	a.n = w.len;
	return r < 0 ? r : command(s, &a, NULL, 0, false, it, e);
}

static int read_page(struct avr_boot *s, uint32_t at, uint8_t *p, uint32_t n,
	const struct iotime *it, struct err *e)
{
	const uint8_t body[] = {READ_FLASH, (uint8_t)(n >> 8), (uint8_t)n, READ_LOW_BYTE};
	const struct ask a = {body, sizeof body, s->o.answer_us, "READ_FLASH_ISP"};
	int r = load_address(s, at, it, e);

	return r < 0 ? r : command(s, &a, p, n, true, it, e);
}

static int leave(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	static const uint8_t body[] = {LEAVE_PROGMODE, 1, 1};
	const struct ask a = {body, sizeof body, s->o.answer_us, "LEAVE_PROGMODE_ISP"};

	return command(s, &a, NULL, 0, false, it, e);
}

const struct avr_ops avr_v2_ops = {
	.sync = sign_on,
	.version = version,
	.enter = enter,
	.signature = signature,
	.write_page = write_page,
	.read_page = read_page,
	.leave = leave,
};
