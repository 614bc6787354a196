/* SPDX-License-Identifier: Apache-2.0
 *
 * The session with the boot ROM: frames, turns, synchronising, coming back.
 */
#include "transports/protocols/esp/esp_rom_impl.h"

#include "base/bytes.h"

#define END	      0xc0
#define ESC	      0xdb
#define ESC_END	      0xdc
#define ESC_ESC	      0xdd
#define HEAD	      8
#define BITS_PER_BYTE 10
#define SLOW_BAUD     115200
#define MIB	      (1024 * 1024)
#define KNOCKS	      5 /* SYNCs for each time that the chip is brought into its ROM */
/* Words of a packet before its data. */
#define DATA_HEAD 16

const struct esp_times esp_times_default = {
	.sync_us = 100 * US_PER_MS,
	.answer_us = 3 * US_PER_S,
	.erase_us_per_mb = 40 * US_PER_S,
	.write_us_per_mb = 40 * US_PER_S,
	.md5_us_per_mb = 8 * US_PER_S,
	.quiet_us = 20 * US_PER_MS, /* above the 16 ms that FTDI adapters gather bytes */
	.switch_us = 50 * US_PER_MS,
};

struct esp_rom *esp_rom_new(struct link *l, const struct esp_opts *o, const struct esp_hooks *hooks)
{
	struct esp_rom *s = xcalloc(1, sizeof *s);

	s->link = l;
	s->o = *o;
	if (hooks)
		s->hooks = *hooks;
	s->first_baud = l->baud;
	return s;
}

struct esp_rom *esp_rom_free(struct esp_rom *s)
{
	/* What still comes is not for the dialogue in lines that follows on this link. */
	if (s && s->suspect)
		link_turn_lost(&s->link->turn);
	free(s);
	return NULL;
}

const struct esp_info *esp_rom_info(const struct esp_rom *s)
{
	return &s->info;
}

bool esp_wire_trouble(int r)
{
	return r == -ERR_TIMEOUT || r == -ERR_PROTOCOL || r == -ERR_DEVICE_REFUSED;
}

uint64_t esp_mb_us(uint64_t us_per_mb, uint64_t bytes)
{
	return us_per_mb * bytes / MIB;
}

static uint64_t wire_us(const struct esp_rom *s, uint64_t n)
{
	uint64_t baud = s->link->baud ? s->link->baud : SLOW_BAUD;

	return 2 * n * BITS_PER_BYTE * US_PER_S / baud;
}

/* --- frames --- */

static void put_byte(struct wbytes *w, uint8_t b)
{
	if (b == END || b == ESC) {
		wb_u8(w, ESC);
		wb_u8(w, b == END ? ESC_END : ESC_ESC);
	} else
		wb_u8(w, b);
}

static int send(struct esp_rom *s, const struct esp_ask *a, const struct iotime *it, struct err *e)
{
	uint8_t head[HEAD];
	uint8_t out[2 * (HEAD + DATA_HEAD + ESP_BLOCK_BYTES) + 2];
	struct wbytes h = wbytes_of(head, sizeof head);
	struct wbytes w = wbytes_of(out, sizeof out);

	wb_u8(&h, 0);
	wb_u8(&h, (uint8_t)a->op);
	wb_le16(&h, (uint16_t)a->n);
	wb_le32(&h, a->sum);
	wb_u8(&w, END);
	for (size_t i = 0; i < sizeof head; i++)
		put_byte(&w, head[i]);
	for (size_t i = 0; i < a->n; i++)
		put_byte(&w, a->data[i]);
	wb_u8(&w, END);
	if (w.bad)
		return err_set(e, ERR_INTERNAL, "a packet of %zu bytes for the boot ROM", a->n);
	return link_write(s->link, out, w.len, it, e);
}

static void add_noise(struct esp_rom *s, const uint8_t *p, size_t n)
{
	size_t k = MIN(n, sizeof s->noise - s->noise_len);

	memcpy(s->noise + s->noise_len, p, k);
	s->noise_len += k;
}

static void drop_frame(struct esp_rom *s)
{
	s->frame_len = 0;
	s->escaped = s->broken = false;
}

