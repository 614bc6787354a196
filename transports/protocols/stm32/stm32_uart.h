/* SPDX-License-Identifier: Apache-2.0
 *
 * The boot ROM of STM32 microcontrollers over a UART (ST AN3155). One object per device, on the
 * worker that owns the link. The link is 8 bits, even parity; the ROM measures the rate of the
 * first 7F.
 *
 *	7F			-> 79			once for each reset
 *	code, code^FF		-> 79, or 1F: refused
 *	address (BE), XOR	-> 79
 *	n-1, data.., XOR	-> 79 once it is programmed
 *
 * Each phase has its own ACK and nothing has a number, so a reply is counted in bytes and never
 * searched for. After a phase that went wrong the ROM is fed bytes that complete no phase (FF)
 * until it refuses them; what it may have taken of them as data is found by reading back.
 *
 * Turns: within a session nothing is sent before the phase's ACK. After a phase without its answer
 * no command is sent before a resync, and that ends with Get, the one answer that looks like no
 * other (the list of commands, as before): the ROM answers one after the other, so nothing older is
 * under way then. Get also follows a refused read before that is taken for read protection. A late
 * ACK that a new session takes for that of its 7F leaves the 7F as the first byte of a command;
 * Get, which comes next, is then refused. What was erased or written is read back in any case.
 *
 * An image is written so that the block with the lowest address, which holds the vector table,
 * comes last: a unit that loses power in between does not start half an application.
 *
 *	erase pages -> write blocks.. -> first block -> read back
 *	     ^			| no ACK, a byte that no one asked for
 *	     +---- resync ------+ (at most `attempts` times)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/images/image.h"
#include "transports/links/link.h"
#include "transports/protocols/stm32/stm32_devices.h"

#define STM32_BLOCK_BYTES  256 /* the most of one read or write (AN3155, 3.4 and 3.6) */
#define STM32_COMMANDS_MAX 64
#define STM32_UID_BYTES	   12

enum stm32_command {
	STM32_GET = 0x00,
	STM32_GET_VERSION = 0x01,
	STM32_GET_ID = 0x02,
	STM32_READ = 0x11,
	STM32_GO = 0x21,
	STM32_WRITE = 0x31,
	STM32_ERASE = 0x43,
	STM32_EXTENDED_ERASE = 0x44,
	STM32_WRITE_PROTECT = 0x63,
	STM32_WRITE_UNPROTECT = 0x73,
	STM32_READOUT_PROTECT = 0x82,
	STM32_READOUT_UNPROTECT = 0x92
};

/* The special codes of the extended erase. */
enum stm32_mass { STM32_MASS_ALL = 0xffff, STM32_MASS_BANK1 = 0xfffe, STM32_MASS_BANK2 = 0xfffd };

struct stm32_times {
	uint64_t sync_us;    /* for the answer to 7F */
	uint64_t ack_us;     /* of a command or an address */
	uint64_t write_us;   /* of a block, in addition to its time on the wire */
	uint64_t page_us;    /* of each page that is erased */
	uint64_t mass_us;    /* of a mass erase, and of a readout unprotect */
	uint64_t protect_us; /* of each ACK of the other protections */
	uint64_t read_us;    /* of the bytes of a read, in addition to their time on the wire */
	uint64_t settle_us;  /* quiet after the synchronisation */
	uint64_t reset_us;   /* from a reset of its own until the ROM listens again */
};
extern const struct stm32_times stm32_times_default;

struct stm32_opts {
	struct stm32_times times;
	unsigned sync_attempts;
	unsigned attempts; /* at the whole image */
	/* What the caller knows better than the table; run[0].bytes 0 and flash_bytes 0: nothing. A
	 * part that is not in the table needs both. */
	struct stm32_run run[STM32_RUNS_MAX];
	uint32_t flash_bytes;
};
#define STM32_OPTS_DEFAULT \
	((struct stm32_opts){.times = stm32_times_default, .sync_attempts = 3, .attempts = 2})

struct stm32_hooks {
	struct teller tell; /* phases: "erase", "write", "verify", "read", "compare" */
	void *data;	    /* of enter() */
	/* Brings the board (back) into its ROM: DTR and RTS. May be NULL: the ROM is already there,
	 * or starts again by itself. */
	int (*enter)(void *data, const struct iotime *it, struct err *e);
};

struct stm32_info {
	uint8_t version; /* of the ROM's protocol: 0x31 is 3.1 */
	uint8_t command[STM32_COMMANDS_MAX];
	size_t commands;
	uint16_t pid;
	struct stm32_device device; /* the table's row, with what the caller knows better */
	bool known;		    /* the table has it */
	uint32_t flash_bytes;	    /* of this part */
	enum { STM32_SIZE_OF_TABLE, STM32_SIZE_OF_REGISTER, STM32_SIZE_OF_CALLER } size_from;
	bool read_protected; /* the ROM refuses to read */
	bool has_uid;
	uint8_t uid[STM32_UID_BYTES];
};

