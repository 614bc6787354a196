/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/webhooks.h"

#include "base/iotime.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/feed.h"
#include "daemon/line/holds.h"
#include "daemon/line/meters.h"
#include "daemon/line/retries.h"
#include "daemon/line/services.h"
#include "daemon/line/wats_report.h"
#include "daemon/line/webhook_ends.h"
#include "daemon/line/webhook_rules.h"
#include "db/webhooks.h"
#include "db/writer.h"
#include "transports/links/http_many.h"
#include "transports/links/webhook_sign.h"

#define LOOK_EVERY_US US_PER_S
#define IDLE_US	      (60 * US_PER_S)
#define WINDOW	      8 /* requests of one webhook at a time */
#define ANSWER_BYTES  1024
#define HEADERS	      6
#define FULL_WAIT_US  (10 * US_PER_MS)
#define READY_MAX     64 /* rows of one webhook that are read at a time */

_Static_assert(WEBHOOKS_DESCRIPTORS > WEBHOOKS_MAX * WINDOW * 4, "descriptors of the requests");

/* What is known of one webhook besides its row. */
struct hook {
	struct webhook row;
	bool there;	 /* it is enabled */
	bool more;	 /* there are events that it was not asked about */
	int64_t waiting; /* rows, about: they are made again when half of them are done */
	struct delivery ready[READY_MAX]; /* that may go out now, the oldest first */
	size_t ready_at, readies;
	bool dry; /* none was found since something changed */
	unsigned flying;
	struct retries retries;
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
};

/* A request under way. */
struct sending {
	struct hook *hook;
	struct delivery row;
	uint64_t begun_us;
	struct config *config; /* whose lists are looked at */
	struct secret_set *secrets;
	struct sending *next;
};

struct webhooks {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	pthread_t thread;
	struct http_many *http;
	struct feed_sub *feed;
	struct cancel stop;
	struct webhook_ends *ends;
	struct config *config; /* of the last request; NULL before one */
	unsigned lists;	       /* so many configurations there were */
	bool poked;	       /* atomic */
	bool idle;	       /* atomic: there is no webhook */
	int64_t heard;	       /* atomic: the newest event that woke the thread */
	int64_t looked;	       /* the newest that it had heard of when it looked at the records */
	uint64_t look_us;      /* it looks again then */
	struct hook *hook[WEBHOOKS_MAX];
	size_t hooks;
	struct sending *sending;
	char trouble[ERR_TEXT_BYTES]; /* of its own, that was logged last */
};

/* --- what is on record --- */

static struct hook *find_hook(struct webhooks *w, const char *id)
{
	for (size_t i = 0; i < w->hooks; i++)
		if (!strcmp(w->hook[i]->row.id, id))
			return w->hook[i];
	return NULL;
}

static struct hook *keep_hook(struct webhooks *w, const struct webhook *row)
{
	struct hook *h = find_hook(w, row->id);

	if (!h && w->hooks < WEBHOOKS_MAX) {
		h = w->hook[w->hooks++] = xcalloc(1, sizeof *h);
		h->more = true;
		h->retries.failures = row->failures;
	}
	if (h) {
		h->row = *row;
		h->there = true;
	}
	return h;
}

static void forget_ready(struct hook *h)
{
	while (h->ready_at < h->readies)
		free(h->ready[h->ready_at++].body);
	h->ready_at = h->readies = 0;
}

/* Those that are gone, once nothing of theirs is under way. */
static void drop_hooks(struct webhooks *w)
{
	for (size_t i = w->hooks; i-- > 0;) {
		struct hook *h = w->hook[i];

		if (h->there || h->flying)
			continue;
		forget_ready(h);
		retries_done(&h->retries);
		free(h);
		w->hook[i] = w->hook[--w->hooks];
	}
}

static int look(struct webhooks *w, struct err *e)
{
	struct webhook row[WEBHOOKS_MAX];
	size_t n;
	int64_t newest;
	int r = w->db ? 0 : db_open_reader(w->db_path, &w->db, e);

	if (r == 0)
		r = webhooks_newest(w->db, &newest, e);
	if (r == 0)
		r = webhooks_enabled(w->db, false, row, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w->hooks; i++)
		w->hook[i]->there = false;
	for (size_t i = 0; i < n; i++) {
		struct hook *h = keep_hook(w, &row[i]);

		if (h) {
			h->more |= row[i].seen < newest;
			h->dry = false;
		}
	}
	drop_hooks(w);
	return 0;
}

