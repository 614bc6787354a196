/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/scpi/scpi.h"

#include <ctype.h>

#include "base/secret.h"
#include "base/util.h"

#define ANSWER_US (5 * US_PER_S)
#define QUEUE_MAX 32 /* errors; no instrument keeps more */

struct scpi {
	struct link *link;
	struct scpi_opts o;
	char in[4096];
	size_t at, len;
	bool blocks; /* the answer that is waited for may be a block */
	bool missing; /* an answer is: before the next message the link is cleared, where it can be */
};

/* --- lines --- */

enum scpi_line scpi_line_read(const char *line, size_t n, uint8_t number, size_t *ret_at)
{
	unsigned v = 0;
	size_t i = n > 0 && line[0] == '+', digits = i;

	for (; i < n && isdigit((unsigned char)line[i]) && v < 1000; i++)
		v = v * 10 + (unsigned)(line[i] - '0');
	if (i == digits || v != number || (i < n && line[i] != ';'))
		return SCPI_LINE_OTHER;
	if (i == n)
		return SCPI_LINE_REFUSED;
	*ret_at = i + 1;
	return SCPI_LINE_ANSWER;
}

/* Cut between characters: half of one is no text. */
static void put_field(char to[SCPI_FIELD_BYTES], const void *bytes, size_t n)
{
	struct strbuf b = {0};
	size_t k;

	sb_add_escaped(&b, bytes, n);
	k = MIN(b.len, SCPI_FIELD_BYTES - 1u);
	while (k > 0 && k < b.len && ((unsigned char)b.s[k] & 0xc0) == 0x80)
		k--;
	memcpy(to, b.s ? b.s : "", k);
	to[k] = '\0';
	sb_done(&b);
}

int scpi_error_read(
	const char *text, long *ret_code, char ret_text[SCPI_FIELD_BYTES], struct err *e)
{
	const char *end = text + (*text == '+' || *text == '-'), *first = end;
	char said[SCPI_FIELD_BYTES];

	end += strspn(end, "0123456789");
	if (end == first || end - first > 6 || (*end && *end != ',')) {
		put_field(said, text, strlen(text));
		return err_set(e, ERR_INSTRUMENT,
			"it answered SYST:ERR? with '%s', a number and a text expected: does it speak SCPI?",
			said);
	}
	*ret_code = strtol(text, NULL, 10);
	put_field(ret_text, *end ? end + 1 : "", *end ? strlen(end + 1) : 0);
	return 0;
}

int scpi_identity_read(const char *text, struct scpi_identity *ret, struct err *e)
{
	struct scpi_identity id = {0};
	char *const field[] = {id.maker, id.model, id.serial, id.firmware};
	const char *p = text;
	size_t i = 0;

	for (; i < ARRAY_LEN(field); i++) {
		/* The last one may hold commas. */
		size_t n = i + 1 < ARRAY_LEN(field) ? strcspn(p, ",") : strlen(p);

		put_field(field[i], p, n);
		p += n;
		if (*p != ',')
			break;
		p++;
	}
	if (i + 1 < ARRAY_LEN(field) || !id.maker[0]) {
		char said[SCPI_FIELD_BYTES];

		put_field(said, text, strlen(text));
		return err_set(e, ERR_INSTRUMENT,
			"it answered *IDN? with '%s', maker, model, serial number and firmware expected",
			said);
	}
	*ret = id;
	return 0;
}

/* --- bytes --- */

static void log_line(struct scpi *s, char dir, const char *text, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, text, n);
	teller_line(&s->o.tell, dir, b.s ? b.s : "");
	sb_done(&b);
}

/* An error of the link is one of the instrument; a cancel, and the deadline of the step, stay what they are. */
static int of_instrument(int r, const struct iotime *it, struct err *e)
{
	int why = iotime_check(it, NULL);

	if (r == 0 || why < 0)
		return r;
	if (e)
		e->code = ERR_INSTRUMENT;
	return -ERR_INSTRUMENT;
}

static int send_line(struct scpi *s, const char *text, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *line = xasprintf("%s\n", text);
	struct iotime within = iotime_within(it, s->o.answer_us);

	log_line(s, '>', text, strlen(text));
	return of_instrument(link_write(s->link, line, strlen(line), &within, e), it, e);
}

