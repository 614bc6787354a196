/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/zpl/zpl.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"

#define STX	     '\x02'
#define ETX	     '\x03'
#define LINES	     3
#define CHUNK	     16384
#define ASK_EVERY_US (200 * US_PER_MS)
#define STALE_MAX    65536u
/* Answers in a row that say the same: one that came twice is older than the label. */
#define SURE 2

/* --- the answer --- */

/* Field k of a line of fields between commas, as a number; -1 where it is none. */
static long field(const char *line, size_t n, unsigned k)
{
	const char *end = line + n;
	long v = 0;

	for (; k > 0; k--) {
		line = memchr(line, ',', (size_t)(end - line));
		if (!line)
			return -1;
		line++;
	}
	if (line == end || *line == ',')
		return -1;
	for (; line < end && *line != ','; line++) {
		if (*line < '0' || *line > '9' || v > 99999999)
			return -1;
		v = v * 10 + (*line - '0');
	}
	return v;
}

/* What a field means; each has to be there. */
static const struct status_field {
	unsigned line, field;
	size_t at;
	bool count;
} fields[] = {
	{0, 1, offsetof(struct zpl_status, paper_out), false},
	{0, 2, offsetof(struct zpl_status, paused), false},
	{0, 4, offsetof(struct zpl_status, formats), true},
	{0, 5, offsetof(struct zpl_status, buffer_full), false},
	{0, 7, offsetof(struct zpl_status, partial), false},
	{0, 10, offsetof(struct zpl_status, too_cold), false},
	{0, 11, offsetof(struct zpl_status, too_hot), false},
	{1, 2, offsetof(struct zpl_status, head_open), false},
	{1, 3, offsetof(struct zpl_status, ribbon_out), false},
	{1, 8, offsetof(struct zpl_status, labels), true},
};

static int bad_answer(const char *answer, size_t n, struct err *e)
{
	struct strbuf shown = {0};

	sb_add_escaped(&shown, answer, MIN(n, (size_t)80));
	err_set(e, ERR_PROTOCOL,
		"its answer to ~HS is '%s', three lines of a host status expected: does it speak ZPL II?",
		shown.s ? shown.s : "");
	sb_done(&shown);
	return -ERR_PROTOCOL;
}

/* The lines without their STX and ETX; false where there are fewer. */
static bool lines_of(const char *answer, size_t n, const char *line[LINES], size_t len[LINES])
{
	const char *end = answer + n;

	for (size_t i = 0; i < LINES; i++) {
		const char *from = memchr(answer, STX, (size_t)(end - answer));
		const char *to = from ? memchr(from, ETX, (size_t)(end - from)) : NULL;

		if (!to)
			return false;
		line[i] = from + 1;
		len[i] = (size_t)(to - from - 1);
		answer = to + 1;
	}
	return true;
}

int zpl_status_read(const char *answer, size_t n, struct zpl_status *ret, struct err *e)
{
	struct zpl_status s = {0};
	const char *line[LINES];
	size_t len[LINES];

	if (!lines_of(answer, n, line, len))
		return bad_answer(answer, n, e);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct status_field *f = &fields[i];
		long v = field(line[f->line], len[f->line], f->field);

		if (v < 0 || (!f->count && v > 1))
			return bad_answer(answer, n, e);
		if (f->count)
			*(unsigned *)((char *)&s + f->at) = (unsigned)v;
		else
			*(bool *)((char *)&s + f->at) = v == 1;
	}
	*ret = s;
	return 0;
}

const char *zpl_status_trouble(const struct zpl_status *s)
{
	/* An open head also reads as no paper: it comes first. */
	if (s->head_open)
		return "its head is open: close it";
	if (s->paper_out)
		return "it has no paper: load labels";
	if (s->ribbon_out)
		return "it has no ribbon: load one";
	if (s->too_hot)
		return "its head is too hot: let it cool down";
	if (s->too_cold)
		return "its head is too cold: let it warm up";
	if (s->paused)
		return "it is paused: press its pause key";
	return s->buffer_full ? "its receive buffer is full: see what it waits for" : NULL;
}

/* --- the dialogue --- */

/* What came without a question, or too late for it, answers none. */
static int drop_stale(struct link *l, const struct iotime *it, struct err *e)
{
	const struct iotime now = {now_us(), it->cancel};
	char old[1024];
	size_t dropped = 0, got = 0;
	int r;

	while ((r = link_read(l, old, sizeof old, &got, &now, NULL)) == 0) {
		dropped += got;
		if (dropped > STALE_MAX)
			return err_set(e, ERR_PROTOCOL,
				"it says more than %u bytes that nobody asked for: does it speak ZPL II?",
				STALE_MAX);
	}
	return iotime_check(it, e);
}

