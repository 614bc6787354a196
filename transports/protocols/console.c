/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/console.h"

#include <ctype.h>
#include <string.h>

#include "base/digest.h"
#include "base/strbuf.h"
#include "base/terminal.h"
#include "base/words.h"

#define QUIET_US	(50 * US_PER_MS)
#define QUIET_MAX_US	(2 * US_PER_S)
#define PROMPT_WAIT_US	(1 * US_PER_S)
#define SYNC_ATTEMPTS	3
#define MAX_SKIPPED	256
#define SHOWN_MAX_BYTES 120 /* of a line inside a message */
#define TURN_WAIT_US	(2 * US_PER_S)
#define BETWEEN_MAX_US	(500 * US_PER_MS) /* a unit that never falls quiet is asked all the same */
/* The look at what follows an answer: above the 16 ms that FTDI adapters gather bytes. */
#define LOOK_US	    (20 * US_PER_MS)
#define LOOK_MAX_US (200 * US_PER_MS) /* at a unit that never falls quiet */
#define LATE_MIN_US (200 * US_PER_MS) /* of quiet after an answer that came late */
#define NONCE	    "{nonce}"

struct console {
	struct link *link;
	struct console_opts o;
	/* Bytes that were read and not yet taken: in[at..len). The first of them begins a line. */
	char in[CONSOLE_LINE_MAX + 512];
	size_t at, len;
	char last_eol;	 /* the CR or LF that ended the last line: its partner is skipped */
	bool mid_line;	 /* the begin of the next line was dropped */
	bool tail;	 /* of the last line taken: it can refuse, and agrees to nothing */
	bool closed;	 /* the last line taken ended with a LF */
	bool overwrites; /* the next line: it begins after a CR alone */
	bool overwrote;	 /* the last line taken was one of those */
	bool proving;	 /* something was sent for a proof: a line may be the answer to that */
	bool quiet;	 /* nothing was sent since the line was found quiet */
	bool looked;	 /* it was quiet for LOOK_US, and nothing was sent since */
	struct words *words;
};

void console_reply_done(struct console_reply *r)
{
	free(r->line);
	for (int i = 0; i < REGEX_GROUPS; i++)
		free(r->group[i]);
	*r = (struct console_reply){0};
}

static uint64_t or_default(uint64_t v, uint64_t def)
{
	return v ? v : def;
}

static void take_rest(struct console *c)
{
	struct link_rest *rest = &c->link->rest;

	c->len = MIN(rest->len, sizeof c->in);
	if (c->len)
		memcpy(c->in, rest->bytes, c->len);
	c->mid_line = rest->mid_line;
	link_rest_drop(c->link);
}

int console_new(
	struct link *l, const struct console_opts *opts, struct console **ret, struct err *e)
{
	struct console *c = xcalloc(1, sizeof *c);
	int r = 0;

	c->link = l;
	c->words = words_new();
	if (opts)
		c->o = *opts;
	if (!c->o.eol)
		c->o.eol = "\r\n";
	c->o.quiet_us = or_default(c->o.quiet_us, QUIET_US);
	c->o.quiet_max_us = or_default(c->o.quiet_max_us, QUIET_MAX_US);
	c->o.prompt_wait_us = or_default(c->o.prompt_wait_us, PROMPT_WAIT_US);
	c->o.sync_attempts = (unsigned)or_default(c->o.sync_attempts, SYNC_ATTEMPTS);
	c->o.max_skipped = (unsigned)or_default(c->o.max_skipped, MAX_SKIPPED);
	c->o.turn_wait_us = or_default(c->o.turn_wait_us, TURN_WAIT_US);
	if (c->o.ping && (!strstr(c->o.ping, NONCE) || !strcmp(c->o.ping, NONCE)))
		r = err_set(e, ERR_INVALID,
			"the ping '%s' needs " NONCE " and a command that answers it", c->o.ping);
	if (r < 0) {
		console_free(c);
		return r;
	}
	take_rest(c);
	*ret = c;
	return 0;
}

struct console *console_free(struct console *c)
{
	if (c) {
		secret_wipe(c->in, sizeof c->in);
		words_free(c->words);
		free(c);
	}
	return NULL;
}

struct console *console_leave(struct console *c)
{
	if (c) {
		struct link_rest *rest = &c->link->rest;

		link_rest_drop(c->link);
		rest->mid_line = c->mid_line;
		if (c->len > c->at) {
			rest->len = c->len - c->at;
			rest->bytes = xcalloc(1, rest->len);
			memcpy(rest->bytes, c->in + c->at, rest->len);
		}
	}
	return console_free(c);
}