/* Where a block is in what has come of a line. */
struct block {
	bool known; /* whether there is one: more bytes decide it otherwise */
	size_t at;  /* of its '#' */
	size_t end; /* after its last byte; 0: there is none */
	size_t bytes;
};

/* The number of the question and its semicolon, which a block comes after. */
static bool skip_number(const char *p, size_t n, size_t *ret)
{
	size_t i = n > 0 && p[0] == '+';

	while (i < n && isdigit((unsigned char)p[i]) && i < 5)
		i++;
	*ret = i + (i < n && p[i] == ';');
	return i == n || p[i] == ';';
}

/* 488.2, 8.7.9.2. */
static struct block find_block(const struct scpi *s, const char *p, size_t n)
{
	struct block b = {0};
	size_t digits, i;

	if (s->o.proof == SCPI_PROOF_ESE && !skip_number(p, n, &b.at))
		return (struct block){.known = true};
	if (n < b.at + 2)
		return (struct block){.known = n > b.at && p[b.at] != '#'};
	if (p[b.at] != '#' || p[b.at + 1] < '1' || p[b.at + 1] > '9')
		return (struct block){.known = true};
	digits = (size_t)(p[b.at + 1] - '0');
	for (i = b.at + 2; i < n && i < b.at + 2 + digits; i++) {
		if (!isdigit((unsigned char)p[i]))
			return (struct block){.known = true};
		b.bytes = b.bytes * 10 + (size_t)(p[i] - '0');
	}
	b.known = i == b.at + 2 + digits;
	b.end = b.known ? i + b.bytes : 0;
	return b;
}

/* An NL within a block ends no line. How many bytes of what is there come before it may be looked for. */
static size_t within_block(const struct scpi *s, const struct strbuf *got, struct block *ret)
{
	*ret = s->blocks ? find_block(s, got->s ? got->s : "", got->len)
			 : (struct block){.known = true};
	if (!ret->known)
		return s->in[s->at] != '\n';
	return ret->end > got->len ? ret->end - got->len : 0;
}

/* What is there goes to ret. true: the line has ended. */
static bool take_bytes(struct scpi *s, struct strbuf *ret, struct block *b)
{
	while (s->at < s->len) {
		const char *from = s->in + s->at;
		size_t n = MIN(within_block(s, ret, b), s->len - s->at);
		const char *nl = n ? NULL : memchr(from, '\n', s->len - s->at);

		if (b->known && b->bytes > SCPI_BLOCK_MAX)
			return false;
		if (!n)
			n = nl ? (size_t)(nl - from) : s->len - s->at;
		sb_add_n(ret, from, n);
		s->at += n + (nl != NULL);
		if (nl)
			return true;
	}
	return false;
}

static void end_line(struct scpi *s, struct strbuf *ret, const struct block *b)
{
	while (ret->len > b->end && (ret->s[ret->len - 1] == '\r' || ret->s[ret->len - 1] == ' '))
		ret->s[--ret->len] = '\0';
	if (b->end)
		teller_log(&s->o.tell, '<', "(a block of %zu bytes)", b->bytes);
	else
		log_line(s, '<', ret->s, ret->len);
}

static int check_length(const struct strbuf *got, const struct block *b, struct err *e)
{
	if (b->bytes > SCPI_BLOCK_MAX)
		return err_set(e, ERR_PROTOCOL,
			"it announces a block of %zu bytes, no more than %u expected", b->bytes,
			SCPI_BLOCK_MAX);
	if (!b->end && got->len > SCPI_ANSWER_MAX)
		return err_set(e, ERR_PROTOCOL, "it answered more than %u bytes in one line",
			SCPI_ANSWER_MAX);
	return 0;
}

/* One line without its end. -ERR_TIMEOUT: by the deadline of `within`; each piece of a block has a time of its own. */
static int read_line(struct scpi *s, const struct iotime *within, const struct iotime *it,
	struct strbuf *ret, struct err *e)
{
	struct block b = {0};
	int r = 0;