/* true where the byte ends a frame that holds something. */
static bool take_byte(struct esp_rom *s, uint8_t b)
{
	if (b == END)
		return s->frame_len > 0;
	if (b == ESC && !s->escaped) {
		s->escaped = true;
		return false;
	}
	if (s->escaped && b != ESC_END && b != ESC_ESC)
		s->broken = true;
	if (s->escaped)
		b = b == ESC_END ? END : b == ESC_ESC ? ESC : b;
	s->escaped = false;
	if (s->frame_len == sizeof s->frame) { /* no answer is as long: a log */
		add_noise(s, s->frame, s->frame_len);
		drop_frame(s);
		s->broken = true;
	}
	s->frame[s->frame_len++] = b;
	return false;
}

/* The next frame, which stays until drop_frame(). */
static int next_frame(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	for (;;) {
		while (s->at < s->len)
			if (take_byte(s, s->in[s->at++]))
				return 0;
		s->at = s->len = 0;

		int r = link_read(s->link, s->in, sizeof s->in, &s->len, it, e);

		if (r < 0)
			return r;
	}
}

/* --- answers --- */

static int refused(const struct esp_rom *s, uint8_t status, const char *what, struct err *e)
{
	static const struct {
		uint8_t status;
		enum err_code code;
		const char *says;
	} rows[] = {
		{0x05, ERR_DEVICE_REFUSED, "the message is not valid"},
		{0x06, ERR_DEVICE_REFUSED, "it cannot be done"},
		{0x07, ERR_PROTOCOL, "the checksum is wrong"},
		{0x08, ERR_VERIFY_MISMATCH, "the flash does not hold what was written"},
		{0x09, ERR_DEVICE_REFUSED, "the flash cannot be read"},
		{0x0a, ERR_DEVICE_REFUSED, "so much cannot be read at once"},
		{0x0b, ERR_PROTOCOL, "the compressed bytes are damaged"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return err_set(e, rows[i].code,
				"%s: the boot ROM refused %s: %s (error %02x)", s->link->address,
				what, rows[i].says, status);
	return err_set(e, ERR_DEVICE_REFUSED, "%s: the boot ROM refused %s with error %02x",
		s->link->address, what, status);
}

/* The ROM has four bytes of status, of which two count; some have two. */
static bool has_status(size_t n, size_t want)
{
	return n == want + 4 || n == want + 2;
}

/* What an answer to the command says: its data, and the status after them. */
static int judge(
	const struct esp_rom *s, const struct esp_ask *a, struct esp_answer *ret, struct err *e)
{
	struct rbytes b = rbytes_of(s->frame, s->frame_len);
	struct esp_answer got = {0};
	size_t n = s->frame_len - HEAD;
	size_t want = a->or_want && has_status(n, a->or_want) ? a->or_want : a->want;
	bool whole = has_status(n, want);

	rb_take(&b, 4);
	got.value = rb_le32(&b);
	got.data = s->frame + HEAD;
	got.n = want;
	if (whole && got.data[want] == 0) {
		if (ret)
			*ret = got;
		return 0;
	}
	if (whole || (has_status(n, 0) && got.data[0] != 0))
		return refused(s, got.data[whole ? want + 1 : 1], a->what, e);
	return err_set(e, ERR_PROTOCOL,
		"%s: %s was answered with %zu bytes, %zu and the status expected", s->link->address,
		a->what, n, want);
}

/* Whether the frame is of the ROM at all: anything else is noise. */
static bool is_answer(const struct esp_rom *s)
{
	return !s->broken && s->frame_len >= HEAD + 2 && s->frame[0] == 1;
}

static bool is_unknown_command(const struct esp_rom *s)
{
	return s->frame[HEAD] != 0 && s->frame[HEAD + 1] == 0x05;
}

/* 1 where the frame was none of the command: wait on; 0 or an error with its end. */
static int look_at(struct esp_rom *s, const struct esp_ask *a, struct esp_answer *ret,
	const struct iotime *it, struct err *e)
{
	struct rbytes b = rbytes_of(s->frame, s->frame_len);
	uint8_t op;
	uint16_t n;

	if (!is_answer(s)) {
		add_noise(s, s->frame, s->frame_len);
		return 1;
	}
	rb_u8(&b);
	op = rb_u8(&b);
	n = rb_le16(&b);
	if (n != s->frame_len - HEAD) {
		s->suspect = true;
		return err_set(e, ERR_PROTOCOL,
			"%s: the answer to %s says that it has %u bytes, and %zu came: bytes were lost",
			s->link->address, a->what, n, s->frame_len - HEAD);
	}
	if (op == a->op)
		return judge(s, a, ret, e);
	if (op == ESP_SYNC)
		return 1;
	if (is_unknown_command(s)) {
		int r = link_drain(s->link, s->o.times.quiet_us, s->o.times.answer_us, NULL, it, e);

		s->at = s->len = 0;
		return r < 0 ? r
			     : err_set(e, ERR_UNSUPPORTED, "%s: the boot ROM does not have %s",
				       s->link->address, a->what);
	}
	s->suspect = true;
	return err_set(e, ERR_PROTOCOL, "%s: the answer to command %02x came for that to %s",
		s->link->address, op, a->what);
}

static int await(struct esp_rom *s, const struct esp_ask *a, uint64_t budget_us,
	struct esp_answer *ret, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, budget_us);
	int r;

	do {
		drop_frame(s);
		r = next_frame(s, &within, e);
		if (r == 0)
			r = look_at(s, a, ret, it, e);
	} while (r > 0);
	/* A frame that begins later is another one; what ret points at stays. */
	if (r == -ERR_TIMEOUT) {
		add_noise(s, s->frame, s->frame_len);
		s->suspect = true;
		return err_set(e, ERR_TIMEOUT, "%s: no answer to %s", s->link->address, a->what);
	}
	if (r < 0 && r != -ERR_DEVICE_REFUSED && r != -ERR_UNSUPPORTED && r != -ERR_VERIFY_MISMATCH)
		s->suspect = true;
	return r;
}

/* No byte may be left over, or it would be taken for the answer. */
static int nothing_left(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	uint64_t left = s->len - s->at;
	uint64_t before = s->link->rx_bytes;
	int r = link_drain(s->link, 0, 0, NULL, it, e);

	left += s->link->rx_bytes - before;
	s->at = s->len = 0;
	if (r == 0 && left)
		r = err_set(e, ERR_PROTOCOL, "%s: %llu bytes came that no one asked for",
			s->link->address, (unsigned long long)left);
	if (r < 0)
		s->suspect = true;
	return r;
}

int esp_command(struct esp_rom *s, const struct esp_ask *a, struct esp_answer *ret,
	const struct iotime *it, struct err *e)
{
	int r = s->suspect ? esp_resync(s, it, e) : 0;

	if (r == 0)
		r = nothing_left(s, it, e);
	if (r == 0)
		r = send(s, a, it, e);
	if (r < 0)
		return r;
	return await(s, a, s->o.times.answer_us + a->more_us + wire_us(s, a->n), ret, it, e);
}

/* --- synchronising --- */

static int quiet(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	s->at = s->len = 0;
	drop_frame(s);
	return link_drain(s->link, s->o.times.quiet_us, s->o.times.answer_us, NULL, it, e);
}

/* 1 the ROM answers, 0 it does not, or an error. */
static int knock(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	static const uint8_t data[36] = {0x07, 0x07, 0x12, 0x20, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55,
		0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55,
		0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55};
	const struct esp_ask a = {ESP_SYNC, data, sizeof data, .what = "SYNC"};
	struct esp_answer answer = {0};
	int r = send(s, &a, it, e);

	if (r == 0)
		r = await(s, &a, s->o.times.sync_us + wire_us(s, sizeof data), &answer, it, e);
	if (esp_wire_trouble(r) || r == -ERR_UNSUPPORTED) /* of an older command */
		return iotime_check(it, e);
	if (r < 0)
		return r;
	/* A stub of esptool answers with 0, the ROM never (esptool, sync()). */
	if (answer.value == 0)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: a flasher stub answers, not the boot ROM: reset the unit, or give 'reset'",
			s->link->address);
	r = quiet(s, it, e);
	s->suspect = r < 0;
	return r < 0 ? r : 1;
}

