/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/common.h"

#include <ctype.h>

#include "daemon/recipe/quantity.h"
#include "base/outfile.h"
#include "base/strbuf.h"
#include "base/words.h"

const char *const eol_choices[] = {"crlf", "lf", "cr", NULL};

static const char *eol_bytes(const char *choice)
{
	if (choice && !strcmp(choice, "lf"))
		return "\n";
	return choice && !strcmp(choice, "cr") ? "\r" : "\r\n";
}

int arg_regex(
	const struct args *a, const char *name, const char *def, struct regex **ret, struct err *e)
{
	const char *pattern = args_has(a, name) ? args_str(a, name) : def;

	*ret = NULL;
	return pattern ? regex_new(pattern, ret, e) : 0;
}

int dialogue_check(const struct args *a, struct err *e)
{
	const char *ping = args_str(a, "ping");

	if (ping && (!strstr(ping, CONSOLE_NONCE) || !strcmp(ping, CONSOLE_NONCE)))
		return err_set(e, ERR_RECIPE_INVALID,
			"'ping' is '%s': a command with " CONSOLE_NONCE
			" in it, which the unit answers with what was put there, expected",
			ping);
	if (args_bool(a, "prove") && !args_given(a, "ping") && !args_given(a, "prompt"))
		return err_set(
			e, ERR_RECIPE_INVALID, "'prove' needs a 'ping' or a 'prompt' to prove by");
	return 0;
}

/* As much as a run's log has; what comes after it is counted. */
#define HEARD_MAX (4u << 20)

struct heard {
	struct teller to; /* the step's own */
	struct strbuf text;
	size_t more; /* lines that had no room */
};

static void hear_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	teller_progress(&((struct heard *)data)->to, phase, done, total);
}

static void hear_line(void *data, char dir, const char *text)
{
	struct heard *h = data;

	teller_line(&h->to, dir, text);
	if (dir != '<')
		return;
	if (h->text.len + strlen(text) >= HEARD_MAX) {
		h->more++;
		return;
	}
	sb_add(&h->text, text);
	sb_add(&h->text, "\n");
}

/* Lines come masked and escaped, as they go to the log. */
static struct teller listen(struct dialogue_env *d, struct step *s, const struct args *a)
{
	if (!args_has(a, "file"))
		return step_teller(s);
	d->heard = xcalloc(1, sizeof *d->heard);
	d->heard->to = step_teller(s);
	return (struct teller){d->heard, hear_progress, hear_line};
}

static void heard_done(struct dialogue_env *d)
{
	if (d->heard)
		sb_done(&d->heard->text);
	free(d->heard);
	d->heard = NULL;
}

int dialogue_save(
	struct dialogue_env *d, struct step *s, const struct args *a, int r, struct err *e)
{
	struct heard *h = d->heard;
	int k;

	if (!h)
		return r;
	if (h->more)
		sb_addf(&h->text, "(%zu lines more)\n", h->more);
	k = save_file(
		s, args_str(a, "file"), h->text.s ? h->text.s : "", h->text.len, r < 0 ? NULL : e);
	return r < 0 ? r : k;
}