static int ask(struct link *l, uint64_t answer_us, const struct iotime *it, struct zpl_status *ret,
	struct err *e)
{
	struct iotime within = iotime_within(it, answer_us);
	char answer[ZPL_STATUS_BYTES];
	unsigned ends = 0;
	size_t n = 0, got;
	int r = drop_stale(l, &within, e);

	if (r == 0)
		r = link_write(l, "~HS", 3, &within, e);

	while (r == 0 && ends < LINES && n < sizeof answer) {
		r = link_read(l, answer + n, sizeof answer - n, &got, &within, e);
		for (size_t i = 0; r == 0 && i < got; i++)
			ends += answer[n + i] == ETX;
		n += r == 0 ? got : 0;
	}
	if (r == -ERR_TIMEOUT && n > 0)
		return bad_answer(answer, n, e);
	return r < 0 ? r : zpl_status_read(answer, n, ret, e);
}

/* An error of the link, of its answer or of the deadline as one of the printer: none is the unit's. A
 * cancel stays what it is. */
static int of_printer(int r, const struct iotime *it, struct err *e)
{
	int why = iotime_check(it, NULL);

	if (r == 0 || (why < 0 && why != -ERR_TIMEOUT))
		return r;
	if (e)
		e->code = ERR_PRINTER;
	return -ERR_PRINTER;
}

static bool is_waiting(const struct zpl_status *s)
{
	return s->formats || s->partial || s->labels;
}

/* A label of another unit that is still in there would come out with this one. */
static int wait_empty(struct link *l, uint64_t answer_us, const struct iotime *it,
	struct zpl_report *ret, struct err *e)
{
	for (;;) {
		const char *trouble = zpl_status_trouble(&ret->status);
		int r;

		if (trouble)
			return err_set(e, ERR_PRINTER, "%s; nothing was sent to it", trouble);
		if (!is_waiting(&ret->status))
			return 0;
		r = iotime_sleep(ASK_EVERY_US, it, e);
		if (r < 0) {
			err_prefix(e,
				"%u formats and %u labels of others wait in it, and do not come out; nothing was sent to it",
				ret->status.formats, ret->status.labels);
			return of_printer(r, it, e);
		}
		r = ask(l, answer_us, it, &ret->status, e);
		if (r < 0)
			return of_printer(r, it, e);
	}
}

int zpl_ready(struct link *l, uint64_t answer_us, const struct iotime *it, struct zpl_report *ret,
	struct err *e)
{
	int r;

	*ret = (struct zpl_report){0};
	r = ask(l, answer_us, it, &ret->status, e);

	if (r == -ERR_TIMEOUT && iotime_check(it, e) == 0)
		return 0;
	if (r < 0)
		return of_printer(r, it, e);
	ret->answers = true;
	return wait_empty(l, answer_us, it, ret, e);
}

static int send_format(struct link *l, const char *format, size_t n, const struct iotime *it,
	struct zpl_report *ret, struct err *e)
{
	int r = 0;

	while (r == 0 && ret->sent < n) {
		size_t k = MIN((size_t)CHUNK, n - ret->sent);

		r = link_write(l, format + ret->sent, k, it, e);
		/* Some of a chunk may have left, whatever the end of its write. */
		ret->sent += k;
	}
	if (r == 0)
		r = link_acknowledged(l, it, e);
	if (r == 0)
		return 0;
	err_prefix(e,
		"the printer has not acknowledged all %zu bytes of the label: it may have come out, so that another print may be a second one (look at the printer)",
		n);
	return of_printer(r, it, e);
}

static int wait_printed(struct link *l, uint64_t answer_us, const struct iotime *it,
	struct zpl_report *ret, struct err *e)
{
	for (unsigned done = 0; done < SURE;) {
		const char *trouble;
		int r = ask(l, answer_us, it, &ret->status, e);

		if (r < 0) {
			err_prefix(e,
				"the label was sent, and then it gave no status: it may have come out (look at the printer)");
			return of_printer(r, it, e);
		}
		trouble = zpl_status_trouble(&ret->status);
		if (trouble)
			return err_set(e, ERR_PRINTER,
				"%s; it has the label, which comes out then, so that another print would be a second one",
				trouble);
		done = is_waiting(&ret->status) ? 0 : done + 1;
		if (done)
			continue;
		r = iotime_sleep(ASK_EVERY_US, it, e);
		if (r < 0) {
			err_prefix(e,
				"the label was sent, and %u formats and %u labels wait in the printer",
				ret->status.formats, ret->status.labels);
			return of_printer(r, it, e);
		}
	}
	ret->printed = true;
	return 0;
}

int zpl_print(struct link *l, const void *format, size_t n, uint64_t answer_us,
	const struct iotime *it, struct zpl_report *report, struct err *e)
{
	int r = send_format(l, format, n, it, report, e);

	return r == 0 && report->answers ? wait_printed(l, answer_us, it, report, e) : r;
}
