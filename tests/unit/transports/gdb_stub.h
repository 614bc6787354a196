/* SPDX-License-Identifier: Apache-2.0
 *
 * A debug server for tests, on the other end of a fake link: flash that has to be erased in blocks
 * and is only programmed by vFlashDone, RAM, a checksum, a monitor. Frames are taken apart here,
 * from the manual's text, not by the code under test.
 */
#pragma once

#include <ctype.h>

#include "base/strbuf.h"
#include "tests/unit/transports/fake_link.h"
#include "tests/unit/unit.h"

#define STUB_FLASH	 0x08000000u
#define STUB_FLASH_BYTES (64u * 1024)
#define STUB_BLOCK	 1024u
#define STUB_RAM	 0x20000000u
#define STUB_RAM_BYTES	 (16u * 1024)

/* As of an STM32F4 (RM0090, 3.7.5): 16 blocks of 32 bytes, a byte for each that locks it where it is 00;
 * then the unique id. */
#define STUB_OTP       0x1fff7800u
#define STUB_OTP_BYTES 528u
#define STUB_UID       0x1fff7a10u

struct gdb_stub {
	struct fake_link fake;
	uint8_t flash[STUB_FLASH_BYTES], staged[STUB_FLASH_BYTES], ram[STUB_RAM_BYTES];
	bool is_staged[STUB_FLASH_BYTES];
	struct strbuf in, story; /* the commands that came, without data */
	bool no_ack, offers_no_ack, offers_map, knows_x, knows_crc, rle;
	size_t packet;
	/* What goes wrong: */
	const char *fail_on; /* a command that begins so is answered fail_with, or E01 */
	const char *fail_with;
	bool console_before;	/* text and an empty O before each reply */
	unsigned bad_checksums; /* so many replies come with a wrong one first */
	unsigned naks;		/* so many frames of the host are refused */
	unsigned unit;	  /* writes of flash that are not a multiple of it are refused; 0: none */
	bool zero_erased; /* erased flash is 00 */
	long weak;	  /* a flash cell that does not take, or -1 */
	bool silent;
	/* One-time memory: bits go to 0 alone, while the monitor has opened it. */
	uint8_t otp[STUB_OTP_BYTES + 12];
	bool otp_open;
	unsigned otp_writes;
};

static inline void stub_frame(struct gdb_stub *s, const char *p, size_t n, bool wrong)
{
	struct strbuf out = {0};
	uint8_t sum = 0;

	sb_add(&out, "$");
	sb_add_n(&out, p, n);
	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + (uint8_t)p[i]);
	sb_addf(&out, "#%02x", (uint8_t)(sum + wrong));
	fake_say(&s->fake, out.s, out.len);
	sb_done(&out);
}

static inline void stub_reply(struct gdb_stub *s, const char *p, size_t n)
{
	struct strbuf packed = {0};

	if (s->console_before) {
		stub_frame(s, "O", 1, false);
		stub_frame(s, "O68690a", 7, false); /* "hi\n" */
		fake_says(&s->fake, "%Stop:T05#00");
	}
	/* Runs of five and more, packed where the count's sign is a plain character. */
	for (size_t i = 0; i < n;) {
		size_t run = 1;

		while (i + run < n && p[i + run] == p[i] && run < 60)
			run++;
		if (s->rle && run >= 5 && run - 1 + 29 != '#' && run - 1 + 29 != '$' &&
			run - 1 + 29 != '+' && run - 1 + 29 != '-') {
			sb_add_n(&packed, &p[i], 1);
			sb_addf(&packed, "*%c", (int)(run - 1 + 29));
			i += run;
		} else {
			sb_add_n(&packed, &p[i++], 1);
		}
	}
	for (; s->bad_checksums; s->bad_checksums--)
		stub_frame(s, packed.s ? packed.s : "", packed.len, true);
	stub_frame(s, packed.s ? packed.s : "", packed.len, false);
	sb_done(&packed);
}

static inline void stub_says(struct gdb_stub *s, const char *text)
{
	stub_reply(s, text, strlen(text));
}

static inline uint8_t *stub_at(struct gdb_stub *s, uint64_t a, uint64_t n)
{
	if (a >= STUB_FLASH && a + n <= STUB_FLASH + STUB_FLASH_BYTES)
		return s->flash + (a - STUB_FLASH);
	if (a >= STUB_RAM && a + n <= STUB_RAM + STUB_RAM_BYTES)
		return s->ram + (a - STUB_RAM);
	if (a >= STUB_OTP && a + n <= STUB_OTP + sizeof s->otp)
		return s->otp + (a - STUB_OTP);
	return NULL;
}

static inline bool stub_is_otp(uint64_t a)
{
	return a >= STUB_OTP && a < STUB_OTP + STUB_OTP_BYTES;
}

