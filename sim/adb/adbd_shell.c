/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines of a virtual phone: words, quotes, ; && || ( ) < > >> $? and $1.. after `set --`.
 * Enough for what tests and clients say; no pipes, no variables, no globs.
 */
#include "sim/adb/adbd.h"

#include <ctype.h>
#include <stdarg.h>

enum frame { STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN };

#define WORDS_MAX 256

/* --- words --- */

static void add_word(struct adbd_run *r, struct strbuf *b, bool is_operator)
{
	if (r->words == WORDS_MAX)
		return;
	r->quoted[r->words] = !is_operator;
	r->word[r->words++] = sb_take(b);
}

/* The text of a word, quotes taken away. Returns where it ends. */
static const char *take_word(const char *p, struct strbuf *b)
{
	sb_add(b, "");
	while (*p && !isspace((unsigned char)*p) && !strchr(";&|()<>", *p)) {
		if (*p == '\'' || *p == '"') {
			char quote = *p++;

			while (*p && *p != quote) {
				if (quote == '"' && *p == '\\' && p[1])
					p++;
				sb_add_n(b, p++, 1);
			}
			p += *p != 0;
		} else {
			if (*p == '\\' && p[1])
				p++;
			sb_add_n(b, p++, 1);
		}
	}
	return p;
}

static const char *take_operator(const char *p, struct strbuf *b)
{
	size_t n = p[0] && p[0] == p[1] && strchr("&|>", p[0]) ? 2 : 1;

	sb_add_n(b, *p == '\n' ? ";" : p, n);
	return p + n;
}

static void split(struct adbd_run *r, const char *line)
{
	while (*line) {
		struct strbuf b = {0};

		if (*line == '#' && (r->words == 0 || isspace((unsigned char)line[-1]))) {
			line += strcspn(line, "\n");
		} else if (*line == '\n' || strchr(";&|()<>", *line)) {
			line = take_operator(line, &b);
			add_word(r, &b, true);
		} else if (isspace((unsigned char)*line)) {
			line++;
		} else {
			line = take_word(line, &b);
			add_word(r, &b, false);
		}
	}
}

struct adbd_run *adbd_run_new(struct adbd *d, const char *line)
{
	struct adbd_run *r = xcalloc(1, sizeof *r);

	r->d = d;
	r->word = xcalloc(WORDS_MAX, sizeof *r->word);
	r->quoted = xcalloc(WORDS_MAX, sizeof *r->quoted);
	split(r, line);
	adbd_logf(d, "shell '%s'", line);
	return r;
}

static void free_argv(struct adbd_run *r)
{
	for (int i = 0; i < r->argc; i++)
		free(r->argv[i]);
	free(r->argv);
	r->argv = NULL;
	r->argc = 0;
}

void adbd_run_free(struct adbd_run *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->words; i++)
		free(r->word[i]);
	free_argv(r);
	free(r->word);
	free(r->quoted);
	free(r->redirect);
	free(r->input_path);
	fclosep(&r->input);
	sb_done(&r->redirected);
	free(r);
}

static bool is(const struct adbd_run *r, size_t i, const char *op)
{
	return i < r->words && !r->quoted[i] && !strcmp(r->word[i], op);
}

/* --- output --- */

void adbd_out_bytes(struct adbd_run *r, const void *p, size_t n)
{
	if (r->redirect)
		sb_add_n(&r->redirected, p, n);
	else
		r->sink(r->sink_data, false, p, n);
}

void adbd_out(struct adbd_run *r, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	adbd_out_bytes(r, text, strlen(text));
}

void adbd_err(struct adbd_run *r, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	r->sink(r->sink_data, true, text, strlen(text));
}

/* --- running --- */

