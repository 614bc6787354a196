/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual device: what is plugged in a socket of the row. A pure state machine: bytes, transfers
 * and times go in, bytes and due times come out; no I/O but the unit's own files. One const row of
 * ops for each kind (sim/devices.c); `provsim run --device NAME` chooses.
 *
 * A device is reached as a stream (pty, TCP), by datagrams (UDP) or as a USB gadget (vhci); what it
 * does not have is NULL. It belongs to one unit: a swap frees it and makes another.
 *
 * Nothing here, and nothing that a device is made of, is shared with transports/: a misreading of a
 * protocol must not pass on both sides.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "sim/fault.h"
#include "sim/gadget.h"
#include "sim/pace.h"
#include "sim/port.h"
#include "sim/settings.h"

#define DEVICE_UID_SIZE 40

/* What a device asks of the hand that plugs it; fleet.c grants it after the call. */
enum device_wish {
	WISH_NONE,
	WISH_UNPLUG,
	WISH_REPLUG,	  /* out and in again: power goes off and on */
	WISH_SWAP,	  /* another unit comes in its place */
	WISH_REENUMERATE, /* leaves the bus and comes back as something else; power stays */
	WISH_HANGUP	  /* closes the connection of the host (TCP) */
};

/* A fault that one kind of device alone knows; those of the wire (sim/fault.h) are for all. Set by
 * NAME[=ARG][,count=N]; count=0 is for ever, 1 the default. */
struct own_fault {
	const char *name; /* NULL ends the list */
	const char *help;
	double arg; /* where none is given */
};

#define OWN_FAULTS_MAX 16

struct own_faults {
	const struct own_fault *rows;
	struct {
		unsigned row;
		double arg;
		unsigned count; /* times left; 0: for ever */
	} list[OWN_FAULTS_MAX];
	size_t n;
	uint64_t fired;
};

int own_faults_add(struct own_faults *f, const char *spec, struct err *e);
/* Whether that row's fault is set; uses up one count. ret_arg may be NULL. */
bool own_fault_hit(struct own_faults *f, unsigned row, double *ret_arg);
/* Whether it is set, without using it up. */
bool own_fault_set(const struct own_faults *f, unsigned row, double *ret_arg);

/* A setting that one kind of device alone knows: `--pid 0x413`, `--set b3:pid=0x413`. Text; the
 * device reads it with settings_own(). */
struct own_setting {
	const char *name; /* NULL ends the list */
	const char *text; /* the default */
	const char *help;
};

struct device_config {
	const struct board_settings *set; /* outlives the device */
	struct faults *wire_faults;	  /* of the socket, outlive the device */
	struct own_faults *faults;	  /* of the socket, outlive the device */
	const char *dir; /* a directory of this unit's own, made already; NULL: nothing is kept */
	const char *uid; /* of this unit, 24 hex digits */
	bool fresh;	 /* the unit is new: dir is empty */
	const char *preload;   /* a file that a new unit comes with, or NULL */
	const char *socket;    /* "b3" */
	const char *state_dir; /* of all units, or NULL: for a kind that keeps its units itself */
};

struct device {
	const struct device_ops *ops;
	char uid[DEVICE_UID_SIZE]; /* set by fleet.c after new(), where it is "" */
	enum device_wish wish;
	struct err error; /* the first failure to keep the state */
};

struct device_ops {
	const char *name; /* "serialboot", "stm32-uart", "dfu", "fastboot", "adb" */
	const char *help;
	const struct own_fault *faults;	    /* NULL: none of its own */
	const struct own_setting *settings; /* NULL: none of its own */
	/* It names and keeps its units itself, in state_dir: dir and uid are NULL. */
	bool keeps_units;
	int (*new)(const struct device_config *c, struct device **ret, struct err *e);
	void (*free)(struct device *d);

	void (*power_on)(struct device *d, uint64_t now_us);
	void (*power_off)(struct device *d);
	/* A host opened the link (TCP accept, pty open, USB configuration), or closed it. May be
	 * NULL. */
	void (*opened)(struct device *d, uint64_t now_us);
	void (*closed)(struct device *d, uint64_t now_us);

	/* The host set up its end of the line, where that can be seen (vhci). May be NULL. */
	void (*line)(struct device *d, const struct line_state *l, uint64_t now_us);

	/* Stream: how many bytes input() takes now; datagrams: one whole datagram a call. */
	size_t (*room)(const struct device *d);
	void (*input)(struct device *d, const void *p, size_t n, uint64_t now_us);
	/* Bytes that are ready at now_us; of datagrams one a call. 0: none. */
	size_t (*output)(struct device *d, void *buf, size_t size, uint64_t now_us);
	/* The same for `--link udp`, where the device speaks another framing there; NULL: none. */
	void (*datagram)(struct device *d, const void *p, size_t n, uint64_t now_us);
	size_t (*datagram_output)(struct device *d, void *buf, size_t size, uint64_t now_us);

	/* USB: NULL where it has none (a stream device is then a CDC-ACM function on vhci). */
	const struct gadget_ops *gadget;

	/* When output(), datagram_output() or the gadget's in() may have something, or NEVER. */
	uint64_t (*due)(const struct device *d);

	const char *(*state)(const struct device *d); /* a word: "bootloader" */
	/* Adds what it holds to o: serial, contents' SHA-256, counters. whole: everything. */
	void (*json)(struct device *d, bool whole, json_t *o);
	bool (*has_serial)(const struct device *d); /* may be NULL */
	void (*clear_faults)(struct device *d);	    /* ends a stall; may be NULL */
	/* What it asks for now, forgetting it; NULL: device.wish as it is. */
	enum device_wish (*take_wish)(struct device *d);
	/* Babbles n bytes that no one asked for; may be NULL. */
	void (*babble)(struct device *d, size_t n, uint64_t now_us);
};

/* All kinds, NULL-terminated. */
extern const struct device_ops *const device_kinds[];
const struct device_ops *device_kind(const char *name); /* NULL: no such */
struct device *device_free(struct device *d);		/* takes NULL, returns NULL */
enum device_wish device_take_wish(struct device *d);
/* The row of a setting that some kind has, or NULL. */
const struct own_setting *device_setting(const char *name);
void devices_print(FILE *out);
