/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/console.h"

#include <ctype.h>

#include "transports/protocols/console_impl.h"

#define QUIET_US       (50 * US_PER_MS)
#define QUIET_MAX_US   (2 * US_PER_S)
#define PROMPT_WAIT_US (1 * US_PER_S)
#define SYNC_ATTEMPTS  3
#define MAX_SKIPPED    256
#define TURN_WAIT_US   (2 * US_PER_S)

void console_reply_done(struct console_reply *r)
{
	secret_free(r->line);
	secret_free(r->before);
	secret_free(r->other);
	for (int i = 0; i < REGEX_GROUPS; i++)
		secret_free(r->group[i]);
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
	if (c->o.ping && (!strstr(c->o.ping, CONSOLE_NONCE) || !strcmp(c->o.ping, CONSOLE_NONCE)))
		r = err_set(e, ERR_INVALID,
			"the ping '%s' needs " CONSOLE_NONCE " and a command that answers it",
			c->o.ping);
	else if (c->o.prove && !c->o.ping && !c->o.prompt)
		r = err_set(e, ERR_INVALID, "'prove' needs a 'ping' or a 'prompt' to prove by");
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

void console_remember(const struct console *c, struct dialogue *d, const char *line, size_t n)
{
	_cleanup_(freep) char *text = console_shown(c, line, n);

	snprintf(d->last, sizeof d->last, "%.*s%s", CONSOLE_SHOWN_BYTES, text,
		strlen(text) > CONSOLE_SHOWN_BYTES ? "..." : "");
	d->skipped++;
}

char *console_copy_escaped(const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);
	return sb_take(&b);
}

/* A line that is not the answer may belong to it: what a unit prints between BEGIN and END. */
static void keep_before(struct console_reply *ret, const char *line, size_t n)
{
	size_t had = ret && ret->before ? strlen(ret->before) : 0;
	char *grown;

	if (!ret || had + n + 2 > CONSOLE_BEFORE_MAX || memchr(line, 0, n))
		return;
	grown = realloc(ret->before, had + n + 2);
	if (!grown)
		return;
	memcpy(grown + had, line, n);
	memcpy(grown + had + n, "\n", 2);
	ret->before = grown;
}

static void fill_reply(
	const char *line, size_t n, const struct regex_match *m, struct console_reply *ret)
{
	if (!ret)
		return;
	ret->line = console_copy_escaped(line, n);
	ret->groups = m->groups;
	for (int i = 0; i < m->groups; i++)
		if (m->group[i].start != (size_t)-1 && m->group[i].end >= m->group[i].start)
			ret->group[i] = console_copy_escaped(
				line + m->group[i].start, m->group[i].end - m->group[i].start);
}

/* " to 'ping'", or nothing; owned by the caller. */
static char *to_what(const struct console *c, const char *sent)
{
	if (!sent)
		return xstrdup("");

	_cleanup_(freep) char *text = console_shown(c, sent, strlen(sent));

	return xasprintf(" to '%.*s'", CONSOLE_SHOWN_BYTES, text);
}

static int nothing_matched(
	struct console *c, const struct dialogue *d, const char *sent, struct err *e)
{
	_cleanup_(freep) char *to = to_what(c, sent);
	_cleanup_(freep) char *cut = console_shown(c, c->in + c->at, c->len - c->at);
	double s = (double)d->budget_us / (double)US_PER_S;

	if (d->skipped)
		return err_set(e, ERR_UNEXPECTED_REPLY, "console %s: no fitting answer%s: '%s'%s",
			c->link->address, to, d->last, d->skipped > 1 ? " came last" : " came");
	if (*cut)
		return err_set(e, ERR_TIMEOUT,
			"console %s: the answer%s did not end in %.3g s: '%.*s'", c->link->address,
			to, s, CONSOLE_SHOWN_BYTES, cut);
	return err_set(e, ERR_TIMEOUT, "console %s: no answer%s in %.3g s (is the unit powered?)",
		c->link->address, to, s);
}

/* --- a line --- */

int console_refused_as_said(struct console *c, const struct dialogue *d, struct err *e)
{
	return err_set(e, ERR_DEVICE_REFUSED, "console %s: the unit refused: '%s'",
		c->link->address, d->last);
}

int console_refused(
	struct console *c, struct dialogue *d, const char *line, size_t n, struct err *e)
{
	console_remember(c, d, line, n);
	return console_refused_as_said(c, d, e);
}

/* Whether the line is the command itself, or comes before its echo. */
static bool before_reply(struct console *c, struct dialogue *d, const char *line, size_t n)
{
	size_t sent_n = d->sent ? console_without_blanks(d->sent, strlen(d->sent)) : 0;

	if (!d->sent)
		return false;
	if (n == sent_n && !memcmp(line, d->sent, n)) {
		d->sent = NULL;
		return true;
	}
	if (c->o.echo)
		console_remember(c, d, line, n);
	return c->o.echo;
}