/* false where it is closed, or a block is locked. */
static inline bool stub_burn(struct gdb_stub *s, uint64_t a, const uint8_t *p, size_t n)
{
	size_t at = (size_t)(a - STUB_OTP);

	for (size_t i = at; i < at + n; i++)
		if (!s->otp_open || i >= STUB_OTP_BYTES || (i < 512 && s->otp[512 + i / 32] == 0))
			return false;
	for (size_t i = 0; i < n; i++)
		s->otp[at + i] &= p[i];
	s->otp_writes++;
	return true;
}

static inline void stub_map(struct gdb_stub *s, unsigned long long at, unsigned long long n)
{
	static const char xml[] =
		"<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB "
		"Memory Map V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n"
		"<memory-map>\n  <memory type=\"ram\" start=\"0x0\" length=\"0x8000000\"/>\n"
		"  <memory type=\"flash\" start=\"0x8000000\" length=\"0x10000\">\n"
		"    <property name=\"blocksize\">0x400</property>\n  </memory>\n"
		"  <memory type=\"ram\" start=\"0x8010000\" "
		"length=\"0xf7ff0000\"/>\n</memory-map>\n";
	struct strbuf out = {0};
	size_t k = at < sizeof xml - 1 ? MIN(sizeof xml - 1 - at, n) : 0;

	sb_add(&out, at + k < sizeof xml - 1 ? "m" : "l");
	sb_add_n(&out, xml + at, k);
	stub_reply(s, out.s, out.len);
	sb_done(&out);
}

static inline void stub_read(struct gdb_stub *s, unsigned long long a, unsigned long long n)
{
	const uint8_t *p = stub_at(s, a, n);
	_cleanup_(freep) char *hex = malloc(2 * n + 1);

	if (!p) {
		stub_says(s, "E01");
		return;
	}
	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", p[i]);
	stub_says(s, hex);
}

static inline uint32_t stub_crc(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffff;

	for (size_t i = 0; i < n; i++)
		for (int bit = 7; bit >= 0; bit--) {
			uint32_t top = (c >> 31) ^ (p[i] >> bit & 1);

			c = c << 1 ^ (top ? 0x04c11db7 : 0);
		}
	return c;
}

/* data: after the colon, escapes resolved. */
static inline void stub_command(struct gdb_stub *s, char *text, const uint8_t *data, size_t n)
{
	unsigned long long a = 0, k = 0;

	sb_addf(&s->story, "%s;", text);
	if (s->silent)
		return;
	if (s->fail_on && !strncmp(text, s->fail_on, strlen(s->fail_on)))
		stub_says(s, s->fail_with ? s->fail_with : "E01");
	else if (!strncmp(text, "qSupported", 10)) {
		_cleanup_(freep) char *f = xasprintf("PacketSize=%zx%s%s", s->packet,
			s->offers_map ? ";qXfer:memory-map:read+" : "",
			s->offers_no_ack ? ";QStartNoAckMode+" : "");

		stub_says(s, f);
	} else if (!strcmp(text, "QStartNoAckMode")) {
		stub_says(s, "OK");
		s->no_ack = true;
	} else if (!strcmp(text, "?")) {
		stub_says(s, "T05thread:01;");
	} else if (sscanf(text, "qXfer:memory-map:read::%llx,%llx", &a, &k) == 2) {
		stub_map(s, a, k);
	} else if (sscanf(text, "vFlashErase:%llx,%llx", &a, &k) == 2) {
		if (a % STUB_BLOCK || k % STUB_BLOCK || !stub_at(s, a, k))
			stub_says(s, "E02");
		else {
			memset(stub_at(s, a, k), s->zero_erased ? 0 : 0xff, k);
			stub_says(s, "OK");
		}
	} else if (sscanf(text, "vFlashWrite:%llx", &a) == 1 && s->unit &&
		   (a % s->unit || n % s->unit)) {
		stub_says(s, "E08");
	} else if (sscanf(text, "vFlashWrite:%llx", &a) == 1) {
		for (size_t i = 0; i < n && a + i - STUB_FLASH < STUB_FLASH_BYTES; i++) {
			s->staged[a - STUB_FLASH + i] = data[i];
			s->is_staged[a - STUB_FLASH + i] = true;
		}
		stub_says(s, "OK");
	} else if (!strcmp(text, "vFlashDone")) {
		for (size_t i = 0; i < STUB_FLASH_BYTES; i++)
			if (s->is_staged[i] && s->zero_erased)
				s->flash[i] |= s->staged[i];
			else if (s->is_staged[i])
				s->flash[i] &= (long)i == s->weak ? (uint8_t)~1 & s->staged[i]
								  : s->staged[i];
		memset(s->is_staged, 0, sizeof s->is_staged);
		stub_says(s, "OK");
	} else if (s->knows_x && sscanf(text, "X%llx,%llx", &a, &k) == 2 && k == n &&
		   stub_is_otp(a)) {
		stub_says(s, n == 0 || stub_burn(s, a, data, n) ? "OK" : "E03");
	} else if (s->knows_x && sscanf(text, "X%llx,%llx", &a, &k) == 2 && k == n) {
		if (stub_at(s, a, n))
			memcpy(stub_at(s, a, n), data, n);
		stub_says(s, stub_at(s, a, n) ? "OK" : "E01");
	} else if (sscanf(text, "M%llx,%llx", &a, &k) == 2 && n == 2 * k && stub_at(s, a, k)) {
		for (size_t i = 0; i < k; i++)
			sscanf((const char *)data + 2 * i, "%2hhx", stub_at(s, a, k) + i);
		stub_says(s, "OK");
	} else if (sscanf(text, "m%llx,%llx", &a, &k) == 2) {
		stub_read(s, a, k);
	} else if (s->knows_crc && sscanf(text, "qCRC:%llx,%llx", &a, &k) == 2 &&
		   stub_at(s, a, k)) {
		_cleanup_(freep) char *c = xasprintf("C%x", stub_crc(stub_at(s, a, k), k));

		stub_says(s, c);
	} else if (!strcmp(text, "qRcmd,6e6f73756368")) { /* nosuch; as QEMU: printed, and OK */
		stub_says(s, "O756e6b6e6f776e20636f6d6d616e643a20276e6f73756368270a");
		stub_says(s, "OK");
	} else if (!strcmp(text, "qRcmd,6f70656e") || !strcmp(text, "qRcmd,636c6f7365")) {
		s->otp_open = text[7] == 'f'; /* "open", "close" */
		stub_says(s, "OK");
	} else if (!strncmp(text, "qRcmd,", 6)) {
		stub_says(s, "O72756e6e696e670a"); /* "running\n" */
		stub_says(s, strcmp(text + 6, "626164") ? "OK" : "E03");
	} else if (!strcmp(text, "D")) {
		stub_says(s, "OK");
	} else if (strcmp(text, "c") != 0) {
		stub_says(s, "");
	}
}