/* When an event came, when somebody said so, and else from time to time: a request that has ended is no reason. */
static int look_if_due(struct webhooks *w, bool poked, struct err *e)
{
	const int64_t heard = __atomic_load_n(&w->heard, __ATOMIC_ACQUIRE);
	const uint64_t now = now_us();

	if (!poked && heard == w->looked && now < w->look_us)
		return 0;
	w->looked = heard;
	w->look_us = now + LOOK_EVERY_US;
	return look(w, e);
}

static bool wants_rows(const struct hook *h)
{
	/* The number is a guess: rows also die, and are removed. */
	return h->there && h->more && (h->waiting <= WEBHOOK_OPEN_MAX / 2 || h->dry);
}

static int apply_take(struct db *tx, void *data, struct err *e)
{
	struct webhooks *w = data;
	int r = 0;

	for (size_t i = 0; i < w->hooks && r == 0; i++) {
		struct hook *h = w->hook[i];

		if (wants_rows(h))
			r = webhooks_take(tx, h->row.id, &h->more, &h->waiting, e);
		h->dry = false;
	}
	return r;
}

static int take(struct webhooks *w, struct err *e)
{
	for (size_t i = 0; i < w->hooks; i++)
		if (wants_rows(w->hook[i]))
			return writer_do(w->line->writer, apply_take, w, e);
	return 0;
}

/* The rows of a webhook that do not go out now: it is not their time, or they are under way. */
static json_t *not_now(struct webhooks *w, const struct hook *h)
{
	json_t *list = json_array();

	retries_not_now(&h->retries, list);
	for (const struct sending *s = w->sending; s; s = s->next)
		if (s->hook == h)
			json_array_append_new(list, json_integer(s->row.n));
	webhook_ends_list(w->ends, h->row.id, list);
	return list;
}

/* A person wants it now, or it was changed. */
static void forget_times(struct webhooks *w)
{
	for (size_t i = 0; i < w->hooks; i++) {
		w->hook[i]->dry = false;
		retries_now(&w->hook[i]->retries);
	}
}

/* --- sending --- */

static void free_sending(struct webhooks *w, struct sending *s)
{
	struct sending **p = &w->sending;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	s->hook->flying--;
	config_unref(s->config);
	secret_set_free(s->secrets);
	free(s->row.body);
	free(s);
}

static void wipe(char *secret)
{
	if (secret)
		secret_wipe(secret, strlen(secret));
	free(secret);
}

/* By the secret of now, and by that of before for as long as it is used as well. */
static int sign(struct sending *s, int64_t now_ms, char **ret, struct err *e)
{
	const struct webhook *row = &s->hook->row;
	const bool both = row->old_secret[0] && now_ms < row->old_until_ms;
	char *now = NULL, *old = NULL;
	int r = config_secret(s->config, row->secret, &now, e);

	if (r == 0 && both)
		r = config_secret(s->config, row->old_secret, &old, e);
	if (r == 0) {
		const char *const secrets[] = {now, old, NULL};

		for (int i = 0; secrets[i]; i++)
			secret_set_add(s->secrets, secrets[i], NULL);
		r = webhook_sign(secrets, s->row.id, now_ms / 1000, s->row.body, ret, e);
	}
	wipe(now);
	wipe(old);
	return r;
}

/* Also for one that was allowed when it was made. */
static int check_allowed(const struct sending *s, struct err *e)
{
	char host[HTTP_HOST_BYTES];

	http_url_host(s->hook->row.url, host);
	if (http_allow_host(&s->config->webhooks.allow, host))
		return 0;
	return err_set(e, ERR_SERVICE_UNTRUSTED,
		"'webhooks' of provd.yaml does not allow the receiver %s: add its host or network to 'allow'",
		s->hook->row.url);
}

/* The header Authorization, where the webhook names a secret of it; NULL where it names none. */
static int authorize(struct sending *s, char **ret, struct err *e)
{
	const struct webhook *row = &s->hook->row;
	char host[HTTP_HOST_BYTES];
	char *text = NULL;
	int r = 0;

	if (!row->auth[0])
		return 0;
	http_url_host(row->url, host);
	if (http_url_clear(row->url) && !config_is_this_machine(host))
		return err_set(e, ERR_SERVICE_UNTRUSTED,
			"http:// to %s would send the header Authorization in the clear: https:// expected",
			host);
	r = config_secret(s->config, row->auth, &text, e);
	if (r == 0 && strpbrk(text, "\r\n"))
		r = err_set(e, ERR_INVALID,
			"the secret '%s' has several lines: one expected, such as Basic TOKEN",
			row->auth);
	if (r == 0) {
		secret_set_add(s->secrets, text, NULL);
		*ret = xasprintf("Authorization: %s", text);
	}
	wipe(text);
	return r;
}

