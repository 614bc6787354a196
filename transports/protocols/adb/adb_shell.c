/* SPDX-License-Identifier: Apache-2.0
 *
 * Shell commands and their frames. Runs on the worker that owns the link.
 */
#include "transports/protocols/adb/adb_shell.h"

#include <ctype.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/secret.h"

enum frame_id { FRAME_STDIN, FRAME_STDOUT, FRAME_STDERR, FRAME_EXIT, FRAME_CLOSE_STDIN };

#define FRAME_HEAD    5u
#define PROPERTY_KEEP 512u
/* The last words of an old shell's output, where the status is looked for. */
#define MARK_SIZE 40u
#define TAIL_MAX  (2 * MARK_SIZE)

struct reader {
	struct adb_shell_result *res;
	size_t keep;
	adb_output_fn *output;
	void *data;
	/* frames */
	uint8_t head[FRAME_HEAD];
	size_t head_len;
	uint32_t left; /* of the frame's data */
	bool ended;
	/* without frames */
	char mark[MARK_SIZE];
	char tail[TAIL_MAX];
	size_t tail_len;
};

void adb_shell_result_done(struct adb_shell_result *r)
{
	sb_done(&r->out);
	sb_done(&r->err);
}

static int put(struct reader *x, bool is_err, const void *p, size_t n, struct err *e)
{
	struct strbuf *to = is_err ? &x->res->err : &x->res->out;
	size_t room = x->keep > to->len ? x->keep - to->len : 0;

	if (n == 0)
		return 0;
	if (x->output)
		return x->output(x->data, is_err, p, n, e);
	sb_add_n(to, p, MIN(n, room));
	x->res->cut |= n > room;
	return 0;
}

/* --- shell v2 --- */

static int begin_frame(struct reader *x, struct err *e)
{
	struct rbytes b = rbytes_of(x->head + 1, 4);

	x->left = rb_le32(&b);
	if (x->head[0] == FRAME_EXIT && x->left != 1)
		return err_set(e, ERR_PROTOCOL, "an exit status of %u bytes, 1 expected", x->left);
	if (x->left == 0)
		x->head_len = 0;
	return 0;
}

static int take_frame_data(struct reader *x, const uint8_t *p, size_t n, struct err *e)
{
	int r = 0;

	switch (x->head[0]) {
	case FRAME_STDOUT:
	case FRAME_STDERR:
		r = put(x, x->head[0] == FRAME_STDERR, p, n, e);
		break;
	case FRAME_EXIT:
		x->res->status = p[0];
		x->ended = true;
		break;
	default: /* nothing else comes from a device; newer ones may have more to say */
		break;
	}
	x->left -= (uint32_t)n;
	if (x->left == 0)
		x->head_len = 0;
	return r;
}

static int take_frames(struct reader *x, const uint8_t *p, size_t n, struct err *e)
{
	int r = 0;

	while (r == 0 && n > 0 && !x->ended) {
		size_t k;

		if (x->head_len < FRAME_HEAD) {
			k = MIN(n, FRAME_HEAD - x->head_len);
			memcpy(x->head + x->head_len, p, k);
			x->head_len += k;
			if (x->head_len == FRAME_HEAD)
				r = begin_frame(x, e);
		} else {
			k = MIN(n, x->left);
			r = take_frame_data(x, p, k, e);
		}
		p += k;
		n -= k;
	}
	return r;
}

static int run_v2(struct reader *x, struct adb_stream *s, const struct iotime *it, struct err *e)
{
	static const uint8_t no_more_input[FRAME_HEAD] = {FRAME_CLOSE_STDIN};
	bool said;
	int r = adb_stream_write(s, no_more_input, sizeof no_more_input, &said, it, e);

	while (r == 0 && !x->ended) {
		const uint8_t *p;
		size_t n;

		r = adb_stream_read(s, &p, &n, it, e);
		if (r == 0 && n == 0)
			return err_set(e, ERR_PROTOCOL,
				"the command ended without an exit status: its outcome is not known");
		if (r == 0)
			r = take_frames(x, p, n, e);
	}
	return r;
}

/* --- the old shell --- */

/* What can no longer be part of the mark goes on. */
static int take_text(struct reader *x, const uint8_t *p, size_t n, struct err *e)
{
	int r = 0;

	while (r == 0 && n > 0) {
		size_t k = MIN(n, TAIL_MAX - x->tail_len);

		memcpy(x->tail + x->tail_len, p, k);
		x->tail_len += k;
		p += k;
		n -= k;
		if (n > 0) {
			size_t go = MIN(n, x->tail_len - MARK_SIZE);

			r = put(x, false, x->tail, go, e);
			memmove(x->tail, x->tail + go, x->tail_len - go);
			x->tail_len -= go;
		}
	}
	return r;
}

