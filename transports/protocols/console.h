/* SPDX-License-Identifier: Apache-2.0
 *
 * A dialogue in lines with a device: a command goes out, a line comes back. One console reads one
 * link and keeps what it read too much; it belongs to the worker that owns the link.
 *
 *	sync      drain until quiet, send an end of line, wait for the prompt
 *	command   prove the turn, wait for quiet, send, skip one echo of it, then judge each line:
 *
 *	          error pattern ------> device-refused, at once
 *	          expect pattern -----> the reply, once the look after it found nothing against it
 *	          neither ------------> logged and skipped, up to a limit
 *	          a prompt after it --> the reply is over: unexpected-reply
 *
 * Only whole lines are judged, so a reply that is cut anywhere is never taken for another one. CR,
 * LF, CRLF and LFCR each end a line once; empty lines mean nothing. Control sequences of a terminal
 * are not part of a line (base/terminal.h). A line that the expect pattern matches only in part,
 * and that says NOT, FAILED, ERROR or the like in the rest (base/words.h), refuses; letters within
 * a word (the OK of BROKEN) do not match.
 *
 * The look. After a line that fits, reading goes on until the prompt or, without one, until the
 * line was quiet for 20 ms (above the 16 ms in which FTDI adapters gather bytes), at most 200 ms or
 * 4 KiB, and an error in what came wins. A CR without a LF ends no line of a terminal: of the texts
 * in one such line the last is the answer, and a word against in any of them takes it back. In the
 * lines after it the error pattern refuses, or, where the recipe gave none, a line that says
 * FAILED, ERROR or the like and not that there were none ("failed: 0"). What was looked at without
 * a prompt is still there for the next step.
 *
 *	OK CR FAILED CRLF       refused       OK CRLF FAILED CRLF     refused
 *	FAILED CR OK CRLF       refused       OK CRLF failed: 0 CRLF  passes
 *	1% CR 2% CR 3.3 CRLF    3.3           OK CR                   passes: lines that end in CR
 *
 * The turn. An answer has no number, so one that comes late would be taken for the next question's.
 * From the question to its answer the link owes one (struct link_turn); where the answer does not
 * come, no other question is sent until one of these shows that nothing old can come any more:
 *
 *	prompt    the unit shows it after an end of line: it is done with all that it was sent
 *	ping      the unit answers a number that was made for this question alone
 *	late      the line was quiet until no answer can be under way, as the recipe says of the
 *	          unit
 *	itself    the late answer came: it fits the old question's patterns and holds a word
 *	          of it of three letters or more; then quiet for as long as it took to come.
 *	          An "OK" or a number proves nothing: a line of the log may look so
 *
 * Else the command fails as -ERR_OUT_OF_STEP and is not sent. Two are weaker, and named as such:
 * the same question of the same asker (a step that is tried again) may be sent without proof, for
 * either answer is an answer to it; what then is still owed has to stay away for twice as long as
 * the answer took. And after a refusal the line has to stay quiet for the rest of the reply's time:
 * the refusal may have been a line of the log. An echo proves nothing here: a terminal may echo
 * while the unit still works on the line before.
 *
 * An answer that comes twice, for the second time after the next question was sent, owes nothing
 * and looks like the answer to that one. Where `prove` is set the unit is asked for a sign of its
 * own after each answer, within the reply's time: the ping's number, or its prompt after an end of
 * line. What it says until then belongs to the question: an error in it wins, and before the
 * prompt, which was there already, any text at all is -ERR_OUT_OF_STEP, as is a sign that does not
 * come.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/regex.h"
#include "base/secret.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/links/link.h"

#define CONSOLE_LINE_MAX   4096
#define CONSOLE_BEFORE_MAX 32768
/* The place of the number in a ping. */
#define CONSOLE_NONCE "{nonce}"
/* What a reply that refuses looks like where the recipe does not say. */
#define CONSOLE_ERROR_DEFAULT                                                  \
	"(?i)^\\W*(ERR|ERROR|FAIL|FAILED|FAILURE|NAK|NACK|NOT|UNKNOWN|DENIED|" \
	"REFUSED|REJECTED|ABORTED|CANNOT|UNABLE)\\b|\\bunknown command\\b"
/* What a reply that agrees looks like where the recipe does not say. */
#define CONSOLE_EXPECT_DEFAULT "^OK\\b"

struct console_opts {
	const char *eol;	    /* sent after each line; NULL: CRLF */
	const struct regex *prompt; /* matches from the start of a line on; NULL: none */
	uint64_t quiet_us;	    /* 0: 50 ms */
	uint64_t quiet_max_us;	    /* 0: 2 s */
	uint64_t prompt_wait_us;    /* of one attempt; 0: 1 s */
	unsigned sync_attempts;	    /* 0: 3 */
	unsigned max_skipped;	    /* lines that match nothing; 0: 256 */
	bool echo; /* the unit echoes each command: what comes before the echo is not the reply */
	/* A command with {nonce} in it that the unit answers with a line that holds what was put
	 * there, and not the whole command; NULL: the unit knows no such command. */
	const char *ping;
	bool prove;	   /* each answer is proved by the ping, or the prompt, before it counts */
	uint64_t late_us;  /* no answer comes later than this after its question; 0: unknown */
	uint64_t reply_us; /* for a command's reply, once it was sent; 0: as its iotime says */
	uint64_t turn_wait_us; /* for the proof of the turn where late_us does not say; 0: 2 s */
	const char *asker;     /* the step, which may ask the same again; NULL: none */
	/* The protocol proves its turns by itself: no account is kept. */
	bool own_turns;
	/* Out of step, a command is sent all the same, and fails all the same: it makes a fixture
	 * safe. */
	bool send_anyway;
	uint64_t char_delay_us;		  /* between sent bytes, for slow receivers; 0: none */
	const struct secret_set *secrets; /* masked in messages and log; may be NULL */
	/* Each line as it goes ('>') or comes ('<'), escaped and masked. */
	struct teller tell;
};

/* Text is escaped as sb_add_escaped() does, not masked: it may be what the recipe is after. */
struct console_reply {
	char *line;
	int groups;		   /* the whole match included */
	char *group[REGEX_GROUPS]; /* NULL where the group took no part */
	char *before; /* the lines between question and answer, as they came, each with a LF; at most
			 CONSOLE_BEFORE_MAX bytes of them. NULL: none */
	char *other;  /* the first line after it, within the look and the proof, that the pattern is
			found in too, and that says something else; NULL: none */
};

void console_reply_done(struct console_reply *r);

struct console;

/* Borrows the link and all that opts points to. */
int console_new(
	struct link *l, const struct console_opts *opts, struct console **ret, struct err *e);
struct console *console_free(struct console *c);
DEFINE_CLEANUP(struct console, console_free)
/* The same, and what was read and not taken is left to the next console on the link, as if it were
 * still unread. The link lives. Takes NULL, returns NULL. */
struct console *console_leave(struct console *c);

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
/* Waits for a line without sending; what came before the call and was not read yet counts. A line
 * that is a late answer, and one with words against, is skipped. In the look after it a line that
 * begins with ERROR or the like refuses where error is NULL: a boot log names other things that
 * failed within its lines. */
int console_expect(struct console *c, const struct regex *expect, const struct regex *error,
	const struct iotime *it, struct console_reply *ret, struct err *e);
/* Drops what is unread here and on the link until it was quiet for quiet_us: the end of a dialogue
 * in lines, before binary frames go over the same link. */
int console_settle(struct console *c, uint64_t quiet_us, const struct iotime *it, struct err *e);