/* The delivery is a span of its own, which nobody else knows. */
static size_t add_trace(const struct trace_context *t, char *ret[2])
{
	char span[TRACE_SPAN_BYTES], text[TRACE_TEXT_BYTES];
	size_t n = 0;

	if (t->id[0])
		ret[n++] = xasprintf("traceparent: %s", trace_text(t, trace_new_span(span), text));
	if (t->id[0] && t->state[0])
		ret[n++] = xasprintf("tracestate: %s", t->state);
	return n;
}

static int send_row(struct webhooks *w, struct sending *s, struct err *e)
{
	const struct webhooks_config *c = &s->config->webhooks;
	const int64_t now_ms = wall_ms();
	_cleanup_(freep) char *id = xasprintf("webhook-id: %s", s->row.id);
	_cleanup_(freep) char *time =
		xasprintf("webhook-timestamp: %lld", (long long)(now_ms / 1000));
	_cleanup_(freep) char *signature = NULL;
	_cleanup_(freep) char *signed_by = NULL;
	char *auth = NULL;
	int r = check_allowed(s, e);

	if (r == 0)
		r = sign(s, now_ms, &signature, e);
	if (r == 0)
		r = authorize(s, &auth, e);
	if (r < 0)
		return r;
	signed_by = xasprintf("webhook-signature: %s", signature);

	char *trace[2] = {NULL};
	const char *headers[HEADERS + 1] = {id, time, signed_by};
	size_t n = 3;

	for (size_t i = 0, of = add_trace(&s->row.trace, trace); i < of; i++)
		headers[n++] = trace[i];
	if (auth)
		headers[n++] = auth;

	const struct http_post p = {.url = s->hook->row.url,
		.headers = headers,
		.body = s->row.body,
		.ca = c->ca,
		.timeout_us = c->timeout_us,
		.answer_bytes = ANSWER_BYTES,
		.allow = &c->allow,
		.clear = &c->clear,
		.lists = w->lists};

	http_many_add(w->http, &p, s);
	free(trace[0]);
	free(trace[1]);
	wipe(auth);
	return 0;
}

/* --- what came of it --- */

/* The same sentence again and again says nothing. */
static void log_once(char trouble[ERR_TEXT_BYTES], const char *text)
{
	if (strcmp(trouble, text) != 0)
		log_warning("webhooks: %s", text);
	snprintf(trouble, ERR_TEXT_BYTES, "%s", text);
}

static void note_taken(struct hook *h, int64_t n)
{
	retries_taken(&h->retries, n);
	h->trouble[0] = 0;
}

/* The start of an answer, without the secrets that the request was signed by. */
static char *shown(const struct sending *s, const struct strbuf *body)
{
	struct strbuf b = {0};
	_cleanup_(freep) char *text = NULL;
	char *masked;

	if (!body->len)
		return NULL;
	sb_add_escaped(&b, body->s, body->len);
	text = sb_take(&b);
	masked = secret_mask_cut(s->secrets, text);
	if (strlen(masked) > WEBHOOK_ANSWER_MAX) {
		size_t n = WEBHOOK_ANSWER_MAX;

		while (n > 0 && ((unsigned char)masked[n] & 0xc0) == 0x80)
			n--;
		masked[n] = 0;
	}
	return masked;
}

static void end_not_taken(struct webhooks *w, struct sending *s, struct delivery_end *end,
	const struct http_answer *answer, const struct err *why)
{
	struct hook *h = s->hook;
	_cleanup_(freep) char *message =
		why ? xstrdup(why->msg)
		    : xasprintf("%s answers HTTP %ld, 2xx expected", h->row.url, answer->status);
	_cleanup_(freep) char *text = why ? NULL : shown(s, &answer->body);

	retries_not_taken(&h->retries, end, s->row.attempts, s->begun_us,
		(int64_t)(answer->retry_after_us / US_PER_MS));
	log_once(h->trouble, message);
	end->message = message;
	end->answer = text;
	webhook_ends_add(w->ends, end);
}