/* "<mark><status>\r\n" at the very end. */
static int take_mark(struct reader *x, struct err *e)
{
	size_t marked = strlen(x->mark);
	char *at = memmem(x->tail, x->tail_len, x->mark, marked);
	char *digits;
	size_t n;
	int status = 0;

	if (!at)
		return err_set(e, ERR_PROTOCOL,
			"the command ended without a word of its status: its outcome is not known");
	digits = at + marked;
	n = x->tail_len - (size_t)(digits - x->tail);
	for (; n > 0 && isdigit((unsigned char)*digits) && status < 1000; n--, digits++)
		status = status * 10 + *digits - '0';
	if (digits == at + marked || status > 255)
		return err_set(e, ERR_PROTOCOL, "the command's status is not a number");
	x->res->status = status;
	x->res->by_marker = true;
	x->ended = true;
	return put(x, false, x->tail, (size_t)(at - x->tail), e);
}

static int run_v1(struct reader *x, struct adb_stream *s, const struct iotime *it, struct err *e)
{
	const uint8_t *p;
	size_t n = 1;
	int r = 0;

	while (r == 0 && n > 0) {
		r = adb_stream_read(s, &p, &n, it, e);
		if (r == 0)
			r = take_text(x, p, n, e);
	}
	return r < 0 ? r : take_mark(x, e);
}

static char *service_name(struct reader *x, bool v2, const char *command)
{
	uint8_t word[8];
	char hex[2 * sizeof word + 1];

	if (v2)
		return xasprintf("shell,v2,raw:%s", command);
	random_bytes(word, sizeof word);
	snprintf(x->mark, sizeof x->mark, "provd-%s:", hex_of(word, sizeof word, hex));
	/* A comment at the command's end must not hide what follows it. */
	return xasprintf("shell:( %s\n); echo %s$?", command, x->mark);
}

int adb_shell(struct adb_conn *c, const char *command, size_t keep, adb_output_fn *output,
	void *data, const struct iotime *it, struct adb_shell_result *ret, struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	bool v2 = adb_conn_has(c, ADB_SHELL_V2);
	struct adb_shell_result res = {0};
	struct reader x = {.res = &res, .keep = keep, .output = output, .data = data};
	_cleanup_(freep) char *service = service_name(&x, v2, command);
	int r = adb_stream_open(c, service, it, &s, e);

	if (r == 0)
		r = v2 ? run_v2(&x, s, it, e) : run_v1(&x, s, it, e);
	if (r < 0) {
		adb_shell_result_done(&res);
		return r;
	}
	*ret = res;
	return 0;
}

int adb_shell_ok(struct adb_conn *c, const char *command, const struct iotime *it,
	struct adb_shell_result *ret, struct err *e)
{
	struct adb_shell_result res = {0};
	int r = adb_shell(c, command, 65536, NULL, NULL, it, &res, e);

	if (r == 0 && res.status != 0) {
		const struct strbuf *said = res.err.len ? &res.err : &res.out;
		_cleanup_(freep) char *text = adb_text(said->s ? said->s : "", said->len, 160);

		r = err_set(e, ERR_DEVICE_REFUSED, "'%.60s' ended with status %d: %s", command,
			res.status, text);
	}
	if (r < 0) {
		adb_shell_result_done(&res);
		return r;
	}
	*ret = res;
	return 0;
}

int adb_service_read(struct adb_conn *c, const char *service, adb_output_fn *output, void *data,
	const struct iotime *it, struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	const uint8_t *p;
	size_t n = 1;
	int r = adb_stream_open(c, service, it, &s, e);

	while (r == 0 && n > 0) {
		r = adb_stream_read(s, &p, &n, it, e);
		if (r == 0 && n > 0)
			r = output(data, false, p, n, e);
	}
	return r;
}

struct keeping {
	struct strbuf *to;
	size_t max;
};

static int keep_output(void *data, bool is_err, const void *p, size_t n, struct err *e)
{
	struct keeping *k = data;

	sb_add_n(k->to, p, MIN(n, k->max - k->to->len));
	return 0;
}

int adb_service_text(struct adb_conn *c, const char *service, size_t keep, struct strbuf *ret,
	const struct iotime *it, struct err *e)
{
	struct keeping k = {ret, ret->len + keep};

	return adb_service_read(c, service, keep_output, &k, it, e);
}

void adb_quote(struct strbuf *b, const char *word)
{
	sb_add(b, "'");
	for (; *word; word++) {
		if (*word == '\'')
			sb_add(b, "'\\''");
		else
			sb_add_n(b, word, 1);
	}
	sb_add(b, "'");
}

int adb_getprop(struct adb_conn *c, const char *name, char *ret, size_t size,
	const struct iotime *it, struct err *e)
{
	struct adb_shell_result res = {0};
	_cleanup_(freep) char *command = xasprintf("getprop %s", name);
	_cleanup_(freep) char *text = NULL;
	int r = adb_shell(c, command, PROPERTY_KEEP, NULL, NULL, it, &res, e);

	if (r < 0)
		return r;
	while (res.out.len && isspace((unsigned char)res.out.s[res.out.len - 1]))
		res.out.len--;
	text = adb_text(res.out.s ? res.out.s : "", res.out.len, PROPERTY_KEEP);
	snprintf(ret, size, "%s", res.status == 0 ? text : "");
	adb_shell_result_done(&res);
	return 0;
}
