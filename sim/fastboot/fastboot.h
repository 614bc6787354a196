/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual phone or board that speaks fastboot: a bootloader, and on devices with logical
 * partitions the userspace fastbootd that it starts. Shared by the fastboot*.c files of sim and by
 * no one else. Made after AOSP system/core fastboot/README.md, fastbootd's device/commands.cpp and
 * U-Boot's fb_command.c.
 *
 *	framing (TCP, UDP, USB) --commands, data--> fb_command(), fb_data()
 *	        <--messages: replies, fetched data-- fb_first(), fb_pop()
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "sim/device.h"
#include "sim/device_rows.h"
#include "sim/wire.h"

#define FB_NAME_MAX	 48
#define FB_PARTITIONS	 64
#define FB_COMMAND_BYTES 4096
#define FB_REPLY_MAX	 256

enum fb_mode { FB_BOOTLOADER, FB_FASTBOOTD, FB_SYSTEM, FB_RECOVERY, FB_OFF };

/* Rows of fb_faults[], by index. */
enum fb_fault {
	FB_FAIL,
	FB_LONG_FAIL,
	FB_INFO,
	FB_TEXT,
	FB_DATA_SIZE,
	FB_DATA_GARBAGE,
	FB_SILENCE,
	FB_GARBAGE,
	FB_SPLIT,
	FB_MERGE,
	FB_TWICE,
	FB_LATE,
	FB_HANGUP,
	FB_STALL,
	FB_ROT,
	FB_NO_USERSPACE,
	FB_LIE_USERSPACE,
	FB_LOST,
	FB_SWAP,
	FB_DROP,
	FB_DUP,
	FB_REORDER,
};

struct fb_partition {
	char name[FB_NAME_MAX]; /* with its slot */
	uint64_t size;
	bool logical;
	int fd;
};

struct fb_msg {
	struct fb_msg *next;
	uint64_t ready_us;
	bool data; /* of a data phase, not a reply */
	size_t n, at;
	uint8_t bytes[];
};

struct fb_udp {
	uint16_t expected;
	bool started;
	bool asked; /* the host waits for a message, with sequence expected - 1 */
	uint16_t packet_max;
	uint8_t saved[2048]; /* the answer to expected - 1 */
	size_t saved_n;
	uint8_t out[2][2048]; /* to be sent; two where one is doubled */
	size_t out_n[2];
	uint8_t held[2048]; /* comes after those that follow it */
	size_t held_n;
	uint64_t held_until_us;
	uint8_t command[FB_COMMAND_BYTES];
	size_t command_n;
	uint64_t in_count, out_count;
};

struct fb_tcp {
	unsigned hello; /* bytes of the handshake that came */
	uint8_t head[8];
	unsigned head_n;
	uint64_t frame_left;
	uint8_t command[FB_COMMAND_BYTES];
	size_t command_n;
	bool in_frame;
	bool greet; /* "FB01" is still to be said */
	uint8_t out_head[8];
	unsigned out_head_at; /* 8: said */
};

struct fb {
	struct device device;
	const struct board_settings *set;
	struct own_faults *faults;
	char *dir; /* NULL: nothing is kept */
	enum fb_mode mode;
	enum fb_mode next_mode; /* after it has left the bus */
	bool locked, custom, uboot;
	unsigned slots;
	char slot; /* 'a' */
	struct fb_partition part[FB_PARTITIONS];
	size_t parts;
	char serial[64];
	char bootloader[32], radio[32]; /* versions of what runs */

	struct fb_msg *first, *last;
	uint8_t *buffer; /* what was downloaded */
	size_t buffer_n, buffer_cap;
	size_t data_left; /* of a data phase to us */
	uint64_t data_seen;
	bool stalled;
	uint64_t now_us;
	uint64_t busy_until_us;
	unsigned commands;	      /* since the host opened it */
	enum device_wish wish_at_end; /* once all that was said is through */

	struct fb_tcp tcp;
	struct fb_udp udp;
	char usb_config_string[16];
	uint8_t usb_device[18], usb_config[64];

	unsigned flashes, erases, downloads, fetches, boots, reboots;
	struct strbuf log; /* each command, in lines */
};

extern const struct own_fault fb_faults[];
/* The versions of a bootloader and a radio that were flashed, where they begin with "VERSION=TEXT" and a NUL: they run from the
 * next start on. */
void fb_disk_versions(struct fb *f);

static inline struct fb *fb_of(struct device *d)
{
	return container_of(d, struct fb, device);
}

static inline const struct fb *fb_of_const(const struct device *d)
{
	return (const struct fb *)((const char *)d - offsetof(struct fb, device));
}

/* -- fastboot.c: messages -- */
void fb_say(struct fb *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fb_okay(struct fb *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fb_fail(struct fb *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fb_push(struct fb *f, bool data, const void *p, size_t n);
/* The first message that is ready, or NULL. */
struct fb_msg *fb_first(struct fb *f, uint64_t now_us);
void fb_pop(struct fb *f);
void fb_drop_all(struct fb *f); /* messages, an unfinished download */
/* Whether it answers at all in this mode. */
bool fb_listens(const struct fb *f);

/* -- fastboot_commands.c -- */
void fb_command(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us);
/* Bytes of a data phase; how many of them belonged to it. */
size_t fb_data(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us);

/* -- fastboot_vars.c -- */
/* False: unknown. */
bool fb_var(struct fb *f, const char *name, char *ret, size_t size);
void fb_getvar(struct fb *f, const char *name);

/* -- fastboot_disk.c -- */
int fb_disk_open(struct fb *f, bool fresh, struct err *e);
void fb_disk_close(struct fb *f);
struct fb_partition *fb_find(struct fb *f, const char *name); /* one that this mode shows */
struct fb_partition *fb_find_any(struct fb *f, const char *name);
bool fb_has_slot(const struct fb *f, const char *base);
/* NULL, or why it failed. */
const char *fb_flash(struct fb *f, struct fb_partition *p, const uint8_t *bytes, size_t n);
const char *fb_erase(struct fb *f, struct fb_partition *p);
const char *fb_resize(struct fb *f, struct fb_partition *p, uint64_t size);
const char *fb_create(struct fb *f, const char *name, uint64_t size);
const char *fb_delete(struct fb *f, struct fb_partition *p);
void fb_keep(struct fb *f); /* slot, lock and logical partitions, in layout.json */
json_t *fb_disk_json(struct fb *f, bool digests);

/* -- fastboot_net.c -- */
size_t fb_room(const struct device *d);
void fb_input(struct device *d, const void *p, size_t n, uint64_t now_us);
size_t fb_output(struct device *d, void *buf, size_t size, uint64_t now_us);
void fb_datagram(struct device *d, const void *p, size_t n, uint64_t now_us);
size_t fb_datagram_output(struct device *d, void *buf, size_t size, uint64_t now_us);
uint64_t fb_udp_due(const struct fb *f);
void fb_net_reset(struct fb *f);

/* -- fastboot_usb.c -- */
extern const struct gadget_ops fb_gadget;
void fb_usb_describe(struct fb *f);