/* Readable, without the secrets; owned by the caller. */
static char *shown(const struct console *c, const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);

	_cleanup_(freep) char *plain = sb_take(&b);

	return secret_mask(c->o.secrets, plain);
}

static void log_line(const struct console *c, char dir, const char *bytes, size_t n)
{
	if (!c->o.log)
		return;

	_cleanup_(freep) char *text = shown(c, bytes, n);

	c->o.log(c->o.log_data, dir, text);
}

static int no_memory(const struct console *c, struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "console %s", c->link->address);
}

static bool is_eol(char ch)
{
	return ch == '\r' || ch == '\n';
}

/* The other half of a CRLF or LFCR, which may come in a later read than the first. A CR without one
 * ends no line of a terminal: what follows is written over it. */
static void skip_partner(struct console *c)
{
	if (c->last_eol && c->at < c->len) {
		bool whole = is_eol(c->in[c->at]) && c->in[c->at] != c->last_eol;

		if (whole)
			c->at++;
		c->closed |= whole;
		c->overwrites = !c->closed;
		c->last_eol = 0;
	}
}

/* The next whole line, without its end and as a terminal shows it; it stays valid until the next
 * fill(). */
static bool take_line(struct console *c, const char **ret, size_t *ret_n)
{
	skip_partner(c);
	for (size_t i = c->at; i < c->len; i++) {
		if (!is_eol(c->in[i]))
			continue;
		*ret = c->in + c->at;
		*ret_n = i - c->at > CONSOLE_LINE_MAX ? i - c->at
						      : terminal_strip(c->in + c->at, i - c->at);
		c->last_eol = c->in[i];
		c->at = i + 1;
		c->closed = c->in[i] == '\n';
		c->overwrote = c->overwrites;
		c->overwrites = false;
		c->tail = c->mid_line;
		c->mid_line = false;
		return true;
	}
	return false;
}

static size_t without_blanks(const char *line, size_t n)
{
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	return n;
}

static void drop_read(struct console *c)
{
	secret_wipe(c->in, c->len);
	c->at = 0;
	c->len = 0;
	c->overwrites = false;
}

/* What comes next is the rest of that line, or of the one that was cut with it. */
static int too_long(struct console *c, struct err *e)
{
	if (c->len > c->at)
		c->mid_line = !is_eol(c->in[c->len - 1]);
	drop_read(c);
	return err_set(e, ERR_PROTOCOL, "console %s: a line of more than %d bytes",
		c->link->address, CONSOLE_LINE_MAX);
}

static int fill(struct console *c, const struct iotime *it, struct err *e)
{
	size_t n = 0;

	if (c->len - c->at > CONSOLE_LINE_MAX)
		return too_long(c, e);
	memmove(c->in, c->in + c->at, c->len - c->at);
	c->len -= c->at;
	c->at = 0;

	int r = link_read(c->link, c->in + c->len, sizeof c->in - c->len, &n, it, e);

	c->len += n;
	return r;
}

/* How many bytes at the start of a line are the prompt. */
static size_t prompt_len(const struct console *c, const char *line, size_t n)
{
	struct regex_match m;

	if (!c->o.prompt || !regex_match(c->o.prompt, line, n, &m) || m.group[0].start != 0)
		return 0;
	return m.group[0].end;
}

static void strip_prompt(const struct console *c, const char **line, size_t *n)
{
	size_t k;

	while (*n > 0 && (k = prompt_len(c, *line, *n)) > 0) {
		*line += k;
		*n -= k;
	}
}

/* Whether the device shows its prompt and nothing behind it, after the last line that was read. */
static bool at_prompt(struct console *c)
{
	char text[512];

	skip_partner(c);

	size_t from = c->len;

	while (from > c->at && !is_eol(c->in[from - 1]))
		from--;

	const char *line = text;
	size_t n = c->len - from;

	if (n == 0 || n > sizeof text || (c->mid_line && from == c->at))
		return false;
	memcpy(text, c->in + from, n);
	n = terminal_strip(text, n);
	if (n == 0)
		return false;
	strip_prompt(c, &line, &n);
	return n == 0;
}

