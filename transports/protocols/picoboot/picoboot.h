/* SPDX-License-Identifier: Apache-2.0
 *
 * PICOBOOT: the vendor interface of the boot ROM of RP2040 and RP2350 (RP2040 datasheet, 2.8.5; RP2350 datasheet, 5.6;
 * boot/picoboot.h of the pico-sdk). All state is in the session: two stations share nothing.
 *
 *   command, 32 bytes OUT -> data, OUT or IN (or none) -> an empty packet the other way -> status by a control request
 *
 * A command that is refused stalls both endpoints; the status says why, until a reset. The ROM of the RP2040 does so for a
 * malformed command and for data: an erase that it refuses it acknowledges, with the status OK, and does not do. So nothing
 * is taken for done here because it was acknowledged: what was erased and written is read.
 *
 * Each command has a number of its own, which the status repeats: an answer to another command is -ERR_PROTOCOL.
 *
 * On the worker's thread. Errors: -ERR_DEVICE_REFUSED with the device's reason in words, -ERR_PROTOCOL for what the protocol
 * does not allow (a short, a long or a late answer), -ERR_DEVICE_GONE, -ERR_TIMEOUT. After an error the session is over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"

/* Of both chips: the flash as the ROM addresses it. */
#define PICOBOOT_FLASH_BASE    0x10000000u
#define PICOBOOT_SECTOR	       4096u /* erased at once */
#define PICOBOOT_PAGE	       256u  /* written at once; a read of flash begins at one */
#define PICOBOOT_STATUS_BYTES  16
#define PICOBOOT_COMMAND_BYTES 32
/* Of GET_INFO: the answer fits one buffer of the ROM. */
#define PICOBOOT_INFO_WORDS 64

enum picoboot_chip { PICOBOOT_RP2040, PICOBOOT_RP2350 };

/* "RP2040". */
const char *picoboot_chip_str(enum picoboot_chip c);
/* How much flash the chip can address: one chip select of 16 MiB, or two. */
uint32_t picoboot_flash_window(enum picoboot_chip c);

/* What a session needs of its surroundings. Endpoints and the interface are the port's business. */
struct picoboot_port {
	void *data;
	/* One OUT transfer; n is 0 for an empty packet. */
	int (*out)(void *data, const void *buf, size_t n, const struct iotime *it, struct err *e);
	/* One IN transfer of at most size bytes, a multiple of 64. */
	int (*in)(void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
		struct err *e);
	/* The control request CMD_STATUS. */
	int (*status)(void *data, uint8_t buf[PICOBOOT_STATUS_BYTES], uint16_t *ret_n,
		const struct iotime *it, struct err *e);
	/* Ends halts of both endpoints, and the control request RESET. */
	int (*reset)(void *data, const struct iotime *it, struct err *e);
};

struct picoboot {
	struct picoboot_port port;
	struct teller tell;
	enum picoboot_chip chip;
	uint32_t token; /* of the last command */
};

/* tell may be NULL. The session has no resources of its own. first_token: any number that differs from session to session. */
void picoboot_init(struct picoboot *p, const struct picoboot_port *port, enum picoboot_chip chip,
	uint32_t first_token, const struct teller *tell);

const char *picoboot_status_str(uint32_t status);

/* Out of whatever an earlier session left: endpoints, queue, exclusive access. */
int picoboot_reset(struct picoboot *p, const struct iotime *it, struct err *e);
/* The drive of the same ROM cannot write any more until the next reset. */
int picoboot_exclusive(struct picoboot *p, const struct iotime *it, struct err *e);
/* The flash takes commands, instead of being mapped (of a RP2350 it always does). */
int picoboot_exit_xip(struct picoboot *p, const struct iotime *it, struct err *e);
/* Whole sectors. An acknowledge proves nothing. */
int picoboot_erase(
	struct picoboot *p, uint32_t address, uint32_t n, const struct iotime *it, struct err *e);
/* Whole pages of flash, erased before. */
int picoboot_write(struct picoboot *p, uint32_t address, const void *bytes, uint32_t n,
	const struct iotime *it, struct err *e);
/* Of flash, from the beginning of a page; n is a multiple of 64. */
int picoboot_read(struct picoboot *p, uint32_t address, void *buf, uint32_t n,
	const struct iotime *it, struct err *e);
/* Restarts the chip as after power on. The device leaves the bus some 0.1 s after the answer. */
int picoboot_reboot(struct picoboot *p, const struct iotime *it, struct err *e);

/* What a RP2350 says of itself (RP2350 datasheet, 5.4.8.17, get_sys_info). */
struct picoboot_info {
	uint64_t chip_id;  /* the same as its USB serial number */
	uint32_t critical; /* OTP: secure boot, debug, architectures that are switched off */
	bool secure_boot, debug_disabled, arm_disabled, riscv_disabled;
	const char *cpu;	/* which runs the ROM: "arm", "riscv", "unknown" */
	uint16_t flash_devinfo; /* OTP row FLASH_DEVINFO, or the ROM's default */
	bool partition_table;	/* the flash has one */
	unsigned partitions;
};
/* -ERR_UNSUPPORTED of a RP2040, whose ROM says nothing of itself. */
int picoboot_info(
	struct picoboot *p, struct picoboot_info *ret, const struct iotime *it, struct err *e);
