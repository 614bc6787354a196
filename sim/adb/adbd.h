/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual phone's adbd, shared by the files sim/adbd_*.c and by no one else.
 *
 *	adbd_device.c    the row: power, links, modes, what the fleet sees
 *	adbd_wire.c      bytes and USB transfers <-> packets, with the faults of both ways
 *	adbd_packets.c   handshake, streams
 *	adbd_rsa.c       whether a signature is that of a public key
 *	adbd_services.c  what a stream may be opened for
 *	adbd_shell.c     command lines; adbd_commands.c the commands
 *	adbd_pm.c        packages
 *	adbd_sync.c      file transfer
 *	adbd_sideload.c  recovery packages
 *	adbd_backup.c    backup and restore
 *	adbd_fs.c        the unit's files: real ones below <unit's directory>/fs
 */
#pragma once

#include "base/bytes.h"
#include "base/strbuf.h"
#include "sim/device.h"
#include "sim/wire.h"

/* Bytes that go in at one end and out at the other. */
struct adbd_queue {
	uint8_t *p;
	size_t at, len, cap;
};
void adbd_put(struct adbd_queue *q, const void *p, size_t n);
static inline size_t adbd_queued(const struct adbd_queue *q)
{
	return q->len - q->at;
}
void adbd_take(struct adbd_queue *q, size_t n);
void adbd_queue_done(struct adbd_queue *q);

enum adbd_mode {
	ADBD_OFF,
	ADBD_DEVICE,
	ADBD_RECOVERY,
	ADBD_SIDELOAD,
	ADBD_BOOTLOADER /* hears no ADB */
};

/* Rows of adbd_faults[]. */
enum adbd_fault {
	AF_BAD_MAGIC,
	AF_BAD_SUM,
	AF_HUGE_LENGTH,
	AF_ZERO_ID,
	AF_CLSE0,
	AF_REFUSE_OPEN,
	AF_NO_EXIT,
	AF_EXIT,
	AF_SYNC_FAIL,
	AF_SHORT_PULL,
	AF_CORRUPT_PUSH,
	AF_CORRUPT_PULL,
	AF_LOSE_PUSH,
	AF_STALL_REPLY,
	AF_HANGUP,
	AF_HANGUP_REPLY,
	AF_ENDLESS_TOKEN,
	AF_STLS,
	AF_GARBAGE,
	AF_STRAY,
	AF_SPLIT,
	AF_SIDELOAD_FAIL,
	AF_SIDELOAD_DIE,
	AF_SIDELOAD_PAST,
	AF_INSTALL_FAIL,
	AF_INSTALL_LIE,
	AF_DISK_FULL,
	AF_LYING_SHA,
	AF_BROKEN_PNG,
	AF_BROKEN_MP4,
	AF_SHORT_BACKUP,
	AF_DENY,
	AF_SWAP_REBOOT,
	AF_NO_RETURN,
	AF_REBOOT_IGNORED,
	AF_REBOOT_SILENT,
	AF_REBOOT_LIE,
	AF_WRONG_MODE,
	AF_RUBBISH_TEXT,
	AF_COUNT
};
extern const struct own_fault adbd_faults[AF_COUNT + 1];

struct adbd;
struct adbd_stream;

struct adbd_service {
	const char *prefix; /* of the name that opens it */
	/* false: refused (CLSE(0, id)). arg: after the prefix. */
	bool (*open)(struct adbd_stream *s, const char *arg, uint64_t now_us);
	void (*input)(struct adbd_stream *s, const uint8_t *p, size_t n, uint64_t now_us);
	/* The peer takes more and the stream has nothing queued: queue the next. May be NULL. */
	void (*more)(struct adbd_stream *s, uint64_t now_us);
	void (*done)(struct adbd_stream *s); /* frees s->state; may be NULL */
};

struct adbd_stream {
	struct adbd *d;
	struct adbd_stream *next;
	const struct adbd_service *service;
	uint32_t local, remote;
	bool may_send;
	bool ended; /* CLSE once all is sent */
	struct adbd_queue out;
	uint64_t due_us; /* when more() is to be called, NEVER */
	void *state;
};

struct adbd_usb; /* adbd_wire.c */

struct adbd {
	struct device device;
	const struct board_settings *set;
	struct faults *wire_faults;
	struct own_faults *faults;
	char *dir;    /* of the unit */
	bool own_dir; /* made for this object alone, gone with it */
	char uid[DEVICE_UID_SIZE];
	char serial[64];

	enum adbd_mode mode;
	uint64_t boot_until_us;	  /* hears nothing before */
	uint64_t completed_at_us; /* sys.boot_completed */
	bool root, remounted;
	enum adbd_mode next_mode;
	bool reboots; /* the kernel too */
	enum device_wish leaving;
	uint64_t leave_at_us;
	struct strbuf log; /* logcat's */

