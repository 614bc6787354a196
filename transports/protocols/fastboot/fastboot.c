/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands, replies and data phases.
 */
#include "transports/protocols/fastboot/fastboot_impl.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/secret.h"

#define DEFAULT_GETVAR_US   (5 * US_PER_S)
#define DEFAULT_DOWNLOAD_US (60 * US_PER_S)
#define DEFAULT_COMMAND_US  (30 * US_PER_S)
#define DEFAULT_FLASH_US    (300 * US_PER_S)
/* After the version: for what an older session left, and once there was some. */
#define LEFT_US		(30 * US_PER_MS)
#define LATER_US	(300 * US_PER_MS)
#define TURN_TRIES	3
#define LINES_MAX_BYTES (1u << 20)
#define COLLECT_BYTES	(256u * 1024)

enum kind { KIND_OKAY, KIND_FAIL, KIND_DATA, KIND_INFO, KIND_TEXT, KIND_NONE };

static const char kinds[][5] = {"OKAY", "FAIL", "DATA", "INFO", "TEXT"};

struct answer {
	enum kind kind;
	char text[FASTBOOT_REPLY_MAX + 1]; /* printable */
	uint32_t size;			   /* of DATA */
};

static void set_default(uint64_t *us, uint64_t def)
{
	if (*us == 0)
		*us = def;
}

struct fastboot *fastboot_free(struct fastboot *f)
{
	if (f) {
		fastboot_pipe_close(f->pipe);
		free(f);
	}
	return NULL;
}

const struct fastboot_config *fastboot_config(const struct fastboot *f)
{
	return &f->c;
}

/* Exactly eight hex digits. */
static bool parse_data_size(const char *s, size_t n, uint32_t *ret)
{
	uint8_t raw[4];
	struct rbytes b = rbytes_of(raw, sizeof raw);
	char digits[9] = {0};

	if (n != 8)
		return false;
	memcpy(digits, s, 8);
	if (!hex_parse(digits, raw, sizeof raw))
		return false;
	*ret = rb_be32(&b);
	return true;
}

static int no_reply(const uint8_t *raw, size_t n, struct err *e)
{
	struct strbuf text = {0};

	sb_add_escaped(&text, raw, MIN(n, (size_t)48));

	int r = err_set(
		e, ERR_PROTOCOL, "%zu bytes that are not a reply: '%s'", n, text.s ? text.s : "");

	sb_done(&text);
	return r;
}

/* Bytes of a device as text for people and records: no control characters, UTF-8 as it is. */
static void readable(const char *p, size_t n, char *to, size_t size)
{
	struct strbuf text = {0};

	sb_add_escaped(&text, p, n);
	snprintf(to, size, "%s", text.s ? text.s : "");
	sb_done(&text);
}

static int read_answer(struct fastboot *f, struct answer *a, const struct iotime *it, struct err *e)
{
	uint8_t raw[FASTBOOT_REPLY_MAX];
	size_t n = 0;
	int r = f->pipe->ops->reply(f->pipe, raw, sizeof raw, &n, it, e);

	if (r < 0)
		return r;
	a->kind = KIND_NONE;
	for (unsigned i = 0; n >= 4 && i < ARRAY_LEN(kinds); i++)
		if (!memcmp(raw, kinds[i], 4))
			a->kind = (enum kind)i;
	if (a->kind == KIND_NONE)
		return no_reply(raw, n, e);
	/* Not terminated; some devices send NULs after it. */
	while (n > 4 && raw[n - 1] == 0)
		n--;
	if (a->kind == KIND_DATA && !parse_data_size((char *)raw + 4, n - 4, &a->size))
		return no_reply(raw, n, e);
	while (n > 4 && isspace(raw[n - 1]) && a->kind != KIND_TEXT)
		n--;
	readable((char *)raw + 4, n - 4, a->text, sizeof a->text);
	return 0;
}

/* What an older session did not wait for comes first: read until nothing follows. */
static int last_of_replies(
	struct fastboot *f, uint64_t wait_us, const struct iotime *it, struct err *e)
{
	struct answer a;
	int r;

	for (;;) {
		struct iotime within = iotime_within(it, wait_us);

		r = read_answer(f, &a, &within, e);
		if (r < 0)
			break;
		teller_log(&f->tell, '#', "the answer before was to an older command");
		wait_us = LATER_US;
	}
	return r == -ERR_TIMEOUT ? iotime_check(it, e) : r;
}

/* 1 with the value, 0 where the device does not know it, or an error. */
static int ask_var(struct fastboot *f, const char *name, char ret[FASTBOOT_REPLY_MAX + 1],
	const struct iotime *it, struct err *e)
{
	int r = fastboot_getvar(f, name, ret, it, e);

	return r == 0 ? 1 : r == -ERR_NOT_FOUND ? 0 : r;
}