static int knocks(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < KNOCKS; i++)
		r = knock(s, it, e);
	return r;
}

static int set_baud(struct esp_rom *s, uint64_t baud, struct err *e)
{
	const struct link_settings want = {.baud = baud, .parity = LINK_PARITY_NONE};

	return link_settings_push(s->link, &want, e);
}

/* From outside, at the rate with which it begins. */
static int enter(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	int r = set_baud(s, s->first_baud, e);

	if (r == 0 && s->hooks.enter)
		r = s->hooks.enter(s->hooks.data, it, e);
	return r;
}

/* What the boot log says, where there was one ("Boot Mode Selection", "Boot Log"). */
static int nobody(struct esp_rom *s, struct err *e)
{
	char mode[64] = "";
	const char *at = memmem(s->noise, s->noise_len, "boot:0x", 7);
	size_t left = at ? (size_t)(s->noise + s->noise_len - at) : 0;
	size_t n = 0;

	while (n < left && n + 1 < sizeof mode && at[n] >= ' ' && at[n] <= '~') {
		mode[n] = at[n];
		n++;
	}
	if (n && memmem(s->noise, s->noise_len, "waiting for download", 20))
		return err_set(e, ERR_TIMEOUT,
			"%s: the chip waits for a download ('%s') and does not answer to SYNC: look at the line to its receiver",
			s->link->address, mode);
	if (n)
		return err_set(e, ERR_TIMEOUT,
			"%s: the chip started its application ('%s'), not its boot ROM: hold BOOT at reset, or give 'reset' or 'enter'",
			s->link->address, mode);
	return err_set(e, ERR_TIMEOUT,
		"%s: no boot ROM answers to SYNC (is the unit powered, BOOT held at reset, the rate 115200?)",
		s->link->address);
}