struct dialogue {
	const char *sent; /* NULL where nothing was: an echo is waited for no more */
	bool asked;	  /* a command, not only a wait */
	bool prompted;	  /* the prompt ended the reply */
	bool failed;	  /* a text that the next one overwrites said so: `last` has it */
	const struct regex *expect, *error;
	uint64_t budget_us;
	unsigned skipped;
	char last[SHOWN_MAX_BYTES + 4]; /* the last line that matched nothing */
};

static void remember(const struct console *c, struct dialogue *d, const char *line, size_t n)
{
	_cleanup_(freep) char *text = shown(c, line, n);

	snprintf(d->last, sizeof d->last, "%.*s%s", SHOWN_MAX_BYTES, text,
		strlen(text) > SHOWN_MAX_BYTES ? "..." : "");
	d->skipped++;
}

static char *copy_escaped(const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);
	return sb_take(&b);
}

static void fill_reply(
	const char *line, size_t n, const struct regex_match *m, struct console_reply *ret)
{
	if (!ret)
		return;
	*ret = (struct console_reply){.line = copy_escaped(line, n), .groups = m->groups};
	for (int i = 0; i < m->groups; i++)
		if (m->group[i].start != (size_t)-1 && m->group[i].end >= m->group[i].start)
			ret->group[i] = copy_escaped(
				line + m->group[i].start, m->group[i].end - m->group[i].start);
}

/* " to 'ping'", or nothing; owned by the caller. */
static char *to_what(const struct console *c, const char *sent)
{
	if (!sent)
		return xstrdup("");

	_cleanup_(freep) char *text = shown(c, sent, strlen(sent));

	return xasprintf(" to '%.*s'", SHOWN_MAX_BYTES, text);
}

static int nothing_matched(
	struct console *c, const struct dialogue *d, const char *sent, struct err *e)
{
	_cleanup_(freep) char *to = to_what(c, sent);
	_cleanup_(freep) char *cut = shown(c, c->in + c->at, c->len - c->at);
	double s = (double)d->budget_us / (double)US_PER_S;

	if (d->skipped)
		return err_set(e, ERR_UNEXPECTED_REPLY, "console %s: no fitting answer%s: '%s'%s",
			c->link->address, to, d->last, d->skipped > 1 ? " came last" : " came");
	if (*cut)
		return err_set(e, ERR_TIMEOUT,
			"console %s: the answer%s did not end in %.3g s: '%.*s'", c->link->address,
			to, s, SHOWN_MAX_BYTES, cut);
	return err_set(e, ERR_TIMEOUT, "console %s: no answer%s in %.3g s (is the unit powered?)",
		c->link->address, to, s);
}

/* --- which question an answer belongs to --- */

static void note(const struct console *c, const char *text)
{
	if (c->o.log)
		c->o.log(c->o.log_data, '#', text);
}

/* The late answer to the question before, for a line that is no answer to anything newer. */
static bool is_late_answer(const struct console *c, const char *line, size_t n)
{
	const struct link_turn *t = &c->link->turn;
	const char *const patterns[] = {t->expect, t->error};
	bool fits = false;

	if (!t->owed || c->o.own_turns || c->tail || c->proving)
		return false;
	for (size_t i = 0; !fits && i < ARRAY_LEN(patterns); i++) {
		struct regex *x = NULL;

		fits = patterns[i] && regex_new(patterns[i], &x, NULL) == 0 &&
		       regex_match(x, line, n, NULL);
		regex_free(x);
	}
	return fits;
}

static void settle_one(struct console *c)
{
	struct link_turn *t = &c->link->turn;

	if (t->owed > 1)
		t->owed--;
	else
		link_turn_clear(t);
}

static bool is_word(char ch)
{
	return isalnum((unsigned char)ch) || ch == '_';
}

/* Whether the line holds a word of the question, of three letters or more: an "OK" or a number may
 * be said by anything in the unit. */
static bool names_question(const char *line, size_t n, const char *sent)
{
	for (const char *p = sent; *p;) {
		size_t k = 0, letters = 0;

		for (; is_word(p[k]); k++)
			letters += isalpha((unsigned char)p[k]) != 0;
		for (size_t i = 0; letters >= 3 && i + k <= n; i++)
			if (!memcmp(line + i, p, k) && (i == 0 || !is_word(line[i - 1])) &&
				(i + k == n || !is_word(line[i + k])))
				return true;
		p += k ? k : 1;
	}
	return false;
}

/* Of two unlike questions nobody can say which of them it was. Nobody can say either that it was
 * not a line of the log: the true answer would come about as late as this. */
