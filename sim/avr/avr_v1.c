/* SPDX-License-Identifier: Apache-2.0
 *
 * A bootloader that speaks STK500 version 1 (AVR061), as optiboot does: each command ends with 20, and is answered 14 .. 10.
 */
#include "sim/avr/avr.h"

#define EOP    0x20
#define INSYNC 0x14
#define OK     0x10
#define FAILED 0x11

enum {
	GET_SYNC = 0x30,
	GET_PARAMETER = 0x41,
	SET_DEVICE = 0x42,
	SET_DEVICE_EXT = 0x45,
	ENTER = 0x50,
	LEAVE = 0x51,
	LOAD_ADDRESS = 0x55,
	UNIVERSAL = 0x56,
	PROG_PAGE = 0x64,
	READ_PAGE = 0x74,
	READ_SIGN = 0x75
};

/* Bytes of the whole command; 0: not known yet. */
static size_t bytes_of(const struct avr *s)
{
	switch (s->frame[0]) {
	case GET_PARAMETER:
		return 3;
	case SET_DEVICE:
		return 22;
	case SET_DEVICE_EXT:
		return 7;
	case LOAD_ADDRESS:
		return 4;
	case UNIVERSAL:
		return 6;
	case READ_PAGE:
		return 5;
	case PROG_PAGE:
		return s->len < 4 ? 0 : 5 + (size_t)(s->frame[1] << 8 | s->frame[2]);
	default:
		return 2;
	}
}

static void reply(struct avr *s, uint64_t now_us, const void *p, size_t n)
{
	uint8_t out[AVR_FRAME_MAX];
	struct wbytes w = wbytes_of(out, sizeof out);

	wb_u8(&w, INSYNC);
	wb_put(&w, p, n);
	wb_u8(&w, s->refuses ? FAILED : OK);
	avr_answer(s, now_us, out, w.len);
}

static void parameter(struct avr *s, uint64_t now_us)
{
	uint8_t v = s->frame[1] == 0x81 ? 8 : s->frame[1] == 0x82 ? 3 : 3;

	reply(s, now_us, &v, 1);
}

static void read_page(struct avr *s, uint64_t now_us)
{
	uint8_t data[AVR_FRAME_MAX - 2];
	size_t n = (size_t)(s->frame[1] << 8 | s->frame[2]);

	s->reads++;
	if (n <= 256 && avr_read(s, data, n))
		reply(s, now_us, data, avr_fault_is_for(s, AVR_SHORT) ? n - 1 : n);
}

static void run(struct avr *s, uint64_t now_us)
{
	struct rbytes b = rbytes_of(s->frame + 1, s->len - 1);
	uint8_t zero = 0;

	s->refuses = avr_fault_is_for(s, AVR_REFUSE);
	switch (s->command) {
	case GET_PARAMETER:
		parameter(s, now_us);
		break;
	case READ_SIGN:
		reply(s, now_us, s->part->signature, 3);
		break;
	case LOAD_ADDRESS:
		s->address = 2 * (s->high << 16 | rb_le16(&b));
		reply(s, now_us, NULL, 0);
		break;
	case UNIVERSAL:
		if (s->frame[1] == 0x4d)
			s->high = s->frame[3];
		reply(s, now_us, &zero, 1);
		break;
	case PROG_PAGE:
		s->writes++;
		if (s->refuses || avr_write(s, s->frame + 4, s->len - 5))
			reply(s, now_us, NULL, 0);
		break;
	case READ_PAGE:
		read_page(s, now_us);
		break;
	default:
		reply(s, now_us, NULL, 0);
		if (s->command == LEAVE)
			avr_start(s, now_us);
		break;
	}
}

void avr_v1_take(struct avr *s, uint8_t b, uint64_t now_us)
{
	size_t want;

	if (s->len == sizeof s->frame)
		s->len = 0;
	s->frame[s->len++] = b;
	want = bytes_of(s);
	if (want == 0 || s->len < want)
		return;
	s->command = s->frame[0];
	/* What is not ended as it should be is passed over: the next byte may begin a command. */
	if (b == EOP)
		run(s, now_us);
	s->len = 0;
}
