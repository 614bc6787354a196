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
#include "daemon/line/webhook_queue.h"
#include "daemon/line/webhook_rules.h"
#include "daemon/line/webhook_takes.h"
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

_Static_assert(WEBHOOKS_DESCRIPTORS > WEBHOOKS_MAX * WINDOW * 4, "descriptors of the requests");

/* What the requests of one webhook have in common, for as long as its row, its secrets and the configuration are those: made at
 * each look, so that another text in the file of a secret is used within a second. */
struct signer {
	unsigned refs;
	struct config *config; /* whose lists are looked at */
	char *secret, *old;    /* old: NULL none */
	char *auth;	       /* the header Authorization; NULL none */
	struct secret_set *secrets;
	int result; /* < 0: nothing may be sent, with the reason */
	struct err err;
};

/* What is known of one webhook besides its row. */
struct hook {
	struct webhook row;
	bool there;	 /* it is enabled */
	bool more;	 /* there are events that it was not asked about */
	int64_t waiting; /* rows, about: they are made again when half of them are done */
	struct webhook_queue *queue; /* rows, as they were read */
	bool stale;		     /* others may wait since */
	bool dry;		     /* none of them may go out */
	unsigned flying;
	struct signer *signer; /* NULL: none was needed since the look */
	struct retries retries;
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
};

/* A request under way. */
struct sending {
	struct hook *hook;
	struct delivery row;
	uint64_t begun_us;
	struct signer *signer;
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
	struct webhook_takes *takes;
	struct config *config; /* of now; NULL: not looked at */
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
		h->queue = webhook_queue_new();
		h->more = h->stale = true;
		h->retries.failures = row->failures;
	}
	if (h) {
		h->row = *row;
		h->there = true;
	}
	return h;
}

static void wipe(char *secret)
{
	if (secret)
		secret_wipe(secret, strlen(secret));
	free(secret);
}

static void signer_unref(struct signer *s)
{
	if (!s || --s->refs > 0)
		return;
	wipe(s->secret);
	wipe(s->old);
	wipe(s->auth);
	secret_set_free(s->secrets);
	config_unref(s->config);
	free(s);
}

/* Requests under way keep theirs. */
static void forget_signer(struct hook *h)
{
	signer_unref(h->signer);
	h->signer = NULL;
}

