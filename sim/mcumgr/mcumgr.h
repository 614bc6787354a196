/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by mcumgr_unit.c (slots, MCUboot), mcumgr_server.c (packets and commands) and mcumgr_device.c (the device of the
 * row), and by no one else.
 */
#pragma once

#include "base/bytes.h"
#include "base/digest.h"
#include "sim/device.h"
#include "sim/wire.h"

#define MCUMGR_SLOT_BYTES (512u * 1024)
#define MCUMGR_PACKET_MAX 2048
#define MCUMGR_LINE	  127

/* The rows of the faults, in mcumgr_device.c. */
enum mcumgr_fault {
	MCUMGR_SILENT,
	MCUMGR_LATE,
	MCUMGR_TWICE,
	MCUMGR_REFUSE,
	MCUMGR_WRONG_SEQ,
	MCUMGR_BAD_CRC,
	MCUMGR_NOISE,
	MCUMGR_CUT,
	MCUMGR_FORGET,
	MCUMGR_BIT_ROT,
	MCUMGR_NO_SWAP
};

struct mcumgr_slot {
	uint8_t *p;
	uint32_t n;
	bool pending, permanent, confirmed;
};

struct mcumgr {
	struct device device;
	const struct board_settings *set;
	struct faults *wire_faults;
	struct own_faults *faults;
	struct wire wire;
	struct mcumgr_slot slot[2];
	/* An upload that was begun. */
	uint8_t sha[SHA256_BYTES];
	bool uploading;
	uint32_t want; /* bytes in all */
	/* What comes. */
	char line[2 * MCUMGR_LINE];
	size_t line_len;
	uint8_t packet[MCUMGR_PACKET_MAX];
	size_t packet_len;
	unsigned command; /* group << 8 | id */
	bool stalled, off;
	uint64_t busy_until_us, boot_at_us;
	uint64_t blocks, resets, swaps, requests;
};

/* --- the unit --- */
/* Its first image, of its own. */
void mcumgr_make_first(struct mcumgr *s);
/* The hash and version in the trailer; false where the slot holds no image. */
bool mcumgr_slot_says(const struct mcumgr_slot *l, uint8_t hash[SHA256_BYTES], char version[24]);
/* What MCUboot does at a reset. */
void mcumgr_boot(struct mcumgr *s);

/* --- the server --- */
void mcumgr_take(struct mcumgr *s, uint8_t b, uint64_t now_us);
void mcumgr_say(struct mcumgr *s, uint64_t now_us, const void *p, size_t n);
