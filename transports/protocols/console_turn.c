/* SPDX-License-Identifier: Apache-2.0
 *
 * Which question an answer belongs to: the account of what is owed, and the proofs.
 */
#include "transports/protocols/console_impl.h"

#include <ctype.h>

#include "base/digest.h"
#include "base/terminal.h"

#define BETWEEN_MAX_US (500 * US_PER_MS) /* a unit that never falls quiet is asked all the same */
#define LATE_MIN_US    (200 * US_PER_MS) /* of quiet after an answer that came late */

/* The late answer to the question before, for a line that does not answer anything newer. */
bool console_is_late_answer(const struct console *c, const char *line, size_t n)
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

void console_settle_one(struct console *c)
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

/* Of two different questions nobody can say which of them it was. Nobody can say either that it was
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
void console_unasked_line(struct console *c, const char *line, size_t n)
{
	console_strip_prompt(c, &line, &n);
	n = console_without_blanks(line, n);
	if (n == 0)
		return;
	console_log_line(c, '<', line, n);
	if (!console_is_late_answer(c, line, n))
		return;

	bool named = names_question(line, n, c->link->turn.sent);
	_cleanup_(freep) char *text =
		named ? xasprintf("that was the answer to '%.*s', too late", CONSOLE_SHOWN_BYTES,
				c->link->turn.shown)
		      : xasprintf("that may be the answer to '%.*s', or a line that fits by chance",
				CONSOLE_SHOWN_BYTES, c->link->turn.shown);

	teller_line(&c->o.tell, '#', text);
	if (named)
		answered_late(c);
}

void console_turn_asked(struct console *c, const char *text, const struct dialogue *d)
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
	/* The step that finds the answer may be another one, which does not know these secrets. */
	free(t->shown);
	t->shown = console_shown(c, text, strlen(text));
	str_replace(&t->asker, c->o.asker ? c->o.asker : "");
	/* Of two different questions nobody can say which a line answers. */
	if (owed == 0 || same) {
		t->expect = xstrdup(regex_pattern(d->expect));
		t->error = d->error ? xstrdup(regex_pattern(d->error)) : NULL;
	}
	t->clear_us = c->o.late_us ? t->last_us + c->o.late_us : 0;
}

/* r: what came of the question. */
void console_turn_ended(struct console *c, const struct dialogue *d, int r)
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

/* One byte alone is a spike on the line; what ends in a sign is the prompt of some unit. */
static bool begins_line(const char *rest, size_t n)
{
	size_t k = console_without_blanks(rest, n);

	return k > 0 && n > 1 && isalnum((unsigned char)rest[k - 1]);
}

/* Forgets what was read and taken by no one. What looks like the beginning of a line, and not like
 * a prompt, has an end that is still to come. */
void console_drop_unread(struct console *c)
{
	const char *line;
	size_t n;

	while (console_take_line(c, &line, &n))
		console_unasked_line(c, line, n);
	n = c->len - c->at;
	if (n > 0) {
		const char *rest = c->in + c->at;

		bool cut = terminal_is_cut(rest, n);

		console_log_line(c, '<', rest, n);
		n = terminal_strip(c->in + c->at, n);
		c->mid_line = cut || (begins_line(rest, n) && console_prompt_len(c, rest, n) != n);
	}
	console_drop_read(c);
}

/* Takes lines that nobody waits for until nothing came for quiet_us, at most max_us; until_known:
 * or until the time is known from which on nothing is owed. */
int console_listen(struct console *c, uint64_t quiet_us, uint64_t max_us, bool until_known,
	const struct iotime *it, struct err *e)
{
	struct iotime whole = iotime_within(it, max_us);
	struct err why = {0};
	const char *line;
	size_t n;

	for (;;) {
		struct iotime nap = iotime_within(&whole, quiet_us);
		int r;

		while (console_take_line(c, &line, &n))
			console_unasked_line(c, line, n);
		if (until_known && c->link->turn.clear_us)
			return 0;
		r = console_fill(c, &nap, &why);
		if (r == -ERR_TIMEOUT)
			break;
		/* A line that is too long did not answer anything. */
		if (r < 0 && r != -ERR_PROTOCOL) {
			if (e)
				*e = why;
			return r;
		}
	}
	return iotime_check(it, e);
}

/* Between two commands of one dialogue. */
int console_between(struct console *c, const struct iotime *it, struct err *e)
{
	uint64_t max_us = MIN(c->o.quiet_max_us, BETWEEN_MAX_US);
	uint64_t quiet_us =
		c->looked ? c->o.quiet_us - MIN(c->o.quiet_us, CONSOLE_LOOK_US) : c->o.quiet_us;
	int r = console_listen(c, quiet_us, max_us, false, it, e);

	console_drop_unread(c);
	c->last_eol = 0;
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
	return console_without_blanks(line, k) == 0 || k > before ||
	       memcmp(text + before - k, line, k) != 0;
}

/* A number that nobody used before, and the question for it. */
struct nonce {
	char number[16];
	char *question; /* owned */
};

static void nonce_done(struct nonce *p)
{
	free(p->question);
}

static struct nonce nonce_make(const struct console *c)
{
	const char *at = strstr(c->o.ping, CONSOLE_NONCE);
	struct nonce p = {0};
	uint8_t random[4];
	char hex[9];

	random_bytes(random, sizeof random);
	hex_of(random, sizeof random, hex);
	snprintf(p.number, sizeof p.number, "provd%s", hex);
	p.question = xasprintf(
		"%.*s%s%s", (int)(at - c->o.ping), c->o.ping, p.number, at + strlen(CONSOLE_NONCE));
	return p;
}

