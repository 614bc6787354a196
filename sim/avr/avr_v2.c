/* SPDX-License-Identifier: Apache-2.0
 *
 * A bootloader that speaks STK500 version 2 (AVR068), as that of the Arduino Mega does: 1B, number, length, 0E, body, XOR.
 */
#include "sim/avr/avr.h"

#define START  0x1b
#define TOKEN  0x0e
#define OK     0x00
#define FAILED 0xc0

enum {
	SIGN_ON = 0x01,
	SET_PARAMETER = 0x02,
	GET_PARAMETER = 0x03,
	LOAD_ADDRESS = 0x06,
	ENTER = 0x10,
	LEAVE = 0x11,
	CHIP_ERASE = 0x12,
	PROGRAM_FLASH = 0x13,
	READ_FLASH = 0x14,
	READ_SIGNATURE = 0x1b,
	SPI_MULTI = 0x1d
};

static void reply(
	struct avr *s, uint64_t now_us, uint8_t status, const void *p, size_t n, bool again)
{
	uint8_t out[AVR_FRAME_MAX];
	struct wbytes w = wbytes_of(out, sizeof out);
	uint8_t x = 0;

	if (s->refuses)
		status = FAILED;
	wb_u8(&w, START);
	wb_u8(&w, s->frame[1]);
	wb_be16(&w, (uint16_t)(2 + n + again));
	wb_u8(&w, TOKEN);
	wb_u8(&w, s->command);
	wb_u8(&w, status);
	wb_put(&w, p, n);
	if (again)
		wb_u8(&w, status);
	for (size_t i = 0; i < w.len; i++)
		x ^= out[i];
	wb_u8(&w, x);
	avr_answer(s, now_us, out, w.len);
}

static void read_flash(struct avr *s, uint64_t now_us, const uint8_t *body)
{
	uint8_t data[AVR_FRAME_MAX - 16];
	size_t n = (size_t)(body[1] << 8 | body[2]);

	s->reads++;
	if (n > 512 || !avr_read(s, data, n)) {
		reply(s, now_us, FAILED, NULL, 0, false);
		return;
	}
	s->address += (uint32_t)n;
	reply(s, now_us, OK, data, avr_fault_is_for(s, AVR_SHORT) ? n - 1 : n, true);
}

static void program(struct avr *s, uint64_t now_us, const uint8_t *body, size_t n)
{
	size_t bytes = (size_t)(body[1] << 8 | body[2]);
	bool done = n >= 10 && bytes == n - 10;

	s->writes++;
	if (done && !s->refuses)
		done = avr_write(s, body + 10, bytes);
	s->address += (uint32_t)bytes;
	reply(s, now_us, done ? OK : FAILED, NULL, 0, false);
}

static void run(struct avr *s, uint64_t now_us, const uint8_t *body, size_t n)
{
	struct rbytes b = rbytes_of(body + 1, n - 1);

	s->command = body[0];
	s->refuses = avr_fault_is_for(s, AVR_REFUSE);
	switch (s->command) {
	case SIGN_ON:
		reply(s, now_us, OK,
			"\x08"
			"AVRISP_2",
			9, false);
		break;
	case GET_PARAMETER:
		reply(s, now_us, OK, n > 1 && body[1] == 0x91 ? "\x02" : "\x0a", 1, false);
		break;
	case LOAD_ADDRESS:
		s->address = 2 * (rb_be32(&b) & 0x7fffffff);
		reply(s, now_us, OK, NULL, 0, false);
		break;
	case PROGRAM_FLASH:
		program(s, now_us, body, n);
		break;
	case READ_FLASH:
		read_flash(s, now_us, body);
		break;
	case READ_SIGNATURE:
		reply(s, now_us, OK, &s->part->signature[n > 4 ? body[4] % 3 : 0], 1, true);
		break;
	case SPI_MULTI: {
		uint8_t four[4] = {0, n > 4 ? body[4] : 0, 0, 0};

		/* The bootloader answers what a programmer would have read: the signature, and 0 for the rest. */
		if (n > 6 && body[4] == 0x30)
			four[3] = s->part->signature[body[6] % 3];
		reply(s, now_us, OK, four, n > 2 ? MIN(body[2], 4) : 4, true);
		break;
	}
	default:
		reply(s, now_us, OK, NULL, 0, false);
		if (s->command == LEAVE)
			avr_start(s, now_us);
		break;
	}
}

void avr_v2_take(struct avr *s, uint8_t b, uint64_t now_us)
{
	size_t want;
	uint8_t x = 0;

	if (s->len == 0 && b != START)
		return;
	s->frame[s->len++] = b;
	if (s->len == 5 && b != TOKEN)
		s->len = 0;
	if (s->len < 5)
		return;
	want = 6 + (size_t)(s->frame[2] << 8 | s->frame[3]);
	if (want > sizeof s->frame) {
		s->len = 0;
		return;
	}
	if (s->len < want)
		return;
	for (size_t i = 0; i < want; i++)
		x ^= s->frame[i];
	if (x == 0 && want > 6)
		run(s, now_us, s->frame + 5, want - 6);
	s->len = 0;
}
