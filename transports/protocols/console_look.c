/* SPDX-License-Identifier: Apache-2.0
 *
 * The look at what follows an answer: console.h says what it is for.
 */
#include "transports/protocols/console_impl.h"

#include "base/secret.h"
#include "base/terminal.h"

#define LOOK_MAX_US (200 * US_PER_MS) /* at a unit that never falls quiet */

struct look {
	bool closed;  /* a LF ended the line of the answer */
	bool written; /* text over the answer, in its line */
};

/* Whether the text that was taken last ends its line as a terminal shows it. */
static bool line_closed(const struct console *c)
{
	return c->closed || (c->last_eol == '\r' && c->at < c->len && c->in[c->at] == '\n');
}

/* Whether a line after that of the answer takes it back. A recipe's own pattern decides alone;
 * without one, words do. What a unit says by itself may be about failures that are not its own, so
 * there only the beginning of a line counts. */
static bool line_fails(
	const struct console *c, const struct dialogue *d, const char *line, size_t n)
{
	if (d->error && strcmp(regex_pattern(d->error), CONSOLE_ERROR_DEFAULT) != 0)
		return regex_may_match(d->error, line, n);
	return d->asked ? words_fail(c->words, line, n) : words_fail_first(c->words, line, n);
}

static void note_other(const struct dialogue *d, const char *line, size_t n)
{
	struct console_reply *ret = d->reply;

	if (!ret || !ret->line || ret->other || !regex_match(d->expect, line, n, NULL))
		return;
	ret->other = console_copy_escaped(line, n);
	if (!strcmp(ret->other, ret->line)) {
		free(ret->other);
		ret->other = NULL;
	}
}

int console_line_after(
	struct console *c, struct dialogue *d, const char *line, size_t n, struct err *e)
{
	if (line_fails(c, d, line, n))
		return console_refused(c, d, line, n, e);
	note_other(d, line, n);
	return 0;
}

/* A whole text after the answer, or what there is of one. */
static int look_at(struct console *c, struct dialogue *d, struct look *k, const char *line,
	size_t n, struct err *e)
{
	console_strip_signals(&line, &n);
	console_strip_prompt(c, &line, &n);
	n = console_without_blanks(line, n);
	if (n == 0)
		return LOOK_HOLDS;
	if (k->closed)
		return console_line_after(c, d, line, n, e);
	k->written = true;
	note_other(d, line, n);
	if (d->error && regex_may_match(d->error, line, n))
		return console_refused(c, d, line, n, e);
	if (!words_against(c->words, line, n, 0, 0))
		return LOOK_HOLDS;
	if (d->asked)
		return console_refused(c, d, line, n, e);
	console_remember(c, d, line, n);
	return LOOK_TAKEN_BACK;
}

/* Of texts that are written over each other only the last one is there to be read. */
static int look_at_end(struct console *c, struct dialogue *d, struct look *k, struct err *e)
{
	k->closed = line_closed(c);
	if (!k->closed || (!k->written && !d->failed))
		return LOOK_HOLDS;
	return d->failed && d->asked ? console_refused_as_said(c, d, e) : LOOK_TAKEN_BACK;
}

/* All that was read, which is taken. rest: also what has no end yet. */
static int look_through(
	struct console *c, struct dialogue *d, struct look *k, bool rest, struct err *e)
{
	const char *line;
	int r = LOOK_HOLDS;
	size_t n;

	if (!k->closed)
		r = look_at_end(c, d, k, e);
	while (r == LOOK_HOLDS && console_take_line(c, &line, &n)) {
		r = look_at(c, d, k, line, n, e);
		if (r == LOOK_HOLDS && !k->closed)
			r = look_at_end(c, d, k, e);
	}
	if (r != LOOK_HOLDS || !rest)
		return r;
	console_skip_partner(c);
	n = terminal_strip(c->in + c->at, c->len - c->at);
	return look_at(c, d, k, c->in + c->at, n, e);
}

/* The same, and nothing is taken. */
static int peek_through(
	struct console *c, struct dialogue *d, struct look *k, bool rest, struct err *e)
{
	struct console *before = xcalloc(1, sizeof *before);

	*before = *c;

	int r = look_through(c, d, k, rest, e);

	*c = *before;
	secret_wipe(before, sizeof *before);
	free(before);
	return r;
}

/* Why the reading on ended. */
enum { GATHER_QUIET, GATHER_PROMPT, GATHER_FULL, GATHER_LATE };

static int gather(struct console *c, bool to_prompt, const struct iotime *whole, struct err *e)
{
	for (;;) {
		struct iotime nap = to_prompt ? *whole : iotime_within(whole, CONSOLE_LOOK_US);

		if (to_prompt && console_at_prompt(c))
			return GATHER_PROMPT;
		if (c->len - c->at > CONSOLE_LINE_MAX)
			return GATHER_FULL;

		int r = console_fill(c, &nap, e);

		if (r == -ERR_TIMEOUT)
			return iotime_left_us(whole) ? GATHER_QUIET : GATHER_LATE;
		/* The command restarted the unit: it said all that it had to say. */
		if (r == -ERR_DEVICE_GONE)
			return GATHER_QUIET;
		if (r < 0)
			return r;
	}
}

/* The lines before the prompt are of this reply, and nobody else's. */
static bool take_looked_at(struct console *c)
{
	const char *line;
	bool any = false;
	size_t n;

	while (console_take_line(c, &line, &n)) {
		any = true;
		console_strip_prompt(c, &line, &n);
		n = console_without_blanks(line, n);
		if (n > 0)
			console_log_line(c, '<', line, n);
	}
	return any;
}

/* Whether the answer that was taken last holds: see console.h. It came in its time, so that the
 * look has a time of its own. A prompt that does not come (the command restarted the unit) is left
 * to the next command's proof. */
int console_look_after(
	struct console *c, struct dialogue *d, const struct iotime *it, struct err *e)
{
	bool to_prompt = c->o.prompt && d->asked;
	struct iotime whole = {
		now_us() + (to_prompt ? c->o.prompt_wait_us : LOOK_MAX_US), it->cancel};
	struct look k = {0};
	int how, r;

	do {
		how = gather(c, to_prompt, &whole, e);
		if (how < 0)
			return how;
		r = peek_through(
			c, d, &k, how == GATHER_QUIET || (to_prompt && how != GATHER_FULL), e);
		d->prompted = how == GATHER_PROMPT;
		c->looked = how == GATHER_QUIET;
		if (r != LOOK_HOLDS || !to_prompt)
			return r;
		if (!take_looked_at(c) && how == GATHER_FULL)
			return console_too_long(c, e);
	} while (how == GATHER_FULL);
	return LOOK_HOLDS;
}
