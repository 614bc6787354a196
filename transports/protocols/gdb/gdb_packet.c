/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames (GDB manual, E.1): $payload#cc, cc the sum of the payload's bytes in two hex digits; + and
 * - acknowledge until both sides do without. } escapes: the next byte is XORed with 20 hex. In
 * replies c*n repeats c (n - 29) times more.
 */
#include <ctype.h>

#include "transports/protocols/gdb/gdb_impl.h"

#define ESCAPE	    '}'
#define ESCAPE_XOR  0x20
#define RUN	    '*'
#define RUN_BASE    29
#define SEND_TRIES  3
#define SKIPPED_MAX 65536 /* of bytes between frames */

static int byte(struct gdb *g, uint8_t *ret, const struct iotime *it, struct err *e)
{
	if (g->in_at == g->in_len) {
		int r = link_read(g->link, g->in, sizeof g->in, &g->in_len, it, e);

		g->in_at = 0;
		if (r < 0) {
			g->in_len = 0;
			return r;
		}
	}
	*ret = g->in[g->in_at++];
	return 0;
}

static int hex_digit(uint8_t c)
{
	return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* The payload of a frame after its '$', as it came. 1: the checksum is wrong. */
static int raw_frame(struct gdb *g, struct strbuf *raw, const struct iotime *it, struct err *e)
{
	uint8_t sum = 0, c, high, low;
	int r;

	sb_clear(raw);
	for (;;) {
		r = byte(g, &c, it, e);
		if (r < 0)
			return r;
		if (c == '#')
			break;
		/* A new frame begins: the old one was cut off. */
		if (c == '$') {
			sb_clear(raw);
			sum = 0;
			continue;
		}
		if (raw->len == GDB_REPLY_MAX)
			return err_set(e, ERR_PROTOCOL,
				"GDB server: a packet of more than %u bytes", GDB_REPLY_MAX);
		sb_add_n(raw, &c, 1);
		sum = (uint8_t)(sum + c);
	}
	r = byte(g, &high, it, e);
	if (r == 0)
		r = byte(g, &low, it, e);
	if (r < 0)
		return r;
	if (hex_digit(high) < 0 || hex_digit(low) < 0)
		return 1;
	return (hex_digit(high) << 4 | hex_digit(low)) == sum ? 0 : 1;
}

static int decode(const struct strbuf *raw, struct strbuf *ret, struct err *e)
{
	for (size_t i = 0; i < raw->len; i++) {
		uint8_t c = (uint8_t)raw->s[i];

		if (c == ESCAPE && i + 1 < raw->len) {
			c = (uint8_t)raw->s[++i] ^ ESCAPE_XOR;
			sb_add_n(ret, &c, 1);
			continue;
		}
		if (c == RUN && i + 1 < raw->len && ret->len) {
			int more = (uint8_t)raw->s[++i] - RUN_BASE;
			char last = ret->s[ret->len - 1];

			if (more < 3 || more > 97)
				return err_set(e, ERR_PROTOCOL, "GDB server: a wrong repeat count");
			for (; more > 0; more--)
				sb_add_n(ret, &last, 1);
			continue;
		}
		sb_add_n(ret, &c, 1);
		if (ret->len > GDB_REPLY_MAX)
			break;
	}
	return ret->len <= GDB_REPLY_MAX
		       ? 0
		       : err_set(e, ERR_PROTOCOL, "GDB server: a reply of more than %u bytes",
				 GDB_REPLY_MAX);
}

/* Up to the next frame's '$' or, where wanted, an acknowledgement. */
static int next_mark(struct gdb *g, bool ack, uint8_t *ret, const struct iotime *it, struct err *e)
{
	if (g->marked) {
		g->marked = false;
		*ret = '$';
		return 0;
	}
	for (size_t skipped = 0; skipped < SKIPPED_MAX; skipped++) {
		uint8_t c;
		int r = byte(g, &c, it, e);

		if (r < 0)
			return r;
		/* A notification is framed alike: it is not a reply. */
		if (c == '$' || c == '%' || (ack && (c == '+' || c == '-'))) {
			*ret = c;
			return 0;
		}
	}
	return err_set(e, ERR_PROTOCOL, "GDB server: %d bytes without a packet", SKIPPED_MAX);
}

static int frame(struct gdb *g, bool notification, struct strbuf *ret, const struct iotime *it,
	struct err *e)
{
	struct strbuf raw = {0};
	int r = raw_frame(g, &raw, it, e);

	if (r == 0 && !notification && !g->no_ack)
		r = link_write(g->link, "+", 1, it, e);
	else if (r == 1 && !notification && !g->no_ack)
		r = link_write(g->link, "-", 1, it, e) < 0 ? -(int)e->code : 1;
	else if (r == 1 && !notification)
		r = err_set(e, ERR_PROTOCOL, "GDB server: a packet's checksum is wrong");
	if (r == 0)
		r = decode(&raw, ret, e);
	sb_done(&raw);
	return r;
}

/* O and hex digits: console text. */
static bool is_console(const struct strbuf *s)
{
	if (!s->len || s->s[0] != 'O' || s->len % 2 == 0)
		return false;
	for (size_t i = 1; i < s->len; i++)
		if (!isxdigit((uint8_t)s->s[i]))
			return false;
	return true;
}

#define TEXT_MAX (64u * 1024)

static void take_console(struct gdb *g, const struct strbuf *s)
{
	struct strbuf plain = {0}, text = {0};

	for (size_t i = 1; i + 1 < s->len; i += 2) {
		char c = (char)(hex_digit((uint8_t)s->s[i]) << 4 | hex_digit((uint8_t)s->s[i + 1]));

		sb_add_n(&plain, &c, 1);
	}
	if (plain.len && g->gather && g->text.len < TEXT_MAX)
		sb_add_n(&g->text, plain.s, plain.len);
	sb_add_escaped(&text, plain.s, plain.len);
	if (text.len)
		teller_line(&g->tell, '<', text.s);
	sb_done(&plain);
	sb_done(&text);
}

static int receive(struct gdb *g, uint64_t budget_us, struct strbuf *ret, const struct iotime *it,
	struct err *e)
{
	struct strbuf s = {0};

	for (;;) {
		struct iotime within = iotime_within(it, budget_us);
		uint8_t mark = 0;
		int r = next_mark(g, false, &mark, &within, e);

		sb_clear(&s);
		if (r == 0)
			r = frame(g, mark == '%', &s, &within, e);
		if (r < 0) {
			sb_done(&s);
			return r;
		}
		if (r == 1 || mark == '%')
			continue; /* it comes again; a notification is for no one */
		if (is_console(&s)) {
			take_console(g, &s);
			continue;
		}
		*ret = s;
		return 0;
	}
}

int gdb_receive(struct gdb *g, uint64_t budget_us, struct strbuf *ret, const struct iotime *it,
	struct err *e)
{
	int r = receive(g, budget_us, ret, it, e);

	g->broken |= r < 0;
	return r;
}

static void build(struct gdb *g, const char *text, const uint8_t *bytes, size_t n)
{
	struct strbuf *o = &g->out;
	uint8_t sum = 0;

	sb_clear(o);
	sb_add(o, "$");
	sb_add(o, text);
	for (size_t i = 0; i < n; i++) {
		uint8_t pair[2] = {ESCAPE, bytes[i] ^ ESCAPE_XOR};

		if (bytes[i] == '#' || bytes[i] == '$' || bytes[i] == ESCAPE || bytes[i] == RUN)
			sb_add_n(o, pair, 2);
		else
			sb_add_n(o, &bytes[i], 1);
	}
	for (size_t i = 1; i < o->len; i++)
		sum = (uint8_t)(sum + (uint8_t)o->s[i]);
	sb_addf(o, "#%02x", sum);
}

/* A packet that comes before the acknowledgement. A server whose target ran until now says that it
 * stopped (QEMU does, to each new connection): that answers nothing that was asked. Anything else
 * is of a server that answers without acknowledging, and is read next. */
static int early_packet(
	struct gdb *g, const char *asked, bool *ret_stale, const struct iotime *it, struct err *e)
{
	struct strbuf raw = {0};
	uint8_t c = 0;
	int r = byte(g, &c, it, e);

	if (r < 0)
		return r;
	*ret_stale = strchr("TSWX", c) && c && *asked != '?' && *asked != 'c' && *asked != 'v';
	if (!*ret_stale) {
		g->in_at--;
		g->marked = true;
		return 0;
	}
	/* Its checksum counts from the byte that was read: it is not known here. */
	r = raw_frame(g, &raw, it, e);
	sb_done(&raw);
	return r < 0 ? r : link_write(g->link, "+", 1, it, e);
}

static int skip_notification(struct gdb *g, bool *ret_stale, const struct iotime *it, struct err *e)
{
	struct strbuf raw = {0};
	int r = raw_frame(g, &raw, it, e);

	sb_done(&raw);
	*ret_stale = true;
	return r < 0 ? r : 0;
}

/* '+' or '-', or '$' where the answer itself has come. */
static int acknowledgement(
	struct gdb *g, const char *asked, uint8_t *ret, const struct iotime *it, struct err *e)
{
	bool stale = false;
	int r;

	do {
		r = next_mark(g, true, ret, it, e);
		stale = false;
		if (r == 0 && *ret == '$')
			r = early_packet(g, asked, &stale, it, e);
		else if (r == 0 && *ret == '%')
			r = skip_notification(g, &stale, it, e);
	} while (r == 0 && stale);
	return r;
}

static int send_packet(struct gdb *g, const char *text, const void *bytes, size_t n,
	const struct iotime *it, struct err *e)
{
	build(g, text, bytes, n);
	for (unsigned i = 0; i < SEND_TRIES; i++) {
		uint8_t mark = '+';
		int r = link_write(g->link, g->out.s, g->out.len, it, e);

		if (r < 0 || g->no_ack)
			return r;

		struct iotime within = iotime_within(it, GDB_REPLY_US);

		r = acknowledgement(g, text, &mark, &within, e);
		if (r < 0)
			return err_prefix(e, "GDB server: no acknowledgement");
		if (mark == '+' || mark == '$')
			return 0;
	}
	return err_set(
		e, ERR_PROTOCOL, "GDB server: it refuses a packet's checksum %d times", SEND_TRIES);
}

int gdb_send(struct gdb *g, const char *text, const void *bytes, size_t n, const struct iotime *it,
	struct err *e)
{
	int r;

	/* A link that is gone is the better reason. */
	if (g->broken && link_drain(g->link, 0, 0, NULL, it, e) == -ERR_DEVICE_GONE)
		return -ERR_DEVICE_GONE;
	if (g->broken)
		return err_set(e, ERR_OUT_OF_STEP,
			"GDB server: an earlier packet may still be answered, so '%.40s' was not sent (connect again)",
			text);
	r = send_packet(g, text, bytes, n, it, e);
	g->broken |= r < 0;
	return r;
}

int gdb_ask(struct gdb *g, const char *text, uint64_t budget_us, struct strbuf *ret,
	const struct iotime *it, struct err *e)
{
	int r = gdb_send(g, text, NULL, 0, it, e);

	return r < 0 ? r : gdb_receive(g, budget_us, ret, it, e);
}

int gdb_refused(const struct strbuf *reply, const char *what, struct err *e)
{
	struct strbuf text = {0};
	int r;

	if (!reply->len)
		return err_set(e, ERR_UNSUPPORTED, "%s: the GDB server does not know it", what);
	sb_add_escaped(&text, reply->s, MIN(reply->len, (size_t)80));
	if (!strcmp(reply->s, "E.memtype"))
		r = err_set(e, ERR_IMAGE_RANGE, "%s: the GDB server has no flash there ('%s')",
			what, text.s);
	else
		r = err_set(e, reply->s[0] == 'E' ? ERR_DEVICE_REFUSED : ERR_PROTOCOL,
			"%s: the GDB server answers '%s'", what, text.s);
	sb_done(&text);
	return r;
}

int gdb_command(struct gdb *g, const char *text, const void *bytes, size_t n, uint64_t budget_us,
	const char *what, const struct iotime *it, struct err *e)
{
	struct strbuf reply = {0};
	int r = gdb_send(g, text, bytes, n, it, e);

	if (r == 0)
		r = gdb_receive(g, budget_us, &reply, it, e);
	if (r < 0)
		return err_prefix(e, "%s", what);
	if (!reply.len || strcmp(reply.s, "OK") != 0)
		r = gdb_refused(&reply, what, e);
	sb_done(&reply);
	return r;
}
