/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual board: the guide's bootloader and application console behind a serial line. A pure
 * state machine: bytes and times go in, bytes and due times come out; no I/O but the unit's state.
 *
 *	power on --blank--> bootloader <--BOOT-- application
 *	    |                 |    ^               ^
 *	    |             BOOT_APP |NO APP         |
 *	    +--image--> booting <--+--(boot time)--+
 *
 * While it boots, the board hears nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "sim/device.h"
#include "sim/fault.h"
#include "sim/settings.h"
#include "sim/unit.h"
#include "sim/wire.h"

#define BOARD_LINE_MAX 4096

enum board_state { BOARD_OFF, BOARD_BOOTLOADER, BOARD_BOOTING, BOARD_APPLICATION };

struct board {
	const struct board_settings *set; /* not owned, outlives the board */
	struct faults *faults;		  /* not owned */
	struct unit *unit;		  /* owned */
	struct wire wire;
	enum board_state state;
	uint64_t boot_until_us;
	uint64_t busy_until_us; /* erases, writes: input waits */
	uint64_t frame_until_us;
	struct strbuf frame; /* an unfinished frame of the bootloader */
	struct strbuf line;  /* an unfinished line */
	struct strbuf cert;  /* an unfinished certificate */
	size_t cert_bytes;   /* how long it will be; 0: none is on its way */
	bool cert_is_key;    /* it is a private key */
	bool line_too_long;
	bool after_cr;
	bool stalled;
	enum device_wish wish;
	char *version;	  /* of the application, while it runs */
	struct err error; /* the first failure to keep the state */
};

/* Takes the unit. */
struct board *board_new(const struct board_settings *set, struct faults *faults, struct unit *unit);
struct board *board_free(struct board *b);
DEFINE_CLEANUP(struct board, board_free)

void board_power_on(struct board *b, uint64_t now_us);
/* Forgets what is under way; the state is saved. */
void board_power_off(struct board *b);

/* How many bytes board_input() takes now. */
size_t board_room(const struct board *b);
/* The host handed over n bytes, at most board_room(). */
void board_input(struct board *b, const void *p, size_t n, uint64_t now_us);
/* Works through what is due. Called by board_input and board_output too. */
void board_run(struct board *b, uint64_t now_us);
/* Bytes that are through at now_us, to be handed to the link in one piece. */
size_t board_output(struct board *b, void *buf, size_t size, uint64_t now_us);
/* When to call board_output() again, or NEVER. */
uint64_t board_due(const struct board *b);

enum board_state board_state(struct board *b, uint64_t now_us);
const char *board_state_name(enum board_state s);
enum device_wish board_take_wish(struct board *b);
/* Lines of junk, n bytes in all, from now on. */
void board_babble(struct board *b, size_t n, uint64_t now_us);
