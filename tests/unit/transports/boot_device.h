/* SPDX-License-Identifier: Apache-2.0
 *
 * A device that speaks the guide's serial bootloader, byte by byte, behind a fake_link. It counts
 * what goes over its wire in both directions, and a fault strikes at one byte of that count.
 */
#pragma once

#include <stdio.h>

#include "tests/unit/transports/fake_link.h"

#define BOOT_FLASH_BASE	 0x08010000u
#define BOOT_FLASH_BYTES (80u * 1024)

enum boot_fault_kind {
	FAULT_NONE,
	FAULT_LOSE_IN, /* a byte from the host never arrives */
	FAULT_FLIP_IN,
	FAULT_LOSE_OUT, /* a byte to the host never arrives */
	FAULT_FLIP_OUT,
	FAULT_EXTRA_OUT, /* a byte that the device never sent */
	FAULT_VANISH,	 /* unplugged */
	FAULT_KINDS
};

struct boot_fault {
	enum boot_fault_kind kind;
	uint64_t at;
};

struct boot_device {
	struct fake_link wire;
	uint8_t flash[BOOT_FLASH_BYTES];
	bool in_bootloader;
	uint8_t in[8192]; /* of a line or frame that is not whole yet */
	size_t len;
	uint64_t in_count, out_count;
	struct boot_fault faults[4];

	/* How this device differs from a good one. */
	bool echo, prompt;
	const char *ready, *erased, *booting, *banner;
	const char *already; /* its answer to BOOT in the bootloader */
	int nak_after;	     /* chunks until it refuses one; -1: never */
	int silent_after;    /* chunks until one ACK is missing, once; -1: never */
	int noisy_after;     /* chunks until an ACK is followed by a second byte, once; -1: never */
	int64_t worn;	     /* an offset that always holds 00; -1: none */
	unsigned write_unit; /* lengths that are not a multiple are refused */

	unsigned chunks, erases, resets, starts, enters;
	uint32_t last_chunk_bytes;
};

static inline struct boot_fault *boot_fault_at(
	struct boot_device *d, enum boot_fault_kind low, enum boot_fault_kind high, uint64_t at)
{
	for (size_t i = 0; i < ARRAY_LEN(d->faults); i++)
		if (d->faults[i].kind >= low && d->faults[i].kind <= high && d->faults[i].at == at)
			return &d->faults[i];
	return NULL;
}

static inline void boot_say(struct boot_device *d, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t b = ((const uint8_t *)bytes)[i];
		struct boot_fault *f =
			boot_fault_at(d, FAULT_LOSE_OUT, FAULT_EXTRA_OUT, d->out_count++);

		if (f && f->kind == FAULT_LOSE_OUT)
			continue;
		if (f && f->kind == FAULT_EXTRA_OUT)
			fake_say(&d->wire, "\x06", 1);
		if (f && f->kind == FAULT_FLIP_OUT)
			b ^= 0x10;
		fake_say(&d->wire, &b, 1);
	}
}

static inline void boot_say_line(struct boot_device *d, const char *s)
{
	if (!s)
		return;
	boot_say(d, s, strlen(s));
	boot_say(d, "\r\n", 2);
	if (d->prompt)
		boot_say(d, "> ", 2);
}

static inline void boot_line(struct boot_device *d, const char *line)
{
	if (d->echo)
		boot_say_line(d, line);
	if (!strcmp(line, "BOOT")) {
		d->enters++;
		boot_say_line(d, d->in_bootloader && d->already ? d->already : d->ready);
		d->in_bootloader = true;
	} else if (!strcmp(line, "ERASE") && d->in_bootloader) {
		d->erases++;
		memset(d->flash, 0xff, sizeof d->flash);
		boot_say_line(d, d->erased);
	} else if (!strcmp(line, "BOOT_APP") && d->in_bootloader) {
		d->starts++;
		d->in_bootloader = false;
		boot_say_line(d, d->booting);
		boot_say_line(d, d->banner);
	} else if (*line) {
		boot_say_line(d, "ERR unknown command");
	}
}