	sb_clear(ret);
	while (!take_bytes(s, ret, &b)) {
		struct iotime piece = iotime_within(it, s->o.answer_us);

		r = check_length(ret, &b, e);
		if (r < 0)
			return r;
		r = link_read(s->link, s->in, sizeof s->in, &s->len, b.end ? &piece : within, e);
		s->at = 0;
		if (r == 0)
			continue;
		s->len = 0;
		if (r == -ERR_TIMEOUT && b.end && iotime_check(it, NULL) == 0)
			return err_set(e, ERR_PROTOCOL,
				"its block of %zu bytes is cut: %zu of them came, and none in %llu ms",
				b.bytes, MIN(ret->len, b.end) - (b.end - b.bytes),
				(unsigned long long)(s->o.answer_us / US_PER_MS));
		return r;
	}
	end_line(s, ret, &b);
	return 0;
}

/* --- questions --- */

static int check_text(const char *text, bool query, struct err *e)
{
	size_t n = strlen(text);

	if (n == 0 || n > SCPI_MESSAGE_BYTES)
		return err_set(e, ERR_INVALID, "a message of %zu characters, 1 to %d expected", n,
			SCPI_MESSAGE_BYTES);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return err_set(e, ERR_INVALID,
				"'%.60s' has a control character at position %zu: one message expected",
				text, i + 1);
	if ((strchr(text, '?') != NULL) != query)
		return err_set(e, ERR_INVALID, "'%.60s' is %s: %s expected", text,
			query ? "a command" : "a question",
			query ? "a question with '?'" : "a command without '?'");
	return 0;
}

/* After an answer that is missing, of a link that exchanges messages: it does not come any more, and the next question does not
 * interrupt it (488.2, 6.3.2.3: Query INTERRUPTED). */
static int clear_link(struct scpi *s, const struct iotime *it, struct err *e)
{
	int r = link_clear(s->link, it, e);

	if (r == -ERR_UNSUPPORTED)
		return 0;
	if (r < 0)
		return of_instrument(r, it, e);
	teller_line(&s->o.tell, '#',
		"device clear: nothing that was asked before is answered any more");
	s->at = s->len = 0;
	s->o.turn->clear_us = 0;
	return 0;
}

static int clear_missing(struct scpi *s, const struct iotime *it, struct err *e)
{
	int r = s->missing ? clear_link(s, it, e) : 0;

	s->missing = r < 0;
	return r;
}

static int late(const char *text, uint64_t answer_us, struct err *e)
{
	return err_set(e, ERR_INSTRUMENT_LATE, "no answer to '%.60s' in %llu ms", text,
		(unsigned long long)(answer_us / US_PER_MS));
}

/* The deadline of one answer passed, or that of the step. */
static int no_answer(struct scpi *s, const char *text, const struct iotime *it, struct err *e)
{
	s->missing = true;
	return iotime_check(it, e) < 0 ? -ERR_TIMEOUT : late(text, s->o.answer_us, e);
}

/* In text a NUL is the end: "1.5E+0" of what was "1.5E+03". */
static int check_answer(
	const struct scpi *s, const char *text, const struct strbuf *answer, struct err *e)
{
	const char *nul = answer->len ? memchr(answer->s, '\0', answer->len) : NULL;

	if (!nul || s->blocks)
		return 0;
	return err_set(e, ERR_INSTRUMENT,
		"its answer to '%.60s' has a NUL at position %zu of %zu: text expected (is the line disturbed?)",
		text, (size_t)(nul - answer->s) + 1, answer->len);
}

/* 1: it was refused. The lines of other questions are dropped. */
static int read_numbered(struct scpi *s, const char *text, const struct iotime *it,
	struct strbuf *ret, struct err *e)
{
	struct iotime within = iotime_within(it, s->o.answer_us);
	char other[SCPI_FIELD_BYTES] = "";

	for (;;) {
		size_t at = 0;
		int r = read_line(s, &within, it, ret, e);

		s->missing |= r < 0;
		if (r == -ERR_TIMEOUT && other[0] && iotime_check(it, NULL) == 0)
			return err_set(e, ERR_INSTRUMENT_LATE,
				"no answer to '%.60s' in %llu ms, but '%s', which does not begin with the number of the question (one that takes no two commands in a message needs proof: late)",
				text, (unsigned long long)(s->o.answer_us / US_PER_MS), other);
		if (r == -ERR_TIMEOUT)
			return no_answer(s, text, it, e);
		if (r < 0)
			return of_instrument(r, it, e);
		switch (scpi_line_read(ret->s ? ret->s : "", ret->len, s->o.turn->number, &at)) {
		case SCPI_LINE_ANSWER:
			memmove(ret->s, ret->s + at, ret->len - at + 1);
			ret->len -= at;
			return check_answer(s, text, ret, e);
		case SCPI_LINE_REFUSED:
			return 1;
		case SCPI_LINE_OTHER:
			put_field(other, ret->s ? ret->s : "", ret->len);
			teller_line(&s->o.tell, '#',
				"that answers an earlier question, and is dropped");
		}
	}
}

