/* SPDX-License-Identifier: Apache-2.0
 *
 * The GDB remote serial protocol, client side ("GDB manual, appendix E"): a debug server such as
 * OpenOCD's (port 3333), J-Link's (2331), pyOCD's, Black Magic's or QEMU's stub loads, reads and
 * compares memory, runs monitor commands and starts the target.
 *
 *	open: qSupported, QStartNoAckMode, ?, memory map
 *	load: vFlashErase (whole blocks), vFlashWrite ..., vFlashDone for flash; X or M for the rest
 *
 * A packet has no number. After one whose answer did not come, the session is over, and every later
 * call says so (-ERR_OUT_OF_STEP). A new session is in step by what opens it: the answer to
 * qSupported looks like no other (features), so a late answer that comes first is noticed there.
 * Where a server knows no features its empty answer is never one to "?", which comes next.
 *
 * A server may send console text (O packets, also empty ones as a sign of life) at any time. All
 * state is in the session. On the worker's thread. Errors: -ERR_DEVICE_REFUSED for an E reply,
 * -ERR_PROTOCOL for what is not a packet, -ERR_UNSUPPORTED for what the server does not know,
 * -ERR_DEVICE_GONE, -ERR_TIMEOUT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/images/image.h"
#include "transports/links/link.h"

#define GDB_REGIONS_MAX 256

enum gdb_memory { GDB_RAM, GDB_ROM, GDB_FLASH };

struct gdb_region {
	enum gdb_memory type;
	uint64_t start, length;
	uint64_t block; /* erased at once; of flash alone */
};

struct gdb_map {
	struct gdb_region region[GDB_REGIONS_MAX]; /* sorted, without overlap of flash */
	size_t count;				   /* 0: the server gives none */
};

/* The XML of a memory map (GDB manual, E.20). -ERR_PROTOCOL with line and reason. */
int gdb_map_parse(const char *xml, size_t n, struct gdb_map *ret, struct err *e);
/* The region that holds the address, or NULL. */
const struct gdb_region *gdb_map_find(const struct gdb_map *m, uint64_t address);

struct gdb;

/* The link is used, not owned. tell may be NULL; its '<' is the server's console text. */
int gdb_open(struct link *l, const struct teller *tell, const struct iotime *it, struct gdb **ret,
	struct err *e);
struct gdb *gdb_free(struct gdb *g); /* takes NULL, returns NULL; sends nothing */
DEFINE_CLEANUP(struct gdb, gdb_free)

const struct gdb_map *gdb_memory_map(const struct gdb *g);

int gdb_read(struct gdb *g, uint64_t address, uint8_t *buf, size_t n, const struct iotime *it,
	struct err *e);
/* Memory that is written as it is: RAM, registers of devices. */
int gdb_write(struct gdb *g, uint64_t address, const uint8_t *bytes, size_t n,
	const struct iotime *it, struct err *e);
/* qCRC: CRC-32 of polynomial 04C11DB7, from FFFFFFFF on, not reflected, not inverted. */
int gdb_crc(struct gdb *g, uint64_t address, uint64_t n, uint32_t *ret, const struct iotime *it,
	struct err *e);
uint32_t gdb_crc_of(uint32_t crc, const uint8_t *bytes, size_t n);
/* A monitor command. *ret (may be NULL) is what the server printed, owned by the caller, cut at 64
 * KiB. */
int gdb_monitor(
	struct gdb *g, const char *command, char **ret, const struct iotime *it, struct err *e);
/* Lets the target run, and leaves it to itself where detach is set; the reply of a running target
 * is not waited for. */
int gdb_resume(struct gdb *g, bool detach, const struct iotime *it, struct err *e);

enum gdb_verify {
	GDB_VERIFY_READ, /* read everything back */
	GDB_VERIFY_CRC,	 /* let the server count: -ERR_UNSUPPORTED where it cannot */
	GDB_VERIFY_AUTO, /* the checksum where the server knows it, else read back */
	GDB_VERIFY_NONE
};

struct gdb_load_result {
	char sha256_written[SHA256_HEX]; /* of the image's bytes in the order of their addresses */
	char sha256_read[SHA256_HEX];	 /* "" unless read back */
	uint64_t bytes, flash_bytes, blocks_erased;
	bool by_crc; /* verified by the server's checksum */
	bool padded; /* the server refused pieces: flash was written in whole blocks */
};

/* Writes every segment: flash is erased by whole blocks and written where the image has bytes;
 * where the server refuses that, in whole blocks filled up with the erased value. The rest as it
 * is. What lies in memory that the map calls ROM, or in no region of a map, is refused before
 * anything is erased. */
int gdb_load(struct gdb *g, const struct image *image, enum gdb_verify verify,
	struct gdb_load_result *ret, const struct iotime *it, struct err *e);
/* Compares alone: -ERR_VERIFY_MISMATCH naming the first address (by checksum: the segment). */
int gdb_compare(struct gdb *g, const struct image *image, enum gdb_verify verify,
	struct gdb_load_result *ret, const struct iotime *it, struct err *e);