static void answered_late(struct console *c)
{
	struct link_turn *t = &c->link->turn;
	uint64_t now = now_us();

	if (t->owed > 1)
		t->owed--;
	else if (!c->o.late_us)
		t->clear_us = MAX(t->clear_us, now + MAX(now - t->first_us, LATE_MIN_US));
}

/* A line that nobody waits for now. */
static void unasked_line(struct console *c, const char *line, size_t n)
{
	strip_prompt(c, &line, &n);
	n = without_blanks(line, n);
	if (n == 0)
		return;
	log_line(c, '<', line, n);
	if (!is_late_answer(c, line, n))
		return;

	bool named = names_question(line, n, c->link->turn.sent);
	_cleanup_(freep) char *text =
		named ? xasprintf("that was the answer to '%.*s', too late", SHOWN_MAX_BYTES,
				c->link->turn.shown)
		      : xasprintf("that may be the answer to '%.*s', or a line that fits by chance",
				SHOWN_MAX_BYTES, c->link->turn.shown);

	note(c, text);
	if (named)
		answered_late(c);
}

static void turn_asked(struct console *c, const char *text, const struct dialogue *d)
{
	struct link_turn *t = &c->link->turn;
	bool same = t->owed && !strcmp(t->sent, text);
	unsigned owed = t->owed;
	uint64_t first = owed ? t->first_us : now_us();

	if (c->o.own_turns)
		return;
	link_turn_lost(t);
	t->owed = owed + 1;
	t->first_us = first;
	str_replace(&t->sent, text);
	/* Who finds the answer may be another step, which does not know these secrets. */
	free(t->shown);
	t->shown = shown(c, text, strlen(text));
	str_replace(&t->asker, c->o.asker ? c->o.asker : "");
	/* Of two unlike questions nobody can say which a line answers. */
	if (owed == 0 || same) {
		t->expect = xstrdup(regex_pattern(d->expect));
		t->error = d->error ? xstrdup(regex_pattern(d->error)) : NULL;
	}
	t->clear_us = c->o.late_us ? t->last_us + c->o.late_us : 0;
}

/* r: what came of the question. */
static void turn_ended(struct console *c, const struct dialogue *d, int r)
{
	struct link_turn *t = &c->link->turn;

	if (c->o.own_turns || !t->owed)
		return;
	if (d->prompted || (r == 0 && t->owed == 1)) {
		link_turn_clear(t);
	} else if (r == 0) {
		/* One of several was answered: a unit that is slow answers the next as slowly, a
		 * unit that lost one never does. */
		t->owed--;
		if (!c->o.late_us)
			t->clear_us = now_us() + 2 * (now_us() - t->first_us);
	} else if (r == -ERR_DEVICE_REFUSED && !t->clear_us) {
		t->clear_us = t->last_us + d->budget_us;
	}
}

/* --- a line --- */

static int refused_as_said(struct console *c, const struct dialogue *d, struct err *e)
{
	return err_set(e, ERR_DEVICE_REFUSED, "console %s: the unit refused: '%s'",
		c->link->address, d->last);
}

static int refused(struct console *c, struct dialogue *d, const char *line, size_t n, struct err *e)
{
	remember(c, d, line, n);
	return refused_as_said(c, d, e);
}

/* Whether the line is the command itself, or comes before its echo. */
static bool before_reply(struct console *c, struct dialogue *d, const char *line, size_t n)
{
	size_t sent_n = d->sent ? without_blanks(d->sent, strlen(d->sent)) : 0;

	if (!d->sent)
		return false;
	if (n == sent_n && !memcmp(line, d->sent, n)) {
		d->sent = NULL;
		return true;
	}
	if (c->o.echo)
		remember(c, d, line, n);
	return c->o.echo;
}

/* A bell and the signs of flow control around a line are no part of it. */
static void strip_signals(const char **line, size_t *n)
{
	static const char signals[] = {0x07, 0x11, 0x13};

	while (*n > 0 && memchr(signals, **line, sizeof signals)) {
		++*line;
		--*n;
	}
	while (*n > 0 && memchr(signals, (*line)[*n - 1], sizeof signals))
		--*n;
}

/* A NUL is what a UART gives for a byte that it could not read: within a word, outside of the
 * match, it may hide that the line refuses. */
static bool is_damaged(const char *line, size_t n, const struct regex_match *m)
{
	for (size_t i = 1; i + 1 < n; i++)
		if (!line[i] && (i < m->group[0].start || i >= m->group[0].end) &&
			isalnum((unsigned char)line[i - 1]) && isalnum((unsigned char)line[i + 1]))
			return true;
	return false;
}

