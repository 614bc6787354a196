/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by avr_boot.c (session, image), avr_boot_v1.c and avr_boot_v2.c (one command each), and by no one else.
 */
#pragma once

#include "base/bytes.h"
#include "transports/protocols/avr/avr_boot.h"

/* One protocol. Each call is a command and its answer; at most AVR_PAGE_MAX bytes. */
struct avr_ops {
	/* Whether somebody answers, within sync_us: 0, -ERR_TIMEOUT, -ERR_PROTOCOL. */
	int (*sync)(struct avr_boot *s, const struct iotime *it, struct err *e);
	int (*version)(struct avr_boot *s, uint8_t *major, uint8_t *minor, const struct iotime *it,
		struct err *e);
	int (*enter)(struct avr_boot *s, const struct iotime *it, struct err *e);
	int (*signature)(
		struct avr_boot *s, uint8_t ret[3], const struct iotime *it, struct err *e);
	int (*write_page)(struct avr_boot *s, uint32_t at, const uint8_t *p, uint32_t n,
		const struct iotime *it, struct err *e);
	int (*read_page)(struct avr_boot *s, uint32_t at, uint8_t *p, uint32_t n,
		const struct iotime *it, struct err *e);
	int (*leave)(struct avr_boot *s, const struct iotime *it, struct err *e);
};
extern const struct avr_ops avr_v1_ops, avr_v2_ops;

struct avr_boot {
	struct link *link;
	const struct avr_ops *ops;
	struct avr_opts o;
	struct avr_hooks hooks;
	struct avr_info info;
	bool suspect;	/* an answer is missing and may still come */
	uint8_t number; /* of v2 */
	uint32_t high;	/* of v1: the part of the address that is set, 64 KiB words each */
};

uint64_t avr_wire_us(const struct avr_boot *s, uint64_t n);
/* Sets suspect by the result, and gives it back. */
int avr_outcome(struct avr_boot *s, int r);
/* -ERR_PROTOCOL where bytes are here that no one asked for. */
int avr_nothing_left(struct avr_boot *s, const struct iotime *it, struct err *e);
