/* SPDX-License-Identifier: Apache-2.0
 *
 * ST's STM32_Programmer_CLI, a proprietary program (ST UM2237). One run can print "Error: Failed to
 * download data!" and "Download verified successfully" after it, so any line with "Error:" wins.
 * The image goes to it as one Intel HEX file of provd's own. On the worker's thread.
 */
#pragma once

#include "transports/images/image.h"
#include "transports/tools/tool.h"

/* What is said of a part without power, which also lets nobody in. */
#define CUBE_NO_POWER "the unit has no power"

#define CUBE_OPTIONS_MAX 32
#define CUBE_UID_BYTES	 12

enum cube_port { CUBE_SWD, CUBE_JTAG, CUBE_USB, CUBE_UART };

extern const char *const cube_modes[];	/* NORMAL, UR, HOTPLUG, POWERDOWN, NULL */
extern const char *const cube_resets[]; /* SWrst, HWrst, Crst, NULL */

struct cube_target {
	const char *program;
	enum cube_port port;
	const char *serial; /* of the probe or USB device; NULL: the only one */
	const char *node;   /* CUBE_UART: /dev/tty... */
	uint32_t baud;	    /* CUBE_UART; 0: 115200 */
	uint32_t speed_khz; /* SWD, JTAG; 0: the program's choice */
	const char *mode;   /* SWD, JTAG: one of cube_modes, NULL: NORMAL */
	const char *reset;  /* SWD, JTAG: one of cube_resets, NULL: SWrst */
	int access_port;    /* SWD, JTAG; -1: 0 */
};

struct cube_flash {
	bool erase_all;
	const char *const
		*option; /* option bytes, NAME=VALUE, written after the verify; may be NULL */
	bool start;	 /* reset afterwards, so that it runs */
};

/* -ERR_INVALID for what does not go into a command line; also for RDP=0xCC, the read-out protection
 * of level 2, which nothing takes back: cube_level2() alone sets it. */
int cube_check(const struct cube_target *t, const struct cube_flash *f, struct err *e);
/* Writes the image into d, which is empty, and runs the program. Results as of tool_run(). */
int cube_flash(const struct cube_target *t, const struct image *i, const struct cube_flash *f,
	const struct tool_dir *d, const struct teller *tell, struct tool_outcome *ret,
	const struct iotime *it, struct err *e);

extern const struct tool_rule cube_rules[];

/* What the program shows of a part (-c, -ob displ, -r32). The form of its lines is general knowledge, and was not seen
 * of the program itself: what does not fit it is refused. */
struct cube_part {
	uint16_t device_id; /* as the boot ROM's product id */
	uint8_t rdp;	    /* aa: level 0, anything but that and cc: level 1 */
	char uid[2 * CUBE_UID_BYTES +
		 1]; /* hex, as it lies in memory; "": where it is is not known */
};

/* Connects and reads, and changes nothing. -ERR_NO_EVIDENCE where it does not say all of that, or says it
 * more than once; else as tool_run(), where -ERR_TIMEOUT is a part that does not answer. */
int cube_look(const struct cube_target *t, const struct tool_dir *d, const struct teller *tell,
	struct cube_part *ret, const struct iotime *it, struct err *e);
/* Read-out protection of level 2, once and for ever. 0: the program says that the option bytes are
 * programmed, which is no proof yet. */
int cube_level2(const struct cube_target *t, const struct tool_dir *d, const struct teller *tell,
	struct tool_outcome *ret, const struct iotime *it, struct err *e);