/* A bell and the signs of flow control around a line are not part of it. */
void console_strip_signals(const char **line, size_t *n)
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
		return console_too_long(c, e);
	console_strip_signals(&line, &n);
	console_strip_prompt(c, &line, &n);
	n = console_without_blanks(line, n);
	if (n == 0)
		return 0;
	if (!d->asked && console_is_late_answer(c, line, n)) {
		console_unasked_line(c, line, n);
		return 0;
	}
	console_log_line(c, '<', line, n);
	if (!c->overwrote)
		d->failed = false;
	if (before_reply(c, d, line, n))
		return 0;
	if (d->error && regex_may_match(d->error, line, n))
		return console_refused(c, d, line, n, e);
	if (c->tail || !regex_match(d->expect, line, n, &m) || is_damaged(line, n, &m) ||
		words_is_part(line, n, m.group[0].start, m.group[0].end)) {
		if (d->failed)
			d->skipped++;
		else
			console_remember(c, d, line, n);
		keep_before(d->reply, line, n);
		d->failed |= words_fail(c->words, line, n);
		return 0;
	}
	if (words_against(c->words, line, n, m.group[0].start, m.group[0].end)) {
		if (d->asked)
			return console_refused(c, d, line, n, e);
		console_remember(c, d, line, n);
		return 0;
	}
	fill_reply(line, n, &m, ret);
	return 1;
}

static int wait_answer(struct console *c, struct dialogue *d, const struct iotime *it,
	struct console_reply *ret, struct err *e)
{
	const char *sent = d->sent;
	const char *line;
	size_t n;

	d->reply = ret;
	if (ret)
		*ret = (struct console_reply){0};
	d->budget_us = iotime_left_us(it);
	for (;;) {
		while (console_take_line(c, &line, &n)) {
			int r = judge(c, d, line, n, ret, e);

			if (r < 0)
				return r;
			if (r > 0) {
				if (!d->failed)
					console_remember(c, d, line, n);
				r = console_look_after(c, d, it, e);
				if (r != LOOK_HOLDS && ret)
					console_reply_done(ret);
				if (r != LOOK_TAKEN_BACK)
					return r;
			}
			if (d->skipped > c->o.max_skipped)
				return nothing_matched(c, d, sent, e);
		}
		d->prompted = d->skipped && console_at_prompt(c);
		if (d->prompted)
			return nothing_matched(c, d, sent, e);

		int r = console_fill(c, it, e);

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
		return console_no_memory(c, e);
	memcpy(whole, text, n);
	memcpy(whole + n, c->o.eol, k);
	console_log_line(c, '>', text, n);
	c->looked = false;

	int r = write_paced(c, whole, n + k, it, e);

	secret_wipe(whole, n + k);
	free(whole);
	return r;
}

int console_settle(struct console *c, uint64_t quiet_us, const struct iotime *it, struct err *e)
{
	int r = quiet_us ? console_listen(c, quiet_us, c->o.quiet_max_us, false, it, e) : 0;

	console_drop_unread(c);
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
		while (console_take_line(c, &line, &n))
			console_unasked_line(c, line, n);
		if (console_at_prompt(c)) {
			console_drop_read(c);
			return 0;
		}

		int r = console_fill(c, it, e);

		if (r < 0)
			return r;
	}
}

/* 0 once the unit has shown its prompt after an end of line, and nothing more came. */
int console_sync_prompt(struct console *c, const struct iotime *it, struct err *e)
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
		return console_sync_prompt(c, it, e);
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

/* --- a question --- */

int console_command(struct console *c, const char *text, const struct regex *expect,
	const struct regex *error, const struct iotime *it, struct console_reply *ret,
	struct err *e)
{
	struct dialogue d = {.sent = text, .asked = true, .expect = expect, .error = error};
	struct err lost = {0};
	struct iotime within;
	int turn = console_prove_turn(c, text, it, &lost);
	int r = turn;

	if (turn == 0 || (c->o.send_anyway && (turn == -ERR_OUT_OF_STEP || turn == -ERR_TIMEOUT)))
		r = c->quiet ? console_settle(c, 0, it, e) : console_between(c, it, e);
	else if (e)
		*e = lost;
	c->quiet = false;
	if (r < 0)
		return r;
	console_turn_asked(c, text, &d);
	within = iotime_within(it, c->o.reply_us ? c->o.reply_us : NO_DEADLINE);
	r = console_send(c, text, &within, e);
	if (r == -ERR_INVALID)
		console_settle_one(c);
	if (r == 0)
		r = wait_answer(c, &d, &within, ret, e);
	if (r == 0 && c->o.prove)
		r = console_prove_answer(c, &d, text, &within, e);
	console_turn_ended(c, &d, r);
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