/* 0 once the unit has answered a number that nobody used before. */
static int ping(struct console *c, const struct iotime *it, struct err *e)
{
	_cleanup_(nonce_done) struct nonce p = nonce_make(c);
	struct iotime wait = iotime_within(it, c->o.turn_wait_us);
	const char *line;
	size_t n;
	int r = console_settle(c, c->o.quiet_us, it, e);

	if (r == 0)
		r = console_send(c, p.question, it, e);
	while (r == 0) {
		while (console_take_line(c, &line, &n)) {
			bool answered = answers_ping(line, n, p.question, p.number);

			console_unasked_line(c, line, n);
			if (answered)
				return console_settle(c, c->o.quiet_us, it, e);
		}
		r = console_fill(c, &wait, e);
	}
	return r;
}

static int out_of_step(struct console *c, const char *text, struct err *e)
{
	_cleanup_(freep) char *now = console_shown(c, text, strlen(text));
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
		r = console_listen(c, c->o.turn_wait_us, c->o.turn_wait_us, true, it, e);
	if (r == 0 && !t->clear_us)
		return out_of_step(c, text, e);
	/* A late answer on the way moves the end. */
	for (uint64_t until = 0; r == 0 && until != t->clear_us;) {
		uint64_t now = now_us();

		until = t->clear_us;
		if (until > now)
			r = console_listen(c, until - now, until - now, false, it, e);
	}
	if (r < 0)
		return r;
	link_turn_clear(t);
	return console_settle(c, c->o.quiet_us, it, e);
}

int console_prove_turn(struct console *c, const char *text, const struct iotime *it, struct err *e)
{
	struct link_turn *t = &c->link->turn;
	bool proof = c->o.prompt || c->o.ping || c->o.late_us;
	int r;

	if (!t->owed || c->o.own_turns)
		return 0;
	if (!proof && c->o.asker && *c->o.asker && !strcmp(c->o.asker, t->asker) &&
		!strcmp(t->sent, text))
		return 0;
	teller_line(&c->o.tell, '#', "an answer is missing and may still come: finding out");
	c->proving = c->o.prompt || c->o.ping;
	if (c->o.prompt) {
		r = console_sync_prompt(c, it, e);
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

/* --- the proof of an answer --- */

/* What ends an answer for sure. */
struct sign {
	struct nonce *nonce; /* NULL: the prompt */
	bool silent;	     /* the answer was over before: nothing else may come */
};

/* A whole line before the sign, or with it: 1 for that. */
static int line_before_sign(struct console *c, struct dialogue *d, const struct sign *sign,
	const char *line, size_t n, struct err *e)
{
	const struct nonce *p = sign->nonce;
	bool answered = p && answers_ping(line, n, p->question, p->number);
	int r;

	console_strip_signals(&line, &n);
	console_strip_prompt(c, &line, &n);
	n = console_without_blanks(line, n);
	if (n == 0)
		return 0;
	console_log_line(c, '<', line, n);
	if (answered || (p && holds(line, n, p->number)))
		return answered;
	r = console_line_after(c, d, line, n, e);
	if (r < 0 || !sign->silent)
		return r;
	console_remember(c, d, line, n);
	return err_set(e, ERR_OUT_OF_STEP,
		"console %s: '%s' came after the prompt that ended the answer, so the answer may have been another question's (restart the unit)",
		c->link->address, d->last);
}

static int wait_sign(struct console *c, struct dialogue *d, const struct sign *sign,
	const struct iotime *it, struct err *e)
{
	const char *line;
	size_t n;

	for (;;) {
		int r = 0;

		while (r == 0 && console_take_line(c, &line, &n))
			r = line_before_sign(c, d, sign, line, n, e);
		if (r != 0)
			return MIN(r, 0);
		if (!sign->nonce && console_at_prompt(c)) {
			console_drop_read(c);
			return 0;
		}
		r = console_fill(c, it, e);
		if (r < 0)
			return r;
	}
}

static int prove_by_ping(
	struct console *c, struct dialogue *d, const struct iotime *it, struct err *e)
{
	_cleanup_(nonce_done) struct nonce p = nonce_make(c);
	struct sign sign = {.nonce = &p};
	int r = console_send(c, p.question, it, e);

	if (r == 0)
		r = wait_sign(c, d, &sign, it, e);
	return r < 0 ? r : console_settle(c, c->o.quiet_us, it, e);
}

/* The prompt that ends the answer, and one more. */
static int prove_by_prompt(
	struct console *c, struct dialogue *d, const struct iotime *it, struct err *e)
{
	struct sign first = {0}, second = {.silent = true};
	int r = wait_sign(c, d, &first, it, e);

	if (r == 0)
		r = console_send(c, "", it, e);
	return r < 0 ? r : wait_sign(c, d, &second, it, e);
}

int console_prove_answer(struct console *c, struct dialogue *d, const char *text,
	const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *shown = console_shown(c, text, strlen(text));
	int r = c->o.ping ? prove_by_ping(c, d, it, e) : prove_by_prompt(c, d, it, e);

	/* Without its sign the reply is not over. */
	d->prompted = r == 0;
	if (r == -ERR_TIMEOUT)
		r = err_set(e, ERR_OUT_OF_STEP,
			"console %s: an answer to '%.60s' came, and then no %s: it may have been another question's (restart the unit)",
			c->link->address, shown, c->o.ping ? "answer to the ping" : "prompt");
	return r;
}