/* 1: the line is the answer, 0: it means nothing, or an error. */
static int judge(struct console *c, struct dialogue *d, const char *line, size_t n,
	struct console_reply *ret, struct err *e)
{
	struct regex_match m;

	if (n > CONSOLE_LINE_MAX)
		return too_long(c, e);
	strip_signals(&line, &n);
	strip_prompt(c, &line, &n);
	n = without_blanks(line, n);
	if (n == 0)
		return 0;
	if (!d->asked && is_late_answer(c, line, n)) {
		unasked_line(c, line, n);
		return 0;
	}
	log_line(c, '<', line, n);
	if (!c->overwrote)
		d->failed = false;
	if (before_reply(c, d, line, n))
		return 0;
	if (d->error && regex_match(d->error, line, n, NULL))
		return refused(c, d, line, n, e);
	if (c->tail || !regex_match(d->expect, line, n, &m) || is_damaged(line, n, &m)) {
		if (d->failed)
			d->skipped++;
		else
			remember(c, d, line, n);
		d->failed |= words_fail(c->words, line, n);
		return 0;
	}
	if (words_against(c->words, line, n, m.group[0].start, m.group[0].end)) {
		if (d->asked)
			return refused(c, d, line, n, e);
		remember(c, d, line, n);
		return 0;
	}
	fill_reply(line, n, &m, ret);
	return 1;
}

/* --- the look at what follows an answer --- */

struct look {
	bool closed;  /* a LF ended the line of the answer */
	bool written; /* text over the answer, in its line */
};

/* What a look found: the answer holds, or it is none. */
enum { LOOK_HOLDS, LOOK_TAKEN_BACK };

/* Whether the text that was taken last ends its line as a terminal shows it. */
static bool line_closed(const struct console *c)
{
	return c->closed || (c->last_eol == '\r' && c->at < c->len && c->in[c->at] == '\n');
}

/* Whether a line after that of the answer takes it back. A recipe's own pattern decides alone;
 * without one, words do. What a unit says by itself may tell of failures that are not its own, so
 * there only the begin of a line counts. */
static bool line_fails(
	const struct console *c, const struct dialogue *d, const char *line, size_t n)
{
	if (d->error && strcmp(regex_pattern(d->error), CONSOLE_ERROR_DEFAULT) != 0)
		return regex_match(d->error, line, n, NULL);
	return d->asked ? words_fail(c->words, line, n) : words_fail_first(c->words, line, n);
}

/* A whole text after the answer, or what there is of one. */
static int look_at(struct console *c, struct dialogue *d, struct look *k, const char *line,
	size_t n, struct err *e)
{
	strip_signals(&line, &n);
	strip_prompt(c, &line, &n);
	n = without_blanks(line, n);
	if (n == 0)
		return LOOK_HOLDS;
	if (k->closed)
		return line_fails(c, d, line, n) ? refused(c, d, line, n, e) : LOOK_HOLDS;
	k->written = true;
	if (d->error && regex_match(d->error, line, n, NULL))
		return refused(c, d, line, n, e);
	if (!words_against(c->words, line, n, 0, 0))
		return LOOK_HOLDS;
	if (d->asked)
		return refused(c, d, line, n, e);
	remember(c, d, line, n);
	return LOOK_TAKEN_BACK;
}

/* Of texts that are written over each other only the last one is there to be read. */
static int look_at_end(struct console *c, struct dialogue *d, struct look *k, struct err *e)
{
	k->closed = line_closed(c);
	if (!k->closed || (!k->written && !d->failed))
		return LOOK_HOLDS;
	return d->failed && d->asked ? refused_as_said(c, d, e) : LOOK_TAKEN_BACK;
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
	while (r == LOOK_HOLDS && take_line(c, &line, &n)) {
		r = look_at(c, d, k, line, n, e);
		if (r == LOOK_HOLDS && !k->closed)
			r = look_at_end(c, d, k, e);
	}
	if (r != LOOK_HOLDS || !rest)
		return r;
	skip_partner(c);
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
		struct iotime nap = to_prompt ? *whole : iotime_within(whole, LOOK_US);

		if (to_prompt && at_prompt(c))
			return GATHER_PROMPT;
		if (c->len - c->at > CONSOLE_LINE_MAX)
			return GATHER_FULL;

		int r = fill(c, &nap, e);

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

	while (take_line(c, &line, &n)) {
		any = true;
		strip_prompt(c, &line, &n);
		n = without_blanks(line, n);
		if (n > 0)
			log_line(c, '<', line, n);
	}
	return any;
}

