/* SPDX-License-Identifier: Apache-2.0
 *
 * How the power of a station's unit is switched, as the configuration or a bench says it: a value that is handed to
 * whoever switches. Texts that are not in it are borrowed from the environment that gave it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transports/links/link.h"
#include "transports/links/usb.h"

struct link_queue;

enum power_kind {
	POWER_HUB,	    /* a port of a USB hub */
	POWER_HID_RELAY,    /* a channel of a USB HID relay (16c0:05df) */
	POWER_GPIO,	    /* a line of a GPIO chip */
	POWER_SERIAL_RELAY, /* bytes on a serial line */
	POWER_SCPI,	    /* an output of a supply */
	POWER_PROGRAM	    /* any program */
};
#define POWER_KINDS 6
extern const char
	*const power_kind_names[POWER_KINDS + 1]; /* as they are written; NULL-terminated */

enum power_state { POWER_UNKNOWN, POWER_OFF, POWER_ON };
const char *power_state_str(enum power_state s); /* "unknown", "off", "on" */

#define POWER_PLACE_BYTES 192
#define POWER_NAME_BYTES  64
#define POWER_ROLES_MAX	  16
#define POWER_BYTES_MAX	  32 /* of a command of a serial relay */

/* What goes over a serial line. */
struct power_bytes {
	uint8_t byte[POWER_BYTES_MAX];
	size_t n; /* 0: none */
};
/* "a0 01 01 a2", with or without spaces. -ERR_INVALID. */
int power_bytes_parse(const char *hex, struct power_bytes *ret, struct err *e);

struct power_way {
	enum power_kind kind;
	char place[POWER_PLACE_BYTES]; /* for people: "port 2 of hub 1-8" */
	/* Those of one group share a cable to their supply, and are switched in turn. */
	char group[POWER_PLACE_BYTES];
	uint64_t gap_us;	  /* between two that are switched on in a group */
	struct link_queue *queue; /* of all who switch here; NULL: nobody else does */
	/* Whose devices have no power when it is off; NULL ends them. */
	const char *role[POWER_ROLES_MAX + 1];

	char hub[USB_PORT_BYTES]; /* 1-8, usb1 */
	unsigned port;

	char serial[POWER_NAME_BYTES]; /* of a HID relay; "": the only one */
	unsigned channel;	       /* of a HID relay, of a supply; from 1 */

	char chip[POWER_NAME_BYTES]; /* gpiochip0, or its label */
	unsigned line;
	bool active_low;

	char address[LINK_ADDRESS_BYTES];			    /* of a serial relay */
	struct power_bytes on, off, query, answers_on, answers_off; /* of it */
	uint64_t answer_us;

	const char *instrument; /* of a supply, as provd.yaml names it */
	char say_on[POWER_NAME_BYTES], say_off[POWER_NAME_BYTES],
		say_query[POWER_NAME_BYTES]; /* its commands: OUTP ON, OUTP OFF, OUTP? */

	const char *const *run_on,
		*const *run_off, *const *run_status; /* argv of a program; the last may be NULL */
};

/* A line that resets a unit while it is active. */
struct reset_line {
	char chip[POWER_NAME_BYTES];
	unsigned line;
	bool active_low;
};
