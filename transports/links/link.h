/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte pipe to a device: tty or TCP; over UDP the same calls carry datagrams, one each. Opened,
 * used and closed by one worker. Every call that can wait takes an iotime; a device that is
 * unplugged gives -ERR_DEVICE_GONE within the call, never a hang.
 *
 * A link address is text: tty:PATH[@BAUD], tcp:HOST:PORT (tcp:[v6]:PORT), udp:HOST:PORT; of instruments that exchange
 * messages (IEEE 488.2) vxi11:HOST[:PORT][/DEVICE], hislip:HOST[:PORT][/DEVICE],
 * usbtmc:VVVV:PPPP[/SERIAL], usbtmc:PORT (1-1.4) or usbtmc:/dev/usbtmcN.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"

/* A link address, or the node of a device, with its end. */
#define LINK_ADDRESS_BYTES 128

enum link_parity { LINK_PARITY_NONE, LINK_PARITY_EVEN, LINK_PARITY_ODD };

enum link_control {
	LINK_CONTROL_BAUD,   /* arg: bits per second, any rate the driver takes (BOTHER) */
	LINK_CONTROL_DTR,    /* arg: 0 or 1 */
	LINK_CONTROL_RTS,    /* arg: 0 or 1 */
	LINK_CONTROL_BREAK,  /* arg: milliseconds */
	LINK_CONTROL_PARITY, /* arg: enum link_parity; a driver without parity says so */
	LINK_CONTROL_FLUSH   /* drop what the kernel holds in both directions */
};

/* Every byte that goes through, as it goes: the run log. dir is '>' to the device or '<' from it.
 */
typedef void link_trace_fn(void *data, char dir, const void *bytes, size_t n);

struct link_config {
	uint32_t baud; /* 0: 115200 */
	enum link_parity parity;
	bool rtscts;
	int dtr; /* on open: -1 leave as the driver does, 0 or 1 */
	int rts;
	uint64_t connect_timeout_us; /* tcp; 0: 5 s */
};

/* The port as its driver leaves it, 115200 8N1. */
#define LINK_CONFIG_DEFAULT ((struct link_config){.dtr = -1, .rts = -1})

struct link_stats {
	uint64_t rx_bytes, tx_bytes;
	/* Counted by the UART driver since open (TIOCGICOUNT), 0 where it does not count. */
	uint32_t overruns, parity_errors, frame_errors;
};

struct link;

struct link_ops {
	const char *name;
	/* At least one byte unless an error: 0 and *ret_n > 0. Peer closed or unplugged:
	 * -ERR_DEVICE_GONE. */
	int (*read)(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
		struct err *e);
	/* All n bytes handed to the kernel. */
	int (*write)(
		struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e);
	/* -ERR_UNSUPPORTED where the medium has no such thing (a pty has no DTR). */
	int (*control)(struct link *l, enum link_control c, uint32_t arg, struct err *e);
	void (*stats)(struct link *l, struct link_stats *ret);
	/* How many bytes the peer's TCP has not acknowledged; NULL: the medium has no such thing. */
	int (*unacknowledged)(struct link *l, size_t *ret, struct err *e);
	/* IEEE 488.1, 2.9 (device clear): what is on its way is dropped, on both sides. NULL: the medium has no such
	 * thing. */
	int (*clear)(struct link *l, const struct iotime *it, struct err *e);
	void (*close)(struct link *l);
};

/* Questions to the peer that were not answered in time, and may still be answered. A protocol with
 * answers that carry no number keeps the account here (protocols/console.h). Code that closes a
 * link and opens it again to the same device hands the account on: the answer comes all the same.
 */