/* Whether the answer that was taken last holds: see console.h. It came in its time, so that the
 * look has a time of its own. A prompt that does not come (the command restarted the unit) is left
 * to the next command's proof. */
static int look_after(struct console *c, struct dialogue *d, const struct iotime *it, struct err *e)
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
			return too_long(c, e);
	} while (how == GATHER_FULL);
	return LOOK_HOLDS;
}

static int wait_answer(struct console *c, struct dialogue *d, const struct iotime *it,
	struct console_reply *ret, struct err *e)
{
	const char *sent = d->sent;
	const char *line;
	size_t n;

	d->budget_us = iotime_left_us(it);
	for (;;) {
		while (take_line(c, &line, &n)) {
			int r = judge(c, d, line, n, ret, e);

			if (r < 0)
				return r;
			if (r > 0) {
				if (!d->failed)
					remember(c, d, line, n);
				r = look_after(c, d, it, e);
				if (r != LOOK_HOLDS && ret)
					console_reply_done(ret);
				if (r != LOOK_TAKEN_BACK)
					return r;
			}
			if (d->skipped > c->o.max_skipped)
				return nothing_matched(c, d, sent, e);
		}
		d->prompted = d->skipped && at_prompt(c);
		if (d->prompted)
			return nothing_matched(c, d, sent, e);

		int r = fill(c, it, e);

		if (r == -ERR_TIMEOUT)
			return nothing_matched(c, d, sent, e);
		if (r < 0)
			return r;
	}
}

static int write_paced(
	struct console *c, const char *bytes, size_t n, const struct iotime *it, struct err *e)
{
	size_t piece = c->o.char_delay_us ? 1 : n;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i += piece) {
		r = link_write(c->link, bytes + i, piece, it, e);
		if (r == 0 && c->o.char_delay_us)
			r = iotime_sleep(c->o.char_delay_us, it, e);
	}
	return r;
}

int console_send(struct console *c, const char *text, const struct iotime *it, struct err *e)
{
	size_t n = strlen(text);

	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_INVALID,
				"console %s: the text to send has a control byte (\\x%02x) at character %zu",
				c->link->address, (unsigned char)*p, (size_t)(p - text) + 1);
	if (n > CONSOLE_LINE_MAX)
		return err_set(e, ERR_INVALID, "console %s: the text to send is over %d bytes",
			c->link->address, CONSOLE_LINE_MAX);

	size_t k = strlen(c->o.eol);
	char *whole = malloc(n + k);

	if (!whole)
		return no_memory(c, e);
	memcpy(whole, text, n);
	memcpy(whole + n, c->o.eol, k);
	log_line(c, '>', text, n);
	c->looked = false;

	int r = write_paced(c, whole, n + k, it, e);

	secret_wipe(whole, n + k);
	free(whole);
	return r;
}

/* One byte alone is a spike on the line; what ends in a sign is the prompt of some unit. */
static bool begins_line(const char *rest, size_t n)
{
	size_t k = without_blanks(rest, n);

	return k > 0 && n > 1 && isalnum((unsigned char)rest[k - 1]);
}

/* Forgets what was read and taken by no one. What looks like the begin of a line, and not like a
 * prompt, has an end that is still to come. */
static void drop_unread(struct console *c)
{
	const char *line;
	size_t n;

	while (take_line(c, &line, &n))
		unasked_line(c, line, n);
	n = c->len - c->at;
	if (n > 0) {
		const char *rest = c->in + c->at;

		bool cut = terminal_is_cut(rest, n);

		log_line(c, '<', rest, n);
		n = terminal_strip(c->in + c->at, n);
		c->mid_line = cut || (begins_line(rest, n) && prompt_len(c, rest, n) != n);
	}
	drop_read(c);
}

/* Takes lines that nobody waits for until nothing came for quiet_us, at most max_us; until_known:
 * or until the time is known from which on nothing is owed. */
static int listen(struct console *c, uint64_t quiet_us, uint64_t max_us, bool until_known,
	const struct iotime *it, struct err *e)
{
	struct iotime whole = iotime_within(it, max_us);
	struct err why = {0};
	const char *line;
	size_t n;

	for (;;) {
		struct iotime nap = iotime_within(&whole, quiet_us);
		int r;

		while (take_line(c, &line, &n))
			unasked_line(c, line, n);
		if (until_known && c->link->turn.clear_us)
			return 0;
		r = fill(c, &nap, &why);
		if (r == -ERR_TIMEOUT)
			break;
		/* A line that is too long was no answer to anything. */
		if (r < 0 && r != -ERR_PROTOCOL) {
			if (e)
				*e = why;
			return r;
		}
	}
	return iotime_check(it, e);
}