/* The version, a name that no device knows, the version: a device answers one command after the
 * other, so that with an older reply before them one of the three is out of place. A device that
 * knows no version is left unproven. 1: in turn, or not to be known; 0: out of place. */
static int turn_by_vars(struct fastboot *f, const struct iotime *it, struct err *e)
{
	char v[3][FASTBOOT_REPLY_MAX + 1] = {"", "", ""};
	char unknown[32] = "provd-", hex[9];
	uint8_t random[4];
	int known[3];

	f->unproven = false;
	random_bytes(random, sizeof random);
	snprintf(unknown, sizeof unknown, "provd-%s", hex_of(random, sizeof random, hex));
	for (unsigned i = 0; i < 3; i++) {
		known[i] = ask_var(f, i == 1 ? unknown : "version", v[i], it, e);
		if (known[i] < 0)
			return known[i];
	}
	f->unproven = !known[0] && !known[1] && !known[2];
	f->versioned = known[0] && known[2] && !strcmp(v[0], v[2]) &&
		       (!known[1] || strcmp(v[1], v[0]) != 0);
	snprintf(f->version, sizeof f->version, "%s", f->versioned ? v[0] : "");
	return f->unproven || f->versioned;
}

static int prove_turn(struct fastboot *f, const struct iotime *it, struct err *e)
{
	int r = last_of_replies(f, LEFT_US, it, e);

	f->unproven = f->c.no_getvar;
	if (r < 0 || f->c.no_getvar)
		return r;
	for (unsigned i = 0; i < TURN_TRIES; i++) {
		r = turn_by_vars(f, it, e);
		if (r != 0)
			return MIN(r, 0);
		r = last_of_replies(f, LATER_US, it, e);
		if (r < 0)
			return r;
	}
	f->broken = true;
	return err_set(e, ERR_OUT_OF_STEP,
		"the device answers older commands, or each time otherwise: restart it");
}

int fastboot_new(struct fastboot_pipe *p, const struct fastboot_config *c,
	const struct teller *tell, const struct iotime *it, struct fastboot **ret, struct err *e)
{
	_cleanup_(fastboot_freep) struct fastboot *f = xcalloc(1, sizeof *f);
	struct err why = {0};

	f->pipe = p;
	f->c = *c;
	if (tell)
		f->tell = *tell;
	if (f->c.command_max == 0)
		f->c.command_max = FASTBOOT_COMMAND_MAX;
	f->c.command_max = MIN(f->c.command_max, 4095u);
	set_default(&f->c.getvar_us, DEFAULT_GETVAR_US);
	set_default(&f->c.download_us, DEFAULT_DOWNLOAD_US);
	set_default(&f->c.command_us, DEFAULT_COMMAND_US);
	set_default(&f->c.flash_us, DEFAULT_FLASH_US);
	if (!f->c.no_getvar) {
		int r = fastboot_getvar(f, "version", f->version, it, &why);

		if (r < 0 && r != -ERR_NOT_FOUND) {
			if (e)
				*e = why;
			return r;
		}
		f->versioned = r == 0;
	}
	if (p->ops->outlives) {
		int r = prove_turn(f, it, e);

		if (r < 0)
			return r;
	}
	*ret = steal_ptr(&f);
	return 0;
}

static void keep_line(struct fastboot *f, const struct answer *a, struct strbuf *lines)
{
	teller_log(&f->tell, '<', "%s", a->text);
	if (!lines || lines->len >= LINES_MAX_BYTES)
		return;
	sb_add(lines, a->text);
	if (a->kind == KIND_INFO)
		sb_add(lines, "\n");
}

/* Until OKAY, FAIL or DATA; each INFO and TEXT starts the silence again. */
static int final_answer(struct fastboot *f, uint64_t budget_us, struct answer *a,
	struct strbuf *lines, const struct iotime *it, struct err *e)
{
	do {
		struct iotime within = iotime_within(it, budget_us);
		int r = read_answer(f, a, &within, e);

		if (r == -ERR_TIMEOUT && iotime_check(it, NULL) == 0)
			return err_set(e, ERR_TIMEOUT, "no answer in %llu s",
				(unsigned long long)(budget_us / US_PER_S));
		if (r < 0)
			return r;
		if (a->kind == KIND_INFO || a->kind == KIND_TEXT)
			keep_line(f, a, lines);
	} while (a->kind == KIND_INFO || a->kind == KIND_TEXT);
	teller_log(&f->tell, '<', "%s%s%s", kinds[a->kind], *a->text ? " " : "", a->text);
	return 0;
}

/* Everything but the device's own FAIL leaves the session out of step. */
static int broken(struct fastboot *f, int r, const char *command, struct err *e)
{
	f->broken = true;
	err_prefix(e, "fastboot '%s'", command);
	if (e)
		f->why = *e;
	return r;
}