/* Those that are gone, once nothing of theirs is under way. */
static void drop_hooks(struct webhooks *w)
{
	for (size_t i = w->hooks; i-- > 0;) {
		struct hook *h = w->hook[i];

		if (h->there || h->flying)
			continue;
		webhook_queue_free(h->queue);
		forget_signer(h);
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
	for (size_t i = 0; i < w->hooks; i++) {
		w->hook[i]->there = false;
		forget_signer(w->hook[i]);
	}
	for (size_t i = 0; i < n; i++) {
		struct hook *h = keep_hook(w, &row[i]);

		if (h) {
			h->more |= row[i].seen < newest;
			h->stale = true;
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

/* Rows that were made since are there. */
static int note_takes(struct webhooks *w, struct err *e)
{
	const struct webhook_taken *taken;
	size_t n = 0;
	int r = webhook_takes_end(w->takes, &taken, &n, e);

	for (size_t i = 0; r > 0 && i < n; i++) {
		struct hook *h = find_hook(w, taken[i].id);

		if (!h)
			continue;
		h->more = taken[i].more;
		h->waiting = taken[i].waiting;
		h->stale = true;
	}
	return MIN(r, 0);
}

static int take(struct webhooks *w, struct err *e)
{
	const struct webhook *wants[WEBHOOKS_MAX];
	size_t n = 0;
	int r = note_takes(w, e);

	if (r < 0 || webhook_takes_is_busy(w->takes))
		return r;
	for (size_t i = 0; i < w->hooks; i++)
		if (wants_rows(w->hook[i]))
			wants[n++] = &w->hook[i]->row;
	return n ? webhook_takes_begin(w->takes, wants, n, e) : 0;
}

/* The rows of a webhook that do not go out now: it is not their time, or they are under way. */
static void list_held(struct webhooks *w, const struct hook *h, json_t *taken, json_t *held)
{
	retries_not_now(&h->retries, held);
	for (const struct sending *s = w->sending; s; s = s->next)
		if (s->hook == h)
			json_array_append_new(held, json_integer(s->row.n));
	webhook_ends_list(w->ends, h->row.id, taken, held);
}

/* A person wants it now, or it was changed. */
static void forget_times(struct webhooks *w)
{
	for (size_t i = 0; i < w->hooks; i++) {
		w->hook[i]->stale = true;
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
	signer_unref(s->signer);
	free(s->row.body);
	free(s);
}

/* Also for one that was allowed when it was made. */
static int check_allowed(const struct config *c, const struct webhook *row, struct err *e)
{
	char host[HTTP_HOST_BYTES];

	http_url_host(row->url, host);
	if (http_allow_host(&c->webhooks.allow, host))
		return 0;
	return err_set(e, ERR_SERVICE_UNTRUSTED,
		"'webhooks' of provd.yaml does not allow the receiver %s: add its host or network to 'allow'",
		row->url);
}

static int read_secrets(struct signer *s, const struct webhook *row, struct err *e)
{
	int r = config_secret(s->config, row->secret, &s->secret, e);

	if (r == 0 && row->old_secret[0] && wall_ms() < row->old_until_ms)
		r = config_secret(s->config, row->old_secret, &s->old, e);
	if (r == 0)
		secret_set_add(s->secrets, s->secret, NULL);
	if (r == 0 && s->old)
		secret_set_add(s->secrets, s->old, NULL);
	return r;
}

/* The header Authorization, where the webhook names a secret of it. */
static int authorize(struct signer *s, const struct webhook *row, struct err *e)
{
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
		s->auth = xasprintf("Authorization: %s", text);
	}
	wipe(text);
	return r;
}

static struct signer *signer_of(struct webhooks *w, struct hook *h)
{
	struct signer *s = h->signer;

	if (!s) {
		s = h->signer = xcalloc(1, sizeof *s);
		s->refs = 1;
		s->config = config_ref(w->config);
		s->secrets = secret_set_new();
		s->result = check_allowed(s->config, &h->row, &s->err);
		if (s->result == 0)
			s->result = read_secrets(s, &h->row, &s->err);
		if (s->result == 0)
			s->result = authorize(s, &h->row, &s->err);
	}
	s->refs++;
	return s;
}

/* By the secret of now, and by that of before for as long as it is used as well. */
static int sign(const struct sending *s, int64_t now_ms, char **ret, struct err *e)
{
	const bool both = s->signer->old && now_ms < s->hook->row.old_until_ms;
	const char *const secrets[] = {s->signer->secret, both ? s->signer->old : NULL, NULL};

	return webhook_sign(secrets, s->row.id, now_ms / 1000, s->row.body, ret, e);
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
	const struct signer *by = s->signer;
	const struct webhooks_config *c = &by->config->webhooks;
	const int64_t now_ms = wall_ms();
	char id[WEBHOOK_ID_BYTES + 16], time[48];
	_cleanup_(freep) char *signature = NULL;
	_cleanup_(freep) char *signed_by = NULL;
	int r = by->result;

	if (r < 0)
		*e = by->err;
	if (r == 0)
		r = sign(s, now_ms, &signature, e);
	if (r < 0)
		return r;
	snprintf(id, sizeof id, "webhook-id: %s", s->row.id);
	snprintf(time, sizeof time, "webhook-timestamp: %lld", (long long)(now_ms / 1000));
	signed_by = xasprintf("webhook-signature: %s", signature);

	char *trace[2] = {NULL};
	const char *headers[HEADERS + 1] = {id, time, signed_by};
	size_t n = 3;

	for (size_t i = 0, of = add_trace(&s->row.trace, trace); i < of; i++)
		headers[n++] = trace[i];
	if (by->auth)
		headers[n++] = by->auth;

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
	masked = secret_mask_cut(s->signer->secrets, text);
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
		.give_up_ms = (int64_t)(s->signer->config->webhooks.give_up_us / US_PER_MS)};

	meters_webhook(w->line->meters,
		why			   ? "unreachable"
		: verdict == WEBHOOK_TAKEN ? "taken"
					   : "refused",
		now_us() - s->begun_us);
	if (verdict == WEBHOOK_TAKEN) {
		note_taken(h, s->row.n);
		webhook_queue_taken(h->queue, s->row.n);
		h->dry = false;
		h->waiting -= h->waiting > 0;
		webhook_ends_add(w->ends, &end);
	} else {
		end_not_taken(w, s, &end, answer, why);
	}
	free_sending(w, s);
}

/* --- one round --- */

/* One that is kept has its address for itself. */
static void look_at_config(struct webhooks *w)
{
	struct config *now = w->line->config(w->line->line);

	if (now == w->config) {
		config_unref(now);
		return;
	}
	config_unref(w->config);
	w->config = now;
	w->lists++;
	for (size_t i = 0; i < w->hooks; i++)
		forget_signer(w->hook[i]);
}

static struct sending *add_sending(struct webhooks *w, struct hook *h, struct delivery *row)
{
	struct sending *s = xcalloc(1, sizeof *s);

	s->hook = h;
	s->begun_us = now_us();
	s->row = *row;
	row->body = NULL;
	s->signer = signer_of(w, h);
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
	if (!row->body || strcmp(h->row.format, webhook_formats[WEBHOOK_WSJF]) != 0)
		return 0;
	return wats_report_of(w->db, &w->config->wats, &row->body, e);
}

static size_t room(const struct hook *h)
{
	if (!h->there || retries_rest(&h->retries))
		return 0;
	/* Whether it takes anything again is found out with one. */
	return h->retries.failures ? h->flying == 0 : WINDOW - MIN(h->flying, WINDOW);
}

static int load(struct webhooks *w, struct hook *h, struct err *e)
{
	json_t *taken = json_array(), *held = json_array();
	int r;

	list_held(w, h, taken, held);
	r = webhook_queue_load(h->queue, w->db, h->row.id, held, taken, e);
	json_decref(taken);
	json_decref(held);
	h->stale = r < 0;
	h->dry = false;
	return r;
}

/* The oldest that may go out; without a body: its event is gone, and retention takes its row. 1, 0: none, or an error. */
static int next_row(struct webhooks *w, struct hook *h, struct delivery *ret, struct err *e)
{
	const struct waiting_row *row;
	int r = h->stale ? load(w, h, e) : 0;

	row = r == 0 && !h->dry ? webhook_queue_next(h->queue) : NULL;
	h->dry = !row;
	if (row)
		r = webhooks_message(w->db, row, ret, e);
	if (row && r == 0)
		r = make_body(w, h, ret, e);
	if (row && r < 0) {
		free(ret->body);
		h->stale = true;
	}
	return r < 0 ? r : row != NULL;
}

static int fill(struct webhooks *w, struct hook *h, struct err *e)
{
	while (room(h) > 0 && !webhook_ends_full(w->ends)) {
		struct delivery row;
		int r = next_row(w, h, &row, e);

		if (r <= 0)
			return r;
		if (row.body)
			begin(w, h, &row);
		free(row.body);
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

static int round_of(struct webhooks *w, struct err *e)
{
	const bool poked = __atomic_exchange_n(&w->poked, false, __ATOMIC_ACQ_REL);
	int r = MIN(webhook_ends_pull(w->ends, e), 0);

	/* What is not on record is sent again. */
	for (size_t i = 0; r < 0 && i < w->hooks; i++)
		w->hook[i]->stale = true;
	gather(w);
	look_at_config(w);
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
	w->takes = webhook_takes_new(line->writer, on_recorded, w);
	if (r == 0) {
		r = thread_start(&w->thread, "webhooks", webhooks_main, w, e);
		if (r < 0)
			cancel_done(&w->stop);
	}
	if (r < 0) {
		webhook_ends_free(w->ends);
		webhook_takes_free(w->takes);
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
	webhook_takes_free(w->takes);
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