/* The words of the current command, with $? and the positional ones put in. */
static void take_command(struct adbd_run *r, char **positional, size_t positionals)
{
	free_argv(r);
	r->argv = xcalloc(WORDS_MAX + 1, sizeof *r->argv);
	free(r->redirect);
	r->redirect = NULL;
	for (; r->at < r->words && r->quoted[r->at]; r->at++) {
		const char *w = r->word[r->at];
		const char *status = strstr(w, "$?");

		if (w[0] == '$' && isdigit((unsigned char)w[1]) && !w[2]) {
			size_t k = (size_t)(w[1] - '0');

			r->argv[r->argc++] =
				xstrdup(k >= 1 && k <= positionals ? positional[k - 1] : "");
		} else if (status) {
			r->argv[r->argc++] =
				xasprintf("%.*s%d%s", (int)(status - w), w, r->status, status + 2);
		} else {
			r->argv[r->argc++] = xstrdup(w);
		}
	}
	if (is(r, r->at, "<"))
		r->at = MIN(r->at + 2, r->words);
	if (is(r, r->at, ">") || is(r, r->at, ">>")) {
		r->append = is(r, r->at, ">>");
		r->redirect = r->at + 1 < r->words ? xstrdup(r->word[r->at + 1]) : NULL;
		r->at = MIN(r->at + 2, r->words);
	}
}

static void end_redirect(struct adbd_run *r)
{
	int error;

	if (!r->redirect)
		return;
	error = adbd_may_write(r->d, r->redirect);
	if (!error)
		error = adbd_write_file(r->d, r->redirect, r->redirected.s, r->redirected.len);
	if (error) {
		adbd_err(r, "sh: can't create %s: %s\n", r->redirect, strerrordesc_np(error));
		r->status = 1;
	}
	sb_clear(&r->redirected);
	free(r->redirect);
	r->redirect = NULL;
}

static void skip_command(struct adbd_run *r)
{
	while (r->at < r->words && r->quoted[r->at])
		r->at++;
	if (is(r, r->at, ">") || is(r, r->at, ">>"))
		r->at = MIN(r->at + 2, r->words);
}

/* exit inside ( ) ends what is in there. */
static void run_exit(struct adbd_run *r)
{
	r->status = r->argc > 1 ? atoi(r->argv[1]) & 255 : r->status;
	while (r->at < r->words && !is(r, r->at, ")"))
		r->at++;
}

static void run_one(struct adbd_run *r)
{
	/* set -- 'a' 'b': what follows is run with $1 $2. */
	size_t from = r->at;

	if (r->at < r->words && r->quoted[r->at] && !strcmp(r->word[r->at], "set")) {
		skip_command(r);
		return;
	}
	for (; from > 0; from--)
		if (r->quoted[from - 1] && !strcmp(r->word[from - 1], "set"))
			break;

	size_t n = 0;

	while (from > 0 && from + 1 + n < r->words && r->quoted[from + 1 + n])
		n++;
	take_command(r, r->word + from + 1, from ? n : 0);
	if (r->argc == 0)
		return;
	if (!strcmp(r->argv[0], "exit"))
		run_exit(r);
	else if (!strcmp(r->argv[0], "exec") && r->argc > 1)
		r->status = adbd_command(r, r->argc - 1, r->argv + 1);
	else
		r->status = adbd_command(r, r->argc, r->argv);
}

void adbd_run_step(struct adbd_run *r, uint64_t now_us)
{
	r->now_us = now_us;
	if (r->wait_us && now_us < r->wait_us)
		return;
	r->wait_us = 0;
	while (!r->ended && !r->wait_us && !r->want) {
		end_redirect(r);
		while (is(r, r->at, ";") || is(r, r->at, "(") || is(r, r->at, ")"))
			r->at++;
		if (is(r, r->at, "&&") || is(r, r->at, "||")) {
			bool go_on = is(r, r->at, "&&") == (r->status == 0);

			r->at++;
			if (!go_on)
				skip_command(r);
			continue;
		}
		if (r->at >= r->words)
			r->ended = true;
		else if (r->quoted[r->at])
			run_one(r);
		else
			r->at++;
	}
}

void adbd_run_input(struct adbd_run *r, const uint8_t *p, size_t n, uint64_t now_us)
{
	size_t k = (size_t)MIN((uint64_t)n, r->want);

	r->now_us = now_us;
	if (k == 0 || !r->input)
		return;
	if (fwrite(p, 1, k, r->input) != k)
		adbd_err(r, "write failed\n");
	r->want -= k;
	if (r->want == 0) {
		r->status = adbd_pm_streamed(r);
		adbd_run_step(r, now_us);
	}
}

/* --- shell: and exec: as streams --- */

struct shell {
	struct adbd_run *run;
	struct adbd_stream *stream;
	bool v2, pty;
	struct adbd_queue in; /* frames */
};

