/* SPDX-License-Identifier: Apache-2.0
 *
 * The serial boot ROM of the ESP32 family, without a stub: frames of SLIP (RFC 1055) on a UART, or on the chip's own
 * USB-Serial/JTAG (esptool, "Serial Protocol"). One object per chip, on the worker that owns the link. 8N1; the ROM begins at
 * 115200.
 *
 *	C0 00 op size(2) sum(4) data.. C0  ->  C0 01 op size(2) value(4) data.. status error 0 0 C0
 *
 * Bytes C0 and DB within are DB DC and DB DD. SYNC is answered eight times, a command that the ROM does not have as well, by
 * answers that name another one.
 *
 * Turns: an answer has the number of its command and nothing else. So nothing is sent while an answer may still come: after
 * one that is missing, damaged, doubled or another's, all goes on with SYNC, which is sent for no other reason. The ROM
 * answers one after the other, so nothing older is under way then; and it has to be the same chip as before, by its
 * address. An answer has no checksum: a register is read until it says the same twice, and what was written counts by the MD5
 * that the ROM makes of the flash after the last write.
 *
 *	for each region: [equal by its MD5: skip]  BEGIN (erases) -> DATA..
 *				^			   | no answer, a wrong one
 *				+---------- SYNC ----------+ (at most `attempts` times)
 *	then the MD5 of each region
 *
 * In secure download mode the ROM writes and tells nothing: no register, no MD5, no other rate. What was acknowledged is all
 * that can be known there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/links/link.h"
#include "transports/protocols/esp/esp_chips.h"

#define ESP_BLOCK_BYTES \
	0x400 /* the most of one packet that the ROM takes (esptool, FLASH_WRITE_SIZE of the ROM) */
#define ESP_SECTOR_BYTES   0x1000u /* erased at once */
#define ESP_FLASH_MAX	   (128u << 20)
#define ESP_FUSE_WORDS_MAX 16
#define ESP_MAC_BYTES	   6
#define ESP_REGIONS_MAX	   32

struct esp_times {
	uint64_t sync_us; /* for the answer to SYNC */
	uint64_t
		answer_us; /* of a command, in addition to what follows and to its time on the wire */
	uint64_t
		erase_us_per_mb; /* esptool waits 30 s for a megabyte; some flash is slower when it is old */
	uint64_t write_us_per_mb; /* of what a packet becomes when it is unpacked */
	uint64_t md5_us_per_mb;
	uint64_t quiet_us;  /* without a byte: nothing more comes */
	uint64_t switch_us; /* from one rate to the other */
};
extern const struct esp_times esp_times_default;

struct esp_opts {
	struct esp_times times;
	unsigned sync_attempts;
	unsigned attempts;    /* at each region */
	uint32_t baud;	      /* once it is connected; 0: as it is */
	uint32_t flash_bytes; /* what the caller knows better; 0: what the flash says */
};
#define ESP_OPTS_DEFAULT \
	((struct esp_opts){.times = esp_times_default, .sync_attempts = 3, .attempts = 2})

struct esp_hooks {
	struct teller tell; /* phases: "erase", "write", "verify", "read", "compare" */
	void *data;	    /* of enter() */
	/* Brings the chip (back) into its ROM: DTR and RTS. May be NULL: it is there. */
	int (*enter)(void *data, const struct iotime *it, struct err *e);
};

/* Of GET_SECURITY_INFO. */
enum { ESP_SECURE_BOOT = 1 << 0, ESP_SECURE_DOWNLOAD = 1 << 2 };

struct esp_info {
	const struct esp_chip *chip;
	bool has_security; /* the two below were told */
	uint32_t security_flags;
	uint8_t crypt_count; /* an odd number of bits: flash encryption is on */
	bool secure_download;
	/* Not in secure download mode: */
	uint8_t mac[ESP_MAC_BYTES];
	uint8_t major, minor; /* revision */
	uint32_t flash_id;    /* maker, kind, log2 of the bytes, from the low byte on */
	uint32_t flash_bytes; /* 0: not known */
	bool flash_of_caller;
	uint64_t baud; /* of the link now; 0: it has none */
};