static inline uint32_t boot_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline bool boot_once(int *after, unsigned chunks)
{
	if (*after < 0 || (unsigned)*after != chunks)
		return false;
	*after = -1;
	return true;
}

static inline void boot_write(struct boot_device *d, uint32_t address, const uint8_t *p, uint32_t n)
{
	uint64_t at = (uint64_t)address - BOOT_FLASH_BASE;

	d->last_chunk_bytes = n;
	if (boot_once(&d->nak_after, d->chunks) || n % (d->write_unit ? d->write_unit : 1)) {
		boot_say(d, "\x15", 1);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		if (address >= BOOT_FLASH_BASE && at + i < BOOT_FLASH_BYTES)
			d->flash[at + i] &= p[i];
	if (d->worn >= 0)
		d->flash[d->worn] = 0;
	if (boot_once(&d->silent_after, d->chunks)) {
		/* As if one byte of the frame was lost: it waits for more. */
		d->len = 6 + n;
		return;
	}
	boot_say(d, "\x06", 1);
	if (boot_once(&d->noisy_after, d->chunks))
		boot_say(d, "\x06", 1);
	d->chunks++;
}

/* Whether in[] holds a whole frame, which is then done. */
static inline bool boot_frame(struct boot_device *d)
{
	uint32_t address = d->len >= 5 ? boot_u32(d->in + 1) : 0;

	if (d->in[0] == 0x01 && d->len >= 7) {
		uint32_t n = (uint32_t)(d->in[5] | d->in[6] << 8);

		if (d->len < 7 + n && d->len < sizeof d->in)
			return false;
		d->len = 0;
		boot_write(d, address, d->in + 7, MIN(n, (uint32_t)sizeof d->in - 7));
		return true;
	}
	if (d->in[0] == 0x02 && d->len >= 9) {
		uint64_t at = (uint64_t)address - BOOT_FLASH_BASE;
		uint32_t n = boot_u32(d->in + 5);

		d->len = 0;
		if (address >= BOOT_FLASH_BASE && at + n <= BOOT_FLASH_BYTES)
			boot_say(d, d->flash + at, n);
		return true;
	}
	return false;
}

static inline void boot_byte(struct boot_device *d, uint8_t b)
{
	if (d->len < sizeof d->in)
		d->in[d->len++] = b;
	if (d->in_bootloader && (d->in[0] == 0x01 || d->in[0] == 0x02)) {
		boot_frame(d);
	} else if (b == '\n' || d->len == sizeof d->in) {
		char line[128];

		snprintf(line, sizeof line, "%.*s", (int)strcspn((char *)d->in, "\r\n"),
			(char *)d->in);
		d->len = 0;
		boot_line(d, line);
	}
}

static inline void boot_heard(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct boot_device *d = f->data;

	for (size_t i = 0; i < n && !f->gone; i++) {
		struct boot_fault *x = boot_fault_at(d, FAULT_LOSE_IN, FAULT_FLIP_IN, d->in_count);

		if (boot_fault_at(d, FAULT_VANISH, FAULT_VANISH, d->in_count++))
			f->gone = true;
		else if (!x)
			boot_byte(d, bytes[i]);
		else if (x->kind == FAULT_FLIP_IN)
			boot_byte(d, bytes[i] ^ 0x04);
	}
}

/* The board's reset line. */
static inline int boot_reset(void *data, struct link **link, const struct iotime *it, struct err *e)
{
	struct boot_device *d = data;

	d->resets++;
	d->len = 0;
	d->in_bootloader = false;
	return 0;
}

static inline void boot_init(struct boot_device *d)
{
	memset(d, 0, sizeof *d);
	fake_init(&d->wire, boot_heard, d);
	memset(d->flash, 0xa5, sizeof d->flash);
	d->ready = "READY";
	d->erased = "OK";
	d->booting = "BOOTING";
	d->nak_after = d->silent_after = d->noisy_after = -1;
	d->worn = -1;
}
