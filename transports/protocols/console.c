/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/console.h"

#include <string.h>

#include "base/strbuf.h"

#define QUIET_US	(50 * US_PER_MS)
#define QUIET_MAX_US	(2 * US_PER_S)
#define PROMPT_WAIT_US	(1 * US_PER_S)
#define SYNC_ATTEMPTS	3
#define MAX_SKIPPED	256
#define SHOWN_MAX_BYTES 120 /* of a line inside a message */

struct console {
	struct link *link;
	struct console_opts o;
	/* Bytes that were read and not yet taken: in[at..len). The first of them begins a line. */
	char in[CONSOLE_LINE_MAX + 512];
	size_t at, len;
	char last_eol; /* the CR or LF that ended the last line: its partner is skipped */
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

int console_new(
	struct link *l, const struct console_opts *opts, struct console **ret, struct err *e)
{
	struct console *c = xcalloc(1, sizeof *c);

	c->link = l;
	if (opts)
		c->o = *opts;
	if (!c->o.eol)
		c->o.eol = "\r\n";
	c->o.quiet_us = or_default(c->o.quiet_us, QUIET_US);
	c->o.quiet_max_us = or_default(c->o.quiet_max_us, QUIET_MAX_US);
	c->o.prompt_wait_us = or_default(c->o.prompt_wait_us, PROMPT_WAIT_US);
	c->o.sync_attempts = (unsigned)or_default(c->o.sync_attempts, SYNC_ATTEMPTS);
	c->o.max_skipped = (unsigned)or_default(c->o.max_skipped, MAX_SKIPPED);
	*ret = c;
	return 0;
}

struct console *console_free(struct console *c)
{
	if (c) {
		secret_wipe(c->in, sizeof c->in);
		free(c);
	}
	return NULL;
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

/* The other half of a CRLF or LFCR, which may come in a later read than the first. */
static void skip_partner(struct console *c)
{
	if (c->last_eol && c->at < c->len) {
		if (is_eol(c->in[c->at]) && c->in[c->at] != c->last_eol)
			c->at++;
		c->last_eol = 0;
	}
}

/* The next whole line, without its end; it stays valid until the next fill(). */
static bool take_line(struct console *c, const char **ret, size_t *ret_n)
{
	skip_partner(c);
	for (size_t i = c->at; i < c->len; i++) {
		if (!is_eol(c->in[i]))
			continue;
		*ret = c->in + c->at;
		*ret_n = i - c->at;
		c->last_eol = c->in[i];
		c->at = i + 1;
		return true;
	}
	return false;
}

static void drop_read(struct console *c)
{
	secret_wipe(c->in, c->len);
	c->at = 0;
	c->len = 0;
}

static int too_long(struct console *c, struct err *e)
{
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

/* Whether the device shows its prompt and nothing behind it. */
static bool at_prompt(struct console *c)
{
	skip_partner(c);

	const char *line = c->in + c->at;
	size_t n = c->len - c->at;

	if (n == 0)
		return false;
	strip_prompt(c, &line, &n);
	return n == 0;
}

struct dialogue {
	const char *sent; /* NULL where nothing was: an echo is waited for no more */
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

/* 1: the line is the answer, 0: it means nothing, or an error. */
static int judge(struct console *c, struct dialogue *d, const char *line, size_t n,
	struct console_reply *ret, struct err *e)
{
	struct regex_match m;

	if (n > CONSOLE_LINE_MAX)
		return too_long(c, e);
	strip_prompt(c, &line, &n);
	if (n == 0)
		return 0;
	log_line(c, '<', line, n);
	if (d->sent && n == strlen(d->sent) && !memcmp(line, d->sent, n)) {
		d->sent = NULL;
		return 0;
	}
	if (d->error && regex_match(d->error, line, n, NULL)) {
		remember(c, d, line, n);
		return err_set(e, ERR_DEVICE_REFUSED, "console %s: the unit refused: '%s'",
			c->link->address, d->last);
	}
	if (regex_match(d->expect, line, n, &m)) {
		fill_reply(line, n, &m, ret);
		return 1;
	}
	remember(c, d, line, n);
	return 0;
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

			if (r != 0)
				return r > 0 ? 0 : r;
			if (d->skipped > c->o.max_skipped)
				return nothing_matched(c, d, sent, e);
		}
		if (d->skipped && at_prompt(c))
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
				"console %s: the text to send has a control byte (\\x%02x) at "
				"character %zu",
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

	int r = write_paced(c, whole, n + k, it, e);

	secret_wipe(whole, n + k);
	free(whole);
	return r;
}

/* Logs and forgets what was read and taken by no one. */
static void log_unread(struct console *c)
{
	const char *line;
	size_t n;

	while (take_line(c, &line, &n))
		if (n > 0)
			log_line(c, '<', line, n);
	if (c->at < c->len)
		log_line(c, '<', c->in + c->at, c->len - c->at);
	drop_read(c);
}

int console_settle(struct console *c, uint64_t quiet_us, const struct iotime *it, struct err *e)
{
	log_unread(c);
	c->last_eol = 0;
	return link_drain(c->link, quiet_us, quiet_us ? c->o.quiet_max_us : 0, NULL, it, e);
}

static int wait_prompt(struct console *c, const struct iotime *it, struct err *e)
{
	const char *line;
	size_t n;

	for (;;) {
		while (take_line(c, &line, &n))
			if (n > 0)
				log_line(c, '<', line, n);
		if (at_prompt(c)) {
			drop_read(c);
			return 0;
		}

		int r = fill(c, it, e);

		if (r < 0)
			return r;
	}
}

int console_sync(struct console *c, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < c->o.sync_attempts; i++) {
		struct iotime wait = iotime_within(it, c->o.prompt_wait_us);

		r = console_settle(c, c->o.quiet_us, it, e);
		if (r == 0)
			r = console_send(c, "", it, e);
		if (r < 0)
			return r;
		if (!c->o.prompt)
			return console_settle(c, c->o.quiet_us, it, e);
		r = wait_prompt(c, &wait, e);
		if (r != -ERR_TIMEOUT || iotime_left_us(it) == 0)
			break;
	}
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "console %s: no prompt came (is the unit powered?)",
			c->link->address);
	return r;
}

int console_command(struct console *c, const char *text, const struct regex *expect,
	const struct regex *error, const struct iotime *it, struct console_reply *ret,
	struct err *e)
{
	struct dialogue d = {.sent = text, .expect = expect, .error = error};
	int r = console_settle(c, 0, it, e);

	if (r == 0)
		r = console_send(c, text, it, e);
	if (r < 0)
		return r;
	return wait_answer(c, &d, it, ret, e);
}

int console_expect(struct console *c, const struct regex *expect, const struct regex *error,
	const struct iotime *it, struct console_reply *ret, struct err *e)
{
	struct dialogue d = {.expect = expect, .error = error};

	return wait_answer(c, &d, it, ret, e);
}
