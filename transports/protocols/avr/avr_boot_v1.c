/* SPDX-License-Identifier: Apache-2.0
 *
 * STK500 version 1 (AVR061), as far as bootloaders have it.
 */
#include "transports/protocols/avr/avr_boot_impl.h"

#define EOP	  0x20
#define INSYNC	  0x14
#define OK	  0x10
#define NOSYNC	  0x15
#define FRAME_MAX (AVR_PAGE_MAX + 5)
#define WORDS_64K 0x10000u
#define MAJOR	  0x81
#define MINOR	  0x82
#define EXT_LOAD  0x4d /* load the high byte of an address, of the parts' own programming */

enum {
	GET_SYNC = 0x30,
	GET_PARAMETER = 0x41,
	ENTER_PROGMODE = 0x50,
	LEAVE_PROGMODE = 0x51,
	LOAD_ADDRESS = 0x55,
	UNIVERSAL = 0x56,
	PROG_PAGE = 0x64,
	READ_PAGE = 0x74,
	READ_SIGN = 0x75
};

static int judge(
	const struct avr_boot *s, const uint8_t *in, uint32_t want, const char *what, struct err *e)
{
	if (in[0] == NOSYNC)
		return err_set(e, ERR_PROTOCOL, "%s: the bootloader is out of step at %s",
			s->link->address, what);
	if (in[0] != INSYNC)
		return err_set(e, ERR_PROTOCOL,
			"%s: the answer to %s begins with %02x, 14 expected", s->link->address,
			what, in[0]);
	if (in[1 + want] != OK)
		return err_set(e, ERR_DEVICE_REFUSED,
			"%s: the bootloader refused %s: it ends with %02x, 10 expected",
			s->link->address, what, in[1 + want]);
	return 0;
}

/* command of n bytes and its end; want bytes come back between 14 and 10. */
static int command(struct avr_boot *s, const uint8_t *p, size_t n, uint8_t *ret, uint32_t want,
	uint64_t budget_us, const char *what, const struct iotime *it, struct err *e)
{
	uint8_t out[FRAME_MAX];
	uint8_t in[AVR_PAGE_MAX + 2];
	struct wbytes w = wbytes_of(out, sizeof out);
	struct iotime within;
	size_t got = 0;
	int r = avr_nothing_left(s, it, e);

	wb_put(&w, p, n);
	wb_u8(&w, EOP);
	if (r == 0)
		r = avr_outcome(s, link_write(s->link, out, w.len, it, e));
	if (r < 0)
		return r;
	within = iotime_within(it, budget_us + 2 * avr_wire_us(s, w.len + want));
	r = link_read_exact(s->link, in, want + 2, &got, &within, e);
	if (r == -ERR_TIMEOUT)
		r = err_set(e, ERR_TIMEOUT, "%s: %zu of the %u bytes of the answer to %s came",
			s->link->address, got, want + 2, what);
	if (r == 0)
		r = judge(s, in, want, what, e);
	if (r == 0 && want)
		memcpy(ret, in + 1, want);
	return avr_outcome(s, r);
}

static int get_sync(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	const uint8_t c = GET_SYNC;

	return command(s, &c, 1, NULL, 0, s->o.sync_us, "GET_SYNC", it, e);
}

static int parameter(
	struct avr_boot *s, uint8_t which, uint8_t *ret, const struct iotime *it, struct err *e)
{
	const uint8_t c[] = {GET_PARAMETER, which};

	return command(s, c, sizeof c, ret, 1, s->o.answer_us, "GET_PARAMETER", it, e);
}

static int version(
	struct avr_boot *s, uint8_t *major, uint8_t *minor, const struct iotime *it, struct err *e)
{
	int r = parameter(s, MAJOR, major, it, e);

	return r < 0 ? r : parameter(s, MINOR, minor, it, e);
}

static int enter(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	const uint8_t c = ENTER_PROGMODE;

	s->high = 0;
	return command(s, &c, 1, NULL, 0, s->o.answer_us, "ENTER_PROGMODE", it, e);
}

static int signature(struct avr_boot *s, uint8_t ret[3], const struct iotime *it, struct err *e)
{
	const uint8_t c = READ_SIGN;

	return command(s, &c, 1, ret, 3, s->o.answer_us, "READ_SIGN", it, e);
}

/* In words of 16 bits; a part above 128 KiB has a byte more. */
static int load_address(struct avr_boot *s, uint32_t at, const struct iotime *it, struct err *e)
{
	uint32_t words = at / 2;
	uint32_t high = words / WORDS_64K;
	const uint8_t low[] = {LOAD_ADDRESS, (uint8_t)words, (uint8_t)(words >> 8)};
	const uint8_t more[] = {UNIVERSAL, EXT_LOAD, 0, (uint8_t)high, 0};
	uint8_t any;
	int r = 0;

	if (high != s->high)
		r = command(s, more, sizeof more, &any, 1, s->o.answer_us,
			"the high byte of an address", it, e);
	if (r < 0)
		return r;
	s->high = high;
	return command(s, low, sizeof low, NULL, 0, s->o.answer_us, "LOAD_ADDRESS", it, e);
}

static int write_page(struct avr_boot *s, uint32_t at, const uint8_t *p, uint32_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t c[AVR_PAGE_MAX + 4];
	struct wbytes w = wbytes_of(c, sizeof c);
	int r = load_address(s, at, it, e);

	wb_u8(&w, PROG_PAGE);
	wb_be16(&w, (uint16_t)n);
	wb_u8(&w, 'F');
	wb_put(&w, p, n);
	return r < 0 ? r : command(s, c, w.len, NULL, 0, s->o.answer_us, "PROG_PAGE", it, e);
}

static int read_page(struct avr_boot *s, uint32_t at, uint8_t *p, uint32_t n,
	const struct iotime *it, struct err *e)
{
	const uint8_t c[] = {READ_PAGE, (uint8_t)(n >> 8), (uint8_t)n, 'F'};
	int r = load_address(s, at, it, e);

	return r < 0 ? r : command(s, c, sizeof c, p, n, s->o.answer_us, "READ_PAGE", it, e);
}

static int leave(struct avr_boot *s, const struct iotime *it, struct err *e)
{
	const uint8_t c = LEAVE_PROGMODE;

	return command(s, &c, 1, NULL, 0, s->o.answer_us, "LEAVE_PROGMODE", it, e);
}

const struct avr_ops avr_v1_ops = {
	.sync = get_sync,
	.version = version,
	.enter = enter,
	.signature = signature,
	.write_page = write_page,
	.read_page = read_page,
	.leave = leave,
};
