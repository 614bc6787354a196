/* SPDX-License-Identifier: Apache-2.0
 *
 * The server of MCUmgr on a console: lines, packets, and the commands of the groups OS and image. Its CBOR is read and written
 * by hand: maps of few members.
 */
#include "sim/mcumgr/mcumgr.h"

#include "base/strbuf.h"

enum { ECHO = 0x000, RESET = 0x005, PARAMS = 0x006, STATE = 0x100, UPLOAD = 0x101 };
enum { RC_INVALID = 3, RC_NO_ENTRY = 5, RC_UNSUPPORTED = 8 };

#define RAW_LINE ((MCUMGR_LINE - 3) / 4 * 3)

/* -- CBOR -- */

static void head(struct wbytes *w, unsigned major, uint32_t v)
{
	if (v < 24) {
		wb_u8(w, (uint8_t)(major << 5 | v));
	} else if (v < 256) {
		wb_u8(w, (uint8_t)(major << 5 | 24));
		wb_u8(w, (uint8_t)v);
	} else if (v < 65536) {
		wb_u8(w, (uint8_t)(major << 5 | 25));
		wb_be16(w, (uint16_t)v);
	} else {
		wb_u8(w, (uint8_t)(major << 5 | 26));
		wb_be32(w, v);
	}
}

static void text(struct wbytes *w, const char *t)
{
	head(w, 3, (uint32_t)strlen(t));
	wb_put(w, t, strlen(t));
}

static void flag(struct wbytes *w, const char *name, bool v)
{
	text(w, name);
	wb_u8(w, v ? 0xf5 : 0xf4);
}

static void number(struct wbytes *w, const char *name, uint32_t v)
{
	text(w, name);
	head(w, 0, v);
}

struct value {
	unsigned major; /* 0 number, 2 bytes, 3 text, 7 simple */
	uint32_t v;	/* the number, or 20 false, 21 true */
	const uint8_t *p;
};

static struct value next(struct rbytes *b)
{
	uint8_t first = rb_u8(b);
	struct value r = {.major = first >> 5, .v = first & 31};

	if (r.v == 24)
		r.v = rb_u8(b);
	else if (r.v == 25)
		r.v = rb_be16(b);
	else if (r.v == 26)
		r.v = rb_be32(b);
	if (r.major == 2 || r.major == 3)
		r.p = rb_take(b, r.v);
	return r;
}

