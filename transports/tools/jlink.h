/* SPDX-License-Identifier: Apache-2.0
 *
 * SEGGER's J-Link Commander (JLinkExe), a proprietary program: provd writes its script and believes
 * its lines, never its exit status, which is 0 whatever happened until the script says
 * `ExitOnError 1` (and then still for some failures). Facts: SEGGER UM08001, "J-Link Commander";
 * the runner of Zephyr's west and its issues 38592 and 39734; RIOT's issue 11303.
 *
 * Flashing: the image as one Intel HEX file, loaded once; each of its segments as a raw file,
 * compared with `verifybin`. It has passed when the one load said O.K. and every segment said
 * "Verify successful.". On the worker's thread.
 */
#pragma once

#include "base/strbuf.h"
#include "transports/images/image.h"
#include "transports/tools/tool.h"

#define JLINK_SEGMENTS_MAX 256
#define JLINK_COMMANDS_MAX 256

extern const char *const jlink_interfaces[]; /* SWD, JTAG, cJTAG, FINE, ICSP; NULL-terminated */

struct jlink_target {
	const char *program;   /* JLinkExe, or a path */
	const char *device;    /* as SEGGER names it: STM32F407VG */
	const char *interface; /* one of jlink_interfaces */
	uint32_t speed_khz;    /* 0: the program's choice */
	const char *serial;    /* digits of the probe's serial number; NULL: the only one */
};

struct jlink_flash {
	bool erase_chip; /* the whole chip first; else the sectors that the load touches */
	bool start;	 /* reset and let it run afterwards */
};

/* -ERR_INVALID for what does not go into a script or a command line. */
int jlink_check(const struct jlink_target *t, struct err *e);
/* The script of a flash, for files flash.hex and segment-N.bin. */
void jlink_flash_script(
	const struct image *i, const struct jlink_flash *f, struct strbuf *ret_script);

/* Writes the files into d, which is empty, and runs the program. Results as of tool_run(). */
int jlink_flash(const struct jlink_target *t, const struct image *i, const struct jlink_flash *f,
	const struct tool_dir *d, const struct teller *tell, struct tool_outcome *ret,
	const struct iotime *it, struct err *e);

/* Commands of the site's own: each is one line of printable ASCII; provd puts `ExitOnError 1`
 * before and `exit` after them. success: what has to be said, next to "Script processing
 * completed."; failure: what may not, in addition to provd's own table. Both may be NULL. */
struct jlink_commands {
	const char *const *line; /* NULL-terminated */
	const char *const *success;
	const char *const *failure;
	const char *evidence; /* or NULL */
};
int jlink_script(const struct jlink_target *t, const struct jlink_commands *c,
	const struct tool_dir *d, const struct teller *tell, struct tool_outcome *ret,
	const struct iotime *it, struct err *e);

extern const struct tool_rule jlink_rules[];
