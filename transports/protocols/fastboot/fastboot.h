/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot (AOSP system/core fastboot/README.md, fastboot_driver.cpp): a session with one
 * bootloader, or with the userspace fastbootd. One object per device, on the worker that owns its
 * pipe.
 *
 *	host: one command, ASCII, no NUL
 *	device: any number of INFO and TEXT, then OKAY value | FAIL reason | DATA size
 *	DATA: so many bytes one way, then again INFO.. and OKAY | FAIL
 *
 * Replies carry no number. After anything but OKAY or FAIL at the right place (silence, rubbish, a
 * wrong size, a cancel) a session is out of step, and refuses every further command: a late answer
 * must not be taken for the next one's. For the same reason nothing may lie in the pipe before a
 * command, and fastboot_sync() asks for something known after one whose OKAY matters.
 *
 * Over USB an older session's reply outlives it. So a session begins with its proof: the version, a
 * name that nobody knows, the version again, which an older reply puts out of place. Where the
 * device knows no version, or is asked for none, a download of a random size goes before the first
 * command that is answered by OKAY alone: DATA says the size back. A download of one's own, and a
 * fetch, need none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/protocols/fastboot/fastboot_pipe.h"

#define FASTBOOT_COMMAND_MAX 64 /* what boot ROMs and U-Boot take; AOSP's own: 4096 */
#define FASTBOOT_NAME_MAX    80 /* of a partition, with its slot and NUL */

struct fastboot_config {
	size_t command_max;   /* 0: FASTBOOT_COMMAND_MAX; at most 4095 */
	bool trailing_nul;    /* after each command: the guide's embedded devices; fastbootd
				 answers FAIL to it */
	bool no_getvar;	      /* a device that knows download, flash and reboot alone is asked
				 for nothing else */
	uint64_t getvar_us;   /* of silence; 0: 5 s */
	uint64_t download_us; /* for DATA, and for OKAY after the data; 0: 60 s */
	uint64_t command_us;  /* of any other; 0: 30 s */
	uint64_t flash_us;    /* of flash, erase, resize; 0: 300 s (a large eMMC says nothing
				 for minutes) */
};

struct fastboot;

/* Takes the pipe, also on failure. Asks getvar:version, unless the options forbid it: a device that
 * does not know it is fine, silence is not. -ERR_OUT_OF_STEP where older replies come first and do
 * not end.
 */
int fastboot_new(struct fastboot_pipe *p, const struct fastboot_config *c,
	const struct teller *tell, const struct iotime *it, struct fastboot **ret, struct err *e);
struct fastboot *fastboot_free(struct fastboot *f);
DEFINE_CLEANUP(struct fastboot, fastboot_free)
const struct fastboot_config *fastboot_config(const struct fastboot *f);

/* The text after OKAY, without trailing NULs and space. */
struct fastboot_reply {
	char text[FASTBOOT_REPLY_MAX + 1];
	struct strbuf
		*lines; /* where INFO and TEXT go in addition to the log, one a line; may be NULL */
};

/* -ERR_DEVICE_REFUSED with the reason after FAIL; -ERR_TIMEOUT after budget_us of silence;
 * -ERR_PROTOCOL for what is not a reply, a DATA that no one asked for, or a session out of step;
 * -ERR_OUT_OF_STEP where the device cannot show that an older session's reply is not the answer;
 * -ERR_INVALID for a command that is too long or holds control characters. ret may be NULL. */
int fastboot_command(struct fastboot *f, const char *command, uint64_t budget_us,
	const struct iotime *it, struct fastboot_reply *ret, struct err *e);
/* All n bytes (1 to 2^32 - 1) into the device's buffer, which the next flash or boot takes. */
int fastboot_download(
	struct fastboot *f, const struct spans *bytes, const struct iotime *it, struct err *e);
/* A command that is answered with data ("upload", "fetch:..."). Of want bytes, where that is not 0:
 * another size is -ERR_PROTOCOL; at most max. sink gets them in order. */
typedef int fastboot_sink_fn(void *data, const uint8_t *bytes, size_t n, struct err *e);
int fastboot_collect(struct fastboot *f, const char *command, uint64_t want, uint64_t max,
	fastboot_sink_fn *sink, void *sink_data, uint64_t *ret_n, const struct iotime *it,
	struct err *e);
/* Asks for getvar:version again: -ERR_PROTOCOL where the answer is not what it was, so that an
 * answer too many is not taken for the OKAY of a flash. Nothing where the device did not know it.
 */
int fastboot_sync(struct fastboot *f, const struct iotime *it, struct err *e);

/* After a command that makes it restart: reads until the connection ends, at most budget_us. 0
 * whether it ended or not; only a cancel is an error. The session is over. */
int fastboot_until_left(
	struct fastboot *f, uint64_t budget_us, const struct iotime *it, struct err *e);

/* 0 with the value; -ERR_NOT_FOUND where the device answers FAIL or nothing: it does not know it.
 */
int fastboot_getvar(struct fastboot *f, const char *name, char ret[FASTBOOT_REPLY_MAX + 1],
	const struct iotime *it, struct err *e);
/* "yes": 1, anything else: 0; not known: 0. */
int fastboot_getvar_yes(
	struct fastboot *f, const char *name, bool *ret, const struct iotime *it, struct err *e);
/* max-download-size, max-fetch-size: hexadecimal with 0x, else decimal; 0 where not known (or not
 * readable as a number, which is logged). */
int fastboot_getvar_size(struct fastboot *f, const char *name, uint64_t *ret,
	const struct iotime *it, struct err *e);
/* partition-size, erase-block-size, logical-block-size: always hexadecimal, with 0x or without. */
int fastboot_getvar_hex(struct fastboot *f, const char *name, uint64_t *ret,
	const struct iotime *it, struct err *e);
/* The two rules (AOSP fastboot.cpp: get_uint_var and fb_get_num_var), whole text, space around. */
bool fastboot_parse_size(const char *s, uint64_t *ret);
bool fastboot_parse_hex(const char *s, uint64_t *ret);

/* A line of getvar:all: "name:value" and "name:arg:value" of fastbootd, "name: value" of U-Boot.
 * Values may hold colons: only names that are known to take an argument have one. */
struct fastboot_var {
	char *name; /* with its argument: "partition-size:boot" */
	char *value;
};
struct fastboot_vars {
	struct fastboot_var *list;
	size_t count;
};
int fastboot_getvar_all(
	struct fastboot *f, struct fastboot_vars *ret, const struct iotime *it, struct err *e);
void fastboot_vars_add(struct fastboot_vars *v, const char *line);
void fastboot_vars_done(struct fastboot_vars *v);

/* "unlocked", "locked" or "unknown", by getvar:unlocked. */
enum fastboot_lock { FASTBOOT_LOCK_UNKNOWN, FASTBOOT_LOCKED, FASTBOOT_UNLOCKED };
int fastboot_lock_state(
	struct fastboot *f, enum fastboot_lock *ret, const struct iotime *it, struct err *e);
const char *fastboot_lock_name(enum fastboot_lock l);

/* The partition's name as flash: wants it. slot: NULL or "" for the current one, "a".., "other".
 * Only partitions that have slots get one; one without slots and an explicit slot is
 * -ERR_UNSUPPORTED. A suffix goes after the first token ("vendor_boot:default"). */
int fastboot_target(struct fastboot *f, const char *partition, const char *slot,
	char ret[FASTBOOT_NAME_MAX], const struct iotime *it, struct err *e);
/* "a" of "_a" or "a". */
int fastboot_current_slot(struct fastboot *f, char ret[8], const struct iotime *it, struct err *e);