int dialogue_open(struct step *s, const struct args *a, struct dialogue_env *ret, struct err *e)
{
	struct dialogue_env d = {.timeout_us = args_duration_us(a, "timeout")};
	struct link *l = NULL;
	int r = arg_regex(a, "prompt", NULL, &d.prompt, e);

	if (r == 0)
		r = arg_regex(a, "error", CONSOLE_ERROR_DEFAULT, &d.error, e);
	if (r == 0)
		r = step_link(s, args_str(a, "port"), &l, e);
	if (r == 0) {
		struct console_opts o = {
			.eol = eol_bytes(args_str(a, "eol")),
			.prompt = d.prompt,
			.char_delay_us = args_duration_us(a, "char_delay"),
			.echo = args_bool(a, "echo"),
			.ping = args_str(a, "ping"),
			.prove = args_bool(a, "prove"),
			.late_us = args_duration_us(a, "late"),
			.reply_us = d.timeout_us,
			.turn_wait_us = d.timeout_us,
			.asker = s->id,
			.send_anyway = s->teardown,
			.secrets = s->secrets,
			.tell = listen(&d, s, a),
		};

		r = console_new(l, &o, &d.console, e);
	}
	if (r == 0 && args_bool(a, "sync"))
		r = console_sync(d.console, &s->it, e);
	/* A fixture is made safe also where its prompt is missing; the command's own proof fails
	 * the step. */
	if (r == -ERR_TIMEOUT && s->teardown && iotime_check(&s->it, NULL) == 0) {
		link_turn_lost(&l->turn);
		r = 0;
	}
	if (r < 0) {
		dialogue_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void dialogue_done(struct dialogue_env *d)
{
	d->console = console_leave(d->console);
	d->prompt = regex_free(d->prompt);
	d->error = regex_free(d->error);
	heard_done(d);
}

int dialogue_ask(struct dialogue_env *d, struct step *s, const char *send, const char *expect,
	struct console_reply *ret, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	int r = regex_new(expect, &x, e);

	return r < 0 ? r : console_command(d->console, send, x, d->error, &s->it, ret, e);
}

char *regex_quote(const char *text)
{
	struct strbuf b = {0};

	for (const char *p = text; *p; p++) {
		/* PCRE2: a backslash before any ASCII character that is not a letter or digit makes
		 * it mean itself. Other bytes already do. */
		if (!isalnum((unsigned char)*p) && (unsigned char)*p < 0x80)
			sb_add(&b, "\\");
		sb_add_n(&b, p, 1);
	}
	return sb_take(&b);
}

char *fill_in(const char *template, const struct filling *with)
{
	struct strbuf b = {0};

	while (*template) {
		const struct filling *f = with;
		size_t n = 0;

		for (; f->name; f++) {
			n = strlen(f->name);
			if (*template == '{' && !strncmp(template + 1, f->name, n) &&
				template[n + 1] == '}')
				break;
		}
		sb_add(&b, f->name ? f->text : (char[]){*template, 0});
		template += f->name ? n + 2 : 1;
	}
	return sb_take(&b);
}

static void shift(struct regex_match *m, size_t by)
{
	for (int i = 0; i < m->groups && i < REGEX_GROUPS; i++)
		if (m->group[i].start != (size_t)-1) {
			m->group[i].start += by;
			m->group[i].end += by;
		}
}

bool text_agrees(const struct regex *x, const char *text, size_t n, struct regex_match *m)
{
	_cleanup_(words_freep) struct words *w = words_new();
	struct regex_match found;

	for (size_t at = 0; (at == 0 || at < n) && regex_match(x, text + at, n - at, &found);) {
		size_t start = at + found.group[0].start, end = at + found.group[0].end;
		const char *stop = memchr(text + end, '\n', n - end);
		size_t from = start, to = stop ? (size_t)(stop - text) : n;

		while (from > 0 && text[from - 1] != '\n')
			from--;
		if (words_agree(w, text + from, to - from, start - from, end - from)) {
			shift(&found, at);
			if (m)
				*m = found;
			return true;
		}
		at = to + 1;
	}
	return false;
}

void output_reply(struct step_result *out, const struct console_reply *r)
{
	result_output(out, "reply", json_string(r->line));
	for (int i = 1; i < r->groups; i++) {
		char name[16];

		snprintf(name, sizeof name, "match%d", i);
		result_output(out, name, json_string(r->group[i] ? r->group[i] : ""));
	}
}

json_t *facts_json(const struct device_facts *f)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "node", f->node, "vid", f->vid, "pid",
		f->pid, "serial", f->serial, "path", f->path, "generation",
		(json_int_t)f->generation);
}