static void put_frame(struct adbd_stream *s, uint8_t id, const void *p, size_t n)
{
	uint8_t head[5];
	struct wbytes w = wbytes_of(head, sizeof head);

	wb_u8(&w, id);
	wb_le32(&w, (uint32_t)n);
	adbd_put(&s->out, head, w.len);
	adbd_put(&s->out, p, n);
}

static void sink(void *data, bool is_err, const void *p, size_t n)
{
	struct shell *h = data;
	const char *text = p;

	if (h->v2) {
		put_frame(h->stream, is_err ? STDERR : STDOUT, p, n);
		return;
	}
	/* The old shell has a terminal, which makes CR LF of each line's end. */
	for (size_t i = 0; i < n; i++) {
		if (h->pty && text[i] == '\n')
			adbd_put(&h->stream->out, "\r", 1);
		adbd_put(&h->stream->out, text + i, 1);
	}
}

static void step(struct adbd_stream *s, uint64_t now_us)
{
	struct shell *h = s->state;
	uint64_t told;

	adbd_run_step(h->run, now_us);
	s->due_us = h->run->wait_us ? h->run->wait_us : NEVER;
	if (!h->run->ended || s->ended)
		return;
	if (h->v2 && !adbd_hit(s->d, AF_NO_EXIT)) {
		uint8_t status = (uint8_t)h->run->status;

		if (adbd_hit_arg(s->d, AF_EXIT, &told))
			status = (uint8_t)told;
		put_frame(s, EXIT, &status, 1);
	} else if (!h->v2 && adbd_hit(s->d, AF_NO_EXIT)) {
		s->out.len = s->out.at + (adbd_queued(&s->out) > 4 ? adbd_queued(&s->out) - 4 : 0);
	}
	s->ended = true;
}

static bool open_shell(struct adbd_stream *s, const char *line, bool v2, bool pty, uint64_t now_us)
{
	struct shell *h;

	if (s->d->mode == ADBD_SIDELOAD)
		return false;
	h = xcalloc(1, sizeof *h);
	h->stream = s;
	h->v2 = v2;
	h->pty = pty;
	h->run = adbd_run_new(s->d, line);
	h->run->sink = sink;
	h->run->sink_data = h;
	s->state = h;
	if (adbd_hit(s->d, AF_RUBBISH_TEXT))
		adbd_err(h->run, "\x1b]0;owned\x07<script>\xff\xfe%%n");
	step(s, now_us);
	return true;
}

static bool shell_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	return open_shell(s, arg, false, true, now_us);
}

static bool exec_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	return open_shell(s, arg, false, false, now_us);
}

/* shell,v2,TERM=xterm,raw:LINE */
static bool shell_v2_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	const char *line = strchr(arg, ':');

	return line && open_shell(s, line + 1, s->d->shell_v2 && !strncmp(arg, "v2", 2),
			       strstr(arg, "raw") == NULL, now_us);
}

static void shell_input(struct adbd_stream *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct shell *h = s->state;

	if (!h->v2) {
		adbd_run_input(h->run, p, n, now_us);
		step(s, now_us);
		return;
	}
	adbd_put(&h->in, p, n);
	while (adbd_queued(&h->in) >= 5) {
		struct rbytes b = rbytes_of(h->in.p + h->in.at, adbd_queued(&h->in));
		uint8_t id = rb_u8(&b);
		uint32_t len = rb_le32(&b);
		const uint8_t *data = rb_take(&b, len);

		if (!data)
			break;
		if (id == STDIN)
			adbd_run_input(h->run, data, len, now_us);
		adbd_take(&h->in, 5 + len);
	}
	step(s, now_us);
}

static void shell_done(struct adbd_stream *s)
{
	struct shell *h = s->state;

	if (!h)
		return;
	adbd_run_free(h->run);
	adbd_queue_done(&h->in);
	free(h);
}

const struct adbd_service adbd_service_shell = {
	.prefix = "shell:",
	.open = shell_open,
	.input = shell_input,
	.more = step,
	.done = shell_done,
};

const struct adbd_service adbd_service_shell_v2 = {
	.prefix = "shell,",
	.open = shell_v2_open,
	.input = shell_input,
	.more = step,
	.done = shell_done,
};

const struct adbd_service adbd_service_exec = {
	.prefix = "exec:",
	.open = exec_open,
	.input = shell_input,
	.more = step,
	.done = shell_done,
};
