/* SPDX-License-Identifier: Apache-2.0
 *
 * A dialogue in lines with a device: a command goes out, a line comes back. One console reads one
 * link and keeps what it read too much; it belongs to the worker that owns the link.
 *
 *	sync      drain until quiet, send an end of line, wait for the prompt
 *	command   drop what is pending, send, skip one echo of it, then judge each whole line:
 *
 *	          error pattern ------> device-refused, at once
 *	          expect pattern -----> the reply
 *	          neither ------------> logged and skipped, up to a limit
 *	          a prompt after it --> the reply is over: unexpected-reply
 *
 * Only whole lines are judged, so a reply that is cut anywhere is never taken for another one. CR,
 * LF, CRLF and LFCR each end a line once; empty lines mean nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/regex.h"
#include "base/secret.h"
#include "base/util.h"
#include "transports/links/link.h"

#define CONSOLE_LINE_MAX 4096
/* What a reply that refuses looks like where the recipe does not say. */
#define CONSOLE_ERROR_DEFAULT "(?i)^(ERR|ERROR|FAIL|NAK|NOT OK|unknown)\\b|\\bunknown command\\b"
/* What a reply that agrees looks like where the recipe does not say. */
#define CONSOLE_EXPECT_DEFAULT "^OK\\b"

struct console_opts {
	const char *eol;		  /* sent after each line; NULL: CRLF */
	const struct regex *prompt;	  /* matches from the start of a line on; NULL: none */
	uint64_t quiet_us;		  /* 0: 50 ms */
	uint64_t quiet_max_us;		  /* 0: 2 s */
	uint64_t prompt_wait_us;	  /* of one attempt; 0: 1 s */
	unsigned sync_attempts;		  /* 0: 3 */
	unsigned max_skipped;		  /* lines that match nothing; 0: 256 */
	uint64_t char_delay_us;		  /* between sent bytes, for slow receivers; 0: none */
	const struct secret_set *secrets; /* masked in messages and log; may be NULL */
	/* Each line as it goes ('>') or comes ('<'), escaped and masked; may be NULL. */
	void (*log)(void *data, char dir, const char *text);
	void *log_data;
};

/* Text is escaped as sb_add_escaped() does, not masked: it may be what the recipe is after. */
struct console_reply {
	char *line;
	int groups;		   /* the whole match included */
	char *group[REGEX_GROUPS]; /* NULL where the group took no part */
};

void console_reply_done(struct console_reply *r);

struct console;

/* Borrows the link and all that opts points to. */
int console_new(
	struct link *l, const struct console_opts *opts, struct console **ret, struct err *e);
struct console *console_free(struct console *c);
DEFINE_CLEANUP(struct console, console_free)

/* 0 once the device is quiet and, where a prompt is configured, has shown it. */
int console_sync(struct console *c, const struct iotime *it, struct err *e);
/* Sends one line. Control bytes in it are refused with -ERR_INVALID: they could carry a second
 * command. */
int console_send(struct console *c, const char *text, const struct iotime *it, struct err *e);
/* expect and error as above; error may be NULL for none. The deadline without a line is
 * -ERR_TIMEOUT, with lines that match neither -ERR_UNEXPECTED_REPLY; a refusal is
 * -ERR_DEVICE_REFUSED, an overlong line -ERR_PROTOCOL. ret may be NULL. */
int console_command(struct console *c, const char *text, const struct regex *expect,
	const struct regex *error, const struct iotime *it, struct console_reply *ret,
	struct err *e);
/* Waits for a line without sending; what came before the call and was not read yet counts. */
int console_expect(struct console *c, const struct regex *expect, const struct regex *error,
	const struct iotime *it, struct console_reply *ret, struct err *e);
/* Drops what is unread here and on the link until it was quiet for quiet_us: the end of a dialogue
 * in lines, before binary frames go over the same link. */
int console_settle(struct console *c, uint64_t quiet_us, const struct iotime *it, struct err *e);
