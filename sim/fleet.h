/* SPDX-License-Identifier: Apache-2.0
 *
 * The row of sockets with a board in each, and the hand that plugs and unplugs them. One thread,
 * with the loop.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sim/device.h"
#include "sim/loop.h"
#include "sim/port.h"
#include "sim/server.h"

#define FLEET_BOARDS_MAX 1024
#define REPLUG_GAP_US	 (300 * US_PER_MS)

struct fleet_config {
	unsigned boards;
	unsigned first_socket; /* several provsim make one row: this one's sockets begin here; 0: 1
				*/
	const struct device_ops *device; /* NULL: the guide's board */
	enum port_kind kind;
	uint16_t tcp_base; /* tcp, udp: board n listens on tcp_base + n; 0: any port */
	const char *links_dir;
	const char *state_dir;
	const char *preload; /* a blank unit comes with this image in its flash */
	const char *events_path;
	const char *trace_dir; /* vhci: DIR/b1 is what hosts ask of it */
	/* The operator: a unit that got its serial number (or, without when_serial, any byte) and
	 * then nothing for that long makes way for a new one, until `units` were made. */
	uint64_t replace_idle_us; /* 0: off */
	bool when_serial;
	unsigned units; /* 0: no end */
};

struct slot {
	struct fleet *fleet;
	char name[16];
	unsigned socket;
	struct board_settings set;
	struct faults faults;	      /* of the wire */
	struct own_faults own_faults; /* of this kind of device */
	struct device *device;
	struct port *port; /* NULL: unplugged */
	FILE *trace;
	bool powered;
	char usb_id[10]; /* vvvv:pppp of a gadget */
	uint16_t tcp_port;
	unsigned devnum;
	uint64_t plugged_us;
	uint64_t last_input_us; /* 0: none since it was plugged */
	uint64_t plug_at_us;	/* NEVER, or when the hand plugs it again */
	unsigned replugs_left;
	uint64_t gap_us;
};

struct fleet;

/* Every slot with its settings, nothing plugged: adjust them, then fleet_start(). */
int fleet_new(struct loop *l, const struct fleet_config *c, const struct board_settings *s,
	struct fleet **ret, struct err *e);
struct fleet *fleet_free(struct fleet *f);
DEFINE_CLEANUP(struct fleet, fleet_free)
int fleet_start(struct fleet *f, struct err *e);
/* Does what is due; returns when to come again. */
uint64_t fleet_run(struct fleet *f);

unsigned fleet_size(const struct fleet *f);
struct slot *fleet_slot(struct fleet *f, unsigned i);
/* "b3", or the uid of the unit in it; NULL if there is none. */
struct slot *fleet_find(struct fleet *f, const char *name);
unsigned fleet_units_made(const struct fleet *f);

int slot_plug(struct slot *s, struct err *e);
void slot_unplug(struct slot *s);
/* Out and in again, `times` times. */
void slot_replug(struct slot *s, uint64_t gap_us, unsigned times);
/* Another, new unit comes; gap_us after this one was pulled out. */
int slot_next(struct slot *s, uint64_t gap_us, struct err *e);
/* Power off and on, plugged as it is. */
void slot_reset(struct slot *s);
void slot_flood(struct slot *s, size_t bytes);
/* udev says "change" once. */
void slot_change(struct slot *s);
/* NAME[=ARG]...: of the wire, or of the device. */
int slot_fault(struct slot *s, const char *spec, struct err *e);
void slot_clear_faults(struct slot *s);
json_t *slot_json(struct slot *s, bool whole);
