/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd_rpc.h"

#include <ctype.h>

#include "base/strbuf.h"

#define END	  0x1a
#define WORDS_MAX 64u

struct openocd_rpc {
	struct link *link;
	struct strbuf in;
	unsigned calls; /* each answer has the number of its call */
	bool over;
};

struct openocd_rpc *openocd_rpc_new(struct link *l)
{
	struct openocd_rpc *r = xcalloc(1, sizeof *r);

	r->link = l;
	return r;
}

struct openocd_rpc *openocd_rpc_free(struct openocd_rpc *r)
{
	if (r)
		sb_done(&r->in);
	free(r);
	return NULL;
}

bool openocd_rpc_over(const struct openocd_rpc *r)
{
	return r->over;
}

int openocd_quote(const char *text, char **ret, struct err *e)
{
	struct strbuf b = {0};

	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < ' ' || c == 0x7f) {
			sb_done(&b);
			return err_set(e, ERR_INVALID, "a control character (0x%02x)", c);
		}
		/* Tcl: a backslash before any other character than a letter, a digit or a line end
		 * means that character. */
		if (c < 0x80 && !isalnum(c) && c != '_')
			sb_add(&b, "\\");
		sb_add_n(&b, p, 1);
	}
	if (!*text)
		sb_add(&b, "{}");
	*ret = sb_take(&b);
	return 0;
}

/* --- lists --- */

struct reader {
	const char *s;
	size_t n, at;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char unescaped(char c)
{
	static const char from[] = "abfnrtv";
	static const char to[] = "\a\b\f\n\r\t\v";
	const char *p = c ? strchr(from, c) : NULL;

	return p ? to[p - from] : c;
}

/* After the opening brace; what is inside stays as it is. */
static bool braced(struct reader *r, struct strbuf *ret)
{
	unsigned depth = 1;

	for (; r->at < r->n; r->at++) {
		char c = r->s[r->at];

		if (c == '\\' && r->at + 1 < r->n)
			sb_add_n(ret, &r->s[r->at++], 1);
		else if (c == '{')
			depth++;
		else if (c == '}' && --depth == 0) {
			r->at++;
			return true;
		}
		sb_add_n(ret, &r->s[r->at], 1);
	}
	return false;
}

/* Up to the closing quote, or to a blank. */
static bool plain(struct reader *r, bool quoted, struct strbuf *ret)
{
	for (; r->at < r->n; r->at++) {
		char c = r->s[r->at];

		if (quoted ? c == '"' : is_blank(c)) {
			r->at += quoted;
			return true;
		}
		if (c == '\\' && r->at + 1 < r->n)
			c = unescaped(r->s[++r->at]);
		sb_add_n(ret, &c, 1);
	}
	return !quoted;
}

static bool read_word(struct reader *r, struct strbuf *ret)
{
	char c = r->s[r->at];
	bool ok;

	if (c == '{' || c == '"') {
		r->at++;
		ok = c == '{' ? braced(r, ret) : plain(r, true, ret);
		/* Nothing may touch the end of such a word. */
		return ok && (r->at == r->n || is_blank(r->s[r->at]));
	}
	return plain(r, false, ret);
}

int openocd_list_parse(const char *s, size_t n, struct openocd_list *ret, struct err *e)
{
	struct openocd_list l = {.word = xcalloc(WORDS_MAX, sizeof *l.word)};
	struct reader r = {s, n, 0};

	for (;;) {
		struct strbuf word = {0};

		while (r.at < r.n && is_blank(r.s[r.at]))
			r.at++;
		if (r.at == r.n)
			break;
		if (l.n == WORDS_MAX || !read_word(&r, &word)) {
			sb_done(&word);
			openocd_list_free(&l);
			return err_set(e, ERR_PROTOCOL,
				"no Tcl list: something is wrong before byte %zu", r.at);
		}
		l.word[l.n++] = sb_take(&word);
	}
	*ret = l;
	return 0;
}

void openocd_list_free(struct openocd_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->word[i]);
	free(l->word);
	*l = (struct openocd_list){0};
}

/* --- calls --- */