/* By number: the message goes out with one. 1: refused. */
static int ask_numbered(struct scpi *s, const char *text, const char *after,
	const struct iotime *it, struct strbuf *ret, struct err *e)
{
	struct scpi_turn *t = s->o.turn;
	_cleanup_(freep) char *message = NULL;
	int r = clear_missing(s, it, e);

	if (r < 0)
		return r;
	if (!t->begun)
		random_bytes(&t->number, 1);
	t->begun = true;
	t->number++;
	message = xasprintf(
		"*ESE %u;*ESE?;%s%s%s", t->number, strchr("*:", *text) ? "" : ":", text, after);
	r = send_line(s, message, it, e);
	return r < 0 ? r : read_numbered(s, text, it, ret, e);
}

/* Nothing old can come any more. */
static int wait_clear(struct scpi *s, const struct iotime *it, struct err *e)
{
	struct scpi_turn *t = s->o.turn;
	uint64_t now = now_us();
	int r = clear_missing(s, it, e);

	if (r < 0 || !t->clear_us)
		return r;
	teller_line(&s->o.tell, '#',
		"an answer is missing and may still come: waiting until it cannot");
	r = now < t->clear_us ? iotime_sleep(t->clear_us - now, it, e) : 0;
	if (r == 0)
		r = of_instrument(link_drain(s->link, 0, 0, NULL, it, e), it, e);
	if (r < 0)
		return r;
	s->at = s->len = 0;
	t->clear_us = 0;
	return 0;
}

static int ask_bounded(struct scpi *s, const char *text, const struct iotime *it,
	struct strbuf *ret, struct err *e)
{
	struct iotime within;
	uint64_t asked;
	int r = wait_clear(s, it, e);

	if (r == 0)
		r = send_line(s, text, it, e);
	if (r < 0)
		return r;
	asked = now_us();
	within = iotime_within(it, s->o.answer_us);
	r = read_line(s, &within, it, ret, e);
	if (r < 0)
		s->o.turn->clear_us = asked + s->o.late_us;
	if (r == -ERR_TIMEOUT)
		return no_answer(s, text, it, e);
	return r < 0 ? of_instrument(r, it, e) : check_answer(s, text, ret, e);
}

/* 1: the instrument refused it. */
static int ask(struct scpi *s, const char *text, const struct iotime *it, struct strbuf *ret,
	struct err *e)
{
	return s->o.proof == SCPI_PROOF_LATE ? ask_bounded(s, text, it, ret, e)
					     : ask_numbered(s, text, "", it, ret, e);
}

/* Empties the error queue: what was first in it is the error. */
static int read_errors(struct scpi *s, const char *text, const struct iotime *it, struct err *e)
{
	_cleanup_(sb_done) struct strbuf b = {0};
	char first[SCPI_FIELD_BYTES] = "", next[SCPI_FIELD_BYTES];
	long code = 0, n = 1;
	int r = 0;

	for (int i = 0; r == 0 && n != 0 && i < QUEUE_MAX; i++) {
		r = ask(s, "SYST:ERR?", it, &b, e);
		if (r == 0)
			r = scpi_error_read(b.s ? b.s : "", &n, next, e);
		if (r == 0 && n != 0 && code == 0) {
			code = n;
			memcpy(first, next, sizeof first);
		}
	}
	if (r == 1)
		return err_set(
			e, ERR_INSTRUMENT, "it does not know SYST:ERR?: does it speak SCPI?");
	if (r < 0 || code == 0)
		return r;
	return err_set(e, ERR_INSTRUMENT_ERROR, "'%.60s' was refused with error %ld, %s", text,
		code, first);
}

/* What came of a message, and what the instrument says of it: an error of its own is the reason of an answer that
 * is missing. */