/* Between two commands of one dialogue. */
static int between(struct console *c, const struct iotime *it, struct err *e)
{
	uint64_t max_us = MIN(c->o.quiet_max_us, BETWEEN_MAX_US);
	uint64_t quiet_us = c->looked ? c->o.quiet_us - MIN(c->o.quiet_us, LOOK_US) : c->o.quiet_us;
	int r = listen(c, quiet_us, max_us, false, it, e);

	drop_unread(c);
	c->last_eol = 0;
	return r;
}

int console_settle(struct console *c, uint64_t quiet_us, const struct iotime *it, struct err *e)
{
	int r = quiet_us ? listen(c, quiet_us, c->o.quiet_max_us, false, it, e) : 0;

	drop_unread(c);
	if (r == 0 && !quiet_us)
		r = link_drain(c->link, 0, 0, NULL, it, e);
	c->last_eol = 0;
	return r;
}

static int wait_prompt(struct console *c, const struct iotime *it, struct err *e)
{
	const char *line;
	size_t n;

	for (;;) {
		while (take_line(c, &line, &n))
			unasked_line(c, line, n);
		if (at_prompt(c)) {
			drop_read(c);
			return 0;
		}

		int r = fill(c, it, e);

		if (r < 0)
			return r;
	}
}

/* 0 once the unit has shown its prompt after an end of line, and nothing more came. */
static int sync_prompt(struct console *c, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < c->o.sync_attempts; i++) {
		struct iotime wait;

		r = console_settle(c, c->o.quiet_us, it, e);
		if (r == 0)
			r = console_send(c, "", it, e);
		if (r < 0)
			return r;
		wait = iotime_within(it, c->o.prompt_wait_us);
		r = wait_prompt(c, &wait, e);
		if (r != -ERR_TIMEOUT || iotime_left_us(it) == 0)
			break;
	}
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "console %s: no prompt came (is the unit powered?)",
			c->link->address);
	/* The prompt of a late answer may have been the first, its own comes right after it. */
	if (r == 0 && c->link->turn.owed)
		r = console_settle(c, c->o.quiet_us, it, e);
	if (r == 0 && !c->o.own_turns)
		link_turn_clear(&c->link->turn);
	c->quiet = r == 0;
	return r;
}

int console_sync(struct console *c, const struct iotime *it, struct err *e)
{
	int r;

	if (c->o.prompt)
		return sync_prompt(c, it, e);
	r = console_settle(c, c->o.quiet_us, it, e);
	/* What the unit says to an empty line could be taken for an answer that is owed. */
	if (r < 0 || c->link->turn.owed)
		return r;
	r = console_send(c, "", it, e);
	if (r == 0)
		r = console_settle(c, c->o.quiet_us, it, e);
	c->quiet = r == 0;
	return r;
}

/* --- the proof of the turn --- */

static bool holds(const char *line, size_t n, const char *what)
{
	return memmem(line, n, what, strlen(what)) != NULL;
}

/* Whether the line is an answer to the ping `text`, and not its echo: neither whole, nor the rest
 * of one in whose middle a line of a log came. */
static bool answers_ping(const char *line, size_t n, const char *text, const char *nonce)
{
	const char *at = memmem(line, n, nonce, strlen(nonce));
	size_t before = (size_t)(strstr(text, nonce) - text);
	size_t k = at ? (size_t)(at - line) : 0;

	if (!at || holds(line, n, text))
		return false;
	return without_blanks(line, k) == 0 || k > before ||
	       memcmp(text + before - k, line, k) != 0;
}

/* 0 once the unit has answered a number that nobody used before. */
static int ping(struct console *c, const struct iotime *it, struct err *e)
{
	const char *at = strstr(c->o.ping, NONCE);
	struct iotime wait = iotime_within(it, c->o.turn_wait_us);
	uint8_t random[4];
	char nonce[16], hex[9];
	const char *line;
	size_t n;

	random_bytes(random, sizeof random);
	hex_of(random, sizeof random, hex);
	snprintf(nonce, sizeof nonce, "provd%s", hex);

	_cleanup_(freep) char *text =
		xasprintf("%.*s%s%s", (int)(at - c->o.ping), c->o.ping, nonce, at + strlen(NONCE));
	int r = console_settle(c, c->o.quiet_us, it, e);

	if (r == 0)
		r = console_send(c, text, it, e);
	while (r == 0) {
		while (take_line(c, &line, &n)) {
			bool answered = answers_ping(line, n, text, nonce);

			unasked_line(c, line, n);
			if (answered)
				return console_settle(c, c->o.quiet_us, it, e);
		}
		r = fill(c, &wait, e);
	}
	return r;
}

