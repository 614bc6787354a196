/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a console, shared by its parts: console.c (questions), console_lines.c (bytes into
 * lines), console_look.c (what follows an answer), console_turn.c (whose turn it is).
 */
#pragma once

#include <string.h>

#include "base/strbuf.h"
#include "base/words.h"
#include "transports/protocols/console.h"

#define CONSOLE_SHOWN_BYTES 120 /* of a line inside a message */
/* The look at what follows an answer: above the 16 ms that FTDI adapters gather bytes. */
#define CONSOLE_LOOK_US (20 * US_PER_MS)

struct console {
	struct link *link;
	struct console_opts o;
	/* Bytes that were read and not yet taken: in[at..len). The first of them begins a line. */
	char in[CONSOLE_LINE_MAX + 512];
	size_t at, len;
	char last_eol;	 /* the CR or LF that ended the last line: its partner is skipped */
	bool mid_line;	 /* the beginning of the next line was dropped */
	bool tail;	 /* of the last line taken: it can refuse, and agrees to nothing */
	bool closed;	 /* the last line taken ended with a LF */
	bool overwrites; /* the next line: it begins after a CR alone */
	bool overwrote;	 /* the last line taken was one of those */
	bool proving;	 /* something was sent for a proof: a line may be the answer to that */
	bool quiet;	 /* nothing was sent since the line was found quiet */
	bool looked;	 /* it was quiet for CONSOLE_LOOK_US, and nothing was sent since */
	struct words *words;
};

struct dialogue {
	const char *sent; /* NULL where nothing was: an echo is waited for no more */
	bool asked;	  /* a command, not only a wait */
	bool prompted;	  /* the prompt ended the reply */
	bool failed;	  /* a text that the next one overwrites said so: `last` has it */
	const struct regex *expect, *error;
	struct console_reply *reply; /* where the answer goes, or NULL */
	uint64_t budget_us;
	unsigned skipped;
	char last[CONSOLE_SHOWN_BYTES + 4]; /* the last line that matched nothing */
};

/* console_lines.c */
/* For a message: escaped, masked, cut; owned by the caller. */
char *console_shown(const struct console *c, const char *bytes, size_t n);
void console_log_line(const struct console *c, char dir, const char *bytes, size_t n);
int console_no_memory(const struct console *c, struct err *e);
/* Takes the other half of a CRLF or LFCR, where it is there by now. */
void console_skip_partner(struct console *c);
/* The next whole line out of what was read, in its buffer; false where there is none. */
bool console_take_line(struct console *c, const char **ret, size_t *ret_n);
size_t console_without_blanks(const char *line, size_t n);
/* All that was read and not taken. */
void console_drop_read(struct console *c);
int console_too_long(struct console *c, struct err *e);
/* Reads what there is, at least a byte. */
int console_fill(struct console *c, const struct iotime *it, struct err *e);
/* The bytes of a prompt that the line begins with; 0: none. */
size_t console_prompt_len(const struct console *c, const char *line, size_t n);
void console_strip_prompt(const struct console *c, const char **line, size_t *n);
bool console_at_prompt(struct console *c);

/* console_turn.c */
/* Whether the line fits what an earlier question is still owed. */
bool console_is_late_answer(const struct console *c, const char *line, size_t n);
/* One of the answers that are owed came. */
void console_settle_one(struct console *c);
void console_unasked_line(struct console *c, const char *line, size_t n);
/* A question goes out, and has its answer or none. */
void console_turn_asked(struct console *c, const char *text, const struct dialogue *d);
void console_turn_ended(struct console *c, const struct dialogue *d, int r);
/* Drops what nobody waits for; a line that is begun is noted as such. */
void console_drop_unread(struct console *c);
/* Takes lines that nobody waits for until nothing came for quiet_us, at most max_us; until_known:
 * or until the time is known from which on nothing is owed. */
int console_listen(struct console *c, uint64_t quiet_us, uint64_t max_us, bool until_known,
	const struct iotime *it, struct err *e);
/* Before a command: the line is quiet, or has had its time. */
int console_between(struct console *c, const struct iotime *it, struct err *e);
/* 0 where nothing old can be taken for the answer to text; else -ERR_OUT_OF_STEP. */
int console_prove_turn(struct console *c, const char *text, const struct iotime *it, struct err *e);
/* 0 where nothing that the unit says until its sign (opts.prove) speaks against the
 * answer to text. */
int console_prove_answer(struct console *c, struct dialogue *d, const char *text,
	const struct iotime *it, struct err *e);

/* console_look.c */
/* What a look found: the answer holds, or it was taken back. */
enum { LOOK_HOLDS, LOOK_TAKEN_BACK };
/* LOOK_..., or an error: the answer was taken back by a refusal. */
int console_look_after(
	struct console *c, struct dialogue *d, const struct iotime *it, struct err *e);
/* A line after that of the answer, without prompt and blanks: 0, or an error where it refuses. */
int console_line_after(
	struct console *c, struct dialogue *d, const char *line, size_t n, struct err *e);

/* console.c */
/* As sb_add_escaped() does; owned by the caller. */
char *console_copy_escaped(const char *bytes, size_t n);
/* For the message, should nothing else come. */
void console_remember(const struct console *c, struct dialogue *d, const char *line, size_t n);
int console_refused_as_said(struct console *c, const struct dialogue *d, struct err *e);
int console_refused(
	struct console *c, struct dialogue *d, const char *line, size_t n, struct err *e);
/* Takes off a bell and the signs of flow control around a line. */
void console_strip_signals(const char **line, size_t *n);
int console_sync_prompt(struct console *c, const struct iotime *it, struct err *e);