int save_file(struct step *s, const char *name, const void *bytes, size_t n, struct err *e)
{
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	char sha256[SHA256_HEX];
	int r = step_file(s, name, &f, e);

	if (r == 0)
		r = outfile_add(&f, bytes, n, e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	return r < 0 ? r : step_file_commit(s, &f, e);
}

/* --- measurements --- */

int measure_limits(const struct args *a, struct err *e)
{
	bool both = args_has(a, "low") && args_has(a, "high");
	double low = args_number(a, "low"), high = args_number(a, "high");
	double marginal = args_number(a, "marginal");

	if (both && low > high)
		return err_set(e, ERR_RECIPE_INVALID,
			"'low' is %g, above 'high', which is %g: no value can pass", low, high);
	if (marginal < 0)
		return err_set(e, ERR_RECIPE_INVALID,
			"'marginal' is %g: a distance from the limits, 0 or more, expected",
			marginal);
	if (marginal > 0 && !args_given(a, "low") && !args_given(a, "high"))
		return err_set(e, ERR_RECIPE_INVALID, "'marginal' needs 'low' or 'high'");
	if (both && 2 * marginal > high - low)
		return err_set(e, ERR_RECIPE_INVALID,
			"'marginal' is %g, more than half of the range from %g to %g: every good value would be marginal",
			marginal, low, high);
	return 0;
}

struct measurement measurement_of(const struct step *s, const struct args *a)
{
	return (struct measurement){
		.name = args_has(a, "name") ? args_str(a, "name") : s->id,
		.unit = args_str(a, "unit"),
		.has_low = args_has(a, "low"),
		.has_high = args_has(a, "high"),
		.low = args_number(a, "low"),
		.high = args_number(a, "high"),
		.marginal = args_number(a, "marginal"),
	};
}

/* The reply with its tabs as they came: it has them escaped. */
static char *with_tabs(const char *line)
{
	char *copy = xstrdup(line);
	char *to = copy;

	for (const char *p = line; *p; p++) {
		bool tab = !strncmp(p, "\\t", 2);

		*to++ = tab ? '\t' : *p;
		p += tab;
	}
	*to = '\0';
	return copy;
}

/* A reply, and the place in it that a pattern picks out. */
struct pick {
	char *text;
	size_t start, end;
};

static void pick_done(struct pick *p)
{
	free(p->text);
}

static int pick_of(const char *line, const char *pattern, struct pick *ret, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct regex_match m;
	int r = regex_new(pattern, &x, e);

	if (r < 0)
		return r;
	ret->text = with_tabs(line);
	/* The pattern matched the line's bytes; escaped, they may be other ones. */
	if (!regex_match(x, ret->text, strlen(ret->text), &m))
		return err_set(e, ERR_NOT_A_NUMBER, "'%.100s' has bytes that are not text", line);

	int g = m.groups > 1 && m.group[1].start != (size_t)-1;
	size_t after = m.group[0].end;

	/* What the pattern itself holds is the author's. */
	if (quantity_is_none(ret->text, m.group[0].start) ||
		quantity_is_none(ret->text + after, strlen(ret->text) - after))
		return err_set(e, ERR_NOT_A_NUMBER, "'%.100s' says that there is no value", line);
	ret->start = m.group[g].start;
	ret->end = m.group[g].end;
	return 0;
}

int reply_value(const char *line, const char *pattern, const char *unit, double *ret, struct err *e)
{
	_cleanup_(pick_done) struct pick p = {0};
	struct quantity q;
	int r;

	if (pattern) {
		r = pick_of(line, pattern, &p, e);
		if (r == 0)
			r = quantity_parse_part(p.text, p.start, p.end, &q, e);
	} else {
		p.text = with_tabs(line);
		r = quantity_parse_labelled(p.text, &q, e);
	}
	return r < 0 ? r : quantity_in(&q, unit, ret, e);
}

int reply_list(const char *line, const char *pattern, char **ret, struct err *e)
{
	_cleanup_(pick_done) struct pick p = {0};
	char unit[QUANTITY_UNIT_MAX];
	int r = pick_of(line, pattern, &p, e);

	if (r < 0)
		return r;
	if (quantity_is_cut(p.text, p.start, p.end, unit))
		return err_set(e, ERR_NOT_A_NUMBER,
			"'%.100s' holds more of the numbers than the pattern took", line);
	*ret = xasprintf("%.*s%s", (int)(p.end - p.start), p.text + p.start, unit);
	return 0;
}
