/* SPDX-License-Identifier: Apache-2.0
 *
 * The guide's serial bootloader ("Custom Serial Bootloader Protocol"): commands in lines, data in
 * binary frames over the same link. One object per device, on the worker that owns the link.
 *
 *	enter   BOOT        -> the line READY
 *	erase   ERASE       -> the line OK
 *	write   01 u32le address, u16le length, data  -> 06
 *	read    02 u32le address, u32le length        -> exactly length bytes
 *	start   BOOT_APP    -> the line BOOTING, then the application's own banner
 *
 * The guide looks for the word anywhere in a line, and so takes "BOOTING FAILED" for BOOTING. Here
 * it is the line, with no more than a name and version next to it; a device that says more has its
 * patterns in the profile.
 *
 * Turns: each line has an answer of its own, so a late READY is not an OK. After an ERASE without
 * its answer there is no other before READY, and a device answers one line after the other, so the
 * late OK comes before READY and answers nothing. Where one of these breaks off, the link's turn is
 * lost for a dialogue in lines (links/link.h): READY and BOOTING bring it back.
 *
 * A frame has no number and no checksum. So a frame whose ACK does not come is never sent again
 * and nothing else is sent after it: the device may still wait for data bytes, and whatever follows
 * would complete that write with rubbish. The attempt ends, the line falls quiet, the board is
 * reset, and the whole image starts again from the erase:
 *
 *	enter -> erase -> write chunk.. -> read back block.. -> verified
 *	  ^                 | no ACK, a stray byte, a short read
 *	  +-- reset, quiet -+ (at most `attempts` times)
 *
 * A NAK and a byte that reads back wrong end it at once: they are the unit's own verdict.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/regex.h"
#include "base/secret.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/images/image.h"
#include "transports/links/link.h"
#include "transports/protocols/console.h"

struct serial_boot_profile {
	const char *name;
	const char *eol;
	/* What is sent, and the pattern of the line that agrees. */
	const char *enter_text, *enter_ok;
	const char *erase_text, *erase_ok;
	const char *start_text, *start_ok;
	const char *refusal; /* a line that matches it refuses any of them */
	uint8_t write_op, read_op, ack, nak;
	unsigned write_length_bytes, read_length_bytes; /* of the length field: 2 or 4 */
	uint32_t chunk_bytes;	   /* data of one write frame, a multiple of write_unit_bytes */
	uint32_t write_unit_bytes; /* frames are aligned to it, what is missing is filled with FF */
	uint32_t page_bytes;	   /* a frame never crosses a multiple of it; 0: it may */
	uint32_t read_block_bytes;
	uint64_t flash_address, flash_bytes; /* what may be written; 0 bytes: not known */
	unsigned enter_attempts;
	unsigned attempts; /* at the whole image */
	bool probe; /* a device that refuses BOOT may already be in the bootloader: read to see */
	bool skip_erase; /* the flash was erased by other means */
	bool skip_blank; /* do not write chunks that are all FF: the erase made them so */
	bool unproved; /* do not read back: every frame is acknowledged, and nothing more is known */
	uint64_t enter_us, erase_us, start_us, banner_us; /* of each answer */
	uint64_t ack_us;     /* of one chunk, in addition to its time on the wire */
	uint64_t read_us;    /* of one block, in addition to twice its time on the wire */
	uint64_t settle_us;  /* quiet between lines and frames */
	uint64_t recover_us; /* quiet before a new attempt */
};

/* The bytes of the guide. */
extern const struct serial_boot_profile serial_boot_guide_v1;

struct serial_boot_hooks {
	/* Phases: "enter", "erase", "write", "verify", "read"; lines as of console_opts.tell. */
	struct teller tell;
	void *data; /* of reset() */
	/* Resets the board after an attempt that broke off, so that the next begins from a known
	 * state; may give another link when the device re-enumerated. NULL: the quiet time alone
	 * has to do, and the device has to drop half a frame by itself within it. */
	int (*reset)(void *data, struct link **link, const struct iotime *it, struct err *e);
	const struct secret_set *secrets;
};

struct serial_boot_result {
	uint64_t bytes;	 /* of the image */
	uint64_t chunks; /* frames acknowledged in the attempt that succeeded */
	unsigned attempts;
	char sha256_written[SHA256_HEX]; /* of the bytes that were sent, in order of address */
	char sha256_read[SHA256_HEX];	 /* of the bytes that were read back; "": none were */
};

struct serial_boot;

/* Copies the profile and hooks, borrows the link. -ERR_INVALID for a profile that cannot work. */
int serial_boot_new(struct link *l, const struct serial_boot_profile *p,
	const struct serial_boot_hooks *hooks, struct serial_boot **ret, struct err *e);
struct serial_boot *serial_boot_free(struct serial_boot *b);
DEFINE_CLEANUP(struct serial_boot, serial_boot_free)

/* probe_address is any readable one. */
int serial_boot_enter(
	struct serial_boot *b, uint32_t probe_address, const struct iotime *it, struct err *e);
/* Has no range in this protocol: it takes what the bootloader calls the application's flash.
 * -ERR_OUT_OF_STEP after one that was not answered, until the bootloader was entered again. */
int serial_boot_erase(struct serial_boot *b, const struct iotime *it, struct err *e);
/* Enters, erases, writes and reads back. 0 only when every byte of the image was read back equal, unless the profile
 * says that nothing is read back.
 * -ERR_VERIFY_MISMATCH names the first address with what was expected and what came;
 * -ERR_DEVICE_REFUSED a NAK; -ERR_IMAGE_RANGE an image that does not fit the profile's flash or
 * alignment. */
int serial_boot_flash(struct serial_boot *b, const struct image *image, const struct iotime *it,
	struct serial_boot_result *ret, struct err *e);
int serial_boot_read(struct serial_boot *b, uint32_t address, void *buf, uint32_t len,
	const struct iotime *it, struct err *e);
/* 0 when len bytes are all FF, else -ERR_VERIFY_MISMATCH with the first that is not. */
int serial_boot_check_blank(struct serial_boot *b, uint32_t address, uint32_t len,
	const struct iotime *it, struct err *e);
/* Starts the application and, with a pattern, waits for the line by which it says that it runs.
 * The replies may be NULL. */
int serial_boot_start(struct serial_boot *b, const struct regex *banner, const struct iotime *it,
	struct console_reply *ret_started, struct console_reply *ret_banner, struct err *e);