static int synchronise(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	int r = 0;

	s->noise_len = 0;
	for (unsigned i = 0; r == 0 && i < s->o.sync_attempts; i++) {
		r = enter(s, it, e);
		if (r == 0)
			r = knocks(s, it, e);
	}
	return r == 0 ? nobody(s, e) : MIN(r, 0);
}

/* --- coming back --- */

/* At the rate of now, at that with which it begins, and from outside. */
static int find_again(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	uint64_t now = s->link->baud;
	int r = quiet(s, it, e);

	if (r == 0)
		r = knocks(s, it, e);
	if (r != 0)
		return MIN(r, 0);
	if (now != s->first_baud) {
		r = set_baud(s, s->first_baud, e);
		if (r == 0)
			r = knocks(s, it, e);
		if (r != 0)
			return MIN(r, 0);
	}
	return synchronise(s, it, e);
}

int esp_resync(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	int r;

	teller_log(&s->hooks.tell, '#', "resynchronising");
	s->noise_len = 0;
	r = find_again(s, it, e);
	if (r == 0 && s->known)
		r = esp_prove_unit(s, it, e);
	/* A chip that was reset has forgotten both. */
	if (r == 0 && s->known)
		r = esp_attach(s, it, e);
	if (r == 0 && s->known)
		r = esp_change_baud(s, it, e);
	return r;
}

int esp_rom_connect(struct esp_rom *s, const struct iotime *it, struct err *e)
{
	struct esp_info found = {0};
	int r;

	s->known = false;
	if (s->o.baud && !s->link->baud)
		return err_set(e, ERR_UNSUPPORTED, "%s has no rate of its own: leave 'baud' out",
			s->link->address);
	r = quiet(s, it, e);
	if (r == 0)
		r = synchronise(s, it, e);
	if (r == 0)
		r = esp_identify(s, &found, it, e);
	if (r < 0)
		return r;
	s->info = found;
	s->known = true;
	r = esp_attach(s, it, e);
	if (r == 0)
		r = esp_change_baud(s, it, e);
	s->info.baud = s->link->baud;
	return r;
}