static int refused(struct fastboot *f, const char *command, const struct answer *a, struct err *e)
{
	snprintf(f->refusal, sizeof f->refusal, "%s", a->text);
	return err_set(e, ERR_DEVICE_REFUSED, "fastboot '%s': the device says: %s", command,
		*a->text ? a->text : "FAIL, without a reason");
}

static int check_command(const struct fastboot *f, const char *command, struct err *e)
{
	size_t n = strlen(command);

	if (n == 0 || n > f->c.command_max)
		return err_set(e, ERR_INVALID,
			"fastboot '%.40s..': %zu bytes, the device takes %zu ('command_max')",
			command, n, f->c.command_max);
	for (size_t i = 0; i < n; i++)
		if (command[i] < 0x20 || command[i] > 0x7e)
			return err_set(e, ERR_INVALID,
				"fastboot '%.40s': byte %zu is not printable ASCII", command, i);
	return 0;
}

static int put_command(
	struct fastboot *f, const char *command, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, f->c.command_us);
	bool stale = false;
	int r = check_command(f, command, e);

	if (r < 0)
		return r;
	if (f->broken && f->why.code != ERR_NONE)
		return err_set(e, f->why.code, "%s (before '%s')", f->why.msg, command);
	if (f->broken)
		return err_set(e, ERR_PROTOCOL,
			"fastboot '%s': not sent, the session is out of step", command);
	r = iotime_check(it, e);
	if (r == 0 && f->pipe->ops->stale)
		r = f->pipe->ops->stale(f->pipe, &stale, it, e);
	if (r == 0 && stale)
		r = err_set(e, ERR_PROTOCOL, "the device says something that no one asked for");
	if (r == 0) {
		teller_log(&f->tell, '>', "%s", command);
		f->commands++;
		f->refusal[0] = 0;
		r = f->pipe->ops->command(f->pipe, command,
			strlen(command) + (f->c.trailing_nul ? 1 : 0), &within, e);
	}
	return r < 0 ? broken(f, r, command, e) : 0;
}

static int turn_by_download(struct fastboot *f, const struct iotime *it, struct err *e);

int fastboot_command_meanwhile(struct fastboot *f, const char *command, uint64_t budget_us,
	void (*meanwhile)(void *data), void *data, const struct iotime *it,
	struct fastboot_reply *ret, struct err *e)
{
	struct answer a;
	int r = f->unproven && !f->broken ? turn_by_download(f, it, e) : 0;

	if (r == 0)
		r = put_command(f, command, it, e);
	if (r < 0)
		return r;
	if (meanwhile)
		meanwhile(data);
	r = final_answer(f, budget_us, &a, ret ? ret->lines : NULL, it, e);
	if (r == 0 && a.kind == KIND_DATA)
		r = err_set(e, ERR_PROTOCOL, "DATA of %u bytes, OKAY or FAIL expected", a.size);
	if (r < 0)
		return broken(f, r, command, e);
	if (a.kind == KIND_FAIL)
		return refused(f, command, &a, e);
	if (ret)
		snprintf(ret->text, sizeof ret->text, "%s", a.text);
	return 0;
}

int fastboot_command(struct fastboot *f, const char *command, uint64_t budget_us,
	const struct iotime *it, struct fastboot_reply *ret, struct err *e)
{
	return fastboot_command_meanwhile(f, command, budget_us, NULL, NULL, it, ret, e);
}

/* The command and its DATA. */
static int ask_data(struct fastboot *f, const char *command, uint32_t *ret, const struct iotime *it,
	struct err *e)
{
	struct answer a;
	int r = put_command(f, command, it, e);

	if (r < 0)
		return r;
	r = final_answer(f, f->c.download_us, &a, NULL, it, e);
	if (r == 0 && a.kind == KIND_OKAY)
		r = err_set(e, ERR_PROTOCOL, "OKAY, DATA expected");
	if (r < 0)
		return broken(f, r, command, e);
	if (a.kind == KIND_FAIL)
		return refused(f, command, &a, e);
	*ret = a.size;
	return 0;
}

/* OKAY after the data. */
static int end_data(struct fastboot *f, const char *command, const struct iotime *it, struct err *e)
{
	struct answer a;
	int r = final_answer(f, f->c.download_us, &a, NULL, it, e);

	if (r == 0 && a.kind == KIND_DATA)
		r = err_set(e, ERR_PROTOCOL, "DATA again, OKAY or FAIL expected");
	if (r < 0)
		return broken(f, r, command, e);
	return a.kind == KIND_FAIL ? refused(f, command, &a, e) : 0;
}

struct sending {
	struct fastboot *f;
	uint64_t total;
};

static void told(void *data, uint64_t done)
{
	struct sending *s = data;

	uint64_t total = s->f->send_total ? s->f->send_total : s->total;
	uint64_t all = s->f->sent_before + done;

	teller_progress(&s->f->tell, "download", MIN(all, total), total);
}