	/* the connection */
	bool online, no_sums, stalled;
	bool waits;		       /* what came is heard after the boot */
	bool shell_v2, stat_v2, ls_v2; /* both sides have it */
	uint32_t max_payload;
	uint8_t token[20];
	bool token_given;
	uint32_t last_id;
	struct adbd_stream *streams;
	struct adbd_queue rx, tx;
	struct adbd_usb *usb;	     /* NULL while a stream carries it */
	uint64_t rx_bytes, tx_bytes; /* of this connection */
	uint64_t counters[4];	     /* packets in, packets out, opened streams, authorised */
};

bool adbd_hit(struct adbd *d, enum adbd_fault f);
bool adbd_hit_arg(struct adbd *d, enum adbd_fault f, uint64_t *ret_arg);
bool adbd_armed(const struct adbd *d, enum adbd_fault f, uint64_t *ret_arg);
void adbd_logf(struct adbd *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *adbd_setting(const struct adbd *d, const char *name);
void adbd_fail(struct adbd *d, int r, const struct err *e); /* keeps the first failure */

/* wire: one packet goes out; packets come in through adbd_packet(). */
void adbd_send(
	struct adbd *d, uint32_t command, uint32_t arg0, uint32_t arg1, const void *p, size_t n);
void adbd_wire_reset(struct adbd *d);
size_t adbd_wire_input(struct adbd *d, const uint8_t *p, size_t n, uint64_t now_us);
/* Packets of what came and waits, once it can be heard. */
void adbd_wire_run(struct adbd *d, uint64_t now_us);
size_t adbd_wire_output(struct adbd *d, uint8_t *buf, size_t size);
bool adbd_wire_sending(const struct adbd *d);
extern const struct gadget_ops adbd_gadget;
void adbd_usb_done(struct adbd *d);

/* packets */
void adbd_packet(struct adbd *d, uint32_t command, uint32_t arg0, uint32_t arg1, uint32_t check,
	const uint8_t *p, size_t n, uint64_t now_us);
/* Sends what streams have; ends those that are through. */
void adbd_streams_run(struct adbd *d, uint64_t now_us);
void adbd_streams_drop(struct adbd *d);
uint64_t adbd_streams_due(const struct adbd *d);
void adbd_connection_lost(struct adbd *d);

/* rsa: key is the 524 bytes of Android's form. */
bool adbd_rsa_verify(
	const uint8_t key[524], const uint8_t digest[20], const uint8_t signature[256]);
bool adbd_base64(const char *text, size_t n, uint8_t *out, size_t size);

/* services */
extern const struct adbd_service adbd_service_sync, adbd_service_sideload,
	adbd_service_sideload_old, adbd_service_backup, adbd_service_restore, adbd_service_shell,
	adbd_service_shell_v2, adbd_service_exec;
const struct adbd_service *adbd_service_find(const struct adbd *d, const char *name);
void adbd_stream_say(struct adbd_stream *s, const char *text);
/* Leaves in a moment and comes back in that mode; reboots: all of it, not its adbd alone. */
void adbd_restart(struct adbd *d, enum adbd_mode mode, bool reboots, uint64_t now_us);

/* shell: one command line under way */
struct adbd_run {
	struct adbd *d;
	char **word; /* of the whole line; control operators are words of their own */
	bool *quoted;
	size_t words, at;
	int status;
	bool ended;
	uint64_t wait_us; /* 0: goes on at once */
	char *redirect;	  /* of the current command, or NULL */
	bool append;
	struct strbuf redirected;
	void *sink_data;
	void (*sink)(void *data, bool is_err, const void *p, size_t n);
	uint64_t now_us;
	/* A command that reads its input: the bytes that it wants, and what takes them. */
	uint64_t want;
	FILE *input;
	char *input_path;
	int argc; /* of that command, kept until its input is whole */
	char **argv;
};
struct adbd_run *adbd_run_new(struct adbd *d, const char *line);
void adbd_run_free(struct adbd_run *r);
/* Goes on until it waits or ends. */
void adbd_run_step(struct adbd_run *r, uint64_t now_us);
void adbd_run_input(struct adbd_run *r, const uint8_t *p, size_t n, uint64_t now_us);
void adbd_out(struct adbd_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void adbd_err(struct adbd_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void adbd_out_bytes(struct adbd_run *r, const void *p, size_t n);
/* Runs argv; the status. Sets r->wait_us or r->want to go on later. */
int adbd_command(struct adbd_run *r, int argc, char **argv);
int adbd_pm(struct adbd_run *r, int argc, char **argv);
/* The input of `install -S` has come whole. */
int adbd_pm_streamed(struct adbd_run *r);
void adbd_getprops(struct adbd_run *r, const char *name);

/* The path of the real file; owned by the caller. */
char *adbd_path(const struct adbd *d, const char *path);
/* 0 or an errno of the phone: what this user may write. */
int adbd_may_write(const struct adbd *d, const char *path);
int adbd_make_parents(const char *real);
int adbd_write_file(const struct adbd *d, const char *path, const void *p, size_t n);
int adbd_copy_file(const char *from, const char *to);
void adbd_remove_tree(const char *real);
void adbd_fs_fresh(struct adbd *d);
void adbd_fs_boot(struct adbd *d); /* what changes with each run of its kernel */