struct link_turn {
	unsigned owed;	   /* answers; 0: in step, and nothing below is set */
	char *asker;	   /* who asked, "" unknown */
	char *sent;	   /* the last question, as it was sent */
	char *shown;	   /* that, as messages may show it: without the asker's secrets */
	char *expect;	   /* patterns of its answer; NULL: any line may be it */
	char *error;	   /* NULL: none */
	uint64_t first_us; /* when the oldest of them was asked */
	uint64_t last_us;  /* and the newest */
	uint64_t clear_us; /* from then on a line that is quiet owes nothing; 0: time proves nothing
			    */
};

/* Nothing is owed any more. What it holds is overwritten: it may be secret. */
void link_turn_clear(struct link_turn *t);
/* Something may still come, of a form that is not known: a dialogue in bytes broke off. */
void link_turn_lost(struct link_turn *t);
/* to takes what from holds; from is clear afterwards. */
void link_turn_move(struct link_turn *from, struct link_turn *to);

/* What a reader of lines had read and not taken when it ended: the next one begins with it. */
struct link_rest {
	char *bytes; /* NULL: nothing */
	size_t len;
	bool mid_line; /* the beginning of the line that comes next was dropped */
};

/* Rate and parity of a line. */
struct link_settings {
	uint64_t baud; /* 0: as it is */
	enum link_parity parity;
};

struct link {
	const struct link_ops *ops;
	char *address; /* as opened, for messages */
	link_trace_fn *trace;
	void *trace_data;
	uint64_t baud; /* 0 where the medium is not paced (TCP) */
	enum link_parity parity;
	struct link_settings before; /* of the push; as they are now where nothing was pushed */
	bool pushed;
	uint64_t rx_bytes, tx_bytes;
	bool dead; /* the peer is gone: another open may lead to another unit */
	struct link_turn turn;
	struct link_rest rest;
};

/* Opens an address. A tty is taken exclusively (TIOCEXCL and flock), raw, at the configured rate;
 * busy gives -ERR_BUSY, a missing node -ERR_DEVICE_GONE, no right -ERR_ACCESS. */
int link_open(const char *address, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);
struct link *link_close(struct link *l); /* takes NULL, returns NULL */
static inline void link_closep(struct link **l)
{
	link_close(*l);
}
/* What the last reader of lines left is dropped, and overwritten: it may be secret. link_drain()
 * and link_close() do it too. */
void link_rest_drop(struct link *l);
void link_set_trace(struct link *l, link_trace_fn *fn, void *data);

int link_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e);
/* Exactly n bytes, or an error (what came before it is traced; *ret_got, which may be NULL, is how
 * much).
 */
int link_read_exact(struct link *l, void *buf, size_t n, size_t *ret_got, const struct iotime *it,
	struct err *e);
int link_write(struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e);
/* Waits until the peer has acknowledged all that was written; returns at once where the medium has no
 * such thing. It says nothing of what the peer makes of it. */
int link_acknowledged(struct link *l, const struct iotime *it, struct err *e);
/* Device clear, of a link that exchanges messages: an answer to what was asked before does not come any more.
 * -ERR_UNSUPPORTED where the medium has no such thing. */
int link_clear(struct link *l, const struct iotime *it, struct err *e);
int link_control(struct link *l, enum link_control c, uint32_t arg, struct err *e);
/* Other settings for a time: what a boot ROM wants and the application that it starts does not. The
 * link keeps what was there at the first push until link_settings_pop(), which gives it back, and
 * takes a link on which nothing was pushed, or whose device is gone. Only what differs is set; the
 * parity comes first. -ERR_UNSUPPORTED as of link_control(): then some of it may be set. */
int link_settings_push(struct link *l, const struct link_settings *s, struct err *e);
void link_settings_pop(struct link *l);
void link_get_stats(struct link *l, struct link_stats *ret);
/* Reads and drops (tracing it) until nothing came for quiet_us, at most max_us: 0 even when still
 * noisy at max_us, and *ret_quiet says which (may be NULL). With 0 and 0 it drops what is already
 * here and never waits. */
int link_drain(struct link *l, uint64_t quiet_us, uint64_t max_us, bool *ret_quiet,
	const struct iotime *it, struct err *e);