static int judge(struct scpi *s, const char *text, int r, const struct iotime *it, struct err *e)
{
	struct err why = {0};
	int said;

	if (r < 0 && r != -ERR_INSTRUMENT_LATE)
		return r;
	said = read_errors(s, text, it, &why);
	if (said == 0 && r == 1)
		return err_set(e, ERR_INSTRUMENT,
			"it gave no answer to '%.60s', and has no error: is that a question?",
			text);
	/* Where the answer was late, so may be the errors. */
	if (said == 0 || (r < 0 && said != -ERR_INSTRUMENT_ERROR))
		return r;
	if (e)
		*e = why;
	return said;
}

int scpi_query(struct scpi *s, const char *text, const struct iotime *it, struct strbuf *ret,
	struct err *e)
{
	int r = check_text(text, true, e);

	sb_clear(ret);
	return r < 0 ? r : judge(s, text, ask(s, text, it, ret, e), it, e);
}

/* The bytes alone. */
static int unpack(
	struct scpi *s, const char *text, struct strbuf *b, bool *ret_block, struct err *e)
{
	const bool is = b->len > 1 && b->s[0] == '#';
	size_t head = is && b->s[1] >= '1' && b->s[1] <= '9' ? 2 + (size_t)(b->s[1] - '0') : 0;
	_cleanup_(freep) char *digits = NULL;
	unsigned long long n = 0;

	*ret_block = is;
	if (!is)
		return check_answer(s, text, b, e);
	if (!head)
		return err_set(e, ERR_INSTRUMENT,
			"it answered '%.60s' with a block that does not say its length ('#%c'): have it send a definite length block",
			text, b->s[1]);
	digits = xasprintf("%.*s", (int)MIN(head - 2, b->len - 2), b->s + 2);
	if (digits[strspn(digits, "0123456789")] || !parse_size(digits, &n) || b->len != head + n)
		return err_set(e, ERR_INSTRUMENT,
			"its answer to '%.60s' is not one block: '#', a digit, the length and %llu bytes expected, %zu came in all",
			text, n, b->len);
	memmove(b->s, b->s + head, (size_t)n + 1);
	b->len = (size_t)n;
	return 0;
}

int scpi_query_block(struct scpi *s, const char *text, const struct iotime *it, struct strbuf *ret,
	bool *ret_block, struct err *e)
{
	int r = check_text(text, true, e);

	sb_clear(ret);
	if (r < 0)
		return r;
	s->blocks = true;
	r = ask(s, text, it, ret, e);
	s->blocks = false;
	r = judge(s, text, r, it, e);
	return r < 0 ? r : unpack(s, text, ret, ret_block, e);
}

int scpi_command(struct scpi *s, const char *text, const struct iotime *it, struct err *e)
{
	_cleanup_(sb_done) struct strbuf done = {0};
	int r = check_text(text, false, e);

	if (r < 0)
		return r;
	if (s->o.proof == SCPI_PROOF_LATE) {
		r = wait_clear(s, it, e);
		if (r == 0)
			r = send_line(s, text, it, e);
	} else {
		r = ask_numbered(s, text, ";*OPC?", it, &done, e);
	}
	return judge(s, text, r == 1 ? 0 : r, it, e);
}

/* What others left in the queue is not blamed on this one. *CLS goes by itself: in a message it may drop answers
 * (488.2, 10.3). */
static int clear(struct scpi *s, const struct iotime *it, struct err *e)
{
	int r = clear_link(s, it, e);

	if (r == 0)
		r = wait_clear(s, it, e);
	if (r == 0)
		r = send_line(s, "*CLS", it, e);
	return r < 0 ? r : read_errors(s, "*CLS", it, e);
}

int scpi_new(struct link *l, const struct scpi_opts *o, const struct iotime *it, struct scpi **ret,
	struct err *e)
{
	struct scpi *s = xcalloc(1, sizeof *s);
	int r;

	s->link = l;
	s->o = *o;
	s->o.answer_us = o->answer_us ? o->answer_us : ANSWER_US;
	r = clear(s, it, e);
	if (r < 0) {
		scpi_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void scpi_mute(struct scpi *s)
{
	s->o.tell.log = NULL;
}

struct scpi *scpi_free(struct scpi *s)
{
	free(s);
	return NULL;
}