struct stm32;

/* Copies opts and hooks, borrows the link. */
struct stm32 *stm32_new(
	struct link *l, const struct stm32_opts *o, const struct stm32_hooks *hooks);
/* The link lives: where an answer is missing, its turn is lost (links/link.h). */
struct stm32 *stm32_free(struct stm32 *s);
DEFINE_CLEANUP(struct stm32, stm32_free)

/* Synchronises and asks the ROM what it is: Get, version, id, flash size, unique id. -ERR_TIMEOUT
 * where no ROM answers, -ERR_UNSUPPORTED for a part that neither table nor caller knows. A part
 * that is read-protected is not an error here: info says so. */
int stm32_connect(struct stm32 *s, const struct iotime *it, struct err *e);
const struct stm32_info *stm32_info(const struct stm32 *s);
bool stm32_has(const struct stm32 *s, enum stm32_command c);

/* Any readable address. -ERR_DEVICE_REFUSED where read protection is on. */
int stm32_read(struct stm32 *s, uint32_t address, void *buf, uint32_t len, const struct iotime *it,
	struct err *e);
/* The pages with these numbers, a few in each command. */
int stm32_erase_pages(struct stm32 *s, const uint32_t *page, size_t pages, const struct iotime *it,
	struct err *e);
/* Everything (page by page where the part has no mass erase), or a bank. */
int stm32_erase_mass(struct stm32 *s, enum stm32_mass what, const struct iotime *it, struct err *e);
/* Reads back that [address, address + len) is erased: -ERR_VERIFY_MISMATCH. */
int stm32_check_blank(
	struct stm32 *s, uint32_t address, uint32_t len, const struct iotime *it, struct err *e);
/* Once, as it is: bytes that are programmed for good. address and len are multiples of 4; more than
 * STM32_BLOCK_BYTES go in several commands. After an error nobody knows what was programmed: read it.
 * -ERR_DEVICE_REFUSED where the ROM refuses. */
int stm32_write_once(struct stm32 *s, uint32_t address, const uint8_t *data, uint32_t len,
	const struct iotime *it, struct err *e);
/* The address of a vector table. 0 means that the ROM acknowledged and jumped. */
int stm32_go(struct stm32 *s, uint32_t address, const struct iotime *it, struct err *e);

/* Each of these ends in a reset; they return once the ROM answers again. Sectors as the family
 * numbers them. Readout unprotect erases the whole flash. 0 proves: of readout protect that reads
 * are refused now, of readout unprotect that they are not. */
int stm32_write_protect(struct stm32 *s, const uint8_t *sector, size_t sectors,
	const struct iotime *it, struct err *e);
int stm32_write_unprotect(struct stm32 *s, const struct iotime *it, struct err *e);
int stm32_readout_protect(struct stm32 *s, const struct iotime *it, struct err *e);
int stm32_readout_unprotect(struct stm32 *s, const struct iotime *it, struct err *e);

enum stm32_erase { STM32_ERASE_TOUCHED, STM32_ERASE_ALL, STM32_ERASE_NONE };

struct stm32_flash_opts {
	enum stm32_erase erase;
	bool skip_equal; /* pages that hold the image already are left alone */
};

struct stm32_result {
	uint64_t bytes;	  /* of the image */
	uint32_t pages;	  /* that hold some of it */
	uint32_t skipped; /* of them, because they were equal */
	uint32_t erased;  /* pages named to the ROM; 0 of a mass erase */
	uint32_t blocks;  /* written in the attempt that succeeded */
	uint32_t reread;  /* blocks that read back wrong once and then right, twice */
	unsigned attempts;
	char sha256_written[SHA256_HEX]; /* of the image's bytes in order of address, as sent or
					    found equal */
	char sha256_read[SHA256_HEX];	 /* of the bytes that were read back */
};

/* Erases, writes and reads back. 0 only when every byte of the image was read back equal.
 * -ERR_IMAGE_RANGE where the image lies outside of the part's flash, before anything is erased;
 * -ERR_VERIFY_MISMATCH names the first address with what was expected and what came;
 * -ERR_DEVICE_REFUSED a NACK that lasts. What else lies in a page that is erased is lost. */
int stm32_flash(struct stm32 *s, const struct image *image, const struct stm32_flash_opts *o,
	const struct iotime *it, struct stm32_result *ret, struct err *e);