static int receive(
	struct openocd_rpc *r, const struct iotime *it, struct strbuf *ret, struct err *e)
{
	for (;;) {
		char *end = r->in.len ? memchr(r->in.s, END, r->in.len) : NULL;
		uint8_t buf[4096];
		size_t n = 0;
		int k;

		if (end) {
			size_t len = (size_t)(end - r->in.s);
			struct strbuf rest = {0};

			sb_add_n(ret, r->in.s, len);
			sb_add_n(&rest, end + 1, r->in.len - len - 1);
			sb_done(&r->in);
			r->in = rest;
			return 0;
		}
		/* A line that is too long is answered without an end. */
		if (r->in.len > OPENOCD_REPLY_MAX)
			return err_set(e, ERR_PROTOCOL, "OpenOCD: an answer of more than %u bytes",
				OPENOCD_REPLY_MAX);
		k = link_read(r->link, buf, sizeof buf, &n, it, e);
		if (k < 0)
			return err_prefix(e, "OpenOCD: no answer");
		sb_add_n(&r->in, buf, n);
	}
}

/* What a server says without a question (tcl_notifications) is not used here. */
static bool is_notice(const struct strbuf *s)
{
	return s->len >= 5 && !memcmp(s->s, "type ", 5);
}

static bool is_number(const char *word)
{
	return *word && strspn(word, "-0123456789") == strlen(word);
}

static int judge(
	const struct openocd_rpc *rpc, const struct strbuf *reply, char **ret, struct err *e)
{
	char number[16];
	struct openocd_list l = {0};
	struct strbuf text = {0};
	int r = openocd_list_parse(reply->s ? reply->s : "", reply->len, &l, e);

	if (r < 0) {
		err_prefix(e, "OpenOCD: its answer");
		return r;
	}
	if (l.n != 3 || !is_number(l.word[0]) || !is_number(l.word[1])) {
		openocd_list_free(&l);
		return err_set(
			e, ERR_PROTOCOL, "OpenOCD: the answer is not a number, code and text");
	}
	snprintf(number, sizeof number, "%u", rpc->calls);
	if (strcmp(l.word[0], number) != 0) {
		r = err_set(e, ERR_PROTOCOL, "OpenOCD: the answer to call %.12s came for call %s",
			l.word[0], number);
		openocd_list_free(&l);
		return r;
	}
	if (strcmp(l.word[1], "0") != 0) {
		sb_add_escaped(&text, l.word[2], MIN(strlen(l.word[2]), (size_t)160));
		r = err_set(e, ERR_TOOL_FAILED, "OpenOCD: %s",
			text.len ? text.s : "the command failed and said nothing");
		sb_done(&text);
	}
	if (ret)
		*ret = steal_ptr(&l.word[2]);
	openocd_list_free(&l);
	return r;
}

static int exchange(struct openocd_rpc *r, const char *frame, size_t n, struct strbuf *reply,
	const struct iotime *it, struct err *e)
{
	int k = link_write(r->link, frame, n, it, e);

	do {
		sb_clear(reply);
		if (k == 0)
			k = receive(r, it, reply, e);
	} while (k == 0 && is_notice(reply));
	return k;
}

int openocd_rpc_call(struct openocd_rpc *r, const char *script, uint64_t budget_us, char **ret,
	const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, budget_us);
	_cleanup_(freep) char *word = NULL;
	struct strbuf frame = {0};
	struct strbuf reply = {0};
	int k;

	if (ret)
		*ret = NULL;
	if (r->over)
		return err_set(e, ERR_PROTOCOL, "OpenOCD: the session broke in an earlier call");
	k = openocd_quote(script, &word, e);
	if (k < 0)
		return k;
	sb_addf(&frame, "set provd_c [catch %s provd_m]; list %u $provd_c $provd_m%c", word,
		++r->calls, END);
	k = exchange(r, frame.s, frame.len, &reply, &within, e);
	if (k < 0)
		r->over = true;
	else
		k = judge(r, &reply, ret, e);
	if (k == -ERR_PROTOCOL)
		r->over = true;
	sb_done(&frame);
	sb_done(&reply);
	return k;
}