/* A member of the map; false where there is none. */
static bool member(const uint8_t *p, size_t n, const char *name, struct value *ret)
{
	struct rbytes b = rbytes_of(p, n);
	uint32_t count = rb_u8(&b) & 31;

	for (uint32_t i = 0; i < count && !b.bad; i++) {
		struct value key = next(&b);
		struct value v = next(&b);

		if (!b.bad && key.p && key.v == strlen(name) && !memcmp(key.p, name, key.v)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* -- the way out -- */

void mcumgr_say(struct mcumgr *s, uint64_t now_us, const void *p, size_t n)
{
	uint8_t copy[512];

	for (const uint8_t *from = p; n > 0 && !s->stalled;) {
		size_t k = MIN(n, sizeof copy);
		size_t left;

		memcpy(copy, from, k);
		left = fault_out(s->wire_faults, FAULT_PHASE_CONSOLE, copy, k);
		if (left)
			wire_tx_push(&s->wire, MAX(now_us, s->busy_until_us), false, copy, left);
		from += k;
		n -= k;
	}
}

static uint16_t crc(const uint8_t *p, size_t n)
{
	uint16_t c = 0;

	for (size_t i = 0; i < n; i++) {
		c = (uint16_t)(c >> 8 | c << 8);
		c ^= p[i];
		c ^= (c & 0xff) >> 4;
		c = (uint16_t)(c ^ c << 12);
		c = (uint16_t)(c ^ (c & 0xff) << 5);
	}
	return c;
}

static void send(struct mcumgr *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	uint8_t raw[MCUMGR_PACKET_MAX + 8];
	struct wbytes w = wbytes_of(raw, sizeof raw);
	struct strbuf out = {0};

	wb_be16(&w, (uint16_t)(n + 2));
	wb_put(&w, p, n);
	wb_be16(&w,
		(uint16_t)(crc(p, n) ^ (own_fault_hit(s->faults, MCUMGR_BAD_CRC, NULL) ? 1 : 0)));
	if (own_fault_hit(s->faults, MCUMGR_NOISE, NULL))
		sb_add(&out, "[00:00:01.250] <inf> app: a line of the log\r\nuart:~$ ");
	for (size_t at = 0; at < w.len; at += RAW_LINE) {
		_cleanup_(freep) char *line =
			base64_of(raw + at, MIN(w.len - at, (size_t)RAW_LINE));

		sb_add_n(&out, at ? "\x04\x14" : "\x06\x09", 2);
		sb_add(&out, line);
		sb_add(&out, "\n");
	}
	if (own_fault_hit(s->faults, MCUMGR_CUT, NULL))
		out.len -= 3;
	mcumgr_say(s, now_us, out.s, out.len);
	sb_done(&out);
}

/* A fault for the command that came: its argument is group << 8 | command. */
static bool is_for(struct mcumgr *s, enum mcumgr_fault row)
{
	double command;

	if (!own_fault_set(s->faults, row, &command) || (unsigned)command != s->command)
		return false;
	return own_fault_hit(s->faults, row, NULL);
}

static void answer(
	struct mcumgr *s, const uint8_t *request, const struct wbytes *body, uint64_t now_us)
{
	uint8_t p[MCUMGR_PACKET_MAX];
	struct wbytes w = wbytes_of(p, sizeof p);
	uint8_t seq = request[6];

	if (is_for(s, MCUMGR_SILENT))
		return;
	if (is_for(s, MCUMGR_LATE))
		s->busy_until_us =
			now_us + settings_own_number(s->set, "mcumgr-late-ms") * US_PER_MS;
	if (own_fault_hit(s->faults, MCUMGR_WRONG_SEQ, NULL))
		seq ^= 0x40;
	wb_u8(&w, (uint8_t)(request[0] | 1));
	wb_u8(&w, 0);
	wb_be16(&w, (uint16_t)body->len);
	wb_put(&w, request + 4, 2);
	wb_u8(&w, seq);
	wb_u8(&w, request[7]);
	wb_put(&w, body->p, body->len);
	send(s, p, w.len, now_us);
	if (is_for(s, MCUMGR_TWICE))
		send(s, p, w.len, now_us);
}

/* -- commands -- */

/* In the form that the request's version asks for. */
static void refuse(struct wbytes *w, const uint8_t *request, uint32_t rc)
{
	w->len = 0;
	head(w, 5, 1);
	if (request[0] >> 3 & 3 && request[5]) {
		text(w, "err");
		head(w, 5, 2);
		number(w, "group", request[5]);
		number(w, "rc", rc);
	} else
		number(w, "rc", rc);
}

static void echo(struct wbytes *w, const uint8_t *p, size_t n)
{
	struct value v = {0};

	member(p, n, "d", &v);
	head(w, 5, 1);
	text(w, "r");
	head(w, 3, v.v);
	wb_put(w, v.p, v.p ? v.v : 0);
}

static void params(struct mcumgr *s, struct wbytes *w, const uint8_t *request)
{
	uint32_t size = (uint32_t)settings_own_number(s->set, "mcumgr-buffer");

	if (!size) {
		refuse(w, request, RC_UNSUPPORTED);
		return;
	}
	head(w, 5, 2);
	number(w, "buf_size", size);
	number(w, "buf_count", 4);
}

static void state(struct mcumgr *s, struct wbytes *w)
{
	uint8_t hash[SHA256_BYTES];
	char version[24];
	uint32_t n = 0;

	for (int i = 0; i < 2; i++)
		n += mcumgr_slot_says(&s->slot[i], hash, version);
	head(w, 5, 2);
	text(w, "images");
	head(w, 4, n);
	for (unsigned i = 0; i < 2; i++) {
		const struct mcumgr_slot *l = &s->slot[i];

		if (!mcumgr_slot_says(l, hash, version))
			continue;
		head(w, 5, 8);
		number(w, "slot", i);
		text(w, "version");
		text(w, version);
		text(w, "hash");
		head(w, 2, sizeof hash);
		wb_put(w, hash, sizeof hash);
		flag(w, "bootable", true);
		flag(w, "pending", l->pending);
		flag(w, "confirmed", l->confirmed);
		flag(w, "active", i == 0);
		flag(w, "permanent", l->permanent);
	}
	number(w, "splitStatus", 0);
}

static void set_state(
	struct mcumgr *s, struct wbytes *w, const uint8_t *request, const uint8_t *p, size_t n)
{
	struct value hash = {0};
	struct value confirm = {0};
	bool keep = member(p, n, "confirm", &confirm) && confirm.v == 21;

	member(p, n, "hash", &hash);
	for (int i = 0; i < 2; i++) {
		uint8_t has[SHA256_BYTES];
		char version[24];

		if (!mcumgr_slot_says(&s->slot[i], has, version) || hash.v != sizeof has ||
			!hash.p || memcmp(has, hash.p, sizeof has) != 0)
			continue;
		if (i == 0) {
			s->slot[0].confirmed |= keep;
		} else {
			s->slot[1].pending = true;
			s->slot[1].permanent = keep;
		}
		state(s, w);
		return;
	}
	refuse(w, request, RC_NO_ENTRY);
}

static void rot(struct mcumgr *s, uint32_t from, uint32_t n)
{
	double at;

	if (!own_fault_set(s->faults, MCUMGR_BIT_ROT, &at) || (uint32_t)at < from ||
		(uint32_t)at - from >= n)
		return;
	own_fault_hit(s->faults, MCUMGR_BIT_ROT, NULL);
	s->slot[1].p[(uint32_t)at] ^= 1;
}

/* Another file than the one that is under way: from its beginning. */
static void begin(struct mcumgr *s, const struct value *sha, uint32_t len, uint64_t now_us)
{
	if (s->uploading && sha->v == sizeof s->sha && sha->p &&
		!memcmp(s->sha, sha->p, sizeof s->sha))
		return;
	s->uploading = true;
	s->want = len;
	memset(s->sha, 0, sizeof s->sha);
	if (sha->p && sha->v == sizeof s->sha)
		memcpy(s->sha, sha->p, sizeof s->sha);
	s->slot[1] = (struct mcumgr_slot){.p = s->slot[1].p};
	s->busy_until_us = now_us + settings_own_number(s->set, "mcumgr-erase-ms") * US_PER_MS;
}

static void upload(struct mcumgr *s, struct wbytes *w, const uint8_t *request, const uint8_t *p,
	size_t n, uint64_t now_us)
{
	struct mcumgr_slot *l = &s->slot[1];
	struct value off = {0};
	struct value data = {0};
	struct value len = {0};
	struct value sha = {0};

	if (!member(p, n, "off", &off) || !member(p, n, "data", &data) || data.major != 2) {
		refuse(w, request, RC_INVALID);
		return;
	}
	member(p, n, "sha", &sha);
	if (off.v == 0) {
		if (!member(p, n, "len", &len) || len.v > MCUMGR_SLOT_BYTES) {
			refuse(w, request, RC_INVALID);
			return;
		}
		begin(s, &sha, len.v, now_us);
	}
	if (own_fault_hit(s->faults, MCUMGR_FORGET, NULL)) {
		s->uploading = false;
		l->n = 0;
	}
	s->blocks++;
	if (s->uploading && off.v == l->n && data.v <= s->want - l->n) {
		memcpy(l->p + l->n, data.p, data.v);
		rot(s, l->n, data.v);
		l->n += data.v;
		s->uploading = l->n < s->want;
	}
	head(w, 5, 1);
	number(w, "off", l->n);
}

static void run(struct mcumgr *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	uint8_t out[MCUMGR_PACKET_MAX];
	struct wbytes w = wbytes_of(out, sizeof out);
	const uint8_t *body = p + 8;
	bool write = (p[0] & 7) == 2;

	n -= 8;
	s->command = (unsigned)p[4] << 16 | (unsigned)p[5] << 8 | p[7];
	s->requests++;
	if (is_for(s, MCUMGR_REFUSE))
		refuse(&w, p, RC_INVALID);
	else if (s->command == ECHO)
		echo(&w, body, n);
	else if (s->command == PARAMS)
		params(s, &w, p);
	else if (s->command == STATE && !write)
		state(s, &w);
	else if (s->command == STATE)
		set_state(s, &w, p, body, n);
	else if (s->command == UPLOAD && write)
		upload(s, &w, p, body, n, now_us);
	else if (s->command == RESET && write) {
		head(&w, 5, 0);
		s->boot_at_us = now_us + 50 * US_PER_MS;
	} else
		refuse(&w, p, RC_UNSUPPORTED);
	answer(s, p, &w, now_us);
}

/* -- the way in -- */

static void take_line(struct mcumgr *s, uint64_t now_us)
{
	bool first = s->line[0] == 0x06 && s->line[1] == 0x09;
	bool more = s->line[0] == 0x04 && s->line[1] == 0x14;
	_cleanup_(freep) uint8_t *raw = NULL;
	size_t n = 0;
	size_t want;

	s->line[s->line_len] = 0;
	if (s->line_len < 3 || (!first && !more) || s->line_len + 1 > MCUMGR_LINE)
		return;
	raw = base64_parse(s->line + 2, &n);
	if (first)
		s->packet_len = 0;
	if (!raw || (more && !s->packet_len) || n > sizeof s->packet - s->packet_len) {
		s->packet_len = 0;
		return;
	}
	memcpy(s->packet + s->packet_len, raw, n);
	s->packet_len += n;
	want = (size_t)s->packet[0] << 8 | s->packet[1];
	if (s->packet_len < want + 2)
		return;
	s->packet_len = 0;
	if (want >= 10 && crc(s->packet + 2, want) == 0)
		run(s, s->packet + 2, want - 2, now_us);
}

void mcumgr_take(struct mcumgr *s, uint8_t b, uint64_t now_us)
{
	if (b == '\n') {
		take_line(s, now_us);
		s->line_len = 0;
	} else if (s->line_len + 1 < sizeof s->line)
		s->line[s->line_len++] = (char)b;
}