/* why: no answer came, or NULL. The request is over. */
static void end_sending(struct webhooks *w, struct sending *s, const struct http_answer *answer,
	const struct err *why)
{
	struct hook *h = s->hook;
	const enum webhook_verdict verdict = why ? WEBHOOK_AGAIN : webhook_judge(answer->status);
	struct delivery_end end = {.webhook = h->row.id,
		.n = s->row.n,
		.status = (int)answer->status,
		.done = verdict == WEBHOOK_TAKEN,
		.gone = verdict == WEBHOOK_GONE,
		.key = "webhooks",
		.give_up_ms = (int64_t)(s->config->webhooks.give_up_us / US_PER_MS)};

	meters_webhook(w->line->meters,
		why			   ? "unreachable"
		: verdict == WEBHOOK_TAKEN ? "taken"
					   : "refused",
		now_us() - s->begun_us);
	if (verdict == WEBHOOK_TAKEN) {
		note_taken(h, s->row.n);
		h->waiting -= h->waiting > 0;
		webhook_ends_add(w->ends, &end);
	} else {
		end_not_taken(w, s, &end, answer, why);
	}
	free_sending(w, s);
}

/* --- one round --- */

/* One that is kept has its address for itself. */
static void note_config(struct webhooks *w, struct config *c)
{
	if (c == w->config)
		return;
	config_unref(w->config);
	w->config = config_ref(c);
	w->lists++;
}

static struct sending *add_sending(struct webhooks *w, struct hook *h, struct delivery *row)
{
	struct sending *s = xcalloc(1, sizeof *s);

	s->hook = h;
	s->begun_us = now_us();
	s->row = *row;
	row->body = NULL;
	s->config = w->line->config(w->line->line);
	note_config(w, s->config);
	s->secrets = secret_set_new();
	s->next = w->sending;
	w->sending = s;
	h->flying++;
	return s;
}

static void begin(struct webhooks *w, struct hook *h, struct delivery *row)
{
	const struct http_answer none = {0};
	struct sending *s;
	struct err why;

	s = add_sending(w, h, row);
	if (send_row(w, s, &why) < 0)
		end_sending(w, s, &none, &why);
}

/* Of an event its message, or what else the webhook is to have of it. */
static int make_body(struct webhooks *w, const struct hook *h, struct delivery *row, struct err *e)
{
	struct config *config;
	int r;

	if (!row->body || strcmp(h->row.format, webhook_formats[WEBHOOK_WSJF]) != 0)
		return 0;
	config = w->line->config(w->line->line);
	r = wats_report_of(w->db, &config->wats, &row->body, e);
	config_unref(config);
	return r;
}

static size_t room(const struct hook *h)
{
	if (!h->there || retries_rest(&h->retries))
		return 0;
	/* Whether it takes anything again is found out with one. */
	return h->retries.failures ? h->flying == 0 : WINDOW - MIN(h->flying, WINDOW);
}

/* Those whose event is gone: retention takes their rows. */
static void drop_bodiless(struct hook *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->readies; i++)
		if (h->ready[i].body)
			h->ready[n++] = h->ready[i];
	h->readies = n;
}

/* The next rows, once those of before are all sent. */
static int load_ready(struct webhooks *w, struct hook *h, struct err *e)
{
	json_t *not_these;
	int r;

	if (h->ready_at < h->readies || h->dry)
		return 0;
	h->ready_at = h->readies = 0;
	not_these = not_now(w, h);
	r = webhooks_due(w->db, h->row.id, not_these, READY_MAX, h->ready, &h->readies, e);
	drop_bodiless(h);
	h->dry = r == 0 && h->readies == 0;
	json_decref(not_these);
	return r;
}

static int fill(struct webhooks *w, struct hook *h, struct err *e)
{
	if (!h->there)
		forget_ready(h);
	while (room(h) > 0 && !webhook_ends_full(w->ends)) {
		struct delivery row;
		int r = load_ready(w, h, e);

		if (r < 0 || h->ready_at == h->readies)
			return r;
		row = h->ready[h->ready_at++];
		r = make_body(w, h, &row, e);
		if (r == 0)
			begin(w, h, &row);
		free(row.body);
		if (r < 0)
			return r;
	}
	return 0;
}

static void gather(struct webhooks *w)
{
	struct http_end end;

	while (!webhook_ends_full(w->ends) && http_many_next(w->http, &end)) {
		end_sending(w, end.data, &end.answer, end.result < 0 ? &end.err : NULL);
		http_answer_done(&end.answer);
	}
}