static int out_of_step(struct console *c, const char *text, struct err *e)
{
	_cleanup_(freep) char *now = shown(c, text, strlen(text));
	const char *before = c->link->turn.shown;

	return err_set(e, ERR_OUT_OF_STEP,
		"console %s: '%.60s' may still be answered, so no answer to '%.60s' could be believed (restart the unit, or give the step a 'prompt', 'ping' or 'late')",
		c->link->address, *before ? before : "what came before", now);
}

/* Waits for what is owed, or until time has shown that it cannot come. */
static int wait_owed(struct console *c, const char *text, const struct iotime *it, struct err *e)
{
	struct link_turn *t = &c->link->turn;
	int r = 0;

	if (!t->clear_us)
		r = listen(c, c->o.turn_wait_us, c->o.turn_wait_us, true, it, e);
	if (r == 0 && !t->clear_us)
		return out_of_step(c, text, e);
	/* A late answer on the way moves the end. */
	for (uint64_t until = 0; r == 0 && until != t->clear_us;) {
		uint64_t now = now_us();

		until = t->clear_us;
		if (until > now)
			r = listen(c, until - now, until - now, false, it, e);
	}
	if (r < 0)
		return r;
	link_turn_clear(t);
	return console_settle(c, c->o.quiet_us, it, e);
}

static int prove_turn(struct console *c, const char *text, const struct iotime *it, struct err *e)
{
	struct link_turn *t = &c->link->turn;
	bool proof = c->o.prompt || c->o.ping || c->o.late_us;
	int r;

	if (!t->owed || c->o.own_turns)
		return 0;
	if (!proof && c->o.asker && *c->o.asker && !strcmp(c->o.asker, t->asker) &&
		!strcmp(t->sent, text))
		return 0;
	note(c, "an answer is missing and may still come: finding out");
	c->proving = c->o.prompt || c->o.ping;
	if (c->o.prompt) {
		r = sync_prompt(c, it, e);
	} else if (c->o.ping) {
		r = ping(c, it, e);
		if (r == 0)
			link_turn_clear(t);
		else if (r == -ERR_TIMEOUT)
			r = out_of_step(c, text, e);
	} else {
		if (c->o.late_us)
			t->clear_us = t->last_us + c->o.late_us;
		r = wait_owed(c, text, it, e);
	}
	c->proving = false;
	c->quiet = r == 0;
	return r;
}

/* --- a question --- */

int console_command(struct console *c, const char *text, const struct regex *expect,
	const struct regex *error, const struct iotime *it, struct console_reply *ret,
	struct err *e)
{
	struct dialogue d = {.sent = text, .asked = true, .expect = expect, .error = error};
	struct err lost = {0};
	struct iotime within;
	int turn = prove_turn(c, text, it, &lost);
	int r = turn;

	if (turn == 0 || (c->o.send_anyway && (turn == -ERR_OUT_OF_STEP || turn == -ERR_TIMEOUT)))
		r = c->quiet ? console_settle(c, 0, it, e) : between(c, it, e);
	else if (e)
		*e = lost;
	c->quiet = false;
	if (r < 0)
		return r;
	turn_asked(c, text, &d);
	within = iotime_within(it, c->o.reply_us ? c->o.reply_us : NO_DEADLINE);
	r = console_send(c, text, &within, e);
	if (r == -ERR_INVALID)
		settle_one(c);
	if (r == 0)
		r = wait_answer(c, &d, &within, ret, e);
	turn_ended(c, &d, r);
	c->quiet = d.prompted;
	if (r < 0 && ret)
		console_reply_done(ret);
	if (turn < 0 && e)
		*e = lost;
	return turn < 0 ? turn : r;
}

int console_expect(struct console *c, const struct regex *expect, const struct regex *error,
	const struct iotime *it, struct console_reply *ret, struct err *e)
{
	struct dialogue d = {.expect = expect, .error = error};

	return wait_answer(c, &d, it, ret, e);
}
