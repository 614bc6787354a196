/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes into lines: what ends one, what a terminal would not show, where the prompt is.
 */
#include "transports/protocols/console_impl.h"

#include "base/secret.h"
#include "base/terminal.h"

/* Readable, without the secrets; owned by the caller. */
char *console_shown(const struct console *c, const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);

	char *plain = sb_take(&b);
	char *shown = secret_mask(c->o.secrets, plain);

	secret_free(plain);
	return shown;
}

void console_log_line(const struct console *c, char dir, const char *bytes, size_t n)
{
	if (!c->o.tell.log)
		return;

	_cleanup_(freep) char *text = console_shown(c, bytes, n);

	teller_line(&c->o.tell, dir, text);
}

int console_no_memory(const struct console *c, struct err *e)
{
	return err_set(e, ERR_NO_MEMORY, "console %s", c->link->address);
}

static bool is_eol(char ch)
{
	return ch == '\r' || ch == '\n';
}

/* The other half of a CRLF or LFCR, which may come in a later read than the first. A CR without one
 * ends no line of a terminal: what follows is written over it. */
void console_skip_partner(struct console *c)
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
 * console_fill(). */
bool console_take_line(struct console *c, const char **ret, size_t *ret_n)
{
	console_skip_partner(c);
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

size_t console_without_blanks(const char *line, size_t n)
{
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	return n;
}

void console_drop_read(struct console *c)
{
	secret_wipe(c->in, c->len);
	c->at = 0;
	c->len = 0;
	c->overwrites = false;
}

/* What comes next is the rest of that line, or of the one that was cut with it. */
int console_too_long(struct console *c, struct err *e)
{
	if (c->len > c->at)
		c->mid_line = !is_eol(c->in[c->len - 1]);
	console_drop_read(c);
	return err_set(e, ERR_PROTOCOL, "console %s: a line of more than %d bytes",
		c->link->address, CONSOLE_LINE_MAX);
}

int console_fill(struct console *c, const struct iotime *it, struct err *e)
{
	size_t n = 0;

	if (c->len - c->at > CONSOLE_LINE_MAX)
		return console_too_long(c, e);
	memmove(c->in, c->in + c->at, c->len - c->at);
	c->len -= c->at;
	c->at = 0;

	int r = link_read(c->link, c->in + c->len, sizeof c->in - c->len, &n, it, e);

	c->len += n;
	return r;
}

/* How many bytes at the start of a line are the prompt. */
size_t console_prompt_len(const struct console *c, const char *line, size_t n)
{
	struct regex_match m;

	if (!c->o.prompt || !regex_match(c->o.prompt, line, n, &m) || m.group[0].start != 0)
		return 0;
	return m.group[0].end;
}

void console_strip_prompt(const struct console *c, const char **line, size_t *n)
{
	size_t k;

	while (*n > 0 && (k = console_prompt_len(c, *line, *n)) > 0) {
		*line += k;
		*n -= k;
	}
}

/* Whether the device shows its prompt and nothing after it, after the last line that was read. */
bool console_at_prompt(struct console *c)
{
	char text[512];

	console_skip_partner(c);

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
	console_strip_prompt(c, &line, &n);
	return n == 0;
}
