/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the sender of IPC-CFX, shared by its parts: cfx.c (the thread, the connection, what the broker says),
 * cfx_addresses.c (which addresses there are), cfx_rows.c (rows under way, and what came of them), cfx_send.c (messages).
 * All of it is of the sender's thread.
 */
#pragma once

#include <pthread.h>

#include "base/iotime.h"
#include "daemon/line/cfx.h"
#include "daemon/line/retries.h"
#include "transports/links/amqp.h"

#define CFX_ENDS 64 /* rows that are recorded in one transaction */

struct config;

struct told {
	struct target *target;
	struct delivery row;
	json_t *event, *messages; /* of cfx_messages() */
	size_t next;		  /* message */
	bool flying;		  /* that one is unsettled */
	uint64_t begun_us, sent_us;
	struct told *next_told;
};

/* What is known of one address besides its row. */
struct target {
	struct webhook row;
	char *address;
	bool there; /* it is enabled */
	bool more;  /* there are events that it was not asked about */
	struct retries retries;
	struct amqp_link *link; /* NULL: none */
	uint64_t linked_us;	/* when it was asked for, or last had credit */
	bool greeted;
	uint64_t beat_us; /* when the next heartbeat is due */
	struct told *told;
	size_t tolds;
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
};

/* What came of a row, until it is recorded. */
struct ended {
	struct delivery_end end;
	char webhook[DB_ID_SIZE];
	char *message;
};

struct cfx {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	pthread_t thread;
	struct cancel stop;
	int wake_fd;
	struct feed_sub *feed;
	bool poked;	       /* atomic */
	bool idle;	       /* atomic: there is no address */
	int64_t heard;	       /* atomic: the newest event that woke the thread */
	struct config *config; /* that the addresses are of; NULL: not looked at */
	struct amqp *amqp;     /* NULL: not connected */
	int64_t failures;      /* of connections, in a row */
	uint64_t connect_us;   /* not before */
	struct target *target[WEBHOOKS_OWN_MAX];
	size_t targets;
	struct ended ended[CFX_ENDS];
	size_t ends;
	char trouble[ERR_TEXT_BYTES]; /* of its own, that was logged last */
};

/* --- cfx_addresses.c --- */

/* The addresses of the configuration of now, which the records know as well; another one is another connection. */
int cfx_look(struct cfx *c, struct err *e);
/* Rows for the next events. */
int cfx_take(struct cfx *c, struct err *e);
/* Those that are not there any more. */
void cfx_drop_targets(struct cfx *c);

/* --- cfx_rows.c --- */

/* The same sentence again and again says nothing. */
void cfx_log_once(char trouble[ERR_TEXT_BYTES], const char *text);
void cfx_free_told(struct told *t);
/* What was unsettled has no end any more: the rows are sent again. */
void cfx_unlink(struct cfx *c, struct target *t);
void cfx_disconnect(struct cfx *c);
/* The end of an attempt, which is on record with cfx_record(). Nobody was there to take the oldest row: the address
 * is tried later, and the row stays where it is; code is one of amqp_ends, or a literal. */
int cfx_not_there(
	struct cfx *c, struct target *t, const char *code, const struct err *why, struct err *e);
/* The row was not taken, or was: it is freed. */
int cfx_not_taken(
	struct cfx *c, struct told *t, const char *code, const struct err *why, struct err *e);
int cfx_taken(struct cfx *c, struct told *t, struct err *e);
/* Before rows are asked for again. */
int cfx_record(struct cfx *c, struct err *e);
void cfx_forget_ends(struct cfx *c);

/* --- cfx_send.c --- */

/* What is true now, and due; where there is room. */
void cfx_greet(struct cfx *c, struct target *t);
void cfx_say_goodbye(struct cfx *c, struct target *t);
/* The row's next message, where the link takes one; the row is done after its last. */
int cfx_send_next(struct cfx *c, struct told *t, struct err *e);
/* Rows that waited for credit between two messages; rows that begin. */
int cfx_go_on(struct cfx *c, struct target *t, struct err *e);
int cfx_fill(struct cfx *c, struct target *t, struct err *e);