static inline void stub_take(struct gdb_stub *s, const char *p, size_t n)
{
	_cleanup_(freep) char *text = malloc(n + 1);
	_cleanup_(freep) uint8_t *data = malloc(n + 1);
	const char *colon = NULL;
	size_t k = 0;

	/* Data follow the colon of X, M and vFlashWrite. */
	if (*p == 'X' || *p == 'M')
		colon = memchr(p, ':', n);
	else if (!strncmp(p, "vFlashWrite:", 12))
		colon = memchr(p + 12, ':', n - 12);

	size_t head = colon ? (size_t)(colon - p) : n;

	memcpy(text, p, head);
	text[head] = 0;
	for (size_t i = colon ? head + 1 : n; i < n; i++)
		data[k++] = p[i] == '}' ? (uint8_t)(p[++i] ^ 0x20) : (uint8_t)p[i];
	data[k] = 0;
	stub_command(s, text, data, k);
}

static inline void stub_heard(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct gdb_stub *s = f->data;

	sb_add_n(&s->in, bytes, n);
	for (;;) {
		const char *begin = s->in.len ? memchr(s->in.s, '$', s->in.len) : NULL;
		const char *hash =
			begin ? memchr(begin, '#', (size_t)(s->in.s + s->in.len - begin)) : NULL;
		size_t used;

		if (!hash || hash + 3 > s->in.s + s->in.len)
			return;
		used = (size_t)(hash + 3 - s->in.s);

		size_t len = (size_t)(hash - begin - 1);
		_cleanup_(freep) char *payload = malloc(len + 1);

		ck_assert_uint_le(len + 4, s->packet);
		memcpy(payload, begin + 1, len);
		payload[len] = 0;
		memmove(s->in.s, s->in.s + used, s->in.len - used);
		s->in.len -= used;
		if (s->naks) {
			s->naks--;
			fake_says(f, "-");
			continue;
		}
		if (!s->no_ack)
			fake_says(f, "+");
		stub_take(s, payload, len);
	}
}

static inline struct gdb_stub *stub_new(void)
{
	struct gdb_stub *s = xcalloc(1, sizeof *s);

	fake_init(&s->fake, stub_heard, s);
	memset(s->flash, 0xff, sizeof s->flash);
	s->offers_map = s->offers_no_ack = s->knows_x = s->knows_crc = true;
	s->packet = 1024;
	s->weak = -1;
	return s;
}

static inline void stub_free(struct gdb_stub *s)
{
	fake_done(&s->fake);
	sb_done(&s->in);
	sb_done(&s->story);
	free(s);
}