struct esp_rom;

/* Copies opts and hooks, borrows the link. */
struct esp_rom *esp_rom_new(
	struct link *l, const struct esp_opts *o, const struct esp_hooks *hooks);
/* The link lives: where an answer is missing, its turn is lost (links/link.h). Its rate is the caller's to give back. */
struct esp_rom *esp_rom_free(struct esp_rom *s);
DEFINE_CLEANUP(struct esp_rom, esp_rom_free)

/* Synchronises, asks which chip it is, attaches its flash, and changes the rate. -ERR_TIMEOUT where no ROM answers, with what
 * the boot log says of it; -ERR_UNSUPPORTED for a chip that the table does not have, a flasher stub, or a rate that the link
 * cannot have. */
int esp_rom_connect(struct esp_rom *s, const struct iotime *it, struct err *e);
const struct esp_info *esp_rom_info(const struct esp_rom *s);
/* The registers of chip->fuses. -ERR_UNSUPPORTED in secure download mode. */
int esp_rom_fuses(struct esp_rom *s, uint32_t word[ESP_FUSE_WORDS_MAX], const struct iotime *it,
	struct err *e);

/* What the ROM makes of [at, at + n) of the flash, in lower-case hexadecimal. -ERR_UNSUPPORTED in secure download mode. */
int esp_rom_md5(struct esp_rom *s, uint32_t at, uint32_t n, char ret[MD5_HEX],
	const struct iotime *it, struct err *e);
/* Proved by the ROM's MD5: -ERR_READ_BACK_MISMATCH where that is another twice. */
int esp_rom_read(struct esp_rom *s, uint32_t at, void *buf, uint32_t n, const struct iotime *it,
	struct err *e);
/* Whole sectors, proved by the MD5 of what is blank: -ERR_VERIFY_MISMATCH. */
int esp_rom_erase(
	struct esp_rom *s, uint32_t at, uint32_t n, const struct iotime *it, struct err *e);
/* Leaves the ROM. 0 means that it acknowledged. */
int esp_rom_reboot(struct esp_rom *s, const struct iotime *it, struct err *e);

/* What goes where. A region begins where a sector does, and none reaches into the last sector of another. */
struct esp_region {
	const char *name; /* for messages */
	uint32_t offset, bytes;
	const uint8_t *data;
};

/* The MD5 that esp_rom_flash() proves of a region: padded with FF to a multiple of 4. -ERR_NO_MEMORY, -ERR_UNSUPPORTED. */
int esp_region_md5(const struct esp_region *g, char ret[MD5_HEX], struct err *e);

struct esp_flash_opts {
	bool compress;
	bool skip_equal; /* a region whose MD5 is right already is left alone */
	bool unproved;	 /* in secure download mode: what is acknowledged is enough */
};

struct esp_region_result {
	char md5[MD5_HEX]; /* of the region, padded with FF to a multiple of 4; "" where it could not be asked for */
	uint32_t sent; /* bytes in packets, of the attempt that succeeded */
	bool equal;    /* skipped */
	unsigned attempts;
};

/* Erases, writes and proves. 0 only when the ROM's MD5 of every region was that of its bytes after the last write (or with
 * `unproved`, all was acknowledged). -ERR_IMAGE_RANGE before anything is erased where a region does not fit;
 * -ERR_UNSUPPORTED in secure download mode without `unproved`; -ERR_VERIFY_MISMATCH names the region and both digests.
 * What else lies in the sectors is lost. ret has one for each region. */
int esp_rom_flash(struct esp_rom *s, const struct esp_region *region, size_t regions,
	const struct esp_flash_opts *o, const struct iotime *it, struct esp_region_result *ret,
	struct err *e);