/* What follows those that are on disk now may go out. */
static int pull(struct webhooks *w, struct err *e)
{
	int r = webhook_ends_pull(w->ends, e);

	for (size_t i = 0; r != 0 && i < w->hooks; i++)
		w->hook[i]->dry = false;
	return MIN(r, 0);
}

static int round_of(struct webhooks *w, struct err *e)
{
	const bool poked = __atomic_exchange_n(&w->poked, false, __ATOMIC_ACQ_REL);
	int r = pull(w, e);

	gather(w);
	if (poked)
		forget_times(w);
	if (r == 0)
		r = look_if_due(w, poked, e);
	if (r == 0)
		r = take(w, e);
	for (size_t i = 0; i < w->hooks && r == 0; i++)
		r = fill(w, w->hook[i], e);
	return r < 0 ? r : webhook_ends_push(w->ends, e);
}

/* --- the thread --- */

/* Without a webhook nothing is open, and no event wakes the thread: a change of them pokes it. */
static bool rest(struct webhooks *w)
{
	const bool idle = w->hooks == 0;

	__atomic_store_n(&w->idle, idle, __ATOMIC_RELEASE);
	if (idle)
		w->db = db_free(w->db);
	return idle;
}

static void *webhooks_main(void *arg)
{
	struct webhooks *w = arg;
	const struct iotime it = {NO_DEADLINE, &w->stop};

	while (cancel_reason(&w->stop) == ERR_NONE) {
		struct err e = {0};

		if (holds_check(w->line->holds, HOLD_STOPS_SENDING, NULL) < 0) {
			iotime_sleep(LOOK_EVERY_US, &it, NULL);
			continue;
		}
		/* What could not be recorded is sent again, under its id. */
		if (round_of(w, &e) < 0) {
			log_once(w->trouble, e.msg);
			iotime_sleep(LOOK_EVERY_US, &it, NULL);
		}
		if (webhook_ends_full(w->ends))
			iotime_sleep(FULL_WAIT_US, &it, NULL);
		http_many_wait(w->http, rest(w) ? IDLE_US : LOOK_EVERY_US);
	}
	return NULL;
}

static void on_published(void *data)
{
	struct webhooks *w = data;
	const int64_t newest = feed_last_seq(w->line->feed);

	if (__atomic_load_n(&w->idle, __ATOMIC_ACQUIRE))
		return;
	if (__atomic_exchange_n(&w->heard, newest, __ATOMIC_ACQ_REL) != newest)
		http_many_wake(w->http);
}

static void on_recorded(void *data)
{
	http_many_wake(((struct webhooks *)data)->http);
}

int webhooks_start(
	const struct line_services *line, const char *db_path, struct webhooks **ret, struct err *e)
{
	struct webhooks *w = xcalloc(1, sizeof *w);
	int r = cancel_init(&w->stop, e);

	w->line = line;
	w->db_path = xstrdup(db_path);
	w->http = http_many_new();
	w->ends = webhook_ends_new(line->writer, on_recorded, w);
	if (r == 0) {
		r = thread_start(&w->thread, "webhooks", webhooks_main, w, e);
		if (r < 0)
			cancel_done(&w->stop);
	}
	if (r < 0) {
		webhook_ends_free(w->ends);
		http_many_free(w->http);
		free(w->db_path);
		free(w);
		return r;
	}
	w->feed =
		feed_subscribe(line->feed, &(struct feed_opts){.notify = on_published, .data = w});
	*ret = w;
	return 0;
}

struct webhooks *webhooks_free(struct webhooks *w)
{
	if (!w)
		return NULL;
	feed_unsubscribe(w->feed);
	cancel_fire(&w->stop, ERR_SHUTDOWN);
	http_many_wake(w->http);
	pthread_join(w->thread, NULL);
	cancel_done(&w->stop);
	webhook_ends_free(w->ends);
	while (w->sending)
		free_sending(w, w->sending);
	for (size_t i = 0; i < w->hooks; i++)
		w->hook[i]->there = false;
	drop_hooks(w);
	config_unref(w->config);
	http_many_free(w->http);
	db_free(w->db);
	free(w->db_path);
	free(w);
	return NULL;
}

void webhooks_poke(struct webhooks *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->poked, true, __ATOMIC_RELEASE);
	http_many_wake(w->http);
}
