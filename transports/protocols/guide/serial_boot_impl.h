/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by serial_boot.c (lines: enter, erase, start), serial_boot_frames.c (write and read
 * frames) and serial_boot_flash.c (the whole image), and by no one else.
 */
#pragma once

#include "transports/protocols/guide/serial_boot.h"

struct serial_boot {
	struct link *link;
	struct serial_boot_profile p;
	struct serial_boot_hooks hooks;
	struct console *console;
	struct regex *enter_ok, *erase_ok, *start_ok, *refusal;
	uint8_t *frame; /* one write frame */
	uint8_t *chunk; /* its data */
	uint8_t *block; /* one read block */
};

/* A new console on a link that may be another than before. */
int serial_boot_attach(struct serial_boot *b, struct link *l, struct err *e);

/* Writes n bytes (at most a chunk; padded to the write unit) and waits for the ACK. */
int serial_boot_write_chunk(struct serial_boot *b, uint32_t address, const uint8_t *data,
	uint32_t n, const struct iotime *it, struct err *e);
/* Called with each block as it was read. */
typedef int serial_boot_block_fn(
	void *data, uint32_t address, const uint8_t *bytes, uint32_t n, struct err *e);
struct serial_boot_walk {
	const char *phase;
	uint64_t done, total; /* of the phase; done is carried on */
	serial_boot_block_fn *fn;
	void *data;
};
int serial_boot_walk(struct serial_boot *b, uint32_t address, uint64_t len,
	struct serial_boot_walk *w, const struct iotime *it, struct err *e);
/* Asks for n bytes and reads exactly them. */
int serial_boot_read_block(struct serial_boot *b, uint32_t address, uint8_t *buf, uint32_t n,
	const struct iotime *it, struct err *e);
/* 0 if nothing came that was not asked for, within quiet_us; else -ERR_PROTOCOL. */
int serial_boot_check_idle(
	struct serial_boot *b, uint64_t quiet_us, const struct iotime *it, struct err *e);