int fastboot_download(
	struct fastboot *f, const struct spans *bytes, const struct iotime *it, struct err *e)
{
	struct sending s = {f, bytes->bytes};
	char command[32];
	uint32_t size = 0;

	if (bytes->bytes == 0 || bytes->bytes > UINT32_MAX)
		return err_set(e, ERR_INVALID,
			"a download of %llu bytes: 1 to 4294967295 are possible",
			(unsigned long long)bytes->bytes);
	snprintf(command, sizeof command, "download:%08x", (uint32_t)bytes->bytes);

	int r = ask_data(f, command, &size, it, e);

	if (r < 0)
		return r;
	if (size != bytes->bytes)
		r = err_set(e, ERR_PROTOCOL, "the device wants %u bytes, %llu were offered", size,
			(unsigned long long)bytes->bytes);
	if (r == 0)
		r = f->pipe->ops->send(f->pipe, bytes, told, &s, it, e);
	if (r < 0)
		return broken(f, r, command, e);
	r = end_data(f, command, it, e);
	/* DATA with this size answers nothing else. */
	if (r == 0)
		f->unproven = false;
	return r;
}

/* A device that knows no variable says the size of a download back: a number for this question
 * alone. What it was given is overwritten by the next one. */
static int turn_by_download(struct fastboot *f, const struct iotime *it, struct err *e)
{
	_cleanup_(spans_done) struct spans zeros = {0};
	uint16_t random;
	struct err why = {0};
	int r;

	random_bytes(&random, sizeof random);
	teller_log(
		&f->tell, '#', "an older reply may still come: a download of random size shows it");
	r = spans_add(&zeros, NULL, 4 * (1 + random % 1024u), e);
	if (r < 0)
		return r;
	r = fastboot_download(f, &zeros, it, &why);
	if (r == 0)
		return 0;
	f->broken = true;
	f->why = why;
	if (r == -ERR_PROTOCOL || r == -ERR_DEVICE_REFUSED) {
		r = err_set(&f->why, ERR_OUT_OF_STEP,
			"the device cannot show that no older reply comes first (restart it): %s",
			why.msg);
	}
	if (e)
		*e = f->why;
	return r;
}

static int check_size(uint32_t size, uint64_t want, uint64_t max, struct err *e)
{
	if (want && size != want)
		return err_set(e, ERR_PROTOCOL, "the device offers %u bytes, %llu were asked for",
			size, (unsigned long long)want);
	if (size > max)
		return err_set(e, ERR_PROTOCOL, "the device offers %u bytes, at most %llu expected",
			size, (unsigned long long)max);
	return 0;
}

int fastboot_collect(struct fastboot *f, const char *command, uint64_t want, uint64_t max,
	fastboot_sink_fn *sink, void *sink_data, uint64_t *ret_n, const struct iotime *it,
	struct err *e)
{
	_cleanup_(freep) uint8_t *buf = malloc(COLLECT_BYTES);
	uint32_t size = 0;

	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "fastboot '%s'", command);

	int r = ask_data(f, command, &size, it, e);

	if (r < 0)
		return r;
	r = check_size(size, want, max, e);
	for (uint64_t done = 0; r == 0 && done < size;) {
		size_t n = (size_t)MIN(size - done, (uint64_t)COLLECT_BYTES);

		r = f->pipe->ops->receive(f->pipe, buf, n, it, e);
		if (r == 0)
			r = sink(sink_data, buf, n, e);
		done += n;
		teller_progress(&f->tell, "fetch", f->sent_before + done,
			f->send_total ? f->send_total : size);
	}
	if (r < 0)
		return broken(f, r, command, e);
	r = end_data(f, command, it, e);
	if (r == 0 && ret_n)
		*ret_n = size;
	return r;
}

int fastboot_sync(struct fastboot *f, const struct iotime *it, struct err *e)
{
	char now[FASTBOOT_REPLY_MAX + 1] = "";

	if (!f->versioned)
		return 0;

	int r = fastboot_getvar(f, "version", now, it, e);

	if (r == 0 && !strcmp(now, f->version))
		return 0;
	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	f->broken = true;
	return err_set(e, ERR_PROTOCOL,
		"the device's answers are out of step: version '%s' before, now '%s'", f->version,
		now);
}

int fastboot_until_left(
	struct fastboot *f, uint64_t budget_us, const struct iotime *it, struct err *e)
{
	struct iotime within = iotime_within(it, budget_us);
	uint8_t raw[FASTBOOT_REPLY_MAX];
	size_t n;

	f->broken = true;
	while (f->pipe->ops->reply(f->pipe, raw, sizeof raw, &n, &within, NULL) == 0)
		;
	return iotime_check(it, e);
}
